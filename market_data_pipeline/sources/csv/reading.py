"""One pass over the files of a series: every row parsed and checked once, good ones spooled, bad ones logged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from market_data_pipeline.domain.bar_table import Int64s
from market_data_pipeline.domain.bar_types import DAY_NS, Series
from market_data_pipeline.domain.sessions import Partitions
from market_data_pipeline.domain.source import Precision
from market_data_pipeline.domain.words import agreeing, count
from market_data_pipeline.sources.csv.columns import FileColumns
from market_data_pipeline.sources.csv.faults import FaultLog
from market_data_pipeline.sources.csv.kept import Closes, LineMap
from market_data_pipeline.sources.csv.lines import byte_size, read_blocks, text_size
from market_data_pipeline.sources.csv.order import OrderedRows, TwiceShown, in_order, settle_autumn
from market_data_pipeline.sources.csv.rows import RowParser
from market_data_pipeline.sources.csv.stamping import Stamping
from market_data_pipeline.tabular.rules import Rule
from market_data_pipeline.tabular.spacing import check_common_step, check_usual_step
from market_data_pipeline.tabular.spool import Spool

Progress = Callable[[int, int], None]
_SURPLUS = 1.05  # lines differ in length; a twentieth more than the first ones promise


@dataclass(frozen=True)
class Wanted:
    """What the files are read for: a series, its partitions, its instrument's decimals."""

    series: Series
    partitions: Partitions
    precision: Precision


@dataclass(frozen=True)
class Reading:
    """What one pass found.

    Attributes:
        ordered: The good rows in order of time; their values are in the spool.
        lines: Where each row came from.
        faults: The bad rows.
        rows: Rows met, good and bad.
        price_decimals: Most decimals of a price that has too many; 0 if none has.
        size_decimals: The same for volumes.
        notes: What a user should know though no row is bad.
    """

    ordered: OrderedRows
    lines: LineMap
    faults: FaultLog
    rows: int
    price_decimals: int
    size_decimals: int
    notes: list[str]


def expected_rows(files: Sequence[FileColumns]) -> int:
    """Return about how many rows files hold, rather too many."""
    return int(sum(text_size(file.path) / max(file.line_bytes, 1.0) for file in files) * _SURPLUS) + 1_024


