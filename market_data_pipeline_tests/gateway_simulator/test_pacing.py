"""The broker's rules at the socket: counted, told, and enforced. Times are a hundredth of the real ones unless said otherwise."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from ib_async import Stock

from market_data_pipeline_tests.gateway import RunningGateway, start_gateway
from market_data_pipeline_tests.gateway_simulator.conftest import MONDAY_EVENING
from market_data_pipeline_tests.gateway_simulator.ib_async_client import AAPL, Session, run, session

VIOLATION = "Historical Market Data Service error message:Historical data request pacing violation"
SYMBOLS = ("AAPL", "MSFT", "GOOGL", "AMZN", "NVDA", "TSLA", "META", "RBLX", "SPY", "QQQ")


def ends(count: int) -> list[str]:
    """Return as many times of Monday."""
    return [f"20240603-{14 + number // 60}:{number % 60:02}:00" for number in range(count)]


async def ask(opened: Session, count: int, what: str = "TRADES", pause: float = 0.0) -> list[int]:
    """Ask for as many different things of different contracts; return the numbers of bars."""
    got = []
    for number, end in enumerate(ends(count)):
        stock = Stock(SYMBOLS[number % len(SYMBOLS)], "SMART", "USD")
        got.append(len(await opened.bars(stock, end=end, duration="60 S", what=what)))
        await asyncio.sleep(pause)
    return got


def breaches(gateway: RunningGateway) -> dict[str, int]:
    counted: dict[str, int] = gateway.statistics()["breaches"]["by_rule"]
    return counted


def test_the_sixty_first_request_in_a_window_is_refused_and_counted(tmp_path: Path) -> None:
    async def go(gateway: RunningGateway) -> tuple[list[int], list[tuple[int, int, str]]]:
        async with session(gateway) as opened:
            return await ask(opened, 62), opened.errors

    with start_gateway(tmp_path, "--now", MONDAY_EVENING, "--burst-window", "0.001") as gateway:
        got, errors = run(go(gateway))
        told = gateway.statistics()
    assert got == [1] * 60 + [0] * 2
    assert [(code, text) for _, code, text in errors] == [(162, VIOLATION)] * 2
    assert told["breaches"]["by_rule"] == {"window": 2}
    assert told["answers"]["error 162"] == 2
    breach = told["breaches"]["recent"][0]
    assert (breach["counted"], breach["limit"], breach["window_s"], breach["client"]) == (61, 60, 600.0, 1)
    first, *_, refused, _ = [request for request in told["recent"] if request["kind"] == "history"]
    assert breach["request"] == refused["number"]
    assert breach["seconds_apart"] == pytest.approx(refused["monotonic_s"] - first["monotonic_s"])


def test_when_the_window_has_passed_requests_are_answered_again(tmp_path: Path) -> None:
    async def go(gateway: RunningGateway) -> list[int]:
        async with session(gateway) as opened:
            first = await ask(opened, 4)
            await asyncio.sleep(1.1)
            return [*first, len(await opened.bars(end="20240603-19:00:00", duration="60 S"))]

    with start_gateway(tmp_path, "--now", MONDAY_EVENING, "--pacing-limit", "3", "--pacing-window", "1") as gateway:
        assert run(go(gateway)) == [1, 1, 1, 0, 1]


def test_the_rules_bind_all_clients_together(tmp_path: Path) -> None:
    async def go(gateway: RunningGateway) -> list[int]:
        async with session(gateway, 1) as one, session(gateway, 2) as other:
            return [*await ask(one, 2), *[len(await other.bars(end=f"20240603-19:0{number}:00", duration="60 S")) for number in range(2)]]

    with start_gateway(tmp_path, "--now", MONDAY_EVENING, "--pacing-limit", "3") as gateway:
        assert run(go(gateway)) == [1, 1, 1, 0]
        assert gateway.statistics()["breaches"]["recent"][0]["client"] == 2


def test_a_breach_is_counted_where_it_is_not_enforced(tmp_path: Path) -> None:
    """Three of BID_ASK weigh 6, so that with a limit of 4 the third one is too many."""

    async def go(gateway: RunningGateway) -> list[int]:
        async with session(gateway) as opened:
            return await ask(opened, 3, "BID_ASK")

    with start_gateway(tmp_path, "--now", MONDAY_EVENING, "--pacing-limit", "4", "--no-pacing") as gateway:
        assert run(go(gateway)) == [1, 1, 1]
        assert breaches(gateway) == {"window": 1}


@pytest.mark.parametrize(("scale", "pause", "broken"), [("1", 0.0, {"identical": 1}), ("0.01", 0.2, {})])
def test_the_same_request_may_come_again_after_fifteen_seconds(tmp_path: Path, scale: str, pause: float, broken: dict[str, int]) -> None:
    async def go(gateway: RunningGateway) -> list[int]:
        async with session(gateway, 1) as one, session(gateway, 2) as other:
            first = await one.bars(end="20240603-15:00:00")
            await asyncio.sleep(pause)
            return [len(first), len(await other.bars(end="20240603-15:00:00"))]

    with start_gateway(tmp_path, "--now", MONDAY_EVENING, "--pacing-scale", scale) as gateway:
        first, second = run(go(gateway))
        assert breaches(gateway) == broken
    assert first > 0
    assert (second == 0) == bool(broken)


def test_six_for_one_contract_in_two_seconds_are_too_many(tmp_path: Path) -> None:
    async def go(gateway: RunningGateway) -> list[int]:
        async with session(gateway) as opened:
            return [len(await opened.bars(end=end, duration="60 S")) for end in ends(6)]

    with start_gateway(tmp_path, "--now", MONDAY_EVENING) as gateway:
        assert run(go(gateway)) == [1, 1, 1, 1, 1, 0]
        assert breaches(gateway) == {"burst": 1}


def test_head_time_stamps_count_as_historical_requests_and_stay_open_until_cancelled(tmp_path: Path) -> None:
    async def go(gateway: RunningGateway) -> dict[str, Any]:
        async with session(gateway) as opened:
            client = opened.client
            client.reqHeadTimeStamp(900, AAPL, "TRADES", True, 2)
            await opened.ib.reqCurrentTimeAsync()
            during: dict[str, Any] = gateway.statistics()["historical"]
            client.cancelHeadTimeStamp(900)
            await opened.ib.reqCurrentTimeAsync()
            return during | {"after": gateway.statistics()["historical"]["open_now"]}

    with start_gateway(tmp_path, "--now", MONDAY_EVENING) as gateway:
        told = run(go(gateway))
    assert (told["total"], told["open_now"], told["after"]) == (1, 1, 0)


def test_no_more_than_so_many_may_be_open_at_once(tmp_path: Path) -> None:
    async def go(gateway: RunningGateway) -> tuple[list[int], int]:
        async with session(gateway) as opened:
            stocks = [Stock(symbol, "SMART", "USD") for symbol in SYMBOLS[:4]]
            got = await asyncio.gather(*(opened.bars(stock, end="20240603-15:00:00", duration="60 S") for stock in stocks))
            return [len(bars) for bars in got], opened.errors[0][1]

    with start_gateway(tmp_path, "--now", MONDAY_EVENING, "--open-limit", "3", "--latency", "0.2") as gateway:
        got, code = run(go(gateway))
        told = gateway.statistics()
    assert (got, code) == ([1, 1, 1, 0], 322)
    assert (told["breaches"]["by_rule"], told["historical"]["most_open"]) == ({"open": 1}, 3)


def test_matching_symbols_may_be_asked_for_once_a_second(tmp_path: Path) -> None:
    async def go(gateway: RunningGateway) -> list[int]:
        async with session(gateway) as opened:
            await opened.ib.reqMatchingSymbolsAsync("AAPL")
            await asyncio.wait_for(opened.ib.reqMatchingSymbolsAsync("MSFT"), 2)
            return opened.codes

    with start_gateway(tmp_path, "--now", MONDAY_EVENING) as gateway:
        assert run(go(gateway)) == [322]
        assert breaches(gateway) == {"matching": 1}


def test_fifty_messages_a_second_are_taken_and_the_third_warning_ends_the_connection(tmp_path: Path) -> None:
    async def go(gateway: RunningGateway) -> tuple[list[str], bool]:
        async with session(gateway) as opened:
            opened.client.MaxRequests = 0
            gone = asyncio.Event()
            opened.ib.disconnectedEvent += gone.set
            for _ in range(60):
                opened.client.reqCurrentTime()
            await asyncio.wait_for(gone.wait(), 5)
            return [text for _, code, text in opened.errors if code == 100], gone.is_set()

    with start_gateway(tmp_path, "--now", MONDAY_EVENING) as gateway:
        texts, gone = run(go(gateway))
        assert breaches(gateway) == {"messages": 3}
    assert gone
    assert texts[0] == "Max rate of messages per second has been exceeded:max=50 rec=51 (1)"
    assert len(texts) == 3


def test_ib_async_keeps_the_message_rate_by_itself(tmp_path: Path) -> None:
    """It sends at most 45 a second."""

    async def go(gateway: RunningGateway) -> None:
        async with session(gateway) as opened:
            for _ in range(60):
                opened.client.reqCurrentTime()
            await asyncio.sleep(1.3)
            assert opened.errors == []

    with start_gateway(tmp_path, "--now", MONDAY_EVENING) as gateway:
        run(go(gateway))
        assert breaches(gateway) == {}
        assert gateway.statistics()["requests"]["by_kind"]["other"] == 60
