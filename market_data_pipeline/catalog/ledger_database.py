"""The databases that a ledger may live in: SQLite through the standard library, any other through SQLAlchemy.

Both are given the same portable SQL with `:name` parameters. SQLAlchemy costs 0.2 s to import, half of what `mdp check` may
take, so a catalog with a ledger of its own, the usual case, never imports it.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from market_data_pipeline.domain.errors import ConfigurationError, DiskFull, MarketDataError, StorageFailed

if TYPE_CHECKING:
    import sqlalchemy as sa

type Value = str | int | None
type Values = Mapping[str, Value]
type Found = Sequence[Any]

type _Isolation = Literal["READ COMMITTED", "REPEATABLE READ"]

URL_FILE = "ledger.url"
_WITHOUT = "without that file, a SQLite file takes its place, made anew from the bar files."
_ONE_LINE = f"Write the URL of a database of this catalog alone, for example postgresql+psycopg://user@host/database; {_WITHOUT}"
MADE_ANEW = "It is an index only: `mdp catalog verify` makes a damaged one anew from the files."
_BUSY_S = 30.0
# SQLite calls it an I/O error where there is no room for the file that its readers share.
_FULL_BYTES = 1 << 20
_WRITERS = int.from_bytes(b"ledger")


class Transaction(Protocol):
    """SQL inside one transaction."""

    def run(self, sql: str, values: Values) -> list[Found]:
        """Run one statement and return its rows."""
        ...

    def run_many(self, sql: str, values: Sequence[Values]) -> None:
        """Run one statement once for each set of values."""
        ...


class Database(Protocol):
    """A database of a ledger. Errors come as `StorageFailed` or `DiskFull`."""

    @property
    def is_copy(self) -> bool:
        """True where the database cannot be written, so that what is found out stays in memory."""
        ...

    def reading(self) -> AbstractContextManager[Transaction]:
        """Run queries that see one state."""
        ...

    def writing(self) -> AbstractContextManager[Transaction]:
        """Run a block whole or not at all."""
        ...

    def close(self) -> None:
        """Let go of the database."""
        ...


class SqliteDatabase:
    """A SQLite file, used by many processes at once; readers do not wait for writers."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._connection: sqlite3.Connection | None = None
        self._one_at_a_time = threading.RLock()

    @property
    def is_copy(self) -> bool:
        """True where file or folder cannot be written."""
        return not os.access(self.file if self.file.exists() else self.file.parent, os.W_OK) or not os.access(self.file.parent, os.W_OK)

    def reading(self) -> AbstractContextManager[Transaction]:
        """Run queries that see one state."""
        return self._transaction("BEGIN")

    def writing(self) -> AbstractContextManager[Transaction]:
        """Run a block whole or not at all; waits for another process that writes."""
        return self._transaction("BEGIN IMMEDIATE")

    def _connect(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = _copy_of(self.file) if self.is_copy else _open(self.file)
            weakref.finalize(self, self._connection.close)  # a catalog is opened and never closed
        return self._connection

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[Transaction]:
        with self._one_at_a_time:
            try:
                connection = self._connect()
                connection.execute(begin)
                try:
                    yield _SqliteTransaction(connection)
                    connection.execute("COMMIT")
                except BaseException:
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
                    raise
            except sqlite3.Error as error:
                if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_IOERR and shutil.disk_usage(self.file.parent).free < _FULL_BYTES:
                    raise _disk_full(f"The ledger {self.file}") from error
                raise _failure(f"The ledger {self.file}", error, MADE_ANEW) from error

    def close(self) -> None:
        """Let go of the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class _SqliteTransaction:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def run(self, sql: str, values: Values) -> list[Found]:
        return self._connection.execute(sql, values).fetchall()

    def run_many(self, sql: str, values: Sequence[Values]) -> None:
        self._connection.executemany(sql, values)


def _open(file: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(file, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
    try:
        _switch_to_wal(connection)
        connection.execute("PRAGMA synchronous=NORMAL")
    except BaseException:
        connection.close()
        raise
    return connection


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    """Keep a log beside the file. Of processes that make a ledger at the same moment SQLite refuses all but one, without waiting."""
    until = time.monotonic() + _BUSY_S
    while connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            is_busy = error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
            if not is_busy or time.monotonic() > until:
                raise
            time.sleep(0.01)


def _copy_of(file: Path) -> sqlite3.Connection:
    """Return a database in memory with what a file holds that cannot be written."""
    memory = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    if file.exists():
        disk = sqlite3.connect(f"{file.as_uri()}?mode=ro&immutable=1", uri=True)
        try:
            disk.backup(memory)
        finally:
            disk.close()
    return memory


class UrlDatabase:
    """Any database that SQLAlchemy knows, by its URL."""

    is_copy = False

    def __init__(self, url: str) -> None:
        self._url = url
        self._connected: sa.Engine | None = None

    @property
    def _engine(self) -> sa.Engine:
        if self._connected is None:
            import sqlalchemy as sa

            try:
                # A daemon lives longer than a connection to a server that is restarted.
                self._connected = sa.create_engine(self._url, pool_pre_ping=True)
            except (sa.exc.ArgumentError, ImportError, ValueError) as error:
                # A port that is no number may be a part of the password, which is not to be shown.
                why = "what stands after its last colon is no port number" if isinstance(error, ValueError) else str(error)
                raise ConfigurationError(
                    f"The ledger's URL cannot be used: {why}. Write for example postgresql+psycopg://user@host/database "
                    '(its driver: pip install "psycopg[binary]").'
                ) from error
            weakref.finalize(self, self._connected.dispose)  # a catalog is opened and never closed
        return self._connected

    def reading(self) -> AbstractContextManager[Transaction]:
        """Run queries that see one state."""
        return self._transaction("REPEATABLE READ", lambda _: None)

    def writing(self) -> AbstractContextManager[Transaction]:
        """Run a block whole or not at all; waits for another process that writes."""
        return self._transaction("READ COMMITTED", _wait_for_turn)

    @contextmanager
    def _transaction(self, isolation: _Isolation, begin: Callable[[sa.Connection], None]) -> Iterator[Transaction]:
        engine = self._engine
        from sqlalchemy.exc import DBAPIError

        try:
            with engine.connect() as connection:
                if engine.dialect.name == "postgresql":
                    connection.execution_options(isolation_level=isolation)
                with connection.begin():
                    begin(connection)
                    yield _UrlTransaction(connection)
        except UnicodeError:  # what names of hosts are written in refuses it before it is looked up
            raise ConfigurationError(f"The ledger's URL cannot be used: it names no host that could be. {_ONE_LINE}") from None
        except DBAPIError as error:
            name = engine.url.render_as_string(hide_password=True)
            raise _failure(f"The ledger {name}", error.orig or error, f"The catalog's file {URL_FILE} names it; {_WITHOUT}") from error

    def close(self) -> None:
        """Let go of the connections."""
        if self._connected is not None:
            self._connected.dispose()
            self._connected = None


def _wait_for_turn(connection: sa.Connection) -> None:
    """One writer at a time, as in SQLite: two that number series, or make the tables, at one moment would take the same number or fail."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITERS})")


