"""Brings the ledger of a series into agreement with its files. Files are the truth."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

from market_data_pipeline.calendars import published_calendar_of_venue
from market_data_pipeline.catalog.bar_format import bars_in, clear_leftovers, content_hash, read_content, write_atomically
from market_data_pipeline.catalog.folder_exchange import clear_stage
from market_data_pipeline.catalog.layout import BarFile, CatalogLayout, file_name, partitions_touched, stamp_of
from market_data_pipeline.catalog.ledger import UNSETTLED, Ledger, SeriesRow, SessionRow
from market_data_pipeline.catalog.reconciled import Quarantined, Reconciled
from market_data_pipeline.catalog.row_groups import holds_whole_sessions
from market_data_pipeline.domain.bar_table import BarTable
from market_data_pipeline.domain.bar_types import NANOSECONDS
from market_data_pipeline.domain.coverage import Coverage, Quality
from market_data_pipeline.domain.errors import CorruptFile
from market_data_pipeline.domain.quality import HoleRule, judge, measure
from market_data_pipeline.domain.sessions import Partitions, date_of

OVERLAPS = "covers the same time as"


class Scope(Enum):
    """Which files a reconciliation reads."""

    CHANGED = "changed"
    ALL = "all"


class BadFiles(Enum):
    """What a reconciliation does with files that cannot be used."""

    LEAVE = "leave"
    QUARANTINE = "quarantine"


def quarantine(layout: CatalogLayout, path: Path, reason: str, sessions: Iterable[str] = ()) -> Quarantined:
    """Move a file below `quarantine/`, out of the reach of Nautilus, with a report beside it. Nothing is deleted.

    The report comes first: a repair goes by it, and a process that is killed between the two leaves the file where it is for the next to find.
    """
    folder = layout.quarantine / path.parent.name
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{path.name}.{time.time_ns()}.quarantined"
    result = Quarantined(path, target, reason, tuple(sessions))
    report = {
        "file": str(path.relative_to(layout.root)),
        "reason": reason.replace(f"{layout.root}{os.sep}", ""),
        "sessions": list(result.sessions),
        "moved_at": stamp_of(time.time_ns()),
    }
    write_atomically(folder, f"{target.name}.json", f"{json.dumps(report, indent=2)}\n".encode())
    shutil.move(path, target)  # the folder may be a link to another disk
    return result


def clear_killed(layout: CatalogLayout, folder: Path) -> None:
    """Remove what a writer or a compaction that was killed left of a series. Only while holding the series' lock."""
    clear_stage(layout, folder)
    clear_leftovers(folder)


@dataclass(frozen=True)
class _Bad:
    """A file that cannot be used; `positions` are the partitions that its name speaks of."""

    path: Path
    reason: str
    positions: range


@dataclass(frozen=True)
class _Read:
    """A file that has been read and found sound, and the partitions that its name touches; `is_compacted` says that its sessions are whole."""

    file: BarFile
    positions: range
    bars: BarTable
    file_hash: str
    is_compacted: bool


