"""When a strategy may trade: INITIALIZING, WARMING_UP, READY. Pure: it is told what was seen, and says what that means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class WarmUpState(StrEnum):
    """How far a strategy is."""

    INITIALIZING = "INITIALIZING"  # it has not started, or nothing of it has
    WARMING_UP = "WARMING_UP"  # history is on its way, or bars were seen and not enough of them
    READY = "READY"


@dataclass
class Readiness:
    """What a strategy needs of each bar type, and what it has seen.

    Attributes:
        needed: Bars of each bar type that its indicators need.
        seen: Bars of each that it was given, from history and live.
        waiting: Bar types whose history is on its way.
        state: How far it is.
        refused: Orders that were refused because it was not ready.
        begun: Whether history is being brought, or a bar was seen.
    """

    needed: Mapping[str, int]
    seen: dict[str, int] = field(default_factory=dict)
    waiting: set[str] = field(default_factory=set)
    state: WarmUpState = WarmUpState.INITIALIZING
    refused: int = 0
    begun: bool = False

    @property
    def is_ready(self) -> bool:
        """Whether it has come to READY."""
        return self.state is WarmUpState.READY

    def saw(self, bar_type: str) -> None:
        """Count a bar."""
        self.seen[bar_type] = self.seen.get(bar_type, 0) + 1
        self.begun = True

    def lacks(self) -> dict[str, int]:
        """Return how many bars of which bar types are still needed."""
        return {name: count - self.seen.get(name, 0) for name, count in self.needed.items() if count > self.seen.get(name, 0)}

    def advance(self, *, indicators_initialized: bool) -> bool:
        """Move to the state that what was seen allows; never back.

        Args:
            indicators_initialized: Whether every indicator says so of itself; true for a strategy that registers none.

        Returns:
            Whether the state has changed.
        """
        before = self.state
        if before is WarmUpState.READY:
            return False
        if indicators_initialized and not self.waiting and not self.lacks():
            self.state = WarmUpState.READY
        elif self.begun:
            self.state = WarmUpState.WARMING_UP
        return self.state is not before
