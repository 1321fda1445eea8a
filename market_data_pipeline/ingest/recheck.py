"""Ask a broker again for sessions that are stored whole, and compare: history is sometimes corrected, and a split divides all of it.

What comes is loaded beside the catalog first. Only what has been compared as a whole is stored: changed sessions one by one, with their old values
noted, but nothing at all where prices seem to be on another base. A series of which one half is on the new base is worse than one on the old.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from market_data_pipeline.calendars import partitions_of
from market_data_pipeline.catalog import Catalog, SessionRow
from market_data_pipeline.catalog.revisions import RevisedSession, RevisionFiles, RevisionKind, Suspicion
from market_data_pipeline.catalog.writer import series_lock
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.coverage import Coverage, SessionAnswer
from market_data_pipeline.domain.errors import BrokenBars, NotStored
from market_data_pipeline.domain.quality import measure
from market_data_pipeline.domain.revisions import Changes, Ratio, Rebase, changes_between, ratio_of, rebases_of
from market_data_pipeline.domain.sessions import day_number
from market_data_pipeline.domain.source import Asked, SessionFailure
from market_data_pipeline.domain.words import agreeing, count
from market_data_pipeline.ingest.from_broker import Opened, Order, Prepared, open_series
from market_data_pipeline.ingest.import_csv import Run
from market_data_pipeline.ingest.load import LoadEvent, LoadReport, Refetch, load
from market_data_pipeline.ingest.modes import Mode, Reach
from market_data_pipeline.sources.ibkr import Hours, IbkrGateway, fits_broker

# `files`: the ledger was made anew and does not know any more who gave the bars; the convention does.
_ASKED_OF_THE_BROKER = ("ibkr", "files")
_RESUMABLE_S = 2 * 86_400.0


class Found(StrEnum):
    """What a recheck found."""

    UNCHANGED = "unchanged"
    REVISED = "revised"  # some bars are other than they were; the new ones are stored, and the old ones noted
    REBASE_SUSPECTED = "rebase suspected"  # all prices of sessions were divided by one number; nothing was stored
    REBASED = "rebased"  # the whole series was put on the new base
    NOTHING_COMPARED = "nothing compared"


@dataclass(frozen=True)
class RecheckOrder:
    """What is to be asked for again.

    Attributes:
        series: The series.
        last: How many of the newest whole sessions; None is all that is stored, to put the series on the base that the broker has now.
        hours: Which hours; None is as stored.
    """

    series: Series
    last: int | None
    hours: Hours | None = None


@dataclass(frozen=True)
class RecheckReport:
    """How a recheck ended.

    Attributes:
        series: The series.
        found: What it found; None on a dry run.
        prepared: What was asked for.
        compared: Sessions that were compared.
        sessions: Sessions in which something changed, oldest first.
        rebases: By what prices seem to have been divided, or were.
        failed: Sessions that could not be compared or replaced, with the reason; what is stored of them was kept.
        requests: Requests made.
        file: Where the old values were noted; None where nothing changed.
        seconds: Time taken.
    """

    series: Series
    found: Found | None
    prepared: Prepared
    compared: int = 0
    sessions: tuple[RevisedSession, ...] = ()
    rebases: tuple[Rebase, ...] = ()
    failed: tuple[SessionFailure, ...] = ()
    requests: int = 0
    file: Path | None = None
    seconds: float = 0.0

    @property
    def needs_somebody(self) -> bool:
        """True where something is to be decided, or could not be had."""
        return self.found is Found.REBASE_SUSPECTED or bool(self.failed)


RecheckEvent = Prepared | LoadEvent


def recheck(
    catalog: Catalog, gateway: IbkrGateway, order: RecheckOrder, *, run: Run = Run.STORE, now_ns: int | None = None, wait_s: float = 10.0
) -> Generator[RecheckEvent, None, RecheckReport]:
    """Ask again, compare, and store what changed, telling what happens as it happens.

    Args:
        catalog: Where the series is stored.
        gateway: Whom to ask.
        order: What to ask for again.
        run: A dry run tells the plan only.
        now_ns: What counts as now, UTC nanoseconds; by default the broker's clock.
        wait_s: Seconds to wait for another process that writes or rechecks the series.

    Yields:
        One `Prepared`, then the events of `load`: a session told as stored lies beside the catalog, to be compared.

    Raises:
        NotStored: If no session of the series came from the broker whole.
        SeriesLocked: If another process rechecks or writes the series.
        SourceError: If the gateway cannot go on; the catalog is as it was.
        CatalogError: If the series is stored under another convention, or storing fails.
    """
    started = time.monotonic()
    series = order.series
    rows = _rows_to_recheck(catalog, order)
    opened = open_series(catalog, gateway, series, order.hours, run)
    now = now_ns if now_ns is not None else gateway.now_ns() if run is Run.STORE else time.time_ns() + gateway.clock_ahead_ns
    prepared = _prepared(order, opened, rows, now)
    yield prepared
    if run is Run.DRY:
        return RecheckReport(series, None, prepared)
    with series_lock(catalog.layout, f"{series.folder}.recheck", wait_s), _beside(catalog, order) as beside:
        RevisionFiles(catalog).clear_killed(series)
        steps = load(beside, opened.source, series, opened.precision, prepared.sessions, near=rows, wait_s=wait_s, now_ns=now)
        with closing(steps):
            report: LoadReport = yield from steps
        comparison = Comparison(catalog, beside, opened, rows, report)
        outcome = _decided(order, comparison, comparison.compare(), now, wait_s)
        if not outcome.failed:
            _remove(beside.root)
    return RecheckReport(
        series,
        outcome.found,
        prepared,
        comparison.compared,
        outcome.sessions,
        outcome.rebases,
        outcome.failed,
        report.requests_made,
        outcome.file,
        time.monotonic() - started,
    )


@dataclass(frozen=True)
class Differences:
    """What differs between what is stored and what came.

    Attributes:
        sessions: Sessions in which something changed.
        ratios: Of those whose prices were all divided by one number.
    """

    sessions: tuple[RevisedSession, ...]
    ratios: tuple[Ratio, ...]


class Comparison:
    """Compares sessions of two catalogs, one at a time.

    Args:
        catalog: What is stored.
        beside: What came.
        opened: The series.
        rows: The stored sessions that were asked for again.
        report: How asking ended.
    """

    def __init__(self, catalog: Catalog, beside: Catalog, opened: Opened, rows: Sequence[SessionRow], report: LoadReport) -> None:
        self.catalog, self.beside, self.opened, self.series = catalog, beside, opened, report.series
        self.stored = {row.session: row for row in rows}
        self.come = {row.session: row for row in beside.sessions(report.series) if row.session in self.stored}
        self.failed = list(report.failed_segments)
        self.compared_days: set[int] = set()

    @property
    def compared(self) -> int:
        """Number of sessions that were compared."""
        return len(self.compared_days)

    def compare(self) -> Differences:
        """Return what differs. What came in part, or with too little, is noted as failed: less is never taken for a correction."""
        sessions, ratios = [], []
        for date, row in self.stored.items():
            now = self.come.get(date)
            if now is None:
                continue
            if (reason := _says_less(row, now)) is not None:
                self.failed.append(SessionFailure(date, reason))
                continue
            self.compared_days.add(row.day)
            if row.fingerprint == now.fingerprint:
                continue
            old, new = (one.read_session(self.series, date, self.opened.precision) for one in (self.catalog, self.beside))
            sessions.append(RevisedSession.of(changes_between(date, old, new), row.fingerprint, now.fingerprint))
            if (ratio := ratio_of(date, old, new)) is not None:
                ratios.append(ratio)
        return Differences(tuple(sessions), tuple(ratios))

    def changes(self, sessions: Sequence[RevisedSession]) -> Iterator[Changes]:
        """Yield what changed, a session at a time."""
        for one in sessions:
            old, new = (where.read_session(self.series, one.session, self.opened.precision) for where in (self.catalog, self.beside))
            yield changes_between(one.session, old, new)

    def store(self, sessions: Sequence[RevisedSession], wait_s: float) -> None:
        """Put what came in place of what is stored, session by session; one that somebody else replaced meanwhile is left alone."""
        partitions = partitions_of(self.series)
        with self.catalog.writer(self.series, self.opened.precision, self.opened.source.provenance, wait_s) as writer:
            held = {row.session: row.fingerprint for row in self.catalog.sessions(self.series)}
            for one in sessions:
                if held.get(one.session) != one.before:
                    self.failed.append(SessionFailure(one.session, "another process replaced it while it was compared; run the same command again"))
                    continue
                bars = self.beside.read_session(self.series, one.session, self.opened.precision)
                position = partitions.index_of(one.session)
                assert position is not None  # it was stored under it
                coverage = self.come[one.session].coverage
                try:
                    writer.store(SessionAnswer(one.session, bars, coverage, measure(bars, partitions, position)))
                except BrokenBars as error:
                    self.failed.append(SessionFailure(one.session, str(error)))


@dataclass(frozen=True)
class _Outcome:
    found: Found
    sessions: tuple[RevisedSession, ...]
    rebases: tuple[Rebase, ...]
    failed: tuple[SessionFailure, ...]
    file: Path | None = None


def _decided(order: RecheckOrder, comparison: Comparison, found: Differences, now_ns: int, wait_s: float) -> _Outcome:
    """Store what changed, or say why not."""
    files, rebases = RevisionFiles(comparison.catalog), rebases_of(found.ratios)
    everything = order.last is None
    if not comparison.compared or (everything and comparison.failed):
        return _Outcome(Found.NOTHING_COMPARED, (), rebases, tuple(comparison.failed))
    if rebases and not everything:
        before = {day_number(one.session): one.before for one in found.sessions}
        files.suspect(Suspicion(order.series, now_ns, rebases, before))
        return _Outcome(Found.REBASE_SUSPECTED, found.sessions, rebases, tuple(comparison.failed))
    file = None
    if found.sessions:
        kind = RevisionKind.REBASED if rebases else RevisionKind.CHANGED
        if not files.is_noted(order.series, found.sessions):
            # Before anything is replaced: whatever happens then, no old value is lost.
            precision, source = comparison.opened.precision, comparison.opened.source.provenance.source
            changes = comparison.changes(found.sessions)
            file = files.note(order.series, kind, now_ns, source, precision, found.sessions, rebases, changes)
        comparison.store(found.sessions, wait_s)
    suspicion = files.suspicion(order.series)
    if everything or (suspicion is not None and suspicion.before.keys() <= comparison.compared_days):
        files.drop_suspicion(order.series)
    kind_of_end = Found.UNCHANGED if not found.sessions else Found.REBASED if rebases else Found.REVISED
    return _Outcome(kind_of_end, found.sessions, rebases, tuple(comparison.failed), file)


def _says_less(stored: SessionRow, come: SessionRow) -> str | None:
    """Return why what came cannot take the place of what is stored; None if it can."""
    if come.coverage is Coverage.PARTIAL and stored.coverage is not Coverage.PARTIAL:
        return f"the source answered it in part ({count(come.rows, 'bar')} of {stored.rows:,}); what is stored was kept"
    if 2 * come.rows < stored.rows:
        answered = f"the source answered {count(come.rows, 'bar')}, and {stored.rows:,} {agreeing(stored.rows, 'is', 'are')} stored"
        return f"{answered}: it has lost them for now, or the instrument's history; what is stored was kept"
    return None


def _rows_to_recheck(catalog: Catalog, order: RecheckOrder) -> list[SessionRow]:
    """Return the stored sessions to ask for again, oldest first: for a re-base also the one that is still trading.

    Raises:
        NotStored: If there is none.
    """
    mine = [row for row in catalog.sessions(order.series) if row.source in _ASKED_OF_THE_BROKER]
    whole = mine if order.last is None else [row for row in mine if not row.coverage.is_gap][-order.last :]
    if whole:
        return whole
    series = order.series
    others = sorted({row.source for row in catalog.sessions(series)})
    told = f"its sessions come from {', '.join(others)}" if others else "nothing of it is stored"
    out = f"Load some first: mdp load {series.instrument_id} {series.spec} --start DATE"
    if not fits_broker(series, catalog.convention(series)):
        out = f"Its prices are never mixed with IBKR's; into a catalog of their own: mdp load {series.instrument_id} {series.spec} --catalog PATH"
    raise NotStored(f"No whole session of {series} came from Interactive Brokers ({told}), so there is nothing to ask again. {out}")


def _prepared(order: RecheckOrder, opened: Opened, rows: Sequence[SessionRow], now_ns: int) -> Prepared:
    sessions = tuple(row.session for row in rows)
    reach = Reach(Mode.FULL, sessions[0], sessions[-1])
    plan = opened.source.plan(Asked(order.series, partitions_of(order.series), opened.precision, sessions))
    load_order = Order(order.series, reach, order.hours, Refetch.YES)
    return Prepared(load_order, Mode.FULL, opened.source, opened.instrument, sessions, sessions, plan, now_ns)


@contextmanager
def _beside(catalog: Catalog, order: RecheckOrder) -> Iterator[Catalog]:
    """Lend a catalog for what comes. That of a re-base is kept when it breaks off: asking for years of minutes takes hours."""
    kind = "rebase" if order.last is None else "recheck"
    root = catalog.root / kind / order.series.folder
    if order.last is not None or _age_s(root) > _RESUMABLE_S:
        _remove(root)
    beside = Catalog.open(root)
    try:
        yield beside
    finally:
        beside.ledger.close()
        if order.last is not None:
            _remove(root)
        _remove_if_empty(root.parent)


def _remove(root: Path) -> None:
    """Remove what lies beside the catalog, at once for whoever comes next: a re-base cannot go on with half of it, which a kill would leave."""
    gone = root.with_name(f".{root.name}.gone")
    shutil.rmtree(gone, ignore_errors=True)
    with suppress(OSError):
        os.replace(root, gone)
    shutil.rmtree(gone, ignore_errors=True)


def _remove_if_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:  # somebody else rechecks another series
        return


def _age_s(root: Path) -> float:
    """Return how long ago something was last laid beside the catalog, seconds; 0 where nothing is."""
    try:
        newest = max(one.stat().st_mtime for one in root.rglob("*"))
    except (OSError, ValueError):
        return 0.0
    return max(0.0, time.time() - newest)
