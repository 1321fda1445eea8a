"""An equity curve with its drawdown below."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from market_data_pipeline.charts.figure import BLUE, FAINT, VERMILION, moments, new_figure, plain_axes, thinned, title, to_png
from market_data_pipeline.domain.bar_table import Int64s

_MOST_POINTS = 3_000


def drawdown(equity: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return how far each value lies below the highest before it, as a share of that: 0 at a high, -0.1 ten percent below."""
    highest = np.maximum.accumulate(equity)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(highest > 0, equity / highest - 1, 0.0)


def equity_png(name: str, times_ns: Int64s, equity: npt.NDArray[np.float64], currency: str, basis: str) -> bytes:
    """Return the picture of an equity curve.

    Args:
        name: Of the backtest.
        times_ns: Shape (n,), UTC nanoseconds, rising, n at least 1.
        equity: Shape (n,), in `currency`.
        currency: Its code.
        basis: What the curve is: `marked at each close`, `realised only`.
    """
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
    from matplotlib.ticker import FuncFormatter, PercentFormatter

    below = drawdown(equity)
    start, end = float(equity[0]), float(equity[-1])
    figure = new_figure(9, 4.8)
    change = end / start - 1 if start else 0.0
    top = title(
        figure,
        name,
        f"{_day(times_ns[0])} to {_day(times_ns[-1])}: {start:,.0f} to {end:,.0f} {currency} ({change:+.2%}), "
        f"largest drawdown {_share(below)}; {basis}",
    )
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    figure.subplots_adjust(left=0.11, right=0.98, top=1 - top / 4.8 - 0.02, bottom=0.09, hspace=0.12)
    shown = thinned(equity, _MOST_POINTS)
    times = moments(times_ns)
    upper.axhline(start, color=FAINT, linewidth=0.8, linestyle=(0, (4, 3)))
    upper.plot(times[shown], equity[shown], color=BLUE, linewidth=1.2)
    upper.set_ylabel(f"equity, {currency}", fontsize=9)
    upper.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.{_decimals(equity)}f}"))
    shown = thinned(below, _MOST_POINTS)
    lower.fill_between(times[shown], below[shown], 0, color=VERMILION, alpha=0.35, linewidth=0)
    lower.plot(times[shown], below[shown], color=VERMILION, linewidth=0.8)
    lower.set_ylabel("drawdown", fontsize=9)
    lower.set_ylim(min(float(below.min()) * 1.12, -1e-4), 0)
    lower.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=_percent_decimals(below)))
    locator = AutoDateLocator(minticks=3)  # type: ignore[no-untyped-call]
    lower.xaxis.set_major_locator(locator)
    lower.xaxis.set_major_formatter(ConciseDateFormatter(locator, show_offset=False))  # type: ignore[no-untyped-call]
    # A range of no width cannot be divided into ticks.
    lower.set_xlim(times[0], times[-1] if len(times) > 1 else times[0] + np.timedelta64(1, "D"))
    for axes in (upper, lower):
        plain_axes(axes)
    figure.align_ylabels([upper, lower])
    return to_png(figure)


def _share(below: npt.NDArray[np.float64]) -> str:
    return f"{-float(below.min()) + 0.0:.2%}"


def _day(ns: int) -> str:
    return str(np.datetime64(int(ns), "ns").astype("datetime64[D]"))


def _decimals(equity: npt.NDArray[np.float64]) -> int:
    spread = float(equity.max() - equity.min())
    return 0 if spread >= 20 or spread == 0 else 2


def _percent_decimals(below: npt.NDArray[np.float64]) -> int:
    deepest = -float(below.min())
    return 0 if deepest >= 0.03 else 1 if deepest >= 0.003 else 2
