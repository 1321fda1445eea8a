"""Storing sessions: names, replacing, refusing, locking."""

from __future__ import annotations

import errno
import multiprocessing
import os
import subprocess
import sys
from collections import namedtuple
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from market_data_pipeline.catalog import Catalog
from market_data_pipeline.domain.bar_table import COLUMNS, PRICE_COLUMNS, BarTable
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.coverage import Convention, Coverage, Provenance, SessionAnswer
from market_data_pipeline.domain.errors import (
    BrokenBars,
    ConflictingBars,
    DiskFull,
    InvalidDate,
    PrecisionMismatch,
    SeriesLocked,
    StorageFailed,
)
from market_data_pipeline.domain.source import Precision
from market_data_pipeline_tests.catalog.bar_making import (
    AAPL,
    BY_HAND,
    CENTS,
    EURUSD,
    FRIDAY,
    MONDAY,
    THURSDAY,
    TUESDAY,
    WEDNESDAY,
    WEEK,
    all_bars,
    answer,
    coverages,
    empty,
    files_of,
    morning,
    names,
    nautilus_reads,
    rebuilt,
    regular,
    store,
    what_stands,
    writing,
)

# 4 to 6 February 2024 in New York winter time: windows end at 20:00, which is 01:00 UTC.
MONDAY_WHOLE = "2024-02-03T01-00-00-000000001Z_2024-02-06T01-00-00-000000000Z.parquet"
TUESDAY_WHOLE = "2024-02-06T01-00-00-000000001Z_2024-02-07T01-00-00-000000000Z.parquet"


def test_whole_and_empty_sessions_are_named_for_their_windows(catalog: Catalog) -> None:
    """Monday's window begins when Friday's ends, so the weekend is claimed too."""
    rows = store(catalog, answer(AAPL, MONDAY), empty(AAPL, TUESDAY))
    assert names(catalog) == [MONDAY_WHOLE, TUESDAY_WHOLE]
    assert [(row.session, row.coverage, row.rows) for row in rows] == [(MONDAY, Coverage.COMPLETE, 390), (TUESDAY, Coverage.EMPTY, 0)]
    assert catalog.sessions(AAPL) == rows
    assert nautilus_reads(catalog.root) == (390, 390, True)


def test_a_partial_session_is_named_up_to_its_last_bar(catalog: Catalog) -> None:
    """100 minutes from 09:30 New York end at 11:10, 16:10 UTC."""
    store(catalog, morning(AAPL, TUESDAY))
    assert names(catalog) == ["2024-02-06T01-00-00-000000001Z_2024-02-06T16-10-00-000000000Z.parquet"]


def test_a_partial_session_that_ends_with_its_window_is_not_named_whole(catalog: Catalog) -> None:
    """FX: the last bar closes at 17:00 New York, exactly where the window ends; a hole in the middle makes it partial."""
    bars = regular(EURUSD, TUESDAY)
    holed = bars.take(np.r_[0:30, 60 : len(bars)])
    store(catalog, answer(EURUSD, TUESDAY, holed, Coverage.PARTIAL), series=EURUSD)
    assert names(catalog, EURUSD) == ["2024-02-05T22-00-00-000000001Z_2024-02-06T21-59-59-999999999Z.parquet"]
    again = rebuilt(catalog)
    assert coverages(again, EURUSD) == [("2024-02-06", "partial", len(holed))]
    assert again.verify().problems[0].kind == "orphan bars"
    assert coverages(again, EURUSD) == [("2024-02-06", "partial", len(holed))]
    assert all_bars(again, EURUSD).fingerprint() == holed.fingerprint()


ANSWERS: dict[str, Callable[[], SessionAnswer]] = {
    "whole": lambda: answer(AAPL, TUESDAY),
    "other whole": lambda: answer(AAPL, TUESDAY, seed=1),
    "empty": lambda: empty(AAPL, TUESDAY),
    "early": lambda: morning(AAPL, TUESDAY, 50),
    "later": lambda: morning(AAPL, TUESDAY, 200),
}


