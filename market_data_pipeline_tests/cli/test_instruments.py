"""`mdp instruments`."""

from __future__ import annotations

from pathlib import Path

import pytest

from market_data_pipeline.catalog import Catalog
from market_data_pipeline_tests.cli.conftest import Mdp
from market_data_pipeline_tests.cli.stored import AAPL_YAML, store_whole
from market_data_pipeline_tests.cli.test_load import free_port
from market_data_pipeline_tests.gateway import RunningGateway


@pytest.fixture(autouse=True)
def _definitions() -> None:
    Path("aapl.yaml").write_text(AAPL_YAML)


def test_definitions_of_a_file_are_stored(mdp: Mdp, root: Path) -> None:
    ended = mdp("instruments", "define", "--instruments", "aapl.yaml", "--catalog", root)
    assert (ended.code, ended.out) == (0, "AAPL.NASDAQ: new\n")
    assert mdp("instruments", "define", "--instruments", "aapl.yaml", "--catalog", root).out == "AAPL.NASDAQ: unchanged\n"


def test_pairs_of_iso_currencies_need_no_file(mdp: Mdp, root: Path) -> None:
    ended = mdp("instruments", "define", "EUR/USD.IDEALPRO", "USD/JPY.IDEALPRO", "--catalog", root, "--json")
    assert [(one["id"], one["outcome"]) for one in ended.json["instruments"]] == [("EUR/USD.IDEALPRO", "new"), ("USD/JPY.IDEALPRO", "new")]


def test_nothing_is_stored_unless_all_can_be(mdp: Mdp, root: Path) -> None:
    ended = mdp("instruments", "define", "EUR/USD.IDEALPRO", "MSFT.NASDAQ", "--instruments", "aapl.yaml", "--catalog", root)
    assert ended.code == 1
    assert "There is no definition of MSFT.NASDAQ in aapl.yaml" in ended.err
    assert Catalog.open(root).instruments.ids() == []


def test_nothing_to_define_is_a_usage_error(mdp: Mdp, root: Path) -> None:
    ended = mdp("instruments", "define", "--catalog", root)
    assert ended.code == 2
    assert "Nothing to define" in ended.err


def test_what_is_no_id_is_a_usage_error(mdp: Mdp, root: Path) -> None:
    ended = mdp("instruments", "define", "", "--catalog", root)
    assert ended.code == 2
    assert "'' is not an instrument id" in ended.err


def test_a_definition_that_stored_bars_contradict_is_refused(mdp: Mdp, root: Path) -> None:
    store_whole(root, ["2024-02-05"])
    Path("aapl.yaml").write_text(AAPL_YAML.replace("price_precision: 2", "price_precision: 3"))
    ended = mdp("instruments", "define", "--instruments", "aapl.yaml", "--catalog", root)
    assert ended.code == 1
    assert "is stored with 2 price and 0 size decimals; the definition in aapl.yaml has 3 and 0" in ended.err


def test_a_wrong_file_is_told_with_its_line(mdp: Mdp, root: Path) -> None:
    Path("aapl.yaml").write_text(AAPL_YAML + "    ticksize: 0.01\n")
    ended = mdp("instruments", "define", "--instruments", "aapl.yaml", "--catalog", root)
    assert ended.code == 2
    assert "aapl.yaml, line 6: instruments[0].ticksize" in ended.err


def test_stored_instruments_are_listed(mdp: Mdp, root: Path) -> None:
    mdp("instruments", "define", "AAPL.NASDAQ", "EUR/USD.IDEALPRO", "--instruments", "aapl.yaml", "--catalog", root)
    lines = [line.split() for line in mdp("instruments", "list", "--catalog", root).out.splitlines()]
    assert lines[1:] == [["AAPL.NASDAQ", "Equity", "USD", "0.01", "2", "0"], ["EUR/USD.IDEALPRO", "CurrencyPair", "USD", "0.00005", "5", "2"]]
    listed = mdp("instruments", "list", "--catalog", root, "--json").json["instruments"]
    assert [(one["id"], one["definition"]["price_precision"], one["problem"]) for one in listed] == [
        ("AAPL.NASDAQ", 2, None),
        ("EUR/USD.IDEALPRO", 5, None),
    ]


def test_a_broken_definition_does_not_hide_the_others(mdp: Mdp, root: Path) -> None:
    mdp("instruments", "define", "AAPL.NASDAQ", "EUR/USD.IDEALPRO", "--instruments", "aapl.yaml", "--catalog", root)
    (file,) = (root / "data" / "equity").rglob("*.parquet")
    file.write_bytes(b"torn")
    ended = mdp("instruments", "list", "--catalog", root)
    assert ended.code == 0
    assert "cannot be read" in ended.out
    assert "EUR/USD.IDEALPRO" in ended.out


