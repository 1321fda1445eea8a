"""What a sweep found: a line over one setting, a heat map over two, several maps over three; of more, the two that matter most."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from textwrap import fill, wrap
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from market_data_pipeline.charts.figure import BLUE, FAINT, INK, VERMILION, new_figure, plain_axes, title, to_png

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage
    from matplotlib.patches import Rectangle

type Setting = bool | int | float | str
type Point = tuple[Mapping[str, Setting], float | None]
type Cells = npt.NDArray[np.float64]

_MOST_MAPS = 6
_MOST_CELLS_WITH_NUMBERS = 150
_MOST_LABELS = 24
_LETTERS_AN_INCH = 13.5


@dataclass(frozen=True)
class _Map:
    """One heat map: what stands above it, and cells of shape (rows, columns); NaN where nothing finished."""

    heading: str
    cells: Cells


def sweep_png(name: str, grid: Mapping[str, Sequence[Setting]], points: Sequence[Point], span: str) -> bytes:
    """Return the picture of a sweep by the change of equity.

    Args:
        name: Of the sweep.
        grid: Settings and their values, as given.
        points: Each combination, with the change of equity as a share; None where it has not finished.
        span: First and last session, for the line below the title.
    """
    varied = [one for one, values in grid.items() if len(values) > 1] or [*grid][:1]
    finished = [value for _, value in points if value is not None]
    best = max(finished, default=None)
    said = f"{span}; {len(finished):,} of {len(points):,} combinations finished"
    if best is not None:
        settings = next(values for values, value in points if value == best)
        said += f"; best {best:+.2%} with {', '.join(f'{one} {settings[one]}' for one in varied)}"
    if len(varied) == 1:
        return to_png(_line(name, varied[0], grid[varied[0]], points, said))
    if len(varied) == 3 and min(len(grid[one]) for one in varied) <= _MOST_MAPS:
        apart = min(varied, key=lambda one: len(grid[one]))
        down, across = (one for one in varied if one != apart)
        maps = [
            _Map(f"{apart} {value}", _cells(grid, down, across, [point for point in points if point[0][apart] == value])) for value in grid[apart]
        ]
    else:
        down, across = _strongest(varied, grid, points)
        maps = [_Map("", _cells(grid, down, across, points))]
        if len(varied) > 2:
            said += f"; each cell is the best over {', '.join(one for one in varied if one not in (down, across))}"
    return to_png(_maps(name, said, (down, grid[down]), (across, grid[across]), maps))


def _line(name: str, setting: str, values: Sequence[Setting], points: Sequence[Point], said: str) -> Figure:
    figure = new_figure(9, 4.4)
    top = title(figure, f"{name}: change of equity by {setting}", fill(said, int(9 * _LETTERS_AN_INCH))) + _more_lines(said, 9)
    axes = figure.subplots()
    figure.subplots_adjust(left=0.09, right=0.97, top=1 - top / 4.4 - 0.03, bottom=0.13)
    found = {values[setting]: value for values, value in points}
    numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    order = sorted(values, key=float) if numeric else [*values]
    at = np.array([float(value) for value in order]) if numeric else np.arange(len(order), dtype=float)
    heights = np.array([math.nan if (value := found.get(one)) is None else value for one in order])
    axes.axhline(0, color=FAINT, linewidth=0.8, linestyle=(0, (4, 3)))
    axes.plot(at, heights, color=BLUE, linewidth=1.2 if numeric else 0, marker="o", markersize=5)
    for place in at[np.isnan(heights)]:
        axes.axvline(place, color=VERMILION, linewidth=1, linestyle=":")
    if not np.isnan(heights).all():
        best = int(np.nanargmax(heights))
        axes.plot(at[best], heights[best], marker="o", markersize=11, markerfacecolor="none", markeredgecolor=INK, linewidth=0)
    if len(order) <= _MOST_LABELS:
        axes.set_xticks(at, [str(value) for value in order])
    axes.set_xlabel(f"{setting}{'   (dotted: not finished)' if np.isnan(heights).any() else ''}", fontsize=9)
    axes.yaxis.set_major_formatter(_percent(float(np.nanmax(np.abs(heights))) if not np.isnan(heights).all() else 0.0))
    plain_axes(axes)
    return figure


def _maps(name: str, said: str, down: tuple[str, Sequence[Setting]], across: tuple[str, Sequence[Setting]], maps: Sequence[_Map]) -> Figure:
    rows, columns = len(down[1]), len(across[1])
    beside = min(len(maps), 3 if columns <= 6 else 2)
    stacked = -(-len(maps) // beside)
    panel_width, panel_height = min(max(0.72 * columns, 2.6), 9.0), min(max(0.42 * rows, 1.5), 6.0)
    left, bottom, gap, bar = 1.1, 0.65, 0.55, 1.1
    heading = 0.3 if len(maps) > 1 else 0.0
    width = max(left + beside * panel_width + (beside - 1) * gap + bar, 8.0)
    top = 0.75 + _more_lines(said, width)
    height = top + stacked * (panel_height + heading) + (stacked - 1) * gap + bottom
    figure = new_figure(width, height)
    title(figure, f"{name}: change of equity", fill(said, int(width * _LETTERS_AN_INCH)))
    norm, best = _colours(maps)
    image: AxesImage | None = None
    for i, one in enumerate(maps):
        x = left + (i % beside) * (panel_width + gap)
        y = height - top - (i // beside + 1) * (panel_height + heading) - (i // beside) * gap
        axes = figure.add_axes((x / width, y / height, panel_width / width, panel_height / height))
        image = _draw(axes, one, down, across, norm, best)
        if i % beside == 0:
            axes.set_ylabel(down[0], fontsize=9)
        if i // beside == stacked - 1 or i + beside >= len(maps):
            axes.set_xlabel(across[0], fontsize=9)
    assert image is not None
    right = left + beside * panel_width + (beside - 1) * gap + 0.25
    scale = figure.colorbar(image, cax=figure.add_axes((right / width, bottom / height, 0.18 / width, (height - top - bottom - heading) / height)))
    scale.ax.yaxis.set_major_formatter(_percent(float(norm.vmax or 0)))
    scale.ax.tick_params(labelsize=8, colors="#444444")
    return figure


def _draw(
    axes: Axes, one: _Map, down: tuple[str, Sequence[Setting]], across: tuple[str, Sequence[Setting]], norm: Normalize, best: float
) -> AxesImage:
    # Red to blue over white: told apart by people who see red and green as one.
    image = axes.imshow(one.cells, cmap="RdBu", norm=norm, aspect="auto")
    axes.set_facecolor("#eeeeee")
    for axis, values in ((axes.xaxis, across[1]), (axes.yaxis, down[1])):
        step = -(-len(values) // _MOST_LABELS)
        axis.set_ticks(range(0, len(values), step), [str(value) for value in values[::step]])
    axes.tick_params(labelsize=8.5, length=0, colors="#444444")
    axes.spines[:].set_visible(False)
    if one.heading:
        axes.set_title(one.heading, fontsize=9, color=INK, loc="left")
    numbers = one.cells.size <= _MOST_CELLS_WITH_NUMBERS
    for (row, column), value in np.ndenumerate(one.cells):
        if math.isnan(value):
            axes.text(column, row, "×", ha="center", va="center", fontsize=9, color=FAINT)
            continue
        if numbers:
            dark = abs(float(norm(value)) - 0.5) > 0.32
            axes.text(column, row, _share(value, float(norm.vmax or 0)), ha="center", va="center", fontsize=8, color="white" if dark else INK)
        if value == best:
            axes.add_patch(_outline(column, row))
    return image


def _outline(column: int, row: int) -> Rectangle:
    from matplotlib.patches import Rectangle

    return Rectangle((column - 0.47, row - 0.47), 0.94, 0.94, fill=False, edgecolor=INK, linewidth=1.8)


def _colours(maps: Sequence[_Map]) -> tuple[Normalize, float]:
    """Return colours that are white at no change, and the best value."""
    from matplotlib.colors import Normalize

    every = np.concatenate([one.cells.ravel() for one in maps])
    known = every[~np.isnan(every)]
    furthest = float(np.abs(known).max()) if len(known) else 0.0
    return Normalize(-(furthest or 0.01), furthest or 0.01), float(known.max()) if len(known) else math.nan


def _cells(grid: Mapping[str, Sequence[Setting]], down: str, across: str, points: Sequence[Point]) -> Cells:
    """Return the best value of each pair of settings; NaN where nothing finished."""
    cells = np.full((len(grid[down]), len(grid[across])), math.nan)
    rows, columns = ({_key(value): i for i, value in enumerate(grid[one])} for one in (down, across))
    for values, value in points:
        if value is not None:
            at = rows[_key(values[down])], columns[_key(values[across])]
            cells[at] = value if math.isnan(cells[at]) else max(cells[at], value)
    return cells


def _key(value: Setting) -> tuple[str, Setting]:
    """Return what tells values apart: True equals 1 in Python."""
    return type(value).__name__, value


def _strongest(varied: Sequence[str], grid: Mapping[str, Sequence[Setting]], points: Sequence[Point]) -> tuple[str, str]:
    """Return the two settings whose values make the largest difference on average, in the grid's order."""
    if len(varied) == 2:
        return varied[0], varied[1]

    def spread(setting: str) -> float:
        means = [np.mean(found) for value in grid[setting] if (found := [v for at, v in points if at[setting] == value and v is not None])]
        return float(np.ptp(means)) if means else 0.0

    first, second = sorted(sorted(varied, key=spread, reverse=True)[:2], key=[*grid].index)
    return first, second


def _share(value: float, furthest: float) -> str:
    """Return a share with as many decimals as tell neighbours apart, where the furthest from 0 is `furthest`."""
    decimals = 1 if furthest >= 0.02 else 2 if furthest >= 0.002 else 3
    return f"{value:+.{decimals}%}" if round(value, decimals + 2) else f"{0:.{decimals}%}"


def _percent(furthest: float) -> Callable[[float, float], str]:
    return lambda value, _: _share(value, furthest)


def _more_lines(said: str, width: float) -> float:
    """Return the inches that a text takes beyond its first line, in a figure of this width."""
    return 0.17 * (len(wrap(said, int(width * _LETTERS_AN_INCH))) - 1)
