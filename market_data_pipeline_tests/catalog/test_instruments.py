from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from nautilus_trader.model.instruments import CurrencyPair, Equity, Instrument
from nautilus_trader.persistence.catalog import ParquetDataCatalog
from nautilus_trader.persistence.funcs import class_to_filename
from nautilus_trader.serialization.arrow.implementations.instruments import SCHEMAS
from nautilus_trader.test_kit.providers import TestInstrumentProvider

from market_data_pipeline.catalog.instrument_definitions import InstrumentDefinitions, define
from market_data_pipeline.catalog.instrument_files import FOLDERS
from market_data_pipeline.catalog.instruments import InstrumentStore, Outcome
from market_data_pipeline.domain.errors import CorruptFile, InstrumentNotFound, InvalidInstrumentId
from market_data_pipeline.domain.source import Precision

NAME = "1970-01-01T00-00-00-000000000Z_1970-01-01T00-00-00-000000000Z.parquet"
JANUARY = 1_704_067_200_000_000_000  # 2024-01-01 UTC


@pytest.fixture
def store(tmp_path: Path) -> InstrumentStore:
    return InstrumentStore(tmp_path / "catalog")


def equity(precision: int = 2, symbol: str = "AAPL", taker_fee: str = "0") -> Instrument:
    entry = {"id": f"{symbol}.NASDAQ", "type": "equity", "currency": "USD", "price_precision": precision, "taker_fee": taker_fee}
    return define(f"{symbol}.NASDAQ", InstrumentDefinitions.model_validate({"instruments": [entry]}))


