"""What goes on after an answer: updates of a kept-up-to-date request, and bars of five seconds, on the gateway's clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from market_data_pipeline.gateway_simulator import answers
from market_data_pipeline.gateway_simulator.client import Client
from market_data_pipeline.gateway_simulator.gateway import Gateway
from market_data_pipeline.gateway_simulator.market import BarRow, HistoryRequest, Refusal
from market_data_pipeline.gateway_simulator.market.bar_sizes import BarSize
from market_data_pipeline.gateway_simulator.requests import RealTimeRequest

STEP_NS = 5_000_000_000
_LONGEST_CLOSE_NS = 60_000_000_000
# Whoever sets a speed at which five seconds pass in less gets the bars in bunches.
_SHORTEST_WAIT_S = 0.01


async def moments(gateway: Gateway, since_ns: int, close_ns: int) -> AsyncIterator[int]:
    """Yield the gateway's time at each full five seconds after `since_ns`, in UTC nanoseconds, once it has come.

    Moments that passed while nobody looked never come, but those at which a bar may close do, late.

    Args:
        gateway: Whose clock.
        since_ns: Until when the client knows everything, in UTC nanoseconds.
        close_ns: Bars close at multiples of this, a multiple of five seconds.
    """
    moment = since_ns // STEP_NS * STEP_NS + STEP_NS
    while True:
        wait = gateway.clock.real_seconds_until(moment)
        if wait is None:
            await asyncio.get_running_loop().create_future()
        elif wait > 0:
            await asyncio.sleep(max(wait, _SHORTEST_WAIT_S))
            continue
        await gateway.wait_online()
        latest = gateway.clock.now_ns() // STEP_NS * STEP_NS
        moment = min(max(moment, latest), -(-moment // close_ns) * close_ns)
        yield moment
        moment += STEP_NS


async def keep_up_to_date(gateway: Gateway, client: Client, request_id: int, request: HistoryRequest, since_ns: int) -> None:
    """Send the newest bar of a request whenever it has changed since then, until cancelled."""
    told = await _current_bar(gateway, request, since_ns)
    close_ns = min(BarSize.parse(request.bar_size).seconds * 10**9, _LONGEST_CLOSE_NS)
    async for moment in moments(gateway, since_ns, close_ns):
        bar = await _current_bar(gateway, request, moment)
        if bar is not None and bar != told:
            told = bar
            await client.write(answers.bar_update(request_id, bar))


async def _current_bar(gateway: Gateway, request: HistoryRequest, moment_ns: int) -> BarRow | None:
    try:
        return await gateway.compute(gateway.market.current_bar, request, moment_ns)
    except Refusal:
        return None


async def real_time_bars(gateway: Gateway, client: Client, request_id: int, request: RealTimeRequest, since_ns: int) -> None:
    """Send each bar of five seconds that closes after then, until cancelled."""
    contract = await gateway.compute(gateway.market.contract, request.contract, gateway.clock.now_ns())
    async for moment in moments(gateway, since_ns, STEP_NS):
        start_ns = moment - STEP_NS
        bar = await gateway.compute(gateway.market.bar_at, contract, request.what, request.use_rth, start_ns, STEP_NS, moment)
        if bar is not None:
            await client.write(answers.real_time_bar(request_id, bar))
