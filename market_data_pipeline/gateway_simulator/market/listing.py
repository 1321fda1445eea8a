"""What contract details say of each kind of contract, after its line in a file of contracts."""

from __future__ import annotations

import datetime as dt
import zlib
from decimal import Decimal

from market_data_pipeline.calendars import published_calendar_of_venue
from market_data_pipeline.gateway_simulator.market.contract_file import Coin, Future, Index, Pair, Stock, invented_con_id
from market_data_pipeline.gateway_simulator.market.contracts import ListedContract, PriceBehaviour
from market_data_pipeline.gateway_simulator.market.futures import Expiry

_STOCK_EXCHANGES = (
    *("SMART", "AMEX", "NYSE", "CBOE", "PHLX", "ISE", "CHX", "ARCA", "NASDAQ", "DRCTEDGE", "BEX", "BATS", "EDGEA", "BYX", "IEX", "EDGX"),
    *("FOXRIVER", "PEARL", "NYSENAT", "LTSE", "MEMX", "IBEOS", "OVERNIGHT", "TPLUS0", "PSX"),
)
_EASTERN, _CENTRAL = "US/Eastern", "US/Central"
_STOCK_RULE, _PAIR_RULE, _FUTURE_RULE, _COIN_RULE = "26", "239", "67", "1707"
_PAIR_SIZE = "0.01"
_FUTURE_NUMBERS = 500_000_000


def stock(listing: Stock) -> ListedContract:
    """Return a stock, on SMART."""
    on_nasdaq = listing.primary_exchange == "NASDAQ"
    return ListedContract(
        con_id=listing.con_id or invented_con_id(f"STK {listing.symbol} {listing.primary_exchange}"),
        symbol=listing.symbol,
        sec_type="STK",
        exchange="SMART",
        primary_exchange=listing.primary_exchange,
        currency=listing.currency,
        local_symbol=listing.symbol,
        trading_class="NMS" if on_nasdaq else listing.symbol,
        long_name=listing.name,
        market_name="NMS" if on_nasdaq else listing.symbol,
        time_zone=_EASTERN,
        min_tick=_text(listing.tick),
        min_size="0.0001",
        size_increment="0.0001",
        suggested_size_increment="100",
        valid_exchanges=_STOCK_EXCHANGES,
        market_rule_ids=",".join([_STOCK_RULE] * len(_STOCK_EXCHANGES)),
        calendar=published_calendar_of_venue(listing.primary_exchange),
        behaviour=_behaviour(listing, f"{listing.symbol}/{listing.primary_exchange}", listing.tick / 2, Decimal(1)),
        listed=listing.listed,
        quoted=listing.quoted or listing.listed,
        industry=listing.industry,
        category=listing.category,
        subcategory=listing.subcategory,
        security_ids=(("ISIN", listing.isin),) if listing.isin else (),
        stock_type=listing.kind,
        derivative_sec_types=("CFD", "OPT", "IOPT", "WAR", "BAG"),
    )


def pair(listing: Pair) -> ListedContract:
    """Return a currency pair."""
    name = f"{listing.symbol}.{listing.currency}"
    return ListedContract(
        con_id=listing.con_id or invented_con_id(f"CASH {name}"),
        symbol=listing.symbol,
        sec_type="CASH",
        exchange=listing.exchange,
        primary_exchange="",
        currency=listing.currency,
        local_symbol=name,
        trading_class=name,
        long_name=listing.name,
        market_name=name,
        time_zone=_EASTERN,
        min_tick=_text(listing.tick),
        min_size=_PAIR_SIZE,
        size_increment=_PAIR_SIZE,
        suggested_size_increment=_PAIR_SIZE,
        valid_exchanges=(listing.exchange,),
        market_rule_ids=_PAIR_RULE,
        calendar=published_calendar_of_venue(listing.exchange),
        behaviour=_behaviour(listing, name, listing.midpoint_step, Decimal(1)),
        listed=listing.listed,
        quoted=listing.quoted or listing.listed,
        aggregate_group=4,
    )


def coin(listing: Coin) -> ListedContract:
    """Return a crypto currency."""
    name = f"{listing.symbol}.{listing.currency}"
    smallest = _text(listing.smallest_size)
    return ListedContract(
        con_id=listing.con_id or invented_con_id(f"CRYPTO {name}"),
        symbol=listing.symbol,
        sec_type="CRYPTO",
        exchange=listing.exchange,
        primary_exchange="",
        currency=listing.currency,
        local_symbol=name,
        trading_class=listing.symbol,
        long_name=listing.name,
        market_name=listing.symbol,
        time_zone="UTC",
        min_tick=_text(listing.tick),
        min_size=smallest,
        size_increment=smallest,
        suggested_size_increment=smallest,
        valid_exchanges=(listing.exchange,),
        market_rule_ids=_COIN_RULE,
        calendar=published_calendar_of_venue(listing.exchange),
        behaviour=_behaviour(listing, name, listing.tick / 2, listing.smallest_size),
        listed=listing.listed,
        quoted=listing.quoted or listing.listed,
    )


