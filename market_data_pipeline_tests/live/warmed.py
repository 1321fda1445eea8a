"""Strategies that are warmed up, and the warm-up that is put into their node: all tell the journal what they see."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nautilus_trader.config import StrategyConfig
from nautilus_trader.indicators import SimpleMovingAverage
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.data import Bar, BarType
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.trading.strategy import Strategy

from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.errors import MarketDataError
from market_data_pipeline.live import LiveWarmUp, Need, WarmUpMixin, WarmUpSettings
from market_data_pipeline.live.sma_cross import WarmedSmaCross
from market_data_pipeline.sources.ibkr import IbkrSettings
from market_data_pipeline_tests.live import journal


def prepare(node: TradingNode, settings: dict[str, Any]) -> LiveWarmUp:
    """Put a warm-up into a node: `catalog`, `settings`, `status_file`, `ibkr` (fields of IbkrSettings), `needs` (bar type: bars)."""
    ibkr = IbkrSettings.from_environment(**settings["ibkr"]) if settings["ibkr"] else None
    needs = [Need(Series.parse(name), bars) for name, bars in settings["needs"].items()]
    warm_up = LiveWarmUp(settings["catalog"], WarmUpSettings(**settings["settings"]), ibkr=ibkr, status_file=settings["status_file"])
    try:
        warm_up.attach(node, needs)
    except MarketDataError as error:
        journal.write("refused", text=str(error))
        raise SystemExit(str(error)) from None
    node.kernel.msgbus.subscribe("warm_up.*", lambda state: journal.write("state", state=str(state)))
    return warm_up


class Crossover(WarmedSmaCross):
    """The shipped crossover; tells its averages when it is ready and after each bar."""

    def on_start(self) -> None:
        """Tell."""
        journal.write("started", strategy=str(self.id), clock_ns=self.clock.timestamp_ns())
        super().on_start()

    def on_ready(self) -> None:
        """Tell."""
        journal.write("ready", strategy=str(self.id), averages=self._averages(), seen=dict(self.readiness.seen))

    def on_bar(self, bar: Bar) -> None:
        """Tell, once it has been traded on."""
        super().on_bar(bar)
        journal.write("bar", strategy=str(self.id), averages=self._averages(), ready=self.is_ready, **journal.bar_facts(bar))

    def on_historical_data(self, data: Any) -> None:
        """Tell."""
        super().on_historical_data(data)
        journal.write("historical", strategy=str(self.id), averages=self._averages(), **journal.bar_facts(data))

    def _averages(self) -> list[float]:
        return [self._fast.value, self._slow.value]


class EagerConfig(StrategyConfig, frozen=True):
    """What an eager strategy subscribes to.

    Attributes:
        bar_types: In this order, with one average for each.
        period: Of the averages.
        trades: Whether it buys at every bar, and at every bar of history.
        params: Given to each subscription.
    """

    bar_types: tuple[BarType, ...]
    period: int = 20
    trades: bool = False
    params: dict[str, Any] | None = None


class Watcher(Strategy):
    """Has averages of bar types of its own, and no word about a warm-up."""

    def __init__(self, config: EagerConfig) -> None:
        super().__init__(config)
        self._averages = {bar_type: SimpleMovingAverage(config.period) for bar_type in config.bar_types}

    def on_start(self) -> None:
        """Subscribe, and tell."""
        journal.write("started", strategy=str(self.id), clock_ns=self.clock.timestamp_ns())
        for bar_type, average in self._averages.items():
            self.register_indicator_for_bars(bar_type, average)
            self.subscribe_bars(bar_type, params=dict(self.config.params) if self.config.params else None)

    def on_bar(self, bar: Bar) -> None:
        """Tell."""
        self._tell("bar", bar)

    def on_historical_data(self, data: Any) -> None:
        """Tell."""
        self._tell("historical", data)

    def _tell(self, kind: str, bar: Bar) -> None:
        journal.write(kind, strategy=str(self.id), fed=self._averages[bar.bar_type].count, **journal.bar_facts(bar))


class Eager(WarmUpMixin, Watcher):
    """Waits until it is warm, if unwillingly: it tries to buy at every bar, also of history."""

    def bars_needed(self) -> Mapping[BarType, int]:
        """Return the period of its averages."""
        return dict.fromkeys(self.config.bar_types, self.config.period)

    def on_ready(self) -> None:
        """Tell."""
        journal.write("ready", strategy=str(self.id), seen=dict(self.readiness.seen))

    def _tell(self, kind: str, bar: Bar) -> None:
        super()._tell(kind, bar)
        if self.config.trades:
            instrument = self.cache.instrument(bar.bar_type.instrument_id)
            self.submit_order(self.order_factory.market(instrument.id, OrderSide.BUY, instrument.make_qty(1_000)))
