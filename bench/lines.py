"""What a benchmark says: one line a comparison."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Line:
    """One piece of work, ours beside its peer or a goal in seconds.

    Attributes:
        work: What was done.
        ours_s: Seconds that ours took, the best of its rounds.
        peer: What it is compared with; empty where the goal is a time.
        peer_s: Seconds that the peer took.
        goal: The goal, in words.
        met: Whether it was reached; None where there is none.
        note: What must be known to read the line.
    """

    work: str
    ours_s: float
    peer: str = ""
    peer_s: float | None = None
    goal: str = ""
    met: bool | None = None
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """The peer's time divided by ours: above 1, ours is faster."""
        return None if self.peer_s is None else self.peer_s / self.ours_s


def faster(work: str, ours_s: float, peer: str, peer_s: float, times: float, note: str = "") -> Line:
    """Return the line of a goal to be at least `times` as fast as the peer."""
    return Line(work, ours_s, peer, peer_s, f"{times:g} times as fast", peer_s / ours_s >= times, note)


def no_slower(work: str, ours_s: float, peer: str, peer_s: float, times: float, note: str = "") -> Line:
    """Return the line of a goal to take at most `times` the peer's time."""
    return Line(work, ours_s, peer, peer_s, f"at most {times:g} times its time", ours_s / peer_s <= times, note)


def within(work: str, ours_s: float, seconds: float, note: str = "", peer: str = "", peer_s: float | None = None) -> Line:
    """Return the line of a goal in seconds."""
    return Line(work, ours_s, peer, peer_s, f"{seconds * 1_000:g} ms" if seconds < 1 else f"{seconds:g} s", ours_s <= seconds, note)


def best_of(rounds: int, work: Callable[[], object]) -> float:
    """Return the seconds of the fastest of some rounds."""
    best = float("inf")
    for _ in range(rounds):
        gc.collect()
        started = time.perf_counter()
        result = work()
        best = min(best, time.perf_counter() - started)
        del result
    return best
