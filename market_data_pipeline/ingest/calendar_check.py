"""Our calendar of an instrument against the broker's own schedule, and how what differs becomes an override."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from pathlib import Path
from zoneinfo import ZoneInfo

from market_data_pipeline.calendars import calendar_name_of_venue, calendar_of_venue, published_calendar_of_venue
from market_data_pipeline.calendars.overrides import CalendarOverrides, SessionTimes, current_mark, overridden, overrides_file, overrides_of
from market_data_pipeline.catalog import Catalog
from market_data_pipeline.catalog.orphaned import orphaned_words, orphans
from market_data_pipeline.domain.bar_types import parse_instrument_id, venue_of
from market_data_pipeline.domain.calendar_differences import CalendarDifference, TradingHours, differences, hours_between
from market_data_pipeline.domain.errors import ConfigurationError, InvalidDate, SourceRefused, UsageError
from market_data_pipeline.domain.sessions import Partitions, SessionCalendar
from market_data_pipeline.sources.ibkr import Hours, IbkrGateway, resolve
from market_data_pipeline.sources.ibkr.schedules import broker_sessions

DAYS_BACK = 365
"""How far back is looked where nobody says from when."""


@dataclass(frozen=True)
class CalendarCheck:
    """What a comparison found.

    Attributes:
        instrument_id: The instrument that the broker was asked about.
        calendar: Our calendar of its venue.
        hours: Regular hours, or all.
        start: First date compared.
        end: Last date compared, inclusive.
        ours: Sessions of ours in the range.
        theirs: Sessions of the broker in the range.
        found: What differs, oldest first.
        simulated: True where the broker is the simulator, whose differences are invented.
    """

    instrument_id: str
    calendar: SessionCalendar
    hours: Hours
    start: dt.date
    end: dt.date
    ours: int
    theirs: int
    found: tuple[CalendarDifference, ...]
    simulated: bool = False


def check_calendar(gateway: IbkrGateway, instrument_id: str, start: dt.date | None, end: dt.date | None, hours: Hours = Hours.RTH) -> CalendarCheck:
    """Compare our calendar of an instrument with the broker's schedule; one request a year.

    Args:
        gateway: Whom to ask.
        instrument_id: The instrument.
        start: First date; None is a year before the end.
        end: Last date, inclusive; None, or any day from today on, is yesterday by the broker's clock: the broker tells what was.
        hours: Regular hours, or all.

    Raises:
        UnknownVenue: If no calendar is known for the venue.
        InvalidDate: If the range runs backwards.
        SourceError: If the gateway cannot be asked, or refuses, or tells of no session at all.
    """
    name = parse_instrument_id(instrument_id)
    calendar = calendar_of_venue(venue_of(name))
    details = resolve(gateway, name)
    yesterday = dt.datetime.fromtimestamp(gateway.now_ns() // 1_000_000_000, ZoneInfo(calendar.time_zone)).date() - dt.timedelta(days=1)
    last = yesterday if end is None else min(end, yesterday)
    first = start if start is not None else last - dt.timedelta(days=DAYS_BACK - 1)
    if last < first:
        raise InvalidDate(f"The range runs backwards: {first} to {last}. The broker tells of sessions that are over, up to {yesterday}.")
    told = broker_sessions(gateway, details, name, first, last, hours)
    first = max(first, min(told, default=last))  # before that the instrument was not listed, which says nothing of the calendar
    theirs = {date: one for date, one in told.items() if first <= date <= last}
    if not theirs:
        raise SourceRefused(f"IBKR tells of no session of {name} from {first} to {last}. Was it listed then? mdp ibkr ranges {name}")
    ours = hours_between(calendar, first, last, str(hours))
    return CalendarCheck(name, calendar, hours, first, last, len(ours), len(theirs), tuple(differences(ours, theirs)), gateway.is_simulated())


def write_differences(catalog: Catalog, check: CalendarCheck, today: dt.date) -> Path:
    """Write what differs into the file of overrides, beside what stands there, and return the file.

    Raises:
        UsageError: If all hours were compared: an override says when regular hours begin and end.
        ConfigurationError: If a stored session would be left without a place, or the file is wrong.
        StorageFailed: If the file system refuses.
    """
    if check.hours is not Hours.RTH:
        raise UsageError("An override says when regular hours begin and end, so --write goes with regular hours only: leave out --hours all.")
    from market_data_pipeline.calendars.overrides_file import write_overrides

    name, mark = check.calendar.name, current_mark()
    written: dict[str, CalendarOverrides] = dict(overrides_of(mark)) if mark is not None else {}
    whose = "the simulator's invented schedule" if check.simulated else "IBKR's schedule"
    written[name] = _with(written.get(name, CalendarOverrides({}, {})), check, f"{whose} of {check.instrument_id}, seen {today}")
    _refuse_orphans(catalog, name, written[name])
    write_overrides(overrides_file(), written)
    return overrides_file()


def _with(before: CalendarOverrides, check: CalendarCheck, reason: str) -> CalendarOverrides:
    """Return overrides that follow the broker; where it agrees with what is published, none is needed."""
    closed, sessions = dict(before.closed), dict(before.sessions)
    published = hours_between(published_calendar_of_venue(venue_of(check.instrument_id)), check.start, check.end, str(check.hours))
    for one in check.found:
        closed.pop(one.date, None)
        sessions.pop(one.date, None)
        if one.theirs == published.get(one.date):
            continue
        if one.theirs is None:
            closed[one.date] = reason
        else:
            opens, closes = (clock_of(ns, check.calendar.time_zone) for ns in (one.theirs.open_ns, one.theirs.close_ns))
            sessions[one.date] = SessionTimes(opens.time(), closes.time(), reason)
    return replace(before, closed=closed, sessions=sessions)


def _refuse_orphans(catalog: Catalog, name: str, overrides: CalendarOverrides) -> None:
    for row in catalog.ledger.all_series() if catalog.layout.bars.is_dir() else ():
        if calendar_name_of_venue(row.series.venue) != name:
            continue
        calendar = overridden(published_calendar_of_venue(row.series.venue), overrides)
        if lost := orphans(row, Partitions.of(calendar, row.series.spec)):
            raise ConfigurationError(orphaned_words(f"IBKR has no {name} session on", "Keep our calendar as it is", row, lost))


def clock_of(ns: int, time_zone: str) -> dt.datetime:
    """Return UTC nanoseconds on a zone's clocks."""
    return dt.datetime.fromtimestamp(ns // 1_000_000_000, ZoneInfo(time_zone))


def words_of(hours: TradingHours | None, date: dt.date, time_zone: str) -> str:
    """Return `09:30 to 16:00`, an open of the day before as `17:15 (2024-01-04) to 17:00`; `no session` for None."""
    if hours is None:
        return "no session"
    opens, closes = (clock_of(ns, time_zone) for ns in (hours.open_ns, hours.close_ns))
    return " to ".join(f"{one:%H:%M}" + ("" if one.date() == date else f" ({one.date()})") for one in (opens, closes))
