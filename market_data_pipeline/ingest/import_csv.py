"""Bring the bars of CSV files into the catalog, session by session, with a rule for what is stored already."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from market_data_pipeline.calendars import partitions_of
from market_data_pipeline.catalog import Catalog, SessionRow
from market_data_pipeline.domain.bar_table import VALUE_COLUMNS, BarTable
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.coverage import Coverage, Quality, SessionAnswer
from market_data_pipeline.domain.errors import ConflictingBars, QuestionUnanswered
from market_data_pipeline.domain.quality import HoleRule, judge, measure
from market_data_pipeline.domain.sessions import Partitions
from market_data_pipeline.domain.source import Precision
from market_data_pipeline.domain.words import agreeing, count

if TYPE_CHECKING:
    from market_data_pipeline.catalog.writer import SeriesWriter
    from market_data_pipeline.sources.csv import Verdict
from market_data_pipeline.ingest.importable import Importable, OpenedBars


class OnConflict(StrEnum):
    """What to do with a session that is stored with other bars than the file's."""

    ASK = "ask"
    SKIP = "skip"
    OVERWRITE = "overwrite"
    MERGE = "merge"
    FAIL = "fail"


class Prefer(StrEnum):
    """Whose value a merge takes where both have one bar with different values."""

    STORED = "stored"
    FILE = "file"


class Run(StrEnum):
    """Whether to store, or only to tell what would be stored."""

    STORE = "store"
    DRY = "dry"


@dataclass(frozen=True)
class Conflict:
    """A session that is stored with other bars than the file's.

    Attributes:
        session: Its date.
        stored_rows: Bars stored.
        file_rows: Bars in the file.
        different: Bars that both have, with different values.
        noun: What a person calls what is imported: `file`, `table`.
    """

    session: dt.date
    stored_rows: int
    file_rows: int
    different: int
    noun: str = "file"


Decide = Callable[[tuple[Conflict, ...]], OnConflict]


@dataclass(frozen=True)
class Imported:
    """A session that has been dealt with: `stored`, `replaced`, `merged`, `skipped` or `unchanged`; and how far the import is."""

    session: dt.date
    what: str
    row: SessionRow | None
    done: int
    of: int


@dataclass(frozen=True)
class ImportReport:
    """What an import did, or would do.

    Attributes:
        series: The series.
        files: Names of the files read.
        rows_read: Rows with bars in the files, bad ones included.
        rows_bad: Rows that broke a rule and were left out.
        bars_written: Bars in the sessions that were written.
        stored, replaced, merged, skipped, unchanged: Numbers of sessions.
        partial: Dates of sessions that the files hold in part.
        first_session, last_session: Dates of the files' sessions; None where there is none.
        rejects_file: Where bad rows were written, or None.
        warnings: What a person should know.
        quarantined: Bad files of the catalog that were moved away.
        dry_run: True where nothing was stored.
        seconds: Time taken.
        read_as: What the files were taken for, and the evidence; None where nothing had to be told apart.
    """

    series: Series
    files: tuple[str, ...]
    rows_read: int
    rows_bad: int
    bars_written: int
    stored: int
    replaced: int
    merged: int
    skipped: int
    unchanged: int
    partial: tuple[dt.date, ...]
    first_session: dt.date | None
    last_session: dt.date | None
    rejects_file: str | None
    warnings: tuple[str, ...]
    quarantined: tuple[str, ...]
    dry_run: bool
    seconds: float
    read_as: Verdict | None


def nobody_to_ask(conflicts: tuple[Conflict, ...]) -> OnConflict:
    """Answer the question what to do with conflicts where nobody is at the terminal.

    Raises:
        QuestionUnanswered: Always, with the choices.
    """
    differ = any(one.different for one in conflicts)
    merge = "merge (take both; --prefer stored or --prefer file says whose values)" if differ else "merge (take both)"
    raise QuestionUnanswered(
        f"{_tell(conflicts)} Nothing was written. Say what to do: --on-conflict skip (keep what is stored), overwrite "
        f"(take the {conflicts[0].noun}), {merge}, or fail."
    )


