"""The mixin in Nautilus' own backtest engine: there every strategy warms up on the first bars."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pyarrow.parquet as pq
import pytest
from nautilus_trader.model.data import Bar, BarType
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.trading.strategy import Strategy

from market_data_pipeline.backtest import BacktestOutcome, run_backtest
from market_data_pipeline.backtest.strategies.sma_cross import SmaCrossConfig
from market_data_pipeline.domain.errors import UsageError
from market_data_pipeline.live import WarmUpMixin, WarmUpState
from market_data_pipeline_tests.backtest.conftest import spec
from market_data_pipeline_tests.backtest.made_bars import by_hand, opened
from market_data_pipeline_tests.backtest.test_sma_cross import CLOSES, DAYS, SESSIONS, TRADES

HERE = "market_data_pipeline_tests.live.test_strategy"
CONFIG = "market_data_pipeline.backtest.strategies.sma_cross:SmaCrossConfig"


class Eager(WarmUpMixin, Strategy):
    """Buys one on every bar, and would from the first."""

    states: ClassVar[list[WarmUpState]] = []
    ready_at: ClassVar[list[int]] = []
    refused: ClassVar[list[int]] = []

    def __init__(self, config: SmaCrossConfig) -> None:
        super().__init__(config)
        for told in (self.states, self.ready_at, self.refused):
            told.clear()
        self.states.append(self.warm_up_state)

    def bars_needed(self) -> Mapping[BarType, int]:
        return {self.config.bar_type: 3}

    def on_start(self) -> None:
        self.subscribe_bars(self.config.bar_type)

    def on_ready(self) -> None:
        self.ready_at.append(self.readiness.seen[str(self.config.bar_type)])

    def on_bar(self, bar: Bar) -> None:
        instrument = self.cache.instrument(self.config.instrument_id)
        self.submit_order(self.order_factory.market(instrument.id, OrderSide.BUY, instrument.make_qty(1)))
        self.states.append(self.warm_up_state)

    def on_stop(self) -> None:
        self.refused.append(self.readiness.refused)


class Twice(Eager):
    """Sees each bar a second time, and the one before it, as a client that overlaps would send them."""

    before: Bar | None = None

    def on_bar(self, bar: Bar) -> None:
        before, type(self).before = type(self).before, bar
        super().on_bar(bar)
        self.handle_bar(bar)
        if before is not None:
            self.handle_bar(before)


def run(tmp_path: Path, path: str, **config: Any) -> BacktestOutcome:
    by_hand(tmp_path / "catalog", DAYS, SESSIONS, CLOSES)
    strategy = {"path": path, "config_path": CONFIG, "config": config}
    with opened(tmp_path / "catalog") as catalog:
        return run_backtest(catalog, spec(DAYS, start=SESSIONS[0], end=SESSIONS[-1], strategy=strategy), tmp_path / "results")


def days_of_orders(outcome: BacktestOutcome) -> list[str]:
    return [f"{row['ts_init']:%Y-%m-%d}" for row in pq.read_table(outcome.folder / "orders.parquet").to_pylist()]


def test_the_shipped_crossover_trades_in_a_backtest_as_it_does_without_a_warm_up(tmp_path: Path) -> None:
    outcome = run(tmp_path, "market_data_pipeline.live.sma_cross:WarmedSmaCross", fast_period=2, slow_period=3, trade_size=100)
    assert days_of_orders(outcome) == [day for day, *_ in TRADES]


def test_no_order_leaves_before_ready_and_the_bar_that_makes_it_ready_may_trade(tmp_path: Path) -> None:
    """Three bars are needed: orders of the first two are refused."""
    outcome = run(tmp_path, f"{HERE}:Eager")
    assert days_of_orders(outcome) == list(SESSIONS[2:])
    assert Eager.refused == [2]
    assert Eager.states[:5] == [WarmUpState.INITIALIZING, WarmUpState.WARMING_UP, WarmUpState.WARMING_UP, WarmUpState.READY, WarmUpState.READY]
    assert Eager.ready_at == [3]


def test_a_bar_that_comes_again_is_seen_once(tmp_path: Path) -> None:
    outcome = run(tmp_path, f"{HERE}:Twice")
    assert days_of_orders(outcome) == list(SESSIONS[2:])


def test_a_strategy_that_does_not_say_what_it_needs_is_told_how() -> None:
    class Silent(WarmUpMixin, Strategy):
        pass

    with pytest.raises(UsageError, match="Silent must say what it needs: def bars_needed"):
        Silent().bars_needed()
