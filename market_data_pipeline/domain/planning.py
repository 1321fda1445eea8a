"""The fewest requests that bring the missing sessions of a series, within what one request may ask for.

    plan = plan_requests(partitions, missing, DOCUMENTED, hours="rth", now_ns=time.time_ns())
    estimate(plan, partitions, STRICT)

Requests end where a session ends, never in closed hours, and durations are written so that Interactive Brokers surely answers in full:

- whole sessions as `N D`, which counts trading days back from the end, whatever weekends and holidays lie between (`1 W` is calendar time, and
  its start falls where no session begins); from 366 trading days on as `N Y`, which is the only unit that is allowed there;
- week and month bars as `N W` and `N M`: their first bar is whole only if the request begins before its period does;
- pieces of one session, and a session that still trades, as `N S`: seconds within one session mean the same in every reading. A request that
  ends in a session that still trades asks for one trading day more, because nobody says whether the day that has begun counts as one.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import cast

import numpy as np

from market_data_pipeline.domain.bar_table import Int64s
from market_data_pipeline.domain.bar_types import DAY_NS, NANOSECONDS, Aggregation
from market_data_pipeline.domain.pacing import PacingProfile
from market_data_pipeline.domain.request_sizes import Duration, DurationUnit, RequestSizes, bar_seconds
from market_data_pipeline.domain.sessions import Partitions, day_number
from market_data_pipeline.domain.source import RequestPlan

# IBKR refuses longer ones (error 321: "must be made in years").
_MOST = {DurationUnit.DAYS: 365, DurationUnit.WEEKS: 52, DurationUnit.MONTHS: 12}
_FEWEST_BARS = 10
# A row of a stored bar file.
_BYTES_A_BAR = 14
# Longer bars may close at any multiple of this: currencies open at 17:15 New York, and bars of hours are laid out by the exchange's clock.
_GRID_NS = 300 * NANOSECONDS
# What an answer takes at least; matters only while pacing lets everything go at once.
_ANSWER_S = 0.5


@dataclass(frozen=True, slots=True)
class PlannedRequest:
    """One request to make.

    Attributes:
        sessions: Dates of the missing sessions that it serves, oldest first; sessions between them that are stored are answered too.
            A session of small bars takes several requests, which all name it.
        start_ns: UTC nanoseconds at which the first bar that is wanted may open, inclusive.
        end_ns: UTC nanoseconds of its endDateTime, exclusive for the opens of bars; cut to whole seconds when it is written.
        duration: IBKR's duration: `1 D`, `5 D`, `1800 S`, `2 Y`.
        hours: `rth` or `all`, as planned.
    """

    sessions: tuple[dt.date, ...]
    start_ns: int
    end_ns: int
    duration: str
    hours: str = "all"


def plan_requests(
    partitions: Partitions, missing: Sequence[dt.date], sizes: RequestSizes, now_ns: int | None = None, hours: str = "all"
) -> list[PlannedRequest]:
    """Return the fewest requests that cover the missing sessions, oldest first.

    Stored sessions between two gaps are asked for again where that saves a request. Bars in seconds are asked for session by session.

    Args:
        partitions: The partitions of the series.
        missing: Their dates, in any order. Sessions of which no bar has closed at `now_ns` are left out.
        sizes: How much one request may ask for.
        now_ns: The time, UTC nanoseconds: no request ends later, nor inside a bar of up to five minutes; the answer may end with a longer one
            that is still forming. None where everything asked for is over.
        hours: `rth` if only regular hours are asked for, else `all`.

    Raises:
        InvalidDate: If a date is no partition.
        ConfigurationError: If `sizes` has nothing for bars as short as these.
    """
    layout = _Layout(partitions, hours, now_ns)
    longest = sizes.longest(partitions.spec)
    positions = _positions_of(partitions, missing)
    positions = positions[layout.ends[positions] > layout.firsts[positions]]
    if longest.unit is DurationUnit.SECONDS:
        return [request for position in positions.tolist() for request in layout.pieces(position, longest.count * NANOSECONDS)]
    stops = np.searchsorted(positions, layout.furthest(longest)[positions], side="right").tolist()
    wanted, dates, plan, start = positions.tolist(), _dates_of(partitions, positions), [], 0
    while start < len(wanted):
        stop = stops[start]
        plan.append(layout.request(wanted[start], wanted[stop - 1], dates[start:stop]))
        start = stop
    return plan


def halved(request: PlannedRequest, partitions: Partitions) -> list[PlannedRequest]:
    """Return two requests that bring together what one could not, or `[request]` where it cannot be split any more.

    Several sessions are split between sessions, one session in time, down to ten bars.
    """
    layout = _Layout(partitions, request.hours, None)
    positions = _positions_of(partitions, request.sessions).tolist()
    if len(positions) > 1:
        middle = len(positions) // 2
        older = layout.request(positions[0], positions[middle - 1], request.sessions[:middle])
        if request.end_ns < layout.ends[positions[-1]]:  # it was cut to the time of its planning
            layout = _Layout(partitions, request.hours, request.end_ns)
        return [older, layout.request(positions[middle], positions[-1], request.sessions[middle:])]
    if partitions.spec.is_daily_or_longer:
        return [request]
    start_ns, end_ns, length = request.start_ns, min(request.end_ns, int(layout.closes[positions[0]])), partitions.spec.length_ns
    middle_ns = (start_ns + end_ns) // 2 // length * length  # by the clock, as the bars are: a session of 22:15 has an hour bar of 22:00
    pause_start, pause_end = layout.pause(positions[0])
    older_end, newer_start = (pause_start, pause_end) if pause_start <= middle_ns < pause_end else (middle_ns, middle_ns)
    if min(older_end - start_ns, end_ns - newer_start) < _FEWEST_BARS * length:
        return [request]
    return [
        PlannedRequest(request.sessions, start_ns, older_end, _seconds(start_ns, older_end), request.hours),
        PlannedRequest(request.sessions, newer_start, end_ns, _seconds(newer_start, end_ns), request.hours),
    ]


def estimate(plan: Sequence[PlannedRequest], partitions: Partitions, profile: PacingProfile) -> RequestPlan:
    """Return what a plan would take: requests, time at the rate of the pacing rules, and bars and bytes at most.

    Args:
        plan: The requests.
        partitions: The partitions they were planned for.
        profile: The pacing rules.
    """
    if not plan:
        return RequestPlan(0, 0.0, 0)
    length_s = bar_seconds(partitions.spec)
    seconds = max(profile.seconds_for(len(plan), length_s), len(plan) * _ANSWER_S)
    sessions = sorted({date for request in plan for date in request.sessions})
    bars = len(sessions)
    if not partitions.spec.is_daily_or_longer:
        layout = _Layout(partitions, plan[0].hours, plan[-1].end_ns)
        bars = int(layout.bars(_positions_of(partitions, sessions)).sum())
    return RequestPlan(len(plan), seconds, len(sessions), bars, bars * _BYTES_A_BAR, length_s)


def reach_of_one_request(partitions: Partitions, before: int, sizes: RequestSizes, hours: str = "all") -> int:
    """Return how many sessions just before the position `before` one request can bring; 1 where a session takes several requests."""
    longest = sizes.longest(partitions.spec)
    if before < 1:
        return 0
    if longest.unit is DurationUnit.SECONDS:
        return 1
    return before - int(_Layout(partitions, hours, None).earliest(longest)[before - 1])


class _Layout:
    """Where the bars of each partition begin and end, and where a request for them ends. Arrays of shape (n,), UTC nanoseconds.

    Attributes:
        firsts: When the first bar may open; for bars of a day and longer the start of the first date.
        closes: When the last bar closes in the hours asked for.
        ends: Where a request that ends with this partition ends; not after `firsts` where no bar has closed yet.
        trading: Position of the partition that still trades, or -1.
    """

    def __init__(self, partitions: Partitions, hours: str, now_ns: int | None) -> None:
        self.partitions = partitions
        self.hours = hours
        self.trading = -1
        calendar, at = partitions.calendar, partitions.calendar_index
        self.closes = (calendar.close_ns if hours == "rth" else calendar.end_ns)[at]
        if partitions.spec.is_daily_or_longer:
            self._lay_dates(now_ns)
            return
        self._first_sessions = at
        self.firsts = (calendar.open_ns if hours == "rth" else calendar.pre_ns)[at]
        self.ends = partitions.ends
        if now_ns is not None:
            grid_ns = min(partitions.spec.length_ns, _GRID_NS)
            settled_ns = now_ns // grid_ns * grid_ns
            begun = self.firsts < now_ns // partitions.spec.length_ns * partitions.spec.length_ns
            # The last bar of a session closes with it, however short it is then.
            self.ends = np.where(partitions.ends <= now_ns, partitions.ends, np.where(begun, np.minimum(partitions.ends, settled_ns), self.firsts))
            over = int(np.searchsorted(self.closes, settled_ns, side="right"))
            if over < len(partitions) and begun[over]:
                self.trading = over

    def _lay_dates(self, now_ns: int | None) -> None:
        """Lay out bars that are stamped by date. A request for them must not end in a session that their last date does not name.

        The session that is named by a date has closed when the date ends, but where the next one opens on the evening before (currencies, futures),
        a request that ended with the date would count it as a trading day.
        """
        partitions, calendar = self.partitions, self.partitions.calendar
        self._first_sessions = np.searchsorted(calendar.days, (partitions.starts + 1) // DAY_NS)
        self.firsts = calendar.days[self._first_sessions] * DAY_NS
        ended = calendar.end_ns[partitions.calendar_index]
        midnight_or_regular = (ended == partitions.ends + 1) | (self.hours == "rth")
        self.ends = np.where(midnight_or_regular, np.minimum(ended, partitions.ends), ended)
        if now_ns is not None:
            self.ends = np.where(self.closes <= now_ns, np.minimum(self.ends, now_ns), self.firsts)

    def earliest(self, longest: Duration) -> Int64s:
        """Return, for each partition, the earliest one that a request which ends with it may begin with."""
        own = np.arange(len(self.partitions), dtype=np.int64)
        if longest.unit is DurationUnit.DAYS:
            sessions = self.partitions.calendar_index
            found = np.searchsorted(self._first_sessions, sessions - longest.count + 1, side="left").astype(np.int64)
        else:
            # Dates are reckoned by dates, wherever in its last one a request ends.
            ends = self.partitions.ends if self.partitions.spec.is_daily_or_longer else self.ends
            found = np.searchsorted(self.firsts, longest.before(ends), side="left").astype(np.int64)
        if self.trading >= 0:
            found[self.trading] += 1  # it asks for one trading day more
        # Not even one may be too long; and ends that are cut to now must not look as if they reached further back.
        return np.maximum.accumulate(np.minimum(found, own))

    def furthest(self, longest: Duration) -> Int64s:
        """Return, for each partition, the last one that a request which begins with it may end with."""
        own = np.arange(len(self.partitions), dtype=np.int64)
        return np.searchsorted(self.earliest(longest), own, side="right").astype(np.int64) - 1

    def request(self, first: int, last: int, sessions: Sequence[dt.date]) -> PlannedRequest:
        """Return the request from one partition to another."""
        start_ns, end_ns = self._firsts[first], self._ends[last]
        return PlannedRequest(tuple(sessions), start_ns, end_ns, self._duration(first, last, start_ns, end_ns), self.hours)

    def pieces(self, position: int, longest_ns: int) -> Iterator[PlannedRequest]:
        """Yield the fewest requests for one session of small bars; a pause is not asked for."""
        at, date = self._firsts[position], _dates_of(self.partitions, np.array([position]))
        end_ns = min(self._ends[position], int(self.closes[position]))
        pause_start, pause_end = self.pause(position)
        while at < end_ns:
            if pause_start <= at < pause_end:
                at = pause_end
                continue
            stop = min(at + longest_ns, end_ns)
            if pause_start < stop <= pause_end:
                stop = pause_start
            yield PlannedRequest(tuple(date), at, stop, _seconds(at, stop), self.hours)
            at = stop

    def bars(self, positions: Int64s) -> Int64s:
        """Return how many bars each of some partitions holds if every interval trades."""
        calendar, at = self.partitions.calendar, self.partitions.calendar_index[positions]
        firsts, ends = self.firsts[positions], np.minimum(self.ends[positions], self.closes[positions])
        paused = np.minimum(calendar.break_end_ns[at], ends) - np.clip(calendar.break_start_ns[at], firsts, ends)
        return -(-np.maximum(0, ends - firsts - np.maximum(0, paused)) // self.partitions.spec.length_ns)

    def pause(self, position: int) -> tuple[int, int]:
        """Return start and end of a partition's inner pause; equal where there is none."""
        calendar, at = self.partitions.calendar, int(self.partitions.calendar_index[position])
        return int(calendar.break_start_ns[at]), int(calendar.break_end_ns[at])

    def _duration(self, first: int, last: int, start_ns: int, end_ns: int) -> str:
        aggregation = self.partitions.spec.aggregation
        if aggregation is Aggregation.WEEK:
            return _calendar_duration(start_ns, end_ns, DurationUnit.WEEKS)
        if aggregation is Aggregation.MONTH:
            return _calendar_duration(start_ns, end_ns, DurationUnit.MONTHS)
        if first == last == self.trading:
            return _seconds(start_ns, end_ns)
        days = self._sessions[last] - self._sessions[first] + 1 + (last == self.trading)
        return f"{days} D" if days <= _MOST[DurationUnit.DAYS] else _calendar_duration(start_ns, end_ns, DurationUnit.YEARS)

    # A plan may have thousands of requests: plain integers are read faster than single values of an array.
    @cached_property
    def _firsts(self) -> list[int]:
        return cast(list[int], self.firsts.tolist())

    @cached_property
    def _ends(self) -> list[int]:
        return cast(list[int], self.ends.tolist())

    @cached_property
    def _sessions(self) -> list[int]:
        return cast(list[int], self.partitions.calendar_index.tolist())


