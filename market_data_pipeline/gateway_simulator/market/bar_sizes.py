"""The bar sizes that IBKR documents, and how long a request for each may be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

from market_data_pipeline.gateway_simulator.market.refusal import invalid_request


class Period(Enum):
    """Bars that are labelled with a date."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


@dataclass(frozen=True)
class BarSize:
    """A size of bars.

    Attributes:
        name: IBKR's name, for example `5 mins`.
        seconds: Length; of bars labelled with a date, the length of a day, a week or 31 days.
        period: What a bar labelled with a date covers; None for bars within a day.
    """

    name: str
    seconds: int
    period: Period | None = None

    @property
    def short(self) -> str:
        """How messages of the historical data service name it: `60`, `1d`."""
        return f"1{self.period.value[0]}" if self.period else str(self.seconds)

    @classmethod
    def parse(cls, text: str) -> BarSize:
        """Return the size of an IBKR name.

        Raises:
            Refusal: 321, if there is none.
        """
        try:
            return _BY_NAME[text.strip()]
        except KeyError:
            raise invalid_request(f"Historical data bar size setting is invalid. Legal ones are: {_LEGAL}") from None


_INTRADAY = {
    **{f"{n} secs": n for n in (1, 5, 10, 15, 30)},
    "1 min": 60,
    **{f"{n} mins": n * 60 for n in (2, 3, 5, 10, 15, 20, 30)},
    "1 hour": 3_600,
    **{f"{n} hours": n * 3_600 for n in (2, 3, 4, 8)},
}
_DAY, _WEEK, _MONTH = (
    BarSize("1 day", 86_400, Period.DAY),
    BarSize("1 week", 7 * 86_400, Period.WEEK),
    BarSize("1 month", 31 * 86_400, Period.MONTH),
)
_SIZES = (*(BarSize(name, seconds) for name, seconds in _INTRADAY.items()), _DAY, _WEEK, _MONTH)
_LEGAL = ", ".join((*_INTRADAY, "1 day, 1W, 1M"))
# Short forms that the gateway takes too; `1 mins` is what Nautilus' adapter and older documents write.
_OTHER_NAMES = {"1 mins": "1 min", "1 hours": "1 hour", "1 days": "1 day", "1W": "1 week", "1w": "1 week", "1M": "1 month", "1m": "1 month"}

_BY_NAME: Mapping[str, BarSize] = MappingProxyType(
    {size.name: size for size in _SIZES} | {other: next(s for s in _SIZES if s.name == name) for other, name in _OTHER_NAMES.items()}
)

BAR_SIZES: tuple[BarSize, ...] = _SIZES
"""All sizes, shortest first."""