def import_csv(
    catalog: Catalog,
    source: Importable,
    series: Series,
    precision: Precision,
    *,
    on_conflict: OnConflict = OnConflict.ASK,
    prefer: Prefer | None = None,
    decide: Decide = nobody_to_ask,
    run: Run = Run.STORE,
    wait_s: float = 10.0,
    before_writing: Callable[[], None] | None = None,
) -> Generator[Imported, None, ImportReport]:
    """Import files, telling each session as it is dealt with. The files are read and checked whole before anything is written.

    Args:
        catalog: Where to store.
        source: The files (or a table), open as a context.
        series: What they hold.
        precision: Decimals of the instrument.
        on_conflict: What to do with sessions stored with other bars; `ASK` calls `decide`.
        prefer: Whose value a merge takes.
        decide: Asks a person.
        run: Store, or tell only.
        wait_s: Seconds to wait for another process that writes the series.
        before_writing: Called once the files are read and found good, and before anything is stored.

    Raises:
        BadRows: If rows break a rule; nothing was written.
        ConflictingBars: If sessions conflict and the rule is to fail, or a merge meets different values without `prefer`.
        QuestionUnanswered: If nobody can be asked.
        CatalogError: If storing fails; what was stored before stands.
    """
    started = time.monotonic()
    partitions = partitions_of(series)
    opened = source.open(series, partitions, precision)
    if run is Run.DRY:
        catalog.require_same(series, precision, source.provenance.convention)
        steps = _Import(catalog, series, partitions, opened, None, source.noun)
        counts = yield from steps.go(on_conflict, prefer, decide)
        quarantined: tuple[str, ...] = ()
    else:
        if before_writing is not None:
            before_writing()
        with catalog.writer(series, precision, source.provenance, wait_s) as writer:
            writer.require_room_for(opened.rows, len(opened.sessions))
            steps = _Import(catalog, series, partitions, opened, writer, source.noun)
            counts = yield from steps.go(on_conflict, prefer, decide)
            quarantined = tuple(f"{item.file.name}: {item.reason}" for item in writer.quarantined)
    return ImportReport(
        series=series,
        files=source.names,
        rows_read=opened.rows + opened.rows_bad,
        rows_bad=opened.rows_bad,
        bars_written=steps.bars_written,
        stored=counts["stored"],
        replaced=counts["replaced"],
        merged=counts["merged"],
        skipped=counts["skipped"],
        unchanged=counts["unchanged"],
        partial=tuple(steps.partial),
        first_session=opened.sessions[0] if opened.sessions else None,
        last_session=opened.sessions[-1] if opened.sessions else None,
        rejects_file=str(opened.rejects_file) if opened.rejects_file else None,
        warnings=tuple(opened.warnings),
        quarantined=quarantined,
        dry_run=run is Run.DRY,
        seconds=time.monotonic() - started,
        read_as=source.verdict(series, partitions),
    )


