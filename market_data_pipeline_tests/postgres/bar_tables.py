"""Tables of bars as traders have them, made on the server itself: prices move by a rule that a test can follow by hand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import sqlalchemy as sa
from psycopg import sql

# The legacy table, as the issue gives it.
LEGACY = (
    "CREATE TABLE {} (id bigserial PRIMARY KEY, symbol varchar(20) NOT NULL, timestamp timestamptz NOT NULL, open numeric(20,8), high numeric(20,8), "
    "low numeric(20,8), close numeric(20,8), volume bigint, created_at timestamptz DEFAULT now(), UNIQUE (symbol, timestamp))"
)
# n counts the bars of a symbol from 0. Low and high lie 5 cents around the open, the close 2 cents above it.
_FILL = (
    "INSERT INTO {table} (symbol, timestamp, open, high, low, close, volume) "
    "SELECT {symbol}, t, o, o + 0.05, o - 0.05, o + 0.02, 100 + n % 900 FROM (SELECT t, n, 100 + (n * 7 % 1000) / 100.0 AS o FROM "
    "(SELECT t, row_number() OVER (ORDER BY t) - 1 AS n FROM generate_series({first}::date, {last}::date, interval '1 day') AS d(day), "
    "LATERAL generate_series((d.day::date + time '09:30') AT TIME ZONE 'America/New_York', "
    "(d.day::date + time '15:59') AT TIME ZONE 'America/New_York', interval '1 minute') AS m(t) "
    "WHERE extract(isodow FROM d.day) < 6 AND d.day::date <> ALL ({closed}::date[])) AS numbered) AS priced"
)


def libpq(url: str) -> str:
    """Return a SQLAlchemy URL as PostgreSQL's own programs write it."""
    return sa.make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


@contextmanager
def session(url: str) -> Iterator[psycopg.Connection[Any]]:
    """Lend a connection that writes at once."""
    with psycopg.connect(libpq(url), autocommit=True) as connection:
        yield connection


def make_legacy(url: str, symbols: dict[str, tuple[str, str]], closed: list[str], table: str = "market_data") -> int:
    """Make the legacy table with minutes of 09:30 to 15:59 New York of each weekday of each symbol's range that is not closed; return its rows."""
    with session(url) as connection:
        connection.execute(sql.SQL(LEGACY).format(sql.Identifier(table)))
        for symbol, (first, last) in symbols.items():
            connection.execute(
                sql.SQL(_FILL).format(
                    table=sql.Identifier(table),
                    symbol=sql.Literal(symbol),
                    first=sql.Literal(first),
                    last=sql.Literal(last),
                    closed=sql.Literal(closed),
                )
            )
        found = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))).fetchone()
        assert found is not None
        return int(found[0])
