from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market_data_pipeline.domain.bar_table import COLUMNS, VALUE_COLUMNS, BarTable, Int64s


def table(n: int, first: int = 0, price_precision: int = 2, size_precision: int = 0) -> BarTable:
    """Return n minute bars from minute `first` on; from minute 0, opens are 100, 101 and so on, volumes 1, 2."""
    i = np.arange(first, first + n, dtype=np.int64)
    ts = i * 60
    return BarTable(i + 100, i + 102, i + 99, i + 101, i + 1, ts, ts + 60, price_precision, size_precision)


def of_columns(columns: Sequence[Int64s], price_precision: int = 2, size_precision: int = 0) -> BarTable:
    opens, high, low, close, volume, ts_event, ts_init = columns
    return BarTable(opens, high, low, close, volume, ts_event, ts_init, price_precision, size_precision)


def changed(bars: BarTable, column: str, row: int, to: int) -> BarTable:
    columns = {name: bars.column(name).copy() for name in COLUMNS}
    columns[column][row] = to
    return of_columns(list(columns.values()))


def test_an_empty_table_has_no_bars_but_a_precision() -> None:
    empty = BarTable.empty(5, 2)
    assert len(empty) == 0
    assert (empty.price_precision, empty.size_precision) == (5, 2)
    assert empty.is_ordered()
    assert all(empty.column(name).dtype == np.int64 for name in COLUMNS)
    assert len(empty.fingerprint()) == 32


def test_a_slice_copies_nothing_and_keeps_the_precision() -> None:
    bars = table(10, price_precision=4)
    part = bars.slice(2, 5)
    assert part.open.tolist() == [102, 103, 104]
    assert part.volume.tolist() == [3, 4, 5]
    assert part.price_precision == 4
    assert all(np.shares_memory(part.column(name), bars.column(name)) for name in COLUMNS)


def test_rows_are_taken_by_position_or_by_mask() -> None:
    bars = table(4)
    assert bars.take(np.array([3, 0])).open.tolist() == [103, 100]
    assert bars.take(np.array([False, True, True, False])).ts_init.tolist() == [120, 180]


def test_between_takes_closes_after_the_start_up_to_the_end() -> None:
    bars = table(5)  # closes 60, 120, 180, 240, 300
    assert bars.between(60, 180).ts_init.tolist() == [120, 180]
    assert bars.between(59, 60).ts_init.tolist() == [60]
    assert bars.between(300, 900).ts_init.tolist() == []
    assert bars.between(-1, 10_000).ts_init.tolist() == [60, 120, 180, 240, 300]


@given(st.lists(st.integers(0, 8), max_size=6))
def test_pieces_joined_are_the_whole(cuts: list[int]) -> None:
    bars = table(8)
    edges = [0, *sorted(cuts), 8]
    pieces = [bars.slice(start, stop) for start, stop in pairwise(edges)]
    joined = BarTable.concatenate(pieces)
    assert joined.fingerprint() == bars.fingerprint()


def test_tables_of_other_precision_are_not_joined() -> None:
    with pytest.raises(ValueError, match=r"different precisions cannot be joined: \[\(2, 0\), \(4, 0\)\]"):
        BarTable.concatenate([table(2), table(2, first=2, price_precision=4)])
    with pytest.raises(ValueError, match="different precisions"):
        BarTable.concatenate([table(2), table(2, first=2, size_precision=1)])
    with pytest.raises(ValueError, match="no tables to join"):
        BarTable.concatenate([])


def test_order_means_strictly_rising_closes_and_opens() -> None:
    bars = table(4)
    assert bars.is_ordered()
    assert not bars.take(np.array([0, 1, 1, 2])).is_ordered()
    assert not bars.take(np.array([0, 2, 1])).is_ordered()
    assert not changed(bars, "ts_event", 2, 60).is_ordered()
    assert not changed(bars, "ts_init", 2, 120).is_ordered()
    assert bars.slice(0, 1).is_ordered()


@pytest.mark.parametrize("name", VALUE_COLUMNS)
def test_same_values_looks_at_every_price_and_the_volume(name: str) -> None:
    bars = table(3)
    assert bars.same_values(changed(bars, name, 1, -7)).tolist() == [True, False, True]


@pytest.mark.parametrize("name", ["ts_event", "ts_init"])
def test_same_values_does_not_look_at_times(name: str) -> None:
    bars = table(3)
    assert bars.same_values(changed(bars, name, 1, -7)).all()


@pytest.mark.parametrize("name", COLUMNS)
def test_the_fingerprint_changes_with_any_value(name: str) -> None:
    bars = table(3)
    assert changed(bars, name, 1, -7).fingerprint() != bars.fingerprint()


def test_the_fingerprint_changes_with_precision_order_and_length() -> None:
    bars = table(3)
    others = [table(3, price_precision=3), table(3, size_precision=1), bars.take(np.array([1, 0, 2])), bars.slice(0, 2), BarTable.empty(2, 0)]
    assert len({other.fingerprint() for other in (bars, *others)}) == 6


def test_the_fingerprint_does_not_depend_on_how_arrays_lie_in_memory() -> None:
    bars = table(6)
    spread = np.stack([bars.column(name) for name in COLUMNS], axis=1)
    strided = of_columns(list(spread.T))
    assert not strided.open.flags.c_contiguous
    assert strided.fingerprint() == bars.fingerprint()
    assert bars.slice(2, 4).fingerprint() == table(2, first=2).fingerprint()


def test_the_fingerprint_stays_the_same_from_release_to_release() -> None:
    """Ledgers and backtest passports keep it. blake2b, 16 bytes, of "2,0,1" and the seven values as little-endian int64, by hand with hashlib."""
    bars = of_columns([np.array([value]) for value in (18_542, 18_560, 18_540, 18_555, 1_200, 0, 60)])
    content = b"2,0,1" + b"".join(value.to_bytes(8, "little") for value in (18_542, 18_560, 18_540, 18_555, 1_200, 0, 60))
    assert bars.fingerprint() == hashlib.blake2b(content, digest_size=16).hexdigest()


def test_floats_are_for_charts() -> None:
    bars = of_columns([np.array([value]) for value in (18_542, 18_560, 18_540, 18_555, 125, 0, 60)], size_precision=1)
    assert bars.floats("open").tolist() == [185.42]
    assert bars.floats("volume").tolist() == [12.5]
    whole = table(1, price_precision=0)
    assert whole.floats("close").tolist() == [101.0]