class _Import:
    """One import under way; without a writer it only tells."""

    def __init__(self, catalog: Catalog, series: Series, partitions: Partitions, opened: OpenedBars, writer: SeriesWriter | None, noun: str) -> None:
        self._noun = noun
        self._catalog, self._series, self._partitions, self._opened, self._writer = catalog, series, partitions, opened, writer
        self._before = {row.session: row for row in catalog.sessions(series)}
        # Sessions of which the file holds all stored bars and more, and sessions of which it holds a part and nothing else.
        self._fuller: set[dt.date] = set()
        self._lesser: set[dt.date] = set()
        self.partial: list[dt.date] = []
        self.bars_written = 0

    def go(self, on_conflict: OnConflict, prefer: Prefer | None, decide: Decide) -> Generator[Imported, None, dict[str, int]]:
        conflicts = self._find_conflicts()
        if conflicts and on_conflict is OnConflict.ASK:
            on_conflict = decide(conflicts)
        if conflicts and on_conflict is OnConflict.FAIL:
            raise ConflictingBars(f"{_tell(conflicts)} Nothing was written. Choose --on-conflict skip, overwrite or merge.")
        if on_conflict is OnConflict.MERGE and prefer is None and (torn := tuple(c for c in conflicts if c.different)):
            different = sum(c.different for c in torn)
            raise ConflictingBars(
                f"{count(different, 'bar')} {agreeing(different, 'has', 'have')} one value in the catalog and another in the "
                f"{self._noun} ({_dates(torn)}). "
                f"Neither was taken; nothing was written. {self._example(torn[0])}Choose --prefer stored or --prefer {self._noun}."
            )
        counts = dict.fromkeys(("stored", "replaced", "merged", "skipped", "unchanged"), 0)
        disputed = {conflict.session for conflict in conflicts}
        for number, found in enumerate(self._opened.answers(), start=1):
            what, answer = self._resolve(found, found.session in disputed, on_conflict, prefer)
            row = None
            if what in ("stored", "replaced", "merged"):
                row = self._writer.store(answer) if self._writer is not None else None
                self.bars_written += len(answer.bars)
                if answer.coverage is Coverage.PARTIAL:
                    self.partial.append(answer.session)
            counts[what] += 1
            yield Imported(answer.session, what, row, number, len(self._opened.sessions))
        return counts

    def _find_conflicts(self) -> tuple[Conflict, ...]:
        overlap = [date for date in self._opened.sessions if date in self._before and self._before[date].rows]
        found = []
        for answer in self._opened.answers(overlap) if overlap else ():
            before = self._before[answer.session]
            if before.fingerprint == answer.bars.fingerprint():
                continue
            stored = self._catalog.read_session(self._series, answer.session)
            ours, theirs = _shared(stored, answer.bars)
            different = int((~stored.take(ours).same_values(answer.bars.take(theirs))).sum())
            if not different and len(ours) in (len(stored), len(answer.bars)):
                # One holds all of the other's bars: taking the fuller one loses and changes nothing.
                (self._fuller if len(ours) == len(stored) else self._lesser).add(answer.session)
                continue
            found.append(Conflict(answer.session, len(stored), len(answer.bars), different, self._noun))
        return tuple(found)

    def _resolve(self, answer: SessionAnswer, disputed: bool, on_conflict: OnConflict, prefer: Prefer | None) -> tuple[str, SessionAnswer]:
        before = self._before.get(answer.session)
        if before is None or not before.rows:
            return "stored", answer
        if not disputed:
            return self._resolve_agreeing(answer, before, on_conflict)
        if on_conflict is OnConflict.SKIP:
            return "skipped", answer
        if on_conflict is OnConflict.OVERWRITE:
            return "replaced", answer
        return "merged", self._merge(answer, before, prefer)

    def _resolve_agreeing(self, answer: SessionAnswer, before: SessionRow, on_conflict: OnConflict) -> tuple[str, SessionAnswer]:
        """Decide about a session of which the file and the catalog hold the same bars, or one a part of the other's."""
        became_whole = before.coverage is Coverage.PARTIAL and answer.coverage is Coverage.COMPLETE
        if answer.session in self._lesser:
            if on_conflict is OnConflict.OVERWRITE:
                return "replaced", answer
            if not became_whole:
                return "unchanged", answer
            stored = self._catalog.read_session(self._series, answer.session)
            return "replaced", replace(answer, bars=stored, quality=self._measure(answer.session, stored))
        if answer.session in self._fuller:
            if before.coverage is not Coverage.COMPLETE:
                return "replaced", answer
            # What was asked for whole stays whole with more bars.
            return ("skipped" if on_conflict is OnConflict.SKIP else "replaced"), replace(answer, coverage=Coverage.COMPLETE)
        return ("replaced" if became_whole else "unchanged"), answer

    def _merge(self, answer: SessionAnswer, before: SessionRow, prefer: Prefer | None) -> SessionAnswer:
        stored = self._catalog.read_session(self._series, answer.session)
        winner, other = (answer.bars, stored) if prefer is Prefer.FILE else (stored, answer.bars)
        extra = other.take(~np.isin(other.ts_event, winner.ts_event))
        both = BarTable.concatenate([winner, extra])
        both = both.take(np.argsort(both.ts_init, kind="stable"))
        quality = self._measure(answer.session, both)
        if Coverage.COMPLETE in (before.coverage, answer.coverage) or self._partitions.spec.is_daily_or_longer:
            coverage = Coverage.COMPLETE
        else:
            length_s = self._partitions.spec.length_ns // 1_000_000_000
            coverage = judge(both, quality, HoleRule().longest_allowed_s(length_s, 0.0))
        return SessionAnswer(answer.session, both, coverage, quality)

    def _measure(self, session: dt.date, bars: BarTable) -> Quality:
        position = self._partitions.index_of(session)
        assert position is not None  # it was answered
        return measure(bars, self._partitions, position)

    def _example(self, conflict: Conflict) -> str:
        """Return one differing bar with both values."""
        answer = next(iter(self._opened.answers([conflict.session])))
        stored = self._catalog.read_session(self._series, conflict.session)
        ours, theirs = _shared(stored, answer.bars)
        mine, new = stored.take(ours), answer.bars.take(theirs)
        i = int(np.flatnonzero(~mine.same_values(new))[0])
        opens = np.datetime64(int(mine.ts_event[i]), "ns")
        values = [", ".join(f"{name} {_exact(bars, name, i)}" for name in VALUE_COLUMNS) for bars in (mine, new)]
        return f"For example the bar of {str(opens)[:19]} UTC: stored {values[0]}; {self._noun} {values[1]}. "


def _shared(stored: BarTable, new: BarTable) -> tuple[np.ndarray[tuple[int], np.dtype[np.int64]], np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """Return the positions, in each table, of the bars that both have."""
    _, ours, theirs = np.intersect1d(stored.ts_event, new.ts_event, assume_unique=True, return_indices=True)
    return ours, theirs


def _exact(bars: BarTable, name: str, row: int) -> Decimal:
    return Decimal(int(bars.column(name)[row])).scaleb(-(bars.size_precision if name == "volume" else bars.price_precision))


def _dates(conflicts: tuple[Conflict, ...]) -> str:
    named = ", ".join(str(c.session) for c in conflicts[:3])
    return named if len(conflicts) <= 3 else f"{named} and {count(len(conflicts) - 3, 'more session')}"


def _tell(conflicts: tuple[Conflict, ...]) -> str:
    one = conflicts[0]
    noun = one.noun
    return (
        f"{len(conflicts):,} of the {noun}'s sessions {agreeing(len(conflicts), 'is', 'are')} stored with other bars: {_dates(conflicts)}. "
        f"On {one.session} the catalog holds {count(one.stored_rows, 'bar')} and the {noun} {one.file_rows:,}; {one.different:,} of "
        f"both {agreeing(one.different, 'differs', 'differ')} in value."
    )
