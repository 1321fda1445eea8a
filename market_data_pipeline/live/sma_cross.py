"""The crossover of two moving averages that waits until it is warm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from market_data_pipeline.backtest.strategies.sma_cross import SmaCross
from market_data_pipeline.live.strategy import WarmUpMixin

if TYPE_CHECKING:
    from nautilus_trader.model.data import BarType


class WarmedSmaCross(WarmUpMixin, SmaCross):
    """`SmaCross` with its states. It starts flat: the first position is taken at the first cross after it is ready."""

    def bars_needed(self) -> Mapping[BarType, int]:
        """Return the period of the slow average."""
        return {self.config.bar_type: self.config.slow_period}
