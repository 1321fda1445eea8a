from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path

import pytest
from nautilus_trader.model.enums import AssetClass
from nautilus_trader.model.instruments import CurrencyPair, Equity, FuturesContract

from market_data_pipeline.catalog.instrument_definitions import InstrumentDefinitions, define, yaml_example
from market_data_pipeline.domain.errors import ConfigurationError, InstrumentNotFound, InvalidInstrumentId

EXAMPLE = """\
instruments:
  - id: AAPL.NASDAQ
    type: equity
    currency: USD
    tick_size: 0.01
    lot_size: 1
    isin: US0378331005
    taker_fee: 0.0001
  - id: ESZ4.CME
    type: future
    currency: USD
    tick_size: 0.25
    multiplier: 50
    expiry: 2024-12-20
  - id: CLF5.NYMEX
    type: future
    currency: USD
    asset_class: COMMODITY
    tick_size: 0.01
    multiplier: 1000
    expiry: 2024-12-19T13:30:00-05:00
    activation: 2019-11-21
  - id: BTC/USDT.BINANCE
    type: crypto
    base: BTC
    quote: USDT
    price_precision: 2
    size_precision: 6
"""


@pytest.fixture
def definitions(tmp_path: Path) -> InstrumentDefinitions:
    file = tmp_path / "instruments.yaml"
    file.write_text(EXAMPLE)
    return InstrumentDefinitions.read(file)


def refusal(folder: Path, text: str) -> str:
    file = folder / "instruments.yaml"
    file.write_text(text)
    with pytest.raises(ConfigurationError) as refused:
        InstrumentDefinitions.read(file)
    return str(refused.value)


def test_an_equity(definitions: InstrumentDefinitions) -> None:
    apple = define("AAPL.NASDAQ", definitions)
    assert isinstance(apple, Equity)
    assert (apple.price_precision, str(apple.price_increment), apple.size_precision) == (2, "0.01", 0)
    assert (apple.isin, apple.taker_fee, apple.maker_fee, str(apple.lot_size)) == ("US0378331005", Decimal("0.0001"), Decimal(0), "1")


def test_a_future_trades_until_the_end_of_its_last_day(definitions: InstrumentDefinitions) -> None:
    """2024-12-20 ends at 1734739199.999999999 s since 1970 (date -d '2024-12-21 UTC' +%s is 1734739200)."""
    contract = define("ESZ4.CME", definitions)
    assert isinstance(contract, FuturesContract)
    assert contract.expiration_ns == 1_734_739_199_999_999_999
    assert (contract.activation_ns, contract.underlying, str(contract.multiplier), contract.price_precision) == (0, "ES", "50", 2)
    assert str(contract.price_increment) == "0.25"


def test_a_futures_expiry_may_be_a_moment(definitions: InstrumentDefinitions) -> None:
    """13:30 in New York is 18:30 UTC in December: date -d '2024-12-19 18:30 UTC' +%s is 1734633000."""
    contract = define("CLF5.NYMEX", definitions)
    assert contract.expiration_ns == 1_734_633_000 * 10**9
    assert contract.activation_ns == int(dt.datetime(2019, 11, 21, tzinfo=dt.UTC).timestamp()) * 10**9
    assert contract.asset_class == AssetClass.COMMODITY


def test_a_crypto_pair_is_a_currency_pair(definitions: InstrumentDefinitions) -> None:
    bitcoin = define("BTC/USDT.BINANCE", definitions)
    assert isinstance(bitcoin, CurrencyPair)
    assert (bitcoin.price_precision, bitcoin.size_precision, str(bitcoin.size_increment)) == (2, 6, "0.000001")


