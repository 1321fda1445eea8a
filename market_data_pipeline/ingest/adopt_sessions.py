"""The sessions of a foreign series, and what to do with each beside what is stored."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np

from market_data_pipeline.calendars import partitions_of
from market_data_pipeline.catalog import Catalog, SessionRow
from market_data_pipeline.domain.bar_table import BarTable
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.coverage import Coverage, SessionAnswer
from market_data_pipeline.domain.quality import judge, measure
from market_data_pipeline.domain.sessions import Partitions, date_of, ranges_of
from market_data_pipeline.ingest.adopt_report import SeriesReport, StoredConflict
from market_data_pipeline.ingest.import_csv import OnConflict
from market_data_pipeline.sources.nautilus import BarConflict, ForeignSeries, Order
from market_data_pipeline.sources.nautilus.series import longest_absence_allowed_s

_EXAMPLES = 200


@dataclass(frozen=True)
class Decision:
    """What to do with a session: `stored`, `replaced`, `unchanged`, `skipped` or `conflict`."""

    what: str
    conflict: StoredConflict | None = None

    @property
    def writes(self) -> bool:
        """True if the session is to be written."""
        return self.what in ("stored", "replaced")


@dataclass
class Tally:
    """What has been seen of one series so far. Counts grow while its sessions are gone through."""

    duplicates_inside: int = 0
    duplicates_across: int = 0
    dropped: int = 0
    examples: list[BarConflict] = field(default_factory=list)
    conflicts: list[StoredConflict] = field(default_factory=list)
    bars: dict[str, int] = field(default_factory=dict)
    sessions: dict[str, int] = field(default_factory=dict)
    days: list[dt.date] = field(default_factory=list)
    partial: list[dt.date] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """Rows that have been dealt with."""
        return sum(self.bars.values()) + self.duplicates_inside + self.duplicates_across + self.dropped

    def add(self, answer: SessionAnswer, decision: Decision) -> None:
        """Count a session."""
        self.bars[decision.what] = self.bars.get(decision.what, 0) + len(answer.bars)
        self.sessions[decision.what] = self.sessions.get(decision.what, 0) + 1
        self.days.append(answer.session)
        if answer.coverage is Coverage.PARTIAL:
            self.partial.append(answer.session)
        if decision.conflict is not None:
            self.conflicts.append(decision.conflict)


def answers_of(
    catalog: Catalog, found: ForeignSeries, order: Order, on_conflict: OnConflict, seen: Tally
) -> Iterator[tuple[SessionAnswer, Decision]]:
    """Yield each session that the files hold, oldest first, with what to do about it; what merging dropped is counted in `seen`."""
    assert found.series is not None
    series, partitions, now = found.series, partitions_of(found.series), time.time_ns()
    before = {row.session: row for row in catalog.sessions(series)}
    for merged in found.merged(order):
        seen.duplicates_inside += merged.duplicates_inside
        seen.duplicates_across += merged.duplicates_across
        seen.dropped += merged.dropped
        seen.examples += merged.conflicts[: _EXAMPLES - len(seen.examples)]
        allowed = longest_absence_allowed_s(merged.bars, partitions)
        position = partitions.index_of_close(merged.bars.ts_init)
        cuts = [*np.flatnonzero(np.diff(position, prepend=-2)).tolist(), len(position)]
        for start, stop in pairwise(cuts):
            here = int(position[start])
            answer = _answer(merged.bars.slice(start, stop), partitions, here, allowed)
            if here in found.holed or partitions.ends[here] > now:
                answer = replace(answer, coverage=Coverage.PARTIAL)
            yield _decide(catalog, series, answer, before.get(answer.session), on_conflict)


def _answer(bars: BarTable, partitions: Partitions, position: int, allowed_s: float) -> SessionAnswer:
    quality = measure(bars, partitions, position)
    return SessionAnswer(date_of(partitions.days[position]), bars, judge(bars, quality, allowed_s), quality)


def _decide(
    catalog: Catalog, series: Series, answer: SessionAnswer, before: SessionRow | None, on_conflict: OnConflict
) -> tuple[SessionAnswer, Decision]:
    """Decide about a session by the rules of an import: the fuller of two that agree is kept, and two that do not are a conflict."""
    if before is None or not before.rows:
        return answer, Decision("stored")
    became_whole = before.coverage is Coverage.PARTIAL and answer.coverage is Coverage.COMPLETE
    if before.fingerprint == answer.bars.fingerprint():
        return answer, Decision("replaced" if became_whole else "unchanged")
    stored = catalog.read_session(series, answer.session)
    _, ours, theirs = np.intersect1d(stored.ts_event, answer.bars.ts_event, assume_unique=True, return_indices=True)
    different = int((~stored.take(ours).same_values(answer.bars.take(theirs))).sum())
    if not different and len(ours) == len(answer.bars):
        return answer, Decision("unchanged")
    if not different and len(ours) == len(stored):
        coverage = Coverage.COMPLETE if before.coverage is Coverage.COMPLETE else answer.coverage
        return replace(answer, coverage=coverage), Decision("replaced")
    conflict = StoredConflict(answer.session, len(stored), len(answer.bars), different)
    whats = {OnConflict.SKIP: "skipped", OnConflict.OVERWRITE: "replaced"}
    return answer, Decision(whats.get(on_conflict, "conflict"), conflict)


def tally(report: SeriesReport, seen: Tally, partitions: Partitions) -> SeriesReport:
    """Return a report with what was seen of its sessions."""
    positions = np.array([i for i in map(partitions.index_of, seen.days) if i is not None], dtype=np.int64)
    lacking = np.ones(int(positions[-1] - positions[0]) + 1 if len(positions) else 0, dtype=np.bool_)
    if len(positions):
        lacking[positions - positions[0]] = False
    bars, sessions = seen.bars, seen.sessions
    return replace(
        report,
        written=bars.get("stored", 0) + bars.get("replaced", 0),
        stored_before=bars.get("unchanged", 0),
        kept_stored=bars.get("skipped", 0),
        not_written=bars.get("conflict", 0),
        duplicates_inside=seen.duplicates_inside,
        duplicates_across=seen.duplicates_across,
        conflicts=seen.dropped,
        examples=tuple(seen.examples),
        stored_conflicts=tuple(seen.conflicts),
        stored=sessions.get("stored", 0),
        replaced=sessions.get("replaced", 0),
        unchanged=sessions.get("unchanged", 0),
        skipped=sessions.get("skipped", 0),
        complete=len(seen.days) - len(seen.partial),
        partial=len(seen.partial),
        partial_sessions=tuple(seen.partial),
        missing=tuple(ranges_of(partitions, lacking, int(positions[0]))) if len(positions) else (),
        first_session=seen.days[0] if seen.days else None,
        last_session=seen.days[-1] if seen.days else None,
    )
