"""What a person, or a broker's own schedule, knows better than the published calendars: one YAML file, `config/calendar_overrides.yaml`.

calendars:
  NYSE:
    closed:
      2025-01-09: national day of mourning
    sessions:
      2024-07-03: {open: "09:30", close: "13:00", reason: day before Independence Day}

Times are on the clocks of the calendar's zone; an open that is not before the close is one of the calendar day before (currencies open at "17:15"
and close at "17:00"). The file is looked at again whenever a calendar is asked for: one that was changed counts from then on, also in processes that
run for days.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from market_data_pipeline.calendars.clocks import utc_ns
from market_data_pipeline.domain.bar_table import Int64s
from market_data_pipeline.domain.sessions import CALENDAR_ARRAYS, SessionCalendar, day_number

VARIABLE = "MDP_CALENDAR_OVERRIDES"
DEFAULT = Path("config/calendar_overrides.yaml")


@dataclass(frozen=True)
class Mark:
    """Which state of which file counts; one state has one mark."""

    file: Path
    mtime_ns: int
    size: int
    inode: int


@dataclass(frozen=True)
class SessionTimes:
    """Regular hours of one session, on the clocks of the calendar's zone, and why they are other than published."""

    open: dt.time
    close: dt.time
    reason: str


@dataclass(frozen=True)
class CalendarOverrides:
    """What is other than published in one calendar.

    Attributes:
        closed: Dates that are no session, and why.
        sessions: Regular hours by date.
    """

    closed: Mapping[dt.date, str]
    sessions: Mapping[dt.date, SessionTimes]


_project: list[Path] = []


def stand_in(project: Path) -> None:
    """Let this process look for overrides in a project's folder too: a code location of Dagster may be loaded from any folder."""
    _project[:] = [project]


def overrides_file() -> Path:
    """Return where overrides are written; it need not be there.

    MDP_CALENDAR_OVERRIDES, else config/calendar_overrides.yaml in this folder, or in the project's where there is none here.
    """
    if given := os.environ.get(VARIABLE):
        return Path(given).absolute()
    here = DEFAULT.absolute()
    return _project[0] / DEFAULT if _project and not here.exists() else here


def current_mark() -> Mark | None:
    """Return which overrides count now; None if there is no file."""
    file = overrides_file()
    try:
        stat = file.stat()
    except OSError:
        return None
    return Mark(file, stat.st_mtime_ns, stat.st_size, stat.st_ino)


@lru_cache(maxsize=16)
def overrides_of(mark: Mark) -> Mapping[str, CalendarOverrides]:
    """Return what a file says, by calendar.

    Raises:
        ConfigurationError: If it is wrong; the message names file, line and key.
    """
    from market_data_pipeline.calendars.overrides_file import read_overrides  # pydantic, which a project without the file never imports

    return read_overrides(mark.file)


def overridden(calendar: SessionCalendar, overrides: CalendarOverrides) -> SessionCalendar:
    """Return a calendar with closed dates left out, and other hours or further sessions put in.

    Windows go on to tile time: hours around the regular ones stay as they were, and those of a new session are as long as its neighbour's.
    """
    kept = ~np.isin(calendar.days, [day_number(date) for date in overrides.closed])
    columns = {name: getattr(calendar, name)[kept].copy() for name in CALENDAR_ARRAYS}
    for date, times in sorted(overrides.sessions.items()):
        _put(columns, calendar.time_zone, day_number(date), times)
    return replace(calendar, **columns)


def _put(columns: dict[str, Int64s], time_zone: str, day: int, times: SessionTimes) -> None:
    opens, closes = times_ns(time_zone, day, times.open, times.close)
    at = int(np.searchsorted(columns["days"], day))
    if at < len(columns["days"]) and columns["days"][at] == day:
        row = {name: int(columns[name][at]) for name in CALENDAR_ARRAYS}
        followed = row["end_ns"] == row["close_ns"] and row["pre_ns"] == row["open_ns"]
        row |= {"pre_ns": min(row["pre_ns"], opens), "end_ns": max(row["end_ns"], closes)}
        if followed:  # nothing trades around the regular hours
            row["pre_ns"] = opens
        if not opens < row["break_start_ns"] < row["break_end_ns"] < closes:
            row |= {"break_start_ns": closes, "break_end_ns": closes}
        row |= {"open_ns": opens, "close_ns": closes}
        for name, value in row.items():
            columns[name][at] = value
        return
    near = min(at, len(columns["days"]) - 1)
    before, after = (int(columns[a][near] - columns[b][near]) for a, b in (("open_ns", "pre_ns"), ("end_ns", "close_ns")))
    row = {
        "days": day,
        "pre_ns": opens - before,
        "open_ns": opens,
        "close_ns": closes,
        "end_ns": closes + after,
        "break_start_ns": closes,
        "break_end_ns": closes,
    }
    for name, value in row.items():
        columns[name] = np.insert(columns[name], at, value)


def times_ns(time_zone: str, day: int, opens: dt.time, closes: dt.time) -> tuple[int, int]:
    """Return open and close of a session as UTC nanoseconds; an open that is not before the close is one of the day before."""
    opens_on = day if opens < closes else day - 1
    return int(utc_ns(np.array([opens_on]), opens, time_zone)[0]), int(utc_ns(np.array([day]), closes, time_zone)[0])
