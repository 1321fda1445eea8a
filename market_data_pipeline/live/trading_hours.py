"""What the calendar of a series expects, in the hours in which its bars come."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from market_data_pipeline.calendars import partitions_of
from market_data_pipeline.calendars.grids import grid_of
from market_data_pipeline.domain import trading_time
from market_data_pipeline.domain.aggregation import Grid
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.coverage import Convention
from market_data_pipeline.domain.sessions import Partitions
from market_data_pipeline.live.reach import Schedule
from market_data_pipeline.sources.ibkr import Hours, contract_of
from market_data_pipeline.sources.ibkr.source import default_hours


@dataclass(frozen=True)
class TradingHours:
    """The hours of one series.

    Attributes:
        series: The series.
        asked: Which hours are asked for; None is as stored, else as usual.
        hours: Which hours that is.
    """

    series: Series
    asked: Hours | None
    hours: Hours

    @classmethod
    def of(cls, series: Series, stored: Convention | None, live: Hours | None) -> TradingHours:
        """Return the hours of a series: those in which its live bars come, else those that are stored, else the usual ones."""
        if live is None and stored is not None:
            return cls(series, None, Hours(stored.hours))
        return cls(series, live, live or default_hours(contract_of(series.instrument_id).secType))

    @cached_property
    def _partitions(self) -> Partitions:
        return partitions_of(self.series)

    @cached_property
    def _grid(self) -> Grid:
        return grid_of(self._partitions.calendar, self.hours)

    def bars_between(self, after_ns: int, until_ns: int) -> int:
        """Return how many bars are expected that open at `after_ns` or later and close at `until_ns` or before, UTC nanoseconds."""
        return trading_time.bars_between(self._partitions, self._grid, self.hours, after_ns, until_ns)

    def close_of_nth(self, after_ns: int, count: int) -> int | None:
        """Return when the `count`-th bar that closes after a moment has closed, UTC nanoseconds; None beyond the calendar.

        So long a strategy waits that is given no history. A bar that is forming is one of them: Nautilus' client delivers it whole.
        """
        return Schedule(self._partitions, self.hours).nth_close_after(after_ns, count)

    def earliest_close(self, open_ns: int) -> int:
        """Return when a bar that opened at `open_ns` has surely closed, UTC nanoseconds."""
        return trading_time.earliest_close(self._partitions, self._grid, open_ns)
