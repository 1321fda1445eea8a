"""Reads stored bars: checked by pyarrow before anything else sees them, file by file, only the files of the range."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from market_data_pipeline.catalog.bar_format import FIXED_DECIMALS, check_bars, decode, read_content, table_in
from market_data_pipeline.catalog.layout import FOREIGN_NAME, CatalogLayout, interval_of
from market_data_pipeline.domain.bar_table import PRICE_COLUMNS, VALUE_COLUMNS, BarTable, Int64s
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.errors import CorruptFile, PrecisionMismatch
from market_data_pipeline.domain.sessions import Partitions
from market_data_pipeline.domain.source import Precision

if TYPE_CHECKING:
    from nautilus_trader.model.data import Bar


def closes_of(partitions: Partitions, start: dt.date | None, end: dt.date | None) -> tuple[int, int]:
    """Return the closes (after, until] of all partitions dated in [start, end]; None is the calendar's own end."""
    first, last = start or dt.date.min, end or dt.date.max
    positions = partitions.positions_between(max(first, dt.date(1970, 1, 1)), last)
    if not positions:
        return 0, 0
    return int(partitions.starts[positions.start]), int(partitions.ends[positions.stop - 1])


def read_files(layout: CatalogLayout, series: Series, precision: Precision, partitions: Partitions, after: int, until: int) -> Iterator[BarTable]:
    """Yield the bars that close in (after, until], one table a file, in order. A writer may be at work.

    Raises:
        CorruptFile: At the first file that cannot be trusted, or where two files speak of the same time.
    """
    folder = layout.series_folder(series)
    lost = 0
    try:
        while after < until:
            reader = _FileReader(series, precision, partitions, after, until)
            try:
                for name in layout.names_between(folder, after, until):
                    reader.add(folder / name)
                    if reader.rows >= _ROWS_AT_ONCE:
                        yield from reader.take()
                yield from reader.take()
            except FileNotFoundError as error:  # replaced since it was listed: list again, and go on from there
                yield from reader.take()
                lost = lost + 1 if reader.after == after else 0
                after = reader.after
                if lost > _LISTINGS:
                    raise CorruptFile(f"{error.filename}: is listed, but there is no such file") from None
                continue
            return
    except CorruptFile as error:
        raise CorruptFile(f"{error}. Run `mdp catalog verify`: it moves bad files to quarantine and says what to load again.") from None


# Files are read one by one and decoded together: a session has few bars, and each step over a column has its price.
_ROWS_AT_ONCE = 20_000
_LISTINGS = 20


class _FileReader:
    """Gathers files, and decodes and checks them together.

    Attributes:
        after: Bars up to this close have been taken.
        rows: Bars waiting.
    """

    def __init__(self, series: Series, precision: Precision, partitions: Partitions, after: int, until: int) -> None:
        self._series, self._precision, self._partitions, self._until = series, precision, partitions, until
        self.after = after
        self.rows = 0
        self._waiting: list[tuple[Path, int, int, int]] = []
        self._tables: list[pa.Table] = []
        self._claimed: int | None = None  # up to where the names so far claim closes
        self._last_close: int | None = None

    def add(self, path: Path) -> None:
        """Read a file, which must begin after the ones before it."""
        interval = interval_of(path.name)
        if interval is None:
            raise CorruptFile(f"{path}: {FOREIGN_NAME}")
        start, end = interval
        if self._claimed is not None and start <= self._claimed:
            raise CorruptFile(f"{path}: covers the same time as the file before it, so bars would come twice")
        table = table_in(read_content(path), path, self._series, self._precision, (self.after, self._until))
        self._waiting.append((path, start, end, table.num_rows))
        self._tables.append(table)
        self.rows += table.num_rows
        self._claimed = end

    def take(self) -> Iterator[BarTable]:
        """Yield what waits, one table a file."""
        waiting, tables = self._waiting, self._tables
        self._waiting, self._tables, self.rows = [], [], 0
        if not waiting:
            return
        bars = self._decode(waiting, tables)
        first = 0
        for path, start, end, rows in waiting:
            table = bars.slice(first, first + rows)
            first += rows
            if not rows:
                continue
            # A name that says less of a session than the file holds is what a writer leaves for a moment while it makes one fuller.
            if int(table.ts_init[0]) < start or int(table.ts_init[-1]) > self._end_of_session(end):
                raise CorruptFile(f"{path}: holds bars outside the time that its name claims")
            if self._last_close is not None and int(table.ts_init[0]) <= self._last_close:
                raise CorruptFile(f"{path}: holds bars that the file before it holds too")
            self._last_close = int(table.ts_init[-1])
            whole = int(table.ts_init[0]) > self.after and int(table.ts_init[-1]) <= self._until
            inside = table if whole else table.between(self.after, self._until)
            if len(inside):
                self.after = int(inside.ts_init[-1])
                yield inside
        self.after = max(self.after, min(self._claimed or self.after, self._until))

    def _end_of_session(self, close: int) -> int:
        i = int(np.searchsorted(self._partitions.ends, close))
        return int(self._partitions.ends[i]) if i < len(self._partitions) else close

    def _decode(self, waiting: Sequence[tuple[Path, int, int, int]], tables: Sequence[pa.Table]) -> BarTable:
        try:
            bars = decode(pa.concat_tables(tables), self._precision)
            check_bars(bars, waiting[0][0])
        except (PrecisionMismatch, CorruptFile):
            for (path, *_), table in zip(waiting, tables, strict=True):  # which one is it?
                _decode_alone(table, self._precision, path)
            raise CorruptFile(
                f"{waiting[0][0].parent}: two files between {waiting[0][0].name} and {waiting[-1][0].name} hold the same bars"
            ) from None
        return bars


