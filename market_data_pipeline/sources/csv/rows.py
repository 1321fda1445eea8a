"""One block of lines, turned into columns of whole numbers: what each row says, and which rule it breaks."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from market_data_pipeline.domain.bar_table import PRICE_COLUMNS, VALUE_COLUMNS, Int64s
from market_data_pipeline.domain.bar_types import BarSpec, PriceType
from market_data_pipeline.domain.errors import QuestionUnanswered, SourceRefused
from market_data_pipeline.domain.source import Precision
from market_data_pipeline.sources.csv.columns import FileColumns
from market_data_pipeline.sources.csv.faults import FaultLog
from market_data_pipeline.sources.csv.layout import Prices
from market_data_pipeline.sources.csv.lines import Block, is_utf8
from market_data_pipeline.sources.csv.times import Stamps, TimeFault, parse_times
from market_data_pipeline.tabular.numbers import parse_numbers, parse_scaled, without_marks
from market_data_pipeline.tabular.rules import ROW, Marks, Rule, mark_numbers, mark_values

_TIME_RULES = {TimeFault.EMPTY: Rule.NO_TIME, TimeFault.NOT_A_TIME: Rule.NOT_A_TIME, TimeFault.ABSURD: Rule.ABSURD_TIME}


# What a row says that holds no trade.
BLANK = r"^\s*(nan|null|none)?\s*$"
_EVENT_ROWS = ("row", "of a dividend or a split")
_EVENT = r"\b(dividend|stock splits?)\b"
_EVENT_ROW = re.compile(_EVENT, re.IGNORECASE)
_ADJUSTED_DECIMALS = 9


@dataclass(frozen=True)
class ParsedRows:
    """Rows of one block that have the right number of fields; arrays of shape (n,).

    Attributes:
        lines: int64 line numbers.
        values: open, high, low, close, volume as whole numbers of the last decimal; 0 where the text is no number.
        stamps: The time stamps as written.
        marks: The rules that rows break.
    """

    lines: Int64s
    values: list[Int64s]
    stamps: Stamps
    marks: Marks


class RowParser:
    """Parses the blocks of one file.

    Attributes:
        left_out: Rows that are no bars and break no rule, by what they are, the noun apart: other symbols, times without trades, dividends.
        price_decimals: Most decimals met in a price that has too many; 0 if none has.
        size_decimals: The same for volumes.
        volumes_unknown: Rows whose volume is -1, IBKR's sign for a price that has none.
    """

    def __init__(self, columns: FileColumns, file: int, spec: BarSpec, precision: Precision, faults: FaultLog) -> None:
        self._columns = columns
        self._file = file
        self._spec = spec
        self._precision = precision
        self._faults = faults
        names = [f"f{i}" for i in range(columns.width)]
        wanted = sorted(set(columns.positions.values()))
        self._names = names
        self._convert = pacsv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), include_columns=[names[i] for i in wanted], strings_can_be_null=False
        )
        delimiter = re.escape(columns.delimiter.encode())
        field = rb'(?:"(?:[^"]|"")*"[^%b]*|[^"%b][^%b]*|)' % ((delimiter,) * 3)
        self._closed = re.compile(field + rb"(?:%b%b)*" % (delimiter, field))
        self.left_out: Counter[tuple[str, str]] = Counter()
        self._only_symbol = columns.symbol
        self._event_rows: list[int] = []
        self.price_decimals = 0
        self.size_decimals = 0
        self.volumes_unknown = 0

    def parse(self, block: Block) -> ParsedRows:
        """Parse a block. Lines that are no rows (wrong column count, a quote left open) go to the fault log."""
        table, lines = self._without_others(*self._split(block))
        marks = Marks(len(lines))
        stamps = self._times(table, marks)
        values = [self._numbers(table, name, marks) for name in VALUE_COLUMNS]
        if self._columns.prices is Prices.ADJUSTED:
            values[:4] = self._adjusted(table, marks)
        mark_values(values, marks)
        return ParsedRows(lines, values, stamps, marks)

    def _split(self, block: Block) -> tuple[pa.Table, Int64s]:
        text, first = self._without_header(block)
        lines = text.count(b"\n")
        numbers: list[int] = []
        table = self._read(text, numbers)
        # Fewer rows than line ends: there are blank lines, or quotes that run over them. More cannot be.
        if table is not None and table.num_rows + len(numbers) == lines:
            where = np.arange(first, first + lines, dtype=np.int64)
        else:
            text, where = self._tidied(text, first)
            numbers.clear()
            table = self._read(text, numbers)
            if table is None:
                raise SourceRefused(f"{self._columns.path}, lines {first} and following cannot be split into fields by {self._columns.delimiter!r}.")
        if numbers:
            wrong = np.array(numbers, dtype=np.int64) - 1
            event = np.isin(wrong, np.array(self._event_rows, dtype=np.int64) - 1)
            self.left_out[_EVENT_ROWS] += int(event.sum())
            self._faults.add(self._file, where[wrong[~event]], Rule.COLUMN_COUNT, ROW)
            where = np.delete(where, wrong)
        return table, where

    def _without_others(self, table: pa.Table, lines: Int64s) -> tuple[pa.Table, Int64s]:
        """Leave out, and count, what is no row of this series: other symbols, events, times without trades."""
        if not table.num_rows:
            return table, lines
        if "symbol" in self._columns.positions:
            table, lines = self._filtered(table, lines, self._is_other_symbol(table), ("row", "of other symbols"))
        event = pc.match_substring_regex(self._field(table, "open"), _EVENT, ignore_case=True)
        table, lines = self._filtered(table, lines, event, _EVENT_ROWS)
        if self._columns.layout.blanks:
            blank = pc.match_substring_regex(self._field(table, "open"), BLANK, ignore_case=True)
            for name in ("high", "low", "close"):
                blank = pc.and_(blank, pc.match_substring_regex(self._field(table, name), BLANK, ignore_case=True))
            table, lines = self._filtered(table, lines, blank, ("row", "without prices (nothing was traded)"))
        return table, lines

    def _is_other_symbol(self, table: pa.Table) -> pa.Array:
        names = pc.utf8_trim_whitespace(self._field(table, "symbol"))
        if self._columns.symbol is None:
            found = [name for name in pc.unique(names).to_pylist() if name]
            self._only_symbol = self._only_symbol or next(iter(found), None)
            if set(found) - {self._only_symbol}:
                raise QuestionUnanswered(
                    f"{self._columns.path.name} holds rows of several symbols ({', '.join(sorted({*found, str(self._only_symbol)})[:20])}). "
                    "Nothing was written. Pass --symbol with the one to take."
                )
            return pa.array(np.zeros(len(names), dtype=np.bool_))
        return pc.not_equal(names, self._columns.symbol)

    def _filtered(self, table: pa.Table, lines: Int64s, drop: pa.Array, what: tuple[str, str]) -> tuple[pa.Table, Int64s]:
        count = pc.sum(drop).as_py() or 0
        if not count:
            return table, lines
        self.left_out[what] += count
        keep = pc.invert(drop)
        return table.filter(keep), lines[np.asarray(keep.to_numpy(zero_copy_only=False), dtype=np.bool_)]

    def _adjusted(self, table: pa.Table, marks: Marks) -> list[Int64s]:
        """Return the four prices scaled by adjusted close / close, rounded half to even at the instrument's last decimal.

        Exact until that rounding: whole numbers all the way. Such files hold days, so that Python's numbers are fast enough.
        """
        found = {}
        for name in (*PRICE_COLUMNS, "adjusted_close"):
            column = without_marks(self._field(table, name), self._columns.layout.number_marks)
            numbers = parse_numbers(column, _ADJUSTED_DECIMALS, self._columns.layout.decimal_mark)
            mark_numbers(numbers, "close" if name == "adjusted_close" else name, marks)
            found[name] = numbers.mantissas.astype(object)
        marks.mark(Rule.PRICE, "close", (found["close"] <= 0) | (found["adjusted_close"] <= 0))
        close = np.where(found["close"] <= 0, 1, found["close"])
        unit = 10 ** (_ADJUSTED_DECIMALS - self._precision.price)
        return [
            np.array([_half_even(p * a, c * unit) for p, a, c in zip(found[name], found["adjusted_close"], close, strict=True)], dtype=np.int64)
            for name in PRICE_COLUMNS
        ]

    def _without_header(self, block: Block) -> tuple[bytes, int]:
        text, first = block.text, block.first_line
        while text and first < self._columns.first_data_line:
            text, first = text[text.index(b"\n") + 1 :], first + 1
        return text, first

    def _read(self, text: bytes, wrong_numbers: list[int]) -> pa.Table | None:
        """Return the fields as strings, or None if the bytes are no UTF-8. Numbers of rows, from 1, with a wrong column count are appended."""

        def wrong(row: pacsv.InvalidRow) -> str:
            if row.text.strip():  # a line of blanks is no row: the count of lines then differs, and the text is tidied
                wrong_numbers.append(row.number)
                if _EVENT_ROW.search(row.text):
                    self._event_rows.append(row.number)
            return "skip"

        self._event_rows = []
        if not text:
            return pa.table({name: pa.array([], pa.string()) for name in self._convert.include_columns})
        if not is_utf8(text):
            return None
        try:
            return pacsv.read_csv(
                pa.BufferReader(text),
                # With threads Arrow does not tell the numbers of bad rows. One block, one chunk.
                pacsv.ReadOptions(use_threads=False, column_names=self._names, block_size=len(text) + 1),
                pacsv.ParseOptions(delimiter=self._columns.delimiter, invalid_row_handler=wrong),
                self._convert,
            )
        except pa.ArrowInvalid:
            return None

    def _tidied(self, text: bytes, first: int) -> tuple[bytes, Int64s]:
        """Return the text with nothing but whole rows in it, and the line number of each."""
        text = text.decode("utf-8", "replace").encode()
        kept, where, broken = [], [], []
        for number, line in enumerate(text.split(b"\n")[:-1], start=first):
            if not line.strip():
                continue
            if b'"' in line and not self._closed.fullmatch(line):
                broken.append(number)
                continue
            kept.append(line)
            where.append(number)
        self._faults.add(self._file, np.array(broken, dtype=np.int64), Rule.LINE_BREAK, ROW)
        return b"".join(line + b"\n" for line in kept), np.array(where, dtype=np.int64)

    def _field(self, table: pa.Table, field: str) -> pa.Array:
        column = table.column(self._names[self._columns.positions[field]])
        return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()

    def _times(self, table: pa.Table, marks: Marks) -> Stamps:
        text = self._field(table, "time")
        if "clock" in self._columns.positions:
            clock = self._field(table, "clock")
            text = pc.binary_join_element_wise(pc.utf8_trim_whitespace(text), pc.utf8_trim_whitespace(clock), " ")
        stamps = parse_times(text, self._columns.form)
        if stamps.faults.any():
            for fault, rule in _TIME_RULES.items():
                marks.mark(rule, "time", stamps.faults == fault)
        return stamps

    def _numbers(self, table: pa.Table, field: str, marks: Marks) -> Int64s:
        if field not in self._columns.positions:
            return np.zeros(table.num_rows, dtype=np.int64)
        decimals = self._precision.size if field == "volume" else self._precision.price
        layout, column = self._columns.layout, self._field(table, field)
        if layout.number_marks:
            column = without_marks(column, layout.number_marks)
        if layout.price_decimals and field != "volume":
            numbers = parse_scaled(column, decimals, layout.price_decimals)
        else:
            numbers = parse_numbers(column, decimals, layout.decimal_mark)
        if self._columns.prices is Prices.ADJUSTED and field != "volume":
            return numbers.mantissas  # `_adjusted` reads them with all their decimals
        mark_numbers(numbers, field, marks)
        if field == "volume":
            self.size_decimals = max(self.size_decimals, numbers.decimals_needed)
            return self._known_volumes(numbers.mantissas)
        self.price_decimals = max(self.price_decimals, numbers.decimals_needed)
        return numbers.mantissas

    def _known_volumes(self, volume: Int64s) -> Int64s:
        if self._spec.price_type is PriceType.LAST:
            return volume
        unknown = volume == -(10**self._precision.size)
        self.volumes_unknown += int(unknown.sum())
        return np.where(unknown, 0, volume)


def _half_even(number: int, by: int) -> int:
    """Return a positive ratio rounded to a whole number, halves to the even one."""
    whole, rest = divmod(number, by)
    return whole + (2 * rest > by or (2 * rest == by and whole % 2 == 1))
