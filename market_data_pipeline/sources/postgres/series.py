"""The rows of one symbol as a source of bars: through COPY, checked, and spooled to disk in order of time."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Generator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.csv as pacsv

from market_data_pipeline.domain.bar_table import VALUE_COLUMNS
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.coverage import Provenance
from market_data_pipeline.domain.errors import SourceRefused, UsageError
from market_data_pipeline.domain.quality import HoleRule
from market_data_pipeline.domain.sessions import Partitions
from market_data_pipeline.domain.source import Precision
from market_data_pipeline.sources.postgres.absences import Absences
from market_data_pipeline.sources.postgres.bad_rows import BadRowReport
from market_data_pipeline.sources.postgres.bars import Judgement, TableBars
from market_data_pipeline.sources.postgres.reading import RowReader
from market_data_pipeline.sources.postgres.table import BarsTable, Span
from market_data_pipeline.tabular.spool import Spool

if TYPE_CHECKING:
    import datetime as dt
    from types import TracebackType

_PIECE_BYTES = 4 << 20
SPOOLED = (*VALUE_COLUMNS, "close_ns")


@dataclass(frozen=True)
class SeriesOptions:
    """How the rows of a symbol are read.

    Attributes:
        span: Which sessions.
        rows: About how many rows those have.
        without: Sessions that are not wanted.
        bounded: True where rows outside the span are nobody's concern: dates were asked for, or there are none. Else all are read, and rows
            without a time, or outside the calendar, are bad.
        absences: How far apart the bars of the sessions are that are not wanted; None where that says nothing.
        skip_bad_rows: Take the good rows and list the others in a file.
        rejects_dir: Folder of that file.
        accept_holes: Take every session that has bars as complete, except one that is still trading.
        hole_rule: How long regular hours may pass without a bar.
        spool_dir: Folder for temporary columns (48 bytes a row); None for the system's.
        progress: Called with rows read so far.
        clock: Returns now in nanoseconds since 1970 UTC.
    """

    span: Span
    rows: int
    without: Collection[dt.date] = ()
    bounded: bool = False
    absences: Absences | None = None
    skip_bad_rows: bool = False
    rejects_dir: Path | None = None
    accept_holes: bool = False
    hole_rule: HoleRule = field(default_factory=HoleRule)
    spool_dir: Path | None = None
    progress: Callable[[int], None] | None = None
    clock: Callable[[], int] = time.time_ns


class TableSeries:
    """One symbol of a table. Use as a context manager: the room that opened bars take on disk is freed at the end.

    Attributes:
        noun: What a person calls what is read.
        rejected: Identities of the rows that were left out; none before `open`.
    """

    noun = "table"

    def __init__(self, table: BarsTable, symbol: str, options: SeriesOptions) -> None:
        self._table, self._symbol, self._options = table, symbol, options
        self._spools: list[Spool] = []
        self.rejected: list[int | str] = []

    def __enter__(self) -> TableSeries:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        while self._spools:
            self._spools.pop().close()

    @property
    def names(self) -> tuple[str, ...]:
        """Table and symbol."""
        return (f"{self._table.name} {self._symbol}".strip(),)

    @property
    def provenance(self) -> Provenance:
        """`postgres`, where the table is, and the convention of its bars."""
        place = self._table.database.place
        return Provenance("postgres", f"{place.database} {self.names[0]}"[:400], self._table.reading.convention)

    def verdict(self, series: Series, partitions: Partitions) -> None:
        """Return that nothing had to be told apart: what the columns mean is declared, and times are the server's."""

    def open(self, series: Series, partitions: Partitions, precision: Precision) -> TableBars:
        """Read and check every row once. Memory is bounded, whatever the number of rows; the values wait on disk.

        Raises:
            BadRows: If rows break a rule and are not to be skipped; with counts, the first 20 by id and what to do.
            UsageError: If the rows are other bars than said.
            SourceUnavailable: If the connection breaks.
            DiskFull, StorageFailed: If the temporary columns have no room.
        """
        options = self._options
        absences = options.absences or Absences(partitions)
        spool = Spool(options.spool_dir, options.rows, SPOOLED)
        self._spools.append(spool)
        reader = RowReader(self._table, self._symbol, (series, partitions, precision), spool, absences, options.without)
        count = 0
        # Closed at once where a check gives up in the middle: the server stops sending, and the transaction goes on.
        with closing(self._pieces()) as pieces:
            for piece in pieces:
                count += reader.take(piece)
                if options.progress is not None:
                    options.progress(count)
        reading = reader.finish()
        report = BadRowReport(self._table, self._symbol, reader.bad, (series, partitions, precision), count)
        if len(reader.bad):
            if not options.skip_bad_rows:
                raise report.error(reader.price_decimals, reader.size_decimals)
            if (
                self._table.shape.identity_type == "text[]"
                and self._table.shape.identity_name == self._table.shape.columns.time
                and reader.bad.has_repeats
            ):
                raise UsageError(f"{self._table.name} has repeated rows and no column that tells them apart. Name one: --columns id=COLUMN.")
        rejects = report.write(options.rejects_dir) if len(reader.bad) and options.rejects_dir is not None else None
        self.rejected = list(reader.bad.identities)
        return TableBars(
            (series, partitions, precision),
            reading,
            spool,
            Judgement(options.hole_rule, options.accept_holes, options.clock),
            absences,
            rejects,
            len(reader.bad),
        )

    def _pieces(self) -> Generator[pa.Table]:
        """Yield rows as the server gives them, in order of time, in pieces of about four megabytes."""
        from psycopg import sql

        shape = self._table.shape
        columns = (
            sql.SQL("{}::text").format(shape.identity) if shape.identity_type == "tid[]" else shape.identity,
            shape.wall_us,
            *shape.values.values(),
        )
        where = self._table.where(self._symbol, self._options.span if self._options.bounded else None)
        query = sql.SQL("COPY (SELECT {} FROM {} WHERE {} ORDER BY {}) TO STDOUT (FORMAT csv)").format(
            sql.SQL(", ").join(columns), shape.relation, where, shape.time
        )
        waiting: list[Any] = []
        size = 0
        connection = self._table.database.connection
        with self._table.database.clear_errors(), connection.transaction(), connection.cursor() as cursor, cursor.copy(query) as copy:
            for row in copy:
                waiting.append(row)
                size += len(row)
                if size >= _PIECE_BYTES:
                    yield self._parsed(b"".join(waiting))
                    waiting.clear()
                    size = 0
        if waiting:
            yield self._parsed(b"".join(waiting))

    def _parsed(self, text: bytes) -> pa.Table:
        names = ["identity", "wall_us", *VALUE_COLUMNS]
        types = {name: pa.string() for name in names} | {"wall_us": pa.int64()}
        if self._table.shape.identity_type == "bigint[]":
            types["identity"] = pa.int64()
        try:
            return pacsv.read_csv(
                pa.BufferReader(text),
                pacsv.ReadOptions(use_threads=False, column_names=names, block_size=len(text) + 1),
                pacsv.ParseOptions(newlines_in_values=False),
                pacsv.ConvertOptions(column_types=types, strings_can_be_null=False, null_values=[""]),
            )
        except pa.ArrowInvalid as error:
            raise SourceRefused(
                f"{self.names[0]}: the server's answer cannot be read ({error}). Name a row by a whole number: --columns id=COLUMN."
            ) from None
