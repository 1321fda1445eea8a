from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from ib_async.contract import Contract, ContractDetails

from market_data_pipeline.domain.errors import ContractAmbiguous, ContractUnknown, InvalidInstrumentId
from market_data_pipeline.sources.ibkr import Hours, IbkrGateway, contract_of, instrument_of, resolve
from market_data_pipeline.sources.ibkr.contracts import asking_contract, contracts_of, only_one
from market_data_pipeline.sources.ibkr.heads import Heads
from market_data_pipeline_tests.sources.ibkr.asking import simulated
from market_data_pipeline_tests.sources.ibkr.raw_making import utc_ns


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IbkrGateway]:
    with simulated(tmp_path_factory.mktemp("gateway")) as (_, gateway):
        yield gateway


@pytest.mark.parametrize(
    ("instrument_id", "contract"),
    [
        ("AAPL.NASDAQ", Contract(secType="STK", localSymbol="AAPL", exchange="SMART", primaryExchange="NASDAQ", currency="USD")),
        ("AAPL.XNAS", Contract(secType="STK", localSymbol="AAPL", exchange="SMART", primaryExchange="NASDAQ", currency="USD")),
        ("BRK-B.NYSE", Contract(secType="STK", localSymbol="BRK B", exchange="SMART", primaryExchange="NYSE", currency="USD")),
        ("SAP.IBIS", Contract(secType="STK", localSymbol="SAP", exchange="SMART", primaryExchange="IBIS")),
        ("EUR/USD.IDEALPRO", Contract(secType="CASH", localSymbol="EUR.USD", exchange="IDEALPRO")),
        ("BTC/USD.PAXOS", Contract(secType="CRYPTO", localSymbol="BTC.USD", exchange="PAXOS")),
        ("^SPX.CBOE", Contract(secType="IND", localSymbol="SPX", exchange="CBOE")),
        ("ESZ6.CME", Contract(secType="FUT", localSymbol="ESZ6", exchange="CME", includeExpired=True)),
        ("ESZ26.CME", Contract(secType="FUT", localSymbol="ESZ6", exchange="CME", includeExpired=True, lastTradeDateOrContractMonth="202612")),
        ("ES.CME", Contract(secType="CONTFUT", symbol="ES", exchange="CME")),
    ],
)
def test_an_id_names_the_contract_that_nautilus_would_ask_for(instrument_id: str, contract: Contract) -> None:
    assert vars(contract_of(instrument_id)) == vars(contract)


def test_a_mic_stands_for_all_its_exchanges() -> None:
    assert [contract.exchange for contract in contracts_of("ESZ6.GLBX")] == ["CBOT", "CME", "NYBOT", "NYMEX"]


@pytest.mark.parametrize(
    ("instrument_id", "message"),
    [
        ("AAPL", "not an instrument id"),
        ("EURUSD.IDEALPRO", "Write EUR/USD.IDEALPRO"),
        ("ESZ6X.CME", r"IBKR lists nothing that ESZ6X\.CME could name: .*mdp ibkr discover ESZ6X"),
    ],
)
def test_an_id_that_names_nothing_is_refused(instrument_id: str, message: str) -> None:
    with pytest.raises(InvalidInstrumentId, match=message):
        contract_of(instrument_id)


@pytest.mark.parametrize(
    "instrument_id",
    [
        *("AAPL.NASDAQ", "AAPL.XNAS", "AAPL.ISLAND", "RBLX.NYSE", "SPY.ARCA", "BRK-B.NYSE", "ES.NYSE", "EUR/USD.IDEALPRO", "USD/JPY.IDEALPRO"),
        *("ESU4.CME", "ESU24.CME", "ESU4.GLBX", "CLN4.NYMEX", "^SPX.CBOE", "BTC/USD.PAXOS"),
    ],
)
def test_an_instrument_has_the_id_that_it_was_asked_for_under(gateway: IbkrGateway, instrument_id: str) -> None:
    assert str(instrument_of(resolve(gateway, instrument_id), instrument_id).id) == instrument_id


