"""The inbox: complete files are imported, good ones go to done/, bad ones to rejected/ with a report beside them.

What stops at any moment goes on where it was: importing again changes nothing, moving is one step, and a content is noted in the journal before its
file is moved.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from market_data_pipeline.calendars import calendar_name_of_venue
from market_data_pipeline.catalog import Catalog
from market_data_pipeline.catalog.instrument_definitions import InstrumentDefinitions
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.errors import DiskFull, MarketDataError, SeriesLocked, SourceError, StorageFailed
from market_data_pipeline.domain.words import agreeing, count
from market_data_pipeline.ingest.import_csv import Imported, ImportReport, OnConflict, Prefer, Run, import_csv
from market_data_pipeline.ingest.inbox_journal import InboxJournal, content_of, identity_of
from market_data_pipeline.ingest.inbox_look import DONE, REJECTED
from market_data_pipeline.ingest.inbox_report import SUFFIX, report_text
from market_data_pipeline.ingest.inbox_rules import InboxRules, Meaning, meaning_of, sidecar_of
from market_data_pipeline.ingest.instruments import stored_or_defined
from market_data_pipeline.sources.csv import CsvLayout, CsvSource, layout_from_mapping, read_layout
from market_data_pipeline.sources.csv.layout import Prices

LOCK = ".inbox.lock"
# A file on which the process dies each time must not be tried for ever.
_MOST_KILLED = 3
_WAIT_S = 60.0


@dataclass(frozen=True)
class Inbox:
    """An inbox, and what is needed to understand its files.

    Attributes:
        folder: The folder.
        rules: What its files hold.
        definitions: Reads the definitions of instruments that are not stored yet.
        ids: Instrument ids that are known.
        project: The folder that layout files are relative to.
    """

    folder: Path
    rules: InboxRules
    definitions: Callable[[], InstrumentDefinitions | None]
    ids: tuple[str, ...]
    project: Path


@dataclass(frozen=True)
class FileDone:
    """How a file ended: `imported`, `imported before`, `rejected` or `left` (it is tried again), or `would be imported` on a dry run.

    Attributes:
        name: The file's name.
        what: How it ended.
        series: What it holds; None where nothing says so.
        report: What the import did.
        error: Why it was rejected or left.
        moved_to: Where it lies now; None where it lies still.
    """

    name: str
    what: str
    series: Series | None = None
    report: ImportReport | None = None
    error: MarketDataError | None = None
    moved_to: Path | None = None

    @property
    def rejected(self) -> bool:
        """True where a person has to do something."""
        return self.what == "rejected"


InboxEvent = tuple[Series, Imported] | FileDone


def take_in(catalog: Catalog, inbox: Inbox, names: Sequence[str], run: Run = Run.STORE) -> Iterator[InboxEvent]:
    """Import files of the inbox, one after the other, telling each session and each file as it is dealt with.

    Args:
        catalog: Where to store.
        inbox: The inbox.
        names: Names of complete files; one that has gone is passed over.
        run: Store and move, or only tell.

    Raises:
        SeriesLocked: If another process is at this inbox.
        StorageFailed: If a file cannot be moved or the journal not be written.
    """
    if run is Run.DRY:
        for name in names:
            if (inbox.folder / name).is_file():
                yield from _One(catalog, inbox, inbox.folder / name).would_do()
        return
    with _alone(inbox.folder):
        for name in names:
            if (inbox.folder / name).is_file():
                yield from _One(catalog, inbox, inbox.folder / name).do()


def refuse_rejected(done: Sequence[FileDone]) -> None:
    """Fail where a file was rejected: a person has to look.

    Raises:
        SourceError: With names, reasons and where the reports are.
    """
    rejected = [one for one in done if one.rejected]
    if rejected:
        first = [f"{one.name}: {str(one.error).splitlines()[0]}" for one in rejected[:3]]
        where = rejected[0].moved_to
        raise SourceError(
            f"{len(rejected)} of {count(len(done), 'file')} of the inbox {agreeing(len(rejected), 'was', 'were')} rejected; the others "
            f"are dealt with. {' '.join(first)} "
            f"The report beside each in {where.parent if where else REJECTED} says what mends it."
        )


class _One:
    """One file under way."""

    def __init__(self, catalog: Catalog, inbox: Inbox, file: Path) -> None:
        self._catalog, self._inbox, self._file = catalog, inbox, file
        self._journal = InboxJournal(inbox.folder)
        self._meaning: Meaning | None = None

    def would_do(self) -> Iterator[InboxEvent]:
        """Read and check the file, and tell; nothing is stored, moved or noted."""
        try:
            meaning = self._understood()
            report = yield from self._import(meaning, Run.DRY)
            yield FileDone(self._file.name, "would be imported", meaning.series, report)
        except MarketDataError as error:
            what = "left" if _may_pass(error) else "rejected"
            yield FileDone(self._file.name, what, self._series, error=error)

    def do(self) -> Iterator[InboxEvent]:
        """Import the file and move it."""
        identity = identity_of(self._file)
        before = self._journal.begin(identity)
        try:
            if before.killed >= _MOST_KILLED:
                raise SourceError(f"{before.killed} processes died over {self._file.name}: it may need more memory than there is. Split it.")
            meaning = self._understood()
            content = content_of(self._file)
            known = self._journal.imported(content, meaning.series)
            report = None
            if known is None:
                report = yield from self._import(meaning, Run.STORE)
                self._journal.note_imported(content, meaning.series, self._file.name)
            moved_to = self._move_to(DONE)
        except (KeyboardInterrupt, GeneratorExit):
            self._journal.left(identity, "it was stopped")
            raise
        except MarketDataError as error:
            if _may_pass(error):
                self._journal.left(identity, str(error).splitlines()[0])
                yield FileDone(self._file.name, "left", self._series, error=error)
                return
            moved_to = self._reject(error)
            self._journal.done(identity)
            yield FileDone(self._file.name, "rejected", self._series, error=error, moved_to=moved_to)
            return
        self._journal.done(identity)
        yield FileDone(self._file.name, "imported" if known is None else "imported before", meaning.series, report, moved_to=moved_to)

    @property
    def _series(self) -> Series | None:
        return None if self._meaning is None else self._meaning.series

    def _understood(self) -> Meaning:
        self._meaning = meaning_of(self._file, self._inbox.rules, self._inbox.ids)
        calendar_name_of_venue(self._meaning.series.venue)
        return self._meaning

    def _import(self, meaning: Meaning, run: Run) -> Generator[InboxEvent, None, ImportReport]:
        how, series = meaning.how, meaning.series
        if run is Run.DRY and self._catalog.instruments.definition(series.instrument_id) is None:
            from market_data_pipeline.catalog.instrument_definitions import define
            from market_data_pipeline.domain.source import Precision

            instrument = define(series.instrument_id, self._inbox.definitions())
            precision = Precision(instrument.price_precision, instrument.size_precision)
        else:
            precision = stored_or_defined(self._catalog, series.instrument_id, self._inbox.definitions)
        with CsvSource(
            [self._file],
            _layout(how.layout, self._inbox.project),
            time_zone=how.time_zone,
            stamp=how.stamp,
            delimiter=how.delimiter,
            time_form=how.time_form,
            symbol=how.symbol,
            prices=Prices.ADJUSTED if how.adjusted else Prices.AS_WRITTEN,
            skip_bad_rows=how.skip_bad_rows,
            rejects_dir=self._inbox.folder / REJECTED,
            accept_holes=how.accept_holes,
            spool_dir=self._catalog.layout.spool if run is Run.STORE else None,
        ) as source:
            conflict, prefer = OnConflict(how.on_conflict), Prefer(how.prefer) if how.prefer else None
            steps = import_csv(self._catalog, source, series, precision, on_conflict=conflict, prefer=prefer, run=run, wait_s=_WAIT_S)
            try:
                while True:
                    yield series, next(steps)
            except StopIteration as end:
                report: ImportReport = end.value
                return report
            finally:
                steps.close()

    def _reject(self, error: MarketDataError) -> Path:
        target = _free(self._inbox.folder / REJECTED, self._file.name)
        with _moving(target):
            target.parent.mkdir(exist_ok=True)
            # First the report: a file that lies there has one.
            text = report_text(target, self._inbox.folder, self._meaning, error, self._catalog.root)
            target.with_name(target.name + SUFFIX).write_text(text, encoding="utf-8")
        return self._move_to(REJECTED, target)

    def _move_to(self, name: str, target: Path | None = None) -> Path:
        target = target or _free(self._inbox.folder / name, self._file.name)
        with _moving(target):
            target.parent.mkdir(exist_ok=True)
            sidecar = sidecar_of(self._file)
            os.replace(self._file, target)
            # Last: a file without its sidecar could not be understood again.
            if sidecar.is_file():
                os.replace(sidecar, sidecar_of(target))
        return target


def _free(folder: Path, name: str) -> Path:
    """Return a path in a folder that nothing lies at: today's date before the name if need be, and a number."""
    today = f"{dt.datetime.now(dt.UTC):%Y-%m-%d}"
    candidates = (folder / name, *(folder / f"{today}{f'-{number}' if number else ''}-{name}" for number in range(10_000)))
    return next(path for path in candidates if not path.exists())


def _may_pass(error: MarketDataError) -> bool:
    """Return whether waiting helps: another process writes the series, the disk is full. The file is not to blame."""
    return error.retryable or isinstance(error, DiskFull | StorageFailed)


def _layout(layout: object, project: Path) -> CsvLayout | None:
    if layout is None:
        return None
    if isinstance(layout, str):
        return read_layout(str(project / layout) if layout.endswith((".yaml", ".yml")) else layout)
    assert isinstance(layout, dict)
    return layout_from_mapping(layout)


@contextmanager
def _moving(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageFailed(f"{target} cannot be written: {error.strerror or error}. The file stays in the inbox.") from error


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise SeriesLocked(f"Another process is importing the files of {folder}. Wait until it is done.") from None
    except OSError as error:
        raise StorageFailed(f"{folder} cannot be written: {error.strerror or error}.") from error
    try:
        yield
    finally:
        lock.release()
