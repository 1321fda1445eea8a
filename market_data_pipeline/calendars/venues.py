"""Which calendar each venue keeps.

The map is explicit. Venue names are never handed to a calendar library as calendar names: some collide (OSE is Osaka for one and
Oslo for another), and some are there but wrong (the library's IEX was open on 2024-12-25 and 2025-01-09, when every US stock
exchange was closed).
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from types import MappingProxyType

from market_data_pipeline.domain.errors import UnknownVenue

# Names as Interactive Brokers writes exchanges, then as MIC and Databento write them; ISLAND is Interactive Brokers' old name of NASDAQ.
_VENUES_OF_CALENDAR: Mapping[str, tuple[str, ...]] = {
    "NYSE": (
        *("NASDAQ", "NYSE", "ARCA", "AMEX", "BATS", "IEX", "SMART", "ISLAND"),
        *("BYX", "EDGEA", "DRCTEDGE", "NYSENAT", "PSX", "CHX", "MEMX", "PEARL", "LTSE"),
        *("XNAS", "XNYS", "ARCX", "XASE", "IEXG"),
    ),
    "CME": ("CME", "XCME", "GLBX"),
    "CBOT": ("CBOT", "XCBT"),
    "NYMEX": ("NYMEX", "XNYM"),
    "COMEX": ("COMEX", "XCEC"),
    "CBOE": ("CBOE", "XCBO"),
    "FX": ("IDEALPRO",),
    "CRYPTO": (
        *("CRYPTO", "PAXOS", "ZEROHASH", "BINANCE", "BINANCE_US", "BITFINEX", "BITGET", "BITMEX", "BITSTAMP", "BYBIT", "COINBASE", "COINBASE_INTX"),
        *("CRYPTO_COM", "DERIBIT", "DYDX", "GATEIO", "GEMINI", "HTX", "HUOBI", "HYPERLIQUID", "KRAKEN", "KUCOIN", "OKX"),
    ),
}

CALENDAR_NAMES: tuple[str, ...] = tuple(_VENUES_OF_CALENDAR)
"""Names of our calendars, as a watchlist writes them."""

VENUES: Mapping[str, str] = MappingProxyType({venue: name for name, venues in _VENUES_OF_CALENDAR.items() for venue in venues})
"""Calendar name of each known venue."""


def calendar_name_of_venue(venue: str) -> str:
    """Return the name of the calendar that a venue keeps.

    Raises:
        UnknownVenue: If the venue is not in `VENUES`; the message lists those that are.
    """
    try:
        return VENUES[venue]
    except KeyError:
        meant = get_close_matches(venue, VENUES, 1, 0.6)
        hint = f" Did you mean {meant[0]}?" if meant else ""
        known = "; ".join(f"{name}: {', '.join(venues)}" for name, venues in _VENUES_OF_CALENDAR.items())
        raise UnknownVenue(f"No trading calendar is known for the venue {venue!r}.{hint} Known venues by calendar: {known}.") from None


def check_calendar_name(name: str) -> None:
    """Refuse a name that is none of `CALENDAR_NAMES`.

    Raises:
        UnknownVenue: If it is none.
    """
    if name not in _VENUES_OF_CALENDAR:
        meant = f" The venue {name} keeps the calendar {VENUES[name]}." if name in VENUES else ""
        raise UnknownVenue(f"{name!r} is no calendar. Write one of {', '.join(CALENDAR_NAMES)}.{meant}")