def test_the_decimals_are_those_of_the_smallest_tick(gateway: IbkrGateway) -> None:
    def decimals(instrument_id: str) -> tuple[int, int]:
        instrument = instrument_of(resolve(gateway, instrument_id))
        return instrument.price_precision, instrument.size_precision

    assert decimals("AAPL.NASDAQ") == (2, 0)
    assert decimals("EUR/USD.IDEALPRO")[0] == 5
    assert decimals("ESU4.CME") == (2, 0)


def test_a_stock_without_isin_is_defined_without_one(gateway: IbkrGateway) -> None:
    with_isin = resolve(gateway, "AAPL.NASDAQ")
    without = resolve(gateway, "AAPL.NASDAQ")
    without.secIdList = []
    assert instrument_of(with_isin).isin == "US0378331005"
    instrument = instrument_of(without)
    assert (instrument.isin, str(instrument.id)) == (None, "AAPL.NASDAQ")
    assert instrument.info["secIdList"] is None
    assert without.secIdList == []


def test_the_details_are_left_as_they_were(gateway: IbkrGateway) -> None:
    details = resolve(gateway, "AAPL.NASDAQ")
    assert details.contract is not None
    before = (dict(vars(details)), dict(vars(details.contract)))
    instrument_of(details)
    assert (dict(vars(details)), dict(vars(details.contract))) == before


def test_an_unknown_contract_says_how_to_find_it(gateway: IbkrGateway) -> None:
    with pytest.raises(ContractUnknown, match=r"IBKR lists no contract for NOPE\.NASDAQ\. Look it up with: mdp ibkr discover NOPE"):
        resolve(gateway, "NOPE.NASDAQ")


def test_the_wrong_primary_exchange_is_not_the_contract(gateway: IbkrGateway) -> None:
    with pytest.raises(ContractUnknown):
        resolve(gateway, "AAPL.NYSE")


def test_several_contracts_are_listed_to_choose_from() -> None:
    found = [
        ContractDetails(contract=Contract(conId=number, secType="STK", localSymbol="X", exchange="SMART", currency=currency), longName="X Ltd")
        for number, currency in ((1, "USD"), (2, "CAD"))
    ]
    with pytest.raises(ContractAmbiguous, match=r"2 contracts of IBKR fit X\.SMART: X STK SMART USD \(X Ltd, conId 1\); X STK SMART CAD"):
        only_one("X.SMART", found)
    assert only_one("X.SMART", [found[0], found[0]]) is found[0]


def test_bars_of_a_future_are_asked_for_even_if_it_has_expired(gateway: IbkrGateway) -> None:
    details = resolve(gateway, "ESU4.CME")
    assert asking_contract(details).includeExpired
    assert details.contract is not None
    assert not details.contract.includeExpired
    assert not asking_contract(resolve(gateway, "AAPL.NASDAQ")).includeExpired


def test_symbols_that_match(gateway: IbkrGateway) -> None:
    assert "AAPL" in [found.contract.symbol for found in gateway.matching("AAP") if found.contract]


def test_the_head_time_stamp_says_from_when_on_there_is_data(gateway: IbkrGateway) -> None:
    """Roblox was listed on 2021-03-10."""
    details = resolve(gateway, "RBLX.NYSE")
    heads = Heads(gateway.settings)
    asked = heads.ask(gateway, details, "TRADES", Hours.RTH)
    assert (asked.earliest_ns, asked.age_s) == (utc_ns("2021-03-10T14:30"), 0.0)
    kept = heads.ask(gateway, details, "TRADES", Hours.RTH)
    assert kept.earliest_ns == asked.earliest_ns
    assert kept.age_s > 0
    assert heads.clear()


def test_a_head_time_stamp_of_another_login_on_the_same_port_is_not_believed(tmp_path: Path) -> None:
    """A simulator of recorded bars knows of no time before them; the paper account that takes its port does."""
    with simulated(tmp_path) as (process, gateway):
        details = resolve(gateway, "RBLX.NYSE")
        Heads(gateway.settings).ask(gateway, details, "TRADES", Hours.RTH)
        port, ours = process.port, gateway.login()
    with simulated(tmp_path, "--port", str(port), "--account", "DU7654321") as (_, gateway):
        assert gateway.login() != ours
        assert Heads(gateway.settings).ask(gateway, details, "TRADES", Hours.RTH).age_s == 0.0
    assert "DU7654321" not in (tmp_path / "state" / "heads.json").read_text(encoding="utf-8")
