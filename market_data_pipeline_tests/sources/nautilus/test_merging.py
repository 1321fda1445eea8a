"""Merging rows against a dictionary filled by hand, row after row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market_data_pipeline.domain.bar_table import BarTable
from market_data_pipeline.sources.nautilus.merging import Order, merge
from market_data_pipeline_tests.catalog.bar_making import MINUTE

Row = tuple[int, int, int]  # minute, close, file
FILES = [Path("oldest"), Path("middle"), Path("newest")]
rows = st.lists(st.tuples(st.integers(0, 6), st.integers(1, 3), st.integers(0, 2)), max_size=40)


def table(found: list[Row]) -> tuple[BarTable, np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """Return rows as a table, each file in one piece, as files are read."""
    ordered = sorted(found, key=lambda row: row[2])  # stable: rows of a file stay in their order
    minutes, closes, files = (np.array([row[i] for row in ordered], dtype=np.int64) for i in range(3))
    same = np.full(len(ordered), 5, dtype=np.int64)
    return BarTable(same, same, same, closes, same, minutes * MINUTE, (minutes + 1) * MINUTE, 2, 0), files


@pytest.mark.parametrize("order", list(Order))
@given(found=rows)
def test_every_row_is_kept_or_counted_once(order: Order, found: list[Row]) -> None:
    bars, files = table(found)
    sequence = sorted(found, key=lambda row: row[2])
    kept = {minute: close for minute, close, _ in (sequence if order is Order.NEWEST else reversed(sequence))}
    equal = [(minute, file) for minute, close, file in sequence if kept[minute] == close]
    inside = len(equal) - len(set(equal))
    across = len(set(equal)) - len(kept)
    merged = merge(bars, files, FILES, order)
    assert dict(zip((merged.bars.ts_event // MINUTE).tolist(), merged.bars.close.tolist(), strict=True)) == kept
    assert len(merged.bars) == len(kept)
    assert not len(merged.bars) or merged.bars.is_ordered()
    assert (merged.duplicates_inside, merged.duplicates_across, merged.dropped) == (inside, across, len(found) - len(equal))
    assert len(merged.conflicts) == merged.dropped
    for conflict in merged.conflicts:
        assert int(conflict.kept.close[0]) == kept[conflict.ts_event // MINUTE] != int(conflict.other.close[0])
