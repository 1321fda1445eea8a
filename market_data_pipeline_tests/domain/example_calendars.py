"""Small calendars made by hand, so that domain tests need no published one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from market_data_pipeline.domain.bar_types import BarSpec
from market_data_pipeline.domain.sessions import Partitions, SessionCalendar, day_number
from market_data_pipeline_tests.instants import dates, ns

# Two weeks of January 2024 and the Thursday before; Monday the 15th was a holiday, Friday the 12th closes early here.
DATES = "2024-01-04 2024-01-05 2024-01-08 2024-01-09 2024-01-10 2024-01-11 2024-01-12 2024-01-16 2024-01-17 2024-01-18 2024-01-19"


def example_calendar(pause: Sequence[str] = ("21:00", "21:00")) -> SessionCalendar:
    """Return sessions in UTC: pre-market 09:00, open 14:30, close 21:00 (18:00 on the 12th), end of post-market 22:00; a pause if given."""
    sessions = dates(DATES)

    def at(clock: str) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        return np.array([ns(f"{date} {clock}") for date in sessions], dtype=np.int64)

    closes = at("21:00")
    closes[6] = ns("2024-01-12 18:00")
    days = np.array([day_number(date) for date in sessions], dtype=np.int64)
    return SessionCalendar("EXAMPLE", "UTC", days, at("09:00"), at("14:30"), closes, at("22:00"), at(pause[0]), at(pause[1]))


def example_partitions(spec: str = "1-MINUTE-LAST", pause: Sequence[str] = ("21:00", "21:00")) -> Partitions:
    """Return the partitions of a bar spec on `example_calendar`."""
    return Partitions.of(example_calendar(pause), BarSpec.parse(spec))