def files(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*.parquet"))


def test_folders_are_those_of_every_class_that_nautilus_stores() -> None:
    assert {kind.__name__: class_to_filename(kind) for kind in SCHEMAS} == FOLDERS


@pytest.mark.parametrize(
    "instrument",
    [
        TestInstrumentProvider.equity("AAPL", "NASDAQ"),
        TestInstrumentProvider.default_fx_ccy("EUR/USD"),
        TestInstrumentProvider.es_future(2024, 12),
        TestInstrumentProvider.btcusdt_binance(),
        TestInstrumentProvider.btcusdt_perp_binance(),
        TestInstrumentProvider.aapl_option(),
    ],
    ids=lambda instrument: type(instrument).__name__,
)
def test_a_definition_is_stored_as_nautilus_would_and_read_back_by_it(instrument: Instrument, store: InstrumentStore, tmp_path: Path) -> None:
    store.put(instrument, "test")
    ParquetDataCatalog(str(tmp_path / "theirs")).write_data([instrument])
    [ours], [theirs] = (list((root / "data").rglob("*.parquet")) for root in (store.root, tmp_path / "theirs"))
    assert ours.parent.relative_to(store.root) == theirs.parent.relative_to(tmp_path / "theirs")
    assert ours.name == NAME
    assert pq.read_schema(ours).equals(pq.read_schema(theirs), check_metadata=True)
    [read] = ParquetDataCatalog(str(store.root)).instruments()
    assert read == instrument
    timeless = {**type(instrument).to_dict(instrument), "ts_event": 0, "ts_init": 0}
    [written] = ParquetDataCatalog(str(tmp_path / "theirs")).instruments()
    assert type(read).to_dict(read) == {**type(written).to_dict(written), "ts_event": 0, "ts_init": 0}
    assert type(read).to_dict(read).keys() == timeless.keys()
    stored = store.get(instrument.id.value)
    assert stored is not None
    assert type(stored).to_dict(stored) == type(read).to_dict(read)
    assert store.precision(instrument.id.value) == Precision(instrument.price_precision, instrument.size_precision)


def test_an_unchanged_definition_is_not_written_again(store: InstrumentStore) -> None:
    assert store.put(equity(), "first").outcome is Outcome.NEW
    before = (store.root / "data" / "equity" / "AAPL.NASDAQ" / NAME).stat()
    assert store.put(equity(), "second").outcome is Outcome.UNCHANGED
    after = (store.root / "data" / "equity" / "AAPL.NASDAQ" / NAME).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert len(store.versions("AAPL.NASDAQ")) == 1


def test_a_changed_definition_replaces_the_old_one_which_stays_as_a_version(store: InstrumentStore) -> None:
    store.put(equity(2), "instruments.yaml", JANUARY)
    change = store.put(equity(4), "ibkr", JANUARY + 1)
    assert [str(one) for one in change.changes] == ["price_increment 0.01 -> 0.0001", "price_precision 2 -> 4"]
    [current] = ParquetDataCatalog(str(store.root)).instruments()
    assert current.price_precision == 4
    first, second = store.versions("AAPL.NASDAQ")
    assert (first.valid_from_ns, first.source, first.changes, first.definition["price_precision"]) == (JANUARY, "instruments.yaml", (), 2)
    assert (second.valid_from_ns, second.source, second.changes, second.definition["price_precision"]) == (JANUARY + 1, "ibkr", change.changes, 4)


def test_a_definition_that_comes_back_is_a_version_again(store: InstrumentStore) -> None:
    for precision in (2, 4, 2):
        store.put(equity(precision), "test", JANUARY)
    assert [version.definition["price_precision"] for version in store.versions("AAPL.NASDAQ")] == [2, 4, 2]


def test_when_the_class_changes_the_old_file_goes(store: InstrumentStore) -> None:
    """SPY.SMART as an equity, then as a pair: Nautilus would read both."""
    entry = {"id": "EUR/USD.SIM", "type": "equity", "currency": "USD", "price_precision": 2}
    store.put(define("EUR/USD.SIM", InstrumentDefinitions.model_validate({"instruments": [entry]})), "wrong")
    assert store.put(define("EUR/USD.SIM"), "right").outcome is Outcome.CHANGED
    assert files(store.root) == [f"data/currency_pair/EURUSD.SIM/{NAME}"]
    [current] = ParquetDataCatalog(str(store.root)).instruments()
    assert isinstance(current, CurrencyPair)
    assert [version.definition["class"] for version in store.versions("EUR/USD.SIM")] == ["Equity", "CurrencyPair"]


def test_definitions_that_another_tool_left_become_one(store: InstrumentStore) -> None:
    """write_data adds a file for each ts_init, and BacktestNode takes the oldest (FACTS 2)."""
    theirs = ParquetDataCatalog(str(store.root))
    for ts, precision in ((JANUARY, 2), (JANUARY + 1, 3)):
        found = equity(precision)
        theirs.write_data([Equity.from_dict({**Equity.to_dict(found), "ts_event": ts, "ts_init": ts})])
    assert len(theirs.instruments()) == 2
    assert store.precision("AAPL.NASDAQ") == Precision(3, 0)
    store.put(equity(4), "instruments.yaml")
    assert files(store.root) == [f"data/equity/AAPL.NASDAQ/{NAME}"]
    assert [(one.source, one.definition["price_precision"]) for one in store.versions("AAPL.NASDAQ")] == [
        ("found in the catalog", 3),
        ("instruments.yaml", 4),
    ]


def test_a_brokers_remarks_are_no_change(store: InstrumentStore) -> None:
    """IBKR's contract details hold the trading hours of the coming days, new every day."""
    for day in ("20240105", "20240108"):
        told = {**Equity.to_dict(equity()), "info": {"tradingHours": day}}
        change = store.put(Equity.from_dict(told), "ibkr")
    assert change.outcome is Outcome.UNCHANGED
    assert len(store.versions("AAPL.NASDAQ")) == 1
    stored = store.get("AAPL.NASDAQ")
    assert stored is not None
    assert stored.info == {"tradingHours": "20240108"}


def test_ids_are_those_of_the_definitions_and_not_of_the_folders(store: InstrumentStore) -> None:
    for instrument in (define("EUR/USD.IDEALPRO"), equity(), equity(symbol="MSFT")):
        store.put(instrument, "test")
    assert store.ids() == ["AAPL.NASDAQ", "EUR/USD.IDEALPRO", "MSFT.NASDAQ"]


def test_an_id_with_the_folder_of_another_is_not_taken_for_it(store: InstrumentStore) -> None:
    """Nautilus drops the slash in folder names."""
    store.put(define("EUR/USD.IDEALPRO"), "test")
    entry = {"id": "EURUSD.IDEALPRO", "type": "equity", "currency": "USD", "price_precision": 5}
    namesake = define("EURUSD.IDEALPRO", InstrumentDefinitions.model_validate({"instruments": [entry]}))
    assert store.get("EURUSD.IDEALPRO") is None
    with pytest.raises(InstrumentNotFound, match=r"one of EUR/USD\.IDEALPRO\. Use EUR/USD\.IDEALPRO"):
        store.require("EURUSD.IDEALPRO")
    with pytest.raises(InvalidInstrumentId, match=r"Use EUR/USD\.IDEALPRO"):
        store.put(namesake, "test")


def test_what_is_not_stored_is_told_with_the_yaml_to_add(store: InstrumentStore) -> None:
    assert store.get("TSLA.NASDAQ") is None
    assert store.ids() == []
    assert store.versions("TSLA.NASDAQ") == []
    for ask in (store.require, store.precision):
        with pytest.raises(InstrumentNotFound, match=r'(?s)mdp import-csv .*- id: "TSLA.NASDAQ"'):
            ask("TSLA.NASDAQ")


@pytest.mark.parametrize("damage", ["truncated", "empty", "flipped", "other schema"])
def test_a_broken_file_is_told_and_never_aborts(store: InstrumentStore, damage: str) -> None:
    store.put(equity(), "test")
    path = store.root / "data" / "equity" / "AAPL.NASDAQ" / NAME
    content = path.read_bytes()
    if damage == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "flipped":
        path.write_bytes(content[:40] + bytes([content[40] ^ 0xFF]) + content[41:])
    else:
        pq.write_table(pq.read_table(path).select(["raw_symbol"]), path)
    for ask in (store.get, store.require, store.precision, store.definition):
        with pytest.raises(CorruptFile, match=NAME):
            ask("AAPL.NASDAQ")
    assert [bad.path for bad in store.check()] == [path]
    assert store.ids() == ["AAPL.NASDAQ"]
    store.put(equity(), "again")
    assert list(store.check()) == []
    assert store.require("AAPL.NASDAQ").price_precision == 2


def test_half_written_files_are_not_seen(store: InstrumentStore) -> None:
    """What a kill leaves has a name that no reader takes for a definition."""
    store.put(equity(), "test")
    (store.root / "data" / "equity" / "AAPL.NASDAQ" / ".writing-1-abcd").write_bytes(b"PAR1")
    assert store.require("AAPL.NASDAQ").price_precision == 2
    assert len(ParquetDataCatalog(str(store.root)).instruments()) == 1


def test_a_version_that_was_kept_before_a_power_cut_is_not_kept_twice(store: InstrumentStore) -> None:
    """The version is written before the definition: cut in between, the next attempt finds it."""
    store.put(equity(2), "test", JANUARY)
    path = store.root / "data" / "equity" / "AAPL.NASDAQ" / NAME
    before = path.read_bytes()
    store.put(equity(4), "test", JANUARY + 1)
    path.write_bytes(before)
    store.put(equity(4), "test", JANUARY + 2)
    assert [version.definition["price_precision"] for version in store.versions("AAPL.NASDAQ")] == [2, 4]
    assert store.precision("AAPL.NASDAQ") == Precision(4, 0)


def test_precision_needs_no_nautilus(store: InstrumentStore) -> None:
    """`mdp check` answers in less time than Nautilus takes to import."""
    store.put(equity(), "test")
    program = (
        "import sys; from pathlib import Path; from market_data_pipeline.catalog.instruments import InstrumentStore; "
        "store = InstrumentStore(Path(sys.argv[1])); print(store.precision('AAPL.NASDAQ').price, store.ids()); "
        "print(sorted(name for name in sys.modules if name in ('nautilus_trader', 'pandas', 'pydantic')))"
    )
    told = subprocess.run([sys.executable, "-c", program, str(store.root)], capture_output=True, text=True, check=True)
    assert told.stdout.splitlines() == ["2 ['AAPL.NASDAQ']", "[]"]


def test_definitions_of_a_real_catalog_are_read(market_data: Path) -> None:
    """What a trader left: three pairs and two wrong equities (README of the data)."""
    store = InstrumentStore(market_data / "legacy-catalog-fx")
    assert store.ids() == ["EUR-USD.IDEALPRO", "EUR/USD.IDEALPRO", "EUR/USD.SMART", "GBP/USD.IDEALPRO", "SPY.SMART"]
    assert store.precision("EUR/USD.IDEALPRO") == Precision(5, 2)
    assert isinstance(store.require("SPY.SMART"), Equity)
    assert list(store.check()) == []
