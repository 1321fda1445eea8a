"""Contract details as both clients read them, and what Nautilus' own parser makes of them."""

from __future__ import annotations

import copy
from decimal import Decimal
from typing import Any, cast

import pytest
from ib_async.contract import ContractDetails
from ib_async.decoder import Decoder
from nautilus_trader.adapters.interactive_brokers.common import IBContractDetails
from nautilus_trader.adapters.interactive_brokers.parsing.instruments import parse_instrument
from nautilus_trader.model.instruments import Instrument

from market_data_pipeline.gateway_simulator import answers
from market_data_pipeline.gateway_simulator.market import ContractQuery, ListedContract, Market
from market_data_pipeline_tests.gateway_simulator.market.asking import AAPL, BRK_B, BTC, E_MINI, EURUSD, FRIDAY_NOON, SPX, THIN, USDJPY

SERVER_VERSION = 178
EVERSOURCE_CONTINUOUS = ContractQuery(symbol="ES", sec_type="CONTFUT", exchange="CME")
CRUDE = ContractQuery(local_symbol="CLQ4", sec_type="FUT", exchange="NYMEX")


class Listener:
    """Keeps the contract details that ib_async's decoder makes of a message."""

    def __init__(self) -> None:
        self.details: list[ContractDetails] = []

    def contractDetails(self, request_id: int, details: ContractDetails) -> None:  # noqa: N802 - called by ib_async
        self.details.append(details)


def read_by_ib_async(contract: ListedContract) -> ContractDetails:
    fields = answers.contract(7, contract)[4:].decode().split("\0")[:-1]
    listener = Listener()
    decoder: Any = Decoder(cast("Any", listener), SERVER_VERSION)
    decoder.interpret(fields)
    (details,) = listener.details
    return details


def parsed_by_nautilus(contract: ListedContract) -> Instrument:
    details = copy.deepcopy(read_by_ib_async(contract))
    return parse_instrument(IBContractDetails.from_contract_details(details), contract.venue)


@pytest.mark.parametrize(
    ("query", "instrument_id", "price_precision", "size_precision"),
    [
        (AAPL, "AAPL.NASDAQ", 2, 0),
        (BRK_B, "BRK-B.NYSE", 2, 0),
        (EURUSD, "EUR/USD.IDEALPRO", 5, 2),
        (USDJPY, "USD/JPY.IDEALPRO", 3, 2),
        (E_MINI, "ESU4.CME", 2, 0),
        (CRUDE, "CLQ4.NYMEX", 2, 0),
        (EVERSOURCE_CONTINUOUS, "ES.CME", 2, 0),
        (SPX, "^SPX.CBOE", 2, 0),
        (BTC, "BTC/USD.PAXOS", 2, 8),
    ],
)
def test_nautilus_makes_an_instrument_of_every_kind(
    market: Market, query: ContractQuery, instrument_id: str, price_precision: int, size_precision: int
) -> None:
    contract = market.contract(query, FRIDAY_NOON)
    instrument = parsed_by_nautilus(contract)
    assert str(instrument.id) == contract.instrument_id == instrument_id
    assert (instrument.price_precision, instrument.size_precision) == (price_precision, size_precision)
    assert Decimal(str(instrument.price_increment)) == Decimal(contract.min_tick)


def test_every_contract_becomes_an_instrument_of_its_id(market: Market) -> None:
    for kind in ("STK", "CASH", "CRYPTO", "IND"):
        for contract in (c for pattern in "AEIOUBST" for c in market.matching(pattern, FRIDAY_NOON) if c.sec_type == kind and c.symbol != "THIN"):
            assert str(parsed_by_nautilus(contract).id) == contract.instrument_id
    for family in ("ES", "NQ", "CL"):
        for contract in market.contracts(ContractQuery(symbol=family, sec_type="FUT", include_expired=True), FRIDAY_NOON):
            assert str(parsed_by_nautilus(contract).id) == contract.instrument_id


def test_the_stock_without_an_isin_is_refused_by_nautilus_as_a_real_one_is(market: Market) -> None:
    with pytest.raises(ValueError, match="No ISIN found"):
        parsed_by_nautilus(market.contract(THIN, FRIDAY_NOON))


def test_a_future_expires_at_the_end_of_trading_on_its_last_day(market: Market) -> None:
    """The third Friday of September 2024; Globex stops at 16:00 Chicago, 21:00 UTC in summer."""
    instrument = parsed_by_nautilus(market.contract(E_MINI, FRIDAY_NOON))
    assert instrument.expiration_utc.isoformat() == "2024-09-20T21:00:00+00:00"
    assert (str(instrument.multiplier), instrument.underlying) == ("50", "ES")


def test_ib_async_reads_every_field(market: Market) -> None:
    details = read_by_ib_async(market.contract(AAPL, FRIDAY_NOON))
    assert details.contract is not None
    assert (details.contract.conId, details.contract.exchange, details.contract.primaryExchange) == (265598, "SMART", "NASDAQ")
    assert (details.longName, details.minTick, details.timeZoneId, details.stockType) == ("APPLE INC", 0.01, "US/Eastern", "COMMON")
    assert (details.minSize, details.sizeIncrement, details.suggestedSizeIncrement) == (0.0001, 0.0001, 100)
    assert "ARCA" in details.validExchanges.split(",")
    assert len(details.marketRuleIds.split(",")) == len(details.validExchanges.split(","))
    assert details.secIdList == [("ISIN", "US0378331005")]
    future = read_by_ib_async(market.contract(E_MINI, FRIDAY_NOON))
    assert future.contract is not None
    assert (future.contract.lastTradeDateOrContractMonth, future.contract.multiplier, future.contractMonth) == ("20240920", "50", "202409")
    assert (future.underSymbol, future.underSecType, future.underConId) == ("ES", "IND", 11004968)
