"""Sessions that a backtest lacks, fetched before it runs, with progress."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import ExitStack, closing
from functools import cache
from typing import TYPE_CHECKING

from market_data_pipeline.catalog import Catalog
from market_data_pipeline.cli.broker import gateway_settings
from market_data_pipeline.cli.endings import Stopped
from market_data_pipeline.cli.load_progress import LoadMeter
from market_data_pipeline.cli.progress import Meter
from market_data_pipeline.cli.rendering.checks import title
from market_data_pipeline.cli.words import count
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.ingest.load import LoadEvent
from market_data_pipeline.ingest.missing import fetch_missing
from market_data_pipeline.sources.ibkr import IbkrGateway

if TYPE_CHECKING:
    from market_data_pipeline.backtest import BacktestSpec
    from market_data_pipeline.watchlist import Watchlist


def fetch_for_backtest(catalog: Catalog, spec: BacktestSpec, watchlist: Watchlist | None = None) -> None:
    """Ask Interactive Brokers for the sessions that a backtest lacks; where none is missing, nobody is asked.

    Bars that the watchlist derives are derived, and the finer ones asked for.

    Raises:
        DataMissing: If sessions are missing and no gateway answers.
        SourceError: If the gateway could not give them.
        Stopped: On Ctrl-C, with how far it came.
    """
    with ExitStack() as opened, Meter("bars/s") as meter:
        gateway = cache(lambda: opened.enter_context(IbkrGateway(gateway_settings())))
        told = LoadMeter(meter, len(spec.all_series), lambda: gateway().budget())
        finer_of = watchlist.finer_of if watchlist is not None else lambda series: None
        with closing(_fetch(catalog, gateway, spec, finer_of, meter)) as steps:
            try:
                for series, event in steps:
                    told.tell(series, event)
            except KeyboardInterrupt:
                steps.close()  # commits what is stored; only then is it true that it stands
                raise Stopped(told.how_far()) from None


def _fetch(
    catalog: Catalog, gateway: Callable[[], IbkrGateway], spec: BacktestSpec, finer_of: Callable[[Series], Series | None], meter: Meter
) -> Generator[tuple[Series, LoadEvent]]:
    """Fetch what is missing, and tell of each series at its end what that was."""
    for report in (yield from fetch_missing(catalog, gateway, spec.all_series, spec.start, spec.end, finer_of=finer_of)):
        sessions = f"{report.segments_fetched:,} of {count(report.asked, 'missing session')}"
        how = "made of finer bars" if finer_of(report.series) is not None else f"fetched with {count(report.requests_made, 'request')}"
        meter.line(f"{title(report.series)}: {sessions} {how}, {count(report.fetched_bars, 'bar')}")
