"""What all connections of a simulated gateway share."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from market_data_pipeline.gateway_simulator import notices
from market_data_pipeline.gateway_simulator.client import Client
from market_data_pipeline.gateway_simulator.clock import Clock
from market_data_pipeline.gateway_simulator.limits import PacingLimits, PacingWatch
from market_data_pipeline.gateway_simulator.market import Market
from market_data_pipeline.gateway_simulator.scenario import Scenario
from market_data_pipeline.gateway_simulator.statistics import Audience, Statistics

# A paper account by its first letter; and nobody who looks at it takes it for one of IBKR's.
PAPER_ACCOUNT = "DUSIM12345"
DEFAULT_PORT = 4002
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class GatewaySettings:
    """How a gateway behaves.

    Attributes:
        host: Where it listens; loopback unless told otherwise, because anybody who reaches it is let in.
        port: The port; 0 takes a free one.
        account: The account's name; paper accounts begin with D.
        latency_s: Real seconds until a request for data is answered.
        limits: The broker's rules.
        keep: How many requests the statistics remember one by one.
    """

    host: str = LOOPBACK
    port: int = DEFAULT_PORT
    account: str = PAPER_ACCOUNT
    latency_s: float = 0.05
    limits: PacingLimits = field(default_factory=PacingLimits)
    keep: int = 2_000


class Gateway:
    """The shared side of a gateway: its market, clock, rules, statistics, and who is connected.

    Args:
        settings: How it behaves.
        market: What it serves.
        clock: What time it is.
        scenario: What goes wrong.
        audience: Who watches.
    """

    def __init__(self, settings: GatewaySettings, market: Market, clock: Clock, scenario: Scenario, audience: Audience) -> None:
        self.settings = settings
        self.market = market
        self.clock = clock
        self.scenario = scenario
        self.watch = PacingWatch(settings.limits)
        self.statistics = Statistics(clock, audience, settings.keep)
        self.port = settings.port
        self.clients: dict[int, Client] = {}
        self.restarts: asyncio.Queue[float] = asyncio.Queue()
        """Seconds for which the gateway is to go away."""
        self._online = asyncio.Event()
        self._online.set()
        self._tasks: set[asyncio.Task[None]] = set()
        # One thread: the event loop stays free to see when requests arrive, and the market needs no locks.
        self._worker = ThreadPoolExecutor(1, "market")

    async def compute[R](self, work: Callable[..., R], *arguments: object) -> R:
        """Ask the market, out of the way of the sockets."""
        return await asyncio.get_running_loop().run_in_executor(self._worker, functools.partial(work, *arguments))

    def close(self) -> None:
        """End the market's thread and what goes on in the background."""
        for task in self._tasks:
            task.cancel()
        self._worker.shutdown(wait=False, cancel_futures=True)

    def in_background(self, work: Coroutine[Any, Any, None]) -> None:
        """Let something go on that nobody waits for."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def wait_online(self) -> None:
        """Wait while the gateway has lost its broker."""
        await self._online.wait()

    def lose_connection(self, seconds: float, restored: notices.Notice) -> None:
        """Lose the broker for some real seconds: 1100 to everybody, then `restored`, which is 1101 or 1102."""
        self.in_background(self._outage(seconds, restored))

    async def _outage(self, seconds: float, restored: notices.Notice) -> None:
        self._online.clear()
        await self.tell_all(notices.CONNECTION_LOST)
        await asyncio.sleep(seconds)
        if restored is notices.RESTORED_DATA_LOST:
            for client in self.clients.values():
                client.cancel_all()
        self._online.set()
        await self.tell_all(restored)

    async def tell_all(self, notice: notices.Notice) -> None:
        """Write a notice to every client."""
        data = notices.error(notices.NO_REQUEST, notice.code, notice.text)
        await asyncio.gather(*(client.write(data) for client in list(self.clients.values())))
