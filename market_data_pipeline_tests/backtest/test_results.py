from __future__ import annotations

import json
from pathlib import Path

import pytest

from market_data_pipeline.backtest import find_result, list_results, load_result
from market_data_pipeline.domain.errors import BacktestError

FIRST, SECOND, OTHER = "20240105T120000Z-cross-aaaaaaaa", "20240106T120000Z-cross-bbbbbbbb", "20240107T120000Z-other-cccccccc"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in (SECOND, FIRST, OTHER):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "passport.json").write_text(json.dumps({"name": name.split("-")[1], "created_at": "2024-01-05T12:00:00+00:00"}))
        (folder / "statistics.json").write_text(json.dumps({"refused": {}}))
    (tmp_path / ".running-1234").mkdir()
    (tmp_path / "notes").mkdir()
    return tmp_path


def test_results_are_listed_by_time(root: Path) -> None:
    assert [result.id for result in list_results(root)] == [FIRST, SECOND, OTHER]


def test_no_folder_is_no_result(tmp_path: Path) -> None:
    assert list_results(tmp_path / "absent") == []


@pytest.mark.parametrize(("wanted", "found"), [(FIRST, FIRST), ("20240106", SECOND), ("cross", SECOND), ("other", OTHER)])
def test_a_result_is_found_by_its_id_the_start_of_it_or_its_name(root: Path, wanted: str, found: str) -> None:
    assert find_result(root, wanted).id == found


def test_what_is_not_there_or_not_clear_is_told(root: Path) -> None:
    with pytest.raises(BacktestError, match=r"no result 'mine'.*mdp backtest list"):
        find_result(root, "mine")
    with pytest.raises(BacktestError, match=f"3 results start with '2024'.*{FIRST}"):
        find_result(root, "2024")
    with pytest.raises(BacktestError, match="holds no readable backtest result"):
        load_result(root / "notes")
