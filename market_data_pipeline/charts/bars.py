"""The closes of a session or a range, small enough to sit beside a table."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from market_data_pipeline.charts.figure import BLUE, SKY, Times, moments, new_figure, plain_axes, thinned, title, to_png
from market_data_pipeline.domain.bar_table import BarTable, Int64s
from market_data_pipeline.domain.bar_types import NANOSECONDS, Series

_MOST_POINTS = 1_500
_BREAKS_AFTER = 3  # bars in a row that may be absent before the line is broken


def bars_png(series: Series, bars: BarTable, time_zone: str = "UTC") -> bytes:
    """Return the picture of the closes, with the range of each bar as a shade where there are few enough to see it.

    Args:
        series: Whose bars.
        bars: Ordered; may be empty.
        time_zone: IANA zone of the axis, for example the calendar's.
    """
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
    from matplotlib.ticker import MaxNLocator

    figure = new_figure(6.4, 2.7)
    zone = ZoneInfo(time_zone)
    if not len(bars):
        title(figure, series.bar_type.removesuffix("-EXTERNAL"), "no bars")
        return to_png(figure)
    closes = bars.floats("close")
    first, last = (_local(ns, zone, daily=series.spec.is_daily_or_longer) for ns in (bars.ts_event[0], bars.ts_init[-1]))
    daily = series.spec.is_daily_or_longer
    below = f"{len(bars):,} bar{'s' if len(bars) > 1 else ''}, {first} to {last}{'' if daily else f' {time_zone}'}"
    top = title(figure, series.bar_type.removesuffix("-EXTERNAL"), below)
    axes = figure.subplots()
    figure.subplots_adjust(left=0.12, right=0.98, top=1 - top / 2.7 - 0.02, bottom=0.15)
    shown = thinned(closes, _MOST_POINTS)
    if len(bars) <= _MOST_POINTS:
        axes.vlines(moments(bars.ts_init), bars.floats("low"), bars.floats("high"), color=SKY, linewidth=1.0, alpha=0.6)
    axes.plot(*_broken_line(bars, shown), color=BLUE, linewidth=1.1, marker="o" if len(bars) < 3 else None, markersize=4)
    locator = AutoDateLocator(minticks=3, tz=zone)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz=zone))  # type: ignore[no-untyped-call]
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.ticklabel_format(axis="y", useOffset=False, style="plain")
    axes.margins(x=0.01)
    if len(bars) == 1:  # a range of no width cannot be divided into ticks
        axes.set_xlim(moments(bars.ts_event)[0], moments(bars.ts_init)[0] + np.timedelta64(1, "h"))
    plain_axes(axes)
    return to_png(figure)


def _broken_line(bars: BarTable, shown: Int64s) -> tuple[Times, npt.NDArray[np.float64]]:
    """Return times and closes to draw, with a break where bars are absent for long: a line there would claim prices."""
    times, closes = moments(bars.ts_init[shown]), bars.floats("close")[shown]
    steps = np.diff(bars.ts_init[shown])
    if not len(steps):
        return times, closes
    usual = max(int(np.median(steps)), NANOSECONDS)
    breaks = np.flatnonzero(steps > _BREAKS_AFTER * usual) + 1 if len(shown) == len(bars) and not _daily(usual) else np.empty(0, dtype=np.int64)
    return np.insert(times, breaks, times[breaks - 1]), np.insert(closes, breaks, np.nan)


def _daily(step_ns: int) -> bool:
    return step_ns >= 20 * 3_600 * NANOSECONDS


def _local(ns: int, zone: ZoneInfo, *, daily: bool) -> str:
    time = dt.datetime.fromtimestamp(int(ns) // NANOSECONDS, dt.UTC)
    return f"{time:%Y-%m-%d}" if daily else f"{time.astimezone(zone):%Y-%m-%d %H:%M}"
