"""Asking again for what is stored, against gateways in processes of their own whose history was rewritten.

2024-05-20 was a Monday; 2024-05-27 was Memorial Day, so the five sessions to Monday 2024-06-03 begin with Tuesday 2024-05-28.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from market_data_pipeline.catalog import Catalog
from market_data_pipeline.catalog.revisions import RevisionFiles, RevisionKind, changed_values
from market_data_pipeline.domain.bar_table import VALUE_COLUMNS, BarTable
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.coverage import Coverage, Provenance
from market_data_pipeline.domain.errors import NotStored, SeriesLocked, SourceUnavailable
from market_data_pipeline.ingest.from_broker import Order, load_from_broker
from market_data_pipeline.ingest.import_csv import Run
from market_data_pipeline.ingest.load import Stored
from market_data_pipeline.ingest.modes import Mode, Reach
from market_data_pipeline.ingest.recheck import Found, RecheckOrder, RecheckReport, recheck
from market_data_pipeline.sources.ibkr import IbkrGateway
from market_data_pipeline_tests.catalog.bar_making import AAPL, CENTS, MONDAY, answer, rebuilt, store
from market_data_pipeline_tests.gateway import RunningGateway, start_gateway
from market_data_pipeline_tests.ingest.test_from_broker import settings_of

NOW = ("--no-pacing", "--now", "2024-06-03T20:30Z")
THURSDAY = dt.date(2024, 5, 30)
LAST_FIVE = [dt.date(2024, 5, day) for day in (28, 29, 30, 31)] + [dt.date(2024, 6, 3)]


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    with start_gateway(tmp_path_factory.mktemp("honest"), *NOW) as running:
        yield running


@contextmanager
def gateway_at(folder: Path, running: RunningGateway) -> Iterator[IbkrGateway]:
    with IbkrGateway(settings_of(folder, running.port)) as one:
        yield one


@contextmanager
def rewritten(folder: Path, *faults: str) -> Iterator[IbkrGateway]:
    """Lend a gateway whose history is another one."""
    flags = [word for fault in faults for word in ("--fault", fault)]
    with start_gateway(folder / "rewritten", *NOW, *flags) as running, gateway_at(folder, running) as one:
        yield one


@pytest.fixture
def loaded(catalog: Catalog, honest: RunningGateway, tmp_path: Path) -> Catalog:
    """Ten sessions of AAPL's minutes, 2024-05-20 to 2024-06-03, as the broker had them at first."""
    with gateway_at(tmp_path, honest) as gateway:
        list(load_from_broker(catalog, gateway, [Order(AAPL, Reach(Mode.FULL, dt.date(2024, 5, 20), dt.date(2024, 6, 3)))]))
    assert [row.rows for row in catalog.sessions(AAPL)] == [390] * 10
    return catalog


def run(catalog: Catalog, gateway: IbkrGateway, last: int | None, how: Run = Run.STORE, series: Series = AAPL) -> RecheckReport:
    steps = recheck(catalog, gateway, RecheckOrder(series, last), run=how, wait_s=0.1)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            report: RecheckReport = end.value
            return report


def files_of(root: Path) -> dict[str, tuple[int, bytes]]:
    """Return change time and content of all files but locks."""
    found = (path for path in root.rglob("*") if path.is_file() and "locks" not in path.parts)
    return {str(path.relative_to(root)): (path.stat().st_mtime_ns, path.read_bytes()) for path in found}


def fingerprints(catalog: Catalog) -> dict[dt.date, str]:
    return {row.session: row.fingerprint for row in catalog.sessions(AAPL)}


def test_where_nothing_changed_nothing_is_written(loaded: Catalog, honest: RunningGateway, tmp_path: Path) -> None:
    before = files_of(loaded.root)
    with gateway_at(tmp_path, honest) as gateway:
        report = run(loaded, gateway, 5)
    assert (report.found, report.compared, report.requests) == (Found.UNCHANGED, 5, 5)
    assert [*report.prepared.sessions] == LAST_FIVE
    assert files_of(loaded.root) == before


def test_a_dry_run_asks_for_no_bars(loaded: Catalog, honest: RunningGateway, tmp_path: Path) -> None:
    asked = honest.statistics()["requests"]["by_kind"]["history"]
    with gateway_at(tmp_path, honest) as gateway:
        report = run(loaded, gateway, 5, Run.DRY)
    assert (report.found, len(report.prepared.missing), report.prepared.plan.requests) == (None, 5, 5)
    assert honest.statistics()["requests"]["by_kind"]["history"] == asked


