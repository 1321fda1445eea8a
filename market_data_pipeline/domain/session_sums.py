"""What two stores of one series can be compared by, session by session, without moving the bars: count, sums, and a digest of every value."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True)
class SessionSums:
    """One session of one series.

    Attributes:
        session: Its date.
        rows: Bars.
        sums: Exact sums of open, high, low, close, volume.
        digest: MD5, 32 hex digits, of one line a bar in order of time: `close,open,high,low,close,volume`, the close in microseconds since
            1970 UTC and the values in units of the last decimal, lines joined by a line feed. MD5 because every server has it; it guards
            against accidents, not against forgery.
    """

    session: dt.date
    rows: int
    sums: tuple[Decimal, ...]
    digest: str

    def difference(self, other: SessionSums) -> str | None:
        """Return the first thing that differs: `rows`, `open`, …, `values`; None where nothing does."""
        if self.rows != other.rows:
            return "rows"
        for name, mine, theirs in zip(("open", "high", "low", "close", "volume"), self.sums, other.sums, strict=True):
            if mine != theirs:
                return name
        return None if self.digest == other.digest else "values"
