"""The crypto calendar: UTC days, every day."""

from __future__ import annotations

from market_data_pipeline.calendars.clocks import days_until
from market_data_pipeline.domain.bar_types import DAY_NS
from market_data_pipeline.domain.sessions import SessionCalendar


def crypto_calendar(last_year: int) -> SessionCalendar:
    """Return one session for each UTC day from 1990 to the end of `last_year`, midnight to midnight."""
    days = days_until(last_year)
    opens, closes = days * DAY_NS, (days + 1) * DAY_NS
    return SessionCalendar("CRYPTO", "UTC", days, opens, opens, closes, closes, closes, closes)
