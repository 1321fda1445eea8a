"""What goes on after an answer: updates of a kept-up-to-date request, and bars of five seconds, on the gateway's clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from market_data_pipeline.gateway_simulator import answers
from market_data_pipeline.gateway_simulator.client import Client
from market_data_pipeline.gateway_simulator.gateway import Gateway
from market_data_pipeline.gateway_simulator.market import HistoryRequest, Refusal
from market_data_pipeline.gateway_simulator.requests import RealTimeRequest

STEP_NS = 5_000_000_000
_MINUTE_NS = 60_000_000_000
# Whoever sets a speed at which five seconds pass in less gets the bars in bunches.
_SHORTEST_WAIT_S = 0.01


async def moments(gateway: Gateway, *, every: bool) -> AsyncIterator[int]:
    """Yield the gateway's time at each full five seconds, in UTC nanoseconds, once it has come.

    Args:
        gateway: Whose clock.
        every: Whether moments that passed while nobody looked come late instead of never; a full minute always does, as a bar may close with it.
    """
    moment = gateway.clock.now_ns() // STEP_NS * STEP_NS + STEP_NS
    while True:
        wait = gateway.clock.real_seconds_until(moment)
        if wait is None:
            await asyncio.get_running_loop().create_future()
        elif wait > 0:
            await asyncio.sleep(max(wait, _SHORTEST_WAIT_S))
            continue
        await gateway.wait_online()
        yield moment
        latest = gateway.clock.now_ns() // STEP_NS * STEP_NS
        following = moment + STEP_NS
        moment = following if every else min(max(moment, latest) + STEP_NS, -(-following // _MINUTE_NS) * _MINUTE_NS)


async def keep_up_to_date(gateway: Gateway, client: Client, request_id: int, request: HistoryRequest) -> None:
    """Send the newest bar of a request whenever it has changed, until cancelled."""
    told = None
    async for moment in moments(gateway, every=False):
        try:
            bar = await gateway.compute(gateway.market.current_bar, request, moment)
        except Refusal:
            continue
        if bar is not None and bar != told:
            told = bar
            await client.write(answers.bar_update(request_id, bar))


async def real_time_bars(gateway: Gateway, client: Client, request_id: int, request: RealTimeRequest) -> None:
    """Send each bar of five seconds when it closes, until cancelled."""
    contract = await gateway.compute(gateway.market.contract, request.contract, gateway.clock.now_ns())
    async for moment in moments(gateway, every=True):
        start_ns = moment - STEP_NS
        bar = await gateway.compute(gateway.market.bar_at, contract, request.what, request.use_rth, start_ns, STEP_NS, moment)
        if bar is not None:
            await client.write(answers.real_time_bar(request_id, bar))
