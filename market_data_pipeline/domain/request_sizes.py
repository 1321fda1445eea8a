"""How much one historical request may ask for, by the length of its bars: a table that is configuration.

    RequestSizes.named("documented").longest(BarSpec.parse("5-MINUTE-LAST"))      # 1 W
    RequestSizes.from_mapping({"1 min": "10 D"}).longest(BarSpec.parse("1-MINUTE-LAST"))

Bar sizes and durations are written as Interactive Brokers writes them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

import numpy as np

from market_data_pipeline.domain.bar_table import Int64s
from market_data_pipeline.domain.bar_types import DAY_NS, NANOSECONDS, Aggregation, BarSpec
from market_data_pipeline.domain.errors import ConfigurationError

_DURATION = re.compile(r"([1-9][0-9]{0,5}) ([SDWMY])")
_BAR_SIZE = re.compile(r"([1-9][0-9]?) (sec|min|hour|day|week|month)s?")
_UNIT_S = {"sec": 1, "min": 60, "hour": 3_600, "day": 86_400, "week": 604_800, "month": 2_592_000}
_UNIT_OF = {
    Aggregation.SECOND: "sec",
    Aggregation.MINUTE: "min",
    Aggregation.HOUR: "hour",
    Aggregation.DAY: "day",
    Aggregation.WEEK: "week",
    Aggregation.MONTH: "month",
}


def bar_seconds(spec: BarSpec) -> int:
    """Return the length of bars in seconds; a month counts as 30 days."""
    return spec.step * _UNIT_S[_UNIT_OF[spec.aggregation]]


class DurationUnit(StrEnum):
    """Units of a duration. IBKR counts D in trading days and the others in calendar time."""

    SECONDS = "S"
    DAYS = "D"
    WEEKS = "W"
    MONTHS = "M"
    YEARS = "Y"


@dataclass(frozen=True)
class Duration:
    """A length of time as IBKR writes it: `1800 S`, `5 D`, `1 Y`."""

    count: int
    unit: DurationUnit

    @classmethod
    def parse(cls, text: str) -> Duration:
        """Parse `COUNT UNIT`.

        Raises:
            ConfigurationError: If it is anything else.
        """
        found = _DURATION.fullmatch(text.strip())
        if found is None:
            raise ConfigurationError(f"{text!r} is no duration. Write COUNT UNIT with S, D, W, M or Y, for example 1800 S, 5 D or 1 Y.")
        return cls(int(found[1]), DurationUnit(found[2]))

    def before(self, ends: Int64s) -> Int64s:
        """Return the UTC nanoseconds that lie this calendar time before `ends`, both of shape (n,).

        A month before the 31st is the last day of a shorter month, as calendars reckon.

        Raises:
            ValueError: For trading days, which are no calendar time.
        """
        if self.unit is DurationUnit.DAYS:
            raise ValueError(f"{self} counts trading days")
        if self.unit is DurationUnit.SECONDS:
            return ends - self.count * NANOSECONDS
        if self.unit is DurationUnit.WEEKS:
            return ends - self.count * 7 * DAY_NS
        months = self.count * (12 if self.unit is DurationUnit.YEARS else 1)
        days, time_of_day = np.divmod(ends, DAY_NS)
        month = days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
        length = _first_days(month - months + 1) - _first_days(month - months)
        earlier = _first_days(month - months) + np.minimum(days - _first_days(month), length - 1)
        return np.asarray(earlier * DAY_NS + time_of_day, dtype=np.int64)

    def __str__(self) -> str:
        return f"{self.count} {self.unit}"


def _first_days(months: Int64s) -> Int64s:
    """Return the day numbers of the first of months, which count from January 1970."""
    return months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)


@dataclass(frozen=True)
class RequestSizes:
    """The longest duration of one request for each bar size.

    Attributes:
        name: For messages.
        spans: Pairs of (seconds of a bar, longest duration), the finest bars first.
    """

    name: str
    spans: tuple[tuple[int, Duration], ...]

    @classmethod
    def named(cls, name: str) -> RequestSizes:
        """Return `documented` or `observed`.

        Raises:
            ConfigurationError: If it is neither.
        """
        try:
            return REQUEST_SIZES[name]
        except KeyError:
            raise ConfigurationError(f"IB_REQUEST_SIZES: {name!r} is not known. Write {' or '.join(REQUEST_SIZES)}.") from None

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, str], name: str = "configured") -> RequestSizes:
        """Return a table: the longest duration (`1 W`) by bar size (`5 mins`). A size between two takes the next finer one's.

        Raises:
            ConfigurationError: If a key or value is not as IBKR writes it, or seconds are given for bars of a day and more.
        """
        spans = {}
        for size, longest in mapping.items():
            found = _BAR_SIZE.fullmatch(size.strip())
            if found is None:
                raise ConfigurationError(f"{name}: {size!r} is no bar size. Write for example 5 secs, 1 min, 1 hour, 1 day.")
            seconds, duration = int(found[1]) * _UNIT_S[found[2]], Duration.parse(str(longest))
            if duration.unit is DurationUnit.SECONDS and (seconds >= _UNIT_S["day"] or duration.count % seconds or duration.count > _UNIT_S["day"]):
                raise ConfigurationError(
                    f"{name}: {size}: {duration} is no whole number of bars within a day. Write a multiple up to 86400 S, or days."
                )
            spans[seconds] = duration
        if not spans:
            raise ConfigurationError(f"{name}: the table of request sizes is empty. Write for example 1 min: 1 D.")
        return cls(name, tuple(sorted(spans.items())))

    def longest(self, spec: BarSpec) -> Duration:
        """Return the longest duration of a request for bars of `spec`: that of its size, else of the next finer one listed.

        Raises:
            ConfigurationError: If only coarser bars are listed.
        """
        seconds = bar_seconds(spec)
        fitting = [duration for listed, duration in self.spans if listed <= seconds]
        if not fitting:
            raise ConfigurationError(f"The request sizes {self.name!r} list no bars as short as {spec}. Add a line for them.")
        return fitting[-1]


DOCUMENTED = RequestSizes.from_mapping(
    {
        "1 sec": "1800 S",
        "5 secs": "7200 S",
        "15 secs": "14400 S",
        "30 secs": "28800 S",
        "1 min": "1 D",
        "5 mins": "1 W",
        "15 mins": "2 W",
        "30 mins": "1 M",
        "1 hour": "1 M",
        "1 day": "1 Y",
        "1 week": "2 Y",
        "1 month": "1 Y",
    },
    "documented",
)
"""Conservative: IBKR's documented step sizes."""

OBSERVED = RequestSizes.from_mapping(
    {
        "1 sec": "1800 S",
        "5 secs": "7200 S",
        "15 secs": "14400 S",
        "30 secs": "28800 S",
        "1 min": "10 D",
        "5 mins": "150 D",
        "15 mins": "1 Y",
        "30 mins": "1 Y",
        "1 hour": "2 Y",
        "1 day": "20 Y",
        "1 week": "20 Y",
        "1 month": "20 Y",
    },
    "observed",
)
"""What traders report to be answered in full today; a request that times out is halved."""

REQUEST_SIZES: Mapping[str, RequestSizes] = MappingProxyType({sizes.name: sizes for sizes in (DOCUMENTED, OBSERVED)})
