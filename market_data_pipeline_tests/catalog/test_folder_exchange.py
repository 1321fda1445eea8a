"""Two folders change names in one call, or nothing happens."""

from __future__ import annotations

from pathlib import Path

import pytest

from market_data_pipeline.catalog import folder_exchange
from market_data_pipeline.catalog.folder_exchange import clear_stage, exchange, staged
from market_data_pipeline.catalog.layout import CatalogLayout
from market_data_pipeline.domain.errors import StorageFailed
from market_data_pipeline_tests.catalog.bar_making import AAPL, morning, names, store
from market_data_pipeline_tests.catalog.months import FEBRUARY, FEBRUARY_FILE, february, joined


def test_two_folders_change_names(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    exchange(tmp_path / "a", tmp_path / "b")
    assert [path.relative_to(tmp_path).as_posix() for path in sorted(tmp_path.glob("*/*"))] == ["a/b", "b/a"]
    with pytest.raises(FileNotFoundError):
        exchange(tmp_path / "a", tmp_path / "nothing")


def test_all_other_files_are_taken_over(tmp_path: Path) -> None:
    layout = CatalogLayout(tmp_path)
    folder = layout.bars / "S"
    folder.mkdir(parents=True)
    for name in ("old", "kept", ".writing-1"):
        (folder / name).write_text(name)
    with staged(layout, folder) as stage:
        stage.switch({"old"})
        assert [path.name for path in sorted(folder.iterdir())] == ["kept"]
        assert (folder / "kept").read_text() == "kept"
    assert not [*layout.compacting.iterdir()]


def test_what_is_staged_is_removed_where_it_is_not_wanted(tmp_path: Path) -> None:
    layout = CatalogLayout(tmp_path)
    folder = layout.bars / "S"
    folder.mkdir(parents=True)
    (folder / "kept").touch()
    with staged(layout, folder):
        pass
    (layout.compacting / "S").mkdir()
    (layout.compacting / "S" / "left by a kill").touch()
    clear_stage(layout, folder)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["kept"]


def test_a_system_that_cannot_exchange_folders_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    catalog = february(tmp_path)
    joined(catalog)
    before = names(catalog)
    monkeypatch.setattr(folder_exchange, "_CALLS", {})
    for work in (lambda: joined(february(tmp_path / "other")), lambda: store(catalog, morning(AAPL, FEBRUARY[3], 10))):
        with pytest.raises(StorageFailed, match=r"cannot exchange two folders in one step \(Function not implemented\).*Nothing was changed"):
            work()
    assert names(catalog) == before
    assert before[0] == FEBRUARY_FILE
    assert len(catalog.read_session(AAPL, FEBRUARY[3])) == 30
