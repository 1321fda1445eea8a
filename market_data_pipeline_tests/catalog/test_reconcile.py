"""The ledger against the files: what is found where files came, went or changed."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace

import pytest

from market_data_pipeline.calendars import partitions_of
from market_data_pipeline.catalog import Catalog
from market_data_pipeline.catalog.reconcile import BadFiles, Scope
from market_data_pipeline.domain.bar_table import BarTable
from market_data_pipeline.domain.coverage import Coverage
from market_data_pipeline.domain.sessions import Partitions
from market_data_pipeline_tests.catalog.bar_making import (
    AAPL,
    BY_HAND,
    CENTS,
    EURUSD,
    MONDAY,
    TUESDAY,
    WEDNESDAY,
    WEEK,
    answer,
    coverages,
    empty,
    files_of,
    morning,
    put_wide,
    rebuilt,
    regular,
    store,
    what_stands,
)


def test_the_ledger_rebuilt_from_files_is_the_one_that_was_written(catalog: Catalog) -> None:
    store(catalog, answer(AAPL, MONDAY), empty(AAPL, TUESDAY), morning(AAPL, WEDNESDAY))
    before = what_stands(catalog)
    assert len(before) == 3
    assert what_stands(rebuilt(catalog)) == before


def test_a_verified_catalog_that_is_well_changes_nothing(week: Catalog) -> None:
    before = week.sessions(AAPL)
    result = week.reconcile(AAPL, Scope.ALL, BadFiles.QUARANTINE)
    assert result is not None
    assert (result.files_checked, result.drifted, result.quarantined, result.left) == (5, 0, (), ())
    assert result.bytes_checked == sum(file.stat().st_size for file in files_of(week))
    assert week.sessions(AAPL) == before


def test_only_changed_files_are_read_again(week: Catalog) -> None:
    file = files_of(week)[1]
    os.utime(file, (1, 1))
    result = week.reconcile(AAPL, Scope.CHANGED, BadFiles.LEAVE)
    assert result is not None
    assert (result.files_checked, result.drifted) == (1, 0)
    assert [row.source for row in week.sessions(AAPL)] == ["test"] * 5  # its history is kept: the bars are the same


def test_bars_that_another_program_changed_are_taken_as_they_are(week: Catalog) -> None:
    file = files_of(week)[1]
    window = partitions_of(AAPL).window(TUESDAY)
    file.unlink()
    put_wide(week, regular(AAPL, TUESDAY, seed=4).slice(0, 380), window[0] + 1, window[1])
    assert files_of(week)[1] == file
    report = week.verify()
    assert [problem.kind for problem in report.problems] == ["orphan bars"]  # a reader has brought the ledger up to date before
    assert [(row.rows, row.source) for row in week.sessions(AAPL)][1] == (380, "files")


def test_a_ledger_that_says_something_else_is_put_right(week: Catalog) -> None:
    row = week.ledger.find(AAPL)
    assert row is not None
    first, *_ = week.sessions(AAPL)
    week.ledger.record(row.id, [replace(first, coverage=Coverage.PARTIAL, rows=1)], row.folder_mtime_ns, forget=[first.day + 1])
    report = week.verify()
    assert (report.problems[0].kind, report.problems[0].detail) == ("ledger drift", "2 sessions stood otherwise in the ledger")
    assert coverages(week) == [(str(date), "complete", 390) for date in WEEK]


def test_a_copied_catalog_knows_itself(week: Catalog) -> None:
    before = what_stands(week)
    week.ledger.close()
    copy = week.root.parent / "copy"
    shutil.copytree(week.root, copy, copy_function=shutil.copyfile)
    assert what_stands(Catalog.open(copy)) == before


def test_a_hole_in_a_file_that_nobody_named_for_a_session_is_no_empty_session(catalog: Catalog) -> None:
    """Another program's file over five days, with none of Wednesday and the morning of Tuesday: not known, not `complete`."""
    parts = [regular(AAPL, date) for date in WEEK]
    put_wide(catalog, BarTable.concatenate([parts[0], parts[1].slice(200, 390), *parts[3:]]))
    assert coverages(catalog) == [
        ("2024-02-05", "partial", 390),  # named from its first bar on: nobody says that there was no pre-market
        ("2024-02-06", "partial", 190),
        ("2024-02-08", "complete", 390),
        ("2024-02-09", "partial", 390),
    ]


