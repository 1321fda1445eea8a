"""Bars as the texts of the wire."""

from __future__ import annotations

import numpy as np

from market_data_pipeline.domain.bar_table import Int64s
from market_data_pipeline.gateway_simulator.market.bar_sizes import BarSize
from market_data_pipeline.gateway_simulator.market.bars import NOT_TOLD, Bars
from market_data_pipeline.gateway_simulator.market.hours import DAY_S, date_texts, local_texts
from market_data_pipeline.gateway_simulator.market.reading import TimedBars

AS_TEXT, AS_SECONDS = 1, 2
"""Values of formatDate."""

Columns = tuple[list[str], ...]


def stamps(timed: TimedBars, size: BarSize, zone: str, format_date: int) -> list[str]:
    """Return the stamp of each bar: its date for bars of a day and longer, else `YYYYMMDD HH:MM:SS zone` or seconds since 1970 UTC."""
    starts = timed.bars.start_s
    if size.period is not None:
        return date_texts(starts // DAY_S)
    if format_date == AS_SECONDS:
        return list(map(str, starts.tolist()))
    return [f"{text} {zone}" for text in local_texts(starts, timed.offset_s)]


def values(bars: Bars) -> Columns:
    """Return open, high, low, close, volume, wap and count. Where the price is not that of trades, the last three are -1."""
    prices = [_numbers(column, bars.decimals) for column in bars.ohlc]
    if len(bars) and bars.volume[0] == NOT_TOLD:
        nothing = [str(NOT_TOLD)] * len(bars)
        return (*prices, nothing, nothing, nothing)
    # The simulator's average price is that of the bar's four prices: it lies between low and high, as a true one does.
    average = np.where(bars.volume > 0, bars.ohlc.sum(axis=0) // 4, 0)
    return (*prices, _numbers(bars.volume, bars.size_decimals), _numbers(average, bars.decimals), list(map(str, bars.count.tolist())))


def _numbers(column: Int64s, decimals: int) -> list[str]:
    """Return numbers without trailing zeros. A float shows the decimals of every number up to 2**53 exactly."""
    if not decimals:
        return list(map(str, column.tolist()))
    floats = column / 10.0**decimals
    return [
        f"{number:.{decimals}f}".rstrip("0").rstrip(".") if abs(number) < 0.001 else repr(number).removesuffix(".0") for number in floats.tolist()
    ]
