"""The one thing that is ever written to a database: the comment of a table that says where its bars went."""

from __future__ import annotations

from dataclasses import dataclass

from market_data_pipeline.domain.errors import SourceRefused
from market_data_pipeline.domain.words import agreeing, count
from market_data_pipeline.sources.postgres.connecting import Database, open_connection
from market_data_pipeline.sources.postgres.table import BarsTable


@dataclass(frozen=True)
class Mark:
    """What was written: the comment, and what stood there before."""

    comment: str
    before: str


def mark_deprecated(database: Database, table: BarsTable, text: str, rows: int) -> Mark:
    """Put `text` into the table's comment; what stood there before stays below it. In a connection of its own, as the reading one cannot write.

    Args:
        database: Where it is.
        table: The table.
        text: What to say.
        rows: How many rows were migrated: if there are others now, nothing is written.

    Raises:
        SourceRefused: If the table has other rows now, or the role does not own it; with the statement for its owner.
    """
    import psycopg
    from psycopg import sql

    shape = table.shape
    with open_connection(database.conninfo, read_only=False) as connection, database.clear_errors():
        found = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(shape.relation)).fetchone()
        if found is None or found[0] != rows:
            raise SourceRefused(
                f"{table.name} has {count(found[0] if found else 0, 'row')} now, and {rows:,} {agreeing(rows, 'was', 'were')} "
                "migrated: it is still written to, so it was not marked. "
                "Stop what writes it, and run the same command again."
            )
        row = connection.execute(
            "SELECT coalesce(obj_description(to_regclass(%s)::oid, 'pg_class'), '')", [shape.relation.as_string(connection)]
        ).fetchone()
        before = "" if row is None else str(row[0])
        kept = before if not before.startswith("DEPRECATED") else before.partition("\n")[2]
        comment = f"{text}\n{kept}".rstrip()
        statement = sql.SQL("COMMENT ON {} {} IS {}").format(sql.SQL(shape.kind), shape.relation, sql.Literal(comment))
        try:
            connection.execute(statement)
        except psycopg.errors.InsufficientPrivilege:
            raise SourceRefused(
                f"All bars of {table.name} are in the catalog, but user {database.place.user!r} does not own the table, so it was not marked. "
                f"Its owner can do it: {statement.as_string(connection)};"
            ) from None
    return Mark(comment, before)