def _decode_alone(table: pa.Table, precision: Precision, path: Path) -> None:
    try:
        check_bars(decode(table, precision), path)
    except PrecisionMismatch as error:
        raise CorruptFile(f"{path}: {error}") from None


def to_arrow(bars: BarTable) -> pa.RecordBatch:
    """Return bars for analysis: `ts_event` and `ts_init` as timestamp[ns, UTC], prices and volume as exact decimals."""
    arrays = [pa.array(stamps).cast(pa.timestamp("ns", "UTC")) for stamps in (bars.ts_event, bars.ts_init)]
    arrays += [to_decimals(bars.column(name), bars.price_precision) for name in PRICE_COLUMNS]
    arrays.append(to_decimals(bars.volume, bars.size_precision))
    return pa.record_batch(arrays, names=["ts_event", "ts_init", *PRICE_COLUMNS, "volume"])


def to_decimals(values: Int64s, scale: int) -> pa.Array:
    """Return whole numbers of the last decimal as an exact decimal128 column of that scale."""
    words = np.empty((len(values), 2), dtype="<i8")
    words[:, 0], words[:, 1] = values, values >> 63
    return pa.Decimal128Array.from_buffers(pa.decimal128(38, scale), len(values), [None, pa.py_buffer(words)])


# Up to here a mantissa survives the way through a float that Nautilus' bulk constructor takes.
_EXACT_AS_FLOAT = 2**50


def to_nautilus(bars: BarTable, series: Series) -> list[Bar]:
    """Return Nautilus' own objects, equal to the last decimal."""
    from nautilus_trader.model.data import Bar, BarType

    if not len(bars):
        return []
    bar_type = BarType.from_str(series.bar_type)
    values = [bars.column(name) for name in VALUE_COLUMNS]
    stamps = [column.astype(np.uint64) for column in (bars.ts_event, bars.ts_init)]
    if all(int(column.min()) > -_EXACT_AS_FLOAT and int(column.max()) < _EXACT_AS_FLOAT for column in values):
        floats = [np.ascontiguousarray(bars.floats(name)) for name in VALUE_COLUMNS]
        result: list[Bar] = Bar.from_raw_arrays_to_list(bar_type, bars.price_precision, bars.size_precision, *floats, *stamps)
        return result
    raw = [(column.astype(object) * 10 ** (FIXED_DECIMALS - bars.price_precision)).tolist() for column in values[:4]]
    sizes = (bars.volume.astype(object) * 10 ** (FIXED_DECIMALS - bars.size_precision)).tolist()
    precisions = bars.price_precision, bars.size_precision
    rows = zip(*raw, sizes, *(column.tolist() for column in stamps), strict=True)
    return [Bar.from_raw(bar_type, *prices, precisions[0], size, precisions[1], ts_event, ts_init) for *prices, size, ts_event, ts_init in rows]
