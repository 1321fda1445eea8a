"""Prices of real splits are the exchanges' unadjusted closes and opens of those days."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import numpy as np
import pytest

from market_data_pipeline.domain.bar_table import BarTable
from market_data_pipeline.domain.bar_types import BarSpec
from market_data_pipeline.domain.sessions import day_number
from market_data_pipeline.domain.suspicion import FACT_COLUMNS, SessionFacts, flat_runs, sessions_without_volume, split_like_jumps
from market_data_pipeline_tests.domain.example_calendars import example_partitions

MINUTES, DAYS, QUOTES = BarSpec.parse("1-MINUTE-LAST"), BarSpec.parse("1-DAY-LAST"), BarSpec.parse("1-MINUTE-MID")
FIRST = dt.date(2024, 1, 2)


def facts(closes: Sequence[float], opens: Sequence[float] | None = None, days: Sequence[int] | None = None, **columns: Sequence[int]) -> SessionFacts:
    """Facts of neighbouring days; a session opens at the close before unless told otherwise."""
    close = np.round(np.array(closes) * 100).astype(np.int64)
    opened = np.concatenate([close[:1], close[:-1]]) if opens is None else np.round(np.array(opens) * 100).astype(np.int64)
    count = len(close)
    made = {
        "days": np.array(days) if days is not None else day_number(FIRST) + np.arange(count),
        "open": opened,
        "high": np.maximum(opened, close),
        "low": np.minimum(opened, close),
        "close": close,
        "volume": np.full(count, 1_000),
        "bars": np.full(count, 390),
        "flat_bars": np.full(count, 2),
        "flat_from_ns": np.zeros(count),
        **{name: np.array(values) for name, values in columns.items()},
    }
    return SessionFacts(**{name: made[name].astype(np.int64) for name in FACT_COLUMNS}, price_precision=2)


def calm(before: float, after: float, opened: float, volatility: float = 0.01) -> SessionFacts:
    """Fifteen sessions up to a close of `before`, then one that opens at `opened`, and fifteen from a close of `after` on."""
    moves = np.where(np.arange(15) % 2 == 0, 1 + volatility, 1 / (1 + volatility))
    left = before * np.cumprod(np.append(1.0, moves))[::-1]
    right = after * np.cumprod(np.append(1.0, moves))
    closes = [*left[:-1], before, *right]
    opens = [closes[0], *closes[:-1]]
    opens[len(left)] = opened
    return facts(closes, opens)


@pytest.mark.parametrize(
    ("before", "opened", "after", "said"),
    [
        (499.23, 127.58, 129.04, "a 4-for-1 split"),  # AAPL, 2020-08-31
        (1208.88, 120.37, 121.79, "a 10-for-1 split"),  # NVDA, 2024-06-10
        (2213.40, 444.61, 498.32, "a 5-for-1 split"),  # TSLA, 2020-08-31
        (100.00, 50.40, 50.10, "a 2-for-1 split"),
        (90.00, 30.30, 30.00, "a 3-for-1 split"),
        (10.00, 20.10, 20.30, "a 1-for-2 reverse split"),
        (12.95, 104.00, 103.00, "a 1-for-8 reverse split"),
    ],
)
def test_a_session_that_opens_at_a_split_ratio_is_told(before: float, opened: float, after: float, said: str) -> None:
    (found,) = split_like_jumps(calm(before, after, opened), MINUTES)
    assert f"opens at {opened:.2f} after a close of {before:.2f}, as after {said};" in found.what
    assert found.first == found.last == FIRST + dt.timedelta(days=16)


@pytest.mark.parametrize(
    ("before", "opened"),
    [
        (100.00, 85.00),  # a bad quarter
        (100.00, 41.00),  # a crash that is no ratio
        (147.98, 354.83),  # GME, 2021-01-27: 2.4 times
        (100.00, 100.50),
    ],
)
def test_other_jumps_are_weather(before: float, opened: float) -> None:
    assert list(split_like_jumps(calm(before, opened, opened), MINUTES)) == []


def test_a_jump_is_usual_where_the_neighbours_jump_as_far() -> None:
    assert list(split_like_jumps(calm(100.0, 50.0, 50.0, volatility=0.10), MINUTES)) == []
    assert len(list(split_like_jumps(calm(100.0, 50.0, 50.0, volatility=0.03), MINUTES))) == 1


def test_neighbours_are_sessions_near_each_other() -> None:
    """A share may double in the year that is missing; the longest holidays are shorter than two weeks."""
    year = facts([100, 101, 50, 51], days=[0, 1, 366, 367])
    golden_week = facts([100, 101, 50.5, 51], [100, 100, 50.5, 50.5], days=[0, 1, 11, 12])
    assert list(split_like_jumps(year, MINUTES)) == []
    assert len(list(split_like_jumps(golden_week, MINUTES))) == 1


def test_prices_at_and_below_zero_have_no_ratio() -> None:
    """Crude oil closed at -37.63 on 2020-04-20."""
    assert list(split_like_jumps(facts([18.27, -37.63, 10.01, 0.0, 12.0]), DAYS)) == []
    assert list(split_like_jumps(SessionFacts.none(), DAYS)) == []


def test_sessions_without_volume_are_told_as_ranges() -> None:
    found = list(sessions_without_volume(facts([1, 1, 1, 1, 1], volume=[5, 0, 0, 7, 0]), MINUTES))
    assert [(one.first.day, one.last.day) for one in found] == [(3, 4), (6, 6)]
    assert found[0].what.startswith("780 bars and no volume")


def test_a_series_that_knows_no_volume_and_quotes_are_not_told() -> None:
    assert list(sessions_without_volume(facts([1, 1], volume=[0, 0]), MINUTES)) == []
    assert list(sessions_without_volume(facts([1, 1], volume=[5, 0]), QUOTES)) == []


def test_a_dead_feed_is_told_and_a_thin_series_is_not() -> None:
    at = 1_704_206_400_000_000_000  # 2024-01-02 14:40 UTC
    dead = facts([1] * 5, flat_bars=[2, 3, 45, 2, 3], flat_from_ns=[0, 0, at, 0, 0])
    (found,) = flat_runs(dead, MINUTES)
    assert (found.first, found.what) == (
        dt.date(2024, 1, 4),
        "45 bars in a row with the same four prices, from 14:40 UTC; usual here is 3",
    )
    assert list(flat_runs(facts([1] * 5, flat_bars=[2, 3, 29, 2, 3]), MINUTES)) == [], "shorter than half an hour"
    assert list(flat_runs(facts([1] * 5, flat_bars=[20, 25, 45, 30, 22]), MINUTES)) == [], "usual in this series"


def test_three_equal_days_are_a_flat_run() -> None:
    (found,) = flat_runs(facts([10, 11, 11, 11, 11, 12], [10, 11, 11, 11, 11, 11]), DAYS)
    assert (found.first.day, found.last.day, found.what) == (3, 6, "4 sessions in a row with the same four prices")
    assert list(flat_runs(facts([10, 11, 11, 12], [10, 11, 11, 12]), DAYS)) == []


def test_facts_of_two_sessions_are_those_that_a_hand_adds_up() -> None:
    partitions = example_partitions()
    minute = 60_000_000_000
    first, second = (partitions.regular_hours(i)[0] for i in (1, 2))
    opens = np.array([first, first + minute, first + 2 * minute, second, second + minute, second + 2 * minute])
    price = np.array([100, 105, 105, 200, 200, 200])
    bars = BarTable(price, price + 2, price - 3, price + 1, np.array([1, 2, 3, 4, 5, 6]), opens, opens + minute, 2, 0)
    found = SessionFacts.of(bars, partitions)
    assert found.days.tolist() == partitions.days[1:3].tolist()
    assert {name: found.column(name).tolist() for name in FACT_COLUMNS[1:]} == {
        "open": [100, 200],
        "high": [107, 202],
        "low": [97, 197],
        "close": [106, 201],
        "volume": [6, 15],
        "bars": [3, 3],
        "flat_bars": [2, 3],
        "flat_from_ns": [first + minute, second],
    }
