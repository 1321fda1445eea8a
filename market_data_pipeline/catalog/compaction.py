"""Session files of closed months and years become one file each, and one file a session again.

Values, stamps, coverage and fingerprints of each session stay what they are; only the ledger's columns about files change. See `folder_exchange`
for how readers see either state and never a mixture, and `readers` for whom a compaction leaves in peace.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING

from market_data_pipeline.calendars import partitions_of
from market_data_pipeline.catalog.disk import estimate, require_room
from market_data_pipeline.catalog.folder_exchange import staged, why_not_switched
from market_data_pipeline.catalog.layout import BarFile, partitions_touched
from market_data_pipeline.catalog.ledger import SeriesRow, SessionRow
from market_data_pipeline.catalog.readers import OpenWatch, without_readers
from market_data_pipeline.catalog.rewriting import Rewrite, Rewriter
from market_data_pipeline.catalog.writer import storage_errors
from market_data_pipeline.domain.bar_types import Aggregation, Series
from market_data_pipeline.domain.coverage import Coverage
from market_data_pipeline.domain.errors import SeriesBusy, StorageFailed
from market_data_pipeline.domain.sessions import Partitions, date_of

if TYPE_CHECKING:
    from market_data_pipeline.catalog.catalog import Catalog

# A reader that goes on opens its next file within a fraction of this; one that begins is seen at once.
QUIET_S = 2.0


class Direction(Enum):
    """What is done to the files of a series."""

    JOIN = "join"
    UNDO = "undo"


@dataclass(frozen=True)
class Left:
    """A month or year, or a file, that was left as it is, and why."""

    what: str
    why: str


@dataclass(frozen=True)
class Plan:
    """What is to be done to a series.

    Attributes:
        files: All of its bar files.
        rewrites: What is to be rewritten, oldest first.
        left: Periods of several files that stay as they are.
    """

    files: tuple[BarFile, ...]
    rewrites: tuple[Rewrite, ...]
    left: tuple[Left, ...]


@dataclass(frozen=True)
class Compacted:
    """What was done to a series, or would be.

    Attributes:
        series: The series.
        periods: Months or years that were joined, or files that were taken apart.
        sessions: Their sessions.
        files_before: Bar files of the series before.
        files_after: And after.
        bytes_before: Bytes of all of them before.
        bytes_after: And after; of a dry run what it was before.
        left: What stays as it is, and why.
    """

    series: Series
    periods: int
    sessions: int
    files_before: int
    files_after: int
    bytes_before: int
    bytes_after: int
    left: tuple[Left, ...]


def period_of(day: int, partitions: Partitions) -> str | None:
    """Return the month (`2024-01`) whose file holds a day's session, the year (`2024`) for day bars, or None: weeks and months are few."""
    unit = partitions.spec.aggregation
    if unit in (Aggregation.WEEK, Aggregation.MONTH):
        return None
    return str(date_of(day))[: 4 if unit is Aggregation.DAY else 7]


def compact(
    catalog: Catalog, series: Series, direction: Direction, now_ns: int, *, dry: bool = False, wait_s: float = 10.0, quiet_s: float = QUIET_S
) -> Compacted | None:
    """Join the files of a series' closed months, or take them apart again; None if nothing of it is stored.

    Args:
        catalog: The catalog.
        series: The series.
        direction: Which.
        now_ns: What counts as now, UTC nanoseconds: a period is closed when the window of its last session is over.
        dry: Only say what would be done.
        wait_s: How long to wait for another process that writes the series.
        quiet_s: For how long nobody may have opened a file of the series before its folder is replaced.

    Raises:
        SeriesLocked: If another process writes the series.
        SeriesBusy: If another process reads it right now; nothing was changed.
        CorruptFile: If a file holds other bars than the ledger says; nothing was changed.
        StorageFailed, DiskFull: If the file system refuses; nothing was changed.
    """
    if dry:
        kept = {one.day: one for one in catalog.sessions(series)}
        return _told(series, _plan(catalog, series, kept, direction, now_ns)) if kept else None
    with catalog.held(series, wait_s) as row:
        if row is None:
            return None
        kept = {one.day: one for one in catalog.ledger.sessions(row.id)}
        plan = _plan(catalog, series, kept, direction, now_ns)
        told = _told(series, plan)
        if plan.rewrites:
            with storage_errors(f"Compacting {series}"):
                told = replace(told, bytes_after=_carry_out(catalog, row, partitions_of(series), kept, plan, quiet_s))
    return told


def _told(series: Series, plan: Plan) -> Compacted:
    size = sum(file.size for file in plan.files)
    return Compacted(
        series=series,
        periods=len(plan.rewrites),
        sessions=sum(len(positions) for one in plan.rewrites for positions in one.ranges),
        files_before=len(plan.files),
        files_after=len(plan.files) + sum(len(one.ranges) - len(one.old) for one in plan.rewrites),
        bytes_before=size,
        bytes_after=size,
        left=plan.left,
    )


