"""Revisions in their files: what is noted comes back, whatever becomes of the ledger."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from market_data_pipeline.catalog import Catalog
from market_data_pipeline.catalog.revisions import (
    ChangedValue,
    RevisedSession,
    RevisionFiles,
    RevisionKind,
    Suspicion,
    changed_values,
)
from market_data_pipeline.domain.bar_table import BarTable
from market_data_pipeline.domain.errors import CorruptFile
from market_data_pipeline.domain.revisions import Changes, Rebase, changes_between
from market_data_pipeline.domain.sessions import day_number
from market_data_pipeline_tests.catalog.bar_making import AAPL, CENTS, MONDAY, TUESDAY, answer, nautilus_reads, rebuilt, regular, store, store_week

NOON = 1_707_220_800_000_000_000  # 2024-02-06 12:00 UTC


def corrected(date: dt.date) -> tuple[RevisedSession, Changes, BarTable]:
    """Return a session of which the third bar closes a cent higher, with 7 more traded, and the last is gone."""
    old = regular(AAPL, date)
    fewer = old.slice(0, len(old) - 1)
    new = replace(fewer, close=fewer.close.copy(), volume=fewer.volume.copy())
    new.close[2] += 1
    new.volume[2] += 7
    changes = changes_between(date, old, new)
    return RevisedSession.of(changes, old.fingerprint(), new.fingerprint()), changes, new


def note(catalog: Catalog, date: dt.date, found_at_ns: int = NOON) -> RevisedSession:
    session, changes, _ = corrected(date)
    RevisionFiles(catalog).note(AAPL, RevisionKind.CHANGED, found_at_ns, "ibkr", CENTS, [session], [], [changes])
    return session


def test_what_is_noted_comes_back_with_old_and_new_values(tmp_path: Path) -> None:
    catalog = store_week(tmp_path)
    old = regular(AAPL, MONDAY)
    session = note(catalog, MONDAY)
    (revision,) = RevisionFiles(catalog).of(AAPL)
    assert (revision.kind, revision.found_at_ns, revision.source, revision.sessions) == (RevisionKind.CHANGED, NOON, "ibkr", (session,))
    assert (session.changed, session.added, session.gone, session.bars) == (1, 0, 1, 2)
    close, volume, *gone = changed_values(revision)
    was = int(old.close[2])
    assert close == ChangedValue(MONDAY, int(old.ts_event[2]), "close", f"{was / 100:.2f}", f"{(was + 1) / 100:.2f}")
    assert (volume.column, volume.old, volume.new) == ("volume", str(old.volume[2]), str(old.volume[2] + 7))
    assert [(one.column, one.new) for one in gone] == [(name, None) for name in ("open", "high", "low", "close", "volume")]
    assert [*changed_values(revision, 1)] == [close]


def test_any_tool_reads_the_values(tmp_path: Path) -> None:
    catalog = store_week(tmp_path)
    note(catalog, MONDAY)
    table = pq.read_table(RevisionFiles(catalog).of(AAPL)[0].file)
    old = regular(AAPL, MONDAY)
    assert table.column("old_close").to_pylist() == [int(old.close[2]), int(old.close[-1])]
    assert table.column("new_close").to_pylist() == [int(old.close[2]) + 1, None]
    assert table.column("session").to_pylist() == [MONDAY, MONDAY]


def test_a_ledger_made_anew_loses_none_and_nautilus_reads_the_catalog_as_before(tmp_path: Path) -> None:
    catalog = store_week(tmp_path)
    note(catalog, MONDAY)
    note(catalog, TUESDAY)
    again = rebuilt(catalog)
    assert [one.session for revision in RevisionFiles(again).of(AAPL) for one in revision.sessions] == [MONDAY, TUESDAY]
    assert {problem.kind for problem in again.verify().problems} == {"orphan bars"}  # none is defined in this test
    assert nautilus_reads(tmp_path) == (5 * 390, 5 * 390, True)


def test_two_in_one_second_are_two(tmp_path: Path) -> None:
    """A gateway's clock tells whole seconds."""
    catalog = store_week(tmp_path)
    note(catalog, MONDAY)
    note(catalog, MONDAY)
    assert len(RevisionFiles(catalog).of(AAPL)) == 2


def test_changes_that_were_noted_and_not_stored_are_known(tmp_path: Path) -> None:
    catalog = store_week(tmp_path)
    files = RevisionFiles(catalog)
    monday, tuesday = note(catalog, MONDAY), corrected(TUESDAY)[0]
    assert files.is_noted(AAPL, [monday])
    assert not files.is_noted(AAPL, [monday, tuesday])
    assert not files.is_noted(AAPL, [replace(monday, after="0" * 32)])


def test_what_breaks_off_while_it_is_noted_leaves_nothing(tmp_path: Path) -> None:
    catalog = store_week(tmp_path)
    files = RevisionFiles(catalog)
    session, changes, _ = corrected(MONDAY)

    def interrupted() -> Iterator[Changes]:
        yield changes
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        files.note(AAPL, RevisionKind.CHANGED, NOON, "ibkr", CENTS, [session], [], interrupted())
    assert files.of(AAPL) == []
    assert [*(tmp_path / "revisions" / AAPL.folder).iterdir()] == []


def test_a_suspicion_stands_until_its_sessions_are_replaced(tmp_path: Path) -> None:
    catalog = store_week(tmp_path)
    files = RevisionFiles(catalog)
    rebase = Rebase(Fraction(4), MONDAY, TUESDAY, 2, volume_is_inverse=True)
    before = {row.day: row.fingerprint for row in catalog.sessions(AAPL, MONDAY, TUESDAY)}
    assert files.suspicion(AAPL) is None
    files.suspect(Suspicion(AAPL, NOON, (rebase,), before))
    assert files.suspicion(AAPL) == Suspicion(AAPL, NOON, (rebase,), before)
    assert files.series() == [AAPL]
    assert set(before) == {day_number(MONDAY), day_number(TUESDAY)}
    store(catalog, answer(AAPL, MONDAY, seed=1))
    assert files.suspicion(AAPL) is None


def test_a_file_that_cannot_be_read_is_told_with_the_way_out(tmp_path: Path) -> None:
    catalog = store_week(tmp_path)
    note(catalog, MONDAY)
    files = RevisionFiles(catalog)
    file = files.of(AAPL)[0].file
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(CorruptFile, match="No bar depends on it; move it away"):
        files.of(AAPL)
    file.unlink()
    (tmp_path / "revisions" / AAPL.folder / "suspected.json").write_text("{")
    with pytest.raises(CorruptFile, match="move it away"):
        files.suspicion(AAPL)