def test_corrected_bars_are_stored_and_their_old_values_noted(loaded: Catalog, tmp_path: Path) -> None:
    before, old = fingerprints(loaded), loaded.read_session(AAPL, THURSDAY)
    with rewritten(tmp_path, f"history:*=revised:{THURSDAY}") as gateway:
        report = run(loaded, gateway, 5)
        assert (report.found, report.compared, report.failed) == (Found.REVISED, 5, ())
        (session,) = report.sessions
        assert (session.session, session.added, session.gone) == (THURSDAY, 0, 1)
        after, new = fingerprints(loaded), loaded.read_session(AAPL, THURSDAY)
        assert {date for date in before if before[date] != after[date]} == {THURSDAY}
        assert (before[THURSDAY], after[THURSDAY]) == (session.before, session.after)
        (revision,) = RevisionFiles(loaded).of(AAPL)
        assert (revision.file, revision.kind, revision.sessions) == (report.file, RevisionKind.CHANGED, (session,))
        # Every value of the file is what stood there and what stands there now.
        stamps = {int(stamp): row for row, stamp in enumerate(old.ts_event)}, {int(stamp): row for row, stamp in enumerate(new.ts_event)}
        values = [*changed_values(revision)]
        assert {one.ts_event_ns for one in values} == {int(stamp) for stamp in old.ts_event[_differs(old, new)]}
        for one in values:
            places = 0 if one.column == "volume" else 2
            assert one.old == f"{int(old.column(one.column)[stamps[0][one.ts_event_ns]]) / 10**places:.{places}f}"
            if one.new is not None:
                assert one.new == f"{int(new.column(one.column)[stamps[1][one.ts_event_ns]]) / 10**places:.{places}f}"
        assert run(loaded, gateway, 5).found is Found.UNCHANGED
    assert len(RevisionFiles(rebuilt(loaded)).of(AAPL)) == 1


