from __future__ import annotations

import io
import itertools
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest
from PIL import Image

from market_data_pipeline.charts.sweep import sweep_png

Grid = Mapping[str, Sequence[bool | int | float | str]]

ONE: Grid = {"fast": [5, 10, 20]}
TWO: Grid = {"fast": [5, 10, 20], "slow": [50, 100]}
THREE: Grid = {**TWO, "allow_short": [True, False]}
FOUR: Grid = {**THREE, "size": [1, 2]}


def drawn(grid: Grid, change: Callable[..., float | None]) -> Image.Image:
    points = [(dict(zip(grid, values, strict=True)), change(*values)) for values in itertools.product(*grid.values())]
    return Image.open(io.BytesIO(sweep_png("cross", grid, points, "2024-01-02 to 2024-03-28"))).convert("RGB")


def blueish(picture: Image.Image) -> int:
    """Return how many pixels are clearly blue: cells, lines and points of gains."""
    red, _, blue = np.asarray(picture).astype(int).transpose(2, 0, 1)
    return int((blue - red > 60).sum())


def reddish(picture: Image.Image) -> int:
    """Return how many pixels are clearly red: cells of losses."""
    red, _, blue = np.asarray(picture).astype(int).transpose(2, 0, 1)
    return int((red - blue > 60).sum())


@pytest.mark.parametrize("grid", [TWO, THREE, FOUR])
def test_gains_are_blue_and_losses_red(grid: Grid) -> None:
    gains, losses = drawn(grid, lambda *values: 0.05), drawn(grid, lambda *values: -0.05)
    # The scale beside the map shows both.
    assert blueish(gains) > 4 * blueish(losses) > 0
    assert reddish(losses) > 4 * reddish(gains) > 0


def test_three_settings_are_maps_side_by_side_and_four_are_one() -> None:
    two, three, four = (drawn(grid, lambda *values: 0.01 * values[0]) for grid in (TWO, THREE, FOUR))
    assert blueish(three) > 1.5 * blueish(two)
    assert blueish(four) < blueish(three)


def test_one_setting_is_a_line() -> None:
    picture = drawn(ONE, lambda fast: 0.001 * fast)
    assert 100 < blueish(picture) < 5_000


@pytest.mark.parametrize("grid", [ONE, TWO, THREE, FOUR, {"fast": [5]}, {"name": ["a", "b"]}])
def test_a_sweep_of_which_nothing_or_little_finished_has_a_picture_too(grid: Grid) -> None:
    for change in (lambda *_: None, lambda first, *_: 0.0 if first in (5, "a") else None):
        assert drawn(grid, change).width >= 800
