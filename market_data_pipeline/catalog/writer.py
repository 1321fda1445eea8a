"""Writes sessions of one series, each whole or not at all, one writer at a time."""

from __future__ import annotations

import errno
import os
import time
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import pyarrow as pa
from filelock import FileLock, Timeout

from market_data_pipeline.catalog.bar_format import (
    bars_in,
    content_hash,
    encode_checked,
    read_content,
    refused_by_nautilus,
    sync_folder,
    to_parquet,
    to_parquet_of_sessions,
    write_atomically,
)
from market_data_pipeline.catalog.convention_file import keep_convention
from market_data_pipeline.catalog.disk import estimate, require_room
from market_data_pipeline.catalog.folder_exchange import staged
from market_data_pipeline.catalog.layout import BarFile, CatalogLayout, file_name, partitions_touched
from market_data_pipeline.catalog.ledger import UNSETTLED, Ledger, SeriesRow, SessionRow
from market_data_pipeline.catalog.readers import without_readers
from market_data_pipeline.catalog.reconcile import session_row, share_of
from market_data_pipeline.catalog.reconciled import Quarantined
from market_data_pipeline.catalog.rewriting import Rewrite, Rewriter
from market_data_pipeline.catalog.row_groups import holds_whole_sessions
from market_data_pipeline.domain.bar_table import BarTable
from market_data_pipeline.domain.coverage import Coverage, Provenance, SessionAnswer
from market_data_pipeline.domain.errors import (
    BrokenBars,
    ConflictingBars,
    CorruptFile,
    DiskFull,
    PrecisionMismatch,
    SeriesBusy,
    SeriesLocked,
    StorageFailed,
)
from market_data_pipeline.domain.quality import broken_rows
from market_data_pipeline.domain.sessions import Partitions
from market_data_pipeline.domain.source import Precision

# The ledger is brought up to date after this many sessions or this long: a transaction costs more than a file.
_SESSIONS_PER_COMMIT = 256
_SECONDS_PER_COMMIT = 1.0
# Nautilus opens a file of many sessions again and again while it reads, and ends the process where that has become another.
_SECONDS_FOR_READERS = 10.0


