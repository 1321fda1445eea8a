"""Sessions whose bars are gone for a while."""

from __future__ import annotations

import datetime as dt

import pytest

from market_data_pipeline.gateway_simulator.market import HistoryRequest, Lost, Market, Refusal
from market_data_pipeline_tests.gateway_simulator.market.asking import AAPL, EURUSD, LATER, request
from market_data_pipeline_tests.instants import NEW_YORK, ns

WEDNESDAY = dt.date(2024, 6, 12)


def dates(market: Market, question: HistoryRequest, lost: tuple[dt.date, ...] = ()) -> list[str]:
    return [row[0] for row in market.history(question, LATER, Lost(lost)).rows]


def test_all_bars_of_a_lost_session_are_gone_and_no_others(market: Market) -> None:
    """Three days of 390 minutes."""
    question = request(AAPL, "1 min", "3 D", "20240613-20:00:00")
    whole, left = dates(market, question), dates(market, question, (WEDNESDAY,))
    assert (len(whole), len(left)) == (3 * 390, 2 * 390)
    assert left == whole[:390] + whole[780:]


def test_a_request_for_a_lost_session_alone_finds_no_data(market: Market) -> None:
    with pytest.raises(Refusal) as refused:
        market.history(request(AAPL, "1 min", "1 D", "20240612-20:00:00"), LATER, Lost((WEDNESDAY,)))
    assert refused.value.code == 162
    assert "no data" in refused.value.text


def test_a_session_of_currencies_begins_on_the_evening_before(market: Market) -> None:
    """IDEALPRO trades from 17:15 to 17:00 New York."""
    left = dates(market, request(EURUSD, "15 mins", "3 D", "20240613-21:00:00", what="MIDPOINT", rth=False), (WEDNESDAY,))
    missing = [int(stamp) * 10**9 for stamp in left if ns("2024-06-11 17:15", NEW_YORK) <= int(stamp) * 10**9 < ns("2024-06-12 17:00", NEW_YORK)]
    assert missing == []
    assert str(ns("2024-06-11 16:45", NEW_YORK) // 10**9) in left
    assert str(ns("2024-06-12 17:15", NEW_YORK) // 10**9) in left


def test_a_day_bar_is_lost_with_its_date(market: Market) -> None:
    assert dates(market, request(AAPL, "1 day", "3 D", "20240613-20:00:00"), (WEDNESDAY,)) == ["20240611", "20240613"]
