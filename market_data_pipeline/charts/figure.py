"""One look for all pictures, and figures made without pyplot, whose state is global to a process."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from market_data_pipeline.domain.bar_table import Int64s

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

type Times = npt.NDArray[np.datetime64]

# Okabe and Ito's palette: told apart by people who see red and green as one.
BLUE, SKY, ORANGE, VERMILION = "#0072B2", "#56B4E9", "#E69F00", "#D55E00"
INK, FAINT, LINE = "#222222", "#8a8a8a", "#d9d9d9"


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of this size in inches, drawn by Agg."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def to_png(figure: Figure, dpi: int = 100) -> bytes:
    """Return the figure as a PNG of few colours: a third of the bytes, and lines stay smooth."""
    from PIL import Image

    raw = io.BytesIO()
    figure.savefig(raw, format="png", dpi=dpi)
    packed = io.BytesIO()
    Image.open(raw).convert("RGB").quantize(colors=128).save(packed, format="PNG", optimize=True)
    return packed.getvalue()


def title(figure: Figure, main: str, below: str) -> float:
    """Write a title and a line below it at the top left; return the height they take, in inches."""
    height = figure.get_figheight()
    figure.text(0.12 / figure.get_figwidth(), 1 - 0.12 / height, main, ha="left", va="top", fontsize=12, fontweight="bold", color=INK)
    figure.text(0.12 / figure.get_figwidth(), 1 - 0.37 / height, below, ha="left", va="top", fontsize=9, color="#555555")
    return 0.62


def plain_axes(axes: Axes) -> None:
    """Keep of the frame only what is read."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    axes.tick_params(colors="#444444", labelsize=8.5)
    axes.grid(axis="y", color=LINE, linewidth=0.6)
    axes.set_axisbelow(True)


def moments(ns: Int64s) -> Times:
    """Return UTC nanoseconds as numpy times, for matplotlib."""
    return ns.astype("datetime64[ns]")


def thinned(values: npt.NDArray[np.float64], most: int) -> Int64s:
    """Return positions to draw instead of all, at most about `most`: the lowest and highest of each stretch, so that no peak is lost."""
    count = len(values)
    if count <= most:
        return np.arange(count, dtype=np.int64)
    width = -(-2 * count // most)
    whole = values[: count // width * width].reshape(-1, width)
    starts = np.arange(len(whole), dtype=np.int64) * width
    ends = np.array([0, count - 1], dtype=np.int64)
    return np.unique(np.concatenate((ends, starts + whole.argmin(axis=1), starts + whole.argmax(axis=1))))
