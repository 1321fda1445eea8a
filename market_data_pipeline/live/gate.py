"""Lets each bar of a series pass once, in order, and closed. Knows no Nautilus: it judges time stamps.

  history            held while history comes        live
──────────────────┬──────────────────────────────┬───────────▶ ts_event
 1  2  3  4  5  6 │  5  6  7                     │  8  9  (10)
                  │  ╰──╯ were in the history    │      forming: dropped, it comes again when it has closed

Bars are told apart by ts_event: the ts_init of a live bar is when it arrived.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

# A bar that a gateway sends at its very close may reach a machine whose clock is behind.
CLOCK_SLACK_NS = 2_000_000_000


class Verdict(StrEnum):
    """What a gate says of a bar."""

    PASS = "pass"
    SEEN = "seen"  # this ts_event, or a later one, has passed
    FORMING = "forming"  # its time is not over, or it is a revision of one that is not


@dataclass
class BarGate:
    """The gate of one series.

    Attributes:
        close_of: Returns when a bar of this ts_event has closed, UTC nanoseconds; None where nothing forming can come but revisions.
        newest: ts_event of the newest bar that has passed, UTC nanoseconds; None before the first.
        seen: Bars turned away because they had passed before.
        forming: Bars turned away because they had not closed.
    """

    close_of: Callable[[int], int] | None = None
    newest: int | None = None
    seen: int = 0
    forming: int = 0

    def judge(self, ts_event: int, now_ns: int, *, is_revision: bool = False) -> Verdict:
        """Return whether a bar may pass; one that may counts as passed.

        Args:
            ts_event: Its open, UTC nanoseconds. A live bar's ts_init is when it arrived, so it tells no bar from another.
            now_ns: The time, UTC nanoseconds.
            is_revision: Whether Nautilus calls it a revision: the state of a bar that may change again.
        """
        if self.newest is not None and ts_event <= self.newest:
            self.seen += 1
            return Verdict.SEEN
        if is_revision or (self.close_of is not None and self.close_of(ts_event) > now_ns + CLOCK_SLACK_NS):
            self.forming += 1
            return Verdict.FORMING
        self.newest = ts_event
        return Verdict.PASS

    def passed(self, ts_event: int) -> None:
        """Count bars up to this ts_event, UTC nanoseconds, as passed."""
        self.newest = ts_event if self.newest is None else max(self.newest, ts_event)
