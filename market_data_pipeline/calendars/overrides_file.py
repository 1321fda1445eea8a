"""The file of `calendars.overrides` as it is read, checked and written. Imports pydantic: only what finds or writes such a file imports it."""

from __future__ import annotations

import datetime as dt
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from market_data_pipeline.calendars.overrides import CalendarOverrides, SessionTimes
from market_data_pipeline.calendars.venues import check_calendar_name
from market_data_pipeline.configuration import Section, read_yaml
from market_data_pipeline.domain.errors import StorageFailed, UnknownVenue

_CLOCK = re.compile(r"([01]\d|2[0-3]):[0-5]\d")
_HEAD = """# What is other than in the published calendars. Read whenever a calendar is asked for; times are on the clocks of the calendar's zone.
# Written by `mdp calendar check ID --write`, which keeps what stands here but no comments.
"""


def _clock(value: object) -> object:
    """Read `"09:30"`. Unquoted, YAML takes 13:00 for a number of minutes."""
    if isinstance(value, dt.time):
        return value
    if not isinstance(value, str) or not _CLOCK.fullmatch(value):
        raise ValueError(f'{value!r} is no time of day. Write it quoted, "09:30" to "23:59"')
    return dt.time.fromisoformat(value)


def _calendar(name: str) -> str:
    try:
        check_calendar_name(name)
    except UnknownVenue as error:  # pydantic tells it with its line
        raise ValueError(str(error)) from None
    return name


def _dates_as_text(value: object) -> object:
    """Let mistakes be told with their line: pydantic names keys that are text only."""
    return {str(key): one for key, one in value.items()} if isinstance(value, dict) else value


Clock = Annotated[dt.time, BeforeValidator(_clock)]
Reason = Annotated[str, Field(min_length=1, max_length=300)]


class _Session(Section):
    """Regular hours of one session."""

    open: Clock
    close: Clock
    reason: Reason


class _Calendar(Section):
    """What is other than published in one calendar."""

    closed: Annotated[Mapping[dt.date, Reason], BeforeValidator(_dates_as_text)] = {}
    sessions: Annotated[Mapping[dt.date, _Session], BeforeValidator(_dates_as_text)] = {}

    @model_validator(mode="after")
    def _one_or_the_other(self) -> Self:
        both = sorted(self.closed.keys() & self.sessions.keys())
        if both:
            raise ValueError(f"{both[0]} is both closed and a session")
        first = dt.date(1990, 1, 8)
        early = sorted(date for date in (*self.closed, *self.sessions) if date < first)
        if early:
            raise ValueError(f"{early[0]} lies before {first}, with which the calendars begin")
        return self


class _File(Section):
    """All overrides."""

    calendars: Mapping[Annotated[str, AfterValidator(_calendar)], _Calendar] = {}


def read_overrides(file: Path) -> dict[str, CalendarOverrides]:
    """Return what a file says, by calendar.

    Raises:
        ConfigurationError: If it is wrong; the message names file, line and key.
    """
    written = read_yaml(file, _File)
    return {
        name: CalendarOverrides(dict(one.closed), {date: SessionTimes(times.open, times.close, times.reason) for date, times in one.sessions.items()})
        for name, one in written.calendars.items()
    }


def write_overrides(file: Path, overrides: Mapping[str, CalendarOverrides]) -> None:
    """Write a file whole or not at all.

    Raises:
        StorageFailed: If the file system refuses.
    """
    written = {name: one for name, one in sorted(overrides.items()) if one.closed or one.sessions}
    lines = [f"{_HEAD}calendars:{'' if written else ' {}'}"]
    for name, one in written.items():
        lines.append(f"  {name}:")
        lines += ["    closed:"] if one.closed else []
        lines += [f"      {date}: {_quoted(reason)}" for date, reason in sorted(one.closed.items())]
        lines += ["    sessions:"] if one.sessions else []
        for date, times in sorted(one.sessions.items()):
            lines.append(f'      {date}: {{open: "{times.open:%H:%M}", close: "{times.close:%H:%M}", reason: {_quoted(times.reason)}}}')
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=file.parent, prefix=f".{file.stem}-", suffix=".tmp")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as out:
                out.write("\n".join(lines) + "\n")
                out.flush()
                os.fsync(out.fileno())
            Path(temporary).chmod(0o644)
            os.replace(temporary, file)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise StorageFailed(f"{file} could not be written: {error.strerror or error}. Name another file with MDP_CALENDAR_OVERRIDES.") from error


def _quoted(text: str) -> str:
    """Return text as a YAML scalar in double quotes."""
    import json

    return json.dumps(text, ensure_ascii=False)
