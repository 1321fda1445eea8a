"""Fees as shares of the traded value, set for a backtest and not by the instrument."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from nautilus_trader.backtest.config import FeeModelConfig
from nautilus_trader.backtest.models import FeeModel
from nautilus_trader.model.enums import LiquiditySide
from nautilus_trader.model.objects import Money

if TYPE_CHECKING:
    from nautilus_trader.model.instruments import Instrument
    from nautilus_trader.model.objects import Price, Quantity
    from nautilus_trader.model.orders import Order


class RateFeeModelConfig(FeeModelConfig, frozen=True):
    """Shares of the traded value: 0.0001 is one basis point."""

    maker: Decimal
    taker: Decimal


class RateFeeModel(FeeModel):
    """Charges each fill a share of its value, in the quote currency (of an inverse instrument: in the base currency)."""

    def __init__(self, config: RateFeeModelConfig) -> None:
        self._maker = config.maker
        self._taker = config.taker

    def get_commission(self, order: Order, fill_qty: Quantity, fill_px: Price, instrument: Instrument) -> Money:
        """Return the commission of one fill."""
        rate = self._maker if order.liquidity_side == LiquiditySide.MAKER else self._taker
        value = instrument.notional_value(quantity=fill_qty, price=fill_px, use_quote_for_inverse=False).as_decimal()
        return Money(value * rate, instrument.get_base_currency() if instrument.is_inverse else instrument.quote_currency)
