"""Sessions that a backtest lacks, fetched before it runs, with progress."""

from __future__ import annotations

from contextlib import ExitStack, closing
from functools import cache
from typing import TYPE_CHECKING

from market_data_pipeline.catalog import Catalog
from market_data_pipeline.cli.broker import gateway_settings
from market_data_pipeline.cli.endings import Stopped
from market_data_pipeline.cli.load_progress import LoadMeter
from market_data_pipeline.cli.progress import Meter
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
        with closing(fetch_missing(catalog, gateway, spec.all_series, spec.start, spec.end, finer_of=finer_of)) as steps:
            try:
                for series, event in steps:
                    told.tell(series, event)
            except KeyboardInterrupt:
                steps.close()  # commits what is stored; only then is it true that it stands
                raise Stopped(told.how_far()) from None
