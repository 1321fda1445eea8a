"""The FX calendar: spot currencies on IBKR's IDEALPRO, read off its bars from 2023-12 to 2025-10, for no library has it."""

from __future__ import annotations

import datetime as dt

import numpy as np
import numpy.typing as npt

from market_data_pipeline.calendars.clocks import days_until, months_and_days, utc_ns, weekdays_of
from market_data_pipeline.domain.bar_table import Int64s
from market_data_pipeline.domain.sessions import SessionCalendar, day_number

TIME_ZONE = "America/New_York"
OPENS = dt.time(17, 15)
CLOSES = dt.time(17)
REOPENS_AFTER_HOLIDAY = dt.time(19)

_LATE_OPENS = {
    # Easter Sunday: the first 15-minute bar closes at 20:15.
    dt.date(2025, 4, 21): dt.time(20),
}
_FRIDAY = 4


def fx_calendar(last_year: int) -> SessionCalendar:
    """Return the sessions of IDEALPRO from 1990 to the end of `last_year`.

    The session of a weekday opens at 17:15 New York on the calendar day before (on Sunday for Monday) and closes at 17:00. New Year's Day
    and Christmas Day are no sessions; the session after such a weekday opens at 19:00 on the holiday itself.
    """
    days = days_until(last_year)
    days = days[(weekdays_of(days) <= _FRIDAY) & ~_is_holiday(days)]
    opens_on = days - 1
    opens = utc_ns(opens_on, OPENS, TIME_ZONE)
    after_holiday = _is_holiday(opens_on) & (weekdays_of(opens_on) <= _FRIDAY)
    opens[after_holiday] = utc_ns(opens_on[after_holiday], REOPENS_AFTER_HOLIDAY, TIME_ZONE)
    for date, clock in _LATE_OPENS.items():
        late = days == day_number(date)
        opens[late] = utc_ns(opens_on[late], clock, TIME_ZONE)
    closes = utc_ns(days, CLOSES, TIME_ZONE)
    return SessionCalendar("FX", TIME_ZONE, days, opens, opens, closes, closes, closes, closes)


def _is_holiday(days: Int64s) -> npt.NDArray[np.bool_]:
    """Return which days are a 1 January or a 25 December."""
    months, of_month = months_and_days(days)
    return np.isin(months * 100 + of_month, (101, 1225))
