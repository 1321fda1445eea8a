"""A strategy that kills its own process where it is told to."""

from __future__ import annotations

import os
import signal

from nautilus_trader.config import StrategyConfig
from nautilus_trader.trading.strategy import Strategy


class KillingConfig(StrategyConfig, frozen=True):
    """Whether to."""

    kill: bool = False


class Killing(Strategy):
    """Does nothing, or dies."""

    def on_start(self) -> None:
        if self.config.kill:
            os.kill(os.getpid(), signal.SIGKILL)
