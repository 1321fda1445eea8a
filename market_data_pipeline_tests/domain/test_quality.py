from __future__ import annotations

import datetime as dt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market_data_pipeline.domain.bar_table import BarTable
from market_data_pipeline.domain.coverage import Coverage, Quality
from market_data_pipeline.domain.quality import HoleRule, broken_rows, judge, measure
from market_data_pipeline.domain.sessions import Partitions
from market_data_pipeline_tests.domain.example_calendars import example_partitions
from market_data_pipeline_tests.instants import ns

TUESDAY = dt.date(2024, 1, 9)
EARLY_FRIDAY = dt.date(2024, 1, 12)
PAUSE = ("16:00", "17:00")


def bars(opens: list[int], length_s: int = 60) -> BarTable:
    """Return bars with these opens; prices are all 1.00 and volumes 5."""
    ts = np.array(opens, dtype=np.int64)
    one, volume = np.full(len(ts), 100, dtype=np.int64), np.full(len(ts), 5, dtype=np.int64)
    return BarTable(one, one, one, one, volume, ts, ts + length_s * 10**9, price_precision=2, size_precision=0)


def minutes(date: dt.date, first: str, last: str, step: int = 1) -> list[int]:
    """Return the opens from `first` to before `last`, each `step` minutes."""
    return list(range(ns(f"{date} {first}"), ns(f"{date} {last}"), step * 60 * 10**9))


def measured(opens: list[int], date: dt.date = TUESDAY, partitions: Partitions | None = None) -> Quality:
    partitions = partitions or example_partitions()
    position = partitions.index_of(date)
    assert position is not None
    length = 86_400 if partitions.spec.is_daily_or_longer else partitions.spec.length_ns // 10**9
    return measure(bars(opens, length), partitions, position)


def test_a_whole_session_has_every_minute_and_no_absence() -> None:
    """14:30 to 21:00 are 390 minutes."""
    assert measured(minutes(TUESDAY, "14:30", "21:00")) == Quality(expected=390, regular=390, longest_absence_s=0)


def test_an_early_close_expects_fewer_bars() -> None:
    """14:30 to 18:00 are 210 minutes."""
    assert measured(minutes(EARLY_FRIDAY, "14:30", "18:00"), EARLY_FRIDAY) == Quality(210, 210, 0)


def test_pre_and_post_market_are_not_counted() -> None:
    assert measured(minutes(TUESDAY, "09:00", "22:00")) == Quality(390, 390, 0)
    assert measured(minutes(TUESDAY, "09:00", "14:30") + minutes(TUESDAY, "21:00", "22:00")) == Quality(390, 0, 23_400)


