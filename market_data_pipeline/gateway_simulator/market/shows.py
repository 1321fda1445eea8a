"""What can be shown in bars (whatToShow), and of which contracts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from market_data_pipeline.gateway_simulator.market.bar_sizes import BarSize
from market_data_pipeline.gateway_simulator.market.bars import Price
from market_data_pipeline.gateway_simulator.market.contracts import ListedContract
from market_data_pipeline.gateway_simulator.market.refusal import invalid_request, not_recorded, wrong_trades

SCHEDULE = "SCHEDULE"
ADJUSTED = "ADJUSTED_LAST"
_CRYPTO_TRADES = "AGGTRADES"


@dataclass(frozen=True)
class Show:
    """One thing that bars can show.

    Attributes:
        what: IBKR's name.
        subject: How the historical data service names it where there is no data: `Trades`.
        tick: How it names it where there never is: `Last`.
        prices: What it is made of; bid and ask for BID_ASK, nothing for what the simulator does not have.
    """

    what: str
    subject: str
    tick: str
    prices: tuple[Price, ...] = ()


_TRADES = (Price.TRADES,)
_SHOWS: Mapping[str, Show] = MappingProxyType(
    {
        show.what: show
        for show in (
            Show("TRADES", "Trades", "Last", _TRADES),
            Show(_CRYPTO_TRADES, "AggTrades", "AggLast", _TRADES),
            Show(ADJUSTED, "AdjustedLast", "AdjLast", _TRADES),
            Show("MIDPOINT", "Midpoint", "Midpoint", (Price.MIDPOINT,)),
            Show("BID", "Bid", "Bid", (Price.BID,)),
            Show("ASK", "Ask", "Ask", (Price.ASK,)),
            Show("BID_ASK", "BidAsk", "BidAsk", (Price.BID, Price.ASK)),
            Show("HISTORICAL_VOLATILITY", "HistoricalVolatility", "HistoricalVolatility"),
            Show("OPTION_IMPLIED_VOLATILITY", "ImpliedVolatility", "ImpliedVolatility"),
            Show("FEE_RATE", "FeeRate", "FeeRate"),
            Show("REBATE_RATE", "RebateRate", "RebateRate"),
            Show("YIELD_BID", "BidYield", "BidYield"),
            Show("YIELD_ASK", "AskYield", "AskYield"),
            Show("YIELD_BID_ASK", "BidAskYield", "BidAskYield"),
            Show("YIELD_LAST", "LastYield", "LastYield"),
        )
    }
)
# IBKR, "Historical Bar whatToShow": available data per product.
_ALL = frozenset({"TRADES", "MIDPOINT", "BID", "ASK", "BID_ASK"})
_SHOWN: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "STK": _ALL | {ADJUSTED},
        "FUT": _ALL,
        "CONTFUT": _ALL,
        "CASH": _ALL - {"TRADES"},
        "CRYPTO": (_ALL - {"TRADES"}) | {_CRYPTO_TRADES},
        "IND": frozenset({"TRADES"}),
    }
)


def show_of(contract: ListedContract, what: str, size: BarSize) -> Show:
    """Return what is asked for.

    Raises:
        Refusal: 321 for a word that IBKR does not know, 10299 for trades of a coin by another name, 162 for what the contract never has.
    """
    show = _SHOWS.get(what)
    if show is None:
        raise invalid_request("What to show field is missing or incorrect.")
    expected = _CRYPTO_TRADES if contract.sec_type == "CRYPTO" else "TRADES"
    if what in ("TRADES", _CRYPTO_TRADES) and what != expected:
        raise wrong_trades(expected, what)
    if what not in _SHOWN[contract.sec_type]:
        raise not_recorded(f"{contract.symbol}/{contract.sec_type}@{contract.exchange} {show.tick} {size.short}")
    return show
