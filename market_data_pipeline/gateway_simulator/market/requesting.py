"""Which stretch of time a request asks for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from market_data_pipeline.domain.sessions import date_of, day_number
from market_data_pipeline.gateway_simulator.market.bar_sizes import BarSize, Period
from market_data_pipeline.gateway_simulator.market.bars import Spans
from market_data_pipeline.gateway_simulator.market.contracts import ListedContract
from market_data_pipeline.gateway_simulator.market.durations import Duration
from market_data_pipeline.gateway_simulator.market.hours import DAY_S, Hours, periods


@dataclass(frozen=True, eq=False)
class Reach:
    """What a request asks for.

    Attributes:
        spans: Hours from which whole bars are put together.
        start_s: Bars that end at or before this moment are not asked for, seconds since 1970 UTC.
    """

    spans: Spans
    start_s: int


def reach_of(contract: ListedContract, hours: Hours, size: BarSize, duration: Duration, end_s: int, first_listed: int) -> Reach:
    """Return what a request of `duration` up to `end_s` asks for.

    D counts sessions backwards from the one that has begun before the end. W, M and Y reach back to the same date of the calendar, which is not
    asked for any more. S counts seconds of trading: seen at a live gateway, 86400 S of regular hours brought 3.7 sessions
    (github.com/wboayue/rust-ibapi, pull request 837).

    Args:
        contract: What for; tells until when it was traded.
        hours: When it trades.
        size: Size of the bars; weeks and months are whole ones.
        duration: How far back.
        end_s: Seconds since 1970 UTC; bars that begin at or after it are not asked for.
        first_listed: Position of the first session that there is.
    """
    stop = hours.begun_before(end_s)
    listed_stop = len(hours.days) if contract.delisted is None else hours.first_dated(contract.delisted) + 1
    if duration.unit == "S" and size.period is None:
        return _seconds_before(size, duration.count, end_s, hours.between(first_listed, max(first_listed, min(stop, listed_stop))))
    if duration.unit in "SD":
        first = stop - (duration.count if duration.unit == "D" else 1)
    else:
        date = date_of((end_s + int(hours.offset_s[max(stop - 1, 0)])) // DAY_S)
        first = int(np.searchsorted(hours.days, day_number(duration.before(date)), side="right"))
    first, stop = max(first, first_listed), min(stop, listed_stop)
    if first >= stop:
        return Reach(hours.between(0, 0), end_s)
    start_s = int(hours.start_s[first])
    if size.period in (Period.WEEK, Period.MONTH):
        first, stop = _whole_periods(hours, first, stop, weekly=size.period is Period.WEEK)
        first, stop = max(first, first_listed), min(stop, listed_stop)
    return Reach(hours.between(first, stop), start_s)


def _seconds_before(size: BarSize, seconds: int, end_s: int, spans: Spans) -> Reach:
    """Return the last `seconds` of trading before the end."""
    before = spans.clipped(0, end_s)
    if not len(before.start_s):
        return Reach(before, end_s)
    to_end = np.cumsum((before.stop_s - before.start_s)[::-1])[::-1]
    enough = np.flatnonzero(to_end >= seconds)
    i = int(enough[-1]) if len(enough) else 0
    start_s = int(before.start_s[i]) + max(0, int(to_end[i]) - seconds)
    # One bar more on both sides, so that none of the request is cut.
    return Reach(spans.clipped(start_s - size.seconds, end_s + size.seconds), start_s)


def _whole_periods(hours: Hours, first: int, stop: int, *, weekly: bool) -> tuple[int, int]:
    """Return the positions of all sessions of the weeks or months that the sessions [first, stop) touch."""
    numbers = periods(hours.days, weekly=weekly)
    return int(np.searchsorted(numbers, numbers[first])), int(np.searchsorted(numbers, numbers[stop - 1], side="right"))
