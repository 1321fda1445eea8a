"""The picture of the morning, judged by its pixels."""

from __future__ import annotations

import datetime as dt

from market_data_pipeline.charts.overview import Block, overview_png
from market_data_pipeline.domain.coverage import Coverage
from market_data_pipeline_tests.charts.test_coverage import pixels, size

DAYS = [dt.date(2024, 1, 2) + dt.timedelta(days=i) for i in range(20)]


def test_each_session_is_a_cell_in_its_colour() -> None:
    whole = dict.fromkeys(DAYS, Coverage.COMPLETE)
    holed = whole | {DAYS[3]: Coverage.MISSING, DAYS[4]: Coverage.MISSING}
    legend = pixels(overview_png("", "", []))
    drawn = pixels(overview_png("", "", [Block("stocks", [("A", whole), ("B", holed)])]))
    a_cell = (drawn[Coverage.MISSING] - legend[Coverage.MISSING]) / 2
    assert a_cell > 50
    assert round((drawn[Coverage.COMPLETE] - legend[Coverage.COMPLETE]) / a_cell) == 38
    assert drawn[Coverage.PARTIAL] == legend[Coverage.PARTIAL]


def test_a_universe_without_a_session_takes_no_room() -> None:
    row = ("A", dict.fromkeys(DAYS, Coverage.COMPLETE))
    assert size(overview_png("", "", [Block("stocks", [row]), Block("new", [])])) == size(overview_png("", "", [Block("stocks", [row])]))


def test_hundred_series_fit_a_page() -> None:
    rows = [(f"S{i}", dict.fromkeys(DAYS * 3, Coverage.COMPLETE)) for i in range(30)]
    _, height = size(overview_png("", "", [Block("stocks", rows, left_out=70)]))
    assert height < 900
