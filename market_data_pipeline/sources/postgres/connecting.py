"""A connection that can only read: one READ ONLY, REPEATABLE READ transaction, and errors without a password."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from market_data_pipeline.domain.errors import ConfigurationError, SourceRefused, SourceUnavailable, UsageError

if TYPE_CHECKING:
    import psycopg

    from market_data_pipeline.sources.postgres.shape import ColumnNames, Reading
    from market_data_pipeline.sources.postgres.table import BarsTable

URL_VARIABLE = "MDP_POSTGRES_URL"
_APPLICATION = "mdp migrate"
_CONNECT_S = 10
_KEEP_ALIVE = {"keepalives": "1", "keepalives_idle": "30", "keepalives_interval": "10", "keepalives_count": "6"}
# Only for this transaction. A role may have limits of its own, made for pages and not for reading a table to its end.
_SETTINGS = (
    "SET LOCAL TimeZone = 'UTC'",
    "SET LOCAL DateStyle = 'ISO'",
    "SET LOCAL extra_float_digits = 1",  # the shortest text that gives the same float (PostgreSQL 12 and later)
    "SET LOCAL statement_timeout = 0",
    "SET LOCAL idle_in_transaction_session_timeout = 0",
)


@dataclass(frozen=True)
class Place:
    """Where a database is, without its password.

    Attributes:
        host: Host name, address, or folder of the socket file.
        port: Port.
        database: Name of the database.
        user: Role.
    """

    host: str
    port: str
    database: str
    user: str

    def __str__(self) -> str:
        return f"{self.host}:{self.port}, database {self.database!r}, user {self.user!r}"


class Database:
    """A database inside its one reading transaction. Made by `connect`."""

    def __init__(self, connection: psycopg.Connection[Any], place: Place, conninfo: str) -> None:
        self.connection = connection
        self.place = place
        self.conninfo = conninfo
        """What `connect` was given, password included: never show it."""

    def table(self, name: str, reading: Reading, columns: ColumnNames | None = None) -> BarsTable:
        """Find a table (or view), and say what its columns are.

        Raises:
            UsageError: If there is no such table, or a column is missing or of a type that holds no bars.
            SourceRefused: If the role may not read it.
        """
        from market_data_pipeline.sources.postgres.shape import find_shape
        from market_data_pipeline.sources.postgres.table import BarsTable

        with self.clear_errors():
            return BarsTable(self, find_shape(self.connection, name, reading, columns), reading)

    @contextmanager
    def clear_errors(self) -> Iterator[None]:
        """Turn what the driver raises into an error for a person."""
        import psycopg

        try:
            yield
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            raise SourceUnavailable(
                f"PostgreSQL at {self.place} broke off: {_reason(error, self.conninfo)}. What was stored before is whole and stays. "
                "Run the same command again: it goes on from there."
            ) from None
        except psycopg.Error as error:
            raise SourceRefused(f"PostgreSQL at {self.place} refused: {_reason(error, self.conninfo)}.") from None


def address(url: str | None) -> str:
    """Return what to connect to: what was given, else the variable MDP_POSTGRES_URL, else nothing, which leaves it to PG* variables.

    Drivers as in `postgresql+psycopg://` are dropped.

    Raises:
        UsageError: If it is neither a URL of PostgreSQL nor `key=value` words.
    """
    given = (url if url is not None else os.environ.get(URL_VARIABLE, "")).strip()
    scheme, separator, rest = given.partition("://")
    if separator:
        name = scheme.split("+")[0]
        if name not in ("postgresql", "postgres"):
            raise UsageError(f"{name}://… is no URL of PostgreSQL. Write postgresql://USER@HOST:5432/DATABASE.")
        return f"postgresql://{rest}"
    if given and "=" not in given:
        raise UsageError("That is no URL of PostgreSQL. Write postgresql://USER@HOST:5432/DATABASE, or host=… dbname=… user=….")
    return given


@contextmanager
def connect(url: str | None = None) -> Iterator[Database]:
    """Connect, and read one state of the database until the end of the context.

    Args:
        url: `postgresql://USER@HOST:5432/DATABASE` or `host=… dbname=…`; None takes MDP_POSTGRES_URL. What it leaves open comes from
            PGHOST, PGPORT, PGDATABASE, PGUSER, PGPASSWORD, the service file and ~/.pgpass, as with every client of PostgreSQL.

    Raises:
        UsageError: If the URL is none.
        ConfigurationError: If the driver is not installed.
        SourceUnavailable: If no server answers.
        SourceRefused: If it answers and does not let us in.
    """
    conninfo = address(url)
    connection = open_connection(conninfo)
    try:
        place = place_of(connection)
        database = Database(connection, place, conninfo)
        with database.clear_errors():
            for setting in _SETTINGS:
                connection.execute(setting)
        yield database
    finally:
        connection.close()


def open_connection(conninfo: str, *, read_only: bool = True) -> psycopg.Connection[Any]:
    """Connect; the one caller that writes is the mark of deprecation.

    Raises:
        UsageError: If the URL is none.
        ConfigurationError: If the driver is not installed.
        SourceUnavailable: If no server answers.
        SourceRefused: If it answers and does not let us in.
    """
    try:
        import psycopg
    except ImportError:
        raise ConfigurationError('The driver of PostgreSQL is missing. Install it: pip install "psycopg[binary]"') from None
    try:
        known = psycopg.conninfo.conninfo_to_dict(conninfo)
        # What the URL says wins.
        settings = {"connect_timeout": str(_CONNECT_S), "application_name": _APPLICATION, **_KEEP_ALIVE, **{k: str(v) for k, v in known.items() if v}}
        connection = psycopg.connect(psycopg.conninfo.make_conninfo("", **settings))
    except psycopg.ProgrammingError as error:
        raise UsageError(f"The URL of PostgreSQL cannot be read: {_reason(error, conninfo)}. Write postgresql://USER@HOST:5432/DATABASE.") from None
    except psycopg.OperationalError as error:
        raise _refusal(error, conninfo) from None
    if read_only:
        connection.read_only = True
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    return connection


def place_of(connection: psycopg.Connection[Any]) -> Place:
    """Return where a connection leads."""
    info = connection.info
    return Place(info.host or "local socket", str(info.port), info.dbname, info.user)


def _refusal(error: Exception, conninfo: str) -> SourceUnavailable | SourceRefused:
    reason = _reason(error, conninfo)
    where = _told(conninfo)
    if "password" in reason or "authentication" in reason or "no pg_hba.conf entry" in reason:
        return SourceRefused(
            f"PostgreSQL at {where} does not let us in: {reason}. Check the user; give the password in PGPASSWORD, in ~/.pgpass "
            "(HOST:PORT:DATABASE:USER:PASSWORD) or in MDP_POSTGRES_URL."
        )
    if "does not exist" in reason:
        return SourceRefused(f"PostgreSQL at {where}: {reason}. Correct the URL.")
    return SourceUnavailable(
        f"No PostgreSQL answered at {where}: {reason}. Start it, or correct host and port in the URL, MDP_POSTGRES_URL or PGHOST."
    )


def _told(conninfo: str) -> str:
    """Return where a connection was to lead, as far as is known, without the password."""
    from psycopg.conninfo import conninfo_to_dict

    known = conninfo_to_dict(conninfo)

    def part(key: str, variable: str, default: str) -> str:
        return str(known.get(key) or os.environ.get(variable) or default)

    host = part("host", "PGHOST", "the local socket")
    user = part("user", "PGUSER", "of the system")
    return f"{host}:{part('port', 'PGPORT', '5432')} (database {part('dbname', 'PGDATABASE', user)}, user {user})"


def _reason(error: Exception, conninfo: str) -> str:
    """Return the first line of what the driver says, whatever of the password may stand in it taken out."""
    from psycopg.conninfo import conninfo_to_dict

    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = (lines[0] if lines else type(error).__name__).rstrip(".")
    try:
        password = str(conninfo_to_dict(conninfo).get("password") or "")
    except Exception as broken:  # noqa: BLE001 - a URL that cannot be read: nothing of it may be shown
        return type(broken).__name__
    for secret in (password, os.environ.get("PGPASSWORD", "")):
        if secret:
            text = text.replace(secret, "***")
    return text
