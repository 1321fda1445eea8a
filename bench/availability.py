"""(e) Availability of 500 series of ten years."""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from bench.lines import Line, best_of, within
from market_data_pipeline.calendars import partitions_of
from market_data_pipeline.catalog import Catalog, SessionRow
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.coverage import Convention, Coverage
from market_data_pipeline.domain.source import Precision

_SERIES = 500
_FIRST, _LAST = dt.date(2014, 1, 2), dt.date(2023, 12, 29)


def measure(folder: Path) -> Iterator[Line]:
    """Ask a new process' catalog for the availability of all series; each folder's change time is looked at."""
    filled = Catalog.open(folder / "catalog")
    days = [int(day) for day in _days()]
    for number in range(_SERIES):
        series = Series.of(f"S{number:03}.NASDAQ", "1-MINUTE-LAST")
        filled.layout.series_folder(series).mkdir(parents=True)
        row = filled.ledger.define(series, Precision(2, 0), Convention())
        gap = 100 + number
        rows = [_row(day, series) for i, day in enumerate(days) if i not in (gap, gap + 1, gap + 2)]
        filled.ledger.record(row.id, rows, filled.layout.folder_mtime_ns(series))
    filled.ledger.close()

    def ask() -> int:
        catalog = Catalog.open(folder / "catalog")
        found = catalog.availabilities()
        if len(found) != _SERIES or any((one.complete, [gap.sessions for gap in one.gaps]) != (len(days) - 3, [3]) for one in found):
            raise AssertionError("wrong availability")
        catalog.ledger.close()
        return len(found)

    def theirs() -> int:
        """What a script does: all rows of the ledger in a frame, and each series' dates taken from those of the calendar."""
        with sqlite3.connect(folder / "catalog" / "ledger.sqlite") as connection:
            rows = pd.read_sql("SELECT series_id, day FROM sessions", connection)
        gaps = [len(expected.difference(pd.Index(of_one["day"]))) for _, of_one in rows.groupby("series_id")]
        if gaps != [3] * _SERIES:
            raise AssertionError("wrong availability")
        return len(gaps)

    expected = pd.Index(days)
    work = f"availability, gaps included, of {_SERIES} series of {len(days):,} sessions ({_SERIES * len(days) / 1e6:.2f} million rows)"
    peer = "a script: all rows in a pandas frame, each series' dates taken from the calendar's"
    yield within(work, best_of(3, ask), 1.0, "the peer counts what is missing: it makes no ranges", peer, best_of(3, theirs))


def _days() -> Iterator[int]:
    partitions = partitions_of(Series.of("S000.NASDAQ", "1-MINUTE-LAST"))
    return (int(partitions.days[i]) for i in partitions.positions_between(_FIRST, _LAST))


def _row(day: int, series: Series) -> SessionRow:
    start = day * 86_400_000_000_000
    name = f"{series.folder}-{day}"
    return SessionRow(
        day, Coverage.COMPLETE, 390, start, start + 1, 8_000, "0" * 32, "bench", "made", start, 390, 390, 0, name, 8_000, start, "0" * 32
    )
