"""Instants as a person writes them, for expected values."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from zoneinfo import ZoneInfo

NEW_YORK = "America/New_York"
CHICAGO = "America/Chicago"


def ns(text: str, zone: str = "UTC") -> int:
    """Return UTC nanoseconds of a local time, `2024-01-05 09:30` (seconds optional), in a zone."""
    moment = dt.datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(dt.UTC)
    return (moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1) * 1_000


def dates(text: str, year: int | None = None) -> list[dt.date]:
    """Return the dates of a space-separated list, `01-15` of a year or `2024-01-15`."""
    return [dt.date.fromisoformat(f"{year}-{part}" if year else part) for part in text.split()]


def weekdays(first: dt.date, last: dt.date) -> set[dt.date]:
    """Return Mondays to Fridays in [first, last]."""
    return {day for day in days(first, last) if day.weekday() < 5}


def days(first: dt.date, last: dt.date) -> Iterable[dt.date]:
    """Yield every day in [first, last]."""
    return (first + dt.timedelta(i) for i in range((last - first).days + 1))
