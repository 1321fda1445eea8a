from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from market_data_pipeline.charts.bars import bars_png
from market_data_pipeline.domain.bar_table import BarTable
from market_data_pipeline.domain.bar_types import DAY_NS, Series

MINUTES = Series.parse("AAPL.NASDAQ-1-MINUTE-LAST-EXTERNAL")
DAYS = Series.parse("EUR/USD.IDEALPRO-1-DAY-MID-EXTERNAL")
MINUTE = 60 * 10**9
OPEN = 1_704_465_000 * 10**9  # 2024-01-05 09:30 in New York
BLUE = np.array((0, 114, 178))


def bars(count: int, step: int = MINUTE, price: int = 18_000) -> BarTable:
    close = price + np.cumsum(np.random.default_rng(1).integers(-5, 6, count))
    opens = OPEN + np.arange(count, dtype=np.int64) * step
    return BarTable(close, close + 3, close - 3, close, np.ones(count, dtype=np.int64), opens, opens + step, 2, 0)


def columns_with_line(png: bytes) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Say of each column of the plot, left to right, whether the line crosses it."""
    image = np.asarray(Image.open(io.BytesIO(png)).convert("RGB"), dtype=np.int16)
    found: np.ndarray[tuple[int], np.dtype[np.bool_]] = (np.abs(image - BLUE).max(axis=2) <= 60).any(axis=0)
    return found[90:620]


@pytest.mark.parametrize(
    ("series", "table"),
    [(MINUTES, bars(1)), (MINUTES, bars(2)), (MINUTES, bars(390)), (MINUTES, bars(200_000)), (DAYS, bars(1, DAY_NS)), (DAYS, bars(5_000, DAY_NS))],
    ids=["a bar", "two bars", "a session", "years of minutes", "a day", "years of days"],
)
def test_every_range_can_be_drawn(series: Series, table: BarTable) -> None:
    png = bars_png(series, table, "America/New_York")
    assert Image.open(io.BytesIO(png)).size == (640, 270)
    assert len(png) < 30_000


def test_no_bars_is_a_picture_too() -> None:
    assert bars_png(MINUTES, BarTable.empty(2, 0)).startswith(b"\x89PNG")


def test_absent_bars_are_a_gap_in_the_line() -> None:
    """80 of 390 minutes without bars: a fifth of the width; a line there would claim prices."""
    table = bars(390)
    present = np.ones(390, dtype=np.bool_)
    present[100:180] = False
    whole, holed = (columns_with_line(bars_png(MINUTES, one, "America/New_York")) for one in (table, table.take(present)))
    assert whole.mean() > 0.97
    assert holed.mean() == pytest.approx(1 - 80 / 390, abs=0.03)
