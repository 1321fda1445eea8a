"""One picture for the morning: a row a series, a cell a session, a block a universe."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from market_data_pipeline.charts.coverage import CLOSED, COLOURS, WORDS
from market_data_pipeline.charts.figure import FAINT, INK, new_figure, title, to_png
from market_data_pipeline.domain.coverage import Coverage

# More rows than that are not read; those with gaps come first.
ROWS_A_UNIVERSE = 30
_CELL, _ROW, _HEAD, _FOOT = 0.13, 0.2, 0.36, 0.28
_LEFT, _TOP, _LEGEND = 2.7, 0.7, 0.4


@dataclass(frozen=True)
class Block:
    """What is drawn of a universe.

    Attributes:
        name: Its name.
        rows: Series in words, each with the coverage of its newest sessions, oldest first; the same sessions for all.
        left_out: Series that have no row.
    """

    name: str
    rows: Sequence[tuple[str, Mapping[dt.date, Coverage]]]
    left_out: int = 0


def overview_png(heading: str, below: str, blocks: Sequence[Block]) -> bytes:
    """Return the picture of all universes."""
    from matplotlib.colors import to_rgb
    from matplotlib.patches import Rectangle

    drawn = [block for block in blocks if block.rows]
    longest = max((len(coverage) for block in drawn for _, coverage in block.rows), default=40)
    width = max(_LEFT + longest * _CELL + 0.3, 7.0)
    height = _TOP + sum(_HEAD + len(block.rows) * _ROW + _FOOT for block in drawn) + _LEGEND
    figure = new_figure(width, height)
    title(figure, heading, below)
    top = height - _TOP
    for block in drawn:
        more = f"  and {block.left_out} more series" if block.left_out else ""
        figure.text(0.12 / width, (top - 0.2) / height, f"{block.name}{more}", fontsize=9.5, fontweight="bold", color=INK, va="center")
        top -= _HEAD
        tall = len(block.rows) * _ROW
        sessions = len(block.rows[0][1])
        axes = figure.add_axes((_LEFT / width, (top - tall) / height, max(sessions, 1) * _CELL / width, tall / height))
        cells = np.array([[to_rgb(COLOURS[value]) for value in coverage.values()] or [to_rgb(CLOSED)] for _, coverage in block.rows])
        axes.pcolormesh(np.arange(cells.shape[1] + 1), np.arange(len(block.rows) + 1), cells, edgecolors="white", linewidth=0.8)
        axes.invert_yaxis()
        axes.axis("off")
        for row, (name, _) in enumerate(block.rows):
            figure.text((_LEFT - 0.1) / width, (top - (row + 0.5) * _ROW) / height, name, fontsize=8, color=INK, ha="right", va="center")
        dates = list(block.rows[0][1])
        if dates:
            first, last = (f"{date:%Y-%m-%d}" for date in (dates[0], dates[-1]))
            axes.text(0, len(block.rows) + 0.15, first, fontsize=7, color=FAINT, va="top", ha="left")
            axes.text(len(dates), len(block.rows) + 0.15, last, fontsize=7, color=FAINT, va="top", ha="right")
        top -= tall + _FOOT
    x = 0.12
    for coverage in Coverage:
        figure.add_artist(Rectangle((x / width, 0.14 / height), 0.13 / width, 0.13 / height, facecolor=COLOURS[coverage], linewidth=0))
        figure.text((x + 0.2) / width, 0.205 / height, WORDS[coverage], fontsize=8.5, color=INK, va="center_baseline")
        x += 0.42 + 0.075 * len(WORDS[coverage])
    return to_png(figure)
