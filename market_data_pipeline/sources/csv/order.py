"""Rows in order of time, each bar once: autumn nights, files that run backwards, repeated and contradicting rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from market_data_pipeline.domain.bar_table import VALUE_COLUMNS, Int64s
from market_data_pipeline.domain.bar_types import NANOSECONDS
from market_data_pipeline.sources.csv.faults import FaultLog
from market_data_pipeline.sources.csv.kept import LineMap
from market_data_pipeline.tabular.rules import Rule
from market_data_pipeline.tabular.spool import Spool

# Two autumn nights are months apart, one lasts two hours at most.
_SAME_NIGHT_NS = 6 * 3_600 * NANOSECONDS


@dataclass(frozen=True)
class TwiceShown:
    """Rows whose wall clock time is shown twice; arrays of shape (k,).

    Attributes:
        rows: int64 row numbers, in order.
        later: int64, the close under the second reading.
    """

    rows: Int64s
    later: Int64s


@dataclass(frozen=True)
class OrderedRows:
    """Good rows in order of their close.

    Attributes:
        closes: int64, strictly rising.
        rows: int64 row numbers in the spool, or None where row i is at i.
        collapsed: Rows left out because another file holds the same bar with the same values.
    """

    closes: Int64s
    rows: Int64s | None
    collapsed: int


def settle_autumn(closes: Int64s, twice: TwiceShown, file_starts: Sequence[int]) -> Int64s:
    """Set the closes of rows that a DST night shows twice, in place, and return the rows that stay undecided.

    In a file that runs forward, the hour's second showing begins where the clock steps back: once a night. No such step, or several,
    leave it open.
    """
    undecided: list[Int64s] = []
    bounds = np.searchsorted(twice.rows, file_starts)
    for (start, stop), (first, last) in zip(_pairs(file_starts, len(closes)), _pairs(bounds, len(twice.rows)), strict=True):
        rows, later = twice.rows[first:last], twice.later[first:last]
        if not len(rows):
            continue
        direction = _direction(np.delete(closes[start:stop], rows - start))
        if direction < 0:
            rows, later = rows[::-1], later[::-1]
        for night_rows, night_later in _nights(rows, later, closes):
            steps_back = np.flatnonzero(np.diff(closes[night_rows]) <= 0)
            if direction and len(steps_back) == 1:
                second = slice(int(steps_back[0]) + 1, None)
                closes[night_rows[second]] = night_later[second]
            else:
                undecided.append(night_rows)
    return np.sort(np.concatenate(undecided)) if undecided else np.empty(0, dtype=np.int64)


def _pairs(starts: Sequence[int] | Int64s, end: int) -> list[tuple[int, int]]:
    ends = [int(s) for s in starts[1:]] + [end]
    return [(int(start), stop) for start, stop in zip(starts, ends, strict=True)]


def _direction(closes: Int64s) -> int:
    """Return 1 for rows that run forward, -1 for backward, 0 for neither."""
    steps = np.diff(closes)
    if (steps >= 0).all():
        return 1
    return -1 if (steps <= 0).all() else 0


def _nights(rows: Int64s, later: Int64s, closes: Int64s) -> list[tuple[Int64s, Int64s]]:
    cuts = np.flatnonzero(np.abs(np.diff(closes[rows])) > _SAME_NIGHT_NS) + 1
    return list(zip(np.split(rows, cuts), np.split(later, cuts), strict=True))


def in_order(closes: Int64s, bad: Int64s, spool: Spool, lines: LineMap, faults: FaultLog) -> OrderedRows:
    """Return the good rows in order of time; repeated and contradicting ones go to the fault log.

    Copies with equal values: within a file all but the first are bad rows; across files they are collapsed, as monthly files
    that share a day. Copies that differ are all bad: nothing tells which is right.
    """
    rows: Int64s | None = None
    if len(bad):
        rows = np.delete(np.arange(len(closes), dtype=np.int64), bad)
    ordered = closes if rows is None else closes[rows]
    if not _rises(ordered):
        order = np.argsort(ordered, kind="stable").astype(np.int64)
        rows = order if rows is None else rows[order]
        ordered = ordered[order]
    again = np.flatnonzero(ordered[1:] == ordered[:-1]) + 1
    if not len(again):
        return OrderedRows(ordered, rows, 0)
    rows = np.arange(len(ordered), dtype=np.int64) if rows is None else rows
    keep, collapsed = _once(ordered, rows, again, spool, lines, faults)
    return OrderedRows(ordered[keep], rows[keep], collapsed)


def _rises(closes: Int64s) -> bool:
    return bool((closes[1:] >= closes[:-1]).all())


def _once(closes: Int64s, rows: Int64s, again: Int64s, spool: Spool, lines: LineMap, faults: FaultLog) -> tuple[npt.NDArray[np.bool_], int]:
    """Return which of the ordered rows to keep, and how many were collapsed; `again` are positions that repeat the one before."""
    members = np.union1d(again - 1, again)
    is_first = np.append(True, closes[members[1:]] != closes[members[:-1]])
    group = np.cumsum(is_first) - 1
    heads = np.flatnonzero(is_first)
    files, numbers = lines.places(rows[members])
    packed = lines.packed(rows[members])

    unlike = np.zeros(len(members), dtype=np.bool_)
    for name in VALUE_COLUMNS:
        values = spool.column(name)[rows[members]]
        unlike[1:] |= (values[1:] != values[:-1]) & ~is_first[1:]
    differs = np.bincount(group, weights=unlike) > 0
    new_file = np.append(False, files[1:] != files[:-1]) & ~is_first
    across = np.bincount(group, weights=new_file) > 0

    # Each names the first copy; the first names the second.
    others = np.where(is_first, packed[np.minimum(np.arange(len(members)) + 1, len(members) - 1)], packed[heads[group]])
    repeated = ~is_first & ~differs[group] & ~new_file
    for rule, chosen in (
        (Rule.REPEATED, repeated),
        (Rule.CONFLICT, differs[group] & across[group]),
        (Rule.REPEATED_DIFFERENTLY, differs[group] & ~across[group]),
    ):
        for file in np.unique(files[chosen]):
            mine = chosen & (files == file)
            faults.add(int(file), numbers[mine], rule, "time", others[mine])
    keep = np.ones(len(closes), dtype=np.bool_)
    keep[members[~is_first | differs[group]]] = False
    return keep, int((~is_first & ~differs[group] & new_file).sum())