def _differs(old: BarTable, new: BarTable) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Return which old bars are gone or changed, one at a time."""
    now = {int(stamp): tuple(int(new.column(name)[row]) for name in VALUE_COLUMNS) for row, stamp in enumerate(new.ts_event)}
    was = [tuple(int(old.column(name)[row]) for name in VALUE_COLUMNS) for row in range(len(old))]
    return np.array([now.get(int(stamp)) != bar for stamp, bar in zip(old.ts_event, was, strict=True)])


def test_a_split_is_not_stored_session_by_session_but_proposed_and_then_stored_whole(loaded: Catalog, tmp_path: Path) -> None:
    before = files_of(loaded.root)
    old = loaded.read_session(AAPL, dt.date(2024, 5, 21))
    with rewritten(tmp_path, "history:*=split:4:2024-05-31") as gateway:
        report = run(loaded, gateway, 5)
        assert (report.found, report.needs_somebody) == (Found.REBASE_SUSPECTED, True)
        (rebase,) = report.rebases
        assert (rebase.ratio, rebase.first, rebase.last, rebase.sessions) == (Fraction(4), dt.date(2024, 5, 28), THURSDAY, 3)
        left = {name: kept for name, kept in files_of(loaded.root).items() if not name.startswith("revisions")}
        assert left == before
        files = RevisionFiles(loaded)
        assert files.of(AAPL) == []
        suspicion = files.suspicion(AAPL)
        assert suspicion is not None
        assert suspicion.rebases == report.rebases
        # A look at what the split did not touch does not lift the suspicion.
        assert run(loaded, gateway, 2).found is Found.UNCHANGED
        assert files.suspicion(AAPL) is not None
        whole = run(loaded, gateway, None)
        assert (whole.found, whole.failed, whole.compared) == (Found.REBASED, (), 10)
        assert files.suspicion(AAPL) is None
        assert run(loaded, gateway, 10).found is Found.UNCHANGED
    (revision,) = files.of(AAPL)
    # Memorial Day lies between: eight sessions from 2024-05-20 to 2024-05-30.
    assert (revision.kind, revision.rebases[0].factor, revision.rebases[0].sessions) == (RevisionKind.REBASED, "1/4", 8)
    new = loaded.read_session(AAPL, dt.date(2024, 5, 21))
    assert np.abs(new.close * 4 - old.close).max() <= 2  # cents
    assert new.volume.tolist() == (4 * old.volume).tolist()
    assert next(changed_values(revision, 1)).session == dt.date(2024, 5, 20)
    assert not (loaded.root / "rebase").exists()


def test_a_session_that_is_answered_in_part_keeps_what_is_stored(loaded: Catalog, tmp_path: Path) -> None:
    """The newest session is asked for first of those that are lost: the others are compared."""
    before = fingerprints(loaded)
    with rewritten(tmp_path, f"history:*=lost:{THURSDAY}") as gateway:
        report = run(loaded, gateway, 5)
    assert [failure.session for failure in report.failed] == [THURSDAY]
    assert (report.found, report.compared, report.needs_somebody) == (Found.UNCHANGED, 4, True)
    assert fingerprints(loaded) == before
    assert RevisionFiles(loaded).of(AAPL) == []


def test_what_was_noted_and_not_stored_is_stored_by_the_next_look_and_noted_once(loaded: Catalog, tmp_path: Path) -> None:
    """A process that dies between the note and the session: the note is there, the session is as it was."""
    old = loaded.read_session(AAPL, THURSDAY)
    with rewritten(tmp_path, f"history:*=revised:{THURSDAY}") as gateway:
        first = run(loaded, gateway, 5)
        (stored,) = [row for row in loaded.sessions(AAPL) if row.session == THURSDAY]
        convention = loaded.convention(AAPL)
        assert convention is not None
        with loaded.writer(AAPL, CENTS, Provenance("ibkr", "as it was", convention)) as writer:
            writer.store(answer(AAPL, THURSDAY, old))
        again = run(loaded, gateway, 5)
    assert (again.found, again.file) == (Found.REVISED, None)
    assert first.sessions == again.sessions
    assert len(RevisionFiles(loaded).of(AAPL)) == 1
    assert fingerprints(loaded)[THURSDAY] == stored.fingerprint


def test_a_rebase_that_breaks_off_has_changed_nothing_and_goes_on_where_it_was(loaded: Catalog, tmp_path: Path) -> None:
    before = fingerprints(loaded)
    with rewritten(tmp_path, "history:*=split:4") as gateway:
        steps = recheck(loaded, gateway, RecheckOrder(AAPL, None))
        come = 0
        for event in steps:
            come += isinstance(event, Stored)
            if come == 4:
                break
        steps.close()
        assert fingerprints(loaded) == before
        report = run(loaded, gateway, None)
    assert (report.found, report.compared, report.requests) == (Found.REBASED, 10, 6)
    assert len(RevisionFiles(loaded).of(AAPL)) == 1


def test_a_rebase_of_which_a_session_cannot_be_had_changes_nothing(loaded: Catalog, tmp_path: Path) -> None:
    before = fingerprints(loaded)
    with rewritten(tmp_path, f"history:*=lost:{THURSDAY}") as gateway:
        report = run(loaded, gateway, None)
    assert (report.found, report.needs_somebody) == (Found.NOTHING_COMPARED, True)
    assert [failure.session for failure in report.failed] == [THURSDAY]
    assert fingerprints(loaded) == before


def test_only_what_came_from_the_broker_is_asked_again(catalog: Catalog, honest: RunningGateway, tmp_path: Path) -> None:
    store(catalog, answer(AAPL, MONDAY))
    with gateway_at(tmp_path, honest) as gateway, pytest.raises(NotStored, match="its sessions come from test"):
        run(catalog, gateway, 5)
    with gateway_at(tmp_path, honest) as gateway, pytest.raises(NotStored, match="nothing of it is stored"):
        run(catalog, gateway, 5, series=Series.of("MSFT.NASDAQ", "1-MINUTE-LAST"))


def test_two_at_once_on_one_series_wait_for_each_other(loaded: Catalog, honest: RunningGateway, tmp_path: Path) -> None:
    with gateway_at(tmp_path, honest) as gateway:
        steps = recheck(loaded, gateway, RecheckOrder(AAPL, 5))
        while not isinstance(next(steps), Stored):
            pass
        with pytest.raises(SeriesLocked):
            run(loaded, gateway, 5)
        steps.close()
        assert run(loaded, gateway, 5).found is Found.UNCHANGED


def test_without_a_gateway_nothing_is_changed(loaded: Catalog, tmp_path: Path) -> None:
    before = files_of(loaded.root)
    with IbkrGateway(settings_of(tmp_path, 1)) as nobody, pytest.raises(SourceUnavailable):
        run(loaded, nobody, 5)
    assert files_of(loaded.root) == before
    assert {row.coverage for row in loaded.sessions(AAPL)} == {Coverage.COMPLETE}
