"""From an instrument id to IBKR's contract, in the words of Nautilus' own adapter, and back to the one contract that is meant."""

from __future__ import annotations

import copy
import re
from typing import TYPE_CHECKING

from market_data_pipeline.domain.bar_types import parse_instrument_id, venue_of
from market_data_pipeline.domain.errors import ContractAmbiguous, ContractUnknown, InvalidInstrumentId

if TYPE_CHECKING:
    from collections.abc import Callable

    from ib_async.contract import Contract, ContractDetails

    from market_data_pipeline.domain.source import SourceNews
    from market_data_pipeline.sources.ibkr.gateway import IbkrGateway

# Nautilus knows a future by one digit of its year (ESZ4), which comes again every ten years; two digits say which.
_TWO_DIGIT_YEAR = re.compile(r"(?P<root>[A-Z0-9]{1,4}?)(?P<month>[FGHJKMNQUVXZ])(?P<year>\d{2})")
_PAIR = re.compile(r"([A-Z]{3})[.-]?([A-Z]{3})")
_MONTHS = "FGHJKMNQUVXZ"
_TOLD = 8


def contract_of(instrument_id: str) -> Contract:
    """Return the contract that an instrument id names, as Nautilus' live adapter would ask for it.

    AAPL.NASDAQ is a stock on SMART whose primary exchange is NASDAQ, BRK-B.NYSE the stock `BRK B`, EUR/USD.IDEALPRO a currency pair,
    ESZ6.CME (or ESZ26.CME, which says the decade too) a future, ^SPX.CBOE an index, BTC/USD.PAXOS a crypto currency. An exchange may be given
    as MIC (AAPL.XNAS).

    Raises:
        InvalidInstrumentId: If it is no id, or names nothing that IBKR could list.
    """
    return contracts_of(instrument_id)[0]


def contracts_of(instrument_id: str) -> list[Contract]:
    """Return the contracts that an instrument id may name, best first: a MIC such as GLBX stands for several exchanges.

    Raises:
        InvalidInstrumentId: As `contract_of`.
    """
    from ib_async.contract import Contract
    from nautilus_trader.adapters.interactive_brokers.parsing.instruments import instrument_id_to_ib_contract, possible_exchanges_for_venue
    from nautilus_trader.model.identifiers import InstrumentId

    venue = venue_of(parse_instrument_id(instrument_id))
    if venue == "IDEALPRO" and (pair := _PAIR.fullmatch(instrument_id.rpartition(".")[0])):
        raise InvalidInstrumentId(f"{instrument_id} is no id of a currency pair. Write {pair[1]}/{pair[2]}.IDEALPRO.")
    symbol, expiry = _one_digit_year(instrument_id.rpartition(".")[0])
    found = []
    for exchange in possible_exchanges_for_venue(venue):
        try:
            named = instrument_id_to_ib_contract(InstrumentId.from_str(f"{symbol}.{venue}"), exchange)
        except ValueError as error:
            raise InvalidInstrumentId(
                f"IBKR lists nothing that {instrument_id} could name: {error}. Find its id with: mdp ibkr discover {_symbol_of(instrument_id)}"
            ) from None
        fields = {name: value for name in _SHARED if (value := getattr(named, name))}
        fields.setdefault("currency", "USD" if named.secType == "STK" and venue in _US_EXCHANGES else "")
        contract = Contract(**fields)
        if contract.secType == "FUT":
            contract.includeExpired = True
            contract.lastTradeDateOrContractMonth = contract.lastTradeDateOrContractMonth or expiry
        found.append(contract)
    return found


_SHARED = ("secType", "exchange", "primaryExchange", "symbol", "localSymbol", "currency", "tradingClass", "lastTradeDateOrContractMonth", "right")
_US_EXCHANGES = frozenset({"NASDAQ", "ISLAND", "NYSE", "ARCA", "AMEX", "BATS", "IEX", "XNAS", "XNYS", "ARCX", "IEXG"})


def _one_digit_year(symbol: str) -> tuple[str, str]:
    """Return a future's symbol as Nautilus reads it, and its contract month where two digits named it: ESZ24 is ESZ4 and 202412."""
    if (named := _TWO_DIGIT_YEAR.fullmatch(symbol)) is None:
        return symbol, ""
    month = _MONTHS.index(named["month"]) + 1
    return f"{named['root']}{named['month']}{named['year'][-1]}", f"20{named['year']}{month:02}"


def resolve(gateway: IbkrGateway, instrument_id: str, listener: Callable[[SourceNews], None] | None = None) -> ContractDetails:
    """Return the one contract that an instrument id names, asked of the gateway.

    Raises:
        InvalidInstrumentId: If it is no id that IBKR could list.
        ContractUnknown: If IBKR lists no such contract.
        ContractAmbiguous: If several fit; the message lists them.
        SourceError: If the gateway cannot be asked, or refuses.
    """
    unknown: ContractUnknown | None = None
    for contract in contracts_of(instrument_id):
        try:
            return only_one(instrument_id, gateway.contract_details(contract, listener))
        except ContractUnknown as error:
            unknown = error
    raise ContractUnknown(f"IBKR lists no contract for {instrument_id}. Look it up with: mdp ibkr discover {_symbol_of(instrument_id)}") from unknown


def only_one(asked: str, found: list[ContractDetails]) -> ContractDetails:
    """Return the contract, if there is one.

    Raises:
        ContractUnknown: If there is none.
        ContractAmbiguous: If there are several.
    """
    different = {_contract(details).conId: details for details in found}
    if not different:
        raise ContractUnknown(f"IBKR lists no contract for {asked}. Look it up with: mdp ibkr discover {_symbol_of(asked)}")
    if len(different) > 1:
        lines = "; ".join(described(details) for details in list(different.values())[:_TOLD])
        more = f"; and {len(different) - _TOLD} more" if len(different) > _TOLD else ""
        raise ContractAmbiguous(
            f"{len(different)} contracts of IBKR fit {asked}: {lines}{more}. Choose one with: mdp ibkr discover {_symbol_of(asked)}"
        )
    return found[0]


def described(details: ContractDetails) -> str:
    """Return a contract in a few words: `AAPL STK SMART/NASDAQ USD (Apple Inc, conId 265598)`."""
    contract = _contract(details)
    exchange = f"{contract.exchange}/{contract.primaryExchange}" if contract.primaryExchange else contract.exchange
    return f"{contract.localSymbol or contract.symbol} {contract.secType} {exchange} {contract.currency} ({details.longName}, conId {contract.conId})"


def asking_contract(details: ContractDetails) -> Contract:
    """Return the contract to ask for bars of: known by its conId, and found also where a future has expired."""
    contract = copy.copy(_contract(details))
    contract.includeExpired = contract.secType == "FUT"
    return contract


def _contract(details: ContractDetails) -> Contract:
    assert details.contract is not None  # every answer of a gateway has one
    return details.contract


def _symbol_of(instrument_id: str) -> str:
    return instrument_id.rpartition(".")[0] or instrument_id
