"""Coarser bars made of finer ones: exact in price and volume, aligned as Interactive Brokers aligns its own.

A bar within a day begins at a multiple of its length on the clock of its venue, and where a session or a pause makes it:

    09:30     10:00            11:00            12:00   New York
      ├─ half ──┼───── hour ─────┼───── hour ─────┤     hours of a stock's regular session
    17:15     18:00            19:00                    hours of a currency's session

Bars of a day and longer are made of whole sessions. A bar in which nothing was traded is absent, as it is at the broker's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from market_data_pipeline.domain.bar_table import BarTable, Int64s
from market_data_pipeline.domain.bar_types import DAY_NS
from market_data_pipeline.domain.sessions import Partitions


@dataclass(frozen=True, eq=False)
class Grid:
    """Where bars of a calendar may begin; arrays over its sessions, shape (n,), int64 nanoseconds.

    Attributes:
        opens: UTC, the first moment of each session at which a bar may begin.
        resumes: UTC, the end of its inner pause; its open where there is none.
        offsets: What clocks of the venue's zone are ahead of UTC during the session.
    """

    opens: Int64s
    resumes: Int64s
    offsets: Int64s


def closes_of(opens: Int64s, length_ns: int, ends: Int64s) -> Int64s:
    """Return the close (`ts_init`) of bars within a day, UTC nanoseconds, shape (n,).

    A bar closes its length after it opens, but never after its session has: an hour bar that opens half an hour before the end is half an hour
    long. One that begins at an odd opening is stamped with its full length too, so it is seen late, never early; but where that would be the moment
    at which the bar after it closes (09:30 and 12:00 of 4 hours on an early close at 13:00), it closes when that one opens.

    Args:
        opens: UTC nanoseconds, never falling.
        length_ns: Length of the bars.
        ends: UTC nanoseconds at which the hours of each bar's session end.
    """
    closes = np.minimum(opens + length_ns, ends)
    together = (closes[:-1] == closes[1:]) & (opens[:-1] < opens[1:])
    closes[:-1][together] = opens[1:][together]
    return closes


def ends_of(opens: Int64s, positions: Int64s, partitions: Partitions, hours: str) -> Int64s:
    """Return when the hours end in which each bar opens, UTC nanoseconds: the regular close for `rth`, else the end of the session's window.

    A bar that opens after the regular close is none of the regular hours, and its session's end binds it.
    """
    ends = partitions.ends[positions]
    if hours == "rth":
        closes = partitions.calendar.close_ns[partitions.calendar_index[positions]]
        ends = np.where(opens < closes, closes, ends)
    return ends


def aggregate(bars: BarTable, finer: Partitions, coarser: Partitions, grid: Grid, hours: str) -> BarTable:
    """Return coarser bars made of finer ones: the first open, highest high, lowest low, last close, and the sum of volumes.

    Args:
        bars: Finer bars of whole sessions, ordered.
        finer: Their partitions.
        coarser: The partitions of the bars that are made, of the same calendar.
        grid: Where bars begin; for hours `hours` of that calendar.
        hours: `rth`, or `all`: the hours of the finer bars.
    """
    if not len(bars):
        return bars
    sessions = _sessions_of(bars.ts_init, finer)
    if coarser.spec.is_daily_or_longer:
        labels = np.searchsorted(coarser.days, finer.days[sessions]).astype(np.int64)
        first = _first_of_groups(labels)
        opens = coarser.days[labels[first]] * DAY_NS
        return _joined(bars, first, opens, opens + DAY_NS - 1)
    starts = _starts(bars.ts_event, sessions, coarser, grid)
    first = _first_of_groups(sessions, starts)
    opens, at = starts[first], sessions[first]
    return _joined(bars, first, opens, closes_of(opens, coarser.spec.length_ns, ends_of(opens, at, coarser, hours)))


def _sessions_of(closes: Int64s, partitions: Partitions) -> Int64s:
    """Return the partition of each bar by its close: few ends are looked up among many bars, much faster than the reverse."""
    first, last = partitions.index_of_close(closes[[0, -1]]).tolist()
    edges = np.searchsorted(closes, partitions.ends[first:last], side="right")
    return np.repeat(np.arange(first, last + 1), np.diff(edges, prepend=0, append=len(closes)))


def _starts(opens: Int64s, positions: Int64s, coarser: Partitions, grid: Grid) -> Int64s:
    """Return where the coarser bar begins in which each finer one opens, UTC nanoseconds."""
    at, length = coarser.calendar_index[positions], coarser.spec.length_ns
    local = opens + grid.offsets[at]
    on_clock = opens - local % length
    begins = np.where(opens >= grid.resumes[at], grid.resumes[at], grid.opens[at])
    # Bars outside the calendar's hours are nothing that a session made to begin; they stay in its window.
    begins = np.where(opens >= begins, begins, coarser.starts[positions])
    return np.minimum(np.maximum(on_clock, begins), opens)


def _first_of_groups(*keys: Int64s) -> Int64s:
    """Return the positions at which one of the keys changes, the first included."""
    changes = np.zeros(len(keys[0]), dtype=np.bool_)
    changes[0] = True
    for key in keys:
        changes[1:] |= key[1:] != key[:-1]
    return np.flatnonzero(changes)


def _joined(bars: BarTable, first: Int64s, opens: Int64s, closes: Int64s) -> BarTable:
    last = np.append(first[1:], len(bars)) - 1
    return BarTable(
        open=bars.open[first],
        high=np.maximum.reduceat(bars.high, first),
        low=np.minimum.reduceat(bars.low, first),
        close=bars.close[last],
        volume=np.add.reduceat(bars.volume, first),
        ts_event=opens,
        ts_init=closes,
        price_precision=bars.price_precision,
        size_precision=bars.size_precision,
    )
