"""What the columns of a table are, and the SQL that says of each row when its bar closes: identifiers are composed, never formatted."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from market_data_pipeline.domain.bar_table import VALUE_COLUMNS
from market_data_pipeline.domain.bar_types import DAY_NS, Aggregation, BarSpec, PriceType
from market_data_pipeline.domain.coverage import Convention
from market_data_pipeline.domain.errors import SourceRefused, UsageError

if TYPE_CHECKING:
    import psycopg
    from psycopg.sql import Composable

LEGACY_TABLE = "market_data"
DAY_US = DAY_NS // 1_000

_WHOLE = ("int2", "int4", "int8")
_EXACT = ("numeric", *_WHOLE)
_FLOATS = ("float4", "float8")
# What units a whole number of time since 1970 can be in: a year is at most 2200, and nobody has bars of January 1970.
_UNITS_US = (("seconds", 1e11, 1_000_000), ("milliseconds", 1e14, 1_000), ("microseconds", 1e17, 1), ("nanoseconds", 1e20, 0))
_ROW_STORES = {"r": "TABLE", "p": "TABLE", "v": "VIEW", "m": "MATERIALIZED VIEW", "f": "FOREIGN TABLE"}
_NO_SHORTEST_FLOATS = 120_000


class Stamp(StrEnum):
    """Which end of a bar its time names."""

    OPEN = "open"
    CLOSE = "close"


@dataclass(frozen=True)
class ColumnNames:
    """Which column is what. `symbol` None: the table holds one instrument. `volume` None: bars get volume 0."""

    symbol: str | None = "symbol"
    time: str = "timestamp"
    open: str = "open"
    high: str = "high"
    low: str = "low"
    close: str = "close"
    volume: str | None = "volume"
    id: str | None = None

    @classmethod
    def parse(cls, text: str) -> ColumnNames:
        """Parse `time=ts,open=o,volume=`: fields that are not named keep their usual names; nothing behind `=` means that there is none.

        Raises:
            UsageError: If a word is not FIELD=COLUMN, or names no field.
        """
        known = [one.name for one in fields(cls)]
        given: dict[str, str | None] = {}
        for word in filter(None, (part.strip() for part in text.split(","))):
            name, equals, column = (part.strip() for part in word.partition("="))
            if not equals or name not in known:
                raise UsageError(f"--columns {word!r}: write FIELD=COLUMN, with a FIELD of {', '.join(known)}; for example time=ts,open=o.")
            if not column and name not in ("symbol", "volume", "id"):
                raise UsageError(f"--columns {word!r}: bars need a column for {name}.")
            given[name] = column or None
        return replace(cls(), **given)  # type: ignore[arg-type]  # only those that may be None are


@dataclass(frozen=True)
class Reading:
    """How rows are to be read.

    Attributes:
        spec: The bars that the table holds.
        stamp: Which end of a bar its time names.
        time_zone: IANA zone of times without one (and of the dates of day bars); None where they need none.
        convention: Under which convention the bars were made.
    """

    spec: BarSpec
    stamp: Stamp = Stamp.OPEN
    time_zone: str | None = None
    convention: Convention = field(default_factory=Convention)


@dataclass(frozen=True)
class TableShape:
    """A table, with the SQL of what is read of each row.

    Attributes:
        name: `schema.table`, for people.
        kind: TABLE, VIEW, …, as COMMENT ON names it.
        relation: The composed name.
        columns: Which column is what.
        symbol: SQL of the symbol; None where the table holds one instrument.
        time: SQL of the time as it is stored, by which rows are ordered.
        wall_us: SQL of the time as microseconds since 1970, of the clock that is stored; null where there is none.
        close_us: SQL of the bar's close, microseconds since 1970 UTC; the last microsecond of the date for day bars.
        values: SQL of each of `VALUE_COLUMNS`; numbers as they are stored.
        exact: The same as exact numerics.
        identity: SQL of what names a row.
        identity_name: How a person calls it: `id`, `ctid`, or the time where there is neither.
        identity_type: Type to which a list of identities is cast.
        is_zoned: True where `time` is a timestamptz, so that ranges of it can use an index.
        is_local: True where times are of a clock without its zone.
        is_epoch: True where times are whole numbers since 1970.
        rows: About how many rows there are, as the server's own statistics say; 0 where it does not know.
        indexed: True where an index leads with symbol and time.
    """

    name: str
    kind: str
    relation: Composable
    columns: ColumnNames
    symbol: Composable | None
    time: Composable
    wall_us: Composable
    close_us: Composable
    values: dict[str, Composable]
    exact: dict[str, Composable]
    identity: Composable
    identity_name: str
    identity_type: str
    is_zoned: bool
    is_local: bool
    is_epoch: bool
    rows: int
    indexed: bool


def find_shape(connection: psycopg.Connection[Any], name: str, reading: Reading, columns: ColumnNames | None) -> TableShape:
    """Find a table by name (`market_data`, `schema.table`, `"My Table"`, as psql reads names) and compose its SQL.

    Raises:
        UsageError: If it is not there, or its columns hold no bars.
        SourceRefused: If the role may not read it.
    """
    if reading.spec.aggregation in (Aggregation.WEEK, Aggregation.MONTH):
        raise UsageError(f"Tables of {reading.spec} bars are not read. Write them to a CSV file (\\copy … CSV HEADER) and use mdp import-csv.")
    found = _find(connection, name)
    schema, table, kind, rows, oid = found
    types = dict(
        connection.execute(
            "SELECT a.attname, t.typname FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid "
            "WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
            [oid],
        ).fetchall()
    )
    shown = f"{schema}.{table}"
    known = _columns(shown, types, columns)
    wanted = [column for one in fields(known) if (column := getattr(known, one.name)) is not None]
    _require_permission(connection, oid, shown, wanted)
    return _compose(connection, (schema, table, oid), types, known, reading, kind, rows)


def _find(connection: psycopg.Connection[Any], name: str) -> tuple[str, str, str, int, int]:
    import psycopg

    query = (
        "SELECT n.nspname, c.relname, c.relkind::text, c.reltuples::bigint, c.oid::bigint FROM pg_class c JOIN "
        "pg_namespace n ON n.oid = c.relnamespace "
        "WHERE c.oid = to_regclass(%s)::oid"
    )
    try:
        with connection.transaction():
            found = connection.execute(query, [name]).fetchone()
    except psycopg.Error as error:
        raise UsageError(f"--table {name!r} is no name of a table: {str(error).splitlines()[0]}. Write it as psql does.") from None
    if found is None or found[2] not in _ROW_STORES:
        likely = _likely_tables(connection)
        raise UsageError(
            f"There is no table {name!r} in the database {connection.info.dbname!r} that user {connection.info.user!r} can see. "
            + (f"Tables with open, high, low and close: {', '.join(likely)}." if likely else "No table there has open, high, low and close.")
            + " Name one with --table SCHEMA.NAME."
        )
    return found[0], found[1], _ROW_STORES[found[2]], max(0, found[3]), found[4]


def _likely_tables(connection: psycopg.Connection[Any]) -> list[str]:
    query = (
        "SELECT table_schema || '.' || table_name FROM information_schema.columns WHERE lower(column_name) IN ('open', 'high', 'low', 'close') "
        "AND table_schema NOT IN ('pg_catalog', 'information_schema') GROUP BY 1 HAVING count(*) = 4 ORDER BY 1 LIMIT 10"
    )
    return [row[0] for row in connection.execute(query)]


def _columns(shown: str, types: dict[str, str], given: ColumnNames | None) -> ColumnNames:
    known = given or ColumnNames()
    if known.id is None and "id" in types:
        known = replace(known, id="id")
    absent = [f"{one.name}={column}" for one in fields(known) if (column := getattr(known, one.name)) is not None and column not in types]
    if absent:
        listed = ", ".join(f"{name} ({kind})" for name, kind in types.items())
        raise UsageError(
            f"{shown} has no column for {', '.join(absent)}. Its columns: {listed}. "
            "Say which is which: --columns time=…,open=…,high=…,low=…,close=…,volume=…,symbol=… (nothing behind = means that there is none)."
        )
    prices = {name: types[getattr(known, name)] for name in VALUE_COLUMNS if getattr(known, name) is not None}
    wrong = [f"{getattr(known, name)} is {kind}" for name, kind in prices.items() if kind not in (*_EXACT, *_FLOATS)]
    if wrong:
        raise UsageError(f"{shown}: {', '.join(wrong)}; bars are read from numeric, whole or double precision columns. Make a view that casts it.")
    return known


def _require_permission(connection: psycopg.Connection[Any], oid: int, shown: str, wanted: list[str]) -> None:
    row = connection.execute("SELECT bool_and(has_column_privilege(%s::oid, c, 'SELECT')) FROM unnest(%s::text[]) c", [oid, wanted]).fetchone()
    if row is None or not row[0]:
        raise SourceRefused(
            f"User {connection.info.user!r} may not read {shown}. Its owner can allow it: GRANT SELECT ON {shown} TO {connection.info.user};"
        )


def _compose(
    connection: psycopg.Connection[Any],
    place: tuple[str, str, int],
    types: dict[str, str],
    columns: ColumnNames,
    reading: Reading,
    kind: str,
    rows: int,
) -> TableShape:
    from psycopg import sql

    schema, table, oid = place
    relation, shown = sql.Identifier(schema, table), f"{schema}.{table}"
    time, time_type = sql.Identifier(columns.time), types[columns.time]
    wall, utc = _times(connection, relation, columns.time, time_type, reading, shown)
    values: dict[str, Composable] = {}
    exact: dict[str, Composable] = {}
    for name in VALUE_COLUMNS:
        column = getattr(columns, name)
        if column is None:
            values[name] = exact[name] = sql.SQL("0::numeric")
            continue
        is_float = types[column] in _FLOATS
        if is_float and connection.info.server_version < _NO_SHORTEST_FLOATS:
            raise UsageError(
                f"{shown}: {column} is {types[column]}, and only PostgreSQL 12 and later write floats exactly. Make a view that casts it."
            )
        values[name] = sql.Identifier(column)
        if name == "volume" and reading.spec.price_type is not PriceType.LAST:
            # IBKR's sign for a price that has no volume; the rule of CSV files.
            values[name] = sql.SQL("CASE WHEN {v} = -1 THEN 0 ELSE {v} END").format(v=sql.Identifier(column))
        exact[name] = sql.SQL("({})::text::numeric" if is_float else "({})::numeric").format(values[name])
    identity, identity_name, identity_type = _identity(columns, types, kind, connection, oid)
    return TableShape(
        name=shown,
        kind=kind,
        relation=relation,
        columns=columns,
        symbol=None if columns.symbol is None else sql.Identifier(columns.symbol),
        time=time,
        wall_us=wall,
        close_us=_close_us(wall, utc, reading),
        values=values,
        exact=exact,
        identity=identity,
        identity_name=identity_name,
        identity_type=identity_type,
        is_zoned=time_type == "timestamptz",
        is_local=time_type in ("timestamp", "date") and not reading.spec.is_daily_or_longer,
        is_epoch=time_type in _EXACT,
        rows=rows,
        indexed=_is_indexed(connection, oid, columns),
    )


def _times(
    connection: psycopg.Connection[Any], relation: Composable, column: str, kind: str, reading: Reading, shown: str
) -> tuple[Composable, Composable]:
    """Return the SQL of the time as microseconds of the clock that is stored, and of UTC."""
    from psycopg import sql

    time = sql.Identifier(column)
    daily = reading.spec.is_daily_or_longer
    micros = sql.SQL("CASE WHEN isfinite({t}) THEN (extract(epoch FROM {t}) * 1000000)::bigint END")
    zone = sql.Literal(reading.time_zone or "UTC")
    if kind in ("timestamp", "date"):
        if kind == "date" and not daily:
            raise UsageError(
                f"{shown}: {column} holds dates, and {reading.spec} bars have a time of day. Pass --bar 1-DAY-{reading.spec.price_type}."
            )
        if reading.time_zone is None and not daily:
            raise UsageError(f"{shown}: {column} is a timestamp without time zone. Say whose clock it is: --timezone UTC, or America/New_York.")
        naive = sql.SQL("{}::timestamp").format(time)
        return micros.format(t=naive), micros.format(t=sql.SQL("({} AT TIME ZONE {})").format(naive, zone))
    if kind == "timestamptz":
        return micros.format(t=sql.SQL("({} AT TIME ZONE {})").format(time, zone) if daily else time), micros.format(t=time)
    if kind in _EXACT:
        unit = _unit(connection, relation, time, shown)
        whole = sql.SQL("{}::bigint").format(time)
        micro = sql.SQL("({} / 1000)").format(whole) if not unit else sql.SQL("({} * {})").format(whole, sql.Literal(unit))
        if not daily:
            return micro, micro
        moment = sql.SQL("((timestamptz 'epoch' + {} * interval '1 microsecond') AT TIME ZONE {})").format(micro, zone)
        return micros.format(t=moment), micro
    raise UsageError(
        f"{shown}: {column} is {kind}; times are read from timestamptz, timestamp, date or whole numbers since 1970. Make a view that casts it."
    )


def _unit(connection: psycopg.Connection[Any], relation: Composable, time: Composable, shown: str) -> int:
    """Return the microseconds of one unit of an epoch, 0 for nanoseconds; told by its size."""
    from psycopg import sql

    found = connection.execute(sql.SQL("SELECT max({})::numeric FROM {}").format(time, relation)).fetchone()
    largest = 0 if found is None or found[0] is None else int(found[0])
    unit = next((unit for _, end, unit in _UNITS_US if 0 <= largest < end), None)
    if unit is None:
        raise UsageError(f"{shown}: {largest} is no number of seconds, ms, µs or ns since 1970.")
    return unit


def _close_us(wall: Composable, utc: Composable, reading: Reading) -> Composable:
    from psycopg import sql

    at_close = reading.stamp is Stamp.CLOSE
    if reading.spec.is_daily_or_longer:
        # A day that closes at 00:00 is the day before.
        shifted = sql.SQL("(({}) - 1)").format(wall) if at_close else sql.SQL("({})").format(wall)
        return sql.SQL("(floor({} / {d}::numeric)::bigint * {d} + {d} - 1)").format(shifted, d=sql.Literal(DAY_US))
    return sql.SQL("(({}) + {})").format(utc, sql.Literal(0 if at_close else reading.spec.length_ns // 1_000))


def _identity(columns: ColumnNames, types: dict[str, str], kind: str, connection: psycopg.Connection[Any], oid: int) -> tuple[Composable, str, str]:
    from psycopg import sql

    if columns.id is not None:
        column = sql.Identifier(columns.id)
        return (column, columns.id, "bigint[]") if types[columns.id] in _WHOLE else (sql.SQL("{}::text").format(column), columns.id, "text[]")
    relkind = connection.execute("SELECT relkind::text FROM pg_class WHERE oid = %s", [oid]).fetchone()
    if kind in ("TABLE", "MATERIALIZED VIEW") and relkind is not None and relkind[0] != "p":  # each part of a partitioned table counts anew
        return sql.SQL("ctid"), "ctid", "tid[]"
    return sql.SQL("{}::text").format(sql.Identifier(columns.time)), columns.time, "text[]"


def _is_indexed(connection: psycopg.Connection[Any], oid: int, columns: ColumnNames) -> bool:
    wanted = [column for column in (columns.symbol, columns.time) if column is not None]
    query = (
        "SELECT array_agg(a.attname::text ORDER BY k.n) FROM pg_index i CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY k(attnum, n) "
        "JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum WHERE i.indrelid = %s AND i.indisvalid GROUP BY i.indexrelid"
    )
    return any(names[: len(wanted)] == wanted for (names,) in connection.execute(query, [oid]))
