"""Names of bar files."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market_data_pipeline.catalog.layout import CatalogLayout, file_name, interval_of, stamp_of
from market_data_pipeline.domain.errors import CorruptFile

MOMENTS = st.integers(min_value=0, max_value=4_102_444_800_000_000_000)  # 1970 to 2100
GOOD = "2024-01-05T14-31-00-000000000Z_2024-01-05T21-00-00-000000001Z.parquet"


def test_names_are_nautilus_own() -> None:
    from nautilus_trader.persistence.catalog.parquet import _parse_filename_timestamps, _timestamps_to_filename

    assert _timestamps_to_filename(1_704_465_060_000_000_000, 1_704_488_400_000_000_001) == GOOD
    assert file_name(1_704_465_060_000_000_000, 1_704_488_400_000_000_001) == GOOD
    assert _parse_filename_timestamps(GOOD) == interval_of(GOOD) == (1_704_465_060_000_000_000, 1_704_488_400_000_000_001)


@given(MOMENTS, MOMENTS)
def test_a_name_says_its_interval(one: int, other: int) -> None:
    start, end = sorted((one, other))
    assert interval_of(file_name(start, end)) == (start, end)


@given(MOMENTS, MOMENTS)
def test_stamps_sort_as_time_does(one: int, other: int) -> None:
    assert (stamp_of(one) < stamp_of(other)) is (one < other)


@pytest.mark.parametrize(
    "name",
    [
        "notes.parquet",
        GOOD.replace("-05T14", "-35T14"),
        GOOD.replace("T14-31", "T24-31"),
        GOOD.replace("2024-01-05T21", "2024-01-04T21"),
        GOOD.replace("Z_", "Z-"),
        GOOD.removesuffix(".parquet"),
        "x" + GOOD,
        GOOD.replace("2024", "２０２４"),
        "",
    ],
)
def test_other_names_say_nothing(name: str) -> None:
    assert interval_of(name) is None


def test_a_listing_takes_files_and_tells_what_nautilus_would_stop_at(tmp_path: Path) -> None:
    for name in (GOOD, "notes.parquet", "readme.txt", ".writing-17-ab"):
        (tmp_path / name).write_bytes(b"x")
    folder = GOOD.replace("2024-01-05", "2024-01-06")
    dangling = GOOD.replace("2024-01-05", "2024-01-07")
    (tmp_path / folder).mkdir()
    (tmp_path / dangling).symlink_to(tmp_path / "gone")
    os.mkfifo(tmp_path / GOOD.replace("2024-01-05", "2024-01-08"))
    listing = CatalogLayout(tmp_path).list_folder(tmp_path)
    assert [file.name for file in listing.files] == [GOOD]
    assert {path.name: reason.split(",")[0] for path, reason in listing.foreign} == {
        "notes.parquet": "its name is no pair of time stamps",
        folder: "is no regular file",
        dangling: "is no regular file",
        GOOD.replace("2024-01-05", "2024-01-08"): "is no regular file",
    }


def test_names_of_a_range_are_those_that_touch_it(tmp_path: Path) -> None:
    """Windows are (after, until]: a file that ends at `after` is outside, one that ends at `until` is inside."""
    layout = CatalogLayout(tmp_path)
    for start, end in ((1, 100), (101, 200), (201, 300)):
        (tmp_path / file_name(start, end)).touch()
    assert layout.names_between(tmp_path, 100, 200) == [file_name(101, 200)]
    assert layout.names_between(tmp_path, 99, 201) == [file_name(1, 100), file_name(101, 200), file_name(201, 300)]
    assert layout.names_between(tmp_path, 300, 400) == []
    assert layout.names_between(tmp_path / "nothing", 0, 400) == []
    (tmp_path / "notes.parquet").touch()
    with pytest.raises(CorruptFile, match=r"notes\.parquet: its name is no pair of time stamps"):
        layout.names_between(tmp_path, 300, 400)


def test_a_folder_time_is_told_once_it_cannot_be_shared(tmp_path: Path) -> None:
    """The clock behind file times ticks up to every 10 ms, so a change may bear the time of the one before."""
    from market_data_pipeline_tests.catalog.bar_making import AAPL

    layout = CatalogLayout(tmp_path)
    assert layout.settled_mtime_ns(AAPL) == 0
    folder = layout.series_folder(AAPL)
    folder.mkdir(parents=True)
    for number in range(20):
        (folder / str(number)).touch()
        settled = layout.settled_mtime_ns(AAPL)
        (folder / f"{number}-more").touch()
        assert layout.folder_mtime_ns(AAPL) != settled
    assert dt.datetime.fromtimestamp(settled / 1e9, dt.UTC).year >= 2024
