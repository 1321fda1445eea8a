from __future__ import annotations

import datetime as dt
from bisect import bisect_left
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market_data_pipeline.domain.errors import InvalidDate
from market_data_pipeline.domain.sessions import SessionRange, date_of, day_number, parse_date, parse_date_range, ranges_of
from market_data_pipeline_tests.domain.example_calendars import example_calendar, example_partitions
from market_data_pipeline_tests.instants import ns

DAY_NS = 86_400 * 10**9


@given(st.dates())
def test_day_numbers_count_from_1970(date: dt.date) -> None:
    assert day_number(date) == (date - dt.date(1970, 1, 1)).days
    assert date_of(day_number(date)) == date
    assert date_of(np.int64(day_number(date))) == date


@pytest.mark.parametrize("text", ["2024-01-31", " 2024-02-29\n"])
def test_a_date_is_year_month_day(text: str) -> None:
    assert parse_date(text).isoformat() == text.strip()


@pytest.mark.parametrize(
    "text", ["", "2023-02-29", "2024-13-01", "2024-1-5", "20240105", "2024-W01-5", "05.01.2024", "2024-01-05T00:00", "yesterday"]
)
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(InvalidDate, match=r"is not a date\. Write YYYY-MM-DD, for example 2024-01-31\."):
        parse_date(text)


def test_a_range_includes_both_ends_and_never_runs_backwards() -> None:
    assert parse_date_range("2024-01-05", "2024-01-05") == (dt.date(2024, 1, 5), dt.date(2024, 1, 5))
    with pytest.raises(InvalidDate, match="runs backwards: 2024-01-06 to 2024-01-05"):
        parse_date_range("2024-01-06", "2024-01-05")


def test_the_first_session_has_no_window_because_nothing_ends_before_it() -> None:
    calendar, partitions = example_calendar(), example_partitions()
    assert calendar.first_date == date_of(partitions.days[0]) == dt.date(2024, 1, 5)
    assert calendar.last_date == dt.date(2024, 1, 19)
    assert partitions.index_of(dt.date(2024, 1, 4)) is None
    assert calendar.days_between(dt.date(2024, 1, 1), dt.date(2024, 1, 5)).tolist() == [day_number(dt.date(2024, 1, 5))]
    assert calendar.days_between(dt.date(2023, 1, 1), dt.date(2023, 12, 31)).tolist() == []


def test_windows_run_from_end_to_end() -> None:
    partitions = example_partitions()
    assert partitions.window(dt.date(2024, 1, 9)) == (ns("2024-01-08 22:00"), ns("2024-01-09 22:00"))
    # Over the weekend, and over the weekend with a holiday.
    assert partitions.window(dt.date(2024, 1, 8)) == (ns("2024-01-05 22:00"), ns("2024-01-08 22:00"))
    assert partitions.window(dt.date(2024, 1, 16)) == (ns("2024-01-12 22:00"), ns("2024-01-16 22:00"))
    assert np.array_equal(partitions.starts[1:], partitions.ends[:-1])


def test_windows_of_day_bars_end_with_the_utc_date() -> None:
    partitions = example_partitions("1-DAY-LAST")
    assert partitions.window(dt.date(2024, 1, 16)) == (ns("2024-01-13 00:00") - 1, ns("2024-01-17 00:00") - 1)
    assert len(partitions) == 10


def test_week_and_month_bars_lie_under_the_last_session_of_their_period() -> None:
    """The week of the 4th comes first and has no end before it."""
    weeks = example_partitions("1-WEEK-LAST")
    assert weeks.dates_between(dt.date.min, dt.date.max) == [dt.date(2024, 1, 12), dt.date(2024, 1, 19)]
    assert weeks.window(dt.date(2024, 1, 12)) == (ns("2024-01-06 00:00") - 1, ns("2024-01-13 00:00") - 1)
    assert len(example_partitions("1-MONTH-LAST")) == 0


def test_a_date_without_a_session_is_refused_with_its_neighbours() -> None:
    with pytest.raises(InvalidDate, match=r"2024-01-15 is no 1-MINUTE-LAST session of EXAMPLE\. Sessions around it: 2024-01-12 and 2024-01-16\."):
        example_partitions().window(dt.date(2024, 1, 15))
    with pytest.raises(InvalidDate, match=r"Known are 2024-01-05 to 2024-01-19\."):
        example_partitions().window(dt.date(2024, 1, 20))
    assert example_calendar().nearest(dt.date(2024, 1, 15)) == (dt.date(2024, 1, 12), dt.date(2024, 1, 16))
    assert example_calendar().nearest(dt.date(2024, 1, 22)) == (dt.date(2024, 1, 19), None)
    assert example_calendar().nearest(dt.date(2024, 1, 1)) == (None, dt.date(2024, 1, 4))


