"""Where bars of an intraday size begin: on the clock of their venue's zone, and where a session or a pause makes them."""

from __future__ import annotations

import datetime as dt
from functools import lru_cache

import numpy as np

from market_data_pipeline.calendars.clocks import utc_ns
from market_data_pipeline.domain.aggregation import Grid
from market_data_pipeline.domain.bar_types import DAY_NS
from market_data_pipeline.domain.sessions import SessionCalendar

_NOON = dt.time(12)
# IBKR gives contracts of these exchanges in New York time, though their calendars keep Chicago's. It matters for bars of 2 hours and more.
_IN_NEW_YORK = ("NYMEX", "COMEX")


@lru_cache(maxsize=32)
def grid_of(calendar: SessionCalendar, hours: str) -> Grid:
    """Return where bars of a calendar begin.

    Args:
        calendar: The calendar.
        hours: `rth`, or `all` with pre-market hours, in which bars may begin before the regular open.
    """
    zone = "America/New_York" if calendar.name in _IN_NEW_YORK else calendar.time_zone
    opens = calendar.open_ns if hours == "rth" else calendar.pre_ns
    # Where there is no pause, its end is a moment of no meaning, and may lie outside the session.
    resumes = np.where(calendar.break_end_ns > calendar.break_start_ns, calendar.break_end_ns, opens)
    offsets = calendar.days * DAY_NS + DAY_NS // 2 - utc_ns(calendar.days, _NOON, zone)
    return Grid(opens, resumes, offsets)
