"""Pictures are judged by their pixels: how much of each colour there is, beyond the legend's."""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Mapping
from itertools import combinations
from time import process_time

import numpy as np
import pytest
from PIL import Image

from market_data_pipeline.calendars import partitions_of
from market_data_pipeline.charts.coverage import coverage_png
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.coverage import Coverage

MINUTES = Series.parse("AAPL.NASDAQ-1-MINUTE-LAST-EXTERNAL")
COLOURS = {Coverage.COMPLETE: (0, 114, 178), Coverage.EMPTY: (86, 180, 233), Coverage.PARTIAL: (230, 159, 0), Coverage.MISSING: (213, 94, 0)}


def days(first: str, last: str, **other: str) -> dict[dt.date, Coverage]:
    """All sessions of a range as complete, but those named: `missing="2024-02-05 2024-02-06"`."""
    found = dict.fromkeys(partitions_of(MINUTES).dates_between(dt.date.fromisoformat(first), dt.date.fromisoformat(last)), Coverage.COMPLETE)
    for coverage, dates in other.items():
        found |= {dt.date.fromisoformat(date): Coverage(coverage) for date in dates.split()}
    return found


def pixels(png: bytes) -> dict[Coverage, int]:
    """Count pixels of each colour, give or take what saving in few colours shifts."""
    image = np.asarray(Image.open(io.BytesIO(png)).convert("RGB"), dtype=np.int16)
    return {coverage: int((np.abs(image - np.array(colour)).max(axis=2) <= 12).sum()) for coverage, colour in COLOURS.items()}


def size(png: bytes) -> tuple[int, int]:
    return Image.open(io.BytesIO(png)).size


@pytest.mark.parametrize("coverage", [Coverage.EMPTY, Coverage.PARTIAL, Coverage.MISSING])
@pytest.mark.parametrize(("first", "last", "cell"), [("2024-01-02", "2024-03-28", 467), ("2021-01-04", "2024-12-31", 186)], ids=["months", "years"])
def test_each_day_is_one_cell_of_its_colour(first: str, last: str, cell: int, coverage: Coverage) -> None:
    """Ten days of another coverage are ten cells less of the complete ones' colour; numbers of days take some of a cell."""
    ten = " ".join(f"2024-02-{day:02}" for day in (1, 2, 5, 6, 7, 8, 9, 12, 13, 14))
    plain, other = pixels(coverage_png(MINUTES, days(first, last))), pixels(coverage_png(MINUTES, days(first, last, **{coverage: ten})))
    assert 0.7 * 10 * cell < other[coverage] - plain[coverage] < 1.1 * 10 * cell
    assert 0.7 * 10 * cell < plain[Coverage.COMPLETE] - other[Coverage.COMPLETE] < 1.1 * 10 * cell


@pytest.mark.parametrize(
    ("first", "last"),
    [
        ("2024-01-02", "2024-01-02"),
        ("2024-01-02", "2024-01-31"),
        ("2023-11-15", "2024-02-15"),
        ("2022-06-01", "2024-05-31"),
        ("1995-01-03", "2024-12-31"),
    ],
    ids=["a day", "a month", "a winter", "two years", "25 years"],
)
def test_it_stays_small_and_readable(first: str, last: str) -> None:
    """At most 60 kB, and never wider than a page shows."""
    started = process_time()
    png = coverage_png(MINUTES, days(first, last, partial="2024-01-02"))
    assert process_time() - started < 8
    assert len(png) < 60_000
    assert size(png)[0] <= 1_200
    assert size(png)[1] <= 4_000


@pytest.mark.parametrize(
    "seen",
    [
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    ],
    ids=["protanopia", "deuteranopia"],
)
def test_colours_are_told_apart_by_people_who_see_red_and_green_as_one(seen: list[list[float]]) -> None:
    """Machado, Oliveira and Fernandes (2009), severity 1.0: how they see a colour, as a matrix over linear RGB."""
    linear = [np.array(colour) / 255 for colour in COLOURS.values()]
    linear = [np.where(one <= 0.04045, one / 12.92, ((one + 0.055) / 1.055) ** 2.4) for one in linear]
    theirs = [255 * np.clip(np.array(seen) @ one, 0, 1) ** (1 / 2.2) for one in linear]
    assert min(float(np.linalg.norm(one - other)) for one, other in combinations(theirs, 2)) > 40


def test_a_range_without_sessions_is_a_picture_too() -> None:
    empty: Mapping[dt.date, Coverage] = {}
    assert size(coverage_png(MINUTES, empty))[0] > 100
