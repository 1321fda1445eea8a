from __future__ import annotations

from pathlib import Path

from market_data_pipeline.sources.ibkr.remembered import Entry, Remembered


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def test_an_entry_is_found_with_its_age_until_it_is_too_old(tmp_path: Path) -> None:
    clock = Clock()
    kept = Remembered(tmp_path / "kept.json", clock)
    kept.put("AAPL", [1, 2])
    clock.now += 60
    assert Remembered(tmp_path / "kept.json", clock).get("AAPL", 60) == Entry([1, 2], 60.0)
    assert kept.get("AAPL", 59) is None
    assert kept.get("MSFT", 60) is None


def test_an_entry_of_the_future_is_not_believed(tmp_path: Path) -> None:
    clock = Clock()
    kept = Remembered(tmp_path / "kept.json", clock)
    kept.put("AAPL", 1)
    clock.now -= 10
    assert kept.get("AAPL", 3600) is None


def test_a_torn_file_is_no_error_and_is_replaced(tmp_path: Path) -> None:
    file = tmp_path / "kept.json"
    file.write_text('{"format": 1, "entr', encoding="utf-8")
    kept = Remembered(file)
    assert kept.get("AAPL", 60) is None
    kept.put("AAPL", 5)
    assert kept.get("AAPL", 60) is not None


def test_two_writers_keep_each_others_entries(tmp_path: Path) -> None:
    one, other = Remembered(tmp_path / "kept.json"), Remembered(tmp_path / "kept.json")
    one.put("a", 1)
    other.put("b", 2)
    assert [(entry.value if (entry := one.get(key, 60)) else None) for key in "ab"] == [1, 2]


def test_clearing_forgets_everything(tmp_path: Path) -> None:
    kept = Remembered(tmp_path / "kept.json")
    kept.put("a", 1)
    assert kept.clear()
    assert not kept.clear()
    assert kept.get("a", 60) is None


def test_a_folder_that_cannot_be_made_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    kept = Remembered(tmp_path / "file" / "kept.json")
    kept.put("a", 1)
    assert kept.get("a", 60) is None
