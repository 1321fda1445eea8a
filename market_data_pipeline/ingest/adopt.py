"""Take over a catalog that other programs wrote with Nautilus: every row is accounted for, and the source is never touched.

First everything is read and checked; where two files contradict each other and nobody said which to believe, nothing is written. Then each
session is written whole, so that an adoption that was stopped goes on where it was.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from market_data_pipeline.calendars import partitions_of
from market_data_pipeline.catalog import Catalog, SessionRow
from market_data_pipeline.catalog.bar_format import write_atomically
from market_data_pipeline.catalog.convention_file import convention_of
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.coverage import Convention, Provenance
from market_data_pipeline.domain.errors import CatalogError, ConflictingBars, DiskFull, MarketDataError, StorageFailed, UsageError
from market_data_pipeline.domain.source import Precision
from market_data_pipeline.domain.words import agreeing, count
from market_data_pipeline.ingest.adopt_instruments import InstrumentPlan, plan_instruments
from market_data_pipeline.ingest.adopt_markdown import to_markdown
from market_data_pipeline.ingest.adopt_report import AdoptReport, BadFile, Ending, Recount, SeriesReport
from market_data_pipeline.ingest.adopt_sessions import Tally, answers_of, tally
from market_data_pipeline.ingest.import_csv import OnConflict, Run
from market_data_pipeline.sources.nautilus import ForeignCatalog, ForeignSeries, Order, inspect
from market_data_pipeline.sources.nautilus.bar_files import rows_by_footer
from market_data_pipeline.sources.nautilus.stamps import StampEnd

SOURCE = "adopted"
REPORTS = "reports"


class PreferFile(StrEnum):
    """Which of two files is believed that have different values for one bar."""

    NEWEST = "newest-file"
    OLDEST = "oldest-file"
    FAIL = "fail"


_RULES = {
    PreferFile.FAIL: "none: files that contradict each other stop the adoption before anything is written",
    PreferFile.NEWEST: "the newest file: the one whose name ends latest, then the one changed last; in one file the row further down",
    PreferFile.OLDEST: "the oldest file: the one whose name ends earliest, then the one changed first; in one file the row further up",
}


@dataclass(frozen=True)
class AdoptStep:
    """How far an adoption is.

    Attributes:
        doing: `Checking` or `Storing`.
        series: Title of the series it is at.
        done, of: Bytes of the source dealt with in this phase, and bytes in all.
        rows: Rows dealt with in this phase.
        session: What was stored, and what was done: `stored`, `replaced`; None where no session was written.
    """

    doing: str
    series: str
    done: int
    of: int
    rows: int
    session: tuple[Series, SessionRow, str] | None = None


@dataclass(frozen=True)
class _Rules:
    prefer: PreferFile
    on_conflict: OnConflict
    told: StampEnd | None
    hours: str | None
    wait_s: float

    @property
    def order(self) -> Order:
        return Order.OLDEST if self.prefer is PreferFile.OLDEST else Order.NEWEST


def adopt(
    catalog: Catalog,
    source: Path,
    *,
    prefer: PreferFile = PreferFile.FAIL,
    on_conflict: OnConflict = OnConflict.FAIL,
    stamp: StampEnd | None = None,
    hours: str | None = None,
    run: Run = Run.STORE,
    wait_s: float = 10.0,
) -> Generator[AdoptStep, None, AdoptReport]:
    """Adopt a catalog, telling each session as it is stored.

    Args:
        catalog: Where to store; may hold something already.
        source: The foreign catalog's folder. Only read.
        prefer: Which of two files is believed that have different values for one bar.
        on_conflict: What to do with sessions that `catalog` holds with other bars: `FAIL`, `SKIP` (keep what is stored) or `OVERWRITE`.
        stamp: Which end of a bar its stamp names, where that is not decided by evidence.
        hours: Which hours the bars were asked for, `all` or `rth`; None is as a catalog of ours says beside its bars, else `all`.
        run: A dry run stores nothing and tells the same.
        wait_s: Seconds to wait for another process that writes a series.

    Yields:
        How far it is.

    Returns:
        The report. Its `ending` is `CONFLICTS` where nothing was written because of them.

    Raises:
        UsageError: If `source` is no catalog, or the same as `catalog`.
        StorageFailed, DiskFull: If the disk refuses; what was stored before stands.
    """
    started = time.monotonic()
    foreign = _opened(catalog, source)
    rules = _Rules(prefer, on_conflict, stamp, hours, wait_s)
    plan = plan_instruments(catalog, foreign)
    work = _Work(catalog, foreign, rules, plan)
    checked = yield from work.check()
    conflicts = (prefer is PreferFile.FAIL and any(one.conflicts for one in checked)) or (
        on_conflict is OnConflict.FAIL and any(one.stored_conflicts for one in checked)
    )
    ending = Ending.DRY if run is Run.DRY else Ending.CONFLICTS if conflicts else Ending.DONE
    series = (yield from work.store(checked)) if ending is Ending.DONE else checked
    if ending is Ending.CONFLICTS:
        series = [_unwritten(one) for one in checked]
    report = AdoptReport(
        source=foreign.root,
        catalog=catalog.root,
        ending=ending,
        prefer=_RULES[prefer],
        series=tuple(series),
        instruments=plan.reports(series),
        not_adopted=foreign.not_adopted,
        seconds=time.monotonic() - started,
    )
    return report if run is Run.DRY else _kept(catalog, report)


def adopted(steps: Generator[AdoptStep, None, AdoptReport], hear: Callable[[AdoptStep], None]) -> AdoptReport:
    """Run an adoption to its end and return its report."""
    while True:
        try:
            hear(next(steps))
        except StopIteration as end:
            report: AdoptReport = end.value
            return report


def refuse_failed(report: AdoptReport) -> None:
    """Raise what went wrong in an adoption, for a caller that knows no exit codes.

    Raises:
        ConflictingBars: If nothing was written because of conflicts.
        CatalogError: If a series could not be taken over, or a row is not accounted for.
    """
    if report.ending is Ending.CONFLICTS:
        raise ConflictingBars(conflict_message(report))
    if failures := [f"{one.title}: {one.failed}" for one in report.series if one.failed]:
        more = f" and {len(failures) - 5} more series" if len(failures) > 5 else ""
        raise CatalogError(f"{len(failures)} series could not be adopted; the others were. {'; '.join(failures[:5])}{more}")
    if not report.closes:
        open_ones = ", ".join(one.title for one in report.series if not one.closes)
        raise CatalogError(f"The rows of {open_ones} do not add up. Do not use them; see the report{_at(report)}.")


def conflict_message(report: AdoptReport) -> str:
    """Say which conflicts stopped an adoption, and how to go on."""
    between = sum(one.conflicts for one in report.series if one.examples)
    stored = sum(len(one.stored_conflicts) for one in report.series)
    parts = []
    if between and report.prefer == _RULES[PreferFile.FAIL]:
        rows = f"{count(between, 'row')} {agreeing(between, 'has', 'have')}"
        parts.append(f"{rows} other values than another row for the same bar. Say which to believe: --prefer newest-file or oldest-file.")
    if stored:
        parts.append(
            f"{count(stored, 'session')} {agreeing(stored, 'is', 'are')} stored with other bars. Say what holds: --on-conflict skip "
            "(what is stored) or overwrite (what is adopted)."
        )
    return f"Nothing was written. {' '.join(parts)} Both values of each, and their files, stand in the report{_at(report)}."


def _at(report: AdoptReport) -> str:
    return f" {report.report_file}" if report.report_file is not None else ""


def _opened(catalog: Catalog, source: Path) -> ForeignCatalog:
    foreign = ForeignCatalog.open(source)
    ours, theirs = catalog.root.resolve(), foreign.root.resolve()
    if ours == theirs or ours in theirs.parents or theirs in ours.parents:
        raise UsageError(
            f"{source} is, or holds, or lies in the catalog {catalog.root}. Adopting needs two places: give another with --catalog PATH. "
            "What is safe to mend in place: mdp catalog repair"
        )
    return foreign


def _kept(catalog: Catalog, report: AdoptReport) -> AdoptReport:
    """Write the report into the catalog, also where nothing else was written: it says which conflicts are to be decided."""
    folder = catalog.root / REPORTS
    file = folder / f"adopt-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{time.time_ns() % 10**6:06d}.md"
    report = replace(report, report_file=file)
    with suppress(OSError):  # a report that cannot be kept is still told
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder, file.name, to_markdown(report).encode())
        return report
    return replace(report, report_file=None)


def _unwritten(one: SeriesReport) -> SeriesReport:
    """Return a checked series as it stands when nothing was written."""
    return replace(one, written=0, not_written=one.not_written + one.written, stored=0, replaced=0, recount=replace(one.recount, written_rows=0))


class _Work:
    """An adoption under way."""

    def __init__(self, catalog: Catalog, foreign: ForeignCatalog, rules: _Rules, plan: InstrumentPlan) -> None:
        self._catalog, self._foreign, self._rules, self._plan = catalog, foreign, rules, plan
        self._parts = foreign.series()
        self._sizes = {name: sum(map(_size, paths)) for name, paths in self._parts.items()}
        self._bytes = sum(self._sizes.values())

    def check(self) -> Generator[AdoptStep, None, list[SeriesReport]]:
        """Read everything and say what would be done, series by series."""
        reports, done, rows = [], 0, 0
        for name, paths in self._parts.items():
            yield AdoptStep("Checking", name, done, self._bytes, rows)
            reports.append(self._checked(name, paths))
            done, rows = done + self._sizes[name], rows + reports[-1].read
        yield AdoptStep("Checking", "all series", self._bytes, self._bytes, rows)
        return reports

    def store(self, checked: Sequence[SeriesReport]) -> Generator[AdoptStep, None, list[SeriesReport]]:
        """Store definitions first, then the bars, series by series; one that fails does not stop the others."""
        self._plan.store(checked)
        reports, done, rows = [], 0, 0
        for before, (name, paths) in zip(checked, self._parts.items(), strict=True):
            size = self._sizes[name]
            if before.failed is not None or before.series is None:
                reports.append(before)
            else:
                try:
                    reports.append((yield from self._stored(name, paths, before, done, size, rows)))
                except MarketDataError as error:
                    if isinstance(error, DiskFull | StorageFailed):
                        raise
                    reports.append(self._failed(before, error))
            done, rows = done + size, rows + before.read
        yield AdoptStep("Storing", "all series", self._bytes, self._bytes, rows)
        return reports

    def _inspected(self, name: str, paths: Sequence[Path]) -> tuple[ForeignSeries, str | None]:
        """Look through a series at the decimals that it should have; also say what is in the way of storing it."""
        found = inspect(name, paths, (), self._rules.told)
        if found.series is None:
            return found, found.refused or ("none of its files can be read" if found.bad else None)
        wanted = [one for one in (self._catalog.precision(found.series), self._plan.precision_of(found.series.instrument_id)) if one is not None]
        if wanted and found.precision != wanted[0]:
            found = inspect(name, paths, wanted, self._rules.told)
        assert found.series is not None
        try:
            self._catalog.require_same(found.series, found.precision, self._convention(paths))
        except CatalogError as error:
            return found, str(error)
        return found, None

    def _checked(self, name: str, paths: Sequence[Path]) -> SeriesReport:
        found, failed = self._inspected(name, paths)
        report = self._described(found, name, failed, paths)
        if failed is not None or found.series is None:
            return report
        seen = Tally()
        try:
            for answer, decision in answers_of(self._catalog, found, self._rules.order, self._rules.on_conflict, seen):
                seen.add(answer, decision)
        except MarketDataError as error:  # a file of ours that cannot be read, a file of theirs that changes
            return replace(report, failed=str(error), not_written=found.kept_rows)
        finally:
            found.forget()
        return tally(report, seen, partitions_of(found.series))

    def _stored(
        self, name: str, paths: Sequence[Path], before: SeriesReport, done: int, size: int, rows: int
    ) -> Generator[AdoptStep, None, SeriesReport]:
        found, failed = self._inspected(name, paths)
        if failed is not None or found.series is None:
            return self._failed(before, CatalogError(failed or "its files have changed while they were adopted"))
        series, seen, written = found.series, Tally(), list[SessionRow]()
        provenance = Provenance(SOURCE, f"{self._foreign.root.name}: {count(len(paths), 'file')} of {name}", self._convention(paths))
        with self._catalog.writer(series, found.precision, provenance, self._rules.wait_s) as writer:
            writer.require_room_for(before.written, before.stored + before.replaced)
            for answer, decision in answers_of(self._catalog, found, self._rules.order, self._rules.on_conflict, seen):
                if (seen.dropped and self._rules.prefer is PreferFile.FAIL) or (seen.conflicts and self._rules.on_conflict is OnConflict.FAIL):
                    raise ConflictingBars("its files have changed while they were adopted, and contradict each other now. Run this again.")
                row = writer.store(answer) if decision.writes else None
                seen.add(answer, decision)
                share = min(1.0, seen.rows / max(1, found.kept_rows))
                step = AdoptStep("Storing", str(series), done + int(size * share), self._bytes, rows + seen.rows)
                if row is not None:
                    written.append(row)
                    step = replace(step, session=(series, row, decision.what))
                yield step
            moved = [f"a bad file of the catalog was moved to quarantine: {one.file.name}: {one.reason}" for one in writer.quarantined]
        found.forget()
        report = tally(self._described(found, name, None, paths), seen, partitions_of(series))
        recount = replace(report.recount, written_rows=self._rows_written(series, written))
        return replace(report, recount=recount, notes=(*report.notes, *moved))

    def _rows_written(self, series: Series, written: Sequence[SessionRow]) -> int:
        """Count the rows of the files that were written, by their footers; of a file that holds more sessions than one, by its bars."""
        folder, count = self._catalog.layout.series_folder(series), 0
        for row in written:
            rows = rows_by_footer(folder / row.file)
            count += rows if rows == row.rows else len(self._catalog.read_session(series, row.session))
        return count

    def _described(self, found: ForeignSeries, name: str, failed: str | None, paths: Sequence[Path]) -> SeriesReport:
        notes = list(found.notes)
        if found.series is not None and len(found.precisions) > 1:
            named = _decimals(list(found.precisions))
            notes.append(f"its files name different decimals ({named}); all bars have {_decimals([found.precision])} now")
        if self._rules.hours is None and found.is_regular_only and convention_of(paths[0].parent).hours == "all":
            notes.append("no bar lies outside of regular hours. To go on with regular hours of Interactive Brokers later, adopt it with --hours rth")
        return SeriesReport(
            name=name,
            series=found.series,
            failed=failed,
            files=found.files,
            price_bytes=found.price_bytes,
            precision=found.precision if found.series is not None else None,
            precisions=tuple(found.precisions),
            read=found.rows,
            bad_rows=found.bad_rows,
            not_written=found.kept_rows if failed is not None else 0,
            left_out=found.left_out,
            bad_files=tuple(BadFile(self._foreign.name_of(one.path), one.rows, one.reason) for one in found.bad),
            restamped=found.restamped,
            notes=tuple(notes),
            recount=Recount(sum(map(rows_by_footer, paths)), 0 if failed is not None else None),
        )

    def _convention(self, paths: Sequence[Path]) -> Convention:
        """Return under which convention the bars were asked for: as was said, or as a catalog of ours says beside its bars."""
        found = convention_of(paths[0].parent)
        return replace(found, hours=self._rules.hours) if self._rules.hours is not None else found

    def _failed(self, before: SeriesReport, error: Exception) -> SeriesReport:
        """Return the report of a series that could not be stored to its end; what was stored of it is counted when it is adopted again."""
        return replace(_unwritten(before), failed=f"{error} Sessions of it that were stored before stand; the same command goes on from there.")


def _decimals(precisions: Sequence[Precision]) -> str:
    return ", ".join(f"{one.price} price and {one.size} size decimals" for one in precisions)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
