"""How numbers, times and sizes are written in answers to a person."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from market_data_pipeline.domain.words import count as count  # noqa: PLC0414 - the terminal writes numbers as messages do

_BILLION = 1_000_000_000


def size(number: int) -> str:
    """Return bytes as `12.3 MB`."""
    for unit, scale in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if number >= scale:
            return f"{number / scale:,.1f} {unit}"
    return f"{number} B"


def duration(seconds: float) -> str:
    """Return `2 h 5 min`, `45 min`, `12 s`, `0.4 s`."""
    if seconds < 10:
        return f"{seconds:.1f} s" if seconds % 1 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [(hours, "h"), (minutes, "min"), (rest if not hours else 0, "s")]
    return " ".join(f"{amount} {unit}" for amount, unit in parts if amount)


def utc(ns: int) -> str:
    """Return UTC nanoseconds as `2024-01-05 14:30:00 UTC`."""
    return f"{_moment(ns):%Y-%m-%d %H:%M:%S} UTC"


def iso(ns: int | None) -> str | None:
    """Return UTC nanoseconds as RFC 3339, to the nanosecond: `2024-01-05T14:30:00.000000000Z`."""
    return None if ns is None else f"{_moment(ns):%Y-%m-%dT%H:%M:%S}.{ns % _BILLION:09d}Z"


def _moment(ns: int) -> dt.datetime:
    return dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(seconds=ns // _BILLION)


def listed(items: Sequence[object], most: int = 8) -> str:
    """Return `a, b, c and 4 more`."""
    shown = ", ".join(str(item) for item in items[:most])
    return shown if len(items) <= most else f"{shown} and {len(items) - most:,} more"
