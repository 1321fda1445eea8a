"""Time as a venue counts it: the bars that a calendar expects, and when so and so many of them have closed. Pure.

Expected is not traded: a thin series has no bar where nobody traded, and what it lacks is not a hole. What stands here answers how long
something takes, and whether anything can be missing at all.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from market_data_pipeline.domain.aggregation import Grid, closes_of
from market_data_pipeline.domain.bar_table import Int64s
from market_data_pipeline.domain.bar_types import DAY_NS
from market_data_pipeline.domain.sessions import Partitions


class ExpectedBars(NamedTuple):
    """Opens and closes of the bars that a calendar expects, UTC nanoseconds, shape (n,), rising."""

    opens: Int64s
    closes: Int64s


def expected_bars(partitions: Partitions, grid: Grid, hours: str, positions: range) -> ExpectedBars:
    """Return the bars that the calendar expects in some partitions.

    Args:
        partitions: The partitions of the series.
        grid: Where bars begin, of the same calendar and hours.
        hours: `rth`, or `all` with pre-market and post-market hours.
        positions: Which partitions, consecutive.
    """
    if partitions.spec.is_daily_or_longer:
        opens = partitions.days[positions.start : positions.stop] * DAY_NS
        return ExpectedBars(opens, partitions.ends[positions.start : positions.stop])
    parts = [_expected_in(partitions, grid, hours, position) for position in positions]
    if not parts:
        nothing = np.empty(0, dtype=np.int64)
        return ExpectedBars(nothing, nothing)
    return ExpectedBars(np.concatenate([part.opens for part in parts]), np.concatenate([part.closes for part in parts]))


def bars_between(partitions: Partitions, grid: Grid, hours: str, after_ns: int, until_ns: int) -> int:
    """Return how many bars the calendar expects that open at `after_ns` or later and close at `until_ns` or before, UTC nanoseconds."""
    if until_ns <= after_ns:
        return 0
    first, last = partitions.index_of_close(np.array([after_ns + 1, until_ns], dtype=np.int64)).tolist()
    bars = expected_bars(partitions, grid, hours, range(max(first, 0), min(last, len(partitions) - 1) + 1))
    return int(((bars.opens >= after_ns) & (bars.closes <= until_ns)).sum())


def earliest_close(partitions: Partitions, grid: Grid, open_ns: int) -> int:
    """Return when a bar that opened at `open_ns` has surely closed for whoever watches it live, UTC nanoseconds.

    That is the next multiple of its length on the venue's clock. An hour bar that opened at 09:30 is over at 10:00, though it is stamped as closing
    at 10:30 (`aggregation.closes_of`).
    """
    if partitions.spec.is_daily_or_longer:
        return open_ns + DAY_NS
    position = int(np.clip(partitions.index_of_close(np.array([open_ns + 1], dtype=np.int64))[0], 0, len(partitions) - 1))
    length = partitions.spec.length_ns
    return open_ns + length - (open_ns + int(grid.offsets[partitions.calendar_index[position]])) % length


def _expected_in(partitions: Partitions, grid: Grid, hours: str, position: int) -> ExpectedBars:
    i = int(partitions.calendar_index[position])
    calendar, length = partitions.calendar, partitions.spec.length_ns
    start = int(grid.opens[i])
    end = int(calendar.close_ns[i] if hours == "rth" else calendar.end_ns[i])
    pause_start, pause_end = int(calendar.break_start_ns[i]), int(calendar.break_end_ns[i])
    spans = [(start, pause_start), (pause_end, end)] if start < pause_start < pause_end < end else [(start, end)]
    opens = np.concatenate([_opens_in(a, b, length, int(grid.offsets[i])) for a, b in spans])
    return ExpectedBars(opens, closes_of(opens, length, np.full(len(opens), end, dtype=np.int64)))


def _opens_in(start: int, end: int, length: int, offset: int) -> Int64s:
    """Return `start` and every later multiple of the length on the venue's clock before `end`."""
    first_on_clock = start + (-(start + offset)) % length
    on_clock = np.arange(first_on_clock, end, length, dtype=np.int64)
    return on_clock if first_on_clock == start else np.concatenate((np.array([start], dtype=np.int64), on_clock))
