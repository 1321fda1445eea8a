"""Invented bars at the times at which venues really traded."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple
from zoneinfo import ZoneInfo

NEW_YORK = "America/New_York"
MINUTE, HOUR, DAY = 60, 3_600, 86_400


class Bar(NamedTuple):
    """One bar: its open in seconds since 1970 UTC, and whole numbers of the last decimal."""

    opened: int
    open: int
    high: int
    low: int
    close: int
    volume: int


@dataclass(frozen=True)
class Clock:
    """How an exporter stamps a bar.

    Attributes:
        zone: Zone of its times.
        end: `open` or `close`: which end of a bar it writes.
        shift_s: Seconds that its clock is wrong.
    """

    zone: str
    end: str = "open"
    shift_s: int = 0

    def stamp(self, bar: Bar, length_s: int) -> dt.datetime:
        """Return what it writes for a bar, with its offset."""
        seconds = bar.opened + self.shift_s + (length_s if self.end == "close" else 0)
        return dt.datetime.fromtimestamp(seconds, ZoneInfo(self.zone))


def at(date: dt.date, clock: str, zone: str = NEW_YORK) -> int:
    """Return the seconds since 1970 UTC of a local time."""
    return int(dt.datetime.combine(date, dt.time.fromisoformat(clock), ZoneInfo(zone)).timestamp())


def weekdays(first: str, last: str, closed: Iterable[str] = ()) -> list[dt.date]:
    """Return Mondays to Fridays in [first, last] but the closed ones."""
    start, stop = dt.date.fromisoformat(first), dt.date.fromisoformat(last)
    every = (start + dt.timedelta(i) for i in range((stop - start).days + 1))
    return [day for day in every if day.weekday() < 5 and str(day) not in set(closed)]


def stock_times(days: Iterable[dt.date], step_s: int, first: str = "09:30", last: str = "16:00", keep: float = 1.0, seed: int = 1) -> list[int]:
    """Return bar opens in [first, last) New York of each day; a share `keep` of them, and always the first and the last of a day."""
    pick = random.Random(seed)
    opens: list[int] = []
    for day in days:
        start, stop = at(day, first), at(day, last)
        opens += [t for t in range(start, stop, step_s) if t in (start, stop - step_s) or pick.random() < keep]
    return opens


def currency_times(sundays: Iterable[str], step_s: int, keep: float = 1.0, seed: int = 1) -> list[int]:
    """Return bar opens from Sunday 17:00 to Friday 17:00 New York; a share `keep` of them, and always the first and last three of a week."""
    pick = random.Random(seed)
    opens: list[int] = []
    for sunday in sundays:
        day = dt.date.fromisoformat(sunday)
        week = range(at(day, "17:00"), at(day + dt.timedelta(5), "17:00"), step_s)
        opens += [t for t in week if t in week[:3] or t in week[-3:] or pick.random() < keep]
    return opens


def round_the_clock(first: str, last: str, step_s: int) -> list[int]:
    """Return bar opens in [first, last) UTC dates, day and night."""
    start, stop = (int(dt.datetime.fromisoformat(f"{day}T00:00+00:00").timestamp()) for day in (first, last))
    return list(range(start, stop, step_s))


def midnights(days: Iterable[dt.date]) -> list[int]:
    """Return 00:00 UTC of dates: where a day bar opens in the catalog."""
    return [at(day, "00:00", "UTC") for day in days]


def walk(opens: Iterable[int], start: int, swing: int, volume: Callable[[random.Random], int], seed: int = 1) -> list[Bar]:
    """Return bars whose prices wander from `start` by about `swing` a bar. Open and close always differ, and so do high and low."""
    luck = random.Random(seed)
    bars, price = [], start
    for opened in opens:
        close = price + luck.choice((-1, 1)) * luck.randint(1, swing)
        high = max(price, close) + luck.randint(1, swing)
        low = min(price, close) - luck.randint(1, swing)
        bars.append(Bar(opened, price, high, low, close, volume(luck)))
        price = close + luck.randint(-swing, swing) // 2
        price = price if abs(price - start) < 60 * swing else start
    return bars


def decimal(value: int, decimals: int) -> str:
    """Write a whole number of the last decimal: 18564 with 2 decimals is 185.64."""
    if not decimals:
        return str(value)
    digits = str(value).zfill(decimals + 1)
    return f"{digits[:-decimals]}.{digits[-decimals:]}"


def short(value: int, decimals: int) -> str:
    """Write it as pandas writes a float: 185.60 is 185.6, 185.00 is 185.0."""
    whole, _, rest = decimal(value, decimals).partition(".")
    return f"{whole}.{rest.rstrip('0') or '0'}"
