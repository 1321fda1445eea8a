"""`mdp catalog compact`: what it says, and its exit codes. January 2024 had 21 NYSE sessions (NYSE holiday calendar 2024)."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path

import pytest

from market_data_pipeline.calendars import partitions_of
from market_data_pipeline.catalog import Catalog
from market_data_pipeline_tests.catalog.bar_making import AAPL, empty, names, store, writing
from market_data_pipeline_tests.catalog.months import short
from market_data_pipeline_tests.cli.conftest import Mdp

JANUARY = partitions_of(AAPL).dates_between(dt.date(2024, 1, 1), dt.date(2024, 1, 31))


@pytest.fixture
def stored(root: Path) -> Catalog:
    """January 2024 whole, and two sessions of February."""
    catalog = Catalog.open(root)
    store(catalog, *map(short, JANUARY), short(dt.date(2024, 2, 1)), empty(AAPL, dt.date(2024, 2, 2)))
    return catalog


def test_an_empty_catalog_says_how_to_start(mdp: Mdp, root: Path) -> None:
    ended = mdp("catalog", "compact", "--catalog", root)
    assert ended.code == 0
    assert ended.out.startswith(f"Nothing is stored in {root} yet.")
    assert not root.exists()


def test_files_are_joined_once_and_taken_apart_again(mdp: Mdp, root: Path, stored: Catalog) -> None:
    before = names(stored)
    dry = mdp("catalog", "compact", "--dry-run", "--catalog", root)
    assert dry.code == 0
    assert dry.out.endswith("1 series: 21 sessions would be joined: 23 files would become 3\n")
    assert names(stored) == before
    ended = mdp("catalog", "compact", "--catalog", root)
    assert ended.code == 0
    assert "left: AAPL.NASDAQ-1-MINUTE-LAST-EXTERNAL: 2024-02 (18 sessions are missing)" in ended.out
    assert "1 series: 21 sessions joined: 23 files became 3, " in ended.out
    assert len(names(stored)) == 3
    again = mdp("catalog", "compact", "--catalog", root)
    assert (again.code, again.out.splitlines()[-1]) == (0, "1 series, 3 files: nothing to join")
    assert mdp("check", "AAPL.NASDAQ", "--end", "2024-01-31", "--catalog", root).code == 0
    undone = mdp("catalog", "compact", "AAPL.NASDAQ", "--bar", "1-MINUTE-LAST", "--undo", "--catalog", root)
    assert "1 series: 21 sessions taken apart: 3 files became 23, " in undone.out
    assert names(stored) == before


def test_json_has_the_same(mdp: Mdp, root: Path, stored: Catalog) -> None:
    answer = mdp("catalog", "compact", "--json", "--catalog", root).json
    assert (answer["direction"], answer["dry_run"], answer["files_before"], answer["files_after"]) == ("join", False, 23, 3)
    assert answer["bytes_after"] == sum(path.stat().st_size for path in stored.layout.series_folder(AAPL).iterdir())
    (series,) = answer["series"]
    assert (series["bar_type"], series["rewritten"], series["sessions"]) == (AAPL.bar_type, 1, 21)
    assert series["left"] == [{"what": "2024-02", "why": "18 sessions are missing"}]
    assert answer["passed_over"] == []


def test_a_series_that_is_written_is_passed_over_with_exit_code_1(mdp: Mdp, root: Path, stored: Catalog) -> None:
    with writing(stored):
        ended = mdp("catalog", "compact", "--catalog", root)
    assert ended.code == 1
    assert "passed over: Another process is writing AAPL.NASDAQ-1-MINUTE-LAST-EXTERNAL" in ended.out
    assert len(names(stored)) == 23


def test_a_damaged_file_stops_its_series_and_names_the_cure(mdp: Mdp, root: Path, stored: Catalog) -> None:
    torn = stored.layout.series_folder(AAPL) / names(stored)[4]
    content, stat = bytearray(torn.read_bytes()), torn.stat()
    content[len(content) // 2] ^= 1
    torn.write_bytes(content)
    os.utime(torn, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    ended = mdp("catalog", "compact", "--json", "--catalog", root)
    assert ended.code == 1
    (one,) = ended.json["passed_over"]
    assert (one["error"], one["retryable"]) == ("CorruptFile", False)
    assert torn.name in one["message"]
    assert "mdp catalog verify" in one["message"]


def test_an_unknown_id_is_answered_with_what_is_stored(mdp: Mdp, root: Path, stored: Catalog) -> None:
    ended = mdp("catalog", "compact", "MSFT.NASDAQ", "--catalog", root)
    assert ended.code == 1
    assert "Nothing of MSFT.NASDAQ is stored" in ended.err
    assert stored.series() == [AAPL]
