"""When a session is over for somebody who fetches only some of its hours."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from market_data_pipeline.domain.bar_table import Int64s
from market_data_pipeline.domain.sessions import Partitions

# Calendars whose regular close is that of every instrument. Products of a Globex exchange stop at hours of their own on holidays, and the
# calendar's regular close is that of the main ones: there a session is over with its window.
_ONE_CLOSE_FOR_ALL = ("NYSE",)


@lru_cache(maxsize=64)
def ends_as_fetched(partitions: Partitions, hours: str) -> Int64s:
    """Return from when on each partition can be had whole, UTC nanoseconds, shape (n,).

    For `rth` on NYSE that is the regular close: 16:00 New York, 13:00 on early closes. For everything else it is the end of the session's
    window, which holds its post-market hours, or of the session where a date that day bars are stamped to ends before.

    Args:
        partitions: The partitions of a series.
        hours: `rth`, or `all` with pre-market and post-market hours.
    """
    calendar, sessions = partitions.calendar, partitions.calendar_index
    if hours == "rth" and calendar.name in _ONE_CLOSE_FOR_ALL:
        ends = calendar.close_ns[sessions]
    else:
        ends = np.maximum(partitions.ends, calendar.end_ns[sessions])
    ends.setflags(write=False)  # shared by all who ask
    return ends


def over_at(partitions: Partitions, hours: str, now_ns: int) -> int:
    """Return how many partitions can be had whole at `now_ns`, UTC nanoseconds: positions below it are over."""
    return int(np.searchsorted(ends_as_fetched(partitions, hours), now_ns, side="right"))
