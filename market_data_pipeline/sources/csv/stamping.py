"""From time stamps as written to the close of each bar, by the layout's stamp convention and the calendar."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from market_data_pipeline.domain.bar_table import Int64s
from market_data_pipeline.domain.bar_types import DAY_NS, NANOSECONDS, Aggregation
from market_data_pipeline.domain.sessions import Partitions
from market_data_pipeline.sources.csv.columns import FileColumns
from market_data_pipeline.sources.csv.layout import Stamp
from market_data_pipeline.sources.csv.time_forms import EpochForm
from market_data_pipeline.sources.csv.times import Stamps
from market_data_pipeline.tabular.rules import Marks, Rule, grid_of
from market_data_pipeline.tabular.zones import to_utc, to_wall

Bools = npt.NDArray[np.bool_]

# Closes are also written as the last instant inside a bar: 09:30:59, 09:30:59.999 (Binance), …999999, …999999999 (Nautilus' day bars).
_LAST_INSTANTS = (NANOSECONDS, 1_000_000, 1_000, 1)


@dataclass(frozen=True)
class Placed:
    """Where the bars of some rows stand in time; arrays of shape (n,).

    Attributes:
        closes: int64 UTC nanoseconds of each bar's close (`ts_init`).
        later: int64, the close if the stamp is the second showing of its hour in an autumn night; equal to `closes` elsewhere.
    """

    closes: Int64s
    later: Int64s


class Stamping:
    """Turns the stamps of one file into closes.

    Alignment: stamps have to stand on whole minutes (seconds for bars of seconds) and not on multiples of the bar's length, because
    hour bars are aligned to the open of their session, as 17:15 for currencies and 09:30 for stocks.
    """

    def __init__(self, columns: FileColumns, partitions: Partitions) -> None:
        self._layout = columns.layout
        self._partitions = partitions
        self._epoch = isinstance(columns.form, EpochForm)
        self._grid = grid_of(partitions.spec)

    def place(self, stamps: Stamps, marks: Marks) -> Placed:
        """Return the close of each row, and mark the rows that have none."""
        placed = self._labelled(stamps, marks) if self._partitions.spec.is_daily_or_longer else self._timed(stamps, marks)
        if len(self._partitions):
            outside = (placed.closes <= self._partitions.starts[0]) | (placed.closes > self._partitions.ends[-1])
        else:
            outside = np.ones(len(placed.closes), dtype=np.bool_)
        marks.mark(Rule.OUTSIDE_CALENDAR, "time", outside)
        return placed

    def _timed(self, stamps: Stamps, marks: Marks) -> Placed:
        marks.mark(Rule.NO_CLOCK, "time", ~stamps.has_clock)
        length = self._partitions.spec.length_ns
        wall = stamps.wall_ns
        away = wall % self._grid
        if away.any():
            if self._layout.stamp is Stamp.CLOSE:
                wall = wall + _to_grid(away, self._grid)
                away = wall % self._grid
            marks.mark(Rule.OFF_GRID, "time", away != 0)
        first, second = self._utc(wall, stamps, marks)
        if self._layout.stamp is Stamp.OPEN:
            second = first + length if second is first else second + length
            first = first + length
        return Placed(first, second)

    def _utc(self, wall: Int64s, stamps: Stamps, marks: Marks | None) -> tuple[Int64s, Int64s]:
        """Return the UTC of wall clock times, and the second reading of those that a clock shows twice."""
        utc = wall - stamps.offset_ns
        if stamps.has_offset.all():
            return utc, utc
        if self._layout.time_zone is None:
            if marks is not None:
                marks.mark(Rule.NO_ZONE, "time", ~stamps.has_offset)
            return utc, utc
        local = to_utc(self._layout.time_zone, wall)
        if marks is not None:
            marks.mark(Rule.NONEXISTENT_TIME, "time", local.nonexistent & ~stamps.has_offset)
        if not stamps.has_offset.any():
            return local.first, local.second
        return np.where(stamps.has_offset, utc, local.first), np.where(stamps.has_offset, utc, local.second)

    def _labelled(self, stamps: Stamps, marks: Marks) -> Placed:
        if self._layout.stamp is None:
            marks.mark(Rule.NOT_A_TIME, "time", stamps.has_clock)
        wall = stamps.wall_ns
        if self._epoch and self._layout.time_zone is not None:
            wall = to_wall(self._layout.time_zone, wall)
        at_close = stamps.has_clock & (self._layout.stamp is Stamp.CLOSE)
        days = (wall - at_close) // DAY_NS  # a day that closes at 00:00 is the day before
        if self._layout.stamp is Stamp.OPEN:
            days = self._days_opened(days, wall, stamps, marks)
        labels, known = self._labels(days)
        inside = (days > self._partitions.calendar.days[0]) & (days <= self._partitions.calendar.days[-1])
        marks.mark(Rule.NO_SESSION, "time", ~known & inside)
        closes = np.where(known, labels, days) * DAY_NS + DAY_NS - 1
        return Placed(closes, closes)

    def _days_opened(self, days: Int64s, wall: Int64s, stamps: Stamps, marks: Marks) -> Int64s:
        """Return the session's date where a bar opens at another time than midnight: Thursday 17:15 opens the Friday of currencies."""
        timed = wall % DAY_NS != 0
        if not timed.any():
            return days
        calendar = self._partitions.calendar
        if self._layout.time_zone is None:
            marks.mark(Rule.NO_ZONE, "time", timed & ~stamps.has_offset)
        utc, _ = self._utc(stamps.wall_ns, stamps, None)
        session = np.searchsorted(calendar.end_ns, utc, side="right")  # a bar that opens at the end of a session belongs to the next
        found = calendar.days[np.minimum(session, len(calendar.days) - 1)]
        return np.where(timed & (session < len(calendar.days)), found, days)

    def _labels(self, days: Int64s) -> tuple[Int64s, Bools]:
        """Return the partition's day of each date, and where there is one: the date itself, or the last session of its week or month."""
        partitions = self._partitions
        if partitions.spec.aggregation is Aggregation.DAY:
            wanted, have = days, partitions.days
        else:
            calendar = partitions.calendar.days
            if self._layout.stamp is Stamp.OPEN:
                # A week that is stamped Sunday opens on Monday.
                ahead = np.searchsorted(calendar, days)
                days = np.where(ahead < len(calendar), calendar[np.minimum(ahead, len(calendar) - 1)], days)
            wanted, have = _period(days, partitions.spec.aggregation), _period(partitions.days, partitions.spec.aggregation)
        if not len(have):
            return days, np.zeros(len(days), dtype=np.bool_)
        at = np.minimum(np.searchsorted(have, wanted), len(have) - 1)
        return partitions.days[at], have[at] == wanted


def _to_grid(away: Int64s, grid: int) -> Int64s:
    """Return what lacks to the next whole grid step where a stamp names the last instant before it; else 0."""
    lacks = grid - away
    return np.where(np.isin(lacks, [step for step in _LAST_INSTANTS if step < grid]), lacks, 0)


def _period(days: Int64s, aggregation: Aggregation) -> Int64s:
    """Return the number of the week (from Monday) or of the month in which each day lies."""
    if aggregation is Aggregation.WEEK:
        return (days + 3) // 7
    return days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
