"""Windows of real calendars: they tile time, and each bar belongs to the session in which it traded."""

from __future__ import annotations

import csv
import datetime as dt
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market_data_pipeline.calendars import CALENDAR_NAMES, calendar_named, partitions_of
from market_data_pipeline.domain.bar_types import BarSpec, Series
from market_data_pipeline.domain.errors import InvalidDate, UnknownVenue
from market_data_pipeline.domain.sessions import CALENDAR_ARRAYS, Partitions, date_of
from market_data_pipeline_tests.instants import NEW_YORK, days, ns

MINUTES = Series.parse("AAPL.NASDAQ-1-MINUTE-LAST-EXTERNAL")
END_OF_DAY = 86_400 * 10**9 - 1


@pytest.mark.parametrize("spec", ["1-MINUTE-LAST", "1-HOUR-LAST", "1-DAY-LAST", "1-WEEK-LAST", "1-MONTH-LAST"])
@pytest.mark.parametrize("name", CALENDAR_NAMES)
def test_windows_tile_time(name: str, spec: str) -> None:
    partitions = Partitions.of(calendar_named(name), BarSpec.parse(spec))
    assert len(partitions) > 400
    assert np.array_equal(partitions.starts[1:], partitions.ends[:-1])
    assert np.all(partitions.ends > partitions.starts)
    assert np.all(np.diff(partitions.days) > 0)


@pytest.mark.parametrize("name", CALENDAR_NAMES)
def test_hours_of_a_session_are_in_order_and_after_those_of_the_last(name: str) -> None:
    calendar = calendar_named(name)
    assert np.all(calendar.pre_ns <= calendar.open_ns)
    assert np.all(calendar.open_ns < calendar.close_ns)
    assert np.all(calendar.close_ns <= calendar.end_ns)
    assert np.all(calendar.end_ns[:-1] <= calendar.pre_ns[1:])
    assert np.all(calendar.break_start_ns <= calendar.break_end_ns)
    assert calendar.first_date <= dt.date(1990, 1, 3)
    assert calendar.last_date.year == dt.datetime.now(dt.UTC).year + 2


@pytest.mark.parametrize("name", CALENDAR_NAMES)
def test_each_day_is_a_session_or_closed_never_both(name: str) -> None:
    calendar = calendar_named(name)
    start, end = dt.date(2023, 12, 20), dt.date(2025, 1, 10)
    sessions = [date_of(day) for day in calendar.days_between(start, end)]
    assert sorted(sessions + calendar.closed_days(start, end)) == list(days(start, end))


def test_pre_market_regular_and_post_market_belong_to_their_session() -> None:
    partitions = partitions_of(MINUTES)
    assert partitions.window(dt.date(2024, 1, 8)) == (ns("2024-01-05 20:00", NEW_YORK), ns("2024-01-08 20:00", NEW_YORK))
    closes = [f"2024-01-08 {clock}" for clock in ("04:01", "09:31", "16:00", "19:59", "20:00")]
    positions = partitions.index_of_close(np.array([ns(close, NEW_YORK) for close in closes]))
    assert {date_of(partitions.days[i]) for i in positions} == {dt.date(2024, 1, 8)}


def test_the_close_at_the_very_end_belongs_to_the_session_and_the_next_nanosecond_to_the_next() -> None:
    partitions = partitions_of(MINUTES)
    end = ns("2024-01-05 20:00", NEW_YORK)
    friday, monday = (date_of(partitions.days[i]) for i in partitions.index_of_close(np.array([end, end + 1])))
    assert (friday, monday) == (dt.date(2024, 1, 5), dt.date(2024, 1, 8))


def test_what_trades_in_a_weekend_or_on_a_holiday_falls_into_the_next_window() -> None:
    """Martin Luther King's Day 2024 was Monday, 15 January."""
    partitions = partitions_of(MINUTES)
    closes = np.array([ns("2024-01-13 12:00"), ns("2024-01-15 12:00")])
    assert [date_of(partitions.days[i]) for i in partitions.index_of_close(closes)] == [dt.date(2024, 1, 16)] * 2


def test_the_windows_of_the_weeks_in_which_clocks_change_are_an_hour_shorter_and_longer() -> None:
    partitions = partitions_of(MINUTES)
    hour = 3_600 * 10**9
    for monday, hours in ((dt.date(2024, 3, 4), 72), (dt.date(2024, 3, 11), 71), (dt.date(2024, 11, 4), 73)):
        start, end = partitions.window(monday)
        assert end - start == hours * hour


def test_day_bars_lie_in_utc_dates() -> None:
    """A day bar closes at 23:59:59.999999999 UTC of its date, whatever the venue's hours."""
    partitions = partitions_of(Series.parse("AAPL.NASDAQ-1-DAY-LAST-EXTERNAL"))
    assert partitions.window(dt.date(2024, 1, 8)) == (ns("2024-01-05 00:00") + END_OF_DAY, ns("2024-01-08 00:00") + END_OF_DAY)
    position = int(partitions.index_of_close(np.array([ns("2024-01-05 00:00") + END_OF_DAY]))[0])
    assert date_of(partitions.days[position]) == dt.date(2024, 1, 5)


