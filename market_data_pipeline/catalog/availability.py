"""What is stored of a series and what is not, answered from the ledger alone."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

import numpy as np

from market_data_pipeline.catalog.ledger import SeriesRow
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.coverage import Convention, Coverage
from market_data_pipeline.domain.sessions import Partitions, SessionRange, date_of, ranges_of

# Codes of SeriesRow.strip.
_COMPLETE, _EMPTY, _PARTIAL = 1, 2, 3


@dataclass(frozen=True)
class Availability:
    """The state of a stored series between its first and last stored session.

    Attributes:
        series: The series.
        first_session: Date of the first session stored, complete, empty or partial; None where nothing is stored.
        last_session: Date of the last.
        complete: Number of complete sessions.
        empty: Sessions that were asked for and have no bars.
        partial: Sessions answered in part.
        missing: Sessions of the calendar with nothing stored.
        gaps: Ranges of sessions that are neither complete nor empty.
        rows: Bars stored.
        bytes: Bytes stored.
        first_open_ns: Open of the first bar, UTC nanoseconds, or None.
        last_close_ns: Close of the last bar, UTC nanoseconds, or None.
        updated_at_ns: When a session was last stored, UTC nanoseconds; 0 for never.
        convention: Under which convention its bars were asked for.
        bad_files: (name, reason) of files of the series that cannot be used; `mdp catalog verify` moves them away.
    """

    series: Series
    first_session: dt.date | None
    last_session: dt.date | None
    complete: int
    empty: int
    partial: int
    missing: int
    gaps: tuple[SessionRange, ...]
    rows: int
    bytes: int
    first_open_ns: int | None
    last_close_ns: int | None
    updated_at_ns: int
    convention: Convention = field(default_factory=Convention)
    bad_files: tuple[tuple[str, str], ...] = ()

    @property
    def stored(self) -> int:
        """Sessions with an answer: complete, empty and partial."""
        return self.complete + self.empty + self.partial


def codes_of(row: SeriesRow, partitions: Partitions, positions: range) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    """Return the coverage code of each partition in `positions`: 0 missing, 1 complete, 2 empty, 3 partial."""
    days = partitions.days[positions.start : positions.stop]
    codes = np.zeros(len(days), dtype=np.uint8)
    if row.first_day is not None:
        offsets = days - row.first_day
        known = (offsets >= 0) & (offsets < len(row.strip))
        codes[known] = row.strip[offsets[known]]
    return codes


def coverage_of_code(code: int | np.integer) -> Coverage:
    """Return the coverage that a code of `codes_of` stands for."""
    return (Coverage.MISSING, Coverage.COMPLETE, Coverage.EMPTY, Coverage.PARTIAL)[int(code)]


def gaps_between(row: SeriesRow | None, partitions: Partitions, positions: range) -> tuple[SessionRange, ...]:
    """Return the ranges of partitions in `positions` that are neither complete nor empty, oldest first."""
    if row is None:
        wanted = np.ones(len(positions), dtype=np.bool_)
    else:
        codes = codes_of(row, partitions, positions)
        wanted = (codes != _COMPLETE) & (codes != _EMPTY)
    return tuple(ranges_of(partitions, wanted, positions.start))


def availability_of(row: SeriesRow, partitions: Partitions) -> Availability:
    """Return the availability of a series from its ledger row. Opens no file."""
    if row.first_day is None:
        first = last = None
        positions = range(0)
    else:
        first, last = date_of(row.first_day), date_of(row.first_day + len(row.strip) - 1)
        positions = partitions.positions_between(first, last)
    counts = np.bincount(codes_of(row, partitions, positions), minlength=4)
    return Availability(
        series=row.series,
        first_session=first,
        last_session=last,
        complete=int(counts[_COMPLETE]),
        empty=int(counts[_EMPTY]),
        partial=int(counts[_PARTIAL]),
        missing=int(counts[0]),
        gaps=gaps_between(row, partitions, positions),
        rows=row.rows,
        bytes=row.bytes,
        first_open_ns=row.first_open_ns,
        last_close_ns=row.last_close_ns,
        updated_at_ns=row.updated_at_ns,
        convention=row.convention,
        bad_files=row.bad_files,
    )