class Reconciliation:
    """One pass over a series' folder, done while its lock is held.

    Args:
        scope: `CHANGED` reads only files whose name, size or change time is not the ledger's; `ALL` reads every file again.
        bad_files: `LEAVE` changes no file (for commands that only read); `QUARANTINE` moves bad ones away, and gives a file that a killed
            writer left under a name that says too little its true name.
    """

    def __init__(self, layout: CatalogLayout, ledger: Ledger, row: SeriesRow, partitions: Partitions, *, scope: Scope, bad_files: BadFiles) -> None:
        self._layout, self._ledger, self._row, self._partitions = layout, ledger, row, partitions
        self._scope, self._bad_files = scope, bad_files
        self._folder = layout.series_folder(row.series)
        self._bad: list[_Bad] = []
        self._moved = False
        self._files = self._bytes = 0
        self._kept = {kept.day: kept for kept in ledger.sessions(row.id)}
        self._fresh: dict[int, SessionRow] = {}

    def run(self) -> Reconciled:
        """Check files, move bad ones away, and rewrite the rows that differ."""
        if self._bad_files is BadFiles.QUARANTINE:
            clear_killed(self._layout, self._folder)
        # Asked before the files are listed: what changes from now on is seen by the next who looks.
        mtime = self._layout.settled_mtime_ns(self._row.series)
        listing = self._layout.list_folder(self._folder)
        self._bad += [_Bad(path, reason, range(0)) for path, reason in listing.foreign]
        known = self._known_files()
        for cluster in self._clusters(listing.files):
            self._take(cluster, known)
        quarantined = tuple(self._move_away()) if self._bad_files is BadFiles.QUARANTINE else ()
        left = tuple((bad.path.name, bad.reason) for bad in self._bad) if self._bad_files is BadFiles.LEAVE else ()
        changed = [row for day, row in self._fresh.items() if self._kept.get(day) != row]
        forgotten = [day for day in self._kept if day not in self._fresh]
        mtime = UNSETTLED if self._moved else mtime
        if changed or forgotten or mtime != self._row.folder_mtime_ns or left != self._row.bad_files:
            self._ledger.record(self._row.id, changed, mtime, forget=forgotten, bad_files=left)
        there, lost = {file.name for file in listing.files}, self._days_of_bad_files()
        gone = [self._kept[day].session for day in forgotten if self._kept[day].file not in there and day not in lost]
        # A file that somebody gave another name is told as such, and may hold what is missing.
        return Reconciled(self._files, self._bytes, self._count_drift(), quarantined, left, () if listing.foreign else tuple(gone))

    def _known_files(self) -> set[tuple[str, int, int]]:
        """Return name, size and change time of the files as the ledger knows them."""
        if self._scope is Scope.ALL:
            return set()
        known: dict[str, set[tuple[str, int, int]]] = {}
        for row in self._kept.values():
            known.setdefault(row.file, set()).add((row.file, row.file_size, row.file_mtime_ns))
        return {one for versions in known.values() if len(versions) == 1 for one in versions}

    def _days_of_bad_files(self) -> set[int]:
        return {int(self._partitions.days[i]) for bad in self._bad for i in bad.positions}

    def _count_drift(self) -> int:
        lost = self._days_of_bad_files()
        said, true = ({day: (row.coverage, row.fingerprint) for day, row in rows.items()} for rows in (self._kept, self._fresh))
        return sum(said.get(day) != true.get(day) for day in (said.keys() | true.keys()) - lost)

    def _clusters(self, files: Sequence[BarFile]) -> Iterator[list[BarFile]]:
        """Yield the files in groups that share no session. Files of one session each, the usual case, are alone."""
        cluster: list[BarFile] = []
        stop = 0
        for file in files:
            positions = self._positions(file)
            if cluster and positions.start >= stop:
                yield cluster
                cluster = []
            cluster.append(file)
            stop = max(stop, positions.stop)
        if cluster:
            yield cluster

    def _positions(self, file: BarFile) -> range:
        return partitions_touched(file, self._partitions)

    def _take(self, cluster: Sequence[BarFile], known: set[tuple[str, int, int]]) -> None:
        """Read the files of a group and describe the sessions that they speak of."""
        if len(cluster) == 1 and self._is_known(cluster[0], known):
            return
        read: list[_Read] = []
        for file in cluster:
            self._files += 1
            self._bytes += file.size
            try:
                content = read_content(file.path)
                bars = bars_in(content, file.path, self._row.series, self._row.precision)
                file_hash = content_hash(content)
                self._refuse_damage(file, bars, file_hash)
                named = self._under_true_name(file, bars)
                positions = self._positions(named)
                # The name of a file of one session says by itself whether it is whole.
                is_compacted = len(positions) > 1 and holds_whole_sessions(content)
                self._keep_one(read, _Read(named, positions, bars, file_hash, is_compacted))
            except CorruptFile as error:
                self._bad.append(_Bad(file.path, str(error).partition(": ")[2], self._positions(file)))
            except FileNotFoundError:
                continue
        for position in sorted({position for one in read for position in one.positions}):
            self._describe(position, read)

    def _is_known(self, file: BarFile, known: set[tuple[str, int, int]]) -> bool:
        """Keep the rows of a file and return True, if it is as the ledger knows it and alone speaks of its sessions."""
        days = [int(self._partitions.days[i]) for i in self._positions(file)]
        rows = [self._kept[day] for day in days if day in self._kept]
        if (file.name, file.size, file.mtime_ns) not in known or any(row.file != file.name for row in rows):
            return False
        self._fresh.update({row.day: row for row in rows})
        return True

    def _keep_one(self, read: list[_Read], new: _Read) -> None:
        """Add a file, unless Nautilus would return its bars twice: of two files that speak of the same time the one with more bars stays."""
        while read:
            before = read[-1]
            twice = bool(len(new.bars) and len(before.bars)) and int(new.bars.ts_init[0]) <= int(before.bars.ts_init[-1])
            if new.file.start > before.file.end and not twice:
                break
            smaller, larger = (before, new) if len(before.bars) < len(new.bars) else (new, before)
            reason = f"{OVERLAPS} {larger.file.name}, so bars would come twice"
            self._bad.append(_Bad(smaller.file.path, reason, self._positions(smaller.file)))
            if smaller is new:
                return
            read.pop()
        read.append(new)

    def _refuse_damage(self, file: BarFile, bars: BarTable, file_hash: str) -> None:
        """Refuse a file that can be read but is not the one that was stored, where nobody can have meant to change it."""
        rows = [row for i in self._positions(file) if (row := self._kept.get(int(self._partitions.days[i]))) is not None]
        rows = [row for row in rows if row.file == file.name and row.file_mtime_ns]
        if not rows or file_hash in {row.file_hash for row in rows}:
            return
        if all(row.fingerprint == self._inside(bars, row).fingerprint() for row in rows):
            raise CorruptFile(f"{file.path}: its bytes are not those that were stored, though its bars are: it is damaged where Nautilus may stop")
        if (rows[0].file_size, rows[0].file_mtime_ns) == (file.size, file.mtime_ns):
            raise CorruptFile(f"{file.path}: its bars are not those that were stored, though nobody has written it since: the disk changed them")

    def _inside(self, bars: BarTable, row: SessionRow) -> BarTable:
        return bars.between(*self._partitions.window(row.session))

    def _under_true_name(self, file: BarFile, bars: BarTable) -> BarFile:
        """Return the file under a name that is true of it: a killed writer can leave a fuller session under a name that says too little."""
        if not len(bars) or (bars.ts_init[0] >= file.start and bars.ts_init[-1] <= file.end):
            return file
        touched = self._positions(file)
        last = int(self._partitions.ends[touched.stop - 1]) if touched else 0
        if bars.ts_init[0] < file.start or bars.ts_init[-1] > last:
            raise CorruptFile(f"{file.path}: holds bars outside the time that its name claims")
        # The last nanosecond of the window would call it whole.
        end = min(int(bars.ts_init[-1]), last - 1)
        if end <= file.end or self._bad_files is BadFiles.LEAVE:
            return file
        path = file.path.with_name(file_name(file.start, end))
        os.replace(file.path, path)
        self._moved = True
        return replace(file, path=path, end=end)

    def _describe(self, position: int, read: Sequence[_Read]) -> None:
        """Add the row of one session, if files hold it or say that it is empty."""
        after, until = int(self._partitions.starts[position]), int(self._partitions.ends[position])
        touching = [one for one in read if one.file.end > after and one.file.start <= until]
        if not touching:
            return
        inside = [one.bars.between(after, until) for one in touching]
        pieces = [piece for piece in inside if len(piece)]
        bars = BarTable.concatenate(pieces) if pieces else BarTable.empty(self._row.precision.price, self._row.precision.size)
        fingerprint = bars.fingerprint()
        before = self._kept.get(int(self._partitions.days[position]))
        if before is not None and before.fingerprint != fingerprint:
            before = None
        coverage = self._coverage(position, touching, bars, before)
        if coverage is Coverage.MISSING:
            return
        last = touching[-1]
        size = sum(share_of(one.file.size, len(piece), len(one.bars), len(one.positions)) for one, piece in zip(touching, inside, strict=True))
        row = session_row(
            self._partitions,
            position,
            bars,
            coverage,
            measure(bars, self._partitions, position),
            source="files",
            asked=f"found in {last.file.name}",
            file=last.file,
            file_hash=last.file_hash,
            size=size,
            fingerprint=fingerprint,
        )
        if before is not None and before.coverage is coverage:
            # What a file cannot say: where its bars came from, and when.
            row = replace(row, source=before.source, asked=before.asked, stored_at_ns=before.stored_at_ns)
        # A session of several files is looked at whenever the folder changes.
        self._fresh[row.day] = row if len(touching) == 1 else replace(row, file_mtime_ns=0)

    def _coverage(self, position: int, touching: Sequence[_Read], bars: BarTable, before: SessionRow | None) -> Coverage:
        """Return what is known of a session from the names of its files, its bars and, where they are the same, what the ledger said."""
        start, until = int(self._partitions.starts[position]) + 1, int(self._partitions.ends[position])
        files = [one.file for one in touching]
        if len(touching) == 1 and self._is_whole(touching[0], bars, position):
            if len(bars):
                return Coverage.COMPLETE
            return Coverage.MISSING if before is None and touching[0].is_compacted and self._was_opened(position) else Coverage.EMPTY
        claimed = start - 1
        for file in files:
            if file.start > claimed + 1:
                break
            claimed = max(claimed, file.end)
        if claimed < until:
            return Coverage.PARTIAL if len(bars) else Coverage.MISSING
        # A name that covers more than this session was not given for it, so it says nothing about a hole.
        if before is not None:
            return before.coverage
        if self._partitions.spec.is_daily_or_longer:
            return judge(bars, Quality(1, len(bars), 0), 0.0)
        length_s = self._partitions.spec.length_ns // NANOSECONDS
        return judge(bars, measure(bars, self._partitions, position), HoleRule().longest_allowed_s(length_s, 0.0))

    def _is_whole(self, one: _Read, bars: BarTable, position: int) -> bool:
        """Return whether a file's name was given for this session as a whole, or a compaction says so.

        Windows meet where the session before ends, so one that an override of the calendar closed or opened since has moved this one's start.
        Then the name counts if it speaks of all the time in which this session trades, and the file holds nothing of another.
        """
        start, until = int(self._partitions.starts[position]) + 1, int(self._partitions.ends[position])
        since = self._partitions.trades_since(position)
        if one.is_compacted:
            return one.file.start <= since and until <= one.file.end
        return one.file.end == until and one.file.start <= since and (one.file.start >= start or len(one.bars) == len(bars))

    def _was_opened(self, position: int) -> bool:
        """Return whether only an override makes this a session: one that was opened after a compaction was never asked for."""
        return published_calendar_of_venue(self._row.series.venue).index_of(date_of(self._partitions.days[position])) is None

    def _move_away(self) -> Iterator[Quarantined]:
        for bad in self._bad:
            days = (int(self._partitions.days[i]) for i in bad.positions)
            self._moved = True
            yield quarantine(self._layout, bad.path, bad.reason, [str(date_of(day)) for day in days if day not in self._fresh])


