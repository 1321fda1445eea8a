"""Which sessions hold the newest closed bars of a series before a moment, and which of them would leave a hole. Pure: no clock, no I/O.

    sessions   ┆ Wed  whole ┆ Thu  missing ┆ Fri  trading ┆
               ├────────────┼──────────────┼───── now     │
    reach      ┆      ◀─────┼──────────────┼───────●      ┆   back until the bars are enough
    to ask     ┆            ┆      ■       ┆    ■         ┆   whatever would leave a hole

Indicators over a hole are wrong, so only bars after the newest hole can be used. Thin trading is no hole: where a source answered for a whole
session, the bars that it did not give were never traded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from statistics import median

import numpy as np

from market_data_pipeline.calendars.grids import grid_of
from market_data_pipeline.domain.bar_table import BarTable, Int64s
from market_data_pipeline.domain.coverage import Coverage
from market_data_pipeline.domain.sessions import Partitions
from market_data_pipeline.domain.trading_time import expected_bars
from market_data_pipeline.ingest.modes import newest_with_bars
from market_data_pipeline.sources.ibkr.settings import Hours

_NEAR = 20  # sessions that say how much of the time usually has bars
_LEAST_SHARE = 0.002  # of a series without any bars so far


class Schedule:
    """When the bars of a series close if every interval trades.

    Args:
        partitions: The partitions of the series.
        hours: Regular hours, or all with pre-market and post-market hours.
    """

    def __init__(self, partitions: Partitions, hours: Hours) -> None:
        self.partitions = partitions
        self.hours = hours
        calendar, at = partitions.calendar, partitions.calendar_index
        self._ends = (calendar.close_ns if hours is Hours.RTH else calendar.end_ns)[at]
        self._closes = lru_cache(maxsize=1_024)(self._laid_out)

    def newest(self, now_ns: int) -> int:
        """Return the position of the newest session of which a bar may have closed at `now_ns`, UTC nanoseconds; -1 if there is none."""
        return newest_with_bars(self.partitions, self.hours, now_ns)

    def closes(self, position: int) -> Int64s:
        """Return from when on each bar of a session changes no more, UTC nanoseconds, rising. Bars of a day and longer: when their session ends."""
        return self._closes(position)

    def _laid_out(self, position: int) -> Int64s:
        end_ns = int(self._ends[position])
        if self.partitions.spec.is_daily_or_longer:
            return np.array([end_ns], dtype=np.int64)
        return expected_bars(self.partitions, grid_of(self.partitions.calendar, self.hours), self.hours, range(position, position + 1)).closes

    def closed(self, position: int, now_ns: int) -> int:
        """Return how many bars of a session have closed at `now_ns`, UTC nanoseconds, if every interval trades."""
        return int(np.searchsorted(self.closes(position), now_ns, side="right"))

    def closed_at(self, bars: BarTable) -> Int64s:
        """Return from when on each of some bars changes no more, UTC nanoseconds; a day bar is stamped to the end of its date."""
        if not self.partitions.spec.is_daily_or_longer or not len(bars):
            return bars.ts_init
        positions = np.clip(self.partitions.index_of_close(bars.ts_init), 0, len(self.partitions) - 1)
        return self._ends[positions]

    def nth_close_after(self, now_ns: int, bars: int) -> int | None:
        """Return when the `bars`-th bar from now on closes, UTC nanoseconds; None where that lies beyond the calendar's years."""
        for position in range(max(self.newest(now_ns), 0), len(self.partitions)):
            closes = self.closes(position)
            coming = closes[np.searchsorted(closes, now_ns, side="right") :]
            if len(coming) >= bars:
                return int(coming[bars - 1])
            bars -= len(coming)
        return None


@dataclass(frozen=True)
class Held:
    """What is at hand of one session.

    Attributes:
        coverage: What is known of it.
        bars: Its bars.
        last_close_ns: Close of the last one, UTC nanoseconds; None without bars.
        until_ns: Of a partial session, up to when all its bars are there as far as anybody knows; None where it may have a hole anywhere.
    """

    coverage: Coverage
    bars: int
    last_close_ns: int | None = None
    until_ns: int | None = None


@dataclass(frozen=True)
class Reach:
    """Sessions that hold the newest bars.

    Attributes:
        positions: Their partitions, oldest first.
        bars: How many closed bars they are expected to hold; of stored sessions as many as are stored.
        is_limited: True where they are not expected to hold enough, and further back is not gone.
    """

    positions: range
    bars: int
    is_limited: bool


