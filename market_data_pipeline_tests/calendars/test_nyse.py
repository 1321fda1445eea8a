from __future__ import annotations

import datetime as dt

import pytest

from market_data_pipeline.calendars import calendar_named
from market_data_pipeline.domain.errors import InvalidDate
from market_data_pipeline.domain.sessions import SessionCalendar, date_of
from market_data_pipeline_tests.answers import nyse
from market_data_pipeline_tests.instants import NEW_YORK, dates, ns, weekdays


@pytest.fixture(scope="module")
def calendar() -> SessionCalendar:
    return calendar_named("NYSE")


def sessions_of(calendar: SessionCalendar, year: int) -> set[dt.date]:
    return {date_of(day) for day in calendar.days_between(dt.date(year, 1, 1), dt.date(year, 12, 31))}


def hours(calendar: SessionCalendar, date: str) -> tuple[int, int, int, int]:
    i = calendar.index_of(dt.date.fromisoformat(date))
    assert i is not None
    return int(calendar.pre_ns[i]), int(calendar.open_ns[i]), int(calendar.close_ns[i]), int(calendar.end_ns[i])


@pytest.mark.parametrize("year", nyse.HOLIDAYS)
def test_sessions_are_all_weekdays_but_the_published_holidays(calendar: SessionCalendar, year: int) -> None:
    expected = weekdays(dt.date(year, 1, 1), dt.date(year, 12, 31)) - set(dates(nyse.HOLIDAYS[year], year))
    assert sessions_of(calendar, year) == expected
    assert len(expected) == nyse.SESSIONS[year]


@pytest.mark.parametrize("year", nyse.EARLY_CLOSES)
def test_early_closes_are_the_published_ones_and_shorten_post_market(calendar: SessionCalendar, year: int) -> None:
    early = set(dates(nyse.EARLY_CLOSES[year], year))
    for date in sessions_of(calendar, year):
        close, end = ("13:00", "17:00") if date in early else ("16:00", "20:00")
        expected = tuple(ns(f"{date} {clock}", NEW_YORK) for clock in ("04:00", "09:30", close, end))
        assert hours(calendar, str(date)) == expected, date


@pytest.mark.parametrize("date", dates(nyse.ONE_OFF_CLOSURES))
def test_a_one_off_closure_is_no_session(calendar: SessionCalendar, date: dt.date) -> None:
    assert calendar.index_of(date) is None
    assert calendar.closed_days(date, date) == [date]


def test_january_2024_had_21_sessions_and_ten_closed_days(calendar: SessionCalendar) -> None:
    """New Year's Day, Martin Luther King's Day and four weekends."""
    start, end = dt.date(2024, 1, 1), dt.date(2024, 1, 31)
    assert len(calendar.days_between(start, end)) == 21
    expected = [dt.date(2024, 1, day) for day in (1, 6, 7, 13, 14, 15, 20, 21, 27, 28)]
    assert calendar.closed_days(start, end) == expected


def test_the_open_moves_an_hour_in_utc_when_new_york_changes_its_clocks(calendar: SessionCalendar) -> None:
    """Clocks went forward on 2024-03-10 and back on 2024-11-03."""
    assert hours(calendar, "2024-03-08")[1] == ns("2024-03-08 14:30")
    assert hours(calendar, "2024-03-11")[1] == ns("2024-03-11 13:30")
    assert hours(calendar, "2024-11-01")[1] == ns("2024-11-01 13:30")
    assert hours(calendar, "2024-11-04")[1] == ns("2024-11-04 14:30")


def test_a_day_on_which_the_floor_stopped_early_keeps_its_post_market(calendar: SessionCalendar) -> None:
    """NYSE's systems failed at 15:56 on 2005-06-01; other venues traded on."""
    assert hours(calendar, "2005-06-01")[2:] == (ns("2005-06-01 15:56", NEW_YORK), ns("2005-06-01 20:00", NEW_YORK))


def test_trading_resumed_on_2001_09_17_after_a_silence_and_had_a_pre_market(calendar: SessionCalendar) -> None:
    """Two minutes of silence, an anthem: the floor opened at 09:33."""
    assert hours(calendar, "2001-09-17")[:2] == (ns("2001-09-17 04:00", NEW_YORK), ns("2001-09-17 09:33", NEW_YORK))


def test_days_beyond_the_calendar_are_not_called_closed(calendar: SessionCalendar) -> None:
    with pytest.raises(InvalidDate, match="NYSE covers 1990 to"):
        calendar.closed_days(dt.date(1989, 12, 25), dt.date(1990, 1, 5))
    with pytest.raises(InvalidDate, match="not all of"):
        calendar.closed_days(dt.date(2024, 1, 1), dt.date(2099, 1, 1))
