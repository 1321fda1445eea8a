from __future__ import annotations

import datetime as dt

import pytest

from market_data_pipeline.calendars import calendar_named, partitions_of
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline_tests.answers import globex
from market_data_pipeline_tests.instants import CHICAGO, dates, ns

FUTURES = ("CME", "CBOT", "NYMEX", "COMEX")


@pytest.mark.parametrize(("name", "date", "clock"), [(name, date, clock) for name, closes in globex.CLOSES.items() for date, clock in closes.items()])
def test_regular_hours_end_when_the_exchange_said(name: str, date: str, clock: str) -> None:
    calendar = calendar_named(name)
    i = calendar.index_of(dt.date.fromisoformat(date))
    assert i is not None
    assert calendar.close_ns[i] == ns(f"{date} {clock}", CHICAGO)
    assert calendar.open_ns[i] == ns(f"{dt.date.fromisoformat(date) - dt.timedelta(1)} 17:00", CHICAGO)


@pytest.mark.parametrize(("name", "date"), [(name, date) for name, closed in globex.CLOSED.items() for date in dates(closed)])
def test_a_full_holiday_is_no_session(name: str, date: dt.date) -> None:
    assert calendar_named(name).index_of(date) is None


@pytest.mark.parametrize("name", FUTURES)
def test_the_monday_session_opens_on_sunday(name: str) -> None:
    """Sunday 2024-03-10 17:00 was the first evening of daylight time: 22:00 UTC, after 23:00 the week before."""
    calendar = calendar_named(name)
    before, after = calendar.index_of(dt.date(2024, 3, 4)), calendar.index_of(dt.date(2024, 3, 11))
    assert before is not None
    assert after is not None
    assert calendar.open_ns[before] == ns("2024-03-03 23:00")
    assert calendar.open_ns[after] == ns("2024-03-10 22:00")


def test_currency_futures_that_trade_past_the_halt_of_index_futures_stay_in_the_holiday_session() -> None:
    """On 2024-07-04 index futures stopped at 12:00 and currencies at 16:00 (DTN); all reopened at 17:00 for the next session."""
    partitions = partitions_of(Series.parse("6EU4.CME-1-HOUR-LAST-EXTERNAL"))
    assert partitions.window(dt.date(2024, 7, 4)) == (ns("2024-07-03 16:00", CHICAGO), ns("2024-07-04 16:00", CHICAGO))
    assert partitions.window(dt.date(2024, 7, 5)) == (ns("2024-07-04 16:00", CHICAGO), ns("2024-07-05 16:00", CHICAGO))


@pytest.mark.parametrize("name", FUTURES)
def test_until_september_2015_the_quarter_hour_after_16_00_belongs_to_the_session_before(name: str) -> None:
    """From Monday 2015-09-21 Globex closed at 16:00 instead of 16:15 (NinjaTrader advisory 25, 2015-09-15)."""
    calendar = calendar_named(name)
    old, new = calendar.index_of(dt.date(2015, 9, 18)), calendar.index_of(dt.date(2015, 9, 21))
    assert old is not None
    assert new == old + 1
    assert calendar.end_ns[old] >= ns("2015-09-18 16:15", CHICAGO)
    assert calendar.end_ns[new] == ns("2015-09-21 16:00", CHICAGO)


def test_cboe_keeps_stock_holidays_and_closes_options_15_minutes_after_stocks() -> None:
    """NYSE notices: "1:15 p.m. for eligible options" on early closes. Global hours from 19:15 Chicago, curb session to 16:00 (Cboe)."""
    calendar, stocks = calendar_named("CBOE"), calendar_named("NYSE")
    assert calendar.days.tolist() == stocks.days.tolist()
    for date, close in (("2024-12-24", "12:15"), ("2024-07-03", "12:15"), ("2024-07-05", "15:15"), ("2024-12-26", "15:15")):
        i = calendar.index_of(dt.date.fromisoformat(date))
        assert i is not None
        assert calendar.open_ns[i] == ns(f"{date} 08:30", CHICAGO)
        assert calendar.close_ns[i] == ns(f"{date} {close}", CHICAGO)
        assert calendar.pre_ns[i] == ns(f"{dt.date.fromisoformat(date) - dt.timedelta(1)} 19:15", CHICAGO)
        assert calendar.end_ns[i] == ns(f"{date} 16:00", CHICAGO)
