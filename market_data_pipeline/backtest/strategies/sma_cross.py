"""A crossover of two simple moving averages of closes, on one series."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from nautilus_trader.config import PositiveInt, StrategyConfig
from nautilus_trader.indicators import SimpleMovingAverage
from nautilus_trader.model.data import Bar, BarType
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.trading.strategy import Strategy

if TYPE_CHECKING:
    from nautilus_trader.core.data import Data
    from nautilus_trader.model.instruments import Instrument


class SmaCrossConfig(StrategyConfig, frozen=True):
    """What a crossover trades, and on which averages.

    Attributes:
        instrument_id: What is traded.
        bar_type: Whose closes are averaged.
        trade_size: Size of a position, in units of the instrument.
        fast_period: Bars of the fast average.
        slow_period: Bars of the slow average, more than the fast one's.
        allow_short: False goes flat where a short would be opened, as a cash account must.
    """

    instrument_id: InstrumentId
    bar_type: BarType
    trade_size: Decimal = Decimal(100)
    fast_period: PositiveInt = 40
    slow_period: PositiveInt = 260
    allow_short: bool = True


class SmaCross(Strategy):
    """Long when the fast average crosses above the slow one, short (or flat) when it crosses below.

    The first position is taken at the first cross that is seen, not when the averages first exist. Orders go to the market
    at the close of the bar that crosses.
    """

    def __init__(self, config: SmaCrossConfig) -> None:
        if config.fast_period >= config.slow_period:
            raise ValueError(f"fast_period {config.fast_period} must be less than slow_period {config.slow_period}")
        if config.trade_size <= 0:
            raise ValueError(f"trade_size {config.trade_size} must be positive")
        super().__init__(config)
        self._fast = SimpleMovingAverage(config.fast_period)
        self._slow = SimpleMovingAverage(config.slow_period)
        self._above: bool | None = None

    def on_start(self) -> None:
        """Feed the averages from the series, and subscribe to it."""
        self.register_indicator_for_bars(self.config.bar_type, self._fast)
        self.register_indicator_for_bars(self.config.bar_type, self._slow)
        self.subscribe_bars(self.config.bar_type)

    def on_bar(self, bar: Bar) -> None:
        """Trade where this bar's close made the averages cross."""
        if self._crossed():
            short = -self.config.trade_size if self.config.allow_short else Decimal(0)
            self._go_to(self.config.trade_size if self._above else short)

    def on_historical_data(self, data: Data) -> None:
        """Remember which average is above, so that the first live bar is compared with the last one of history. Nothing is traded."""
        if isinstance(data, Bar) and data.bar_type == self.config.bar_type:
            self._crossed()

    def on_stop(self) -> None:
        """Leave nothing open."""
        self.cancel_all_orders(self.config.instrument_id)
        self.close_all_positions(self.config.instrument_id)

    def on_reset(self) -> None:
        """Forget what was seen."""
        self._fast.reset()
        self._slow.reset()
        self._above = None

    def _crossed(self) -> bool:
        """Take note of which average is above now; return whether that has changed."""
        if not self._slow.initialized or self._fast.value == self._slow.value:
            return False
        before, self._above = self._above, self._fast.value > self._slow.value
        return before is not None and before != self._above

    def _go_to(self, target: Decimal) -> None:
        """Reach a signed position with one market order."""
        instrument: Instrument = self.cache.instrument(self.config.instrument_id)
        held = sum(
            (position.signed_decimal_qty() for position in self.cache.positions_open(instrument_id=instrument.id, strategy_id=self.id)), Decimal(0)
        )
        missing = target - held
        if missing:
            side = OrderSide.BUY if missing > 0 else OrderSide.SELL
            self.submit_order(self.order_factory.market(instrument.id, side, instrument.make_qty(abs(missing))))