@dataclass(frozen=True, eq=False)
class Situation:
    """What is at hand of a series at a moment.

    Attributes:
        schedule: When its bars close.
        held: What is at hand, by partition.
        now_ns: The moment, UTC nanoseconds.
    """

    schedule: Schedule
    held: Mapping[int, Held]
    now_ns: int

    def reach(self, wanted: int, lookback: int) -> Reach:
        """Return which sessions hold the newest `wanted` closed bars, going back `lookback` sessions at most.

        Sessions that are not at hand count what they usually hold.
        """
        newest, share = self.schedule.newest(self.now_ns), self.usual_share()
        oldest = max(0, newest - lookback + 1)
        found, first = 0.0, newest + 1
        while first > oldest and round(found) < wanted:
            first -= 1
            found += self._about(first, share)
        return Reach(range(first, newest + 1), round(found), is_limited=round(found) < wanted)

    def _about(self, position: int, share: float) -> float:
        closed, held = self.schedule.closed(position, self.now_ns), self.held.get(position)
        if held is None:
            return share * closed
        if held.last_close_ns is not None and held.last_close_ns > self.now_ns and not self.schedule.partitions.spec.is_daily_or_longer:
            return 0  # stored since: nobody knows how many of its bars had closed at that moment
        if held.coverage.is_gap:
            return max(min(held.bars, closed), share * closed)
        return held.bars if closed == len(self.schedule.closes(position)) else min(held.bars, closed)

    def usual_share(self) -> float:
        """Return how much of the time usually has bars, from nearly 0 to 1, after the sessions that are held whole; 1 where none is."""
        shares = self._shares()
        traded = [share for share in shares if share]
        return max(self.traded_share() * len(traded) / len(shares), _LEAST_SHARE) if shares else 1.0

    def traded_share(self) -> float:
        """Return the same of sessions that have any bars; 1 where none has."""
        return median([share for share in self._shares() if share] or [1.0])

    def _shares(self) -> list[float]:
        whole = sorted((position for position, held in self.held.items() if not held.coverage.is_gap), reverse=True)[:_NEAR]
        return [min(1.0, self.held[position].bars / len(self.schedule.closes(position))) for position in whole]

    def is_continuous(self, position: int) -> bool:
        """Return whether every bar of a session that has closed is at hand, as far as anybody knows."""
        closed, held = self.schedule.closed(position, self.now_ns), self.held.get(position)
        if not closed:
            return True
        if held is None or not held.coverage.is_gap:
            return held is not None
        return held.until_ns is not None and self.schedule.closed(position, held.until_ns) >= closed

    def broken(self, positions: range) -> list[int]:
        """Return those of some sessions that leave a hole, oldest first."""
        return [position for position in positions if not self.is_continuous(position)]

    def at_hand(self, positions: range) -> int:
        """Return how many closed bars of some sessions are at hand, whether or not there is a hole between them."""
        held = {position: self.held[position].bars for position in positions if position in self.held}
        return sum(min(bars, self.schedule.closed(position, self.now_ns)) for position, bars in held.items())

    def hole(self, positions: range) -> Hole | None:
        """Return the newest hole of some sessions: neighbours that are not at hand count as one; None where there is none."""
        broken = self.broken(positions)
        if not broken:
            return None
        last = first = broken[-1]
        while first - 1 in broken:
            first -= 1
        missing = [self._absent(position) for position in range(first, last + 1)]
        opens = int(missing[0][0]) if len(missing[0]) else int(self.schedule.closes(first)[0])
        if not self.schedule.partitions.spec.is_daily_or_longer:
            opens -= self.schedule.partitions.spec.length_ns
        ends = min(self.now_ns, int(self.schedule.closes(last)[-1]))
        before = any(held.bars for position, held in self.held.items() if position <= last)
        return Hole(range(first, last + 1), max(1, sum(map(len, missing))), opens, ends, before)

    def _absent(self, position: int) -> Int64s:
        """Return when the bars of a session that are not at hand closed, as many as can be told: those after the last one that is there."""
        closes, held = self.schedule.closes(position), self.held.get(position)
        after = 0 if held is None or held.last_close_ns is None else int(np.searchsorted(closes, held.last_close_ns, side="right"))
        return closes[after : self.schedule.closed(position, self.now_ns)]


@dataclass(frozen=True)
class Hole:
    """Bars that are not at hand; what is before them cannot be used.

    Attributes:
        positions: The sessions in which they are.
        bars: How many, if every interval traded.
        start_ns: From when on, UTC nanoseconds.
        end_ns: Until when.
        has_bars_before: Whether there are bars before it, or in its sessions.
    """

    positions: range
    bars: int
    start_ns: int
    end_ns: int
    has_bars_before: bool = True
