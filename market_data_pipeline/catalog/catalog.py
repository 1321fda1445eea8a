"""The one door to a Parquet catalog. Cheap to open; what is heavy is imported where it is needed."""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from market_data_pipeline.calendars import partitions_of
from market_data_pipeline.calendars.endings import over_at
from market_data_pipeline.catalog.availability import Availability, availability_of, codes_of, coverage_of_code, gaps_between
from market_data_pipeline.catalog.layout import CatalogLayout
from market_data_pipeline.catalog.ledger import Ledger, SeriesRow, SessionRow
from market_data_pipeline.catalog.ledger_database import place_of_ledger
from market_data_pipeline.catalog.orphaned import require_sessions
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.coverage import Convention, Coverage, Provenance
from market_data_pipeline.domain.errors import ConflictingBars, MarketDataError, PrecisionMismatch, SeriesLocked
from market_data_pipeline.domain.sessions import SessionRange
from market_data_pipeline.domain.source import Precision

if TYPE_CHECKING:
    import pyarrow as pa
    from nautilus_trader.model.data import Bar

    from market_data_pipeline.catalog.instruments import InstrumentStore
    from market_data_pipeline.catalog.reconcile import BadFiles, Scope
    from market_data_pipeline.catalog.reconciled import Reconciled
    from market_data_pipeline.catalog.verify import VerifyReport
    from market_data_pipeline.catalog.writer import SeriesWriter
    from market_data_pipeline.domain.bar_table import BarTable

logger = logging.getLogger(__name__)


