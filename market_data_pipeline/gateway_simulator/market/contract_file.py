"""The file of contracts: the package's own, and a user's beside it."""

from __future__ import annotations

import datetime as dt
import zlib
from collections.abc import Iterator
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from market_data_pipeline.calendars import VENUES
from market_data_pipeline.configuration import Section

# Numbers of contracts that a user gave none: above all real ones of today, and a pure function of the name.
_INVENTED_IDS = 1_900_000_000


def _known_venue(venue: str) -> str:
    if venue not in VENUES:
        raise ValueError(f"no trading calendar is known for {venue!r}; known are {', '.join(VENUES)}")
    return venue


def invented_con_id(name: str) -> int:
    """Return the number of a contract that has none: the same for the same name."""
    return _INVENTED_IDS + zlib.crc32(name.encode()) % 100_000_000


Symbol = Annotated[str, Field(pattern=r"^[A-Z0-9][A-Z0-9. ]*$", max_length=20)]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
Venue = Annotated[str, AfterValidator(_known_venue)]
Positive = Annotated[Decimal, Field(gt=0)]


class ExpiryRule(StrEnum):
    """On which day of its month, or of the month before, a future is last traded."""

    THIRD_FRIDAY = "third_friday"
    BEFORE_25TH = "three_business_days_before_25th_of_previous_month"


class _Listing(Section):
    """What all kinds of contracts have.

    Attributes:
        name: Long name.
        price: Price at 2024-01-02; invented prices go through it.
        tick: Smallest step of bid, ask and last.
        spread_ticks: Distance of bid and ask, in ticks.
        volatility: Of a year, as a fraction.
        trades_per_minute: Average of regular hours. Minutes in which nothing trades are absent.
        extended_trades_per_minute: The same outside regular hours.
        trade_size: Average size of a trade.
        listed: First date traded.
        quoted: First date for which bids and asks are kept; the listing date if none is given.
    """

    con_id: Annotated[int, Field(gt=0, lt=2**31)] | None = None
    symbol: Symbol
    name: str
    price: Positive
    tick: Positive
    spread_ticks: Annotated[int, Field(ge=1)] = 1
    volatility: Annotated[float, Field(gt=0, le=5)] = 0.25
    trades_per_minute: Annotated[float, Field(ge=0)] = 60
    extended_trades_per_minute: Annotated[float, Field(ge=0)] = 1
    trade_size: Positive = Decimal(100)
    currency: Currency = "USD"
    listed: dt.date
    quoted: dt.date | None = None


class Stock(_Listing):
    """A stock or fund, traded on SMART."""

    primary_exchange: Venue
    tick: Positive = Decimal("0.01")
    isin: Annotated[str, Field(pattern=r"^[A-Z]{2}[A-Z0-9]{9}[0-9]$")] | None = None
    kind: Literal["COMMON", "ETF", "ADR", "REIT"] = "COMMON"
    industry: str = ""
    category: str = ""
    subcategory: str = ""


class Pair(_Listing):
    """A currency pair: `symbol` in terms of `currency`."""

    symbol: Currency
    exchange: Venue = "IDEALPRO"
    midpoint_step: Positive
    trades_per_minute: Annotated[float, Field(ge=0)] = 60


class Coin(_Listing):
    """A crypto currency in terms of `currency`."""

    exchange: Venue = "PAXOS"
    smallest_size: Positive = Decimal("0.00000001")


class Index(_Listing):
    """An index: it has a price and no trades."""

    exchange: Venue
    trades_per_minute: Annotated[float, Field(ge=0, le=0)] = 0


class Future(_Listing):
    """A family of futures, whose expiries follow a rule. Prices of all expiries follow one path.

    Attributes:
        months: Codes of the months that are listed: `HMUZ`.
        expiry: The rule for the last trade date.
        ahead: How many expiries are listed at a time.
        under_con_id: Number of the underlying.
    """

    exchange: Venue
    multiplier: Annotated[int, Field(gt=0)]
    months: Annotated[str, Field(pattern=r"^[FGHJKMNQUVXZ]{1,12}$")]
    expiry: ExpiryRule
    ahead: Annotated[int, Field(ge=1, le=60)] = 5
    time_zone: Literal["US/Central", "US/Eastern"] = "US/Central"
    under_con_id: Annotated[int, Field(gt=0, lt=2**31)] | None = None


class ContractFile(Section):
    """Contracts by kind."""

    stocks: tuple[Stock, ...] = ()
    pairs: tuple[Pair, ...] = ()
    coins: tuple[Coin, ...] = ()
    indices: tuple[Index, ...] = ()
    futures: tuple[Future, ...] = ()

    def listings(self) -> Iterator[Stock | Pair | Coin | Index | Future]:
        """Yield every contract, and every family of futures once."""
        yield from self.stocks
        yield from self.pairs
        yield from self.coins
        yield from self.indices
        yield from self.futures

    @model_validator(mode="after")
    def _numbers_are_unique(self) -> Self:
        seen: dict[int, str] = {}
        for listing in self.listings():
            if listing.con_id is not None and listing.con_id in seen:
                raise ValueError(f"con_id {listing.con_id} stands for both {seen[listing.con_id]} and {listing.symbol}")
            if listing.con_id is not None:
                seen[listing.con_id] = listing.symbol
        return self