def _carry_out(catalog: Catalog, row: SeriesRow, partitions: Partitions, kept: Mapping[int, SessionRow], plan: Plan, quiet_s: float) -> int:
    """Rewrite the files of a plan; return the bytes of all files of the series."""
    layout, series = catalog.layout, row.series
    folder = layout.series_folder(series)
    if (why := why_not_switched(folder)) is not None:
        raise StorageFailed(f"{series}: {why}, so it cannot be replaced in one step. Nothing was changed.")
    bars = sum(kept[int(partitions.days[i])].rows for one in plan.rewrites for positions in one.ranges for i in positions)
    require_room(folder, estimate(bars, sum(len(one.ranges) for one in plan.rewrites)), f"Compacting {series}")
    size = sum(file.size for file in plan.files)
    replaced = {file.name for one in plan.rewrites for file in one.old}
    rewriter, rows = Rewriter(row, partitions, kept), []
    with OpenWatch(folder) as watch, staged(layout, folder) as stage:
        for one in plan.rewrites:
            files, described = rewriter.write(one, stage)
            rows += described
            size += sum(file.size for file in files) - sum(file.size for file in one.old)
        # From here on whoever asks looks at the files: a kill may come between them and their rows.
        catalog.ledger.unsettle(row.id)
        busy = watch.opened(replaced, quiet_s)
        with without_readers(layout, folder.name) as nobody:
            if busy or not nobody or watch.opened((), 0):
                catalog.ledger.record(row.id, [], layout.settled_mtime_ns(series))
                raise SeriesBusy(
                    f"{series} is being read by another process, which must not lose the files under it. Nothing was changed. Run this again later."
                )
            stage.switch(replaced)
        catalog.ledger.record(row.id, rows, layout.settled_mtime_ns(series))
    return size


def _plan(catalog: Catalog, series: Series, kept: Mapping[int, SessionRow], direction: Direction, now_ns: int) -> Plan:
    files = tuple(catalog.layout.list_folder(catalog.layout.series_folder(series)).files)
    partitions = partitions_of(series)
    found = [*(_joins(files, partitions, kept, now_ns) if direction is Direction.JOIN else _splits(files, partitions, kept))]
    return Plan(files, tuple(one for one in found if isinstance(one, Rewrite)), tuple(one for one in found if isinstance(one, Left)))


def _joins(files: Sequence[BarFile], partitions: Partitions, kept: Mapping[int, SessionRow], now_ns: int) -> Iterator[Rewrite | Left]:
    for period, positions in _periods(partitions, kept):
        start, end = int(partitions.starts[positions[0]]) + 1, int(partitions.ends[positions[-1]])
        first, stop = bisect_left(files, start, key=lambda file: file.end), bisect_right(files, end, key=lambda file: file.start)
        inside = files[first:stop]
        if len(inside) < 2:
            continue
        if end >= now_ns:
            yield Left(period, "it is not over")
        elif inside[0].start < start or inside[-1].end > end:
            yield Left(period, "a file of it holds sessions of another period too")
        elif (why := _why_not_whole(positions, partitions, kept)) is not None:
            yield Left(period, why)
        else:
            yield Rewrite(tuple(inside), (positions,))


def _splits(files: Sequence[BarFile], partitions: Partitions, kept: Mapping[int, SessionRow]) -> Iterator[Rewrite | Left]:
    for file in files:
        positions = partitions_touched(file, partitions)
        if len(positions) < 2:
            continue
        edges = int(partitions.starts[positions[0]]) + 1, int(partitions.ends[positions[-1]])
        if (file.start, file.end) != edges:
            yield Left(file.name, "its name does not begin and end with a session")
        elif (why := _why_not_whole(positions, partitions, kept)) is not None:
            yield Left(file.name, why)
        else:
            yield Rewrite((file,), tuple(range(i, i + 1) for i in positions))


def _periods(partitions: Partitions, kept: Mapping[int, SessionRow]) -> Iterator[tuple[str, range]]:
    """Yield each month or year with stored sessions, and the positions of all of its partitions, oldest first."""
    for period in dict.fromkeys(period_of(day, partitions) for day in sorted(kept)):
        if period is not None:
            year, _, month = period.partition("-")
            first = dt.date(int(year), int(month or 1), 1)
            last = first.replace(month=int(month or 12), day=28) + dt.timedelta(days=4)
            yield period, partitions.positions_between(first, last - dt.timedelta(days=last.day))


def _why_not_whole(positions: range, partitions: Partitions, kept: Mapping[int, SessionRow]) -> str | None:
    rows = [kept.get(int(partitions.days[i])) for i in positions]
    found = Counter(Coverage.MISSING if row is None else row.coverage for row in rows)
    told = [f"{found[one]:,} session{'s are' if found[one] > 1 else ' is'} {one}" for one in (Coverage.MISSING, Coverage.PARTIAL) if found[one]]
    return " and ".join(told) or None