@pytest.mark.parametrize(
    ("first", "last", "absence_s"),
    [("16:00", "16:45", 2_700), ("14:30", "15:00", 1_800), ("20:00", "21:00", 3_600)],
    ids=["inside", "at the open", "at the close"],
)
def test_the_longest_absence_counts_edges_too(first: str, last: str, absence_s: int) -> None:
    opens = minutes(TUESDAY, "14:30", first) + minutes(TUESDAY, last, "21:00")
    assert measured(opens) == Quality(390, 390 - absence_s // 60, absence_s)


def test_no_bars_at_all_is_an_absence_of_the_whole_session() -> None:
    assert measured([]) == Quality(390, 0, 23_400)


def test_a_bar_over_the_open_or_close_counts_and_leaves_no_absence() -> None:
    """Hours begin at 14:00: the first holds half an hour of pre-market. 14:30 to 21:00 are seven hours begun."""
    partitions = example_partitions("1-HOUR-LAST")
    opens = minutes(TUESDAY, "14:00", "21:00", step=60)
    assert measured(opens, partitions=partitions) == Quality(expected=7, regular=7, longest_absence_s=0)


def test_an_inner_pause_is_neither_expected_nor_absent() -> None:
    partitions = example_partitions(pause=PAUSE)
    whole = minutes(TUESDAY, "14:30", "16:00") + minutes(TUESDAY, "17:00", "21:00")
    assert measured(whole, partitions=partitions) == Quality(330, 330, 0)
    # 15:40 to 17:10 are ninety minutes, sixty of them pause.
    holed = minutes(TUESDAY, "14:30", "15:40") + minutes(TUESDAY, "17:10", "21:00")
    assert measured(holed, partitions=partitions) == Quality(330, 300, 1_800)
    assert measured([], partitions=partitions) == Quality(330, 0, 19_800)


@pytest.mark.parametrize("spec", ["1-DAY-LAST", "1-WEEK-LAST"])
def test_one_bar_is_expected_of_a_day_and_longer(spec: str) -> None:
    partitions = example_partitions(spec)
    assert measured([ns("2024-01-12 00:00")], EARLY_FRIDAY, partitions) == Quality(1, 1, 0)
    assert measured([], EARLY_FRIDAY, partitions) == Quality(1, 0, 0)


@given(present=st.sets(st.integers(0, 13 * 60 - 1)), with_pause=st.booleans())
def test_the_absence_is_the_longest_run_of_missing_minutes(present: set[int], with_pause: bool) -> None:
    """Counted minute by minute from 09:00 to 22:00: regular hours are minutes 330 to 719, the pause 420 to 479."""
    partitions = example_partitions(pause=PAUSE) if with_pause else example_partitions()
    start = ns("2024-01-09 09:00")
    longest = run = 0
    for minute in range(330, 720):
        if minute in present:
            run = 0
        elif not (with_pause and 420 <= minute < 480):
            run += 1
            longest = max(longest, run)
    quality = measured([start + minute * 60 * 10**9 for minute in sorted(present)], partitions=partitions)
    assert quality == Quality(330 if with_pause else 390, len(present & set(range(330, 720))), longest * 60)


@pytest.mark.parametrize(
    ("bar_length_s", "usual_s", "allowed_s"),
    [(60, 0.0, 1_800), (900, 0.0, 1_800), (3_600, 0.0, 7_200), (60, 59.0, 1_800), (60, 61.0, 1_830), (60, 600.0, 18_000)],
)
def test_what_counts_as_a_hole_depends_on_the_bar_length_and_on_the_series_own_habit(bar_length_s: int, usual_s: float, allowed_s: float) -> None:
    assert HoleRule().longest_allowed_s(bar_length_s, usual_s) == allowed_s


def test_a_file_is_judged_complete_until_a_hole_is_longer_than_allowed() -> None:
    some = bars(minutes(TUESDAY, "14:30", "15:00"))
    assert judge(some, Quality(390, 390, 1_800), 1_800) is Coverage.COMPLETE
    assert judge(some, Quality(390, 389, 1_801), 1_800) is Coverage.PARTIAL


def test_a_file_without_bars_says_nothing_of_a_session() -> None:
    assert judge(bars([]), Quality(390, 0, 0), 1e9) is Coverage.MISSING
    assert Coverage.MISSING.is_gap
    assert Coverage.PARTIAL.is_gap
    assert not Coverage.COMPLETE.is_gap
    assert not Coverage.EMPTY.is_gap


def table(*rows: tuple[int, int, int, int, int]) -> BarTable:
    opens, high, low, close, volume = np.array(rows, dtype=np.int64).T
    ts = np.arange(len(rows), dtype=np.int64) * 60
    return BarTable(opens, high, low, close, volume, ts, ts + 60, price_precision=2, size_precision=0)


def test_each_rule_finds_its_rows() -> None:
    broken = broken_rows(
        table(
            (10, 12, 9, 11, 0),  # good
            (10, 10, 10, 10, 5),  # good: one price
            (10, 9, 12, 10, 5),  # low above high, open and close outside both
            (13, 12, 9, 11, 5),  # open above high
            (10, 12, 9, 13, 5),  # close above high
            (8, 12, 9, 11, 5),  # open below low
            (10, 12, 9, 8, 5),  # close below low
            (10, 12, 9, 11, -1),  # volume below zero
            (-3763, -1_000, -4_032, -3_763, 5),  # good: crude oil on 2020-04-20
        )
    )
    assert {rule: np.flatnonzero(mask).tolist() for rule, mask in broken.items()} == {
        "low > high": [2],
        "open or close above high": [2, 3, 4],
        "open or close below low": [2, 5, 6],
        "negative volume": [7],
        "closes before it opens": [],
    }


def test_a_bar_must_close_after_it_opens() -> None:
    good = table((10, 12, 9, 11, 0), (10, 12, 9, 11, 0), (10, 12, 9, 11, 0))
    bad = BarTable(good.open, good.high, good.low, good.close, good.volume, good.ts_event, good.ts_event + np.array([60, 0, -1]), 2, 0)
    assert broken_rows(bad)["closes before it opens"].tolist() == [False, True, True]
