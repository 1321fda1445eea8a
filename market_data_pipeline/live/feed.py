"""One bar type of a node: holds live bars while history comes, gives history to whoever has subscribed, and watches for holes.

WAITING ── first subscriber ──▶ GATHERING ── history, or none ──▶ OPEN ── bars are missing ──▶ MENDING ── they came, or did not ──▶ OPEN
                                holds live bars                   passes them                  holds them

Gathering brings history before the first live bar; mending brings bars that did not come live.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from heapq import merge
from typing import TYPE_CHECKING

from market_data_pipeline.live.gate import BarGate, Verdict
from market_data_pipeline.live.need import Need

if TYPE_CHECKING:
    from nautilus_trader.common.actor import Actor
    from nautilus_trader.model.data import Bar

Gap = Callable[[int, int], int]
"""Returns how many bars are expected that open at the first moment or later and close at the second or before, UTC nanoseconds."""


class FeedState(Enum):
    """What a feed does with live bars."""

    WAITING = "waiting"
    GATHERING = "gathering"
    OPEN = "open"
    MENDING = "mending"


@dataclass(frozen=True)
class Hole:
    """Bars that are expected between two that came.

    Attributes:
        bars: How many.
        after_ns: Close of the bar before, UTC nanoseconds.
        until_ns: Open of the bar after.
    """

    bars: int
    after_ns: int
    until_ns: int


def give(actor: Actor, bars: Iterable[Bar]) -> None:
    """Give history to a strategy or actor of Nautilus: to its registered indicators and to `on_historical_data`."""
    for bar in bars:
        actor.handle_historical_bar(bar)


def open_together(histories: Sequence[tuple[SeriesFeed, list[Bar], int | None, Sequence[Actor]]], now_ns: int) -> list[tuple[SeriesFeed, Hole]]:
    """Give the histories of several feeds, and go on with live bars.

    Whoever subscribes to several bar types gets them as they closed, one after the other, as in a backtest.

    Args:
        histories: Each feed, its bars (oldest first), up to where they are whole (UTC nanoseconds), and who subscribes to it.
        now_ns: The time, UTC nanoseconds.

    Returns:
        The holes before the first live bars, to be mended: `SeriesFeed.live`.
    """
    parts: list[tuple[Actor, list[list[Bar]]]] = []
    for feed, bars, until_ns, subscribers in histories:
        feed.take(bars, until_ns)
        for actor in filter(feed.meets, subscribers):
            known = next((lists for each, lists in parts if each is actor), None)
            if known is None:
                parts.append((actor, [bars]))
            else:
                known.append(bars)
    for actor, lists in parts:
        give(actor, merge(*lists, key=lambda bar: bar.ts_init))
    released = ((feed, feed.release(now_ns)) for feed, *_ in histories)
    return [(feed, hole) for feed, hole in released if hole is not None]


class SeriesFeed:
    """One bar type. Lives in the node's loop; not for other threads.

    Args:
        need: What is needed of the series.
        wanted: Bars to bring.
        expected: What its calendar expects between two moments.
        close_of: Returns when a bar of a ts_event has closed, UTC nanoseconds.
        forward: Passes a live bar on to Nautilus' data engine.
        store: Puts history into Nautilus' cache; takes bars, oldest first.

    Attributes:
        state: What it does with live bars.
        given: Bars of history that were given.
        held_at_most: Live bars that were held at once, at most.
        hole: What is being mended.
        dense: Whether nearly every expected bar of the series is traded, so that one that does not come is missing.
    """

    def __init__(
        self,
        need: Need,
        wanted: int,
        expected: Gap,
        close_of: Callable[[int], int],
        forward: Callable[[Bar], None],
        store: Callable[[list[Bar]], None],
    ) -> None:
        self.need = need
        self.wanted = wanted
        self.state = FeedState.WAITING
        self.gate = BarGate(close_of)
        self.given = 0
        self.held_at_most = 0
        self.hole: Hole | None = None
        self.dense = False
        self._expected = expected
        self._close_of = close_of
        self._forward = forward
        self._store = store
        self._held: list[Bar] = []
        self._given: deque[Bar] = deque(maxlen=wanted)  # history and what was published since: what a late subscriber gets
        self._fed: list[Actor] = []
        self._until_ns: int | None = None  # up to here nothing is missing
        self._seam = False  # the next bar that passes is the first after history

    def gather(self) -> None:
        """Hold live bars from now on: history is on its way."""
        self.state = FeedState.GATHERING

    def live(self, bar: Bar, now_ns: int) -> Hole | None:
        """Take a bar from a data client, and pass it on, hold it or drop it.

        Returns:
            The hole that lies before this bar and should be mended: then it is held, and the caller calls `mended` in the end.
        """
        if self.state in (FeedState.GATHERING, FeedState.MENDING):
            self._held.append(bar)
            self.held_at_most = max(self.held_at_most, len(self._held))
            return None
        hole = self._hole_before(bar)
        if hole is not None:
            self.state, self.hole = FeedState.MENDING, hole
            self._held.append(bar)
            return hole
        self._pass(bar, now_ns)
        return None

    def take(self, bars: list[Bar], until_ns: int | None) -> None:
        """Put history into the cache; `open_together` gives it to subscribers and goes on with live bars.

        Args:
            bars: Oldest first; none where there is no history.
            until_ns: Closes up to here are all in `bars`, UTC nanoseconds.
        """
        self._seam = bool(bars)
        self._until_ns = until_ns if bars else None
        self._keep(bars)
        self.given = len(bars)

    def mended(self, bars: list[Bar], now_ns: int) -> Hole | None:
        """Give the bars that did not come live as history; those that came are left out. Then pass on what was held."""
        first_held = min((bar.ts_event for bar in self._held), default=None)
        newest = self.gate.newest
        missing = [bar for bar in bars if (newest is None or bar.ts_event > newest) and (first_held is None or bar.ts_event < first_held)]
        self._keep(missing)
        for actor in self._fed:
            give(actor, missing)
        # Asked and answered: what is still not there was not traded, or cannot be had. It is not asked for again.
        self._until_ns = first_held
        self.given += len(missing)
        return self.release(now_ns)

    def late(self, actor: Actor) -> None:
        """Give a subscriber that came after the others what they have seen."""
        if self.state in (FeedState.OPEN, FeedState.MENDING) and self.meets(actor):
            give(actor, self._given)

    def meets(self, actor: Actor) -> bool:
        """Take note of a subscriber that has its history; return whether it is new."""
        if any(each is actor for each in self._fed):
            return False
        self._fed.append(actor)
        return True

    def published(self, bar: Bar) -> None:
        """Remember a live bar that subscribers have seen."""
        self._given.append(bar)

    def _keep(self, bars: list[Bar]) -> None:
        if bars:
            self._store(bars)
            self._given.extend(bars)
            self.gate.passed(bars[-1].ts_event)

    def release(self, now_ns: int) -> Hole | None:
        """Pass on the bars that were held, and live ones from now on. As `live`, may return a hole to mend first."""
        self.state, self.hole = FeedState.OPEN, None
        held, self._held = self._held, []
        for i, bar in enumerate(held):
            hole = self.live(bar, now_ns)
            if hole is not None:
                self._held.extend(held[i + 1 :])
                return hole
        return None

    def _pass(self, bar: Bar, now_ns: int) -> None:
        if self.gate.judge(bar.ts_event, now_ns, is_revision=bar.is_revision) is Verdict.PASS:
            self._seam = False
            self._until_ns = self._close_of(bar.ts_event)
            self._forward(bar)

    def _hole_before(self, bar: Bar) -> Hole | None:
        """Return the hole before a bar: at the seam any, later only where the series usually has every bar."""
        newest = self.gate.newest
        if self._until_ns is None or newest is None or bar.ts_event <= newest or not (self._seam or self.dense):
            return None
        after_ns = max(self._until_ns, self._close_of(newest))
        count = self._expected(after_ns, bar.ts_event)
        return Hole(count, after_ns, bar.ts_event) if count else None