def index(listing: Index) -> ListedContract:
    """Return an index."""
    return ListedContract(
        con_id=listing.con_id or invented_con_id(f"IND {listing.symbol} {listing.exchange}"),
        symbol=listing.symbol,
        sec_type="IND",
        exchange=listing.exchange,
        primary_exchange="",
        currency=listing.currency,
        local_symbol=listing.symbol,
        trading_class=listing.symbol,
        long_name=listing.name,
        market_name=listing.symbol,
        time_zone=_CENTRAL,
        min_tick=_text(listing.tick),
        min_size="1",
        size_increment="1",
        suggested_size_increment="1",
        valid_exchanges=(listing.exchange,),
        market_rule_ids="",
        calendar=published_calendar_of_venue(listing.exchange),
        behaviour=_behaviour(listing, f"{listing.symbol}/{listing.exchange}", listing.tick, Decimal(1)),
        listed=listing.listed,
        quoted=listing.quoted or listing.listed,
        industry="Indices",
        category="Broad Range Equity Index",
        subcategory="*",
        derivative_sec_types=("OPT", "FUT", "BAG"),
    )


def future(listing: Future, expiry: Expiry, *, continuous: bool = False) -> ListedContract:
    """Return one expiry of a family of futures, or the continuous future while this expiry is the next."""
    family = zlib.crc32(f"{listing.symbol}@{listing.exchange}".encode()) % 1_000 * 1_000_000
    return ListedContract(
        con_id=_FUTURE_NUMBERS + family + (0 if continuous else int(expiry.month)),
        symbol=listing.symbol,
        sec_type="CONTFUT" if continuous else "FUT",
        exchange=listing.exchange,
        primary_exchange="",
        currency=listing.currency,
        local_symbol=expiry.local_symbol,
        trading_class=listing.symbol,
        long_name=listing.name,
        market_name=listing.symbol,
        time_zone=listing.time_zone,
        min_tick=_text(listing.tick),
        min_size="1",
        size_increment="1",
        suggested_size_increment="1",
        valid_exchanges=(listing.exchange,),
        market_rule_ids=_FUTURE_RULE,
        calendar=published_calendar_of_venue(listing.exchange),
        behaviour=_behaviour(listing, f"{listing.symbol}@{listing.exchange}", listing.tick / 2, Decimal(1)),
        listed=listing.listed if continuous else expiry.listed,
        quoted=max(listing.quoted or listing.listed, listing.listed if continuous else expiry.listed),
        delisted=None if continuous else expiry.last_trade,
        expiry=_date(expiry.last_trade),
        multiplier=str(listing.multiplier),
        under_con_id=listing.under_con_id or invented_con_id(f"IND {listing.symbol} {listing.exchange}"),
        under_symbol=listing.symbol,
        under_sec_type="IND",
        contract_month=expiry.month,
        real_expiration_date=_date(expiry.last_trade),
        aggregate_group=2147483647,
    )


def _behaviour(listing: Stock | Pair | Coin | Index | Future, family: str, quantum: Decimal, smallest_size: Decimal) -> PriceBehaviour:
    """Return how prices move; midpoints move in steps of `quantum`, and all prices have its decimals."""
    decimals, size_decimals = _decimals(quantum), _decimals(smallest_size)
    units = Decimal(10) ** decimals
    # An odd spread lies evenly around a midpoint of half ticks. Quotes round outwards from there.
    half_spread = int(listing.spread_ticks * listing.tick * units / 2)
    step = int(quantum * units)
    return PriceBehaviour(
        family=family,
        decimals=decimals,
        reference=int(listing.price * units),
        quantum=step,
        tick=int(listing.tick * units),
        half_spread=half_spread,
        volatility=listing.volatility,
        trades_per_minute=0.0 if isinstance(listing, Index) else listing.trades_per_minute,
        extended_trades_per_minute=0.0 if isinstance(listing, Index) else listing.extended_trades_per_minute,
        trade_size=float(listing.trade_size * 10**size_decimals),
        size_decimals=size_decimals,
    )


def _decimals(number: Decimal) -> int:
    exponent = number.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def _text(number: Decimal) -> str:
    """Return a number without an exponent and without trailing zeros."""
    return f"{number.normalize():f}"


def _date(date: dt.date) -> str:
    return date.strftime("%Y%m%d")
