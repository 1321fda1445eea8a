"""Time that neither stands still for hours nor jumps: what the windows of pacing are measured in.

The wall clock is set by people and by NTP. On one host there is a better one that all its processes share: the time since the boot, which
counts through a suspend and is never set. A database for several hosts has only its wall clock; there a step shows against the steady clock
of a process that looked before.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

# Linux counts a suspend here only; other systems count it in their monotonic clock, or not at all, which makes nothing go early.
_BOOT_CLOCK: int | None = getattr(time, "CLOCK_BOOTTIME", None)
_TOLERANCE_NS = 1_000_000_000
_DRIFT = 0.001


def since_boot_ns() -> int:
    """Return nanoseconds of a clock that all processes of this host share and nobody sets."""
    return time.monotonic_ns() if _BOOT_CLOCK is None else time.clock_gettime_ns(_BOOT_CLOCK)


@dataclass(frozen=True)
class Timeline:
    """The time of a pacing table: what a clock reads, plus an offset that takes its steps out. It never runs back.

    Attributes:
        epoch: Which clock the offset belongs to: another boot of the host is another clock.
        offset_ns: What is added to a reading.
        now_ns: The time of the last look.
    """

    epoch: str
    offset_ns: int
    now_ns: int

    def at(self, reading_ns: int, epoch: str, at_most_ns: int | None = None) -> Timeline:
        """Return the timeline at a new reading of the clock.

        Where the clock was set back, or is another one, time goes on from the last look: what passed since is not counted, so nothing goes
        early, and nothing waits for longer than a window. Where it ran further than it can have, the surplus is taken out.

        Args:
            reading_ns: What the clock reads.
            epoch: Which clock it is.
            at_most_ns: The latest time that it can be, where that is known.
        """
        now_ns = reading_ns + self.offset_ns
        if epoch != self.epoch or now_ns < self.now_ns:
            now_ns = self.now_ns
        elif at_most_ns is not None and now_ns > max(at_most_ns, self.now_ns):
            now_ns = max(at_most_ns, self.now_ns)
        return replace(self, epoch=epoch, offset_ns=now_ns - reading_ns, now_ns=now_ns)


class Watch:
    """Says how late it can be at most on a timeline, by the steady clock of this process since its last look."""

    def __init__(self) -> None:
        self._last: tuple[int, int] | None = None

    def at_most_ns(self) -> int | None:
        """Return the latest time that it can be; None before the first look."""
        if self._last is None:
            return None
        seen_ns, steady_ns = self._last
        passed_ns = since_boot_ns() - steady_ns
        return seen_ns + passed_ns + round(passed_ns * _DRIFT) + _TOLERANCE_NS

    def saw(self, now_ns: int) -> None:
        """Remember the time of a look."""
        self._last = (now_ns, since_boot_ns())