@contextmanager
def series_lock(layout: CatalogLayout, folder: str, wait_s: float) -> Iterator[None]:
    """Hold the lock of a series, named by its folder. It is freed by the system when its holder dies.

    Raises:
        SeriesLocked: If another process holds it for longer than `wait_s` seconds.
        StorageFailed: If the catalog cannot be written.
    """
    lock = FileLock(layout.locks / f"{folder}.lock")
    with storage_errors(f"Locking {folder} in {layout.root}"):
        layout.locks.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=wait_s, poll_interval=0.05)
        except Timeout:
            raise SeriesLocked(
                f"Another process is writing {folder} (waited {wait_s:g} s). Wait until it is done and run this again; nothing was changed."
            ) from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def storage_errors(what: str) -> Iterator[None]:
    """Turn what the file system refuses into an error for a person."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(f"{what}: the disk is full. What was stored before stays whole. Free some room and run this again.") from error
        raise StorageFailed(f"{what}: {error.strerror or error}. What was stored before stays whole.") from error


class SeriesWriter:
    """Stores sessions of one series. Made by `Catalog.writer`, which holds the lock and brings ledger and files together first.

    Files are put in place session by session; the ledger follows in batches and when the writer closes. From the first session
    on the ledger says that the series is being written, so if the process dies, whoever asks next looks at the files.

    Attributes:
        quarantined: Bad files that were found and moved away when the writer was opened.
    """

    def __init__(
        self,
        layout: CatalogLayout,
        ledger: Ledger,
        row: SeriesRow,
        partitions: Partitions,
        provenance: Provenance,
        quarantined: tuple[Quarantined, ...] = (),
    ) -> None:
        self._layout, self._ledger, self._row, self._partitions, self._provenance = layout, ledger, row, partitions, provenance
        self.quarantined = quarantined
        self._folder = layout.series_folder(row.series)
        self._pending: list[SessionRow] = []
        self._committed_at = time.monotonic()
        self._is_unsettled = False
        self._is_torn = self._was_taken_apart = False
        self._files = layout.list_folder(self._folder).files  # by start; what one has stands, so they do not overlap

    @property
    def precision(self) -> Precision:
        """Decimals of the stored series."""
        return self._row.precision

    def store(self, answer: SessionAnswer) -> SessionRow:
        """Put a session in place of whatever is stored for it.

        Raises:
            PrecisionMismatch: If the bars have other decimals than the series.
            BrokenBars: If a bar lies outside the session's window, twice in it, or breaks a rule that every stored bar obeys.
            ConflictingBars: If the session lies in files that it cannot be taken out of.
            SeriesBusy: If the session lies in the file of a month that a backtest reads.
            DiskFull, StorageFailed: If the file system refuses; the session stays as it was.
        """
        position = self._check(answer)
        after, until = int(self._partitions.starts[position]), int(self._partitions.ends[position])
        was_torn = self._is_torn
        with storage_errors(f"Storing {self._row.series} {answer.session}"):
            self._begin()
            file, in_file, file_hash = self._put(answer, after, until)
        sessions = partitions_touched(file, self._partitions)
        row = session_row(
            self._partitions,
            position,
            answer.bars,
            answer.coverage,
            answer.quality,
            source=self._provenance.source,
            asked=answer.asked or self._provenance.asked,
            file=file,
            file_hash=file_hash,
            size=share_of(file.size, len(answer.bars), in_file, len(sessions)),
        )
        self._pending.append(row)
        # Not before: an interrupt leaves a file that no row speaks of. And of a file of several sessions, other rows name what it was.
        self._is_torn = was_torn or self._was_taken_apart or in_file != len(answer.bars) or len(sessions) > 1
        if len(self._pending) >= _SESSIONS_PER_COMMIT or time.monotonic() - self._committed_at > _SECONDS_PER_COMMIT:
            self._commit(UNSETTLED)
        return row

    def close(self) -> None:
        """Bring the ledger into agreement with the folder."""
        if not self._is_unsettled:
            return
        # A session that was interrupted may lie under a name that says too little: then the next to ask looks at the files.
        self._commit(UNSETTLED if self._is_torn else self._layout.settled_mtime_ns(self._row.series))
        self._is_unsettled = False

    def require_room_for(self, bars: int, sessions: int) -> None:
        """Make sure the disk has room for what is about to be stored.

        Raises:
            DiskFull: If not.
        """
        require_room(self._folder, estimate(bars, sessions), f"Storing {sessions:,} session{'s' if sessions > 1 else ''} of {self._row.series}")

    def _begin(self) -> None:
        if self._is_torn:
            self._files = self._layout.list_folder(self._folder).files
        self._is_torn = True
        if self._is_unsettled:
            return
        self._ledger.unsettle(self._row.id)
        self._is_unsettled = True
        if not self._folder.is_dir():
            self._folder.mkdir(parents=True, exist_ok=True)
            sync_folder(self._folder.parent)
        keep_convention(self._folder, self._row.convention)

    def _commit(self, folder_mtime_ns: int) -> None:
        with storage_errors(f"Storing {self._row.series}"):
            sync_folder(self._folder)
        # The newest row of a day wins: a session may be stored twice in one batch.
        rows = list({row.day: row for row in self._pending}.values())
        self._ledger.record(self._row.id, rows, folder_mtime_ns)
        self._pending.clear()
        self._committed_at = time.monotonic()

    def _check(self, answer: SessionAnswer) -> int:
        after, until = self._partitions.window(answer.session)
        position = self._partitions.index_of(answer.session)
        assert position is not None  # it has a window
        bars, precision = answer.bars, self._row.precision
        if (bars.price_precision, bars.size_precision) != (precision.price, precision.size):
            raise PrecisionMismatch(
                f"{self._row.series} is stored with {precision.price} price and {precision.size} size decimals; "
                f"these bars have {bars.price_precision} and {bars.size_precision}. Nautilus reads one precision a series."
            )
        problems = [rule for rule, broken in broken_rows(bars).items() if broken.any()]
        if (reason := refused_by_nautilus(bars)) is not None:
            problems.append(reason)
        if not bars.is_ordered():
            problems.append("rows out of order, or one bar twice")
        if len(bars) and not (after < bars.ts_init[0] and bars.ts_init[-1] <= until):
            problems.append("bars outside the session's window")
        if answer.coverage is Coverage.MISSING or (len(bars) > 0) is (answer.coverage is Coverage.EMPTY):
            problems.append(f"{len(bars)} bars called {answer.coverage}")
        if problems:
            raise BrokenBars(f"{self._row.series} {answer.session} was not stored: {'; '.join(problems)}.")
        return position

    def _put(self, answer: SessionAnswer, after: int, until: int) -> tuple[BarFile, int, str]:
        """Write the file; return it, the number of bars in it, and the hash of its bytes."""
        start, end = after + 1, until
        if answer.coverage is Coverage.PARTIAL:
            end = min(int(answer.bars.ts_init[-1]), until - 1)  # the last nanosecond would call it whole
        first = bisect_left(self._files, start, key=lambda file: file.end)
        stop = bisect_right(self._files, until, key=lambda file: file.start)
        inside = self._files[first:stop]
        if not any(file.start < start or file.end > until for file in inside):
            return self._put_bars(slice(first, stop), (start, end), answer.bars, to_parquet(encode_checked(answer.bars, self._row.series)))
        wide = self._refuse_several(inside, answer)
        stored, is_compacted = self._read_wide(wide)
        if not is_compacted:
            bars, start, end = self._merged(wide, stored, answer, start, end, until)
            return self._put_bars(slice(first, stop), (start, end), bars, to_parquet(encode_checked(bars, self._row.series)))
        with without_readers(self._layout, self._folder.name, _SECONDS_FOR_READERS) as nobody:
            if not nobody:
                raise SeriesBusy(
                    f"{self._row.series} {answer.session} lies in {wide.name}, which a backtest is reading (waited {_SECONDS_FOR_READERS:g} s): it "
                    "must not change under it. The session stays as it was. Run this again when the backtest is done."
                )
            if answer.coverage is not Coverage.PARTIAL:
                bars, start, end = self._merged(wide, stored, answer, start, end, until)
                content = to_parquet_of_sessions(bars, self._row.series, self._partitions)
                return self._put_bars(slice(first, stop), (start, end), bars, content)
            self._take_apart(wide)
        return self._put(answer, after, until)

    def _put_bars(self, place: slice, claimed: tuple[int, int], bars: BarTable, content: pa.Buffer) -> tuple[BarFile, int, str]:
        stat = self._replace(self._files[place], claimed, content)
        put = BarFile(self._folder / file_name(*claimed), *claimed, stat.st_size, stat.st_mtime_ns)
        self._files[place] = [put]
        return put, len(bars), content_hash(content)

    def _replace(self, old: Sequence[BarFile], claimed: tuple[int, int], content: pa.Buffer) -> os.stat_result:
        """Put a file in place of others.

        No name ever claims more than its file holds, and but for an instant one whole file alone speaks of the session: the content goes
        over the old file while that has a name that is true of both.
        """
        target = self._folder / file_name(*claimed)
        if not old:
            return write_atomically(self._folder, target.name, content)
        both = max(claimed[0], old[0].start), min(claimed[1], old[0].end)
        if both[0] > both[1]:  # parts of the session that have nothing in common
            stat = write_atomically(self._folder, target.name, content)
            over = None
        else:
            over = self._folder / file_name(*both)
            if over != old[0].path:
                os.replace(old[0].path, over)
            stat = write_atomically(self._folder, over.name, content)
        for file in old if over is None else old[1:]:
            file.path.unlink(missing_ok=True)
        if over is not None and over != target:
            os.replace(over, target)
        return stat

    def _refuse_several(self, inside: Sequence[BarFile], answer: SessionAnswer) -> BarFile:
        """Return the one file that covers more than a session."""
        if len(inside) == 1:
            return inside[0]
        names = ", ".join(file.name for file in inside)
        raise ConflictingBars(
            f"{self._row.series} {answer.session} lies in {names}, which cover more than this session, so it cannot take its place there. "
            "Nothing was changed. Import into another catalog with --catalog PATH."
        )

    def _read_wide(self, file: BarFile) -> tuple[BarTable, bool]:
        """Return the bars of a file of several sessions, and whether a compaction wrote it."""
        try:
            content = read_content(file.path)
            return bars_in(content, file.path, self._row.series, self._row.precision), holds_whole_sessions(content)
        except CorruptFile as error:
            raise CorruptFile(f"{error}. Run `mdp catalog verify`: it moves bad files to quarantine and says what to load again.") from None

    def _merged(self, file: BarFile, stored: BarTable, answer: SessionAnswer, start: int, end: int, until: int) -> tuple[BarTable, int, int]:
        """Return the bars and the claim of a file that covers more than this session, with the session's bars in it."""
        if answer.coverage is Coverage.PARTIAL and file.end > until:
            raise ConflictingBars(
                f"{self._row.series} {answer.session} lies in {file.name}, which cover more than this session, so "
                "only a complete session can take its place there. Nothing was changed. Import into another catalog with --catalog PATH."
            )
        first, stop = np.searchsorted(stored.ts_init, [start - 1, until], side="right")
        merged = BarTable.concatenate([stored.slice(0, int(first)), answer.bars, stored.slice(int(stop), len(stored))])
        if not merged.is_ordered():
            raise BrokenBars(f"{self._row.series} {answer.session} was not stored: its bars open before those of the session before have closed.")
        return merged, min(start, file.start), end if file.end <= until else file.end

    def _take_apart(self, file: BarFile) -> None:
        """Give each session of a file that a compaction wrote a file of its own: a session in part has no place among whole ones."""
        ranges = tuple(range(i, i + 1) for i in partitions_touched(file, self._partitions))
        with staged(self._layout, self._folder) as stage:
            # The rows of its sessions follow when the ledger looks at the files, which it does: it is torn.
            Rewriter(self._row, self._partitions, {}).write(Rewrite((file,), ranges), stage)
            stage.switch({file.name})
        self._was_taken_apart = True
        self._files = self._layout.list_folder(self._folder).files
