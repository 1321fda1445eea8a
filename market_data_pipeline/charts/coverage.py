"""A calendar of what is stored of a series: a cell a day, a block a month or a row a year."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import TYPE_CHECKING

from market_data_pipeline.charts.figure import BLUE, FAINT, INK, LINE, ORANGE, SKY, VERMILION, new_figure, title, to_png
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.coverage import Coverage

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Longer ranges get a row a year.
_LONGEST_IN_MONTHS = 731
_MONTHS_A_ROW = 6
CLOSED = "#f1f1f1"
COLOURS = {
    Coverage.COMPLETE: BLUE,
    Coverage.EMPTY: SKY,
    Coverage.PARTIAL: ORANGE,
    Coverage.MISSING: VERMILION,
}
WORDS = {
    Coverage.COMPLETE: "complete",
    Coverage.EMPTY: "empty (asked, no bars)",
    Coverage.PARTIAL: "partial",
    Coverage.MISSING: "missing",
}


def coverage_png(series: Series, coverage: Mapping[dt.date, Coverage]) -> bytes:
    """Return the calendar picture of a series.

    Args:
        series: The series.
        coverage: Coverage of every session of its calendar in the range to show; other days of the range are drawn as closed.
    """
    name = series.bar_type.removesuffix("-EXTERNAL")
    if not coverage:
        figure = new_figure(6, 1.2)
        title(figure, name, "no sessions in this range")
        return to_png(figure)
    first, last = min(coverage), max(coverage)
    counts = {one: sum(value is one for value in coverage.values()) for one in Coverage}
    told = ", ".join(f"{counts[one]:,} {one}" for one in Coverage if counts[one])
    below = f"{first} to {last}: {len(coverage):,} session{'s' if len(coverage) > 1 else ''}, {told}"
    if (last - first).days < _LONGEST_IN_MONTHS:
        figure = _months(first, last, coverage, (name, below), counts)
    else:
        figure = _years(first, last, coverage, (name, below), counts)
    return to_png(figure)


def _days(first: dt.date, last: dt.date) -> list[dt.date]:
    return [first + dt.timedelta(days=i) for i in range((last - first).days + 1)]


def _colour(day: dt.date, coverage: Mapping[dt.date, Coverage]) -> str:
    return COLOURS[coverage[day]] if day in coverage else CLOSED


def _months(first: dt.date, last: dt.date, coverage: Mapping[dt.date, Coverage], words: tuple[str, str], counts: Mapping[Coverage, int]) -> Figure:
    """Draw a block a month, weeks as rows from Monday to Sunday, with the day's number in its cell."""
    months = sorted({(day.year, day.month) for day in _days(first, last)})
    columns = min(len(months), _MONTHS_A_ROW)
    rows = -(-len(months) // columns)
    cell, gap, head = 0.235, 0.28, 0.56
    block_width, block_height = 7 * cell + gap, 6 * cell + head
    width = max(columns * block_width + 0.15, 6.4)
    height = 0.7 + rows * block_height + 0.42
    figure = new_figure(width, height)
    title(figure, *words)
    for i, (year, month) in enumerate(months):
        left = 0.12 + (i % columns) * block_width
        top = height - 0.7 - (i // columns) * block_height
        axes = figure.add_axes((left / width, (top - block_height) / height, 7 * cell / width, block_height / height))
        axes.set_xlim(0, 7)
        axes.set_ylim(block_height / cell, 0)
        axes.axis("off")
        axes.text(0, 0.62, f"{dt.date(year, month, 1):%B %Y}", fontsize=9, fontweight="bold", color=INK, va="center")
        for weekday, letter in enumerate("MTWTFSS"):
            axes.text(weekday + 0.5, 1.38, letter, fontsize=6.5, color=FAINT, ha="center", va="center")
        _draw_month(axes, [day for day in _days(first, last) if (day.year, day.month) == (year, month)], coverage)
    _legend(figure, counts, width, height)
    return figure


def _draw_month(axes: Axes, days: list[dt.date], coverage: Mapping[dt.date, Coverage]) -> None:
    from matplotlib.patches import Rectangle

    offset = days[0].replace(day=1).weekday()
    for day in days:
        week, weekday = divmod(day.day - 1 + offset, 7)
        open_ = day in coverage
        axes.add_patch(Rectangle((weekday + 0.04, 1.78 + week + 0.04), 0.92, 0.92, facecolor=_colour(day, coverage), linewidth=0))
        axes.text(weekday + 0.5, 1.78 + week + 0.52, str(day.day), fontsize=6.5, ha="center", va="center", color="white" if open_ else "#b5b5b5")


def _years(first: dt.date, last: dt.date, coverage: Mapping[dt.date, Coverage], words: tuple[str, str], counts: Mapping[Coverage, int]) -> Figure:
    """Draw a row a year, a column a week and weekdays below each other, with lines between months."""
    years = list(range(first.year, last.year + 1))
    cell, gap = 0.155, 0.16
    row_height = 7 * cell + gap
    width = 0.62 + 53.4 * cell + 0.15
    height = 0.7 + 0.22 + len(years) * row_height + 0.42
    figure = new_figure(width, height)
    title(figure, *words)
    for i, year in enumerate(years):
        bottom = height - 0.92 - (i + 1) * row_height + gap
        axes = figure.add_axes((0.62 / width, bottom / height, 53.4 * cell / width, 7 * cell / height))
        axes.set_xlim(0, 53.4)
        axes.set_ylim(7, 0)
        axes.axis("off")
        axes.text(-0.6, 3.5, str(year), fontsize=10, fontweight="bold", color=INK, ha="right", va="center")
        _draw_year(axes, year, [day for day in _days(first, last) if day.year == year], coverage, with_names=i == 0)
    _legend(figure, counts, width, height)
    return figure


def _draw_year(axes: Axes, year: int, days: list[dt.date], coverage: Mapping[dt.date, Coverage], *, with_names: bool) -> None:
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Rectangle

    offset = dt.date(year, 1, 1).weekday()
    cells = [Rectangle((_week(day, offset) + 0.06, day.weekday() + 0.06), 0.88, 0.88) for day in days]
    axes.add_collection(PatchCollection(cells, facecolors=[_colour(day, coverage) for day in days], linewidths=0))
    for month in range(1, 13):
        start = dt.date(year, month, 1)
        if with_names:
            column = _week(start, offset) + (1 if start.weekday() else 0)
            axes.text(column, -0.75, f"{start:%b}", fontsize=8.5, color=FAINT, ha="left", va="center", clip_on=False)
        if not days[0] < start <= days[-1]:
            continue
        week, weekday = _week(start, offset), start.weekday()
        steps = ([week, week, week + 1, week + 1], [7, weekday, weekday, 0]) if weekday else ([week, week], [7, 0])
        axes.plot(*steps, color=INK, linewidth=1.1, zorder=3, solid_capstyle="butt")


def _week(day: dt.date, offset: int) -> int:
    return (day.timetuple().tm_yday - 1 + offset) // 7


def _legend(figure: Figure, counts: Mapping[Coverage, int], width: float, height: float) -> None:
    """Write one line at the foot: each colour, its word, how many."""
    from matplotlib.patches import Rectangle

    x, y, size = 0.12, 0.14, 0.13
    entries = [(COLOURS[one], f"{WORDS[one]} {counts[one]:,}") for one in Coverage]
    for colour, words in [*entries, (CLOSED, "closed")]:
        edge = LINE if colour == CLOSED else colour
        figure.add_artist(Rectangle((x / width, y / height), size / width, size / height, facecolor=colour, edgecolor=edge, linewidth=0.6))
        text = figure.text((x + size + 0.07) / width, (y + size / 2) / height, words, fontsize=8.5, color=INK, va="center_baseline")
        x += size + 0.07 + _inches(text, figure) + 0.25


def _inches(text: object, figure: Figure) -> float:
    extent = text.get_window_extent(figure.canvas.get_renderer())  # type: ignore[attr-defined]
    return float(extent.width) / float(figure.dpi)
