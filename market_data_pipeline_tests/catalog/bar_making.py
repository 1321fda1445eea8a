"""Bars to store: seeded walks on the sessions of a real calendar, and what other programs read back of them."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from market_data_pipeline.calendars import partitions_of
from market_data_pipeline.catalog import Catalog, SessionRow
from market_data_pipeline.catalog.bar_format import encode, to_parquet, write_atomically
from market_data_pipeline.catalog.layout import file_name
from market_data_pipeline.catalog.writer import SeriesWriter
from market_data_pipeline.domain.bar_table import BarTable
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.coverage import Coverage, Provenance, SessionAnswer
from market_data_pipeline.domain.quality import measure
from market_data_pipeline.domain.source import Precision

MINUTE = 60_000_000_000
AAPL = Series.parse("AAPL.NASDAQ-1-MINUTE-LAST-EXTERNAL")
EURUSD = Series.parse("EUR/USD.IDEALPRO-15-MINUTE-MID-EXTERNAL")
CENTS = Precision(2, 0)
WEEK = [dt.date(2024, 2, day) for day in (5, 6, 7, 8, 9)]
MONDAY, TUESDAY, WEDNESDAY, THURSDAY, FRIDAY = WEEK
BY_HAND = Provenance("test", "made by hand")


def walk(
    opens: np.ndarray[tuple[int], np.dtype[np.int64]], length: int, precision: Precision = CENTS, seed: int = 0, start: int = 18_500
) -> BarTable:
    """Return a random walk of bars that open at these nanoseconds."""
    rng = np.random.default_rng([seed, int(opens[0]) if len(opens) else 0])
    count = len(opens)
    close = start + np.cumsum(rng.integers(-3, 4, count))
    opened = np.concatenate((close[:1], close[:-1]))
    high, low = np.maximum(opened, close) + 1, np.minimum(opened, close) - 1
    return BarTable(opened, high, low, close, rng.integers(0, 10_000, count), opens, opens + length, precision.price, precision.size)


def regular(series: Series, date: dt.date, seed: int = 0, precision: Precision = CENTS) -> BarTable:
    """Return a bar for every interval of a session's regular hours."""
    partitions = partitions_of(series)
    position = partitions.index_of(date)
    assert position is not None
    first, last = partitions.regular_hours(position)
    length = series.spec.length_ns
    return walk(np.arange(first, last, length, dtype=np.int64), length, precision, seed)


def answer(series: Series, date: dt.date, bars: BarTable | None = None, coverage: Coverage = Coverage.COMPLETE, seed: int = 0) -> SessionAnswer:
    """Return what a source would answer for a session; by default all of its regular hours."""
    partitions = partitions_of(series)
    position = partitions.index_of(date)
    assert position is not None
    found = regular(series, date, seed) if bars is None else bars
    return SessionAnswer(date, found, coverage, measure(found, partitions, position))


def empty(series: Series, date: dt.date, precision: Precision = CENTS) -> SessionAnswer:
    """Return the answer that a session has no bars."""
    return answer(series, date, BarTable.empty(precision.price, precision.size), Coverage.EMPTY)


def morning(series: Series, date: dt.date, bars: int = 100, seed: int = 0) -> SessionAnswer:
    """Return the first bars of a session, as a partial answer."""
    return answer(series, date, regular(series, date, seed).slice(0, bars), Coverage.PARTIAL)


@contextmanager
def writing(catalog: Catalog, series: Series = AAPL, precision: Precision = CENTS, wait_s: float = 10.0) -> Iterator[SeriesWriter]:
    """Open a writer."""
    with catalog.writer(series, precision, BY_HAND, wait_s) as writer:
        yield writer


def store(catalog: Catalog, *answers: SessionAnswer, series: Series = AAPL, precision: Precision = CENTS) -> list[SessionRow]:
    """Store answers in one go."""
    with writing(catalog, series, precision) as writer:
        return [writer.store(one) for one in answers]


