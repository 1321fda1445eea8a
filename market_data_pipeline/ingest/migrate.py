"""Bring the bars of a table into the catalog, symbol by symbol, and show that they arrived: counted and added up on both sides."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from market_data_pipeline.calendars import partitions_of
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.errors import DiskFull, MarketDataError, SourceUnavailable, StorageFailed
from market_data_pipeline.domain.session_sums import SessionSums
from market_data_pipeline.domain.sessions import Partitions
from market_data_pipeline.domain.source import Precision
from market_data_pipeline.ingest.import_csv import Decide, Imported, ImportReport, OnConflict, Prefer, Run, import_csv, nobody_to_ask
from market_data_pipeline.ingest.migration_report import MigrationReport, SymbolReport, peak_memory_bytes
from market_data_pipeline.ingest.reconciliation import Difference, difference_of, first_unlike, stored_sessions, sums_of
from market_data_pipeline.sources.postgres.absences import Absences
from market_data_pipeline.sources.postgres.series import SeriesOptions
from market_data_pipeline.sources.postgres.table import Identity, Span

if TYPE_CHECKING:
    from market_data_pipeline.catalog import Catalog
    from market_data_pipeline.sources.postgres import BarsTable, SymbolRows

_LOOKED_INTO = 20
# These end everything: the next symbol would meet them too.
_FATAL = (SourceUnavailable, DiskFull, StorageFailed)


@dataclass(frozen=True)
class MigrationRules:
    """How a table is migrated.

    Attributes:
        on_conflict: What to do with sessions stored with other bars; `ASK` calls `decide`.
        prefer: Whose value a merge takes.
        decide: Asks a person.
        run: Store, or tell only.
        start: First session; None is the table's first.
        end: Last session, inclusive.
        skip_bad_rows: Store the good rows of a symbol and list its bad ones in a file, instead of refusing the symbol.
        accept_holes: Take every session that has bars as complete, except one that is still trading.
        wait_s: Seconds to wait for another process that writes the same series.
    """

    on_conflict: OnConflict = OnConflict.ASK
    prefer: Prefer | None = None
    decide: Decide = nobody_to_ask
    run: Run = Run.STORE
    start: dt.date | None = None
    end: dt.date | None = None
    skip_bad_rows: bool = False
    accept_holes: bool = False
    wait_s: float = 10.0


@dataclass(frozen=True)
class MigrationStep:
    """How far a migration is.

    Attributes:
        symbol: The symbol at work.
        series: The series that it is.
        what: `Reading`, `Storing`, `Comparing` or `Done`.
        number: Its number, from 1.
        of: How many symbols there are.
        done: Rows dealt with, of all symbols; one that is read and not yet stored counts half.
        total: Rows of all symbols.
        session: The session that was stored last, while storing.
        report: What became of the symbol, when it is done.
    """

    symbol: str
    series: Series
    what: str
    number: int
    of: int
    done: int
    total: int
    session: Imported | None = None
    report: SymbolReport | None = None


Tell = Callable[[MigrationStep], None]
Define = Callable[[str], Precision]


def migrate(
    catalog: Catalog,
    table: BarsTable,
    symbols: Mapping[str, str],
    counted: list[SymbolRows],
    define: Define,
    rules: MigrationRules,
    tell: Tell = lambda _: None,
) -> MigrationReport:
    """Migrate symbols of a table. What one symbol refuses does not stop the others.

    Resuming needs no record of an earlier run: sessions whose count, sums and digest are the same in the database and in the stored files
    are not read again.

    Args:
        catalog: Where to store.
        table: The table, in its reading transaction.
        symbols: Symbol to instrument id: which are wanted.
        counted: `table.symbols()`.
        define: Returns the decimals of an instrument; it stores the definition where that is to be stored.
        rules: How.
        tell: Called as it goes on.

    Raises:
        SourceUnavailable: If the connection breaks; what was stored stands.
        DiskFull, StorageFailed: If the file system refuses; what was stored stands.
    """
    started, moment = time.monotonic(), dt.datetime.now(dt.UTC)
    wanted = [one for one in counted if one.symbol in symbols]
    total = sum(one.rows for one in wanted)
    done = 0
    reports = []
    for number, one in enumerate(wanted, start=1):
        assert one.symbol is not None  # it was mapped
        series = Series(symbols[one.symbol], table.reading.spec)
        step = MigrationStep(one.symbol, series, "Reading", number, len(wanted), done, total)
        migration = _Symbol(catalog, table, one, series, rules, tell, step)
        report = migration.run(define)
        done += one.rows
        tell(replace(step, what="Done", done=done, report=report))
        reports.append(report)
    return MigrationReport(
        table=table.name,
        database=str(table.database.place),
        spec=str(table.reading.spec),
        catalog=str(catalog.root),
        started=moment,
        symbols=tuple(reports),
        left_out={one.symbol: one.rows for one in counted if one.symbol not in symbols},
        first=rules.start,
        last=rules.end,
        dry_run=rules.run is Run.DRY,
        seconds=time.monotonic() - started,
        peak_memory=peak_memory_bytes(),
    )


@dataclass
class _Facts:
    """What both sides say of a symbol's sessions.

    Attributes:
        theirs: By the server.
        equal: Sessions that are stored with the same.
        absences: How far apart the bars of those are.
        read: Rows of the sessions that have to be read.
    """

    theirs: dict[dt.date, SessionSums]
    equal: set[dt.date]
    absences: Absences
    read: int = field(init=False)

    def __post_init__(self) -> None:
        self.read = sum(one.rows for date, one in self.theirs.items() if date not in self.equal)


class _Symbol:
    """The migration of one symbol."""

    def __init__(
        self, catalog: Catalog, table: BarsTable, rows: SymbolRows, series: Series, rules: MigrationRules, tell: Tell, step: MigrationStep
    ) -> None:
        assert rows.symbol is not None
        self._catalog, self._table, self._rows, self._series, self._rules = catalog, table, rows, series, rules
        self._symbol = rows.symbol
        self._tell, self._step = tell, step
        self._dealt = 0.0

    def run(self, define: Define) -> SymbolReport:
        """Migrate, reconcile, and say what became of it."""
        started = time.monotonic()
        report = SymbolReport(self._symbol, self._series, self._rows.rows)
        try:
            report = self._migrate(report, define)
        except _FATAL:
            raise
        except MarketDataError as error:
            report = replace(report, refused=str(error), refused_as=type(error).__name__, exit_code=error.exit_code)
        return replace(report, seconds=time.monotonic() - started)

    def _migrate(self, report: SymbolReport, define: Define) -> SymbolReport:
        partitions = partitions_of(self._series)
        precision = define(self._series.instrument_id)
        span = self._table.span(self._rows, partitions, self._rules.start, self._rules.end)
        if span is None:
            return report
        self._say("Counting", 0)
        facts = self._compare_before(partitions, precision, span)
        known = sum(one.rows for one in facts.theirs.values())
        is_bounded = self._rules.start is not None or self._rules.end is not None
        is_whole = is_bounded or known == self._rows.rows
        rejected: list[Identity] = []
        if facts.read or not is_whole:
            imported, rejected = self._import(partitions, precision, span, facts, is_whole)
            report = replace(report, imported=imported)
        report = replace(report, rows=known if is_bounded else self._rows.rows, equal_before=len(facts.equal), sessions=len(facts.theirs))
        if self._rules.run is Run.DRY:
            return report
        self._say("Comparing", self._rows.rows)
        theirs = self._table.sums(self._symbol, partitions, precision, span, rejected) if rejected else facts.theirs
        differences, bars = self._compare_after(partitions, precision, theirs, rejected)
        return replace(report, compared=len(theirs), bars_compared=bars, differences=tuple(differences), sessions=len(theirs), is_reconciled=True)

    def _compare_before(self, partitions: Partitions, precision: Precision, span: Span) -> _Facts:
        theirs = self._table.sums(self._symbol, partitions, precision, span)
        equal: set[dt.date] = set()
        absences = Absences(partitions)
        if theirs:
            now = time.time_ns()
            for date, bars in stored_sessions(self._catalog, self._series, partitions, precision, min(theirs), max(theirs)):
                is_over = partitions.window(date)[1] <= now
                if is_over and date in theirs and theirs[date] == sums_of(date, bars):
                    equal.add(date)
                    absences.add(bars.ts_init)
        if equal:
            # What became whole since it was stored is judged anew; what needs that is read again.
            partial = {row.session for row in self._catalog.sessions(self._series, min(equal), max(equal)) if row.coverage.is_gap}
            equal -= partial if self._rules.accept_holes else set()
            self._catalog.require_same(self._series, precision, self._table.reading.convention)
        return _Facts(theirs, equal, absences)

    def _import(self, partitions: Partitions, precision: Precision, span: Span, facts: _Facts, is_whole: bool) -> tuple[ImportReport, list[Identity]]:
        options = SeriesOptions(
            span=_narrowed(span, partitions, facts) if is_whole else span,
            rows=facts.read,
            without=facts.equal,
            bounded=is_whole,
            absences=facts.absences,
            skip_bad_rows=self._rules.skip_bad_rows,
            rejects_dir=self._catalog.root / "rejects" if self._rules.run is Run.STORE else None,
            accept_holes=self._rules.accept_holes,
            spool_dir=self._catalog.layout.spool if self._rules.run is Run.STORE else None,
            progress=lambda rows: self._say("Reading", rows / 2),
        )
        with self._table.series(self._symbol, options) as source:
            steps = import_csv(
                self._catalog,
                source,
                self._series,
                precision,
                on_conflict=self._rules.on_conflict,
                prefer=self._rules.prefer,
                decide=self._rules.decide,
                run=self._rules.run,
                wait_s=self._rules.wait_s,
            )
            stored = 0
            try:
                while True:
                    session = next(steps)
                    stored += 0 if session.row is None else session.row.rows
                    self._say("Storing", facts.read / 2 + facts.read / 2 * session.done / max(1, session.of), session)
            except StopIteration as end:
                report: ImportReport = end.value
            finally:
                steps.close()  # an interrupt: what is stored is committed
            return report, list(source.rejected)

    def _compare_after(
        self, partitions: Partitions, precision: Precision, theirs: dict[dt.date, SessionSums], rejected: list[Identity]
    ) -> tuple[list[Difference], int]:
        if not theirs:
            return [], 0
        left = dict(theirs)
        found: list[Difference] = []
        bars_compared = 0
        for date, bars in stored_sessions(self._catalog, self._series, partitions, precision, min(theirs), max(theirs)):
            said = left.pop(date, None)
            if said is None:
                continue  # the catalog may hold more sessions than the table
            bars_compared += len(bars)
            difference = difference_of(said, sums_of(date, bars))
            if difference is not None:
                if len(found) < _LOOKED_INTO:
                    position = partitions.index_of(date)
                    assert position is not None
                    rows = self._table.bars_of(self._symbol, Span.of(partitions, position, position), rejected)
                    difference = replace(difference, bar=first_unlike(rows, bars))
                found.append(difference)
        missing = (difference_of(said, None) for said in left.values())
        found += [one for one in missing if one is not None]
        return sorted(found, key=lambda one: one.session), bars_compared

    def _say(self, what: str, dealt: float, session: Imported | None = None) -> None:
        # Rows may be counted twice over a repeated reading; it never runs backwards, nor beyond the symbol's own.
        self._dealt = min(max(self._dealt, dealt), self._rows.rows)
        self._tell(replace(self._step, what=what, done=self._step.done + int(self._dealt), session=session))


def _narrowed(span: Span, partitions: Partitions, facts: _Facts) -> Span:
    """Return the part of a span from the first to the last session that has to be read."""
    left = [date for date in facts.theirs if date not in facts.equal]
    if not left:
        return span
    first, last = partitions.index_of(min(left)), partitions.index_of(max(left))
    assert first is not None
    assert last is not None
    return Span.of(partitions, first, last)
