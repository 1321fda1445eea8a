"""Trading calendars of venues, and the partitions of a series.

    calendar_of_venue("NASDAQ").days_between(date(2024, 1, 1), date(2024, 1, 31))   # 21 sessions
    partitions_of(Series.parse("AAPL.NASDAQ-1-MINUTE-LAST-EXTERNAL")).window(date(2024, 1, 5))

What `config/calendar_overrides.yaml` says wins over what is published, from the moment at which it is written. Calendars begin in 1990 and end with
the year after next. Importing this package, and asking for a calendar that is cached on disk, imports
no pandas.
"""

from __future__ import annotations

import datetime as dt
from functools import lru_cache

from market_data_pipeline.calendars.cache import cache_file, read_cached, write_cached
from market_data_pipeline.calendars.crypto import crypto_calendar
from market_data_pipeline.calendars.fx import fx_calendar
from market_data_pipeline.calendars.overrides import Mark, current_mark, overridden, overrides_of
from market_data_pipeline.calendars.venues import CALENDAR_NAMES, VENUES, calendar_name_of_venue, check_calendar_name
from market_data_pipeline.domain.bar_types import BarSpec, Series
from market_data_pipeline.domain.sessions import CALENDAR_ARRAYS, Partitions, SessionCalendar

__all__ = [
    "CALENDAR_NAMES",
    "VENUES",
    "calendar_name_of_venue",
    "calendar_named",
    "calendar_of_venue",
    "partitions_of",
    "published_calendar_of_venue",
]

_YEARS_AHEAD = 2


def calendar_named(name: str) -> SessionCalendar:
    """Return one of our calendars (`CALENDAR_NAMES`), the same object on every call until its overrides change.

    Raises:
        UnknownVenue: If there is none of that name.
        ConfigurationError: If the file of overrides is wrong.
    """
    check_calendar_name(name)
    return _calendar(name, _last_year(), current_mark())


def calendar_of_venue(venue: str) -> SessionCalendar:
    """Return the calendar of a venue, as `calendar_named` does.

    Raises:
        UnknownVenue: If the venue is not in `VENUES`.
        ConfigurationError: If the file of overrides is wrong.
    """
    return calendar_named(calendar_name_of_venue(venue))


def published_calendar_of_venue(venue: str) -> SessionCalendar:
    """Return the calendar of a venue without overrides, the same object on every call.

    Raises:
        UnknownVenue: If the venue is not in `VENUES`.
    """
    return _as_published(calendar_name_of_venue(venue), _last_year())


def partitions_of(series: Series) -> Partitions:
    """Return the partitions of a series: which dates carry bars, and the window of each. All series of a calendar and spec share them.

    Raises:
        UnknownVenue: If the venue of the series is not in `VENUES`.
        ConfigurationError: If the file of overrides is wrong.
    """
    return _partitions(calendar_name_of_venue(series.venue), series.spec, _last_year(), current_mark())


def _last_year() -> int:
    """Return the last year that calendars cover; a process that lives past New Year gets the next one."""
    return dt.datetime.now(dt.UTC).year + _YEARS_AHEAD


@lru_cache(maxsize=256)
def _partitions(name: str, spec: BarSpec, last_year: int, mark: Mark | None) -> Partitions:
    return _partitions_on(_calendar(name, last_year, mark), spec)


@lru_cache(maxsize=256)
def _partitions_on(calendar: SessionCalendar, spec: BarSpec) -> Partitions:
    return Partitions.of(calendar, spec)


@lru_cache(maxsize=32)
def _calendar(name: str, last_year: int, mark: Mark | None) -> SessionCalendar:
    published = _as_published(name, last_year)
    overrides = overrides_of(mark).get(name) if mark is not None else None
    return published if overrides is None else _shared(overridden(published, overrides))


@lru_cache(maxsize=32)
def _as_published(name: str, last_year: int) -> SessionCalendar:
    if name == "FX":
        return _shared(fx_calendar(last_year))
    if name == "CRYPTO":
        return _shared(crypto_calendar(last_year))
    return _shared(_published(name, last_year))


def _shared(calendar: SessionCalendar) -> SessionCalendar:
    """Return a calendar that nobody can change: one object for the whole process."""
    for name_of_array in CALENDAR_ARRAYS:
        getattr(calendar, name_of_array).setflags(write=False)
    return calendar


def _published(name: str, last_year: int) -> SessionCalendar:
    file = cache_file(name, last_year)
    cached = read_cached(file, name) if file else None
    if cached:
        return cached
    from market_data_pipeline.calendars.published import published_calendar

    calendar = published_calendar(name, last_year)
    if file:
        write_cached(file, calendar)
    return calendar
