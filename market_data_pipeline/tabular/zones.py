"""Wall clock times of a zone, turned into UTC: whole columns at once, and honest about DST nights."""

from __future__ import annotations

import datetime as dt
import re
import zoneinfo
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from market_data_pipeline.domain.bar_table import Int64s
from market_data_pipeline.domain.bar_types import NANOSECONDS

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
# "America/New_York+7": a clock that runs some hours ahead of a zone and changes with it, as those of many MetaTrader servers.
_AHEAD = re.compile(r"(?P<zone>[A-Za-z_]+/[A-Za-z_]+)\+(?P<hours>\d{1,2})", re.ASCII)


@dataclass(frozen=True)
class LocalTimes:
    """Wall clock times in UTC; arrays of shape (n,).

    Attributes:
        first: int64 UTC nanoseconds; the earlier reading where the clock shows a time twice.
        second: int64, the later reading; equal to `first` where there is only one.
        nonexistent: True where the clock never shows that time: it jumps over it in spring.
    """

    first: Int64s
    second: Int64s
    nonexistent: npt.NDArray[np.bool_]


def to_utc(zone: str, wall_ns: Int64s) -> LocalTimes:
    """Turn wall clock times of an IANA zone (nanoseconds since 1970 as the clock shows them) into UTC."""
    changes, offsets = _offsets_around(zone, wall_ns)
    before, after = changes + offsets[:-1], changes + offsets[1:]
    # Between these two the clock shows a time twice (autumn) or never (spring).
    starts, stops = np.minimum(before, after), np.maximum(before, after)
    period = np.searchsorted(stops, wall_ns, side="right")
    first = wall_ns - offsets[period]
    second = first.copy()
    nonexistent = np.zeros(len(wall_ns), dtype=np.bool_)
    if len(changes):
        upcoming = np.minimum(period, len(changes) - 1)
        odd = np.flatnonzero((period < len(changes)) & (wall_ns >= starts[upcoming]))
        autumn = offsets[period[odd] + 1] < offsets[period[odd]]
        twice = odd[autumn]
        second[twice] = wall_ns[twice] - offsets[period[twice] + 1]
        nonexistent[odd[~autumn]] = True
    return LocalTimes(first, second, nonexistent)


def to_wall(zone: str, utc_ns: Int64s) -> Int64s:
    """Return what a clock of the zone shows at these UTC nanoseconds, as nanoseconds since 1970."""
    changes, offsets = _offsets_around(zone, utc_ns)
    return utc_ns + offsets[np.searchsorted(changes, utc_ns, side="right")]


def changes_between(zone: str, first_ns: int, last_ns: int) -> Int64s:
    """Return the UTC nanoseconds in (first, last] at which a zone's clock changes."""
    changes, _ = _offsets_around(zone, np.array([first_ns, last_ns], dtype=np.int64))
    return changes[(changes > first_ns) & (changes <= last_ns)]


def _offsets_around(zone: str, times_ns: Int64s) -> tuple[Int64s, Int64s]:
    if not len(times_ns):
        return _offset_changes(zone, 1970, 1971)
    first, last = (int(t.astype("datetime64[ns]").astype("datetime64[Y]").astype(np.int64)) + 1970 for t in (times_ns.min(), times_ns.max()))
    return _offset_changes(zone, max(first - 1, 1969), min(last + 1, 2201))


@lru_cache(maxsize=64)
def _offset_changes(zone: str, first_year: int, last_year: int) -> tuple[Int64s, Int64s]:
    """Return the UTC nanoseconds at which the zone's offset changes, shape (k,), and the offsets around them, shape (k + 1,)."""
    place, ahead = split_zone(zone)
    changes: list[int] = []
    offsets = [_offset_s(place, _second_of(first_year))]
    for year in range(first_year, last_year + 1):
        for second, offset in _changes_of_year(place, year):
            changes.append(second)
            offsets.append(offset)
    return np.array(changes, dtype=np.int64) * NANOSECONDS, (np.array(offsets, dtype=np.int64) + ahead * 3_600) * NANOSECONDS


@lru_cache(maxsize=1024)
def _changes_of_year(zone: str, year: int) -> tuple[tuple[int, int], ...]:
    """Return (UTC second, new offset in seconds) of each change in a year."""
    if zone == "UTC" or zone.startswith("Etc/"):
        return ()
    found = []
    start, stop = _second_of(year), _second_of(year + 1)
    before = _offset_s(zone, start)
    for day in range(start, stop, 86_400):
        after = _offset_s(zone, day + 86_400)
        if after != before:
            low, high = day, day + 86_400
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if _offset_s(zone, middle) == before else (low, middle)
            found.append((high, after))
            before = after
    return tuple(found)


def split_zone(name: str) -> tuple[str, int]:
    """Return the IANA zone of a clock and the hours by which the clock runs ahead of it: `America/New_York+7` is 7. `Etc/GMT+5` is a zone."""
    match = _AHEAD.fullmatch(name)
    return (name, 0) if match is None or match["zone"].startswith("Etc/") else (match["zone"], int(match["hours"]))


def _second_of(year: int) -> int:
    return int((dt.datetime(year, 1, 1, tzinfo=dt.UTC) - _EPOCH).total_seconds())


def _offset_s(zone: str, second: int) -> int:
    offset = (_EPOCH + dt.timedelta(seconds=second)).astimezone(zoneinfo.ZoneInfo(zone)).utcoffset()
    return int(offset.total_seconds()) if offset is not None else 0
