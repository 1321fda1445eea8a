"""Moments that follow a calendar, one a session, and the crons that tick at all of them."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import numpy as np

from market_data_pipeline.domain.bar_table import Int64s
from market_data_pipeline.domain.bar_types import NANOSECONDS
from market_data_pipeline.domain.sessions import date_of

MINUTE_NS = 60 * NANOSECONDS
# Crons are the clock times of these sessions: calendars end with the year after next, so that is some three years back and all to come.
_DAYS_OF_CRONS = 5 * 366


@dataclass(frozen=True)
class Due:
    """A session, and when it is due in the venue's zone."""

    session: dt.date
    at: dt.datetime


@dataclass(frozen=True, eq=False)
class DueTimes:
    """When something is due for each session.

    Attributes:
        days: Day numbers of the sessions, rising; shape (n,).
        due_ns: When each is due, UTC nanoseconds in whole minutes, rising; shape (n,).
        time_zone: IANA name of the venue's zone.
    """

    days: Int64s
    due_ns: Int64s
    time_zone: str

    def session_at(self, tick_ns: int) -> dt.date | None:
        """Return the session that is due in the minute of a tick, UTC nanoseconds, or None. Every session is due in exactly one minute."""
        position = self._newest(tick_ns)
        if position < 0 or tick_ns - int(self.due_ns[position]) >= MINUTE_NS:
            return None
        return date_of(self.days[position])

    def around(self, tick_ns: int) -> tuple[Due | None, Due | None]:
        """Return the session that was due last at a tick, UTC nanoseconds, and the next one; None where the calendar has none."""
        newest = self._newest(tick_ns)
        return (self._due(newest) if newest >= 0 else None, self._due(newest + 1) if newest + 1 < len(self.days) else None)

    def crons(self) -> set[str]:
        """Return crons, in the venue's zone, that tick whenever a session is due; at some of their ticks none is."""
        zone = ZoneInfo(self.time_zone)
        weekdays: dict[tuple[int, int], set[int]] = defaultdict(set)
        for due in self.due_ns[self.days > self.days[-1] - _DAYS_OF_CRONS].tolist():
            clock = _clock(due, zone)
            weekdays[clock.hour, clock.minute].add(clock.isoweekday() % 7)  # cron's Sunday is 0
        return {f"{minute} {hour} * * {_days(found)}" for (hour, minute), found in weekdays.items()}

    def _newest(self, tick_ns: int) -> int:
        return int(np.searchsorted(self.due_ns, tick_ns, side="right")) - 1

    def _due(self, position: int) -> Due:
        return Due(date_of(self.days[position]), _clock(int(self.due_ns[position]), ZoneInfo(self.time_zone)))


def _clock(ns: int, zone: ZoneInfo) -> dt.datetime:
    return dt.datetime.fromtimestamp(ns // NANOSECONDS, zone)


def _days(weekdays: set[int]) -> str:
    numbers = sorted(weekdays)
    if len(numbers) == 7:
        return "*"
    together = len(numbers) > 2 and numbers[-1] - numbers[0] == len(numbers) - 1
    return f"{numbers[0]}-{numbers[-1]}" if together else ",".join(map(str, numbers))
