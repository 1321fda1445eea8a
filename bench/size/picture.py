"""Draws how costs grow with the number of symbols."""

from __future__ import annotations

from bench.report import as_text
from bench.size.growth import Growth
from market_data_pipeline.charts.figure import BLUE, FAINT, INK, LINE, ORANGE, SKY, VERMILION, new_figure, plain_axes, title, to_png

_COLOURS = (BLUE, VERMILION, ORANGE, SKY, "#009E73", "#CC79A7")  # Okabe and Ito's palette
_WIDTH, _HEIGHT = 9.0, 5.2
# Names at the ends of lines keep this part of the axis between them.
_APART = 0.045


def draw(grown: Growth) -> bytes:
    """Return a PNG: seconds over symbols, both logarithmic, a line for each piece of work, named at its end."""
    figure = new_figure(_WIDTH, _HEIGHT)
    below = f"A year of minutes each ({grown.sessions} sessions, {grown.bars:,} bars); seconds and symbols on logarithmic scales"
    if grown.sessions < 200:
        below = f"Minutes of {grown.sessions} sessions each ({grown.bars:,} bars); seconds and symbols on logarithmic scales"
    top = title(figure, "What a growing catalog costs", below)
    axes = figure.add_axes((0.08, 0.11, 0.56, 1 - top / _HEIGHT - 0.14))
    plain_axes(axes)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.grid(axis="both", color=LINE, linewidth=0.6)
    axes.set_xticks(grown.sizes, [f"{size:,}" for size in grown.sizes])
    axes.minorticks_off()
    axes.yaxis.set_major_formatter(lambda seconds, _: f"{seconds * 1_000:g} ms" if seconds < 1 else f"{seconds:g} s")
    axes.set_xlabel("symbols", color="#444444", fontsize=9)
    every = [one for seconds in grown.seconds.values() for one in seconds]
    ends = _apart({work: seconds[-1] for work, seconds in grown.seconds.items()}, (max(every) / min(every)) ** _APART)
    for colour, (work, seconds) in zip(_COLOURS, grown.seconds.items(), strict=True):
        axes.plot(grown.sizes, seconds, color=colour, marker="o", markersize=4.5, linewidth=1.8)
        axes.annotate(
            f"{work}: {as_text(seconds[-1])}",
            (grown.sizes[-1], seconds[-1]),
            (grown.sizes[-1] * 1.12, ends[work]),
            color=INK,
            fontsize=8.5,
            va="center",
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 1.2},
        )
    low, high = axes.get_ylim()
    start = min(seconds[0] for seconds in grown.seconds.values()) * 1.6
    proportional = [start * size / grown.sizes[0] for size in grown.sizes]
    axes.plot(grown.sizes, proportional, color=FAINT, linestyle=(0, (4, 4)), linewidth=1.0, zorder=0)
    axes.annotate(
        "proportional", (grown.sizes[0] * 1.25, proportional[0] * 1.25), color=FAINT, fontsize=8, va="top", xytext=(6, -4), textcoords="offset points"
    )
    axes.set_ylim(low, high)
    return to_png(figure)


def _apart(ends: dict[str, float], times: float) -> dict[str, float]:
    """Return where to write names: at their values, and each at least so many times as high as the one below."""
    placed: dict[str, float] = {}
    lowest = 0.0
    for work in sorted(ends, key=ends.__getitem__):
        lowest = max(ends[work], lowest * times)
        placed[work] = lowest
    return placed
