"""What changed in bars, against cases worked out by hand."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from market_data_pipeline.domain.bar_table import BarTable
from market_data_pipeline.domain.revisions import Ratio, changes_between, ratio_of, rebases_of, simplest_between

MINUTE = 60_000_000_000
FRIDAY = dt.date(2024, 1, 5)


def bars(*closes: int, volume: int = 100, first: int = 0) -> BarTable:
    """Return minute bars that open and close at these cents, two above and below."""
    close = np.array(closes, dtype=np.int64)
    opens = (np.arange(len(close), dtype=np.int64) + first) * MINUTE
    return BarTable(close, close + 2, close - 2, close, np.full(len(close), volume, dtype=np.int64), opens, opens + MINUTE, 2, 0)


def divided(table: BarTable, ratio: float) -> BarTable:
    """Return prices divided and rounded to cents, volumes multiplied."""
    opens, high, low, close = (np.rint(table.column(name) / ratio).astype(np.int64) for name in ("open", "high", "low", "close"))
    return replace(table, open=opens, high=high, low=low, close=close, volume=np.rint(table.volume * ratio).astype(np.int64))


def test_bars_that_are_the_same_are_no_change() -> None:
    assert len(changes_between(FRIDAY, bars(18_500, 18_510), bars(18_500, 18_510))) == 0


def test_a_changed_close_and_a_changed_volume_are_one_changed_bar_each() -> None:
    old, new = bars(10_000, 10_000, 10_000), bars(10_000, 10_000, 10_000)
    new.close[0], new.volume[2] = 10_050, 107
    found = changes_between(FRIDAY, old, new)
    assert found.ts_event.tolist() == [0, 2 * MINUTE]
    assert (found.old[3].tolist(), found.new[3].tolist()) == ([10_000, 10_000], [10_050, 10_000])
    assert (found.old[4].tolist(), found.new[4].tolist()) == ([100, 100], [100, 107])
    assert (found.added, found.gone) == (0, 0)
    assert found.largest == pytest.approx(0.005)  # 50 of 10,000 cents


def test_bars_that_came_and_went_count_too() -> None:
    old, new = bars(10_000, 10_001, 10_002), bars(10_001, 10_002, 10_003, first=1)
    found = changes_between(FRIDAY, old, new)
    assert (len(found), found.added, found.gone, found.largest) == (2, 1, 1, 0.0)
    assert found.ts_event.tolist() == [0, 3 * MINUTE]
    assert found.ts_init.tolist() == [MINUTE, 4 * MINUTE]
    assert (found.was.tolist(), found.is_now.tolist()) == ([True, False], [False, True])


def test_all_bars_of_an_empty_session_are_new() -> None:
    found = changes_between(FRIDAY, BarTable.empty(2, 0), bars(10_000, 10_001))
    assert (len(found), found.added, found.gone) == (2, 2, 0)


@pytest.mark.parametrize(
    ("ratio", "expected"),
    [(4, Fraction(4)), (0.1, Fraction(1, 10)), (1.5, Fraction(3, 2)), (20, Fraction(20)), (1.05, Fraction(21, 20)), (1 / 3, Fraction(1, 3))],
    ids=["4:1", "1:10 reverse", "3:2", "20:1", "stock dividend of 5 %", "1:3 reverse"],
)
def test_a_split_is_recognised_through_the_rounding_to_cents(ratio: float, expected: Fraction) -> None:
    old = bars(*range(18_401, 18_701, 3), volume=6_000)
    found = ratio_of(FRIDAY, old, divided(old, ratio))
    assert found is not None
    (rebase,) = rebases_of([found])
    assert (rebase.ratio, rebase.sessions, rebase.volume_is_inverse) == (expected, 1, True)
    assert rebase.name == f"split {expected.numerator}:{expected.denominator}"


def test_prices_on_another_base_with_the_old_volumes_are_no_split() -> None:
    old = bars(*range(18_401, 18_701, 3), volume=6_000)
    found = ratio_of(FRIDAY, old, replace(divided(old, 2), volume=old.volume))
    assert found is not None
    assert rebases_of([found])[0].name == "prices on another base, 2:1, volumes as before"


def test_a_split_is_recognised_through_corrections_of_a_tenth_of_the_bars() -> None:
    old = bars(*range(18_401, 18_701, 3), volume=6_000)
    corrected = divided(old, 4)
    corrected.close[::11] += 3
    found = ratio_of(FRIDAY, old, corrected)
    assert found is not None
    assert rebases_of([found])[0].ratio == 4


def test_corrected_bars_are_no_split() -> None:
    """Some bars that say something else, all of them moved by a hundredth of a percent, half of them divided."""
    old = bars(*range(18_401, 18_701, 3))
    some, half = divided(old, 1), divided(old, 4)
    some.open[7] += 300
    for name in ("open", "high", "low", "close"):
        half.column(name)[:50] = old.column(name)[:50]
    assert ratio_of(FRIDAY, old, some) is None
    assert ratio_of(FRIDAY, old, half) is None
    assert ratio_of(FRIDAY, old, divided(old, 1.0001)) is None
    assert ratio_of(FRIDAY, old, old) is None


def test_prices_of_zero_and_below_have_no_ratio() -> None:
    """Crude oil closed at -37.63 on 2020-04-20."""
    old = bars(-3_763, 1_000)
    assert ratio_of(FRIDAY, old, divided(old, 4)) is None


def test_two_splits_are_told_apart_and_neighbours_of_one_ratio_are_one() -> None:
    """A range of ratios stands for each session: cents of a price near 1.00 leave open whether it was 3.99 or 4.01."""
    days = [dt.date(2024, 1, day) for day in (2, 3, 4, 5)]
    ratios = [
        Ratio(days[0], 19.9, 20.1, 20.0),
        Ratio(days[1], 19.99, 20.01, 20.0),
        Ratio(days[2], 3.99, 4.01, None),
        Ratio(days[3], 3.999, 4.02, 4.0),
    ]
    older, newer = rebases_of(ratios[::-1])
    assert (older.ratio, older.first, older.last, older.sessions) == (Fraction(20), days[0], days[1], 2)
    assert (newer.ratio, newer.first, newer.last, newer.factor) == (Fraction(4), days[2], days[3], "1/4")


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(3.99, 4.01, Fraction(4)), (1.4999, 1.5001, Fraction(3, 2)), (0.0999, 0.1001, Fraction(1, 10)), (0.33, 0.34, Fraction(1, 3))],
)
def test_the_simplest_fraction_wins(low: float, high: float, expected: Fraction) -> None:
    assert simplest_between(low, high) == expected
