"""The bars that are measured: a seeded walk over the regular hours of real NASDAQ sessions."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np

from market_data_pipeline.calendars import partitions_of
from market_data_pipeline.catalog import Catalog
from market_data_pipeline.domain.bar_table import BarTable
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.coverage import Coverage, Provenance, SessionAnswer
from market_data_pipeline.domain.quality import measure
from market_data_pipeline.domain.source import Precision

SERIES = Series.parse("AAPL.NASDAQ-1-MINUTE-LAST-EXTERNAL")
CENTS = Precision(2, 0)
MINUTE = 60_000_000_000
FIRST, LAST = dt.date(2019, 1, 2), dt.date(2023, 12, 29)
YEAR = dt.date(2023, 1, 3), LAST


def sessions(first: dt.date = FIRST, last: dt.date = LAST, series: Series = SERIES, seed: int = 1) -> list[SessionAnswer]:
    """Return whole sessions of minutes dated in [first, last]; five years are 1,258 sessions and 489,000 bars."""
    partitions = partitions_of(series)
    rng = np.random.default_rng(seed)
    answers = []
    for position, date in zip(partitions.positions_between(first, last), partitions.dates_between(first, last), strict=True):
        opens = np.arange(*partitions.regular_hours(position), MINUTE, dtype=np.int64)
        close = 18_500 + np.cumsum(rng.integers(-3, 4, len(opens)))
        opened = np.concatenate((close[:1], close[:-1]))
        high, low = np.maximum(opened, close) + rng.integers(0, 3, len(opens)), np.minimum(opened, close) - rng.integers(0, 3, len(opens))
        bars = BarTable(opened, high, low, close, rng.integers(1, 10_000, len(opens)), opens, opens + MINUTE, CENTS.price, CENTS.size)
        answers.append(SessionAnswer(date, bars, Coverage.COMPLETE, measure(bars, partitions, position)))
    return answers


def stored(root: Path, answers: list[SessionAnswer]) -> Catalog:
    """Store sessions in a new catalog."""
    catalog = Catalog.open(root)
    with catalog.writer(SERIES, CENTS, Provenance("bench", "made")) as writer:
        for answer in answers:
            writer.store(answer)
    return catalog


def joined(answers: list[SessionAnswer]) -> BarTable:
    """Return all bars of sessions as one table."""
    return BarTable.concatenate([answer.bars for answer in answers])
