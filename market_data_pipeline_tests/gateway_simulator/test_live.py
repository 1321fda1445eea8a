"""Bars as they form: requests that are kept up to date, and bars of five seconds, on a clock that runs faster."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from collections.abc import Iterator
from itertools import pairwise

import pytest
from ib_async import RealTimeBar
from ib_async.objects import BarData

from market_data_pipeline_tests.gateway import RunningGateway, start_gateway
from market_data_pipeline_tests.gateway_simulator.ib_async_client import AAPL, EURUSD, Session, run, session

OPEN = dt.datetime(2024, 6, 3, 13, 30, tzinfo=dt.UTC)
FIVE_SECONDS = dt.timedelta(seconds=5)


@pytest.fixture(scope="module")
def fast(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """Three minutes a second, from half an hour after the opening of New York."""
    with start_gateway(tmp_path_factory.mktemp("fast"), "--now", "2024-06-03T14:00Z", "--speed", "180", "--no-pacing") as running:
        yield running


def test_bars_of_five_seconds_come_one_after_the_other(fast: RunningGateway) -> None:
    async def go() -> list[RealTimeBar]:
        async with session(fast) as opened:
            bars = opened.ib.reqRealTimeBars(EURUSD, 5, "MIDPOINT", useRTH=False)
            async with asyncio.timeout(10):
                while len(bars) < 20:
                    await bars.updateEvent
            opened.ib.cancelRealTimeBars(bars)
            return list(bars)

    bars = run(go())
    assert {later.time - earlier.time for earlier, later in pairwise(bars)} == {FIVE_SECONDS}
    assert all(bar.time.second % 5 == 0 for bar in bars)
    assert all(bar.low <= bar.open_ <= bar.high for bar in bars)


def test_bars_of_five_seconds_are_those_that_history_tells_later(fast: RunningGateway) -> None:
    async def go() -> tuple[dict[dt.datetime, float], list[BarData]]:
        async with session(fast) as opened:
            bars = opened.ib.reqRealTimeBars(AAPL, 5, "TRADES", useRTH=True)
            async with asyncio.timeout(10):
                while len(bars) < 5:
                    await bars.updateEvent
            opened.ib.cancelRealTimeBars(bars)
            end = f"{bars[-1].time + FIVE_SECONDS:%Y%m%d-%H:%M:%S}"
            return {bar.time: bar.close for bar in bars}, await opened.bars(end=end, duration="300 S", size="5 secs")

    live, later = run(go())
    history = {bar.date: bar.close for bar in later}
    assert all(history[moment] == close for moment, close in live.items())


async def _kept_until(opened: Session, bars: int) -> list[BarData]:
    kept = await opened.ib.reqHistoricalDataAsync(AAPL, "", "600 S", "1 min", "TRADES", useRTH=True, formatDate=2, keepUpToDate=True)
    wanted = len(kept) + bars
    async with asyncio.timeout(15):
        while len(kept) < wanted:
            await kept.updateEvent
    opened.ib.cancelHistoricalData(kept)
    return list(kept)


def test_a_request_is_kept_up_to_date(fast: RunningGateway) -> None:
    """The forming bar changes in place, and a new one follows each minute."""

    async def go() -> tuple[list[BarData], list[BarData]]:
        async with session(fast) as opened:
            kept = await _kept_until(opened, 3)
            return kept, await opened.bars(end=f"{kept[-1].date:%Y%m%d-%H:%M:%S}", duration="1800 S")

    kept, later = run(go())
    assert {after.date - before.date for before, after in pairwise(kept)} == {dt.timedelta(minutes=1)}
    settled = {bar.date: bar for bar in later}
    assert [settled[bar.date] for bar in kept[:-1]] == kept[:-1]


def test_updates_end_with_the_request(fast: RunningGateway) -> None:
    async def go() -> int:
        async with session(fast) as opened:
            await _kept_until(opened, 1)
            await asyncio.sleep(0.1)
            before = opened.ib.client.connectionStats().numMsgRecv
            await asyncio.sleep(0.3)
            return opened.ib.client.connectionStats().numMsgRecv - before

    assert run(go()) == 0


def test_a_client_that_leaves_takes_its_requests_with_it(fast: RunningGateway) -> None:
    async def go() -> None:
        async with session(fast, 5) as opened:
            await opened.ib.reqHistoricalDataAsync(AAPL, "", "600 S", "1 min", "TRADES", useRTH=True, keepUpToDate=True)
            opened.ib.reqRealTimeBars(AAPL, 5, "TRADES", useRTH=True)
            await asyncio.sleep(0.1)
            assert fast.statistics()["historical"]["open_now"] == 1

    run(go())
    until = time.monotonic() + 5
    while fast.statistics()["historical"]["open_now"] > 0:
        assert time.monotonic() < until
        time.sleep(0.02)
