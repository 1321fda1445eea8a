"""Files that cover more than one session, and sessions of several files: other programs write them, and compaction may."""

from __future__ import annotations

import pytest

from market_data_pipeline.calendars import partitions_of
from market_data_pipeline.catalog import Catalog
from market_data_pipeline.domain.bar_table import BarTable
from market_data_pipeline.domain.errors import ConflictingBars
from market_data_pipeline_tests.catalog.bar_making import (
    AAPL,
    MONDAY,
    TUESDAY,
    WEDNESDAY,
    all_bars,
    answer,
    coverages,
    empty,
    morning,
    names,
    nautilus_reads,
    put_wide,
    regular,
    store,
)

MONDAY_AND_TUESDAY = "2024-02-03T01-00-00-000000001Z_2024-02-07T01-00-00-000000000Z.parquet"


def test_a_session_inside_a_file_of_several_is_replaced_there(catalog: Catalog) -> None:
    partitions = partitions_of(AAPL)
    bars = BarTable.concatenate([regular(AAPL, date) for date in (MONDAY, TUESDAY, WEDNESDAY)])
    put_wide(catalog, bars, partitions.window(MONDAY)[0] + 1, partitions.window(WEDNESDAY)[1])
    assert coverages(catalog) == [(f"2024-02-0{day}", "complete", 390) for day in (5, 6, 7)]
    new = answer(AAPL, TUESDAY, regular(AAPL, TUESDAY, seed=9).slice(0, 300))
    store(catalog, new)
    assert len(names(catalog)) == 1
    expected = BarTable.concatenate([regular(AAPL, MONDAY), new.bars, regular(AAPL, WEDNESDAY)])
    assert all_bars(catalog).fingerprint() == expected.fingerprint()
    assert coverages(catalog) == [("2024-02-05", "complete", 390), ("2024-02-06", "complete", 300), ("2024-02-07", "complete", 390)]
    assert nautilus_reads(catalog.root) == (1080, 1080, True)
    with pytest.raises(ConflictingBars, match="only a complete session can take its place there"):
        store(catalog, morning(AAPL, TUESDAY))
    store(catalog, empty(AAPL, TUESDAY))
    assert coverages(catalog)[1] == ("2024-02-06", "empty", 0)
    assert len(all_bars(catalog)) == 780


def test_a_file_that_another_program_named_by_its_bars_is_completed(catalog: Catalog) -> None:
    """`write_data` names a file from its first close to its last, so its last session is not whole to the end of its window."""
    put_wide(catalog, BarTable.concatenate([regular(AAPL, date) for date in (MONDAY, TUESDAY)]))
    assert coverages(catalog) == [("2024-02-05", "partial", 390), ("2024-02-06", "partial", 390)]
    store(catalog, answer(AAPL, TUESDAY), answer(AAPL, MONDAY))
    assert names(catalog) == [MONDAY_AND_TUESDAY]
    assert coverages(catalog) == [("2024-02-05", "complete", 390), ("2024-02-06", "complete", 390)]
    assert nautilus_reads(catalog.root) == (780, 780, True)


def test_a_session_that_lies_in_two_wider_files_is_left_alone(catalog: Catalog) -> None:
    bars = BarTable.concatenate([regular(AAPL, date) for date in (MONDAY, TUESDAY, WEDNESDAY)])
    put_wide(catalog, bars.slice(0, 500))
    put_wide(catalog, bars.slice(500, 1170))
    assert coverages(catalog)[1] == ("2024-02-06", "partial", 390)
    before = names(catalog)
    with pytest.raises(ConflictingBars, match=r"cover more than this session, so it cannot take its place there. Nothing was changed"):
        store(catalog, answer(AAPL, TUESDAY))
    assert names(catalog) == before
    assert all_bars(catalog).fingerprint() == bars.fingerprint()


def test_parts_of_one_session_give_way_to_the_whole(catalog: Catalog) -> None:
    bars = regular(AAPL, TUESDAY)
    for start, stop in ((0, 100), (150, 250), (300, 390)):
        put_wide(catalog, bars.slice(start, stop))
    assert coverages(catalog) == [("2024-02-06", "partial", 290)]
    assert nautilus_reads(catalog.root) == (290, 290, True)
    store(catalog, answer(AAPL, TUESDAY))
    assert names(catalog) == ["2024-02-06T01-00-00-000000001Z_2024-02-07T01-00-00-000000000Z.parquet"]
    assert coverages(catalog) == [("2024-02-06", "complete", 390)]