class _UrlTransaction:
    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def run(self, sql: str, values: Values) -> list[Found]:
        from sqlalchemy import text

        result = self._connection.execute(text(sql), dict(values))
        return list(result.all()) if result.returns_rows else []

    def run_many(self, sql: str, values: Sequence[Values]) -> None:
        from sqlalchemy import text

        if values:
            self._connection.execute(text(sql), [dict(one) for one in values])


def _disk_full(ledger: str) -> DiskFull:
    return DiskFull(f"{ledger} could not be written: the disk is full. Bars stored so far are whole. Free some room and run this again.")


def _failure(ledger: str, error: BaseException, cure: str) -> MarketDataError:
    said = (str(error).splitlines() or [type(error).__name__])[0]
    if "is full" in said:
        return _disk_full(ledger)
    if "locked" in said:
        return StorageFailed(f"{ledger} has been locked by another process for {_BUSY_S:g} s. Run this again when it is done.")
    return StorageFailed(f"{ledger} failed: {said}. {cure}")


def place_of_ledger(root: Path) -> Path | str:
    """Return where the ledger of a catalog is: the SQLite file in its folder, or the URL in its file `ledger.url`.

    In the catalog and not in a variable, because two catalogs must never share a ledger. A password stands where libpq looks for it:
    `PGPASSWORD`, or `~/.pgpass`.

    Raises:
        ConfigurationError: If the file names nothing.
    """
    try:
        lines = [line.strip() for line in (root / URL_FILE).read_text(encoding="utf-8").splitlines()]
    except (FileNotFoundError, NotADirectoryError):
        return root / "ledger.sqlite"
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{root / URL_FILE} cannot be read: {error}. {_ONE_LINE}") from error
    named = [line for line in lines if line and not line.startswith("#")]
    if len(named) != 1:
        raise ConfigurationError(f"{root / URL_FILE} holds {len(named)} lines where one is expected. {_ONE_LINE}")
    return named[0]
