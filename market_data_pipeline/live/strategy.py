"""What makes a strategy of Nautilus wait until it is warm: put it before the strategy's class.

    class MyCrossover(WarmUpMixin, Strategy):
        def bars_needed(self):
            return {self.config.bar_type: self.config.slow_period}

`on_start`, `register_indicator_for_bars`, `subscribe_bars` and `on_bar` stay as they are. History reaches registered indicators and
`on_historical_data`, never `on_bar`. The same class runs in a backtest: there it warms up on the first bars.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from market_data_pipeline.domain.errors import UsageError
from market_data_pipeline.live.gate import BarGate, Verdict
from market_data_pipeline.live.readiness import Readiness, WarmUpState

if TYPE_CHECKING:
    from nautilus_trader.model.data import Bar, BarType

Listener = Callable[["WarmUpMixin"], None]


class WarmUpMixin:
    """States, gates and the refusal of early orders for a `nautilus_trader.trading.strategy.Strategy`."""

    _readiness: Readiness | None = None
    _gates: dict[str, BarGate]
    _early: dict[str, list[Bar]]
    _listener: Listener | None = None

    def bars_needed(self) -> Mapping[BarType, int]:
        """Return how many bars of each bar type indicators need: their longest period. Every strategy says this for itself.

        Raises:
            UsageError: If it does not.
        """
        raise UsageError(f"{type(self).__name__} must say what it needs: def bars_needed(self): return {{self.config.bar_type: 260}}")

    def on_ready(self) -> None:
        """Do what is to be done once, when the strategy has become ready: before its first live bar, where history was there."""

    @property
    def readiness(self) -> Readiness:
        """What is needed and what was seen."""
        if self._readiness is None:
            self._readiness = Readiness({str(bar_type): count for bar_type, count in self.bars_needed().items()})
            self._gates = {}
            self._early = {}
        return self._readiness

    @property
    def warm_up_state(self) -> WarmUpState:
        """How far the strategy is."""
        self._advance()
        return self.readiness.state

    @property
    def is_ready(self) -> bool:
        """Whether the strategy may trade."""
        return self.warm_up_state is WarmUpState.READY

    # What the live warm-up tells the strategy

    def expect_history(self, bar_type: BarType, listener: Listener) -> None:
        """Hold live bars of a bar type until `history_ended`; the listener is told of every change of state."""
        self.readiness.waiting.add(str(bar_type))
        self._listener = listener

    def history_begins(self) -> None:
        """Take note that history is being brought."""
        self.readiness.begun = True
        self._advance()

    def history_ended(self, bar_type: BarType) -> None:
        """Go on with live bars: history has been given, or there is none to be had."""
        self.readiness.waiting.discard(str(bar_type))
        self._advance()
        for bar in self._early.pop(str(bar_type), []):
            self.handle_bar(bar)

    # What Nautilus calls

    def handle_bar(self, bar: Bar, historical: bool = False) -> None:
        """Pass a bar on to indicators and the strategy once, in order, and closed."""
        name = str(bar.bar_type)
        if name not in self.readiness.needed:
            super().handle_bar(bar, historical)  # type: ignore[misc]
            return
        if name in self.readiness.waiting and not historical:
            self._early.setdefault(name, []).append(bar)
            return
        gate = self._gates.get(name)
        if gate is None:
            gate = self._gates[name] = BarGate()  # the node's gate has looked at the clock
        if gate.judge(bar.ts_event, bar.ts_init, is_revision=bar.is_revision) is not Verdict.PASS:
            return
        self.readiness.saw(name)
        super().handle_bar(bar, historical)  # type: ignore[misc]
        self._advance()

    def submit_order(self, order: Any, *args: Any, **kwargs: Any) -> None:
        """Submit an order, or refuse it before the strategy is ready."""
        if self._may_order(order):
            super().submit_order(order, *args, **kwargs)  # type: ignore[misc]

    def submit_order_list(self, order_list: Any, *args: Any, **kwargs: Any) -> None:
        """Submit orders together, or refuse them before the strategy is ready."""
        if self._may_order(order_list):
            super().submit_order_list(order_list, *args, **kwargs)  # type: ignore[misc]

    def _may_order(self, order: Any) -> bool:
        if self.is_ready:
            return True
        self.readiness.refused += 1
        lacks = ", ".join(f"{count:,} of {name}" for name, count in self.readiness.lacks().items()) or "initialised indicators"
        self.log.warning(f"Refused before READY: {order}. Still to come: {lacks}.")  # type: ignore[attr-defined]
        return False

    def _advance(self) -> None:
        """Change the state where that is due, and say so."""
        readiness = self.readiness
        if readiness.is_ready:
            return
        registered = self.registered_indicators  # type: ignore[attr-defined]
        if not readiness.advance(indicators_initialized=all(indicator.initialized for indicator in registered)):
            return
        seen = ", ".join(f"{readiness.seen.get(name, 0):,} of {count:,} bars of {name}" for name, count in readiness.needed.items())
        self.log.info(f"Warm-up: {readiness.state}, {seen}.")  # type: ignore[attr-defined]
        if self._listener is not None:
            self._listener(self)
        if readiness.state is WarmUpState.READY:
            self.on_ready()

    def on_reset(self) -> None:
        """Forget what was seen."""
        self._readiness = None
        super().on_reset()  # type: ignore[misc]