def test_an_empty_catalog_says_how_to_start(mdp: Mdp, root: Path) -> None:
    assert "No instrument is defined" in mdp("instruments", "list", "--catalog", root).out
    assert not root.exists()


def test_a_definition_is_shown_with_its_versions(mdp: Mdp, root: Path) -> None:
    mdp("instruments", "define", "--instruments", "aapl.yaml", "--catalog", root)
    Path("aapl.yaml").write_text(AAPL_YAML + "    lot_size: 10\n")
    assert "lot_size 100 -> 10" in mdp("instruments", "define", "--instruments", "aapl.yaml", "--catalog", root).out
    plain = mdp("instruments", "show", "AAPL.NASDAQ", "--catalog", root)
    assert plain.out.startswith("AAPL.NASDAQ: Equity\n")
    assert "versions" not in plain.out
    ended = mdp("instruments", "show", "AAPL.NASDAQ", "--versions", "--catalog", root)
    versions = ended.out.partition("versions, newest first:\n")[2].splitlines()
    assert versions[0].endswith("aapl.yaml: lot_size 100 -> 10")
    assert versions[1].endswith("aapl.yaml: first definition")
    answer = mdp("instruments", "show", "AAPL.NASDAQ", "--versions", "--json", "--catalog", root).json
    assert answer["definition"]["lot_size"] == "10"
    assert [one["changes"] for one in answer["versions"]] == [[], [{"field": "lot_size", "old": "100", "new": "10"}]]


def test_an_instrument_that_is_not_stored(mdp: Mdp, root: Path) -> None:
    ended = mdp("instruments", "show", "AAPL.NASDAQ", "--catalog", root, "--json")
    assert (ended.code, ended.json["error"]) == (1, "InstrumentNotFound")
    assert mdp("instruments", "show", "AAPL", "--catalog", root).code == 2


def test_a_definition_is_fetched_again_and_what_changed_is_told(mdp: Mdp, root: Path, gateway: RunningGateway) -> None:
    Path("thin.yaml").write_text(
        "instruments:\n  - id: AAPL.NASDAQ\n    type: equity\n    currency: USD\n    price_precision: 2\n    isin: US0000000000\n"
    )
    mdp("instruments", "define", "--instruments", "thin.yaml", "--catalog", root)
    ended = mdp("instruments", "refresh", "--catalog", root)
    assert ended.code == 0
    assert ended.out.startswith("AAPL.NASDAQ: changed (")
    assert "isin" in ended.out
    assert mdp("instruments", "refresh", "AAPL.NASDAQ", "--catalog", root).out == "AAPL.NASDAQ: unchanged\n"
    versions = mdp("instruments", "show", "AAPL.NASDAQ", "--versions", "--json", "--catalog", root).json["versions"]
    assert [one["source"] for one in versions] == ["thin.yaml", "ibkr"]


def test_one_definition_that_cannot_be_had_does_not_stop_the_others(mdp: Mdp, root: Path, gateway: RunningGateway) -> None:
    ended = mdp("instruments", "refresh", "NOSUCH.NASDAQ", "MSFT.NASDAQ", "--json", "--catalog", root)
    assert ended.code == 1
    assert [(one["id"], one["outcome"]) for one in ended.json["instruments"]] == [("NOSUCH.NASDAQ", "failed"), ("MSFT.NASDAQ", "new")]
    assert ended.json["instruments"][0]["error"]["error"] == "ContractUnknown"


def test_a_fetched_definition_that_stored_bars_contradict_is_refused(mdp: Mdp, root: Path, gateway: RunningGateway) -> None:
    from market_data_pipeline.domain.bar_types import Series

    store_whole(root, ["2024-02-05"], Series.of("EUR/USD.IDEALPRO", "1-MINUTE-MID"))
    ended = mdp("instruments", "backfill", "--catalog", root)
    assert ended.code == 1
    assert "is stored with 2 price and 0 size decimals; the definition that Interactive Brokers gives now has 5 and " in ended.out


def test_bars_without_a_definition_get_one(mdp: Mdp, root: Path, gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    store_whole(root, ["2024-02-05"])
    assert mdp("instruments", "backfill", "--catalog", root).out == "AAPL.NASDAQ: new\n"
    monkeypatch.setenv("IB_PORT", str(free_port()))
    again = mdp("instruments", "backfill", "--catalog", root)
    assert (again.code, again.out) == (0, f"Every instrument with bars in {root} has a definition.\n")
    assert mdp("instruments", "refresh", "--catalog", root).code == 1
