"""Sessions of our calendar against those that somebody else tells of the same venue. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from market_data_pipeline.domain.sessions import SessionCalendar, date_of


@dataclass(frozen=True)
class TradingHours:
    """When a session opens and closes, UTC nanoseconds."""

    open_ns: int
    close_ns: int


class Differs(StrEnum):
    """How a session differs."""

    ONLY_OURS = "only ours"  # the other tells of no session on that date
    ONLY_THEIRS = "only theirs"
    HOURS = "hours"  # both have it, with another open or close


@dataclass(frozen=True)
class CalendarDifference:
    """A date on which the calendars say different things.

    Attributes:
        date: The session's date.
        kind: How they differ.
        ours: Our hours; None where we have no session.
        theirs: Those of the other; None where it has none.
    """

    date: dt.date
    kind: Differs
    ours: TradingHours | None
    theirs: TradingHours | None


def hours_between(calendar: SessionCalendar, start: dt.date, end: dt.date, hours: str) -> dict[dt.date, TradingHours]:
    """Return the hours of the sessions dated in [start, end], as somebody sees them who asks for `rth`, or for `all` hours."""
    around = hours == "all" and calendar.name in _TRADED_AROUND
    opens, closes = (calendar.pre_ns, calendar.end_ns) if around else (calendar.open_ns, calendar.close_ns)
    positions = [calendar.index_of(date_of(day)) for day in calendar.days_between(start, end)]
    return {date_of(calendar.days[at]): TradingHours(int(opens[at]), int(closes[at])) for at in positions if at is not None}


# Where bars of all hours begin before the regular open and end after the close. Globex stops early on holidays while its windows go on, so the
# end of a window is no end of trading there.
_TRADED_AROUND = ("NYSE", "CBOE")


def differences(ours: Mapping[dt.date, TradingHours], theirs: Mapping[dt.date, TradingHours]) -> Iterator[CalendarDifference]:
    """Yield the dates on which the two differ, oldest first."""
    for date in sorted(ours.keys() | theirs.keys()):
        one, other = ours.get(date), theirs.get(date)
        if one == other:
            continue
        kind = Differs.ONLY_OURS if other is None else Differs.ONLY_THEIRS if one is None else Differs.HOURS
        yield CalendarDifference(date, kind, one, other)


def joined(sessions: Sequence[tuple[dt.date, TradingHours]]) -> dict[dt.date, TradingHours]:
    """Return hours by date, from the first open to the last close: a session with a pause may be told in two parts."""
    found: dict[dt.date, TradingHours] = {}
    for date, hours in sessions:
        before = found.get(date, hours)
        found[date] = TradingHours(min(before.open_ns, hours.open_ns), max(before.close_ns, hours.close_ns))
    return found