@pytest.mark.parametrize("first", ANSWERS)
@pytest.mark.parametrize("then", ANSWERS)
def test_any_answer_takes_the_place_of_any_other(catalog: Catalog, first: str, then: str) -> None:
    before, after = ANSWERS[first](), ANSWERS[then]()
    store(catalog, answer(AAPL, MONDAY), before, answer(AAPL, WEDNESDAY))
    store(catalog, after)
    alone = Catalog.open(catalog.root.parent / "alone")
    store(alone, answer(AAPL, MONDAY), after, answer(AAPL, WEDNESDAY))
    assert names(catalog) == names(alone)
    assert what_stands(catalog) == what_stands(alone) == what_stands(rebuilt(catalog))
    assert catalog.read_session(AAPL, TUESDAY).fingerprint() == after.bars.fingerprint()


@pytest.mark.parametrize("first", ANSWERS)
@pytest.mark.parametrize("then", ANSWERS)
def test_a_replacement_that_is_cut_short_lies_about_nothing(catalog: Catalog, monkeypatch: pytest.MonkeyPatch, first: str, then: str) -> None:
    """Stopped before each change to the folder in turn: the files alone never tell of more than there is, and no bar is there twice."""
    before, after = ANSWERS[first](), ANSWERS[then]()
    whole = {Coverage.COMPLETE, Coverage.EMPTY}
    for steps in range(4):
        store(catalog, before)
        left = iter(range(steps))
        really = os.replace

        def stop(source: str | Path, target: str | Path) -> None:
            if next(left, None) is None:  # noqa: B023 - called in this round only
                raise KeyboardInterrupt
            really(source, target)  # noqa: B023

        with monkeypatch.context() as patch:
            patch.setattr("os.replace", stop)
            try:
                store(catalog, after)
            except KeyboardInterrupt:
                pass
            else:
                break
        for found in (catalog, rebuilt(catalog)):
            row = next(iter(found.sessions(AAPL)), None)
            bars = found.read_session(AAPL, TUESDAY)
            assert [*bars.close] in ([*before.bars.close], [*after.bars.close])
            if row is not None and row.coverage in whole:
                true = [one for one in (before, after) if one.coverage is row.coverage]
                assert [*bars.close] in [[*one.bars.close] for one in true]
        catalog = Catalog.open(catalog.root)
        store(catalog, after)
        assert catalog.verify([AAPL]).problems[1:] == ()
        assert [row.coverage for row in catalog.sessions(AAPL)] == [after.coverage]
        assert catalog.read_session(AAPL, TUESDAY).fingerprint() == after.bars.fingerprint()
    assert steps > 0


BARS = regular(AAPL, MONDAY)


def broken(**columns: np.ndarray[tuple[int], np.dtype[np.int64]]) -> BarTable:
    """Return Monday's bars with other columns."""
    values = {name: columns.get(name, BARS.column(name)) for name in COLUMNS}
    return BarTable(**values, price_precision=2, size_precision=0)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (answer(AAPL, MONDAY, broken(low=BARS.high + 1)), "low > high"),
        (answer(AAPL, MONDAY, broken(volume=BARS.volume - 20_000)), "negative volume"),
        (answer(AAPL, MONDAY, broken(close=BARS.high + 1)), "open or close above high"),
        (answer(AAPL, MONDAY, BARS.take(np.r_[0:10, 9:20])), "rows out of order, or one bar twice"),
        (answer(AAPL, MONDAY, regular(AAPL, TUESDAY)), "bars outside the session's window"),
        (answer(AAPL, MONDAY, BARS, Coverage.EMPTY), "390 bars called empty"),
        (answer(AAPL, MONDAY, BARS, Coverage.MISSING), "390 bars called missing"),
        (answer(AAPL, MONDAY, BARS.slice(0, 0), Coverage.PARTIAL), "0 bars called partial"),
        (answer(AAPL, MONDAY, broken(high=BARS.high * 10**14)), "a price above 17,014,118,346,046"),
    ],
)
def test_bars_that_break_a_rule_are_not_stored(catalog: Catalog, given: SessionAnswer, reason: str) -> None:
    with pytest.raises(BrokenBars, match=f"2024-02-05 was not stored: .*{reason}"):
        store(catalog, given)
    assert not catalog.layout.bars.exists()


