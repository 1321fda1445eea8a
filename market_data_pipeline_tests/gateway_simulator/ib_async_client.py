"""ib_async as anybody uses it, against a simulated gateway."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from ib_async import IB, Contract, Forex, StartupFetch, Stock
from ib_async.objects import BarData

from market_data_pipeline_tests.gateway import RunningGateway

PATIENCE_S = 30.0
AAPL = Stock("AAPL", "SMART", "USD")
EURUSD = Forex("EURUSD")


@dataclass
class Session:
    """A connected ib_async, and the errors that it was told.

    Attributes:
        ib: The client.
        errors: (request id, code, text), the farms' messages at the start left out.
    """

    ib: IB
    errors: list[tuple[int, int, str]] = field(default_factory=list)

    @property
    def codes(self) -> list[int]:
        """The codes of its errors."""
        return [code for _, code, _ in self.errors]

    @property
    def client(self) -> Any:
        """ib_async's side of the socket, which has no types."""
        return self.ib.client

    async def bars(
        self,
        contract: Contract = AAPL,
        *,
        end: str = "",
        duration: str = "1 D",
        size: str = "1 min",
        what: str = "TRADES",
        rth: bool = True,
        timeout: float = 10,
    ) -> list[BarData]:
        """Ask for bars, formatDate 2."""
        return list(await self.ib.reqHistoricalDataAsync(contract, end, duration, size, what, rth, 2, timeout=timeout))

    async def until(self, code: int) -> None:
        """Wait until an error of this code was told."""
        async with asyncio.timeout(PATIENCE_S):
            while code not in self.codes:
                await asyncio.sleep(0.01)


@asynccontextmanager
async def session(gateway: RunningGateway, client_id: int = 1) -> AsyncIterator[Session]:
    """Connect ib_async, read-only and with nothing fetched at the start."""
    ib = IB()
    opened = Session(ib)

    def note(request_id: int, code: int, text: str, _: object) -> None:
        if code not in {2104, 2106, 2158}:
            opened.errors.append((request_id, code, text))

    ib.errorEvent += note
    await ib.connectAsync(gateway.host, gateway.port, client_id, timeout=5, readonly=True, fetchFields=StartupFetch(0))
    try:
        yield opened
    finally:
        ib.disconnect()


def run[R](conversation: Coroutine[Any, Any, R]) -> R:
    """Run a conversation to its end."""

    async def within() -> R:
        async with asyncio.timeout(PATIENCE_S):
            return await conversation

    return asyncio.run(within())


async def three(opened: Session) -> list[list[BarData]]:
    """Ask for three spans of ten minutes, of which the second goes wrong."""
    return [await opened.bars(end=f"20240603-{hour}:00:00", duration="600 S", timeout=0.6) for hour in (15, 16, 17)]


async def until_dropped(opened: Session, end: str) -> list[BarData] | None:
    """Ask for bars; return them, or None if the connection ended first."""
    dropped = asyncio.Event()
    opened.ib.disconnectedEvent += dropped.set
    waits = [asyncio.ensure_future(opened.bars(end=end, duration="600 S")), asyncio.ensure_future(dropped.wait())]
    done, _ = await asyncio.wait(waits, timeout=5, return_when=asyncio.ALL_COMPLETED)
    assert waits[1] in done, "the connection goes on"
    waits[0].cancel()
    answers = await asyncio.gather(waits[0], return_exceptions=True)
    return answers[0] if isinstance(answers[0], list) else None
