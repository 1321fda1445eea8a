"""The bars of one series out of its files, session by session."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from market_data_pipeline.domain.bar_table import VALUE_COLUMNS, BarTable, Int64s
from market_data_pipeline.domain.bar_types import DAY_NS, NANOSECONDS, Series
from market_data_pipeline.domain.coverage import Coverage, SessionAnswer
from market_data_pipeline.domain.quality import HoleRule, judge, measure
from market_data_pipeline.domain.sessions import Partitions, date_of
from market_data_pipeline.domain.source import Precision
from market_data_pipeline.domain.words import agreeing, count
from market_data_pipeline.sources.csv.reading import Reading, Wanted
from market_data_pipeline.sources.csv.report import BadRowSummary
from market_data_pipeline.tabular.spool import Spool


@dataclass(frozen=True)
class Judgement:
    """What counts as a whole session.

    Attributes:
        hole_rule: How long regular hours may pass without a bar.
        accept_holes: True where the user vouches for the file: what is absent was not traded.
        clock: Returns now in nanoseconds since 1970 UTC; a session that is still trading is never whole.
    """

    hole_rule: HoleRule = field(default_factory=HoleRule)
    accept_holes: bool = False
    clock: Callable[[], int] = time.time_ns


class CsvBars:
    """Parsed and checked bars of one series; the values stay on disk until a session is asked for.

    Attributes:
        series: The series.
        bad_rows: The rows that were left out.
        warnings: What a user should know though no row is bad: sorted rows, bars while the venue is shut, …
    """

    def __init__(self, wanted: Wanted, reading: Reading, spool: Spool, bad_rows: BadRowSummary, paths: Sequence[Path], judgement: Judgement) -> None:
        self.series: Series = wanted.series
        self.bad_rows = bad_rows
        self._partitions: Partitions = wanted.partitions
        self._precision: Precision = wanted.precision
        self._reading = reading
        self._spool = spool
        self._paths = paths
        self._judgement = judgement
        self._closes = reading.ordered.closes
        stops = np.searchsorted(self._closes, self._partitions.ends, side="right")
        starts = np.searchsorted(self._closes, self._partitions.starts, side="right")
        self._positions = np.flatnonzero(stops > starts)
        self._starts, self._stops = starts[self._positions], stops[self._positions]
        self.warnings = [*reading.notes, *self._shut_notes()]

    def __len__(self) -> int:
        return self.rows

    @property
    def rows(self) -> int:
        """How many bars there are."""
        return len(self._closes)

    @property
    def rows_bad(self) -> int:
        """How many rows break a rule and were left out."""
        return self.bad_rows.count

    @property
    def rejects_file(self) -> Path | None:
        """The file that lists the bad rows (the first, if several files had some); None if there are none."""
        return next(iter(self.bad_rows.rejects), None)

    @cached_property
    def sessions(self) -> list[dt.date]:
        """The sessions that have bars, oldest first."""
        return [date_of(day) for day in self._partitions.days[self._positions]]

    def answers(self, dates: Collection[dt.date] | None = None) -> Iterator[SessionAnswer]:
        """Yield each session that has bars (of those in `dates`, if given), oldest first."""
        allowed = self.longest_absence_allowed_s
        now = self._judgement.clock()
        wanted = None if dates is None else set(dates)
        for i, date in enumerate(self.sessions):
            if wanted is not None and date not in wanted:
                continue
            position = int(self._positions[i])
            bars = self._bars(int(self._starts[i]), int(self._stops[i]))
            quality = measure(bars, self._partitions, position)
            coverage = Coverage.COMPLETE if self._judgement.accept_holes else judge(bars, quality, allowed)
            if self._partitions.ends[position] > now:
                coverage = Coverage.PARTIAL
            yield SessionAnswer(date, bars, coverage, quality)

    def line_of(self, close_ns: int) -> tuple[Path, int] | None:
        """Return the file and line of the bar that closes at `close_ns`, UTC nanoseconds; None if there is no such bar."""
        i = int(np.searchsorted(self._closes, close_ns))
        if i == len(self._closes) or self._closes[i] != close_ns:
            return None
        rows = self._reading.ordered.rows
        file, line = self._reading.lines.places(np.array([i if rows is None else rows[i]], dtype=np.int64))
        return self._paths[int(file[0])], int(line[0])

    @cached_property
    def longest_absence_allowed_s(self) -> float:
        """The longest stretch of regular hours without a bar, in seconds, that is taken for thin trading in these files."""
        if self._partitions.spec.is_daily_or_longer:
            return 0.0
        return self._judgement.hole_rule.longest_allowed_s(self._partitions.spec.length_ns // NANOSECONDS, self._usual_absence_s())

    def _bars(self, start: int, stop: int) -> BarTable:
        rows = self._reading.ordered.rows
        if rows is None:
            values = {name: self._spool.read(name, start, stop) for name in VALUE_COLUMNS}
        else:
            values = {name: self._spool.column(name)[rows[start:stop]] for name in VALUE_COLUMNS}
        closes = self._closes[start:stop].copy()
        daily = self._partitions.spec.is_daily_or_longer
        length = DAY_NS - 1 if daily else self._partitions.spec.length_ns
        return BarTable(
            **values, ts_event=closes - length, ts_init=closes, price_precision=self._precision.price, size_precision=self._precision.size
        )

    def _usual_absence_s(self) -> float:
        """Return the median time, in seconds, between the end of a bar and the start of the next one, inside regular hours."""
        calendar, length = self._partitions.calendar, self._partitions.spec.length_ns
        index = self._partitions.calendar_index[self._positions]
        first = np.searchsorted(self._closes, calendar.open_ns[index], side="right")
        stop = np.searchsorted(self._closes, calendar.close_ns[index] + length, side="left")
        absences: list[Int64s] = []
        touching = 0
        for start, end in zip(first, stop, strict=True):
            gaps = np.diff(self._closes[start:end]) - length
            apart = gaps[gaps > 0]
            touching += len(gaps) - len(apart)
            absences.append(apart)
        count = sum(map(len, absences))
        if touching >= count:
            return 0.0
        # The median of all: the ones that touch are zeros below the rest.
        middle = (touching + count) // 2 - touching
        return float(np.partition(np.concatenate(absences), middle)[middle] / NANOSECONDS)

    def _shut_notes(self) -> list[str]:
        """Tell of bars that traded while the venue is shut: none is lost, they are stored with the session whose window they close in."""
        if self._partitions.spec.is_daily_or_longer or not len(self._positions):
            return []
        calendar = self._partitions.calendar
        opens = calendar.pre_ns[self._partitions.calendar_index[self._positions]]
        shut = np.searchsorted(self._closes, opens, side="right") - self._starts
        days = np.flatnonzero(shut > 0)
        if not len(days):
            return []
        example = self._closes[self._starts[days[0]]].astype("datetime64[ns]").astype("datetime64[s]")
        bars = int(shut[days].sum())
        return [
            (
                f"{count(bars, 'bar')} {agreeing(bars, 'closes', 'close')} while {calendar.name} is shut (the first at {example} UTC). "
                f"{agreeing(bars, 'It is', 'They are')} stored with the session that follows. If that is wrong, check --timezone and --stamp."
            )
        ]
