"""Closed months become one file each, lossless and reversibly; whatever is done afterwards goes as in a catalog of session files."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from market_data_pipeline.calendars import partitions_of
from market_data_pipeline.catalog import Catalog, SessionRow
from market_data_pipeline.catalog.bar_format import schema_of
from market_data_pipeline.catalog.compaction import Direction, Left, compact, period_of
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.coverage import Convention, Coverage, Provenance
from market_data_pipeline.domain.errors import SeriesBusy, SeriesLocked, StorageFailed
from market_data_pipeline_tests.catalog.bar_making import (
    AAPL,
    CENTS,
    all_bars,
    answer,
    empty,
    morning,
    names,
    nautilus_reads,
    rebuilt,
    regular,
    store,
    writing,
)
from market_data_pipeline_tests.catalog.months import EMPTY, FEBRUARY, FEBRUARY_FILE, LATER, MARCH, february, joined, short, taken_apart


@pytest.fixture
def months(tmp_path: Path) -> Catalog:
    """February 2024, of which three sessions are empty, and three sessions of March."""
    return february(tmp_path / "months")


def about_files(row: SessionRow) -> SessionRow:
    """Return a row without the columns that a compaction may change."""
    return replace(row, file="", file_size=0, file_mtime_ns=0, file_hash="", bytes=0)


def test_a_closed_month_becomes_one_file_and_nothing_else_changes(months: Catalog) -> None:
    bars, rows, before, sums = all_bars(months), months.sessions(AAPL), names(months), months.availability(AAPL)
    done = joined(months)
    assert (done.periods, done.sessions, done.files_before, done.files_after) == (1, 20, 23, 4)
    assert done.left == (Left("2024-03", "17 sessions are missing"),)
    assert names(months) == [FEBRUARY_FILE, *before[20:]]
    assert all_bars(months).fingerprint() == bars.fingerprint()
    assert list(map(about_files, months.sessions(AAPL))) == list(map(about_files, rows))
    assert {row.file for row in months.sessions(AAPL)[:20]} == {FEBRUARY_FILE}
    assert sums is not None
    after = months.availability(AAPL)
    assert after is not None
    assert replace(after, bytes=0) == replace(sums, bytes=0)
    assert abs(after.bytes - done.bytes_after) <= 20  # each session's share is rounded
    assert nautilus_reads(months.root) == (20 * 30, 20 * 30, True)
    assert not [*months.layout.compacting.iterdir()]


def test_again_there_is_nothing_to_do(months: Catalog) -> None:
    joined(months)
    stat = (months.layout.series_folder(AAPL) / FEBRUARY_FILE).stat()
    again = joined(months)
    assert (again.periods, again.files_before, again.files_after) == (0, 4, 4)
    assert (months.layout.series_folder(AAPL) / FEBRUARY_FILE).stat() == stat


def test_the_ledger_agrees_without_reading_a_file_again(months: Catalog) -> None:
    joined(months)
    (row,) = months.ledger.all_series()
    assert row.folder_mtime_ns == months.layout.folder_mtime_ns(AAPL)
    assert months.verify([AAPL]).problems[0].kind == "orphan bars"
    assert len(months.verify([AAPL]).problems) == 1


def test_a_lost_ledger_comes_back_as_it_was(months: Catalog) -> None:
    """A judged file would call the sessions partial: they have holes of more than half an hour, and three have no bars."""
    joined(months)
    contents, coverage = months.contents(AAPL), months.coverage(AAPL, FEBRUARY[0], MARCH[3])
    again = rebuilt(months)
    assert again.contents(AAPL) == contents
    assert again.coverage(AAPL, FEBRUARY[0], MARCH[3]) == coverage
    assert [date for date, found in coverage.items() if found is Coverage.EMPTY] == list(EMPTY)


def test_undone_each_session_has_the_file_that_it_had(months: Catalog) -> None:
    before = {path.name: path.read_bytes() for path in months.layout.series_folder(AAPL).iterdir()}
    rows = months.sessions(AAPL)
    joined(months)
    done = taken_apart(months)
    assert (done.periods, done.sessions, done.files_before, done.files_after) == (1, 20, 4, 23)
    assert {path.name: path.read_bytes() for path in months.layout.series_folder(AAPL).iterdir()} == before
    assert [replace(row, file_mtime_ns=0) for row in months.sessions(AAPL)] == [replace(row, file_mtime_ns=0) for row in rows]
    assert taken_apart(months).periods == 0


def test_schema_and_metadata_stay_those_of_nautilus(months: Catalog) -> None:
    joined(months)
    schema = pq.read_schema(months.layout.series_folder(AAPL) / FEBRUARY_FILE)
    assert schema.equals(schema_of(AAPL, CENTS), check_metadata=True)


def test_a_month_that_is_not_over_or_not_whole_is_left_and_told(months: Catalog) -> None:
    store(months, morning(AAPL, FEBRUARY[5], 10))
    middle = 1_708_000_000_000_000_000  # 2024-02-15 12:26 UTC
    done = compact(months, AAPL, Direction.JOIN, middle, quiet_s=0)
    assert done is not None
    assert done.left == (Left("2024-02", "it is not over"), Left("2024-03", "it is not over"))
    assert joined(months).left == (Left("2024-02", "1 session is partial"), Left("2024-03", "17 sessions are missing"))
    assert len(names(months)) == 23


def test_a_dry_run_changes_nothing(months: Catalog) -> None:
    before = names(months)
    done = joined(months, dry=True)
    assert (done.periods, done.sessions, done.files_before, done.files_after, done.bytes_after) == (1, 20, 23, 4, done.bytes_before)
    assert names(months) == before


def test_a_year_without_any_bars_becomes_one_file_without_rows(tmp_path: Path) -> None:
    catalog = Catalog.open(tmp_path)
    daily = Series.parse("AAPL.NASDAQ-1-DAY-LAST-EXTERNAL")
    dates = partitions_of(daily).dates_between(dt.date(2023, 1, 1), dt.date(2023, 12, 31))
    store(catalog, *(empty(daily, date) for date in dates), series=daily)
    done = joined(catalog, daily)
    assert (done.periods, done.sessions, done.files_after) == (1, 250, 1)  # the NYSE had 250 sessions in 2023
    # From the end of 30 December 2022, the last session of that year, to the end of 29 December 2023.
    assert names(catalog, daily) == ["2022-12-31T00-00-00-000000000Z_2023-12-29T23-59-59-999999999Z.parquet"]
    found = rebuilt(catalog).availability(daily)
    assert found is not None
    assert (found.empty, found.missing, found.bytes <= done.bytes_after) == (250, 0, True)
    assert taken_apart(rebuilt(catalog), daily).files_after == 250


def test_weeks_and_months_are_left_as_they_are() -> None:
    weekly = partitions_of(Series.parse("AAPL.NASDAQ-1-WEEK-LAST-EXTERNAL"))
    assert period_of(19_783, weekly) is None
    assert period_of(19_783, partitions_of(AAPL)) == "2024-03"  # 19,783 days after 1970-01-01 is 2024-03-01
    assert period_of(19_783, partitions_of(Series.parse("AAPL.NASDAQ-1-DAY-LAST-EXTERNAL"))) == "2024"


def test_the_convention_beside_the_bars_stays(tmp_path: Path) -> None:
    catalog = Catalog.open(tmp_path)
    with catalog.writer(AAPL, CENTS, Provenance("test", "", Convention("rth", "split"))) as writer:
        for date in FEBRUARY:
            writer.store(short(date))
    joined(catalog)
    assert rebuilt(catalog).convention(AAPL) == Convention("rth", "split")


def test_a_series_that_is_written_or_read_is_left_alone(months: Catalog) -> None:
    with writing(months), pytest.raises(SeriesLocked):
        compact(Catalog.open(months.root), AAPL, Direction.JOIN, LATER, wait_s=0.1, quiet_s=0)
    before = names(months)
    with months.reading(AAPL), pytest.raises(SeriesBusy, match=r"is being read by another process.*Nothing was changed"):
        joined(months)
    assert names(months) == before
    (row,) = months.ledger.all_series()
    assert row.folder_mtime_ns == months.layout.folder_mtime_ns(AAPL)
    assert joined(months).periods == 1


def test_a_folder_that_cannot_be_replaced_in_one_step_is_left_as_it_is(months: Catalog) -> None:
    folder = months.layout.series_folder(AAPL)
    (folder / "notes").mkdir()
    with pytest.raises(StorageFailed, match="its folder holds notes, which is no file"):
        joined(months)
    (folder / "notes").rmdir()
    elsewhere = folder.rename(months.root / "elsewhere")
    folder.symlink_to(elsewhere)
    with pytest.raises(StorageFailed, match="its folder is a link to another place"):
        joined(months)


def test_a_whole_session_takes_its_place_in_the_file_of_its_month(months: Catalog) -> None:
    joined(months)
    new = answer(AAPL, FEBRUARY[7], regular(AAPL, FEBRUARY[7], seed=3))
    store(months, new, empty(AAPL, FEBRUARY[8]), short(EMPTY[1], seed=5))
    assert names(months)[0] == FEBRUARY_FILE
    assert len(names(months)) == 4
    for catalog in (months, rebuilt(months)):
        assert catalog.read_session(AAPL, FEBRUARY[7]).fingerprint() == new.bars.fingerprint()
        found = catalog.coverage(AAPL, FEBRUARY[0], FEBRUARY[-1])
        assert [date for date, one in found.items() if one is Coverage.EMPTY] == [EMPTY[0], FEBRUARY[8], EMPTY[2]]
        assert set(found.values()) == {Coverage.COMPLETE, Coverage.EMPTY}
        for date in (FEBRUARY[6], FEBRUARY[10], MARCH[0]):
            assert catalog.read_session(AAPL, date).fingerprint() == short(date).bars.fingerprint()
    assert months.verify([AAPL]).problems[0].kind == "orphan bars"


@pytest.mark.parametrize("position", [3, 19])
def test_a_partial_session_takes_the_file_of_its_month_apart(months: Catalog, position: int) -> None:
    joined(months)
    store(months, short(FEBRUARY[2], seed=4), morning(AAPL, FEBRUARY[position], 10, seed=1), short(FEBRUARY[4], seed=4))
    assert len(names(months)) == 23
    for catalog in (months, rebuilt(months)):
        rows = catalog.sessions(AAPL)
        assert (rows[position].coverage, rows[position].rows) == (Coverage.PARTIAL, 10)
        others = [row.coverage for i, row in enumerate(rows) if i != position]
        assert others == [Coverage.EMPTY if FEBRUARY[i] in EMPTY else Coverage.COMPLETE for i in range(20) if i != position] + [Coverage.COMPLETE] * 3
        assert catalog.read_session(AAPL, FEBRUARY[2]).fingerprint() == short(FEBRUARY[2], seed=4).bars.fingerprint()
        assert catalog.read_session(AAPL, FEBRUARY[5]).fingerprint() == short(FEBRUARY[5]).bars.fingerprint()
    bars = len(all_bars(months))
    assert nautilus_reads(months.root) == (bars, bars, True)


def test_the_file_of_a_month_does_not_change_under_a_backtest(months: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("market_data_pipeline.catalog.writer._SECONDS_FOR_READERS", 0.1)
    joined(months)
    with months.reading(AAPL):
        store(months, short(MARCH[0], seed=2))  # a session file, which Nautilus reads at once
        for one in (short(FEBRUARY[3], seed=1), morning(AAPL, FEBRUARY[3], 5)):
            with pytest.raises(SeriesBusy, match=r"2024-02-06 lies in .*, which a backtest is reading .* Run this again"):
                store(months, one)
    assert months.read_session(AAPL, FEBRUARY[3]).fingerprint() == short(FEBRUARY[3]).bars.fingerprint()
    assert months.read_session(AAPL, MARCH[0]).fingerprint() == short(MARCH[0], seed=2).bars.fingerprint()
    store(months, short(FEBRUARY[3], seed=1))
    assert months.read_session(AAPL, FEBRUARY[3]).fingerprint() == short(FEBRUARY[3], seed=1).bars.fingerprint()


def test_a_damaged_month_is_moved_away_whole_and_its_sessions_are_missing(months: Catalog) -> None:
    joined(months)
    path = months.layout.series_folder(AAPL) / FEBRUARY_FILE
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    (problem,) = [one for one in months.verify([AAPL]).problems if one.kind == "bad file"]
    assert "load again: 2024-02-01, 2024-02-02" in problem.action
    found = months.availability(AAPL)
    assert found is not None
    assert (found.first_session, found.complete) == (MARCH[0], 3)


def test_sessions_are_read_one_by_one_out_of_the_month(months: Catalog) -> None:
    joined(months)
    for date in (*FEBRUARY, *MARCH[:3]):
        expected = 0 if date in EMPTY else short(date).bars.fingerprint()
        found = months.read_session(AAPL, date)
        assert (found.fingerprint() if len(found) else 0) == expected