def test_files_of_utc_days_hold_sessions_of_new_york(catalog: Catalog) -> None:
    """FX: a file a UTC day cuts each session in two, and together they cover it."""
    day = 86_400_000_000_000
    bars = BarTable.concatenate([regular(EURUSD, date) for date in WEEK])
    first = int(bars.ts_init[0]) // day * day
    for number in range(6):
        start = first + number * day
        put_wide(catalog, bars.between(start - 1, start + day - 1), start, start + day - 1, EURUSD)
    assert coverages(catalog, EURUSD) == [("2024-02-05", "partial", 95), *((f"2024-02-0{n}", "complete", 95) for n in (6, 7, 8, 9))]
    files_of(catalog, EURUSD)[2].unlink()
    assert [one[1] for one in coverages(catalog, EURUSD)] == ["partial", "partial", "partial", "complete", "complete"]


def test_calendars_that_changed_are_no_damage(week: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tuesday turns out to have ended three hours earlier: Wednesday's window grows, and its files still cover it."""
    old = partitions_of(AAPL)
    position = old.index_of(TUESDAY)
    assert position is not None
    starts, ends = old.starts.copy(), old.ends.copy()
    ends[position] -= 3 * 3_600_000_000_000
    starts[position + 1] = ends[position]
    changed = Partitions(old.calendar, old.spec, old.days, starts, ends)
    monkeypatch.setattr("market_data_pipeline.catalog.catalog.partitions_of", lambda _: changed)
    assert [problem.kind for problem in week.verify().problems] == ["orphan bars"]
    assert coverages(week) == [(str(date), "complete", 390) for date in WEEK]
    assert len(files_of(week)) == 5


def test_a_reader_leaves_bad_files_where_they_are(week: Catalog) -> None:
    """And tells of them; a writer moves them away."""
    file = files_of(week)[1]
    file.unlink()
    file.write_bytes(b"torn")
    (file.parent / "notes.parquet").write_bytes(b"")
    found = week.availability(AAPL)
    assert found is not None
    assert {name: reason.partition(" (")[0] for name, reason in found.bad_files} == {
        "notes.parquet": "its name is no pair of time stamps, on which Nautilus stops",
        file.name: "not a readable Parquet file",
    }
    assert file.exists()
    with week.writer(AAPL, CENTS, BY_HAND) as writer:
        assert {item.file.name: item.sessions for item in writer.quarantined} == {"notes.parquet": (), file.name: ("2024-02-06",)}
    after = week.availability(AAPL)
    assert after is not None
    assert (after.bad_files, after.missing) == ((), 1)


def test_leftovers_of_a_killed_writer_are_cleared_by_the_next(week: Catalog) -> None:
    leftover = week.layout.series_folder(AAPL) / ".writing-17-abcdef"
    leftover.write_bytes(b"half")
    assert week.availability(AAPL) is not None
    assert leftover.exists()
    store(week, answer(AAPL, MONDAY))
    assert not leftover.exists()


def test_of_two_files_about_one_time_the_fuller_stays(week: Catalog) -> None:
    put_wide(week, regular(AAPL, TUESDAY).slice(10, 20))
    report = week.verify()
    assert [(problem.kind, problem.detail.split(" as ")[0]) for problem in report.problems] == [
        ("bad file", "covers the same time"),
        ("orphan bars", report.problems[1].detail),
    ]
    assert "load again" not in report.problems[0].action  # the session is still there
    assert coverages(week) == [(str(date), "complete", 390) for date in WEEK]
