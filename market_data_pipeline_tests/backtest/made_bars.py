"""Bars made for backtests: a seeded walk over the regular hours of real sessions, and closes written out by hand."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd

from market_data_pipeline.calendars import partitions_of
from market_data_pipeline.catalog import Catalog
from market_data_pipeline.catalog.instrument_definitions import InstrumentDefinitions, define
from market_data_pipeline.catalog.instruments import InstrumentStore
from market_data_pipeline.domain.bar_table import BarTable, Int64s
from market_data_pipeline.domain.bar_types import DAY_NS, Series
from market_data_pipeline.domain.coverage import Coverage, Provenance, SessionAnswer
from market_data_pipeline.domain.quality import measure
from market_data_pipeline.domain.sessions import Partitions
from market_data_pipeline.domain.source import Precision

PLENTY = 1_000_000
EQUITIES = InstrumentDefinitions.model_validate(
    {"instruments": [{"id": f"{symbol}.NASDAQ", "type": "equity", "currency": "USD", "price_precision": 2} for symbol in ("AAPL", "MSFT")]}
)


@contextmanager
def opened(root: Path) -> Iterator[Catalog]:
    """Open a catalog and let go of its ledger, which a test that warns of nothing must do."""
    catalog = Catalog.open(root)
    try:
        yield catalog
    finally:
        catalog.ledger.close()


def day(text: str) -> dt.date:
    return dt.date.fromisoformat(text)


def stamps(partitions: Partitions, position: int) -> tuple[Int64s, Int64s]:
    """Return opens and closes of every bar of a session's regular hours."""
    if partitions.spec.is_daily_or_longer:
        closes = partitions.ends[position : position + 1]
        return closes - DAY_NS + 1, closes
    opens = np.arange(*partitions.regular_hours(position), partitions.spec.length_ns, dtype=np.int64)
    return opens, opens + partitions.spec.length_ns


def _precision(root: Path, series: Series) -> Precision:
    """Store the instrument, and return its decimals."""
    instruments = InstrumentStore(root)
    instruments.put(define(series.instrument_id, EQUITIES), "test")
    return instruments.precision(series.instrument_id)


def _store(root: Path, series: Series, sessions: Sequence[tuple[dt.date, BarTable]]) -> None:
    """Store sessions as complete."""
    partitions = partitions_of(series)
    with opened(root) as catalog, catalog.writer(series, catalog.instruments.precision(series.instrument_id), Provenance("csv", "made up")) as writer:
        for session, bars in sessions:
            position = partitions.index_of(session)
            assert position is not None
            writer.store(SessionAnswer(session, bars, Coverage.COMPLETE, measure(bars, partitions, position)))


def walk(
    root: Path, bar_type: str, start: str, end: str, *, seed: int = 1, price: int = 18_000, without: Collection[str] = (), nudge: str | None = None
) -> Series:
    """Store a random walk over the sessions dated in [start, end].

    Args:
        root: The catalog.
        bar_type: The series.
        start: First session.
        end: Last session.
        seed: Of the walk.
        price: Where it starts, in units of the last decimal.
        without: Sessions that are left out, without changing the others.
        nudge: A session whose first volume is one more.
    """
    series = Series.parse(bar_type)
    partitions = partitions_of(series)
    precision = _precision(root, series)
    random = np.random.default_rng(seed)
    last, sessions = price, []
    for position, session in zip(partitions.positions_between(day(start), day(end)), partitions.dates_between(day(start), day(end)), strict=True):
        opens, closes = stamps(partitions, position)
        close = last + np.cumsum(random.integers(-6, 7, len(opens)))
        open_ = np.append(last, close[:-1])
        high, low = np.maximum(open_, close) + random.integers(0, 4, len(opens)), np.minimum(open_, close) - random.integers(0, 4, len(opens))
        volume = random.integers(500, 1_000, len(opens)) * 10**precision.size
        last = int(close[-1])
        if session.isoformat() == nudge:
            volume[0] += 1
        if session.isoformat() not in without:
            sessions.append((session, BarTable(open_, high, low, close, volume, opens, closes, precision.price, precision.size)))
    _store(root, series, sessions)
    return series


def by_hand(root: Path, bar_type: str, sessions: Sequence[str], closes: Sequence[float]) -> Series:
    """Store day bars with these closes, each opening at the close before; with volume enough to fill any order at once."""
    series = Series.parse(bar_type)
    partitions = partitions_of(series)
    precision = _precision(root, series)
    exact = [round(close * 10**precision.price) for close in closes]
    tables = []
    for i, session in enumerate(sessions):
        opens, ends = stamps(partitions, partitions.index_of(day(session)) or 0)
        before = exact[max(i - 1, 0)]
        open_, high, low, close = (np.array([value], dtype=np.int64) for value in (before, max(before, exact[i]), min(before, exact[i]), exact[i]))
        volume = np.array([PLENTY * 10**precision.size], dtype=np.int64)
        tables.append((day(session), BarTable(open_, high, low, close, volume, opens, ends, precision.price, precision.size)))
    _store(root, series, tables)
    return series


def import_euros(file: Path, root: Path, start: str, end: str) -> None:
    """Store the sessions dated in [start, end] of a 15-minute CSV of closes with offsets, five decimals and no volume."""
    series = Series.parse("EUR/USD.IDEALPRO-15-MINUTE-MID-EXTERNAL")
    precision = _precision(root, series)
    frame = pd.read_csv(file, dtype=str)
    closes = pd.to_datetime(frame["timestamp"], utc=True).dt.as_unit("ns").astype("int64").to_numpy().astype(np.int64)
    open_, high, low, close = (np.array([int(Decimal(text) * 10**5) for text in frame[name]]) for name in ("open", "high", "low", "close"))
    table = BarTable(open_, high, low, close, np.zeros_like(open_), closes - series.spec.length_ns, closes, precision.price, precision.size)
    partitions = partitions_of(series)
    found = [(session, table.between(*partitions.window(session))) for session in partitions.dates_between(day(start), day(end))]
    _store(root, series, [(session, bars) for session, bars in found if len(bars)])