class Catalog:
    """A Parquet catalog with its ledger and instruments.

    Reading changes no file but the ledger; where the folder does not exist, or cannot be written, not even that.

    Attributes:
        root: The catalog's folder, readable by any Nautilus tool.
        layout: Where things lie in it.
        ledger: The index.
    """

    def __init__(self, root: Path, ledger_url: str | None = None) -> None:
        self.root = root
        self.layout = CatalogLayout(root)
        self._ledger_url = ledger_url

    @classmethod
    def open(cls, root: Path | str, ledger_url: str | None = None) -> Catalog:
        """Open a catalog; folders and ledger are made when something is stored or asked for.

        Args:
            root: Its folder; need not exist.
            ledger_url: SQLAlchemy URL of the ledger; by default what the folder's file `ledger.url` names, or a SQLite file in the folder.
        """
        return cls(Path(root).absolute(), ledger_url)

    @cached_property
    def ledger(self) -> Ledger:
        """The ledger, connected on first use."""
        return Ledger(self._ledger_url or place_of_ledger(self.root))

    @cached_property
    def instruments(self) -> InstrumentStore:
        """The instrument definitions."""
        from market_data_pipeline.catalog.instruments import InstrumentStore

        return InstrumentStore(self.root)

    # What is stored

    def series(self) -> list[Series]:
        """Return all series of which something is stored, sorted by bar type."""
        return sorted(row.series for row in self._rows())

    def known_series(self) -> list[Series]:
        """Return all series that the ledger or a file speaks of, sorted; the ledger stays as it is, so a verification finds what it said."""
        rows = self._known_rows().values()
        return sorted(row.series for row in rows if _if_stored(row) or self.layout.list_folder(self.layout.series_folder(row.series)).files)

    def availability(self, series: Series) -> Availability | None:
        """Return the availability of a series, or None if nothing of it is stored."""
        row = self._row(series)
        return None if row is None else availability_of(row, partitions_of(series))

    def availabilities(self) -> list[Availability]:
        """Return the availability of all series, sorted by bar type."""
        return [availability_of(row, partitions_of(row.series)) for row in self._rows()]

    def coverage(self, series: Series, start: dt.date, end: dt.date) -> dict[dt.date, Coverage]:
        """Return the coverage of each session of the calendar dated in [start, end], oldest first."""
        partitions = partitions_of(series)
        positions = partitions.positions_between(start, end)
        dates = partitions.dates_between(start, end)
        row = self._row(series)
        if row is None:
            return dict.fromkeys(dates, Coverage.MISSING)
        return dict(zip(dates, map(coverage_of_code, codes_of(row, partitions, positions)), strict=True))

    def gaps(self, series: Series, start: dt.date, end: dt.date, now_ns: int | None = None, hours: str | None = None) -> tuple[SessionRange, ...]:
        """Return the sessions dated in [start, end] that are over and neither complete nor empty, as ranges, oldest first.

        Args:
            series: The series; need not be stored.
            start: First date.
            end: Last date, inclusive.
            now_ns: What counts as now, UTC nanoseconds; by default the clock.
            hours: Which hours are wanted, `rth` or `all`: a session is over with them. None is as stored, else all.
        """
        partitions, row = partitions_of(series), self._row(series)
        stored = row.convention.hours if row is not None and row.first_day is not None else "all"
        over = over_at(partitions, hours or stored, time.time_ns() if now_ns is None else now_ns)
        positions = partitions.positions_between(start, end)
        return gaps_between(row, partitions, range(positions.start, max(positions.start, min(positions.stop, over))))

    def sessions(self, series: Series, start: dt.date | None = None, end: dt.date | None = None) -> list[SessionRow]:
        """Return the stored sessions dated in [start, end], oldest first."""
        row = self._row(series)
        return [] if row is None else self.ledger.sessions(row.id, start, end)

    def contents(self, series: Series, start: dt.date | None = None, end: dt.date | None = None) -> list[tuple[int, str, int, str]]:
        """Return day number, coverage, number of bars and fingerprint of the stored sessions dated in [start, end], oldest first.

        What tells two states of many sessions apart, several times faster than `sessions`.
        """
        row = self._row(series)
        return [] if row is None else self.ledger.contents(row.id, start, end)

    def precision(self, series: Series) -> Precision | None:
        """Return the decimals of a stored series, or None if nothing of it is stored."""
        row = self._row(series)
        return None if row is None else row.precision

    def convention(self, series: Series) -> Convention | None:
        """Return under which convention a stored series was asked for, or None if nothing of it is stored."""
        row = self._row(series)
        return None if row is None or row.first_day is None else row.convention

    # Reading bars

    def read(
        self, series: Series, start: dt.date | None = None, end: dt.date | None = None, precision: Precision | None = None
    ) -> Iterator[BarTable]:
        """Yield the bars of sessions dated in [start, end] in order, one table a file, each checked before it is used.

        Args:
            series: The series.
            start: First date; None is the first that is stored.
            end: Last date, inclusive; None is the last that is stored.
            precision: Its decimals, from whoever stores it right now: the ledger learns them when the first load of a series ends.

        Raises:
            CorruptFile: At the first file that cannot be trusted.
        """
        from market_data_pipeline.catalog.reading import closes_of, read_files

        known = precision or self.precision(series)
        if known is None:
            return
        partitions = partitions_of(series)
        yield from read_files(self.layout, series, known, partitions, *closes_of(partitions, start, end))

    def read_session(self, series: Series, session: dt.date, precision: Precision | None = None) -> BarTable:
        """Return one session's bars, as `read` does; none if it is empty or missing."""
        from market_data_pipeline.domain.bar_table import BarTable

        known = precision or self.precision(series) or Precision(0, 0)
        return BarTable.concatenate([*self.read(series, session, session, precision)] or [BarTable.empty(known.price, known.size)])

    def arrow(self, series: Series, start: dt.date | None = None, end: dt.date | None = None) -> Iterator[pa.RecordBatch]:
        """Yield record batches for analysis, one a file: UTC time stamps and exact decimals."""
        from market_data_pipeline.catalog.reading import to_arrow

        yield from map(to_arrow, self.read(series, start, end))

    def bars(self, series: Series, start: dt.date | None = None, end: dt.date | None = None, chunk: int = 100_000) -> Iterator[list[Bar]]:
        """Yield Nautilus bars in order, in lists of about `chunk`."""
        from market_data_pipeline.catalog.reading import to_nautilus
        from market_data_pipeline.domain.bar_table import BarTable

        waiting: list[BarTable] = []
        count = 0
        for table in self.read(series, start, end):
            waiting.append(table)
            count += len(table)
            if count >= chunk:
                yield to_nautilus(BarTable.concatenate(waiting), series)
                waiting, count = [], 0
        if waiting:
            yield to_nautilus(BarTable.concatenate(waiting), series)

    # Writing bars

    @contextmanager
    def writer(self, series: Series, precision: Precision, provenance: Provenance, wait_s: float = 10.0) -> Iterator[SeriesWriter]:
        """Hold the series' lock and store sessions of it.

        Ledger and files are brought together first; bad files are moved to quarantine.

        Raises:
            SeriesLocked: If another process writes the series for longer than `wait_s` seconds.
            PrecisionMismatch: If the series is stored with other decimals.
            ConflictingBars: If it is stored under another convention, or its folder belongs to another instrument id.
        """
        from market_data_pipeline.catalog.reconcile import BadFiles, Scope
        from market_data_pipeline.catalog.writer import SeriesWriter, series_lock

        self.require_same(series, precision, provenance.convention)
        with series_lock(self.layout, series.folder, wait_s):
            self.require_same(series, precision, provenance.convention)  # again: another process may have written meanwhile
            row = self.ledger.define(series, precision, provenance.convention)
            done = self._reconcile(row, Scope.CHANGED, BadFiles.QUARANTINE)
            writer = SeriesWriter(self.layout, self.ledger, row, partitions_of(series), provenance, done.quarantined)
            try:
                yield writer
            except BaseException:
                with suppress(MarketDataError):  # the first error says why; the ledger knows that it is behind
                    writer.close()
                raise
            writer.close()

    @contextmanager
    def held(self, series: Series, wait_s: float = 10.0) -> Iterator[SeriesRow | None]:
        """Hold the series' lock, after ledger and files are brought together as `writer` does; lends None if nothing of it is stored.

        Raises:
            SeriesLocked: If another process writes the series for longer than `wait_s` seconds.
        """
        from market_data_pipeline.catalog.reconcile import BadFiles, Scope
        from market_data_pipeline.catalog.writer import series_lock

        row = self._find(series)
        if row is None:
            yield None
            return
        with series_lock(self.layout, series.folder, wait_s):
            self._reconcile(row, Scope.CHANGED, BadFiles.QUARANTINE)
            row = self.ledger.find(series)
            yield None if row is None else _if_stored(row)

    @contextmanager
    def reading(self, *series: Series) -> Iterator[None]:
        """Keep compactions away from these series while Nautilus itself reads them: it ends the process where a file that it has listed is gone."""
        from market_data_pipeline.catalog.readers import reading

        with reading(self.layout, [one.folder for one in series]):
            yield

    def require_same(self, series: Series, precision: Precision, convention: Convention) -> None:
        """Make sure that bars of this precision and convention may be stored beside what is stored.

        Raises:
            PrecisionMismatch: If the series is stored with other decimals.
            ConflictingBars: If it is stored under another convention, its folder belongs to another instrument id, or it holds the
                8-byte prices of an older Nautilus.
        """
        from market_data_pipeline.catalog.bar_format import holds_legacy_prices

        if not self._exists():
            return
        folder = self.layout.series_folder(series)
        row = self._known(folder, self.ledger.find(series))
        row = None if row is None else _if_stored(self._current(row))
        if row is None:
            return
        if row.series != series:
            raise ConflictingBars(
                f"{series} and the stored {row.series} have one folder name in a Nautilus catalog ({series.folder}). "
                f"Use the stored id {row.series.instrument_id}."
            )
        if row.first_day is not None:
            _require_same(row, precision, convention)
        elif holds_legacy_prices(file.path for file in self.layout.list_folder(folder).files):
            raise ConflictingBars(
                f"{folder} holds 8-byte prices of an older Nautilus, which cannot stand beside new ones. Nothing was changed. "
                "Import into another catalog with --catalog PATH."
            )

    def verify(
        self,
        series: Sequence[Series] | None = None,
        progress: Callable[[Series, int, int], None] | None = None,
        bad_files: BadFiles | None = None,
    ) -> VerifyReport:
        """Read every file, move bad ones to quarantine, and make the ledger agree with what stands.

        Args:
            series: Which series; None is all.
            progress: Called with the series about to be read, its number from 0, and how many there are.
            bad_files: `BadFiles.LEAVE` only reports them; None moves them.
        """
        from market_data_pipeline.catalog.reconcile import BadFiles
        from market_data_pipeline.catalog.verify import verify_catalog

        return verify_catalog(self, series, progress, bad_files or BadFiles.QUARANTINE)

    # The ledger and the files

    def catch_up(self, series: Series) -> tuple[dt.date, ...]:
        """Make the ledger agree with what changed in a series' folder; return the sessions that are gone since, for somebody removed their files."""
        row = self._find(series)
        return () if row is None or self._agrees(row) else self._catch_up(row)

    def reconcile(self, series: Series, scope: Scope, bad_files: BadFiles, wait_s: float = 10.0) -> Reconciled | None:
        """Make the ledger agree with a series' files; None if nothing of the series is stored.

        Raises:
            SeriesLocked: If another process writes the series.
            StorageFailed: If a file cannot be read or moved.
        """
        from market_data_pipeline.catalog.writer import series_lock

        row = self._find(series)
        if row is None:
            return None
        with nullcontext() if self.ledger.is_copy else series_lock(self.layout, series.folder, wait_s):
            return self._reconcile(row, scope, bad_files)

    def _reconcile(self, row: SeriesRow, scope: Scope, bad_files: BadFiles) -> Reconciled:
        from market_data_pipeline.catalog.reconcile import Reconciliation
        from market_data_pipeline.catalog.writer import storage_errors

        # Read again under the lock: another process may have been first.
        row = self.ledger.find(row.series) or row
        with storage_errors(f"Checking {row.series}"):
            return Reconciliation(self.layout, self.ledger, row, partitions_of(row.series), scope=scope, bad_files=bad_files).run()

    def _row(self, series: Series) -> SeriesRow | None:
        row = self._find(series)
        return None if row is None else require_sessions(_if_stored(self._current(row)))

    def _rows(self) -> list[SeriesRow]:
        known = self._known_rows()
        rows = [require_sessions(_if_stored(self._current(known[name]))) for name in sorted(known)]
        return [row for row in rows if row is not None]

    def _known_rows(self) -> dict[str, SeriesRow]:
        if not self._exists():
            return {}
        known = {row.series.folder: row for row in self.ledger.all_series()}
        for folder in self.layout.series_folders():
            if folder.name not in known and (found := self._known(folder, None)) is not None:
                known[folder.name] = found
        return known

    def _find(self, series: Series) -> SeriesRow | None:
        if not self._exists():
            return None
        row = self._known(self.layout.series_folder(series), self.ledger.find(series))
        return row if row is not None and row.series == series else None

    def _exists(self) -> bool:
        """Return whether there is anything to ask the ledger about: asking it makes its file."""
        return self.layout.bars.is_dir()

    def _known(self, folder: Path, row: SeriesRow | None) -> SeriesRow | None:
        """Return the row of a folder: the ledger's, or a new one after what the first readable file of the folder says."""
        row = row or self.ledger.find_folder(folder.name)
        if row is not None and row.first_day is not None:
            return row
        from market_data_pipeline.catalog.bar_format import described_by
        from market_data_pipeline.catalog.convention_file import convention_of

        for file in self.layout.list_folder(folder).files:
            description = described_by(file.path)
            if description is not None and description[0].folder == folder.name:
                return self.ledger.define(*description, convention_of(folder))
        return row

    def _current(self, row: SeriesRow) -> SeriesRow:
        """Return the row after making sure that it agrees with the folder; one `stat` where nothing changed. Sessions that are gone are logged."""
        if self._agrees(row):
            return row
        if gone := self._catch_up(row):
            from market_data_pipeline.catalog.reconciled import gone_words

            logger.warning("%s: %s. See what fills them: mdp check %s", row.series, gone_words(gone), row.series.instrument_id)
        return self.ledger.find(row.series) or row

    def _agrees(self, row: SeriesRow) -> bool:
        return self.layout.folder_mtime_ns(row.series) == row.folder_mtime_ns

    def _catch_up(self, row: SeriesRow) -> tuple[dt.date, ...]:
        from market_data_pipeline.catalog.reconcile import BadFiles, Scope

        # Where another process writes the series, it brings the ledger up to date; until then the ledger says what was whole before.
        with suppress(SeriesLocked):
            done = self.reconcile(row.series, Scope.CHANGED, BadFiles.LEAVE, wait_s=0)
            return () if done is None else done.gone
        return ()


def _if_stored(row: SeriesRow) -> SeriesRow | None:
    """Return the row if files stand behind it: what a ledger keeps of a series that was never stored, or is gone, is no answer."""
    return row if row.first_day is not None or row.bad_files else None


def _require_same(row: SeriesRow, precision: Precision, convention: Convention) -> None:
    if row.precision != precision:
        raise PrecisionMismatch(
            f"{row.series} is stored with {row.precision.price} price and {row.precision.size} size decimals; the instrument now has "
            f"{precision.price} and {precision.size}. Nautilus reads one precision a series. Give the instrument the stored decimals, "
            "or import into another catalog with --catalog PATH."
        )
    if row.convention != convention:
        raise ConflictingBars(
            f"{row.series} is stored as {row.convention.adjustment} prices of {row.convention.hours} hours; these are "
            f"{convention.adjustment} prices of {convention.hours} hours. They are never mixed: use another catalog with --catalog PATH."
        )
