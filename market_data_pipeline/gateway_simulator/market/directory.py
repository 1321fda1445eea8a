"""Which contracts a description fits."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from zoneinfo import ZoneInfo

from market_data_pipeline.configuration import read_yaml
from market_data_pipeline.domain.errors import ConfigurationError
from market_data_pipeline.gateway_simulator.market.contract_file import ContractFile, Future
from market_data_pipeline.gateway_simulator.market.contracts import ContractQuery, ListedContract
from market_data_pipeline.gateway_simulator.market.futures import expiries_of
from market_data_pipeline.gateway_simulator.market.listing import coin, future, index, pair, stock
from market_data_pipeline.gateway_simulator.market.refusal import ambiguous_contract, invalid_request, unknown_contract
from market_data_pipeline.gateway_simulator.market.trading_hours import hours_texts

_OWN_FILE = Path(__file__).with_name("contracts.yaml")
# Two names of one exchange.
_EXCHANGES = {"ISLAND": "NASDAQ"}
_SECURITY_TYPES = ("STK", "CASH", "CRYPTO", "IND", "FUT", "CONTFUT", "OPT", "FOP", "CFD", "CMDTY", "BOND", "FUND", "WAR", "BAG", "NEWS")
_ANSWERS = 16


class Directory:
    """All contracts of the market.

    Args:
        files: Files of contracts; a number or a contract may stand in only one.
    """

    def __init__(self, files: Sequence[ContractFile]) -> None:
        self._fixed: list[ListedContract] = []
        self._families: list[Future] = []
        for file in files:
            self._fixed += [*map(stock, file.stocks), *map(pair, file.pairs), *map(coin, file.coins), *map(index, file.indices)]
            self._families += file.futures

    @classmethod
    def read(cls, extra: Path | None = None) -> Directory:
        """Return the package's contracts, and those of a user's file.

        Raises:
            ConfigurationError: If the file is wrong, or lists what the package lists too.
        """
        files = [read_yaml(_OWN_FILE, ContractFile)]
        if extra is not None:
            files.append(read_yaml(extra, ContractFile))
        directory = cls(files)
        directory.check(str(extra))
        return directory

    def check(self, name: str) -> None:
        """Refuse a contract that stands twice.

        Raises:
            ConfigurationError: Naming it and the file.
        """
        numbers: dict[int, str] = {}
        families: set[tuple[str, str]] = set()
        for contract in self._fixed:
            if contract.con_id in numbers:
                raise ConfigurationError(f"{name}: {contract.instrument_id} and {numbers[contract.con_id]} have one con_id, {contract.con_id}.")
            numbers[contract.con_id] = contract.instrument_id
        for family in self._families:
            if (family.symbol, family.exchange) in families:
                raise ConfigurationError(f"{name}: the future {family.symbol} on {family.exchange} is listed already.")
            families.add((family.symbol, family.exchange))

    def find(self, query: ContractQuery, now_ns: int) -> list[ListedContract]:
        """Return the contracts that a description fits, on the exchange that it names.

        Raises:
            Refusal: 321 if it names no security type, 200 if nothing fits.
        """
        types = query.sec_type.split("+") if query.sec_type else []
        if any(kind not in _SECURITY_TYPES for kind in types) or not (types or query.con_id or query.sec_id):
            raise invalid_request("Please enter a valid security type")
        today = dt.datetime.fromtimestamp(now_ns // 10**9, ZoneInfo("America/Chicago")).date()
        futures = self._futures(today, past=query.include_expired)
        found = [contract for contract in (*self._fixed, *futures) if _fits(contract, query, types)]
        if not found:
            raise unknown_contract()
        asked = _EXCHANGES.get(query.exchange, query.exchange)
        return [_told(contract, asked or contract.exchange, now_ns) for contract in found]

    def one(self, query: ContractQuery, now_ns: int) -> ListedContract:
        """Return the one contract that a description fits.

        Raises:
            Refusal: As `find`, and 200 if several fit.
        """
        found = self.find(query, now_ns)
        if len(found) > 1:
            raise ambiguous_contract(query.symbol or query.local_symbol or query.sec_id)
        return found[0]

    @property
    def fixed(self) -> tuple[ListedContract, ...]:
        """All contracts without an expiry."""
        return tuple(self._fixed)

    def matching(self, pattern: str, now_ns: int) -> list[ListedContract]:
        """Return contracts whose symbol or name holds a text: stocks first, among them those whose symbol it is, or begins with it."""
        wanted = pattern.strip().upper()
        if not wanted:
            return []
        found = [contract for contract in self._fixed if wanted in contract.symbol or wanted in contract.long_name.upper()]
        found.sort(key=lambda c: (c.sec_type != "STK", c.symbol != wanted, not c.symbol.startswith(wanted), c.symbol))
        return [_told(contract, contract.exchange, now_ns) for contract in found[:_ANSWERS]]

    def _futures(self, today: dt.date, *, past: bool) -> Iterable[ListedContract]:
        for family in self._families:
            yield from _contracts_of(family, today, past)


@lru_cache(maxsize=256)
def _contracts_of(family: Future, today: dt.date, past: bool) -> tuple[ListedContract, ...]:
    current, expired = expiries_of(family, today)
    listed = [future(family, expiry) for expiry in (*(expired if past else ()), *current)]
    if current:
        listed.append(future(family, current[0], continuous=True))
    return tuple(listed)


def _told(contract: ListedContract, exchange: str, now_ns: int) -> ListedContract:
    """Return the contract as its details tell it now."""
    trading, liquid = hours_texts(contract.calendar, contract.time_zone, now_ns)
    return replace(contract, exchange=exchange, trading_hours=trading, liquid_hours=liquid)


def _fits(contract: ListedContract, query: ContractQuery, types: list[str]) -> bool:
    """Return whether a contract is the one described. Its number alone says which it is; the exchange must be one of its own in any case."""
    exchange = _EXCHANGES.get(query.exchange, query.exchange)
    if exchange and exchange not in contract.valid_exchanges:
        return False
    if query.con_id:
        return contract.con_id == query.con_id
    primary = _EXCHANGES.get(query.primary_exchange, query.primary_exchange)
    given = (
        (query.symbol, contract.symbol),
        (query.currency, contract.currency),
        (query.local_symbol, contract.local_symbol),
        (query.trading_class, contract.trading_class),
        (query.multiplier, contract.multiplier),
        (primary if contract.primary_exchange else "", contract.primary_exchange),
        (query.sec_id, dict(contract.security_ids).get(query.sec_id_type, "") if query.sec_id else ""),
    )
    named = bool(query.symbol or query.local_symbol or query.sec_id)
    # YYYYMM names the contract month, YYYYMMDD the last trade date: crude oil of August is last traded in July.
    in_time = not contract.expiry or query.expiry in ("", contract.expiry, contract.contract_month)
    return named and in_time and (not types or contract.sec_type in types) and all(not wanted or wanted == has for wanted, has in given)
