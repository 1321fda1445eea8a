"""When a contract trades: the hours of its sessions as spans of seconds, and clocks of its zone."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from market_data_pipeline.calendars.clocks import utc_ns
from market_data_pipeline.domain.bar_table import Int64s
from market_data_pipeline.domain.bar_types import DAY_NS, NANOSECONDS
from market_data_pipeline.domain.sessions import SessionCalendar, day_number
from market_data_pipeline.gateway_simulator.market.bars import Spans

DAY_S = 86_400
_NOON = dt.time(12)
# Elsewhere the end of a session's window is no end of trading: Globex stops early on holidays and its windows go on (calendars/published.py).
_TRADED_AFTER_HOURS = ("NYSE", "CBOE")


@dataclass(frozen=True, eq=False)
class Hours:
    """The hours of all sessions of a calendar, either regular ones or all.

    Attributes:
        days: Day numbers of the sessions, shape (n,).
        spans: The hours, shape (m,): one span a session, or two where there is a pause.
        session: Which session each span belongs to, shape (m,).
        start_s: Where each session begins, shape (n,), seconds since 1970 UTC.
        stop_s: Where each ends, exclusive.
        offset_s: What local clocks are ahead of UTC in each session, by the zone that bars are labelled in.
    """

    days: Int64s
    spans: Spans
    session: Int64s
    start_s: Int64s
    stop_s: Int64s
    offset_s: Int64s

    def span_at(self, moment_s: Int64s) -> Int64s:
        """Return the position of the span in which each moment lies, or of the one before it."""
        return np.searchsorted(self.spans.start_s, moment_s, side="right").astype(np.int64) - 1

    def between(self, first: int, stop: int) -> Spans:
        """Return the hours of the sessions at positions [first, stop)."""
        i, j = np.searchsorted(self.session, [first, stop])
        return Spans(self.spans.start_s[i:j], self.spans.stop_s[i:j])

    def first_dated(self, date: dt.date) -> int:
        """Return the position of the first session dated `date` or later."""
        return int(np.searchsorted(self.days, day_number(date)))

    def begun_before(self, moment_s: int) -> int:
        """Return how many sessions have begun before a moment."""
        return int(np.searchsorted(self.start_s, moment_s))


@lru_cache(maxsize=64)
def hours_of(calendar: SessionCalendar, zone: str, *, regular: bool) -> Hours:
    """Return the regular hours of a calendar, or all in which a contract can trade. `zone` is the IANA zone for labels."""
    if regular or calendar.name not in _TRADED_AFTER_HOURS:
        starts, stops = calendar.open_ns, calendar.close_ns
    else:
        starts, stops = calendar.pre_ns, calendar.end_ns
    pauses, resumes = (np.clip(column, starts, stops) for column in (calendar.break_start_ns, calendar.break_end_ns))
    begin_s = _seconds(np.stack([starts, resumes], axis=1)).ravel()
    end_s = _seconds(np.stack([np.where(pauses < resumes, pauses, stops), np.where(pauses < resumes, stops, resumes)], axis=1)).ravel()
    some = begin_s < end_s
    session = np.repeat(np.arange(len(starts)), 2)[some]
    return Hours(
        days=calendar.days,
        spans=Spans(begin_s[some], end_s[some]),
        session=session,
        start_s=_seconds(starts),
        stop_s=_seconds(stops),
        offset_s=_seconds(calendar.days * DAY_NS + DAY_NS // 2 - utc_ns(calendar.days, _NOON, zone)),
    )


def periods(days: Int64s, *, weekly: bool) -> Int64s:
    """Return a number for the week (from Monday) or the month of each day number."""
    if weekly:
        return (days + 3) // 7  # 1970-01-01 was a Thursday
    return days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)


def _seconds(nanoseconds: Int64s) -> Int64s:
    return nanoseconds // NANOSECONDS


def local_texts(moment_s: Int64s, offset_s: Int64s | int, separator: str = " ") -> list[str]:
    """Return `YYYYMMDD HH:MM:SS` on local clocks."""
    local: npt.NDArray[np.datetime64] = (moment_s + offset_s).astype("datetime64[s]")
    return [f"{text[:4]}{text[5:7]}{text[8:10]}{separator}{text[11:]}" for text in np.datetime_as_string(local).tolist()]


def date_texts(days: Int64s) -> list[str]:
    """Return `YYYYMMDD` of day numbers."""
    return [text.replace("-", "") for text in np.datetime_as_string(days.astype("datetime64[D]")).tolist()]
