"""Rows of one symbol, in order of time, piece by piece: checked by the rules of all rows from outside, and spooled session by session."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from market_data_pipeline.domain.bar_table import VALUE_COLUMNS, Int64s
from market_data_pipeline.domain.bar_types import DAY_NS, Aggregation, Series
from market_data_pipeline.domain.errors import SourceRefused
from market_data_pipeline.domain.sessions import Partitions, day_number
from market_data_pipeline.domain.source import Precision
from market_data_pipeline.domain.words import agreeing, count
from market_data_pipeline.sources.postgres.absences import Absences
from market_data_pipeline.sources.postgres.bad_rows import BadRowLog
from market_data_pipeline.sources.postgres.shape import Stamp
from market_data_pipeline.sources.postgres.table import BarsTable
from market_data_pipeline.tabular.numbers import parse_numbers
from market_data_pipeline.tabular.rules import Marks, Rule, grid_of, mark_numbers, mark_values
from market_data_pipeline.tabular.spacing import check_usual_step, refuse_common_step
from market_data_pipeline.tabular.spool import Spool
from market_data_pipeline.tabular.zones import to_utc

_ROWS_AT_ONCE = 65_536
_LATEST_US = 7_258_118_400_000_000  # 2200-01-01
Bools = npt.NDArray[np.bool_]


@dataclass
class ReadSessions:
    """Which sessions lie where in the spool.

    Attributes:
        positions: Position of each among the partitions, rising.
        stops: Row at which each ends; it begins where the one before ends.
        notes: What a user should know though no row is bad.
    """

    positions: list[int] = field(default_factory=list)
    stops: list[int] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class RowReader:
    """Takes pieces of rows and spools whole sessions. Never holds more than a piece and a session.

    Attributes:
        bad: The rows that break a rule.
        price_decimals: Most decimals of a price that has too many; 0 if none has.
        size_decimals: The same for volumes.
    """

    def __init__(
        self,
        table: BarsTable,
        symbol: str,
        wanted: tuple[Series, Partitions, Precision],
        spool: Spool,
        absences: Absences,
        without: Collection[dt.date],
    ) -> None:
        self._table, self._symbol = table, symbol
        self._series, self._partitions, self._precision = wanted
        self._spool, self._absences = spool, absences
        self._unwanted = np.array(sorted(day_number(date) for date in without), dtype=np.int64)
        self._closes: list[Int64s] = []
        self._values: list[list[Int64s]] = []
        self._identities: list[pa.Array] = []
        self._buffered = 0
        self._is_first = True
        self._last: int | None = None
        self._step = 0
        self._shut = 0
        self._shut_example = 0
        self._found = ReadSessions()
        self.bad = BadRowLog()
        self.price_decimals = 0
        self.size_decimals = 0

    def take(self, piece: pa.Table) -> int:
        """Check the next rows, and return how many there are."""
        identities = piece.column("identity").combine_chunks()
        marks = Marks(len(piece))
        closes = self._close(piece.column("wall_us").combine_chunks(), marks)
        values = [self._numbers(piece.column(name).combine_chunks(), name, marks) for name in VALUE_COLUMNS]
        mark_values(values, marks)
        if marks.any:
            self.bad.add_marks(identities, marks)
            good = marks.good
            identities, closes, values = identities.filter(pa.array(good)), closes[good], [column[good] for column in values]
        if len(self._unwanted) and len(closes):
            days = self._partitions.days[self._partitions.index_of_close(closes)]
            kept = ~np.isin(days, self._unwanted)
            identities, closes, values = identities.filter(pa.array(kept)), closes[kept], [column[kept] for column in values]
        self._identities.append(identities)
        self._closes.append(closes)
        self._values.append(values)
        self._buffered += len(closes)
        if self._buffered >= _ROWS_AT_ONCE:
            self._flush(is_end=False)
        return len(piece)

    def finish(self) -> ReadSessions:
        """Spool what waits, and return where each session lies.

        Raises:
            UsageError: If the stamps show that these are other bars than said.
        """
        self._flush(is_end=True)
        refuse_common_step(self._name, self._step, self._spool.rows, self._series.spec)
        if self._shut:
            example = np.datetime64(self._shut_example, "ns").astype("datetime64[s]")
            self._found.notes.append(
                f"{count(self._shut, 'bar')} {agreeing(self._shut, 'closes', 'close')} while {self._partitions.calendar.name} is shut "
                f"(the first at {example} "
                f"UTC). {agreeing(self._shut, 'It is', 'They are')} stored with the session that follows. If that is wrong, check "
                "--timezone and --stamp."
            )
        return self._found

    @property
    def _name(self) -> str:
        return f"{self._table.name} {self._symbol}".strip()

    def _numbers(self, column: pa.Array, name: str, marks: Marks) -> Int64s:
        numbers = parse_numbers(column, self._precision.size if name == "volume" else self._precision.price)
        mark_numbers(numbers, name, marks)
        if name == "volume":
            self.size_decimals = max(self.size_decimals, numbers.decimals_needed)
        else:
            self.price_decimals = max(self.price_decimals, numbers.decimals_needed)
        return numbers.mantissas

    def _close(self, column: pa.Array, marks: Marks) -> Int64s:
        """Return the close of each row, UTC nanoseconds, and mark the rows that have none."""
        marks.mark(Rule.NO_TIME, "time", np.asarray(column.is_null()))
        micros = np.asarray(column.fill_null(0)).astype(np.int64)
        absurd = (micros < 0) | (micros >= _LATEST_US)
        marks.mark(Rule.ABSURD_TIME, "time", absurd)
        wall = np.where(absurd, 0, micros) * 1_000
        closes = self._labelled(wall, marks) if self._series.spec.is_daily_or_longer else self._timed(wall, marks)
        partitions = self._partitions
        marks.mark(Rule.OUTSIDE_CALENDAR, "time", (closes <= partitions.starts[0]) | (closes > partitions.ends[-1]))
        return closes

    def _timed(self, wall: Int64s, marks: Marks) -> Int64s:
        marks.mark(Rule.OFF_GRID, "time", wall % grid_of(self._series.spec) != 0)
        utc = wall
        zone = self._table.reading.time_zone
        if self._table.shape.is_local and zone is not None:
            local = to_utc(zone, wall)
            marks.mark(Rule.NONEXISTENT_TIME, "time", local.nonexistent)
            # A table has no order, so nothing tells which of the two it is.
            marks.mark(Rule.AMBIGUOUS_TIME, "time", local.first != local.second)
            utc = local.first
        return utc + (self._series.spec.length_ns if self._table.reading.stamp is Stamp.OPEN else 0)

    def _labelled(self, wall: Int64s, marks: Marks) -> Int64s:
        at_close = self._table.reading.stamp is Stamp.CLOSE
        if not at_close:
            marks.mark(Rule.OFF_GRID, "time", wall % DAY_NS != 0)
        days = (wall - at_close) // DAY_NS
        known = np.isin(days, self._partitions.days)
        inside = (days >= self._partitions.days[0]) & (days <= self._partitions.days[-1])
        marks.mark(Rule.NO_SESSION, "time", ~known & inside)
        return days * DAY_NS + DAY_NS - 1

    def _flush(self, *, is_end: bool) -> None:
        """Spool the whole sessions that wait; the last one may go on in the next piece."""
        closes = np.concatenate(self._closes) if self._closes else np.empty(0, dtype=np.int64)
        if not len(closes):
            return
        if (np.diff(closes) < 0).any():
            raise SourceRefused(f"{self._name}: the server's rows are not in order of time. Was the table's time column given a type of its own?")
        session = self._partitions.index_of_close(closes)
        ready = len(closes) if is_end else int(np.searchsorted(session, session[-1]))
        if self._is_first and (ready or is_end):
            check_usual_step(self._name, closes, self._series.spec)
            self._is_first = False
        values = [np.concatenate(parts) for parts in zip(*self._values, strict=True)]
        identities = pa.concat_arrays(self._identities)
        self._closes, self._values, self._identities = [closes[ready:]], [[column[ready:] for column in values]], [identities.slice(ready)]
        self._buffered = len(closes) - ready
        if ready:
            self._keep(closes[:ready], [column[:ready] for column in values], identities.slice(0, ready), session[:ready])

    def _keep(self, closes: Int64s, values: list[Int64s], identities: pa.Array, session: Int64s) -> None:
        keep = self._once(closes, values, identities)
        if not keep.all():
            closes, values, session = closes[keep], [column[keep] for column in values], session[keep]
        if not len(closes):
            return
        self._absences.add(closes)
        self._note_step(closes)
        self._note_shut(closes, session)
        starts = np.flatnonzero(np.diff(session, prepend=-2))
        self._found.positions += session[starts].tolist()
        self._found.stops += (np.append(starts[1:], len(closes)) + self._spool.rows).tolist()
        self._spool.append([*values, closes])

    def _once(self, closes: Int64s, values: list[Int64s], identities: pa.Array) -> Bools:
        """Return which rows to keep: of rows with one time and the same values the first; of rows that differ none: nothing tells which is right."""
        keep = np.ones(len(closes), dtype=np.bool_)
        again = closes[1:] == closes[:-1]
        if not again.any():
            return keep
        group = np.cumsum(np.append(True, ~again)) - 1
        unlike = np.zeros(len(closes), dtype=np.bool_)
        for column in values:
            unlike[1:] |= (column[1:] != column[:-1]) & again
        differs = (np.bincount(group, weights=unlike) > 0)[group] & (np.bincount(group) > 1)[group]
        repeated = np.append(False, again) & ~differs
        for rule, chosen in ((Rule.REPEATED, repeated), (Rule.REPEATED_DIFFERENTLY, differs)):
            if chosen.any():
                self.bad.add(identities.filter(pa.array(chosen)).to_pylist(), rule, "time")
        keep[repeated | differs] = False
        return keep

    def _note_step(self, closes: Int64s) -> None:
        if self._step == 1:
            return
        before = [] if self._last is None else [self._last]
        self._step = int(np.gcd.reduce(np.diff(np.append(before, closes).astype(np.int64)), initial=self._step))
        self._last = int(closes[-1])

    def _note_shut(self, closes: Int64s, session: Int64s) -> None:
        if self._series.spec.is_daily_or_longer or self._series.spec.aggregation is Aggregation.MONTH:
            return
        calendar = self._partitions.calendar
        shut = np.flatnonzero(closes <= calendar.pre_ns[self._partitions.calendar_index[session]])
        if len(shut):
            self._shut_example = self._shut_example or int(closes[shut[0]])
            self._shut += len(shut)
