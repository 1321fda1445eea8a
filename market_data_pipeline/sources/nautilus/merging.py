"""Bars of several files into one row each: the same twice is a duplicate, two values for one bar are a conflict."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np

from market_data_pipeline.domain.bar_table import BarTable, Int64s

_EXAMPLES = 200


class Order(StrEnum):
    """Which of two files is believed where they contradict each other. In one file the row further down counts as the newer."""

    NEWEST = "newest-file"
    OLDEST = "oldest-file"


@dataclass(frozen=True)
class BarConflict:
    """Two values for one bar.

    Attributes:
        ts_event: The bar's open, nanoseconds since 1970 UTC.
        kept: The bar as it is taken, in a table of one row.
        kept_file: The file that has it so.
        other: The bar as it is left out.
        other_file: The file that has it so.
    """

    ts_event: int
    kept: BarTable
    kept_file: Path
    other: BarTable
    other_file: Path


@dataclass(frozen=True)
class Merged:
    """What several files hold together.

    Attributes:
        bars: One row a bar, ordered.
        duplicates_inside: Rows left out because the same file has the same bar with the same values.
        duplicates_across: Rows left out because another file has it so.
        dropped: Rows left out because another row has other values for the bar.
        conflicts: Some of those.
    """

    bars: BarTable
    duplicates_inside: int
    duplicates_across: int
    dropped: int
    conflicts: tuple[BarConflict, ...]


def merge(bars: BarTable, files: Int64s, paths: list[Path], order: Order) -> Merged:
    """Merge rows.

    Args:
        bars: The rows of all files, in any order, in each file as they stand in it.
        files: Of which file each row is, shape (n,): a number that is higher for the newer file.
        paths: The files by number.
        order: Which of two files is believed.
    """
    if not len(bars):
        return Merged(bars, 0, 0, 0, ())
    # The last row of each bar is the one that is taken.
    age = np.arange(len(bars), dtype=np.int64)
    by = (age, files, bars.ts_init) if order is Order.NEWEST else (-age, -files, bars.ts_init)
    index = np.lexsort(by)
    stamps = bars.ts_init[index]
    is_last = np.append(np.diff(stamps) != 0, True)
    winner_of = index[is_last][np.cumsum(np.append(False, is_last[:-1]))]
    if is_last.all():
        return Merged(bars.take(index), 0, 0, 0, ())
    same = bars.take(index).same_values(bars.take(winner_of))
    dropped = np.flatnonzero(~same)
    # Of the rows that agree with the winner, those of one file stand together.
    group = np.cumsum(np.append(False, is_last[:-1]))[same]
    of_file = files[index][same]
    inside = int(((np.diff(group) == 0) & (np.diff(of_file) == 0)).sum())
    across = int(same.sum() - is_last.sum()) - inside
    examples = tuple(
        BarConflict(
            int(bars.ts_event[index[i]]),
            bars.slice(int(winner_of[i]), int(winner_of[i]) + 1),
            paths[int(files[winner_of[i]])],
            bars.slice(int(index[i]), int(index[i]) + 1),
            paths[int(files[index[i]])],
        )
        for i in dropped[:_EXAMPLES]
    )
    return Merged(bars.take(index[is_last]), inside, across, len(dropped), examples)
