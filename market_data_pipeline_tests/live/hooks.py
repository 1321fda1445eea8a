"""Where our own code can step in between Nautilus' data client, engine and strategies; see test_nautilus_hooks.py."""

from __future__ import annotations

from typing import Any

import pandas as pd
from nautilus_trader.indicators import SimpleMovingAverage
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.data import Bar
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.trading.strategy import Strategy

from market_data_pipeline_tests.live import journal
from market_data_pipeline_tests.live.strategies import RecorderConfig

_PROCESS = "DataEngine.process"


class Overrides:
    """Goes before `Strategy` among the bases; tells which of its methods Nautilus calls."""

    def handle_bar(self, bar: Bar, historical: bool = False) -> None:
        """Tell, and go on."""
        journal.write("handle_bar", historical=bool(historical), ts_event=bar.ts_event)
        super().handle_bar(bar, historical)  # type: ignore[misc]

    def submit_order(self, order: Any, position_id: Any = None, client_id: Any = None, params: Any = None) -> None:
        """Tell, and go on."""
        journal.write("submit_order", side=order.side_string())
        super().submit_order(order, position_id, client_id, params)  # type: ignore[misc]

    def register_indicator_for_bars(self, bar_type: Any, indicator: Any) -> None:
        """Tell, and go on."""
        journal.write("register_indicator_for_bars", bar_type=str(bar_type))
        super().register_indicator_for_bars(bar_type, indicator)  # type: ignore[misc]

    def subscribe_bars(self, bar_type: Any, client_id: Any = None, update_catalog: bool = False, params: Any = None) -> None:
        """Tell, and go on."""
        journal.write("subscribe_bars", bar_type=str(bar_type))
        super().subscribe_bars(bar_type, client_id, update_catalog, params)  # type: ignore[misc]


class Hooked(Overrides, Strategy):
    """Asks for ten minutes of history, buys at its second live bar and closes at its fourth."""

    def __init__(self, config: RecorderConfig) -> None:
        super().__init__(config)
        self._average = SimpleMovingAverage(3)
        self._bars = 0

    def on_start(self) -> None:
        """Subscribe, and ask for ten bars of history."""
        bar_type = self.config.bar_types[0]
        self.register_indicator_for_bars(bar_type, self._average)
        self.subscribe_bars(bar_type)
        self.request_bars(bar_type, start=pd.Timestamp("2024-06-03T13:50Z"), end=pd.Timestamp("2024-06-03T14:00Z"))

    def on_bar(self, bar: Bar) -> None:
        """Trade twice."""
        self._bars += 1
        journal.write("bar", average_of=self._average.count, **journal.bar_facts(bar))
        instrument = self.cache.instrument(bar.bar_type.instrument_id)
        if self._bars == 2:
            self.submit_order(self.order_factory.market(instrument.id, OrderSide.BUY, instrument.make_qty(10)))
        if self._bars == 4:
            self.close_all_positions(instrument.id)

    def on_stop(self) -> None:
        """Nothing is left."""


def stand_between(node: TradingNode, _: dict[str, Any]) -> None:
    """Take the place of the data engine on the message bus of a built node, and pass on what the client sends."""
    bus, process = node.kernel.msgbus, node.kernel.data_engine.process

    def passing(data: Any) -> None:
        if isinstance(data, Bar):
            subscriptions = bus.subscriptions(f"data.bars.{data.bar_type}")
            owners = [str(owner.id) for one in subscriptions if isinstance(owner := getattr(one.handler, "__self__", None), Strategy)]
            journal.write("passing", owners=owners, **journal.bar_facts(data))
        process(data)

    bus.deregister(_PROCESS, process)
    bus.register(_PROCESS, passing)
