"""One table of bars: which symbols it has, what the server says of each session, and the rows themselves."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from market_data_pipeline.domain.bar_table import VALUE_COLUMNS
from market_data_pipeline.domain.session_sums import SessionSums
from market_data_pipeline.domain.sessions import Partitions, date_of
from market_data_pipeline.domain.source import Precision
from market_data_pipeline.sources.postgres.shape import Reading, Stamp, TableShape

if TYPE_CHECKING:
    from psycopg.sql import Composable, Composed

    from market_data_pipeline.sources.postgres.connecting import Database
    from market_data_pipeline.sources.postgres.series import SeriesOptions, TableSeries

Identity = int | str


@dataclass(frozen=True)
class SymbolRows:
    """A symbol of a table.

    Attributes:
        symbol: As it is written there; None where the column is null.
        rows: Its rows.
        first_us: Close of its first bar, microseconds since 1970 UTC; None where no row has a time.
        last_us: Close of its last bar.
    """

    symbol: str | None
    rows: int
    first_us: int | None
    last_us: int | None


@dataclass(frozen=True)
class Span:
    """Sessions at these positions of the partitions, both inclusive: what is read of a symbol.

    Attributes:
        first: Position of the first session.
        last: Position of the last session.
        after_us: Bars close after this, microseconds since 1970 UTC …
        until_us: … and until this, inclusive.
    """

    first: int
    last: int
    after_us: int
    until_us: int

    @classmethod
    def of(cls, partitions: Partitions, first: int, last: int) -> Span:
        """Return the span of some partitions."""
        return cls(first, last, int(partitions.starts[first]) // 1_000, int(partitions.ends[last]) // 1_000)


class BarsTable:
    """A table inside the reading transaction. Made by `Database.table`.

    Attributes:
        database: Where it is.
        shape: Its columns.
        reading: How its rows are read.
    """

    def __init__(self, database: Database, shape: TableShape, reading: Reading) -> None:
        self.database, self.shape, self.reading = database, shape, reading

    @property
    def name(self) -> str:
        """`schema.table`."""
        return self.shape.name

    def symbols(self) -> list[SymbolRows]:
        """Return the table's symbols with their rows, sorted; one without a name where the table holds one instrument. Reads the table once."""
        from psycopg import sql

        # Of the last bar's close, not of its time: a view may compute it.
        query = sql.SQL("SELECT {}, count(*), min({close}), max({close}) FROM {} GROUP BY 1 ORDER BY 1").format(
            sql.SQL("''") if self.shape.symbol is None else sql.SQL("{}::text").format(self.shape.symbol),
            self.shape.relation,
            close=self.shape.close_us,
        )
        return [SymbolRows(*row) for row in self._all(query)]

    def span(self, symbol: SymbolRows, partitions: Partitions, start: dt.date | None, end: dt.date | None) -> Span | None:
        """Return the sessions dated in [start, end] between a symbol's first and last bar; None where there are none."""
        if symbol.first_us is None or symbol.last_us is None or not len(partitions):
            return None
        closes = np.array([symbol.first_us, symbol.last_us], dtype=np.int64)
        first, last = (int(i) for i in np.searchsorted(partitions.ends // 1_000, closes, side="left"))
        allowed = partitions.positions_between(start or dt.date(1970, 1, 1), end or dt.date.max)
        if not allowed:
            return None
        first, last = max(first, allowed.start), min(last, allowed.stop - 1)
        return Span.of(partitions, first, last) if first <= last else None

    def sums(
        self, symbol: str, partitions: Partitions, precision: Precision, span: Span, without: Sequence[Identity] = ()
    ) -> dict[dt.date, SessionSums]:
        """Return what the server says of each session that has rows: an answer that no line of ours has parsed or added up.

        Args:
            symbol: The symbol.
            partitions: Partitions of its series.
            precision: Decimals of its instrument, the unit of the digests.
            span: Which sessions.
            without: Rows that do not count, by identity.
        """
        from psycopg import sql

        shape = self.shape
        # The first threshold that lies above a close is the end of its session.
        thresholds = partitions.ends[span.first : span.last + 1] // 1_000 + 1
        units = {name: 10 ** (precision.size if name == "volume" else precision.price) for name in VALUE_COLUMNS}
        scaled = (sql.SQL("trunc({} * {})").format(shape.exact[name], sql.Literal(unit)) for name, unit in units.items())
        exact = sql.SQL(", ").join(sql.SQL("{} AS {}").format(shape.exact[name], sql.Identifier(f"v_{name}")) for name in VALUE_COLUMNS)
        query = sql.SQL(
            "SELECT width_bucket(closes, {thresholds}::bigint[]) AS bucket, count(*), {sums}, md5(string_agg(line, E'\\n' ORDER BY closes)) FROM "
            "(SELECT {close} AS closes, {exact}, concat_ws(',', {close}, {scaled}) AS line FROM {relation} WHERE "
            "{where}) AS rows GROUP BY 1 ORDER BY 1"
        ).format(
            thresholds=sql.Literal(thresholds.tolist()),
            sums=sql.SQL(", ").join(sql.SQL("sum({})").format(sql.Identifier(f"v_{name}")) for name in VALUE_COLUMNS),
            close=shape.close_us,
            exact=exact,
            scaled=sql.SQL(", ").join(scaled),
            relation=shape.relation,
            where=self.where(symbol, span, without),
        )
        found = {}
        for bucket, rows, *sums, digest in self._all(query):
            date = date_of(partitions.days[span.first + bucket])
            found[date] = SessionSums(date, rows, tuple(Decimal(0) if one is None else Decimal(one) for one in sums), digest)
        return found

    def where(self, symbol: str, span: Span | None, without: Sequence[Identity] = ()) -> Composable:
        """Return the SQL condition of a symbol's rows that close inside a span (None: all, also those without a time)."""
        from psycopg import sql

        shape = self.shape
        parts: list[Composable] = []
        if shape.symbol is not None:
            parts.append(sql.SQL("{} = {}").format(shape.symbol, sql.Literal(symbol)))
        if span is not None:
            if shape.is_zoned and not self.reading.spec.is_daily_or_longer:  # in words that an index understands
                length = self.reading.spec.length_ns // 1_000 if self.reading.stamp is Stamp.OPEN else 0
                bounds = (_moment(span.after_us - length), _moment(span.until_us - length))
                parts.append(sql.SQL("{t} > {} AND {t} <= {}").format(*(sql.Literal(one) for one in bounds), t=shape.time))
            else:
                parts.append(sql.SQL("{c} > {} AND {c} <= {}").format(sql.Literal(span.after_us), sql.Literal(span.until_us), c=shape.close_us))
        if without:
            parts.append(sql.SQL("NOT ({} = ANY({}))").format(shape.identity, self.identities(without)))
        return sql.SQL(" AND ").join(parts) if parts else sql.SQL("true")

    def identities(self, identities: Iterable[Identity]) -> Composable:
        """Return the SQL of a list of identities."""
        from psycopg import sql

        kind = self.shape.identity_type
        texts = [int(one) for one in identities] if kind == "bigint[]" else [str(one) for one in identities]
        return sql.SQL("{}::text[]::{}").format(sql.Literal([str(one) for one in texts]), sql.SQL(kind))

    def rows_of(self, symbol: str, identities: Sequence[Identity]) -> dict[str, tuple[str | None, ...]]:
        """Return time, open, high, low, close, volume of rows, as the server writes them, by identity."""
        from psycopg import sql

        shape = self.shape
        columns = sql.SQL(", ").join(sql.SQL("({})::text").format(column) for column in (shape.identity, shape.time, *shape.values.values()))
        query = sql.SQL("SELECT {} FROM {} WHERE {} AND {} = ANY({})").format(
            columns, shape.relation, self.where(symbol, None), shape.identity, self.identities(identities)
        )
        return {row[0]: row[1:] for row in self._all(query)}

    def bars_of(self, symbol: str, span: Span, without: Sequence[Identity] = ()) -> list[tuple[int, tuple[Decimal, ...]]]:
        """Return close (microseconds since 1970 UTC) and exact values of the rows of a session, in order: for the one that differs."""
        from psycopg import sql

        query = sql.SQL("SELECT {}, {} FROM {} WHERE {} ORDER BY 1").format(
            self.shape.close_us, sql.SQL(", ").join(self.shape.exact.values()), self.shape.relation, self.where(symbol, span, without)
        )
        return [(row[0], tuple(row[1:])) for row in self._all(query)]

    def series(self, symbol: str, options: SeriesOptions) -> TableSeries:
        """Return the rows of one symbol as a source of bars."""
        from market_data_pipeline.sources.postgres.series import TableSeries

        return TableSeries(self, symbol, options)

    def _all(self, query: Composed) -> list[tuple[Any, ...]]:
        # A savepoint, so that what the server refuses for one symbol does not end the transaction for the others.
        with self.database.clear_errors(), self.database.connection.transaction():
            found: list[tuple[Any, ...]] = self.database.connection.execute(query).fetchall()
            return found


def _moment(micros: int) -> dt.datetime:
    return dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=micros)


def rejects_name(table: str, symbol: str) -> Path:
    """Return a file name for the bad rows of a symbol, whatever characters it has."""
    safe = "".join(c if c.isalnum() or c in "._-" else "_" for c in f"{table}.{symbol}" if c != "\0")
    return Path(f"{safe.strip('.')}.rejects.csv")