def test_week_bars_are_labelled_with_the_last_session_of_the_week() -> None:
    """Good Friday 2024 was 29 March, so that week ended on Thursday."""
    partitions = partitions_of(Series.parse("AAPL.NASDAQ-1-WEEK-LAST-EXTERNAL"))
    found = partitions.dates_between(dt.date(2024, 3, 11), dt.date(2024, 4, 7))
    assert found == [dt.date(2024, 3, 15), dt.date(2024, 3, 22), dt.date(2024, 3, 28), dt.date(2024, 4, 5)]
    assert partitions.window(dt.date(2024, 3, 28)) == (ns("2024-03-22 00:00") + END_OF_DAY, ns("2024-03-28 00:00") + END_OF_DAY)


def test_month_bars_are_labelled_with_the_last_session_of_the_month() -> None:
    partitions = partitions_of(Series.parse("AAPL.NASDAQ-1-MONTH-LAST-EXTERNAL"))
    found = partitions.dates_between(dt.date(2024, 1, 1), dt.date(2024, 6, 30))
    assert [str(date) for date in found] == ["2024-01-31", "2024-02-29", "2024-03-28", "2024-04-30", "2024-05-31", "2024-06-28"]


def test_a_week_that_is_asked_by_another_day_names_the_weeks_around_it() -> None:
    partitions = partitions_of(Series.parse("AAPL.NASDAQ-1-WEEK-LAST-EXTERNAL"))
    with pytest.raises(InvalidDate, match=r"2024-03-29 is no 1-WEEK-LAST session of NYSE. Sessions around it: 2024-03-28 and 2024-04-05\."):
        partitions.window(dt.date(2024, 3, 29))


def test_dates_outside_the_calendar_are_refused_with_what_is_known() -> None:
    partitions = partitions_of(MINUTES)
    for outside in (dt.date(1985, 1, 2), dt.date(2099, 1, 2)):
        with pytest.raises(InvalidDate, match=r"Known are 1990-01-03 to 20\d\d-12-\d\d\."):
            partitions.window(outside)
        assert partitions.dates_between(outside, outside) == []
    positions = partitions.index_of_close(np.array([ns("1985-01-02 18:00"), ns("2099-01-02 18:00")]))
    assert positions.tolist() == [-1, len(partitions)]


def test_series_of_one_calendar_and_spec_share_their_partitions() -> None:
    assert partitions_of(MINUTES) is partitions_of(Series.parse("MSFT.ARCA-1-MINUTE-LAST-EXTERNAL"))
    with pytest.raises(UnknownVenue):
        partitions_of(Series.parse("VOD.LSE-1-MINUTE-LAST-EXTERNAL"))


def test_shared_arrays_cannot_be_changed() -> None:
    for name in CALENDAR_NAMES:
        for array in CALENDAR_ARRAYS:
            assert not getattr(calendar_named(name), array).flags.writeable


@given(closes=st.lists(st.integers(ns("1989-12-01 00:00"), ns("2029-06-01 00:00")), min_size=1, max_size=20), name=st.sampled_from(CALENDAR_NAMES))
def test_each_close_belongs_to_the_window_that_holds_it(closes: list[int], name: str) -> None:
    partitions = Partitions.of(calendar_named(name), BarSpec.parse("1-MINUTE-LAST"))
    for close, i in zip(closes, partitions.index_of_close(np.array(closes, dtype=np.int64)).tolist(), strict=True):
        if i == -1:
            assert close <= partitions.starts[0]
        elif i == len(partitions):
            assert close > partitions.ends[-1]
        else:
            assert partitions.starts[i] < close <= partitions.ends[i]


@pytest.mark.real_data
def test_real_extended_hours_lie_between_pre_and_post_market(market_data: Path) -> None:
    """AAPL from Monday 2018-02-05 to Thursday: minutes stamped by their open in New York time, 04:00 to 20:00."""
    with (market_data / "vendor-csv" / "AAPL_test_2018.csv").open(newline="") as rows:
        stamps = [row["timestamp"] for row in csv.DictReader(rows)]
    opens = np.array([ns(stamp, NEW_YORK) for stamp in stamps])
    partitions = partitions_of(MINUTES)
    positions = partitions.index_of_close(opens + 60 * 10**9)
    assert len(stamps) == 3_235
    assert {str(date_of(partitions.days[i])) for i in positions} == {"2018-02-05", "2018-02-06", "2018-02-07", "2018-02-08"}
    assert [str(date_of(partitions.days[i])) for i in positions] == [stamp[:10] for stamp in stamps]
    sessions = partitions.calendar_index[positions]
    assert np.all(opens >= partitions.calendar.pre_ns[sessions])
    assert np.all(opens < partitions.calendar.end_ns[sessions])