def test_negative_prices_are_stored(catalog: Catalog) -> None:
    """Crude oil settled at -37.63 on 2020-04-20."""
    bars = broken(**{name: BARS.column(name) - 25_000 for name in PRICE_COLUMNS})
    store(catalog, answer(AAPL, MONDAY, bars))
    assert catalog.read_session(AAPL, MONDAY).fingerprint() == bars.fingerprint()


def test_a_day_that_is_no_session_is_refused(catalog: Catalog) -> None:
    saturday = replace(answer(AAPL, FRIDAY), session=WEEK[-1].replace(day=10))
    with pytest.raises(InvalidDate, match=r"2024-02-10 is no 1-MINUTE-LAST session of NYSE. Sessions around it: 2024-02-09 and 2024-02-12"):
        store(catalog, saturday)


def test_another_precision_or_convention_is_refused(week: Catalog) -> None:
    with pytest.raises(PrecisionMismatch, match="stored with 2 price and 0 size decimals; the instrument now has 4 and 0"):
        store(week, precision=Precision(4, 0))
    with week.writer(AAPL, CENTS, BY_HAND) as writer, pytest.raises(PrecisionMismatch, match="these bars have 4 and 0"):
        writer.store(answer(AAPL, MONDAY, regular(AAPL, MONDAY, precision=Precision(4, 0))))
    with (
        pytest.raises(ConflictingBars, match="raw prices of all hours; these are split prices of rth hours"),
        week.writer(AAPL, CENTS, Provenance("csv", "x.csv", Convention("rth", "split"))),
    ):
        pass


def test_once_all_is_deleted_another_precision_may_come(week: Catalog) -> None:
    for file in files_of(week):
        file.unlink()
    finer = Precision(4, 0)
    store(week, answer(AAPL, MONDAY, regular(AAPL, MONDAY, precision=finer)), precision=finer)
    assert week.precision(AAPL) == finer


@pytest.mark.parametrize("ledger", ["kept", "deleted"])
def test_ids_that_nautilus_gives_one_folder_are_kept_apart(catalog: Catalog, ledger: str) -> None:
    plain = Series.parse("EURUSD.IDEALPRO-15-MINUTE-MID-EXTERNAL")
    store(catalog, answer(EURUSD, MONDAY), series=EURUSD)
    if ledger == "deleted":
        catalog = rebuilt(catalog)
    with pytest.raises(ConflictingBars, match=r"Use the stored id EUR/USD\.IDEALPRO"):
        store(catalog, answer(plain, TUESDAY), series=plain)
    assert catalog.availability(plain) is None
    assert catalog.series() == [EURUSD]
    assert len(names(catalog, EURUSD)) == 1
    files_of(catalog, EURUSD)[0].unlink()
    store(catalog, answer(plain, TUESDAY), series=plain)
    assert catalog.series() == [plain]


def test_a_second_writer_waits_and_then_gives_up(week: Catalog) -> None:
    with (
        writing(week),
        pytest.raises(SeriesLocked, match=r"Another process is writing .*waited 0\.1 s"),
        writing(Catalog.open(week.root), wait_s=0.1),
    ):
        pass


_STORE = """
import sys, datetime as dt
from market_data_pipeline.catalog import Catalog
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline_tests.catalog.bar_making import answer, store
catalog, series = Catalog.open(sys.argv[1]), Series.parse(sys.argv[2])
for day in sys.argv[3:]:
    store(catalog, answer(series, dt.date(2024, 2, int(day))), series=series)
"""


def in_processes(*arguments: list[str]) -> None:
    root = Path(__file__).parents[2]
    running = [subprocess.Popen([sys.executable, "-c", _STORE, *one], cwd=root, stderr=subprocess.PIPE, text=True) for one in arguments]
    for process in running:
        _, said = process.communicate(timeout=120)
        assert process.returncode == 0, said


def test_two_processes_write_one_series_in_turns(tmp_path: Path) -> None:
    in_processes([str(tmp_path), AAPL.bar_type, "5", "7", "9", "12"], [str(tmp_path), AAPL.bar_type, "6", "8", "12", "13"])
    catalog = Catalog.open(tmp_path)
    assert [row.session.day for row in catalog.sessions(AAPL)] == [5, 6, 7, 8, 9, 12, 13]
    assert what_stands(catalog) == what_stands(rebuilt(catalog))


