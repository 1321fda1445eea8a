"""Contracts: how they are asked for, and what is listed of each."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from market_data_pipeline.domain.sessions import SessionCalendar


@dataclass(frozen=True)
class ContractQuery:
    """A contract as a client describes it: texts as they came, empty where not given (`con_id` 0)."""

    con_id: int = 0
    symbol: str = ""
    sec_type: str = ""
    expiry: str = ""
    strike: str = ""
    right: str = ""
    multiplier: str = ""
    exchange: str = ""
    primary_exchange: str = ""
    currency: str = ""
    local_symbol: str = ""
    trading_class: str = ""
    include_expired: bool = False
    sec_id_type: str = ""
    sec_id: str = ""


@dataclass(frozen=True)
class PriceBehaviour:
    """How invented prices of a contract move and trade. Prices are whole numbers of the last decimal, as everywhere.

    Attributes:
        family: Contracts of one family share one path: the expiries of a future, for example.
        decimals: Decimals of all prices below.
        reference: Price at 2024-01-02 00:00 UTC.
        quantum: Smallest step of a midpoint.
        tick: Smallest step of bid, ask and last; a multiple of `quantum`.
        half_spread: Distance of bid and ask from the midpoint, before they are rounded outwards to ticks.
        volatility: Of a year, as a fraction (0.25 is 25 %).
        trades_per_minute: Average number of trades in a minute of regular hours; 0 for what has a price and no trades (an index).
        extended_trades_per_minute: The same outside regular hours.
        trade_size: Average size of a trade, in the last decimal of a size.
        size_decimals: Decimals of a size.
    """

    family: str
    decimals: int
    reference: int
    quantum: int
    tick: int
    half_spread: int
    volatility: float
    trades_per_minute: float
    extended_trades_per_minute: float
    trade_size: float
    size_decimals: int


@dataclass(frozen=True)
class ListedContract:
    """One contract, with everything that contract details (message 10) say of it. Texts are as on the wire.

    Attributes:
        exchange: The exchange that was asked for; `SMART` for stocks where none was.
        expiry: Last trade date `YYYYMMDD`, or empty.
        time_zone: IBKR's name of the zone, `US/Eastern`; IANA knows it as a link.
        trading_hours: `20240105:0400-20240105:2000;20240106:CLOSED;…`, filled at the time of the question; so are `liquid_hours`.
        security_ids: `(("ISIN", "US0378331005"),)`, or none.
        calendar: Whose sessions it trades in.
        listed: First date on which it traded.
        quoted: First date for which bids and asks are kept.
        delisted: Last date on which it traded, or None.
    """

    con_id: int
    symbol: str
    sec_type: str
    exchange: str
    primary_exchange: str
    currency: str
    local_symbol: str
    trading_class: str
    long_name: str
    market_name: str
    time_zone: str
    min_tick: str
    min_size: str
    size_increment: str
    suggested_size_increment: str
    valid_exchanges: tuple[str, ...]
    market_rule_ids: str
    calendar: SessionCalendar = field(repr=False)
    behaviour: PriceBehaviour = field(repr=False)
    listed: dt.date
    quoted: dt.date
    delisted: dt.date | None = None
    expiry: str = ""
    strike: str = "0"
    right: str = ""
    multiplier: str = ""
    price_magnifier: int = 1
    order_types: str = "ACTIVETIM,ADJUST,ALERT,ALGO,COND,DAY,GTC,GTD,LMT,MKT,STP,STPLMT,TRAIL,WHATIF"
    under_con_id: int = 0
    under_symbol: str = ""
    under_sec_type: str = ""
    contract_month: str = ""
    industry: str = ""
    category: str = ""
    subcategory: str = ""
    trading_hours: str = ""
    liquid_hours: str = ""
    ev_rule: str = ""
    ev_multiplier: str = "0"
    security_ids: tuple[tuple[str, str], ...] = ()
    aggregate_group: int = 1
    real_expiration_date: str = ""
    stock_type: str = ""
    derivative_sec_types: tuple[str, ...] = ()

    @property
    def venue(self) -> str:
        """The venue of the instrument id: the primary exchange of a stock, else the exchange."""
        return self.primary_exchange or self.valid_exchanges[0]

    @property
    def instrument_id(self) -> str:
        """The id that Nautilus gives the contract: `AAPL.NASDAQ`, `EUR/USD.IDEALPRO`, `ESZ6.CME`, `^SPX.CBOE`."""
        symbol = _NAUTILUS_SYMBOLS.get(self.sec_type, "{local}").format(
            local=self.local_symbol, dashed=self.local_symbol.replace(" ", "-"), slashed=self.local_symbol.replace(".", "/"), symbol=self.symbol
        )
        return f"{symbol}.{self.venue}"

    @property
    def subject(self) -> str:
        """How messages of the historical data service name it: `AAPL@SMART`."""
        return f"{self.local_symbol}@{self.exchange}"


_NAUTILUS_SYMBOLS: Mapping[str, str] = MappingProxyType(
    {"STK": "{dashed}", "IND": "^{local}", "CASH": "{slashed}", "CRYPTO": "{slashed}", "FUT": "{local}", "CONTFUT": "{symbol}"}
)
