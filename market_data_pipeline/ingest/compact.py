"""Join the small files of a catalog, series by series; what another process writes or reads right now is passed over and told."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from market_data_pipeline.catalog import Catalog
from market_data_pipeline.catalog.compaction import QUIET_S, Compacted, Direction, compact
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.errors import CatalogError, StorageFailed
from market_data_pipeline.ingest.import_csv import Run


@dataclass(frozen=True)
class CompactionStep:
    """A series that is about to be looked at, or has been.

    Attributes:
        series: The series.
        number: Its number from 0.
        of: How many there are.
        done: What was done to it; None before, and where it was passed over.
        passed_over: Why nothing was done to it; None if it was looked at.
    """

    series: Series
    number: int
    of: int
    done: Compacted | None = None
    passed_over: CatalogError | None = None


@dataclass(frozen=True)
class CompactionReport:
    """What a compaction did, or would do.

    Attributes:
        series: What was done to each series.
        passed_over: Series that could not be had, and why.
        direction: Whether files were joined or taken apart.
        dry_run: True where nothing was changed.
        seconds: How long it took.
    """

    series: tuple[Compacted, ...]
    passed_over: tuple[tuple[Series, CatalogError], ...]
    direction: Direction
    dry_run: bool
    seconds: float

    @property
    def changed(self) -> tuple[Compacted, ...]:
        """The series of which files were, or would be, rewritten."""
        return tuple(one for one in self.series if one.periods)


def compact_series(
    catalog: Catalog,
    series: Sequence[Series],
    direction: Direction = Direction.JOIN,
    *,
    run: Run = Run.STORE,
    wait_s: float = 0.0,
    quiet_s: float = QUIET_S,
    now_ns: int | None = None,
) -> Iterator[CompactionStep]:
    """Join the files of closed months and years of each series, or take them apart again; yields before and after each.

    Args:
        catalog: The catalog.
        series: Which series.
        direction: Whether to join or to take apart.
        run: A dry run changes nothing.
        wait_s: How long to wait for another process that writes a series.
        quiet_s: For how long nobody may have opened a file of a series before its folder is replaced.
        now_ns: What counts as now, UTC nanoseconds; by default the clock.
    """
    now = time.time_ns() if now_ns is None else now_ns
    waiting: list[CompactionStep] = []
    for number, one in enumerate(series):
        yield CompactionStep(one, number, len(series))
        step = _look_at(catalog, CompactionStep(one, number, len(series)), direction, run, wait_s, quiet_s, now)
        if step.passed_over is not None and step.passed_over.retryable:
            waiting.append(step)
        else:
            yield step
    for step in waiting:  # who reads or writes is often done by now
        yield replace(step, passed_over=None)
        yield _look_at(catalog, replace(step, passed_over=None), direction, run, wait_s, quiet_s, now)


def _look_at(catalog: Catalog, step: CompactionStep, direction: Direction, run: Run, wait_s: float, quiet_s: float, now_ns: int) -> CompactionStep:
    try:
        done = compact(catalog, step.series, direction, now_ns, dry=run is Run.DRY, wait_s=wait_s, quiet_s=quiet_s)
    except CatalogError as error:
        return replace(step, passed_over=error)
    return replace(step, done=done)


def reported(
    steps: Iterable[CompactionStep], direction: Direction, run: Run, hear: Callable[[CompactionStep], None] = lambda _: None
) -> CompactionReport:
    """Take all steps, tell of each, and return what they amount to."""
    began, found = time.monotonic(), []
    for step in steps:
        hear(step)
        found.append(step)
    return CompactionReport(
        series=tuple(step.done for step in found if step.done is not None),
        passed_over=tuple((step.series, step.passed_over) for step in found if step.passed_over is not None),
        direction=direction,
        dry_run=run is Run.DRY,
        seconds=time.monotonic() - began,
    )


def refuse_failed(report: CompactionReport) -> None:
    """Raise the first error for which trying later does not help, with how many there are.

    Raises:
        StorageFailed: If a series is damaged, or the file system refused.
    """
    failed = [error for _, error in report.passed_over if not error.retryable]
    if failed:
        raise StorageFailed(f"{len(failed)} series could not be compacted; the others were. {failed[0]}")
