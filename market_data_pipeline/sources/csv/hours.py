"""The hours in which a venue trades, as intervals that bars have to lie in: what hypotheses about zone and stamp are held against."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from market_data_pipeline.domain.bar_table import Int64s
from market_data_pipeline.domain.bar_types import DAY_NS, NANOSECONDS
from market_data_pipeline.domain.sessions import Partitions, SessionCalendar
from market_data_pipeline.tabular.zones import to_utc

_HOUR_NS = 3_600 * NANOSECONDS
_WEEK_DAYS = 7
_CURRENCY_WEEK = "the currency week (Sunday 17:00 to Friday 17:00 New York)"


@dataclass(frozen=True, eq=False)
class Hours:
    """Intervals of trading; arrays of shape (n,), oldest first, apart from each other.

    Attributes:
        name: In words.
        starts: int64 UTC nanoseconds.
        ends: int64 UTC nanoseconds.
    """

    name: str
    starts: Int64s
    ends: Int64s


@dataclass(frozen=True)
class VenueHours:
    """What is known of a venue's hours.

    Attributes:
        widest: Outside these nothing trades; None where the venue never shuts.
        usual: Hours that files are cut to, the widest among them.
        zone: The venue's time zone.
        is_currency: True for currencies: their files may come from anybody, and from the clock of anybody.
    """

    widest: Hours | None
    usual: tuple[Hours, ...]
    zone: str
    is_currency: bool


def hours_of(partitions: Partitions, first_ns: int, last_ns: int) -> VenueHours:
    """Return a venue's hours around [first, last], UTC nanoseconds."""
    calendar = partitions.calendar
    around = slice(*np.searchsorted(calendar.end_ns, [first_ns - 10 * DAY_NS, last_ns + 10 * DAY_NS]))
    if calendar.name == "FX":
        week = _currency_weeks(first_ns, last_ns)
        return VenueHours(
            week, (_named("IDEALPRO's days (17:15 to 17:00 New York)", calendar, "open_ns", "close_ns", around),), calendar.time_zone, True
        )
    pairs = (
        ("regular hours", "open_ns", "close_ns"),
        ("extended hours", "pre_ns", "end_ns"),
        ("pre-market and regular hours", "pre_ns", "close_ns"),
        ("regular and post-market hours", "open_ns", "end_ns"),
    )
    usual = {name: _named(name, calendar, start, end, around) for name, start, end in pairs}
    widest = _joined(usual["extended hours"])
    if len(widest.starts) <= 1:
        return VenueHours(None, (), calendar.time_zone, False)
    return VenueHours(widest, tuple(usual.values()), calendar.time_zone, False)


def _named(name: str, calendar: SessionCalendar, start: str, end: str, around: slice) -> Hours:
    return Hours(name, getattr(calendar, start)[around], getattr(calendar, end)[around])


def _joined(hours: Hours) -> Hours:
    """Return the hours with intervals that touch made one."""
    apart = hours.starts[1:] > hours.ends[:-1]
    if not len(hours.starts):
        return hours
    return Hours(hours.name, hours.starts[np.append(True, apart)], hours.ends[np.append(apart, True)])


def _currency_weeks(first_ns: int, last_ns: int) -> Hours:
    """Return Sunday 17:00 to Friday 17:00 New York of each week, holidays included: brokers differ about those."""
    sunday = (first_ns // DAY_NS + 4) // _WEEK_DAYS * _WEEK_DAYS - 4 - _WEEK_DAYS  # 1970-01-04 was a Sunday, day 3
    sundays = np.arange(sunday, last_ns // DAY_NS + 2 * _WEEK_DAYS, _WEEK_DAYS, dtype=np.int64)
    start, end = sundays * DAY_NS + 17 * _HOUR_NS, (sundays + 5) * DAY_NS + 17 * _HOUR_NS
    return Hours(_CURRENCY_WEEK, to_utc("America/New_York", start).first, to_utc("America/New_York", end).first)