def _positions_of(partitions: Partitions, dates: Sequence[dt.date]) -> Int64s:
    """Return the positions of dates, ascending and each once."""
    days = np.unique(np.array([day_number(date) for date in dates], dtype=np.int64))
    positions = np.searchsorted(partitions.days, days).astype(np.int64)
    known = partitions.days[np.minimum(positions, len(partitions) - 1)] == days
    if not known.all():
        partitions.window(next(date for date in sorted(dates) if partitions.index_of(date) is None))
    return positions


def _dates_of(partitions: Partitions, positions: Int64s) -> list[dt.date]:
    return cast(list[dt.date], partitions.days[positions].astype("datetime64[D]").tolist())


def _seconds(start_ns: int, end_ns: int) -> str:
    return f"{-((start_ns - end_ns) // NANOSECONDS)} S"


def _calendar_duration(start_ns: int, end_ns: int, unit: DurationUnit) -> str:
    """Return the shortest duration in a unit, else in years, that reaches from `end_ns` back to `start_ns`."""
    ends = np.array([end_ns], dtype=np.int64)
    for count in range(1, _MOST.get(unit, 100) + 1):
        duration = Duration(count, unit)
        if duration.before(ends)[0] <= start_ns:
            return str(duration)
    return _calendar_duration(start_ns, end_ns, DurationUnit.YEARS)
