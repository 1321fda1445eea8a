"""Ask the broker for what a backtest lacks."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from market_data_pipeline.calendars import partitions_of
from market_data_pipeline.catalog import Catalog
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.errors import DataMissing, SourceUnavailable
from market_data_pipeline.ingest.derive import open_derived
from market_data_pipeline.ingest.from_broker import open_series
from market_data_pipeline.ingest.load import LoadEvent, LoadReport, load, named

if TYPE_CHECKING:
    from market_data_pipeline.sources.ibkr import IbkrGateway


def fetch_missing(
    catalog: Catalog,
    gateway: Callable[[], IbkrGateway],
    wanted: Sequence[Series],
    start: dt.date,
    end: dt.date,
    *,
    finer_of: Callable[[Series], Series | None] = lambda series: None,
    wait_s: float = 10.0,
) -> Generator[tuple[Series, LoadEvent], None, tuple[LoadReport, ...]]:
    """Fill the gaps of some series between two dates, telling what happens as it happens. Where nothing is missing, nobody is asked.

    Args:
        catalog: Where to store.
        gateway: Opens the gateway; only called where something is missing.
        wanted: The series.
        start: First session, inclusive.
        end: Last session, inclusive.
        finer_of: Says which series a series is derived from, and so not asked for; None for those that are asked for.
        wait_s: Seconds to wait for another process that writes a series.

    Yields:
        (series, event) of each load.

    Returns:
        The reports, one for each series that had gaps.

    Raises:
        DataMissing: If sessions are missing and no gateway answers; the message says what to do.
        SourceError: If the gateway could not give them.
        CatalogError: If storing fails.
    """
    reports = []
    for series in _finer_first(catalog, wanted, start, end, finer_of):
        sessions = _missing(catalog, series, start, end)
        if not sessions:
            continue
        finer = finer_of(series)
        try:
            opened = open_series(catalog, gateway(), series) if finer is None else open_derived(catalog, series, finer)
            with closing(load(catalog, opened.source, series, opened.precision, sessions, wait_s=wait_s)) as steps:
                reports.append((yield from named(series, steps)))
        except SourceUnavailable as error:
            raise DataMissing(_not_found(series, sessions, error)) from error
    return tuple(reports)


def _missing(catalog: Catalog, series: Series, start: dt.date, end: dt.date) -> list[dt.date]:
    gaps = catalog.gaps(series, start, end)
    return [date for gap in gaps for date in partitions_of(series).dates_between(gap.first, gap.last)]


def _finer_first(
    catalog: Catalog, wanted: Sequence[Series], start: dt.date, end: dt.date, finer_of: Callable[[Series], Series | None]
) -> list[Series]:
    """Return the series, and before each that is derived and has gaps the finer one, once each."""
    found: list[Series] = []
    for series in wanted:
        chain = [series]
        while (finer := finer_of(chain[-1])) is not None and _missing(catalog, chain[-1], start, end):
            chain.append(finer)
        found += reversed(chain)
    return list(dict.fromkeys(found))


def _not_found(series: Series, sessions: Sequence[dt.date], error: SourceUnavailable) -> str:
    symbol = series.instrument_id.rpartition(".")[0]
    one = len(sessions) == 1
    which = f"the session {sessions[0]} of {series} is" if one else f"{len(sessions):,} sessions of {series} from {sessions[0]} to {sessions[-1]} are"
    # The gateway's own words go on with the cures that stand below.
    why = str(error).partition(". ")[0].rstrip(".")
    return (
        f"Data not found for {symbol}: {which} not stored. {why}.\n"
        "Connect to IBKR Gateway (docker compose -f deploy/docker-compose.yml up -d ib-gateway; without an account: mdp ibkr simulate) "
        f"or import a CSV (mdp import-csv FILE --instrument {series.instrument_id} --bar {series.spec})."
    )