class _Pass:
    def __init__(self, wanted: Wanted, spool: Spool, expected: int) -> None:
        self.wanted = wanted
        self.spool = spool
        self.closes = Closes(expected)
        self.lines = LineMap()
        self.faults = FaultLog()
        self.twice: list[TwiceShown] = []
        self.file_starts: list[int] = []
        self.price_decimals = 0
        self.size_decimals = 0
        self.volumes_unknown = 0
        self.left_out: Counter[tuple[str, str]] = Counter()

    def read(self, number: int, columns: FileColumns, progress: Callable[[int], None] | None) -> None:
        """Read one file to its end."""
        self.file_starts.append(len(self.closes))
        parser = RowParser(columns, number, self.wanted.series.spec, self.wanted.precision, self.faults)
        stamping = Stamping(columns, self.wanted.partitions)
        first_block = True
        for block in read_blocks(columns.path, progress):
            parsed = parser.parse(block)
            if first_block and len(parsed.lines):
                check_usual_step(columns.path.name, parsed.stamps.wall_ns[parsed.stamps.faults == 0], self.wanted.series.spec)
                first_block = False
            placed = stamping.place(parsed.stamps, parsed.marks)
            filled = self._filled_while_shut(columns, parsed.values, placed.closes)
            if parsed.marks.any or filled.any():
                parsed.marks.forgive(filled)
                self.faults.add_marks(number, parsed.lines, parsed.marks)
                good = parsed.marks.good & ~filled
                self._keep(number, parsed.lines[good], placed.closes[good], placed.later[good], [column[good] for column in parsed.values])
            else:
                self._keep(number, parsed.lines, placed.closes, placed.later, parsed.values)
        self.price_decimals = max(self.price_decimals, parser.price_decimals)
        self.size_decimals = max(self.size_decimals, parser.size_decimals)
        self.volumes_unknown += parser.volumes_unknown
        self.left_out += parser.left_out

    def _filled_while_shut(self, columns: FileColumns, values: list[Int64s], closes: Int64s) -> npt.NDArray[np.bool_]:
        """Return which rows an exporter filled in while the venue was shut: flat, without volume, and outside every session."""
        none = np.zeros(len(closes), dtype=np.bool_)
        partitions = self.wanted.partitions
        if not columns.layout.fills:
            return none
        opened, high, low, closed, volume = values
        flat = (opened == closed) & (high == low) & (volume == 0)
        calendar = partitions.calendar
        if partitions.spec.is_daily_or_longer:
            shut = ~np.isin(closes // DAY_NS, partitions.days)
        else:
            at = np.minimum(np.searchsorted(calendar.end_ns, closes, side="left"), len(calendar.days) - 1)
            shut = closes <= calendar.pre_ns[at]
        filled: npt.NDArray[np.bool_] = flat & shut
        self.left_out["flat row", "without volume while the venue is shut"] += int(filled.sum())
        return filled

    def _keep(self, file: int, lines: Int64s, closes: Int64s, later: Int64s, values: list[Int64s]) -> None:
        if closes is not later:
            odd = np.flatnonzero(closes != later)
            if len(odd):
                self.twice.append(TwiceShown(odd + len(self.closes), later[odd]))
        self.lines.append(file, lines)
        self.closes.append(closes)
        self.spool.append(values)

    def finish(self, paths: Sequence[Path]) -> Reading:
        """Bring the rows of all files into one order."""
        closes = self.closes.array()
        rows = len(closes) + len(self.faults)
        undecided = np.empty(0, dtype=np.int64)
        if self.twice:
            twice = TwiceShown(np.concatenate([t.rows for t in self.twice]), np.concatenate([t.later for t in self.twice]))
            undecided = settle_autumn(closes, twice, self.file_starts)
            files, lines = self.lines.places(undecided)
            for file in np.unique(files):
                self.faults.add(int(file), lines[files == file], Rule.AMBIGUOUS_TIME, "time")
        ordered = in_order(closes, undecided, self.spool, self.lines, self.faults)
        check_common_step(paths[0].name, ordered.closes, self.wanted.series.spec)
        notes = []
        if ordered.rows is not None and (np.diff(ordered.rows) < 0).any():
            backwards = bool((np.diff(ordered.rows) < 0).all())
            notes.append(f"The rows run {'backwards' if backwards else 'in no order'}; they were sorted by time.")
        if ordered.collapsed:
            notes.append(
                f"{count(ordered.collapsed, 'row')} that several files hold with the same values "
                f"{agreeing(ordered.collapsed, 'was', 'were')} taken once."
            )
        if self.volumes_unknown:
            notes.append(
                f"{count(self.volumes_unknown, 'volume')} of -1 (IBKR's sign for none) {agreeing(self.volumes_unknown, 'is', 'are')} taken as 0."
            )
        notes += [
            f"{count(rows, noun)} {what} {agreeing(rows, 'was', 'were')} left out: no bars of this series."
            for (noun, what), rows in self.left_out.items()
            if rows
        ]
        return Reading(ordered, self.lines, self.faults, rows, self.price_decimals, self.size_decimals, notes)


def read_files(files: Sequence[FileColumns], wanted: Wanted, spool: Spool, progress: Progress | None) -> Reading:
    """Read files as one stream into the spool. Memory: 8 bytes a row, and what a block takes.

    Raises:
        SourceError: If a file cannot be read.
        UsageError: If the stamps show that these are other bars than said.
        DiskFull: If the spool has no room.
    """
    total = sum(byte_size(file.path) for file in files)
    work = _Pass(wanted, spool, expected_rows(files))
    done = 0
    for number, columns in enumerate(files):
        tell = _offset_progress(progress, done, total)
        work.read(number, columns, tell)
        done += byte_size(columns.path)
    if progress is not None:
        progress(total, total)
    return work.finish([file.path for file in files])


def _offset_progress(progress: Progress | None, done: int, total: int) -> Callable[[int], None] | None:
    if progress is None:
        return None
    return lambda taken: progress(min(done + taken, total), total)
