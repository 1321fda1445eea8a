from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from market_data_pipeline_tests.cli.conftest import Mdp

NAME = "EURUSD.IDEALPRO-1-DAY-MID.csv"
_RULES = 'rules:\n  - {pattern: "{instrument}-{bar}.csv", time_zone: UTC, stamp: open}\n'


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    """One day of a pair that needs no definition."""
    folder = tmp_path / "here" / "data" / "inbox"
    folder.mkdir(parents=True)
    (folder / NAME).write_text("date,open,high,low,close\n2024-01-05,1.09000,1.09980,1.08770,1.09430\n")
    os.utime(folder / NAME, (time.time() - 60, time.time() - 60))
    (tmp_path / "here" / "config").mkdir()
    (tmp_path / "here" / "config" / "inbox.yaml").write_text(_RULES)
    return folder


def test_a_dry_run_says_what_would_be_imported(mdp: Mdp, inbox: Path) -> None:
    ended = mdp("inbox", "run", "--dry-run")
    assert (ended.code, ended.err) == (0, "")
    first, second = ended.out.splitlines()
    assert first == f"would be imported  {NAME}: EUR/USD.IDEALPRO-1-DAY-MID-EXTERNAL, 1 bar in 1 session"
    assert second.startswith("  read as generic, stamps are bar opens: the header names the columns: date, open, high, low, close;")
    assert (inbox / NAME).is_file()


def test_files_are_imported_and_moved(mdp: Mdp, inbox: Path) -> None:
    ended = mdp("inbox", "run", "--json")
    assert ended.code == 0
    (file,) = ended.json["files"]
    assert (file["what"], file["series"], file["bars_written"]) == ("imported", "EUR/USD.IDEALPRO-1-DAY-MID-EXTERNAL", 1)
    assert (file["read_as"]["layout"], file["read_as"]["stamp"]) == ("generic", "open")
    assert file["moved_to"] == str(Path("data/inbox/done") / NAME)
    again = mdp("inbox", "run")
    assert (again.code, again.out) == (0, "Nothing lies in data/inbox.\n")


def test_a_rejected_file_is_exit_code_1_and_names_its_report(mdp: Mdp, inbox: Path) -> None:
    (inbox / NAME).rename(inbox / "who.csv")
    ended = mdp("inbox", "run")
    assert ended.code == 1
    assert "rejected  who.csv\n  Nothing says what who.csv holds" in ended.out
    assert "see data/inbox/rejected/who.csv.report.txt" in ended.out


def test_a_file_that_changes_waits(mdp: Mdp, inbox: Path) -> None:
    os.utime(inbox / NAME)
    ended = mdp("inbox", "run")
    assert (ended.code, ended.out) == (0, f"waiting  {NAME}: it changed 0 s ago\n")
