"""What goes wrong with a gateway as a whole, as ib_async sees it: login screens, outages, restarts."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from ib_async import IB, Stock

from market_data_pipeline_tests.gateway import RunningGateway, start_gateway
from market_data_pipeline_tests.gateway_simulator.conftest import MONDAY_EVENING
from market_data_pipeline_tests.gateway_simulator.ib_async_client import run, session, three, until_dropped


def test_a_login_screen_takes_the_connection_and_says_nothing(tmp_path: Path) -> None:
    async def go(gateway: RunningGateway) -> int:
        with pytest.raises(TimeoutError):
            await IB().connectAsync(gateway.host, gateway.port, 1, timeout=0.5)
        async with session(gateway) as opened:
            return len(await opened.bars(duration="600 S", end="20240603-15:00:00"))

    with start_gateway(tmp_path, "--now", MONDAY_EVENING, "--fault", "connect:1=login-screen") as gateway:
        assert run(go(gateway)) == 10


@pytest.mark.parametrize(("name", "code", "second"), [("outage-kept:0.4", 1102, 10), ("outage-lost:0.4", 1101, 0)])
def test_the_broker_can_be_lost_and_come_back(tmp_path: Path, name: str, code: int, second: int) -> None:
    """After 1102 what was asked is answered, after 1101 it must be asked again."""

    async def go(gateway: RunningGateway) -> tuple[list[int], list[int], list[int]]:
        async with session(gateway, 1) as opened, session(gateway, 2) as other:
            got = [len(bars) for bars in await three(opened)]
            await other.until(code)
            return got, opened.codes, other.codes

    with start_gateway(tmp_path, "--now", MONDAY_EVENING, "--no-pacing", "--fault", f"history:2={name}") as gateway:
        got, codes, others = run(go(gateway))
    assert got == [10, second, 10]
    assert codes[:2] == [1100, code]
    assert others == [1100, code]


def test_the_gateway_can_restart(tmp_path: Path) -> None:
    async def go(gateway: RunningGateway) -> int:
        async with session(gateway, 1) as opened, session(gateway, 2) as other:
            gone = asyncio.Event()
            other.ib.disconnectedEvent += gone.set
            await opened.bars(end="20240603-15:00:00", duration="600 S")
            assert await until_dropped(opened, "20240603-16:00:00") is None
            await asyncio.wait_for(gone.wait(), 5)
        with pytest.raises((ConnectionError, TimeoutError)):
            await IB().connectAsync(gateway.host, gateway.port, 1, timeout=0.1)
        await asyncio.sleep(0.6)
        async with session(gateway, 1) as opened:
            return len(await opened.bars(Stock("MSFT", "SMART", "USD"), end="20240603-15:00:00", duration="600 S"))

    with start_gateway(tmp_path, "--now", MONDAY_EVENING, "--fault", "history:2=restart:0.5") as gateway:
        assert run(go(gateway)) == 10
