"""The bars of one symbol, session by session, out of the spool."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from market_data_pipeline.domain.bar_table import VALUE_COLUMNS, BarTable
from market_data_pipeline.domain.bar_types import DAY_NS, NANOSECONDS, Series
from market_data_pipeline.domain.coverage import Coverage, SessionAnswer
from market_data_pipeline.domain.quality import HoleRule, judge, measure
from market_data_pipeline.domain.sessions import Partitions, date_of
from market_data_pipeline.domain.source import Precision
from market_data_pipeline.sources.postgres.absences import Absences
from market_data_pipeline.sources.postgres.reading import ReadSessions
from market_data_pipeline.tabular.spool import Spool


@dataclass(frozen=True)
class Judgement:
    """What counts as a whole session: how long it may be without bars, whether the user vouches for the table, and what time it is."""

    hole_rule: HoleRule
    accept_holes: bool
    clock: Callable[[], int]


class TableBars:
    """Checked bars of one symbol. The values stay on disk until a session is asked for.

    Attributes:
        rejects_file: Where bad rows are listed, or None.
    """

    def __init__(
        self,
        wanted: tuple[Series, Partitions, Precision],
        found: ReadSessions,
        spool: Spool,
        judgement: Judgement,
        absences: Absences,
        rejects_file: Path | None,
        rows_bad: int = 0,
    ) -> None:
        self.series, self._partitions, self._precision = wanted
        self._found, self._spool, self._judgement, self._absences = found, spool, judgement, absences
        self.rejects_file = rejects_file
        self.rows_bad = rows_bad

    @property
    def rows(self) -> int:
        """Good rows."""
        return self._spool.rows

    @property
    def warnings(self) -> list[str]:
        """What a user should know though no row is bad."""
        return self._found.notes

    @cached_property
    def sessions(self) -> list[dt.date]:
        """The sessions that have bars, oldest first."""
        return [date_of(self._partitions.days[position]) for position in self._found.positions]

    def answers(self, dates: Collection[dt.date] | None = None) -> Iterator[SessionAnswer]:
        """Yield each session that has bars (of those in `dates`, if given), oldest first."""
        allowed, now = self._longest_absence_allowed_s(), self._judgement.clock()
        wanted = None if dates is None else set(dates)
        start = 0
        for date, position, stop in zip(self.sessions, self._found.positions, self._found.stops, strict=True):
            if wanted is None or date in wanted:
                bars = self._bars(start, stop)
                quality = measure(bars, self._partitions, position)
                coverage = Coverage.COMPLETE if self._judgement.accept_holes else judge(bars, quality, allowed)
                if self._partitions.ends[position] > now:
                    coverage = Coverage.PARTIAL
                yield SessionAnswer(date, bars, coverage, quality)
            start = stop

    def _longest_absence_allowed_s(self) -> float:
        spec = self._partitions.spec
        if spec.is_daily_or_longer:
            return 0.0
        return self._judgement.hole_rule.longest_allowed_s(spec.length_ns // NANOSECONDS, self._absences.usual_s())

    def _bars(self, start: int, stop: int) -> BarTable:
        closes = self._spool.read("close_ns", start, stop)
        values = {name: self._spool.read(name, start, stop) for name in VALUE_COLUMNS}
        spec = self._partitions.spec
        length = DAY_NS - 1 if spec.is_daily_or_longer else spec.length_ns
        return BarTable(
            **values, ts_event=closes - length, ts_init=closes, price_precision=self._precision.price, size_precision=self._precision.size
        )
