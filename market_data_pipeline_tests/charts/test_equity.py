from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from market_data_pipeline.charts.equity import drawdown, equity_png
from market_data_pipeline.charts.figure import thinned

MINUTE = 60 * 10**9
JANUARY = 1_704_067_200 * 10**9  # 2024-01-01 UTC


def times(count: int, step: int = MINUTE) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return JANUARY + np.arange(count, dtype=np.int64) * step


def test_drawdown_is_the_distance_from_the_highest_before() -> None:
    found = drawdown(np.array([100.0, 110.0, 99.0, 104.5, 110.0, 121.0, 60.5]))
    assert found == pytest.approx([0, 0, -0.1, -0.05, 0, 0, -0.5])


@pytest.mark.parametrize("count", [1, 2, 3, 61, 301, 1_439, 10_000, 500_000])
def test_every_length_of_run_can_be_drawn(count: int) -> None:
    """Matplotlib warns, and warnings are errors here, where it finds no ticks."""
    equity = 1e6 + np.cumsum(np.random.default_rng(1).normal(0, 30, count))
    png = equity_png("cross", times(count), equity, "USD", "marked at each close")
    assert Image.open(io.BytesIO(png)).size == (900, 480)
    assert len(png) < 60_000


@pytest.mark.parametrize("equity", [[1e6, 1e6], [0.0, 0.0], [100.0, -50.0], [1e12, 2e12]], ids=["flat", "nothing", "lost more than all", "large"])
def test_odd_curves_can_be_drawn(equity: list[float]) -> None:
    assert equity_png("cross", times(2), np.array(equity), "JPY", "realised only").startswith(b"\x89PNG")


def test_a_peak_of_one_minute_is_not_thinned_away() -> None:
    values = np.zeros(500_000)
    values[123_456], values[400_001] = 5.0, -7.0
    shown = thinned(values, 3_000)
    assert len(shown) <= 3_010
    assert {123_456, 400_001, 0, 499_999} <= set(shown.tolist())
    assert np.all(np.diff(shown) > 0)
