"""A gateway from its first to its last moment: open, told to whoever waits for it, stopped by a signal, with whole statistics at the end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

from market_data_pipeline.domain.errors import SourceUnavailable
from market_data_pipeline.gateway_simulator.gateway import LOOPBACK, Gateway
from market_data_pipeline.gateway_simulator.reporting import StatisticsEndpoint, StatisticsFile, write_json
from market_data_pipeline.gateway_simulator.server import GatewayServer

_SWITCH_INTERVAL_S = 0.0005


@dataclass(frozen=True)
class Reports:
    """Where programs find what a gateway has to tell.

    Attributes:
        statistics: A JSON file, rewritten whole when something changed; or None.
        port: Of a JSON endpoint on loopback, 0 for a free one; or None.
        ready: A JSON file {host, port, stats_port}, written when the gateway listens; or None.
    """

    statistics: Path | None = None
    port: int | None = None
    ready: Path | None = None


@dataclass(frozen=True)
class Listening:
    """Where a gateway listens."""

    host: str
    port: int
    stats_port: int | None


async def run(gateway: Gateway, reports: Reports, tell: Callable[[Listening], None]) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        gateway: What to serve.
        reports: What to write besides.
        tell: Called once clients may connect.

    Raises:
        SourceUnavailable: If a port cannot be had.
        OSError: If a file cannot be written.
    """
    # The sockets must not wait for the market's thread: arrivals are what the rules are measured by.
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    server = GatewayServer(gateway)
    stopped = _stopped_by_signal()
    await server.open()
    try:
        async with _reporting(gateway, reports) as stats_port:
            listening = Listening(server.host, server.port, stats_port)
            if reports.ready is not None:
                write_json(reports.ready, {"host": listening.host, "port": listening.port, "stats_port": stats_port, "pid": os.getpid()})
            tell(listening)
            serving = asyncio.create_task(server.run())
            await asyncio.wait({serving, asyncio.create_task(stopped.wait())}, return_when=asyncio.FIRST_COMPLETED)
            await _end(serving)
            await server.close()
    finally:
        await server.close()


def _stopped_by_signal() -> asyncio.Event:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    return stopped


@contextlib.asynccontextmanager
async def _reporting(gateway: Gateway, reports: Reports) -> AsyncIterator[int | None]:
    """Keep the reports; yield the endpoint's port."""
    endpoint = StatisticsEndpoint(gateway.statistics)
    port = None
    if reports.port is not None:
        try:
            port = await endpoint.open(LOOPBACK, reports.port)
        except OSError as error:
            raise SourceUnavailable(
                f"--stats-port {reports.port}: nothing can listen there: {error.strerror or error}. Take a free one: --stats-port 0"
            ) from None
    file = None if reports.statistics is None else StatisticsFile(gateway.statistics, reports.statistics)
    if file is not None:
        write_json(file.path, gateway.statistics.to_json())  # a path that cannot be written is refused at once
    keeping = None if file is None else asyncio.create_task(file.keep())
    try:
        yield port
    finally:
        endpoint.close()
        if keeping is not None:
            await _end(keeping)


async def _end(task: asyncio.Task[None]) -> None:
    """End a task; raise what it failed with."""
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
