"""Head time stamps, and sessions as SCHEDULE tells them."""

from __future__ import annotations

import pytest

from market_data_pipeline.gateway_simulator.market import ContractQuery, Market, Refusal
from market_data_pipeline_tests.gateway_simulator.market.asking import AAPL, EURUSD, LATER, request, rows
from market_data_pipeline_tests.instants import NEW_YORK, ns

ROBLOX = ContractQuery(symbol="RBLX", sec_type="STK", exchange="SMART", currency="USD")


def test_the_head_is_the_open_of_the_first_session(market: Market) -> None:
    """Roblox was listed on Wednesday 2021-03-10, in winter time."""
    assert market.head(ROBLOX, "TRADES", True, 1, LATER) == "20210310-14:30:00"
    assert market.head(ROBLOX, "TRADES", False, 2, LATER) == str(ns("2021-03-10 04:00", NEW_YORK) // 10**9)


def test_the_first_bar_stands_at_the_head(market: Market) -> None:
    head = market.head(ROBLOX, "TRADES", True, 2, LATER)
    first = rows(market, request(ROBLOX, "1 min", "1 M", "20210320-00:00:00"))[0]
    assert first.date == head


def test_quotes_are_kept_since_another_date_than_trades(market: Market) -> None:
    """Contracts.yaml: Apple's bids and asks since Friday 2004-01-23. Bars go back to 1990, where the calendars begin."""
    assert market.head(AAPL, "BID", True, 1, LATER) == "20040123-14:30:00"
    assert market.head(AAPL, "TRADES", True, 1, LATER) == "19900103-14:30:00"


def test_a_head_that_is_never_there_is_refused(market: Market) -> None:
    for query, what, now, code in ((EURUSD, "TRADES", LATER, 162), (ROBLOX, "TRADES", ns("2021-03-01 12:00"), 162), (AAPL, "PRICE", LATER, 321)):
        with pytest.raises(Refusal) as refused:
            market.head(query, what, True, 1, now)
        assert refused.value.code == code


def test_a_schedule_tells_sessions_on_local_clocks(market: Market) -> None:
    """Thanksgiving 2024 was 11-28; the day after closed at 13:00."""
    answer = market.schedule(request(AAPL, "1 day", "3 D", "20241129 20:00:00 US/Eastern", what="SCHEDULE"), LATER)
    assert answer.time_zone == "US/Eastern"
    assert answer.sessions == [
        ("20241126-09:30:00", "20241126-16:00:00", "20241126"),
        ("20241127-09:30:00", "20241127-16:00:00", "20241127"),
        ("20241129-09:30:00", "20241129-13:00:00", "20241129"),
    ]
    assert (answer.start, answer.end) == ("20241126-09:30:00", "20241129-13:00:00")


def test_a_schedule_of_currencies_begins_on_the_evening_before(market: Market) -> None:
    answer = market.schedule(request(EURUSD, "1 day", "1 D", "20240610 12:00:00 US/Eastern", what="SCHEDULE", rth=False), LATER)
    assert answer.sessions == [("20240609-17:15:00", "20240610-17:00:00", "20240610")]


def test_a_schedule_is_told_in_days_only(market: Market) -> None:
    with pytest.raises(Refusal) as refused:
        market.schedule(request(AAPL, "1 min", "1 D", what="SCHEDULE"), LATER)
    assert refused.value.code == 321