def store_week(root: Path, series: Series = AAPL) -> Catalog:
    """Store five whole sessions, 5 to 9 February 2024, and return the catalog."""
    catalog = Catalog.open(root)
    store(catalog, *(answer(series, date) for date in WEEK), series=series)
    return catalog


def files_of(catalog: Catalog, series: Series = AAPL) -> list[Path]:
    """Return a series' Parquet files by name."""
    return sorted(catalog.layout.series_folder(series).glob("*.parquet"))


def all_bars(catalog: Catalog, series: Series = AAPL) -> BarTable:
    """Return all stored bars as one table."""
    return BarTable.concatenate([*catalog.read(series)] or [BarTable.empty(CENTS.price, CENTS.size)])


def what_stands(catalog: Catalog, series: Series = AAPL) -> list[SessionRow]:
    """Return the ledger's rows without what depends on the moment."""
    return [replace(row, stored_at_ns=0, source="", asked="", file_mtime_ns=0) for row in catalog.sessions(series)]


def decimals(mantissas: np.ndarray[tuple[int], np.dtype[np.int64]], precision: int) -> list[str]:
    """Return whole numbers of the last decimal as text, by integer arithmetic alone."""
    result = []
    for value in mantissas.tolist():
        whole, part = divmod(abs(value), 10**precision)
        text = f"{whole}.{part:0{precision}d}" if precision else str(whole)
        result.append(f"-{text}" if value < 0 else text)
    return result


_NAUTILUS = """
import sys
from nautilus_trader.model.data import Bar
from nautilus_trader.persistence.catalog import ParquetDataCatalog
bars = ParquetDataCatalog(sys.argv[1]).query(Bar, identifiers=sys.argv[2:] or None)
print(len(bars), len({bar.ts_init for bar in bars}), bars == sorted(bars, key=lambda bar: bar.ts_init))
"""


def nautilus_reads(root: Path, *bar_types: str) -> tuple[int, int, bool]:
    """Let Nautilus read a catalog in a process of its own, for a bad file aborts it: bars, different closes, and whether they are in order."""
    done = subprocess.run([sys.executable, "-c", _NAUTILUS, str(root), *bar_types], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"Nautilus ended with {done.returncode}: {done.stderr[-600:]}"
    count, closes, in_order = done.stdout.split()
    return int(count), int(closes), in_order == "True"


def bars_equal(found: Sequence[object], expected: BarTable) -> bool:
    """Compare Nautilus bars with a table by their text, which shows every decimal."""
    prices = [decimals(expected.column(name), expected.price_precision) for name in ("open", "high", "low", "close")]
    volume = decimals(expected.volume, expected.size_precision)
    rows = [",".join(row) for row in zip(*prices, volume, map(str, expected.ts_event.tolist()), strict=True)]
    return [str(bar).partition("EXTERNAL,")[2] for bar in found] == rows


def names(catalog: Catalog, series: Series = AAPL) -> list[str]:
    return [file.name for file in files_of(catalog, series)]


def coverages(catalog: Catalog, series: Series = AAPL) -> list[tuple[str, str, int]]:
    return [(str(row.session), row.coverage.value, row.rows) for row in catalog.sessions(series)]


def rebuilt(catalog: Catalog) -> Catalog:
    """Return the catalog as somebody finds it who has only the files."""
    catalog.ledger.close()
    for file in catalog.root.glob("ledger.sqlite*"):
        file.unlink()
    return Catalog.open(catalog.root)


def put_wide(catalog: Catalog, bars: BarTable, start: int | None = None, end: int | None = None, series: Series = AAPL) -> Path:
    """Put a file in place as another program would; by default named from its first close to its last."""
    folder = catalog.layout.series_folder(series)
    folder.mkdir(parents=True, exist_ok=True)
    name = file_name(start or int(bars.ts_init[0]), end or int(bars.ts_init[-1]))
    write_atomically(folder, name, to_parquet(encode(bars, series)))
    return folder / name