def test_many_processes_write_many_series_at_once(tmp_path: Path) -> None:
    series = [Series.of(f"T{number}.NASDAQ", "1-MINUTE-LAST") for number in range(10)]
    in_processes(*([str(tmp_path), one.bar_type, "5", "6"] for one in series))
    catalog = Catalog.open(tmp_path)
    assert catalog.series() == sorted(series)
    assert {(found.complete, found.rows) for found in catalog.availabilities()} == {(2, 780)}


def test_a_full_disk_is_told_and_leaves_the_session_as_it_was(week: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    before = what_stands(week)

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.write", full)
        with pytest.raises(DiskFull, match=r"Storing .* 2024-02-06: the disk is full. What was stored before stays whole"):
            store(week, answer(AAPL, TUESDAY, seed=5))
    assert what_stands(week) == before
    assert not [*week.layout.series_folder(AAPL).glob(".writing*")]


def test_room_is_asked_for_before_a_large_write(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    """1,000,000 bars at 28 bytes and 2,600 files at 2,600 bytes: 35 MB, and 64 MiB (67 MB) to spare."""
    usage = namedtuple("usage", "total used free")
    with writing(catalog) as writer:
        monkeypatch.setattr("shutil.disk_usage", lambda _: usage(0, 0, 101_000_000))
        with pytest.raises(DiskFull, match=r"needs about 35 MB below .* 67 MB to spare; 101 MB are free. Nothing was written"):
            writer.require_room_for(1_000_000, 2_600)
        monkeypatch.setattr("shutil.disk_usage", lambda _: usage(0, 0, 103_000_000))
        writer.require_room_for(1_000_000, 2_600)


def test_the_estimate_is_above_what_files_take(week: Catalog) -> None:
    from market_data_pipeline.catalog.disk import estimate

    taken = sum(file.stat().st_size for file in files_of(week))
    assert taken < estimate(5 * 390, 5) < 2 * taken


def test_an_error_of_the_caller_stays_what_it_is(catalog: Catalog) -> None:
    """A refused connection inside the block is no fault of the disk."""
    with pytest.raises(ConnectionRefusedError), writing(catalog):
        raise ConnectionRefusedError


def test_a_catalog_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageFailed, match=r"Locking .*: Not a directory"):
        store(Catalog.open(tmp_path / "file"), answer(AAPL, MONDAY))


def test_a_batch_that_ends_with_an_error_keeps_what_was_stored(catalog: Catalog) -> None:
    with pytest.raises(BrokenBars):
        store(catalog, answer(AAPL, MONDAY), answer(AAPL, TUESDAY), answer(AAPL, WEDNESDAY, regular(AAPL, THURSDAY)))
    assert [row.session for row in catalog.sessions(AAPL)] == [MONDAY, TUESDAY]


def test_what_a_writer_has_not_told_the_ledger_yet_is_found(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a kill: the files are there, the ledger's last word was that somebody is writing."""
    with monkeypatch.context() as patch:
        patch.setattr("market_data_pipeline.catalog.writer.SeriesWriter.close", lambda _: None)
        store(catalog, answer(AAPL, MONDAY), answer(AAPL, TUESDAY))
    assert catalog.ledger.sessions(1) == []
    assert [row.session for row in catalog.sessions(AAPL)] == [MONDAY, TUESDAY]


def test_forked_readers_need_no_lock(week: Catalog) -> None:
    """A reader asks nobody: while a writer holds the series, what was whole before is answered."""
    with writing(week) as writer:
        writer.store(answer(AAPL, WEEK[0], seed=3))
        context = multiprocessing.get_context("spawn")
        with context.Pool(1) as pool:
            complete, rows = pool.apply(_count, (str(week.root),))
        assert (complete, rows) == (5, 1950)


def _count(root: str) -> tuple[int, int]:
    found = Catalog.open(root).availability(AAPL)
    assert found is not None
    return found.complete, found.rows
