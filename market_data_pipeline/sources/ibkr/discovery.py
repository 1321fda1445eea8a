"""From what a person types (EURUSD, AAPL, ES@FUT) to the contracts that it may mean."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from market_data_pipeline.calendars import VENUES
from market_data_pipeline.domain.bar_types import parse_instrument_id
from market_data_pipeline.domain.errors import ContractUnknown, InvalidInstrumentId, UsageError
from market_data_pipeline.domain.source import SourceNews
from market_data_pipeline.sources.ibkr.contracts import contracts_of
from market_data_pipeline.sources.ibkr.instruments import venue_of_contract
from market_data_pipeline.sources.ibkr.remembered import Remembered
from market_data_pipeline.sources.ibkr.settings import IbkrSettings

if TYPE_CHECKING:
    from ib_async.contract import Contract, ContractDetails

    from market_data_pipeline.sources.ibkr.gateway import IbkrGateway

WEEK_S = 7 * 86_400.0
_TYPES = ("CASH", "STK", "FUT", "CONTFUT", "IND", "CRYPTO", "CFD", "CMDTY")
_PAIR = re.compile(r"([A-Z]{3})[/.]?([A-Z]{3})")
_COIN = re.compile(r"([A-Z0-9]{2,10})[/.]([A-Z]{3})")
_SHARE_CLASS = re.compile(r"([A-Z]{1,5})\.([A-Z])")
_TEXT = re.compile(r"[A-Z0-9^][A-Z0-9 ./^-]{0,30}")


@dataclass(frozen=True)
class Candidate:
    """A contract that a text may mean.

    Attributes:
        instrument_id: The id under which its bars are kept, equal to that of Nautilus' live adapter.
        con_id: IBKR's number of the contract.
        sec_type: STK, CASH, FUT …
        symbol: IBKR's symbol.
        local_symbol: The symbol at its exchange.
        exchange: Where it is asked for.
        primary_exchange: Where a stock is listed; empty for others.
        currency: Its currency.
        expiry: Last trading day `YYYYMMDD` of a future; empty for others.
        name: What it is, in words.
    """

    instrument_id: str
    con_id: int
    sec_type: str
    symbol: str
    local_symbol: str
    exchange: str
    primary_exchange: str
    currency: str
    expiry: str
    name: str


class DiscoveryCache:
    """Candidates found before, so that the same text need not be asked twice within a week."""

    def __init__(self, settings: IbkrSettings, max_age_s: float = WEEK_S) -> None:
        self._kept = Remembered(settings.state_folder / "discovered.json")
        self._place = settings.place
        self._max_age_s = max_age_s

    def get(self, text: str) -> tuple[list[Candidate], float] | None:
        """Return the candidates of a text and their age in seconds, if they are known."""
        entry = self._kept.get(self._key(text), self._max_age_s)
        if entry is None:
            return None
        names = {field.name for field in fields(Candidate)}
        try:
            found = [Candidate(**one) for one in entry.value if set(one) == names]
        except TypeError:
            return None
        return (found, entry.age_s) if found else None

    def put(self, text: str, candidates: list[Candidate]) -> None:
        """Keep the candidates of a text."""
        self._kept.put(self._key(text), [asdict(candidate) for candidate in candidates])

    def clear(self) -> bool:
        """Forget everything; return whether there was anything."""
        return self._kept.clear()

    def _key(self, text: str) -> str:
        return f"{self._place} {text.strip().upper()}"


def discover(
    gateway: IbkrGateway, text: str, cache: DiscoveryCache | None = None, listener: Callable[[SourceNews], None] | None = None
) -> list[Candidate]:
    """Return the contracts that a text may mean: one if it is clear, several to choose from.

    A currency pair (CASH) is tried first, then a stock (STK), a future (FUT), an index (IND); the first kind that IBKR lists wins. So ES is
    the stock Eversource; ES@FUT is the future. An instrument id is taken at its word.

    Args:
        gateway: Whom to ask.
        text: EURUSD, EUR/USD, AAPL, ES@FUT, BTC@CRYPTO, SPX@IND, AAPL.NASDAQ; after @ one of CASH, STK, FUT, CONTFUT, IND, CRYPTO, CFD, CMDTY.
        cache: Where to look first and to keep what was found; None to ask in any case.
        listener: Told what is being done.

    Raises:
        UsageError: If the text names nothing, or the type after @ is none.
        ContractUnknown: If IBKR lists nothing of that name.
        SourceError: If the gateway cannot be asked, or refuses.
    """
    if cache is not None and (known := cache.get(text)) is not None:
        return known[0]
    for contract in _guesses(text):
        try:
            details = gateway.contract_details(contract, listener)
        except ContractUnknown:
            continue
        found = sorted({one.con_id: one for one in map(candidate_of, details)}.values(), key=lambda one: (one.expiry, one.currency, one.exchange))
        if found:
            if cache is not None:
                cache.put(text, found)
            return found
    tried = ", ".join(dict.fromkeys(contract.secType for contract in _guesses(text)))
    raise ContractUnknown(f"IBKR lists nothing under {text!r} (tried: {tried}). {_cure(text)}")


def candidate_of(details: ContractDetails) -> Candidate:
    """Return a contract as a candidate."""
    from nautilus_trader.adapters.interactive_brokers.common import IBContract
    from nautilus_trader.adapters.interactive_brokers.parsing.instruments import ib_contract_to_instrument_id

    contract = details.contract
    assert contract is not None
    sec_type: Any = contract.secType  # Nautilus lists those that it knows
    named = IBContract(
        secType=sec_type,
        symbol=contract.symbol,
        localSymbol=contract.localSymbol,
        currency=contract.currency,
        tradingClass=contract.tradingClass,
        lastTradeDateOrContractMonth=contract.lastTradeDateOrContractMonth,
        strike=contract.strike,
        right=contract.right,
    )
    return Candidate(
        instrument_id=str(ib_contract_to_instrument_id(named, venue_of_contract(details))),
        con_id=contract.conId,
        sec_type=contract.secType,
        symbol=contract.symbol,
        local_symbol=contract.localSymbol,
        exchange=contract.exchange,
        primary_exchange=contract.primaryExchange,
        currency=contract.currency,
        expiry=contract.lastTradeDateOrContractMonth,
        name=details.longName,
    )


def _guesses(text: str) -> list[Contract]:
    """Return the contracts to ask for, in order.

    Raises:
        UsageError: If the text names nothing, or the type after @ is none.
    """
    symbol, at, sec_type = (part.strip() for part in text.upper().partition("@"))
    if not _TEXT.fullmatch(symbol):
        raise UsageError(f"{text!r} names nothing to look for. Write a symbol, for example AAPL, EURUSD or ES@FUT.")
    if at and sec_type not in _TYPES:
        raise UsageError(f"{text!r}: {sec_type or 'nothing'} after @ is no type. Write one of {', '.join(_TYPES)}, for example ES@FUT.")
    if sec_type:
        guesses = _of_type(symbol, sec_type)
        if not guesses:
            raise UsageError(f"{text!r}: a {sec_type} is written as a pair, for example EUR/USD@CASH.")
        return guesses
    return _as_instrument_id(symbol) or [guess for kind in ("CASH", "CRYPTO", "STK", "FUT", "IND") for guess in _untyped(symbol, kind)]


def _cure(text: str) -> str:
    """Return what to write instead: another venue, the other form of a share class, or the type."""
    symbol, dot, venue = text.strip().upper().rpartition(".")
    if dot and symbol and len(venue) > 2 and venue not in VENUES:
        meant = get_close_matches(venue, VENUES, 1, 0.6)
        hint = f" Did you mean {symbol}.{meant[0]}?" if meant else f" Known venues: {', '.join(sorted(VENUES))}."
        return f"{venue} is no venue known here.{hint}"
    if (share := _SHARE_CLASS.fullmatch(text.strip().upper())) is not None:
        return f"A class of shares is written with a space: '{share[1]} {share[2]}'."
    return "Write the symbol as TWS shows it, or name the type: ES@FUT, BTC@CRYPTO, SPX@IND."


def _as_instrument_id(symbol: str) -> list[Contract]:
    if "." not in symbol or _PAIR.fullmatch(symbol):
        return []
    try:
        return contracts_of(parse_instrument_id(symbol))
    except InvalidInstrumentId:
        return []


def _untyped(symbol: str, kind: str) -> list[Contract]:
    if kind == "CRYPTO" and not _COIN.fullmatch(symbol):  # BTC alone is looked for as a stock
        return []
    if kind in ("STK", "FUT", "IND") and "/" in symbol:
        return []
    return _of_type(symbol, kind)


def _of_type(symbol: str, sec_type: str) -> list[Contract]:
    from ib_async.contract import Contract

    def contract(**values: Any) -> Contract:
        return Contract(secType=sec_type, **values)

    if sec_type == "CASH":
        pair = _PAIR.fullmatch(symbol)
        return [contract(symbol=pair[1], currency=pair[2], exchange="IDEALPRO")] if pair else []
    if sec_type == "CRYPTO":
        coin = _COIN.fullmatch(symbol)
        name, currency = (coin[1], coin[2]) if coin else (symbol, "USD")
        return [contract(symbol=name, currency=currency, exchange=exchange) for exchange in ("PAXOS", "ZEROHASH")]
    if sec_type in ("STK", "CFD", "CMDTY"):
        named = symbol.replace("-", " ") if sec_type == "STK" else symbol
        # In dollars first: many stocks are listed in a dozen currencies.
        return [contract(symbol=named, exchange="SMART", currency=currency) for currency in ("USD", "")]
    if sec_type == "IND":
        return [contract(symbol=symbol.removeprefix("^"))]
    by_local_symbol = re.fullmatch(r"[A-Z0-9]{1,4}[FGHJKMNQUVXZ]\d", symbol)
    return [contract(localSymbol=symbol, includeExpired=True)] if by_local_symbol and sec_type == "FUT" else [contract(symbol=symbol)]
