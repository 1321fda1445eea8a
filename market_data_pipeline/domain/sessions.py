"""Sessions of a venue and the windows of time that belong to them.

A *session* is a trading day named by its date, as the exchange names it. Its *window* is the UTC interval of bar closes that
belong to it: (end of the previous session, end of this one]. Ends include post-market hours, so windows tile time without
holes: weekends and holidays fall into the next session's window.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from market_data_pipeline.domain.bar_table import Int64s
from market_data_pipeline.domain.bar_types import DAY_NS, Aggregation, BarSpec
from market_data_pipeline.domain.errors import InvalidDate

CALENDAR_ARRAYS = ("days", "pre_ns", "open_ns", "close_ns", "end_ns", "break_start_ns", "break_end_ns")

_EPOCH = dt.date(1970, 1, 1).toordinal()


def day_number(date: dt.date) -> int:
    """Return days since 1970-01-01."""
    return date.toordinal() - _EPOCH


def date_of(day: int | np.integer) -> dt.date:
    """Return the date of a day number."""
    return dt.date.fromordinal(int(day) + _EPOCH)


def parse_date(text: str) -> dt.date:
    """Parse `YYYY-MM-DD`.

    Raises:
        InvalidDate: If it is no such date.
    """
    written = text.strip()
    try:
        date = dt.date.fromisoformat(written)
    except ValueError:
        date = None
    if date is None or date.isoformat() != written:  # fromisoformat also takes 20240131 and 2024-W05-3
        raise InvalidDate(f"{text!r} is not a date. Write YYYY-MM-DD, for example 2024-01-31.")
    return date


def parse_date_range(start: str, end: str) -> tuple[dt.date, dt.date]:
    """Parse two dates, both inclusive.

    Raises:
        InvalidDate: If either is no date, or the end lies before the start.
    """
    first, last = parse_date(start), parse_date(end)
    if last < first:
        raise InvalidDate(f"The range runs backwards: {first} to {last}. Give the earlier date first.")
    return first, last


def parse_date_ends(start: str | None, end: str | None) -> tuple[dt.date | None, dt.date | None]:
    """Parse two dates, both inclusive, of which each may be left open.

    Raises:
        InvalidDate: If either is no date, or the end lies before the start.
    """
    if start is not None and end is not None:
        return parse_date_range(start, end)
    return None if start is None else parse_date(start), None if end is None else parse_date(end)


@dataclass(frozen=True, eq=False)
class SessionCalendar:
    """All sessions of one calendar over some years, oldest first, as arrays of shape (n,).

    Attributes:
        name: The calendar's name, for messages.
        time_zone: IANA name of the venue's zone.
        days: int64 day numbers (days since 1970-01-01) of the session dates.
        pre_ns: int64 UTC nanoseconds at which the first bar of the session may open (pre-market; else the regular open).
        open_ns: int64, the regular open.
        close_ns: int64, the regular close.
        end_ns: int64, the end of post-market hours (else the regular close).
        break_start_ns: int64, start of an inner pause; equal to `break_end_ns` where there is none.
        break_end_ns: int64, end of the pause.
    """

    name: str
    time_zone: str
    days: Int64s
    pre_ns: Int64s
    open_ns: Int64s
    close_ns: Int64s
    end_ns: Int64s
    break_start_ns: Int64s
    break_end_ns: Int64s

    @property
    def first_date(self) -> dt.date:
        """The first session that has a window (the calendar's second: a window needs a previous end)."""
        return date_of(self.days[1])

    @property
    def last_date(self) -> dt.date:
        """The last session known."""
        return date_of(self.days[-1])

    def index_of(self, date: dt.date) -> int | None:
        """Return the position of a session date, or None if that date is no session."""
        i = int(np.searchsorted(self.days, day_number(date)))
        return i if i < len(self.days) and self.days[i] == day_number(date) else None

    def days_between(self, start: dt.date, end: dt.date) -> Int64s:
        """Return the day numbers of sessions dated in [start, end]."""
        i, j = np.searchsorted(self.days, [day_number(start), day_number(end) + 1])
        return self.days[max(int(i), 1) : max(int(j), 1)]

    def closed_days(self, start: dt.date, end: dt.date) -> list[dt.date]:
        """Return the calendar days in [start, end] that are no session: weekends, holidays, one-off closures.

        With the dates of `days_between` they are every day of the range, so a date is one or the other.

        Raises:
            InvalidDate: If the range leaves the years that the calendar covers: of days beyond them nothing is known.
        """
        if start.year < date_of(self.days[0]).year or end.year > self.last_date.year:
            raise InvalidDate(f"The calendar {self.name} covers {date_of(self.days[0]).year} to {self.last_date.year}, not all of {start} to {end}.")
        every = np.arange(day_number(start), day_number(end) + 1, dtype=np.int64)
        return [date_of(day) for day in np.setdiff1d(every, self.days_between(start, end), assume_unique=True)]

    def nearest(self, date: dt.date) -> tuple[dt.date | None, dt.date | None]:
        """Return the sessions just before and just after a date, for messages about closed days."""
        i = int(np.searchsorted(self.days, day_number(date)))
        j = int(np.searchsorted(self.days, day_number(date), side="right"))
        return (date_of(self.days[i - 1]) if i else None, date_of(self.days[j]) if j < len(self.days) else None)


@dataclass(frozen=True, eq=False)
class Partitions:
    """The partitions of a bar spec on a calendar: which dates carry bars, and the window of each. Arrays of shape (n,).

    Bars shorter than a day have one partition a session. Day bars have one a session too, but their windows are UTC dates,
    because bars of a day and longer are stamped by date. Week and month bars are labelled with, and stored under, the last
    session of their week or month.

    Attributes:
        calendar: The calendar behind.
        spec: The bar spec.
        days: int64 day numbers of the partitions' dates.
        starts: int64 UTC nanoseconds; a window is the closes in (start, end], so its file is named from start + 1 ns.
        ends: int64 UTC nanoseconds, inclusive; `starts[i + 1] == ends[i]`.
    """

    calendar: SessionCalendar
    spec: BarSpec
    days: Int64s
    starts: Int64s
    ends: Int64s

    @classmethod
    def of(cls, calendar: SessionCalendar, spec: BarSpec) -> Partitions:
        """Lay the windows of `spec` over `calendar`. A pure function of both."""
        keep = _labelled_sessions(calendar.days, spec)
        days = calendar.days[keep]
        ends = (days + 1) * DAY_NS - 1 if spec.is_daily_or_longer else calendar.end_ns[keep]
        return cls(calendar, spec, days[1:], ends[:-1], ends[1:])

    def __len__(self) -> int:
        return len(self.days)

    def index_of(self, date: dt.date) -> int | None:
        """Return the position of a partition's date, or None if there is none."""
        i = int(np.searchsorted(self.days, day_number(date)))
        return i if i < len(self.days) and self.days[i] == day_number(date) else None

    def window(self, date: dt.date) -> tuple[int, int]:
        """Return (start, end] of a date's window.

        Raises:
            InvalidDate: If the date is no partition; the message names the partitions around it, or the range that is known.
        """
        i = self.index_of(date)
        if i is None:
            raise InvalidDate(f"{date} is no {self.spec} session of {self.calendar.name}. {self._around(date)}")
        return int(self.starts[i]), int(self.ends[i])

    def _around(self, date: dt.date) -> str:
        """Return which partitions lie beside a date that is none."""
        i = int(np.searchsorted(self.days, day_number(date)))
        if 0 < i < len(self.days):
            return f"Sessions around it: {date_of(self.days[i - 1])} and {date_of(self.days[i])}."
        return f"Known are {date_of(self.days[0])} to {date_of(self.days[-1])}."

    def index_of_close(self, ts_init: Int64s) -> Int64s:
        """Return, for each bar close, the position of the partition it belongs to; -1 or len(self) outside the calendar."""
        found = np.searchsorted(self.ends, ts_init, side="left").astype(np.int64)
        if len(self.starts):
            found[ts_init <= self.starts[0]] = -1
        return found

    def positions_between(self, start: dt.date, end: dt.date) -> range:
        """Return the positions of partitions dated in [start, end]."""
        i, j = np.searchsorted(self.days, [day_number(start), day_number(end) + 1])
        return range(int(i), int(j))

    def dates_between(self, start: dt.date, end: dt.date) -> list[dt.date]:
        """Return the partitions' dates in [start, end]."""
        return [date_of(self.days[i]) for i in self.positions_between(start, end)]

    def closed_until(self, now_ns: int) -> int:
        """Return how many partitions have ended at `now_ns`: positions below it are over."""
        return int(np.searchsorted(self.ends, now_ns, side="right"))

    @cached_property
    def calendar_index(self) -> Int64s:
        """Positions of these partitions in `calendar`'s arrays."""
        return np.searchsorted(self.calendar.days, self.days).astype(np.int64)

    def regular_hours(self, position: int) -> tuple[int, int]:
        """Return the regular open and close of a partition's session, UTC nanoseconds."""
        i = int(self.calendar_index[position])
        return int(self.calendar.open_ns[i]), int(self.calendar.close_ns[i])

    def trades_since(self, position: int) -> int:
        """Return the first nanosecond of a partition's window from which on something trades: all bars of it close later, or then.

        Pre-market hours of a session, midnight UTC of a day bar; of weeks and months the start of the window.
        """
        start = int(self.starts[position]) + 1
        if self.spec.aggregation in (Aggregation.WEEK, Aggregation.MONTH):
            return start
        began = int(self.days[position]) * DAY_NS if self.spec.is_daily_or_longer else int(self.calendar.pre_ns[self.calendar_index[position]])
        return max(start, began)


def _labelled_sessions(days: Int64s, spec: BarSpec) -> npt.NDArray[np.bool_]:
    """Return which sessions carry a label of `spec`: all, or the last of each week or month."""
    if spec.aggregation is Aggregation.WEEK:
        period = (days + 3) // 7  # 1970-01-01 was a Thursday: + 3 makes weeks start on Monday
    elif spec.aggregation is Aggregation.MONTH:
        period = days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
    else:
        return np.ones(len(days), dtype=np.bool_)
    return np.append(period[1:] != period[:-1], True)


@dataclass(frozen=True)
class SessionRange:
    """Consecutive partitions of a series, named by their first and last date, both inclusive."""

    first: dt.date
    last: dt.date
    sessions: int

    def __str__(self) -> str:
        if self.sessions == 1:
            return f"{self.first} (1 session)"
        return f"{self.first} to {self.last} ({self.sessions:,} sessions)"


def ranges_of(partitions: Partitions, wanted: npt.NDArray[np.bool_], offset: int = 0) -> Iterator[SessionRange]:
    """Yield the runs of True in `wanted`, oldest first; `wanted[i]` speaks of the partition at `offset + i`.

    Closed days do not break a run: Friday and the next Monday are neighbours.
    """
    padded = np.concatenate(([False], wanted, [False]))
    edges = np.flatnonzero(padded[1:] != padded[:-1])
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        first, last = partitions.days[offset + start], partitions.days[offset + stop - 1]
        yield SessionRange(date_of(first), date_of(last), int(stop - start))
