"""Bars of a size, put together from a contract's tape."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from market_data_pipeline.domain.bar_table import Int64s
from market_data_pipeline.gateway_simulator.market.bar_sizes import BarSize, Period
from market_data_pipeline.gateway_simulator.market.bars import Bars, Price, Spans, Tape
from market_data_pipeline.gateway_simulator.market.hours import DAY_S, Hours, periods


@dataclass(frozen=True, eq=False)
class TimedBars:
    """Bars and where they end. Arrays of shape (n,).

    Attributes:
        bars: `start_s` is where a bar begins: an intraday bar at its open, a bar labelled with a date at midnight UTC of that date.
        stop_s: Where it ends, exclusive.
        offset_s: What local clocks are ahead of UTC.
    """

    bars: Bars
    stop_s: Int64s
    offset_s: Int64s

    def take(self, rows: Int64s | np.ndarray) -> TimedBars:
        """Return the rows at these positions, or where this mask is true."""
        return TimedBars(self.bars.take(rows), self.stop_s[rows], self.offset_s[rows])


def read_bars(tape: Tape, hours: Hours, spans: Spans, price: Price, size: BarSize, until_s: int) -> TimedBars:
    """Return the bars of `spans` as far as they have come at `until_s`; a bar in which nothing happened is absent.

    Bars within a day begin at multiples of their size on local clocks, and where a session or a pause makes them: bars of an hour from 09:30
    begin at 09:30, 10:00, 11:00. Bars of a day and longer are made of whole sessions and labelled with the last session of their period.

    Args:
        tape: What happened.
        hours: When the contract trades.
        spans: Parts of these hours, in which no bar is cut but by `until_s`.
        price: Which price.
        size: Size of the bars.
        until_s: Seconds since 1970 UTC; nothing later has happened yet.
    """
    pieces = tape.pieces(spans, price, size.seconds if size.period is None else DAY_S, until_s)
    span = hours.span_at(pieces.start_s)
    session = hours.session[span]
    if size.period is None:
        local = pieces.start_s + hours.offset_s[session]
        grid = local - local % size.seconds - hours.offset_s[session]
        starts = np.maximum(grid, hours.spans.start_s[span])
        bars, first = pieces.aggregate(starts)
        stop_s = np.minimum(grid + size.seconds, hours.spans.stop_s[span])[first]
        return TimedBars(replace(bars, start_s=starts[first]), stop_s, hours.offset_s[session[first]])
    last = _last_session(hours.days, session, size.period)
    bars, first = pieces.aggregate(last)
    last = last[first]
    return TimedBars(replace(bars, start_s=hours.days[last] * DAY_S), hours.stop_s[last], hours.offset_s[last])


def _last_session(days: Int64s, session: Int64s, period: Period) -> Int64s:
    """Return, for each session, the position of the last session in its day, week or month."""
    if period is Period.DAY:
        return session
    numbers = periods(days, weekly=period is Period.WEEK)
    return np.searchsorted(numbers, numbers[session], side="right").astype(np.int64) - 1
