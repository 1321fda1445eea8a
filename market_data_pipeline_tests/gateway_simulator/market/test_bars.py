"""Invented bars: the same for everybody, and coarser ones are made of finer ones."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest

from market_data_pipeline.gateway_simulator.market import ContractQuery, HistoryRequest, Market
from market_data_pipeline_tests.gateway_simulator.market.asking import (
    AAPL,
    BRK_B,
    BTC,
    E_MINI,
    EURUSD,
    EVERSOURCE,
    FRIDAY_NOON,
    LATER,
    SPX,
    THIN,
    USDJPY,
    Row,
    merged,
    request,
    rows,
)

WEDNESDAY = "20240612 20:00:00 US/Eastern"
INTRADAY = [
    *("5 secs", "10 secs", "15 secs", "30 secs", "1 min", "2 mins", "3 mins", "5 mins", "10 mins", "15 mins", "20 mins", "30 mins"),
    *("1 hour", "2 hours", "3 hours", "4 hours", "8 hours"),
]
SECONDS = {"sec": 1, "min": 60, "hou": 3_600}


def length(size: str) -> int:
    count, unit = size.split(" ")
    return int(count) * SECONDS[unit[:3]]


def group(parts: list[Row], key: Callable[[Row], object]) -> list[Row]:
    return [replace(merged(list(some)), wap=Decimal(0)) for _, some in itertools.groupby(parts, key)]


def without_average(found: list[Row]) -> list[Row]:
    return [replace(row, wap=Decimal(0)) for row in found]


def seconds_of_morning(market: Market, query: ContractQuery, what: str) -> list[Row]:
    """All seconds of the regular hours of 2024-06-12 up to 11:00 New York, in requests as long as they may be."""
    found: list[Row] = []
    for clock in ("10:00", "10:30", "11:00"):
        found += rows(market, request(query, "1 secs", "1800 S", f"20240612 {clock}:00 US/Eastern", what=what))
    return found


@pytest.mark.parametrize("what", ["TRADES", "MIDPOINT", "BID", "ASK"])
@pytest.mark.parametrize("query", [AAPL, EVERSOURCE, THIN], ids=lambda query: query.symbol)
def test_minutes_are_the_exact_aggregate_of_their_seconds(market: Market, query: ContractQuery, what: str) -> None:
    minutes = rows(market, request(query, "1 min", "1 D", "20240612 11:00:00 US/Eastern", what=what))
    found = group(seconds_of_morning(market, query, what), lambda row: int(row.date) // 60)
    assert [replace(row, date=str(int(row.date) // 60 * 60)) for row in found] == without_average(minutes)


@pytest.mark.parametrize("size", INTRADAY[:4])
def test_bars_of_seconds_are_the_exact_aggregate_of_single_seconds(market: Market, size: str) -> None:
    question = request(EVERSOURCE, size, "1800 S", "20240612 10:00:00 US/Eastern")
    single = rows(market, replace(question, bar_size="1 secs"))
    found = group(single, lambda row: int(row.date) // length(size))
    assert [replace(row, date=str(int(row.date) // length(size) * length(size))) for row in found] == without_average(rows(market, question))


@pytest.mark.parametrize("size", INTRADAY[5:])
@pytest.mark.parametrize("query", [AAPL, EVERSOURCE], ids=lambda query: query.symbol)
@pytest.mark.parametrize("rth", [True, False])
def test_every_longer_bar_is_the_exact_aggregate_of_minutes(market: Market, query: ContractQuery, size: str, *, rth: bool) -> None:
    """New York is a whole number of hours behind UTC, so bars up to an hour are aligned in both; longer ones are counted from midnight there."""
    minutes = rows(market, request(query, "1 min", "3 D", WEDNESDAY, rth=rth))
    found = group(minutes, lambda row: (int(row.date) - 4 * 3_600) // length(size))
    expected = rows(market, request(query, size, "3 D", WEDNESDAY, rth=rth))
    assert [replace(row, date="") for row in found] == [replace(row, date="", wap=Decimal(0)) for row in expected]


@pytest.mark.parametrize(("query", "what", "rth"), [(AAPL, "TRADES", True), (AAPL, "TRADES", False), (AAPL, "BID", False), (THIN, "TRADES", False)])
def test_days_weeks_and_months_are_the_exact_aggregate_of_minutes(market: Market, query: ContractQuery, what: str, *, rth: bool) -> None:
    """April 2024 had 22 sessions (Good Friday was in March)."""
    end = "20240430 20:00:00 US/Eastern"
    minutes = [row for row in rows(market, request(query, "1 min", "1 M", end, what=what, rth=rth)) if int(row.date) >= 1_711_944_000]
    days = group(minutes, lambda row: (int(row.date) - 4 * 3_600) // 86_400)
    found = rows(market, request(query, "1 day", "22 D", end, what=what, rth=rth))
    assert [row.date for row in found][:2] == ["20240401", "20240402"]
    assert [replace(row, date="") for row in days] == [replace(row, date="", wap=Decimal(0)) for row in found]
    month = rows(market, request(query, "1 month", "1 M", end, what=what, rth=rth))[-1]
    assert replace(merged(found), date="20240430") == replace(month, wap=Decimal(0))
    week = rows(market, request(query, "1W", "1 M", "20240412 20:00:00 US/Eastern", what=what, rth=rth))[-1]
    assert replace(merged(found[5:10]), date="20240412") == replace(week, wap=Decimal(0))


def test_bars_of_pairs_and_coins_over_whole_sessions_are_exact_aggregates(market: Market) -> None:
    for query, what in ((EURUSD, "MIDPOINT"), (BTC, "AGGTRADES"), (E_MINI, "TRADES"), (SPX, "TRADES")):
        now = FRIDAY_NOON
        minutes = rows(market, request(query, "1 min", "1 D", what=what, rth=False), now)
        day = rows(market, request(query, "1 day", "1 D", what=what, rth=False), now)
        assert replace(merged(minutes), date="20240614") == replace(day[0], wap=Decimal(0))


def test_the_same_minute_is_the_same_bar_whatever_request_asks_for_it(market: Market) -> None:
    long = {row.date: row for row in rows(market, request(AAPL, "1 min", "1 M", WEDNESDAY, rth=False))}
    short = rows(market, request(AAPL, "1 min", "1 D", "20240605 12:00:00 US/Eastern"))
    seconds = rows(market, request(AAPL, "1 min", "300 S", "20240605 10:17:30 US/Eastern"))
    elsewhere = rows(Market.standard(seed=1), request(AAPL, "1 min", "2 D", "20240606 20:00:00 US/Eastern", rth=False))
    assert len(short) == 150
    assert len(seconds) == 6
    assert len(elsewhere) > 1_300
    assert all(long[row.date] == row for row in (*short, *seconds, *elsewhere))


def test_another_seed_is_another_market(market: Market) -> None:
    question = request(AAPL, "1 day", "5 D", WEDNESDAY)
    other = Market.standard(seed=2)
    assert rows(other, question) != rows(market, question)
    assert rows(other, question) == rows(Market.standard(seed=2), question)


def test_prices_go_through_the_reference_price(market: Market) -> None:
    """Its line in contracts.yaml says 1.10400 at 2024-01-02 00:00 UTC, 19:00 New York on the day before, when that session opens."""
    first = rows(market, request(EURUSD, "1 min", "1 D", "20240102-00:30:00", what="MIDPOINT", rth=False))[0]
    assert (first.date, first.open) == ("1704153600", Decimal("1.104"))


STOCK, PAIR, YEN, FUTURE, COIN = "0.01", "0.00005", "0.005", "0.25", "0.25"


@pytest.mark.parametrize(
    ("query", "tick", "midpoint"),
    [(AAPL, STOCK, "0.005"), (EURUSD, PAIR, "0.00001"), (USDJPY, YEN, "0.001"), (E_MINI, FUTURE, "0.125"), (BTC, COIN, "0.125")],
    ids=lambda value: value.symbol or value.local_symbol if isinstance(value, ContractQuery) else value,
)
def test_prices_stand_on_their_grid_and_bid_midpoint_and_ask_in_order(market: Market, query: ContractQuery, tick: str, midpoint: str) -> None:
    whats = ("BID", "MIDPOINT", "ASK")
    bid, mid, ask = (rows(market, request(query, "1 min", "2 D", what=what, rth=False), FRIDAY_NOON) for what in whats)
    assert len(bid) == len(mid) == len(ask) > 1_000
    for low, middle, high in zip(bid, mid, ask, strict=True):
        assert all(a <= b <= c for a, b, c in zip(low.prices, middle.prices, high.prices, strict=True))
        assert low.open < high.open
        assert all(price % Decimal(tick) == 0 for price in (*low.prices, *high.prices))
        assert all(price % Decimal(midpoint) == 0 for price in middle.prices)
        assert [int(middle.volume), int(middle.wap), middle.count] == [-1, -1, -1]
    assert any(price % Decimal(tick) for row in mid for price in row.prices)  # midpoints between two ticks are real


@pytest.mark.parametrize("size", ["1 secs", "1 min", "1 hour", "1 day"])
@pytest.mark.parametrize("what", ["TRADES", "MIDPOINT", "BID", "ASK"])
def test_open_and_close_lie_between_low_and_high(market: Market, size: str, what: str) -> None:
    for query in (AAPL, THIN):
        for row in rows(market, request(query, size, "1800 S", "20240612 12:00:00 US/Eastern", what=what)):
            assert 0 < row.low <= min(row.open, row.close)
            assert max(row.open, row.close) <= row.high


def test_trades_have_whole_volume_counts_and_an_average_within_the_bar(market: Market) -> None:
    for row in rows(market, request(AAPL, "5 mins", "5 D", WEDNESDAY)):
        assert row.volume >= row.count > 0
        assert row.volume % 1 == 0
        assert row.low <= row.wap <= row.high


def test_coins_trade_in_fractions(market: Market) -> None:
    volumes = [row.volume for row in rows(market, request(BTC, "1 min", "1 D", what="AGGTRADES", rth=False), FRIDAY_NOON)]
    assert any(volume % 1 for volume in volumes)
    assert all(volume * 10**8 % 1 == 0 for volume in volumes)


def test_an_index_has_every_minute_and_no_volume(market: Market) -> None:
    """Regular hours of Cboe are 8:30 to 15:15 Chicago: 405 minutes."""
    found = rows(market, request(SPX, "1 min", "1 D", WEDNESDAY))
    assert len(found) == 405
    assert all(row.volume == row.count == 0 for row in found)


def test_minutes_without_a_trade_are_absent_in_thin_stocks_and_outside_regular_hours(market: Market) -> None:
    def minutes(query: ContractQuery, *, rth: bool) -> int:
        return len(rows(market, request(query, "1 min", "1 D", WEDNESDAY, rth=rth)))

    assert minutes(AAPL, rth=True) == 390
    assert 390 < minutes(AAPL, rth=False) <= 960
    assert minutes(BRK_B, rth=True) == 390
    assert minutes(BRK_B, rth=False) < 650
    assert 5 < minutes(THIN, rth=True) < 150
    quotes = rows(market, request(THIN, "1 min", "1 D", WEDNESDAY, what="MIDPOINT"))
    assert len(quotes) == 390


def test_bid_ask_bars_hold_the_lowest_bid_and_the_highest_ask(market: Market) -> None:
    question = request(AAPL, "5 mins", "1 D", WEDNESDAY)
    bid, ask, both = (rows(market, replace(question, what=what)) for what in ("BID", "ASK", "BID_ASK"))
    assert [row.low for row in both] == [row.low for row in bid]
    assert [row.high for row in both] == [row.high for row in ask]
    assert all(b.low <= row.open <= b.high and a.low <= row.close <= a.high for b, a, row in zip(bid, ask, both, strict=True))


def test_adjusted_last_is_last_where_nothing_was_adjusted(market: Market) -> None:
    question = request(AAPL, "1 day", "5 D")
    assert rows(market, replace(question, what="ADJUSTED_LAST")) == rows(market, question)


@pytest.mark.parametrize(
    ("question", "bars"),
    [
        (request(AAPL, "1 day", "10 Y"), 2_500),
        (request(EURUSD, "1 day", "10 Y", what="MIDPOINT", rth=False), 2_500),
        (request(AAPL, "1 min", "1 M"), 8_000),
    ],
)
def test_long_answers_are_quick(market: Market, question: HistoryRequest, bars: int) -> None:
    began = time.process_time()
    assert len(market.history(question, LATER).rows) > bars
    assert time.process_time() - began < 2.0
