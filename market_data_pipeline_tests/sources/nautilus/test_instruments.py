"""Definitions of a foreign catalog: which are taken, and that none of them can end our process."""

from __future__ import annotations

from pathlib import Path

import pytest

from market_data_pipeline.domain.errors import CatalogError
from market_data_pipeline.sources.nautilus import ForeignCatalog, find_instruments, instruments
from market_data_pipeline_tests.sources.nautilus.foreign import equity


def test_a_file_that_ends_the_reader_is_refused_and_the_others_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instruments, "_READER", "market_data_pipeline_tests.sources.nautilus.ending_reader")
    names = ["good-1", "ends-it-1", "ends-it-2", "refused", "good-2", "ends-it-3"]
    found = {path.name: reason for path, reason in instruments.read_apart([Path(name) for name in names])}
    assert found == {
        **dict.fromkeys(["ends-it-1", "ends-it-2", "ends-it-3"], "Nautilus ends its process on it (signal 6)"),
        "refused": "Nautilus refuses it: no instrument",
    }


def test_a_reader_that_cannot_start_is_no_verdict_about_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instruments, "_READER", "market_data_pipeline_tests.no_such_module")
    with pytest.raises(CatalogError, match="The process that reads instruments ended with 1"):
        list(instruments.read_apart([Path("x")]))


def test_the_newest_definition_is_taken_and_older_ones_are_counted(tmp_path: Path) -> None:
    equity(tmp_path)
    (old,) = tmp_path.rglob("*.parquet")
    old.with_name("2024-01-01T00-00-00-000000000Z_2024-01-01T00-00-00-000000000Z.parquet").write_bytes(old.read_bytes())
    (found,) = find_instruments(ForeignCatalog.open(tmp_path).instruments)
    assert (found.path.name[:10], [path.name for path in found.older], found.refused) == ("2024-01-01", [old.name], None)


@pytest.mark.parametrize(
    ("instrument_id", "reason"),
    [
        ("GBP-JPY.SMART", "the pair is GBP/JPY.SMART"),
        ("AAPL.IDEALPRO", "only currencies trade"),
        ("AAPL.BINANCE", "only coins trade"),
        ("QQQ.SMART", "no exchange"),
    ],
)
def test_shares_that_cannot_be_are_refused(tmp_path: Path, instrument_id: str, reason: str) -> None:
    equity(tmp_path, instrument_id)
    (found,) = find_instruments(ForeignCatalog.open(tmp_path).instruments)
    assert reason in (found.refused or "")


def test_a_definition_in_the_folder_of_another_is_refused(tmp_path: Path) -> None:
    equity(tmp_path)
    (tmp_path / "data" / "equity" / "AAPL.NASDAQ").rename(tmp_path / "data" / "equity" / "MSFT.NASDAQ")
    (found,) = find_instruments(ForeignCatalog.open(tmp_path).instruments)
    assert "it says that it is AAPL.NASDAQ, and lies in the folder MSFT.NASDAQ" in (found.refused or "")