@pytest.mark.parametrize(
    ("pair", "precision", "increment", "raw_symbol"),
    [
        ("EUR/USD.IDEALPRO", 5, "0.00005", "EUR.USD"),
        ("GBP/JPY.IDEALPRO", 3, "0.005", "GBP.JPY"),
        ("USD/NOK.IDEALPRO", 5, "0.00005", "USD.NOK"),
        ("EUR/USD.SIM", 5, "0.00001", "EUR/USD"),
    ],
)
def test_pairs_of_iso_codes_need_no_definition(pair: str, precision: int, increment: str, raw_symbol: str) -> None:
    """As IBKR's contract details have them (minTick 0.00005, in yen 0.005; minSize 0.01), through Nautilus' adapter."""
    known = define(pair)
    assert isinstance(known, CurrencyPair)
    assert (known.price_precision, known.size_precision, str(known.size_increment)) == (precision, 2, "0.01")
    assert (str(known.price_increment), known.raw_symbol.value, known.id.value) == (increment, raw_symbol, pair)


def test_a_definition_goes_before_what_is_known(tmp_path: Path) -> None:
    file = tmp_path / "instruments.yaml"
    file.write_text("instruments:\n  - {id: EUR/USD.IDEALPRO, type: currency_pair, base: EUR, quote: USD, price_precision: 6, size_precision: 0}\n")
    assert define("EUR/USD.IDEALPRO", InstrumentDefinitions.read(file)).price_precision == 6


@pytest.mark.parametrize("unknown", ["TSLA.NASDAQ", "ESH5.CME", "ETH/USDT.BINANCE", "XAU/USD.IDEALPRO", "EUR/XXX.IDEALPRO"])
def test_what_is_not_known_is_refused_with_yaml_that_works(unknown: str, tmp_path: Path) -> None:
    with pytest.raises(InstrumentNotFound) as refused:
        define(unknown, InstrumentDefinitions())
    assert yaml_example(unknown) in str(refused.value)
    file = tmp_path / "instruments.yaml"
    file.write_text(yaml_example(unknown))
    assert define(unknown, InstrumentDefinitions.read(file)).id.value == unknown


def test_what_is_no_id_is_refused() -> None:
    with pytest.raises(InvalidInstrumentId):
        define("../etc.NASDAQ")


@pytest.mark.parametrize(
    ("entry", "line", "told"),
    [
        ("{id: A.NYSE, type: equity, currency: USD, price_precision: 2, tick: 1}", 2, "tick: is no key known here"),
        ("{id: A.NYSE, type: share, currency: USD, price_precision: 2}", 2, "'equity', 'currency_pair', 'crypto', 'future'"),
        ("{id: A.NYSE, type: equity, currency: USD}", 2, "needs price_precision (decimals of its prices) or tick_size"),
        ("{id: A.NYSE, type: equity, currency: USD, price_precision: 2, tick_size: 0.001}", 2, "more decimals than price_precision 2"),
        ("{id: A.NYSE, type: equity, currency: DLR, price_precision: 2}", 2, "DLR is no currency that Nautilus knows"),
        ("{id: A.NYSE, type: equity, currency: USD, price_precision: yes}", 2, "valid integer, not True"),
        ("{id: A.NYSE, type: equity, currency: USD, price_precision: 2, lot_size: 0.5}", 2, "0.5 has more than 0 decimals"),
        ("{id: A/NYSE, type: equity, currency: USD, price_precision: 2}", 2, "'A/NYSE' is not an instrument id"),
        ("{id: ESZ4.CME, type: future, currency: USD, tick_size: 0.25, multiplier: 50, expiry: 2024-12-20 08:30:00}", 2, "needs an offset"),
        ("{id: ESZ4.CME, type: future, currency: USD, tick_size: -1, multiplier: 50, expiry: 2024-12-20}", 2, "greater than 0, not -1"),
        ("{id: A/B.X, type: crypto, base: A1, quote: NO, price_precision: 2, size_precision: 2}", 2, 'Write it in quotes: "NO"'),
    ],
)
def test_a_mistake_is_told_with_its_line(tmp_path: Path, entry: str, line: int, told: str) -> None:
    message = refusal(tmp_path, f"instruments:\n  - {entry}\n")
    assert f"instruments.yaml, line {line}: instruments[0]" in message
    assert told in message


def test_an_id_is_defined_once(tmp_path: Path) -> None:
    entry = "  - {id: A.NYSE, type: equity, currency: USD, price_precision: 2}\n"
    assert "defined more than once: A.NYSE" in refusal(tmp_path, "instruments:\n" + 2 * entry)
