"""When bars begin: sessions, holidays, early closes, changes of clocks, pauses. Hours are those that the exchanges publish."""

from __future__ import annotations

import datetime as dt

import pytest

from market_data_pipeline.gateway_simulator.market import ContractQuery, Market
from market_data_pipeline_tests.answers.nyse import HOLIDAYS
from market_data_pipeline_tests.gateway_simulator.market.asking import AAPL, BTC, EURUSD, clocks, request, rows, stamps
from market_data_pipeline_tests.instants import CHICAGO, NEW_YORK, ns

WINTER_FUTURE = ContractQuery(local_symbol="ESH5", sec_type="FUT", exchange="CME")


def test_a_month_of_minutes_has_every_minute_of_its_sessions(market: Market) -> None:
    """January 2024 had 21 sessions of 390 minutes (NYSE holiday calendar 2024)."""
    assert len(rows(market, request(AAPL, "1 min", "1 M", "20240131-21:00:00"))) == 21 * 390


def test_no_day_bar_stands_on_a_holiday_or_a_weekend(market: Market) -> None:
    found = {row.date for row in rows(market, request(AAPL, "1 day", "2 Y", "20241231 20:00:00 US/Eastern"))}
    assert found & {f"{year}{date.replace('-', '')}" for year in (2023, 2024) for date in HOLIDAYS[year].split()} == set()
    assert len(found) == 250 + 252
    assert all(dt.date.fromisoformat(date).weekday() < 5 for date in found)


@pytest.mark.parametrize(("rth", "first", "last"), [(True, "09:30:00", "12:59:00"), (False, "04:00:00", "16:59:00")])
def test_an_early_close_ends_the_day(market: Market, first: str, last: str, *, rth: bool) -> None:
    """The Friday after Thanksgiving 2024: 13:00, late trading until 17:00."""
    found = clocks(market, request(AAPL, "1 min", "1 D", "20241130 12:00:00 US/Eastern", what="MIDPOINT", rth=rth, format_date=1))
    assert (found[0], found[-1]) == (first, last)


def test_a_change_of_clocks_moves_the_open_by_an_hour(market: Market) -> None:
    """New York changed its clocks on 2024-03-10 and 2024-11-03."""
    for before, after in (("2024-03-08", "2024-03-11"), ("2024-11-01", "2024-11-04")):
        end = after.replace("-", "") + " 16:00:00 US/Eastern"
        found = stamps(market, request(AAPL, "1 min", "2 D", end))
        assert [found[0], found[390]] == [ns(f"{before} 09:30", NEW_YORK), ns(f"{after} 09:30", NEW_YORK)]
        texts = clocks(market, request(AAPL, "1 min", "2 D", end, format_date=1))
        assert texts[:390] == texts[390:]


def test_bars_of_an_hour_begin_at_the_open_and_then_at_full_hours(market: Market) -> None:
    end = "20240612 20:00:00 US/Eastern"
    regular = clocks(market, request(AAPL, "1 hour", "1 D", end, format_date=1))
    assert regular == ["09:30:00", "10:00:00", "11:00:00", "12:00:00", "13:00:00", "14:00:00", "15:00:00"]
    assert clocks(market, request(AAPL, "1 hour", "1 D", end, rth=False, format_date=1)) == [f"{hour:02}:00:00" for hour in range(4, 20)]
    assert clocks(market, request(AAPL, "4 hours", "1 D", end, format_date=1)) == ["09:30:00", "12:00:00"]
    assert clocks(market, request(AAPL, "20 mins", "1 D", end, format_date=1))[:3] == ["09:30:00", "09:40:00", "10:00:00"]


def test_a_week_of_currencies_runs_from_sunday_to_friday_with_a_pause_each_day(market: Market) -> None:
    """IDEALPRO: Sunday 17:15 to Friday 17:00 New York, a quarter of an hour of pause every day: 95 bars of 15 minutes a session."""
    found = stamps(market, request(EURUSD, "15 mins", "5 D", "20240614 17:00:00 US/Eastern", what="MIDPOINT", rth=False))
    assert (found[0], found[-1]) == (ns("2024-06-09 17:15", NEW_YORK), ns("2024-06-14 16:45", NEW_YORK))
    assert len(found) == 5 * 95
    assert not {ns(f"2024-06-{day} 17:00", NEW_YORK) for day in (10, 11, 12, 13, 14)} & set(found)


def test_a_session_of_currencies_begins_with_a_short_bar_and_is_labelled_with_the_day_on_which_it_ends(market: Market) -> None:
    hours = clocks(market, request(EURUSD, "1 hour", "1 D", "20240610 17:00:00 US/Eastern", format_date=1, what="MIDPOINT", rth=False))
    assert hours[:3] == ["17:15:00", "18:00:00", "19:00:00"]
    days = rows(market, request(EURUSD, "1 day", "2 D", "20240610 17:00:00 US/Eastern", what="MIDPOINT", rth=False))
    assert [row.date for row in days] == ["20240607", "20240610"]


def test_coins_trade_on_weekends(market: Market) -> None:
    days = rows(market, request(BTC, "1 day", "4 D", "20240617-00:00:00", what="AGGTRADES", rth=False))
    assert [row.date for row in days] == ["20240613", "20240614", "20240615", "20240616"]
    assert len(rows(market, request(BTC, "1 min", "1 D", "20240616-00:00:00", what="MIDPOINT", rth=False))) == 24 * 60


def test_futures_trade_from_the_evening_before_and_stop_early_on_a_holiday(market: Market) -> None:
    """CME Globex equity index futures: 17:00 to 16:00 Chicago; on Thanksgiving 2024 to 12:00."""
    whole = stamps(
        market, request(WINTER_FUTURE, "1 hour", "1 D", "20241126 16:00:00 US/Central", what="MIDPOINT", rth=False), ns("2025-02-03 12:00")
    )
    assert (whole[0], whole[-1], len(whole)) == (ns("2024-11-25 17:00", CHICAGO), ns("2024-11-26 15:00", CHICAGO), 23)
    holiday = stamps(
        market, request(WINTER_FUTURE, "1 hour", "1 D", "20241128 16:00:00 US/Central", what="MIDPOINT", rth=False), ns("2025-02-03 12:00")
    )
    assert (holiday[0], holiday[-1]) == (ns("2024-11-27 17:00", CHICAGO), ns("2024-11-28 11:00", CHICAGO))


def test_an_open_that_is_no_quarter_of_an_hour_begins_its_own_bars(market: Market) -> None:
    """On 2001-09-17 New York's stocks opened at 9:33 after two minutes of silence (NYSE)."""
    found = clocks(market, request(AAPL, "15 mins", "1 D", "20010917 16:00:00 US/Eastern", format_date=1))
    assert found[:3] == ["09:33:00", "09:45:00", "10:00:00"]
    assert len(rows(market, request(AAPL, "1 min", "1 D", "20010917 16:00:00 US/Eastern"))) == 387
