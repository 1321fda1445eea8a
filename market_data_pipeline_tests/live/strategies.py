"""Strategies that tell the journal what they see, and do nothing else."""

from __future__ import annotations

from typing import Any

from nautilus_trader.config import StrategyConfig
from nautilus_trader.model.data import Bar, BarType
from nautilus_trader.trading.strategy import Strategy

from market_data_pipeline_tests.live import journal


class RecorderConfig(StrategyConfig, frozen=True):
    """What a recorder subscribes to.

    Attributes:
        bar_types: In this order.
        params: Given to each subscription; the Interactive Brokers client knows `start_ns`.
        subscribe: False only starts.
    """

    bar_types: tuple[BarType, ...]
    params: dict[str, Any] | None = None
    subscribe: bool = True


class Recorder(Strategy):
    """Subscribes to bars and records those that reach `on_bar`."""

    def on_start(self) -> None:
        """Subscribe."""
        journal.write("started", strategy=str(self.id), clock_ns=self.clock.timestamp_ns())
        if self.config.subscribe:
            for bar_type in self.config.bar_types:
                self.subscribe_bars(bar_type, params=self.config.params)

    def on_bar(self, bar: Bar) -> None:
        """Record."""
        journal.write("bar", strategy=str(self.id), **journal.bar_facts(bar))

    def on_historical_data(self, data: Any) -> None:
        """Record a bar that a request brought."""
        if isinstance(data, Bar):
            journal.write("historical", strategy=str(self.id), **journal.bar_facts(data))

    def on_stop(self) -> None:
        """Record."""
        journal.write("stopping", strategy=str(self.id))
