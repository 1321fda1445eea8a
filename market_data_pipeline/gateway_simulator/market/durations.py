"""How far back a request reaches: its end, its duration, and what is refused as too long."""

from __future__ import annotations

import datetime as dt
import re
from calendar import monthrange
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from market_data_pipeline.domain.sessions import date_of, day_number
from market_data_pipeline.gateway_simulator.market.bar_sizes import BarSize
from market_data_pipeline.gateway_simulator.market.refusal import invalid_end, invalid_request

GATEWAY_ZONE = "America/New_York"
"""The zone of times without one: that of the gateway's login window."""

_UTC_END = re.compile(r"(\d{8})-(\d\d:\d\d:\d\d)")
_LOCAL_END = re.compile(r"(?:(\d{8}) {1,2})?(\d\d:\d\d:\d\d)(?: (\S+))?")
_DURATION = re.compile(r"(\d{1,6}) ([SDWMY])")
_DAY_S = 86_400
# How long a unit can be at most: what limits are compared in. Five sessions are a week, except where every day is one.
_LONGEST_S = {"S": 1, "D": 7 * _DAY_S // 5, "W": 7 * _DAY_S, "M": 31 * _DAY_S, "Y": 366 * _DAY_S}
_LONGEST_IN_SECONDS = _DAY_S
_LONGEST_IN_DAYS = 365
_SMALL_BARS_S = 30
_EVERY_DAY = "CRYPTO"


@dataclass(frozen=True)
class Duration:
    """A length of time: `count` of `unit`, which is S (seconds of trading), D (sessions), or W, M, Y of the calendar."""

    count: int
    unit: str

    @classmethod
    def parse(cls, text: str) -> Duration:
        """Read `5 D`.

        Raises:
            Refusal: 321, if it is none, or too long for its unit.
        """
        found = _DURATION.fullmatch(text.strip())
        if found is None or int(found[1]) == 0:
            raise invalid_request(
                f"Historical data query duration string [{text}] is invalid.  "
                "Format is '<integer>{SPACE}<unit>', where <integer> is > 0 and <unit> is one of S, D, W, M, Y."
            )
        duration = cls(int(found[1]), found[2])
        if duration.unit == "S" and duration.count > _LONGEST_IN_SECONDS:
            raise invalid_request(f"Historical data requests for durations longer than {_LONGEST_IN_SECONDS} seconds must be made in days.")
        if duration.unit == "D" and duration.count > _LONGEST_IN_DAYS:
            raise invalid_request(f"Historical data requests for durations longer than {_LONGEST_IN_DAYS} days must be made in years.")
        return duration

    def before(self, date: dt.date) -> dt.date:
        """Return the date that lies this many weeks, months or years earlier: the last day of a month where it is shorter.

        What lies before the year 1 is the year 1.
        """
        if self.unit == "W":
            return date_of(max(day_number(date) - 7 * self.count, day_number(dt.date.min)))
        months = date.year * 12 + date.month - 1 - self.count * (12 if self.unit == "Y" else 1)
        if months < 12:
            return dt.date.min
        year, month = months // 12, months % 12 + 1
        return dt.date(year, month, min(date.day, monthrange(year, month)[1]))

    def longest_s(self, calendar_name: str) -> int:
        """Return how long it can be at most, in seconds of the clock."""
        unit_s = _DAY_S if self.unit == "D" and calendar_name == _EVERY_DAY else _LONGEST_S[self.unit]
        return self.count * unit_s

    def __str__(self) -> str:
        return f"{self.count} {self.unit}"


@dataclass(frozen=True)
class HistoryLimits:
    """What the historical data service refuses.

    Attributes:
        longest: Longest duration of a request by the name of its bar size; a size that is not named takes the next finer one's.
        small_bars_days: How many days bars of 30 seconds and less are kept; None for ever. IBKR keeps them six months.
    """

    longest: Mapping[str, str]
    small_bars_days: int | None = None

    def check(self, size: BarSize, duration: Duration, calendar_name: str) -> None:
        """Refuse what is too long.

        Raises:
            Refusal: 321.
        """
        limits = [(BarSize.parse(name).seconds, Duration.parse(text)) for name, text in self.longest.items()]
        limit = max(((seconds, limit) for seconds, limit in limits if seconds <= size.seconds), key=lambda pair: pair[0], default=None)
        if limit is not None and duration.longest_s(calendar_name) > limit[1].longest_s(calendar_name):
            raise invalid_request(f"Historical data request for greater than {limit[1]} rejected.")

    def oldest_ns(self, size: BarSize, now_ns: int) -> int:
        """Return the begin of the oldest bars that are kept, UTC nanoseconds since 1970; 0 if all are."""
        if self.small_bars_days is None or size.seconds > _SMALL_BARS_S:
            return 0
        return now_ns - self.small_bars_days * _DAY_S * 10**9


OBSERVED = HistoryLimits(
    MappingProxyType(
        {
            "1 secs": "2000 S",
            "5 secs": "10800 S",
            "15 secs": "28800 S",
            "30 secs": "1 D",
            "1 min": "1 M",
            "5 mins": "1 Y",
            "15 mins": "1 Y",
            "30 mins": "2 Y",
            "1 hour": "3 Y",
            "1 day": "20 Y",
        }
    )
)
"""What traders report to be answered."""

DOCUMENTED = HistoryLimits(
    MappingProxyType(
        {
            "1 secs": "1800 S",
            "5 secs": "7200 S",
            "15 secs": "14400 S",
            "30 secs": "28800 S",
            "1 min": "1 D",
            "5 mins": "1 W",
            "15 mins": "2 W",
            "30 mins": "1 M",
            "1 day": "1 Y",
            "1 week": "2 Y",
            "1 month": "1 Y",
        }
    ),
    small_bars_days=183,
)
"""Step sizes after IBKR's documentation ("Historical Data Limitations")."""


def parse_end(text: str, now_ns: int) -> int:
    """Return an endDateTime as UTC nanoseconds since 1970; what lies in the future is now, and before 1970 is 1970.

    Args:
        text: Empty for now, `YYYYMMDD-HH:MM:SS` (UTC), or `[YYYYMMDD ]HH:MM:SS[ zone]`; without a zone it is New York's, without a date today.
        now_ns: Now.

    Raises:
        Refusal: 10314, if it is anything else.
    """
    written = text.strip()
    if not written:
        return now_ns
    utc = _UTC_END.fullmatch(written)
    local = _LOCAL_END.fullmatch(written)
    try:
        if utc:
            moment = _moment(utc[1], utc[2], ZoneInfo("UTC"))
        elif local:
            zone = ZoneInfo(local[3] or GATEWAY_ZONE)
            today = dt.datetime.fromtimestamp(now_ns // 10**9, zone).strftime("%Y%m%d")
            moment = _moment(local[1] or today, local[2], zone)
        else:
            raise invalid_end()
    except (ValueError, ZoneInfoNotFoundError, OSError):  # 20240230; Mars/Phobos; US, which is a folder of zones
        raise invalid_end() from None
    return min(max(0, int(moment.timestamp())) * 10**9, now_ns)


def _moment(date: str, clock: str, zone: ZoneInfo) -> dt.datetime:
    return dt.datetime.strptime(f"{date} {clock}", "%Y%m%d %H:%M:%S").replace(tzinfo=zone)
