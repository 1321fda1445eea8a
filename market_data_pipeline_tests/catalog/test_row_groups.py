"""Row groups of files of many sessions: which are read for a range, and how damaged bounds are doubted."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from market_data_pipeline.calendars import partitions_of
from market_data_pipeline.catalog.bar_format import encode, to_parquet, to_parquet_of_sessions
from market_data_pipeline.catalog.row_groups import ends_of_groups, groups_between, holds_whole_sessions
from market_data_pipeline.domain.bar_table import BarTable
from market_data_pipeline_tests.catalog.bar_making import AAPL, CENTS, regular

WEEKS = partitions_of(AAPL).dates_between(dt.date(2024, 2, 1), dt.date(2024, 2, 16))
"""12 sessions of 390 minutes."""


@pytest.fixture(scope="module")
def bars() -> BarTable:
    """Their bars."""
    return BarTable.concatenate([regular(AAPL, date) for date in WEEKS])


def metadata_of(lows: list[int], highs: list[int]) -> pq.FileMetaData:
    """Return what a footer says of bounds, as far as anybody asks."""

    def group(i: int) -> SimpleNamespace:
        return SimpleNamespace(column=lambda _: SimpleNamespace(statistics=SimpleNamespace(has_min_max=True, min=lows[i], max=highs[i])))

    return cast(pq.FileMetaData, SimpleNamespace(num_row_groups=len(lows), row_group=group))


def test_a_group_ends_with_a_session_and_holds_a_thousand_bars(bars: BarTable) -> None:
    assert list(ends_of_groups(bars, partitions_of(AAPL))) == [1170, 2340, 3510, 4680]
    assert list(ends_of_groups(bars.slice(0, 1600), partitions_of(AAPL))) == [1170, 1600]
    assert list(ends_of_groups(bars.slice(0, 0), partitions_of(AAPL))) == []


def test_bars_read_back_and_only_stamps_have_bounds(bars: BarTable) -> None:
    content = to_parquet_of_sessions(bars, AAPL, partitions_of(AAPL))
    file = pq.ParquetFile(pa.BufferReader(content))
    assert file.metadata.num_row_groups == 4
    assert file.read().equals(encode(bars, AAPL))
    with_bounds = [file.schema_arrow.names[i] for i in range(7) if file.metadata.row_group(0).column(i).statistics is not None]
    assert with_bounds == ["ts_init"]


def test_only_a_compaction_says_that_its_sessions_are_whole(bars: BarTable) -> None:
    for some in (bars, bars.slice(0, 0)):
        assert holds_whole_sessions(to_parquet_of_sessions(some, AAPL, partitions_of(AAPL)).to_pybytes())
        assert not holds_whole_sessions(to_parquet(encode(some, AAPL)).to_pybytes())


@pytest.mark.parametrize(
    ("after", "until", "groups"),
    [(0, 99, [0]), (99, 100, [0]), (100, 120, [0]), (120, 121, [0, 1]), (149, 199, [0, 1]), (200, 250, [1]), (250, 400, [1, 2]), (399, 900, [2])],
)
def test_the_time_between_two_groups_is_looked_for_in_both(after: int, until: int, groups: list[int]) -> None:
    assert groups_between(metadata_of([100, 200, 300], [120, 250, 400]), after, until) == groups


def test_all_groups_are_read_where_bounds_say_nothing() -> None:
    assert groups_between(metadata_of([100, 200, 300], [120, 250, 400]), 0, 1_000) is None
    assert groups_between(metadata_of([100], [120]), 110, 115) is None
    assert groups_between(metadata_of([100, 90, 300], [120, 250, 400]), 200, 210) is None


def test_no_single_damaged_bound_hides_a_bar() -> None:
    """Each bound in turn takes each other value; a bar of each close must still be looked for in its own group."""
    lows, highs = [10, 20, 30], [15, 25, 35]
    for which in range(6):
        for wrong in range(60):
            bounds = [lows.copy(), highs.copy()]
            bounds[which // 3][which % 3] = wrong
            for group in range(3):
                for close in range(lows[group], highs[group] + 1):
                    found = groups_between(metadata_of(*bounds), close - 1, close)
                    assert found is None or group in found, (which, wrong, close)


def test_a_range_is_read_as_from_the_whole_file(bars: BarTable, tmp_path: Path) -> None:
    from market_data_pipeline.catalog.bar_format import decode, table_in

    content = to_parquet_of_sessions(bars, AAPL, partitions_of(AAPL)).to_pybytes()
    rng = np.random.default_rng(7)
    for _ in range(40):
        after, until = np.sort(rng.choice(bars.ts_init, 2, replace=False)).tolist()
        found = decode(table_in(content, tmp_path, AAPL, CENTS, (after, until)), CENTS).between(after, until)
        assert found.fingerprint() == bars.between(after, until).fingerprint()
