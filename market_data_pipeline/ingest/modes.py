"""Which sessions a load asks a broker for: by mode, by what is stored, and never from the future. Pure: no clock, no I/O.

              ┆ first stored          last stored ┆            now
    ──────────┼───────●━━━━━━ holes ━━━━━━●───────┼─────────────┤
    backfill  ◀───────┤        ■ ■        │
    tail              │        ■ ■        ├────────────────────▶
    full      ◀────────────────■─■─────────────────────────────▶

Holes between the first and the last stored session (■) are filled in every mode, unless they are to be left. Dates of start and end
bound every mode. What is stored whole is named too: `load` does not ask for it again.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, StrEnum

import numpy as np

from market_data_pipeline.domain.errors import InvalidDate
from market_data_pipeline.domain.sessions import Partitions, date_of, day_number


class Mode(StrEnum):
    """From where to where a load reaches."""

    TAIL = "tail"  # from the last stored session to now
    BACKFILL = "backfill"  # older than the first stored session
    FULL = "full"  # everything that the broker has


class Holes(Enum):
    """What to do with sessions between the first and the last stored one that are not whole."""

    FILL = "fill"
    LEAVE = "leave"


@dataclass(frozen=True)
class Span:
    """The first and the last stored session of a series, by date."""

    first: dt.date
    last: dt.date


@dataclass(frozen=True)
class Reach:
    """What a person asks a load to reach.

    Attributes:
        mode: From where to where.
        start: First session date, inclusive; None is as far as the mode goes.
        end: Last session date, inclusive; None is as far as the mode goes.
        holes: Whether inner holes are filled.

    Raises:
        InvalidDate: If the range runs backwards.
    """

    mode: Mode
    start: dt.date | None = None
    end: dt.date | None = None
    holes: Holes = Holes.FILL

    def __post_init__(self) -> None:
        if self.start is not None and self.end is not None and self.end < self.start:
            raise InvalidDate(f"The range runs backwards: {self.start} to {self.end}. Give the earlier date first.")

    def needs_head(self, stored: Span | None) -> bool:
        """True where only the broker's head time stamp says where to begin."""
        return self.start is None and self.effective(stored) is Mode.FULL

    def effective(self, stored: Span | None) -> Mode:
        """Return the mode that is meant: with nothing stored there is nothing to go on from, so every mode is full."""
        return Mode.FULL if stored is None else self.mode


Depth = Callable[[int], int]
"""Says how many partitions before a position one maximal request covers, at least 1."""


def sessions_to_ask(
    partitions: Partitions, stored: Span | None, reach: Reach, *, newest: int, head_ns: int | None = None, depth: Depth
) -> list[dt.date]:
    """Return the dates of the sessions that a load is about, oldest first, those that are stored whole included.

    A backfill whose end lies behind the last stored session goes on to that end: run again after it was stopped, the same command brings the rest.

    Args:
        partitions: The partitions of the series.
        stored: First and last stored session; None where nothing is stored.
        reach: What is asked for.
        newest: Position of the newest partition that can be asked for: `newest_with_bars`.
        head_ns: Open of the first bar that the broker has, UTC nanoseconds; None where that is not known, and needs not be: `Reach.needs_head`.
        depth: How far a backfill without a start reaches back.

    Raises:
        InvalidDate: If the range has no session of the calendar that can be asked for.
    """
    _refuse_empty(partitions, reach, newest)
    oldest = _first_position(partitions, reach.start, head_ns)
    newest = newest if reach.end is None else min(newest, partitions.positions_between(date_of(partitions.days[0]), reach.end).stop - 1)
    wanted: list[range]
    if stored is None:
        wanted = [range(oldest, newest + 1)]
    else:
        first, last = (_position(partitions, date) for date in (stored.first, stored.last))
        wanted = _beside(reach, first, last, oldest, newest, depth)
        if reach.holes is Holes.FILL:
            wanted.append(range(first, last))
    positions = sorted({position for part in wanted for position in part if oldest <= position <= newest})
    return [date_of(partitions.days[position]) for position in positions]


def _beside(reach: Reach, first: int, last: int, oldest: int, newest: int, depth: Depth) -> list[range]:
    """Return the positions before the first stored session and from the last stored one on. The last is named again: it may be partial."""
    before, after = range(oldest, first), range(last, newest + 1)
    match reach.mode:
        case Mode.FULL:
            return [before, after]
        case Mode.TAIL:
            return [after]
        case Mode.BACKFILL:
            older = before if reach.start is not None or not first else range(max(0, first - depth(first)), first)
            return [older, after] if reach.end is not None else [older]


def newest_with_bars(partitions: Partitions, hours: str, now_ns: int) -> int:
    """Return the position of the newest partition that has a closed bar at `now_ns`, UTC nanoseconds; -1 if there is none.

    That is the session that is trading, once its first bar has closed; else the last one that is over. Bars of a day and longer are
    whole once their session has closed: before that they are forming.

    Args:
        partitions: The partitions of the series.
        hours: `rth`, or `all` with pre-market and post-market hours.
        now_ns: What counts as now.
    """
    over = partitions.closed_until(now_ns)
    if over == len(partitions):
        return over - 1
    calendar, session = partitions.calendar, int(partitions.calendar_index[over])
    if partitions.spec.is_daily_or_longer:
        ready_ns = int((calendar.close_ns if hours == "rth" else calendar.end_ns)[session])
    else:
        ready_ns = int((calendar.open_ns if hours == "rth" else calendar.pre_ns)[session]) + partitions.spec.length_ns
    return over if ready_ns <= now_ns else over - 1


def _refuse_empty(partitions: Partitions, reach: Reach, newest: int) -> None:
    """Refuse a range in which nothing can be asked for, and say what lies around it."""
    first, last = date_of(partitions.days[0]), date_of(partitions.days[max(newest, 0)])
    if reach.end is not None and reach.end < first:
        raise InvalidDate(f"{reach.end} lies before the first session of {partitions.calendar.name} that is known, {first}.")
    if reach.start is not None and reach.start > last:
        raise InvalidDate(f"No {partitions.spec} bar of {reach.start} or later has closed yet. The last session that has bars is {last}.")
    if reach.start is not None and reach.end is not None and not partitions.positions_between(reach.start, reach.end):
        raise InvalidDate(f"There is no {partitions.spec} session of {partitions.calendar.name} from {reach.start} to {reach.end}.")


def _first_position(partitions: Partitions, start: dt.date | None, head_ns: int | None) -> int:
    """Return the position before which nothing is asked for."""
    by_start = 0 if start is None else partitions.positions_between(start, date_of(partitions.days[-1])).start
    by_head = 0 if head_ns is None else max(0, int(partitions.index_of_close(np.array([head_ns + 1], dtype=np.int64))[0]))
    return max(by_start, by_head)


def _position(partitions: Partitions, date: dt.date) -> int:
    return int(partitions.days.searchsorted(day_number(date)))