def test_closed_days_are_weekends_and_holidays() -> None:
    closed = example_calendar().closed_days(dt.date(2024, 1, 5), dt.date(2024, 1, 17))
    assert closed == [dt.date(2024, 1, day) for day in (6, 7, 13, 14, 15)]
    assert example_calendar().closed_days(dt.date(2024, 1, 9), dt.date(2024, 1, 11)) == []
    with pytest.raises(InvalidDate, match="The calendar EXAMPLE covers 2024 to 2024, not all of 2023-12-31 to 2024-01-05"):
        example_calendar().closed_days(dt.date(2023, 12, 31), dt.date(2024, 1, 5))


def test_a_close_at_the_end_of_a_session_belongs_to_it() -> None:
    partitions = example_partitions()
    end = ns("2024-01-05 22:00")
    first_start = ns("2024-01-04 22:00")
    closes = np.array([first_start, first_start + 1, end, end + 1, ns("2024-01-19 22:00"), ns("2024-01-19 22:00") + 1])
    assert partitions.index_of_close(closes).tolist() == [-1, 0, 0, 1, 9, 10]


@given(st.lists(st.integers(ns("2024-01-03 00:00"), ns("2024-01-21 00:00")), max_size=30))
def test_a_close_is_placed_as_counting_by_hand_would(closes: list[int]) -> None:
    partitions = example_partitions()
    ends = [ns("2024-01-04 22:00"), *partitions.ends.tolist()]
    expected = [bisect_left(ends, close) - 1 for close in closes]
    assert partitions.index_of_close(np.array(closes, dtype=np.int64)).tolist() == expected


def test_a_session_is_over_at_its_very_end() -> None:
    partitions = example_partitions()
    end = ns("2024-01-05 22:00")
    assert [partitions.closed_until(now) for now in (0, end - 1, end, end + 1, ns("2030-01-01 00:00"))] == [0, 0, 1, 1, 10]


def test_positions_and_dates_between_include_both_ends() -> None:
    partitions = example_partitions()
    assert partitions.positions_between(dt.date(2024, 1, 5), dt.date(2024, 1, 8)) == range(2)
    assert partitions.dates_between(dt.date(2024, 1, 12), dt.date(2024, 1, 16)) == [dt.date(2024, 1, 12), dt.date(2024, 1, 16)]
    assert partitions.dates_between(dt.date(2024, 1, 13), dt.date(2024, 1, 15)) == []


def test_regular_hours_are_those_of_the_partition_s_session() -> None:
    for spec in ("1-MINUTE-LAST", "1-DAY-LAST", "1-WEEK-LAST"):
        partitions = example_partitions(spec)
        position = partitions.index_of(dt.date(2024, 1, 12))
        assert position is not None
        assert partitions.regular_hours(position) == (ns("2024-01-12 14:30"), ns("2024-01-12 18:00"))


def test_a_range_counts_its_sessions_in_words_of_a_person() -> None:
    first, last = dt.date(1989, 12, 29), dt.date(2026, 11, 20)
    assert str(SessionRange(first, last, 9_290)) == "1989-12-29 to 2026-11-20 (9,290 sessions)"
    assert str(SessionRange(first, first, 1)) == "1989-12-29 (1 session)"


def test_a_range_runs_over_closed_days_and_breaks_at_stored_ones() -> None:
    """Wanted: the 5th, 8th and 9th (a weekend between), then the 12th and 16th, then the 19th alone."""
    partitions = example_partitions()
    wanted = np.array([date.day in (5, 8, 9, 12, 16, 19) for date in partitions.dates_between(dt.date.min, dt.date.max)])
    ranges = list(ranges_of(partitions, wanted))
    assert ranges == [
        SessionRange(dt.date(2024, 1, 5), dt.date(2024, 1, 9), 3),
        SessionRange(dt.date(2024, 1, 12), dt.date(2024, 1, 16), 2),
        SessionRange(dt.date(2024, 1, 19), dt.date(2024, 1, 19), 1),
    ]
    assert [str(each) for each in ranges] == [
        "2024-01-05 to 2024-01-09 (3 sessions)",
        "2024-01-12 to 2024-01-16 (2 sessions)",
        "2024-01-19 (1 session)",
    ]


@given(st.integers(0, 9).flatmap(lambda offset: st.tuples(st.just(offset), st.lists(st.booleans(), max_size=10 - offset))))
def test_ranges_are_the_runs_that_one_would_count(case: tuple[int, list[bool]]) -> None:
    offset, wanted = case
    partitions = example_partitions()
    all_dates = partitions.dates_between(dt.date.min, dt.date.max)
    ranges = list(ranges_of(partitions, np.array(wanted, dtype=np.bool_), offset))
    covered = [date for each in ranges for date in all_dates if each.first <= date <= each.last]
    assert covered == [all_dates[offset + i] for i, want in enumerate(wanted) if want]
    assert sum(each.sessions for each in ranges) == len(covered)
    for earlier, later in pairwise(ranges):
        assert all_dates.index(later.first) > all_dates.index(earlier.last) + 1