def share_of(size: int, rows: int, rows_in_file: int, sessions: int = 1) -> int:
    """Return the bytes that a session's bars take of a file, or its part of a file without bars."""
    return round(size * rows / rows_in_file) if rows_in_file else size // sessions


def session_row(
    partitions: Partitions,
    position: int,
    bars: BarTable,
    coverage: Coverage,
    quality: Quality,
    *,
    source: str,
    asked: str,
    file: BarFile,
    file_hash: str,
    size: int,
    fingerprint: str | None = None,
) -> SessionRow:
    """Describe one stored session for the ledger; `size` is the bytes that it takes, `fingerprint` that of the bars where it is known."""
    return SessionRow(
        day=int(partitions.days[position]),
        coverage=coverage,
        rows=len(bars),
        first_open_ns=int(bars.ts_event[0]) if len(bars) else None,
        last_close_ns=int(bars.ts_init[-1]) if len(bars) else None,
        bytes=size,
        fingerprint=fingerprint or bars.fingerprint(),
        source=source,
        asked=asked[:400],
        stored_at_ns=time.time_ns(),
        expected=quality.expected,
        regular=quality.regular,
        longest_absence_s=quality.longest_absence_s,
        file=file.name,
        file_size=file.size,
        file_mtime_ns=file.mtime_ns,
        file_hash=file_hash,
    )
