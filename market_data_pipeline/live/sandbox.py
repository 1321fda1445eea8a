"""Nautilus' sandbox execution, filled from bars."""

from __future__ import annotations

import asyncio

from nautilus_trader.adapters.sandbox.config import SandboxExecutionClientConfig
from nautilus_trader.adapters.sandbox.execution import SandboxExecutionClient
from nautilus_trader.cache.cache import Cache
from nautilus_trader.common.component import LiveClock, MessageBus
from nautilus_trader.live.factories import LiveExecClientFactory
from nautilus_trader.portfolio import PortfolioFacade

_BEFORE_STRATEGIES = 10


class BarSandboxExecutionClient(SandboxExecutionClient):
    """A sandbox whose market moves with the bars that strategies subscribe to.

    Nautilus' own (1.230) listens to `data.*.VENUE.*`, which topics of quotes and trades match and those of bars (`data.bars.SYMBOL.VENUE-…`)
    do not: on bars alone it rejects every market order with "no market for …".
    """

    def connect(self) -> None:
        """Listen to bars too, and to each before any strategy does, as in a backtest."""
        super().connect()
        self._msgbus.subscribe(f"data.bars.*.{self.venue}-*", handler=self.on_data, priority=_BEFORE_STRATEGIES)


class SandboxLiveExecClientFactory(LiveExecClientFactory):
    """Makes `BarSandboxExecutionClient` for `TradingNode.add_exec_client_factory`, under the name of its venue.

    It has the name of Nautilus' own: its builder (1.230) gives the portfolio to a factory of no other name.
    """

    @staticmethod
    def create(  # type: ignore[override]  # with the portfolio, as Nautilus' own
        loop: asyncio.AbstractEventLoop,
        name: str,
        config: SandboxExecutionClientConfig,
        portfolio: PortfolioFacade,
        msgbus: MessageBus,
        cache: Cache,
        clock: LiveClock,
    ) -> BarSandboxExecutionClient:
        """Return a new client; the arguments are Nautilus' own."""
        return BarSandboxExecutionClient(loop=loop, clock=clock, portfolio=portfolio, msgbus=msgbus, cache=cache, config=config)
