"""Bars as they come: what keepUpToDate and real-time bars send."""

from __future__ import annotations

from decimal import Decimal

import pytest

from market_data_pipeline.gateway_simulator.market import BarRow, Market, Refusal
from market_data_pipeline_tests.gateway_simulator.market.asking import AAPL, BTC, EURUSD, THIN, request, rows
from market_data_pipeline_tests.instants import NEW_YORK, ns

NOON = ns("2024-06-14 12:00", NEW_YORK)
SECOND = 10**9


def test_the_newest_bar_is_the_last_of_the_answer_at_that_moment(market: Market) -> None:
    for seconds in (5, 60, 65, 301):
        for size in ("5 secs", "1 min", "5 mins", "1 hour", "1 day", "1W"):
            question = request(AAPL, size, "1800 S" if "sec" in size else "1 D", live=True)
            bar = market.current_bar(question, NOON + seconds * SECOND)
            assert bar is not None
            last = market.history(question, NOON + seconds * SECOND).rows[-1]
            assert (bar.date, bar.open, bar.high, bar.low, bar.close, bar.volume, bar.wap, bar.count) == last


def test_a_bar_grows_until_it_is_closed_and_the_next_begins(market: Market) -> None:
    question = request(AAPL, "1 min", "1 D", live=True)
    bars = [market.current_bar(question, NOON + seconds * SECOND) for seconds in range(5, 70, 5)]
    found = [bar for bar in bars if bar is not None]
    assert [bar.start_ns for bar in found] == [NOON] * 12 + [NOON + 60 * SECOND]
    volumes = [int(bar.volume) for bar in found[:12]]
    assert volumes == sorted(volumes)
    whole = rows(market, question, NOON + 3_600 * SECOND)[150]
    assert (Decimal(found[11].volume), Decimal(found[11].close)) == (whole.volume, whole.close)


def five_seconds(market: Market, start_ns: int, what: str = "TRADES") -> BarRow | None:
    contract = market.contract(AAPL, start_ns)
    return market.bar_at(contract, what, True, start_ns, 5 * SECOND, start_ns + 5 * SECOND)


def test_real_time_bars_are_the_historical_bars_of_five_seconds(market: Market) -> None:
    history = rows(market, request(AAPL, "5 secs", "60 S", "20240614 12:01:00 US/Eastern"))
    live = [five_seconds(market, NOON + i * 5 * SECOND) for i in range(12)]
    assert [(bar.date, Decimal(bar.close), Decimal(bar.volume)) for bar in live if bar] == [(row.date, row.close, row.volume) for row in history]


def test_there_is_no_real_time_bar_while_the_market_is_closed_or_nothing_trades(market: Market) -> None:
    assert five_seconds(market, ns("2024-06-15 12:00", NEW_YORK)) is None
    thin = market.contract(THIN, NOON)
    bars = [market.bar_at(thin, "TRADES", True, NOON + i * 5 * SECOND, 5 * SECOND, NOON + 3_600 * SECOND) for i in range(60)]
    assert None in bars


def test_real_time_bars_refuse_what_the_contract_never_has(market: Market) -> None:
    with pytest.raises(Refusal) as refused:
        market.bar_at(market.contract(EURUSD, NOON), "TRADES", False, NOON, 5 * SECOND, NOON + 5 * SECOND)
    assert refused.value.code == 162
    assert market.bar_at(market.contract(BTC, NOON), "MIDPOINT", False, NOON, 5 * SECOND, NOON + 5 * SECOND) is not None
