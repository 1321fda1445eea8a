"""The databases that a pacing table may live in: a SQLite file for the processes of one host, PostgreSQL for those of several.

One transaction at a time: SQLite's BEGIN IMMEDIATE, and an advisory lock in PostgreSQL, are held from before the clock is read until the
decision is written. Both are given the same SQL with `:name` parameters.
"""

from __future__ import annotations

import hashlib
import os
import random
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from market_data_pipeline.domain.errors import ConfigurationError, DiskFull, MarketDataError, StorageFailed
from market_data_pipeline.pacing.clock import since_boot_ns
from market_data_pipeline.pacing.processes import boot_id

if TYPE_CHECKING:
    import sqlalchemy as sa

type Value = str | int
type Values = Mapping[str, Value]
type Found = Sequence[Any]

_BUSY_S = 30.0
_NAP_S = 0.0002, 0.002
_OF_PARENTS: list[sqlite3.Connection] = []


class Transaction(Protocol):
    """SQL of the only transaction that runs on an account's pacing now."""

    def run(self, sql: str, values: Values) -> list[Found]:
        """Run one statement and return its rows."""
        ...

    def clock(self) -> tuple[int, str]:
        """Return what the clock reads now, in nanoseconds, and which clock it is."""
        ...


class Database(Protocol):
    """Where a pacing table is kept. Errors come as `StorageFailed` or `DiskFull`."""

    id_column: str
    """Type of a key that is counted up and never given twice."""
    clock_may_step: bool
    """Whether the clock may be set while processes run."""

    @property
    def name(self) -> str:
        """The place, for messages, without a password."""
        ...

    def alone(self, prepare: Callable[[Transaction], None]) -> AbstractContextManager[Transaction]:
        """Run a block whole or not at all, while nobody else decides; `prepare` before it in a database that was just opened."""
        ...

    def close(self) -> None:
        """Let go of the database."""
        ...


class SqliteDatabase:
    """A SQLite file, shared by the processes of one host.

    Args:
        file: The file; it and its folder are made on first use.
        clock: Returns a reading in nanoseconds and the name of the clock.
    """

    id_column = "INTEGER PRIMARY KEY AUTOINCREMENT"
    clock_may_step = False

    def __init__(self, file: Path, clock: Callable[[], tuple[int, str]] | None = None) -> None:
        self._file = file
        self._clock = clock or _boot_clock
        self._connection: sqlite3.Connection | None = None
        self._closing: weakref.finalize[[sqlite3.Connection, int], SqliteDatabase] | None = None
        self._opened: tuple[int, int] | None = None
        self._prepared = False
        self._one_at_a_time = threading.RLock()

    @property
    def name(self) -> str:
        """The file."""
        return str(self._file)

    @contextmanager
    def alone(self, prepare: Callable[[Transaction], None]) -> Iterator[Transaction]:
        """Run a block whole or not at all, while nobody else decides; `prepare` before it in a file that was just opened."""
        with self._one_at_a_time:
            try:
                connection = self._connect()
                _begin(connection)
                try:
                    transaction = _SqliteTransaction(connection, self._clock)
                    if not self._prepared:
                        prepare(transaction)
                    yield transaction
                    connection.execute("COMMIT")
                    self._prepared = True
                except BaseException:
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
                    raise
            except sqlite3.Error as error:
                raise _failure(self.name, error) from error

    def _connect(self) -> sqlite3.Connection:
        # A file that somebody removed or replaced is shared with nobody.
        here = _identity(self._file)
        if self._connection is None or self._opened != here:
            self.close()
            self._connection = _open(self._file)
            self._closing = weakref.finalize(self, _close, self._connection, os.getpid())  # tables are opened and never closed
            self._opened = _identity(self._file)
            self._prepared = False
        return self._connection

    def close(self) -> None:
        """Let go of the file."""
        if self._closing is not None:
            self._closing()
        self._connection = self._closing = None


def _close(connection: sqlite3.Connection, opened_by: int) -> None:
    if os.getpid() == opened_by:
        connection.close()
    else:
        _OF_PARENTS.append(connection)  # SQLite forbids a forked child even to close it


def _boot_clock() -> tuple[int, str]:
    return since_boot_ns(), boot_id()


def _identity(file: Path) -> tuple[int, int]:
    try:
        return os.getpid(), file.stat().st_ino
    except OSError:
        return os.getpid(), -1


def _open(file: Path) -> sqlite3.Connection:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageFailed(
            f"The pacing table {file} cannot be made: {error.strerror}. Name another place, which all processes share: IB_PACING_DB=FILE."
        ) from error
    connection = sqlite3.connect(file, timeout=0, isolation_level=None, check_same_thread=False)
    try:
        _patiently(lambda: connection.execute("PRAGMA journal_mode=WAL").fetchone())
        connection.execute("PRAGMA synchronous=NORMAL")
    except BaseException:
        connection.close()
        raise
    return connection


def _begin(connection: sqlite3.Connection) -> None:
    """Wait for one's turn. SQLite's own waiting doubles its naps to 100 ms; a decision takes a fraction of one."""
    _patiently(lambda: connection.execute("BEGIN IMMEDIATE"))


def _patiently(step: Callable[[], object]) -> None:
    until = time.monotonic() + _BUSY_S
    while True:
        try:
            step()
        except sqlite3.OperationalError as error:
            busy = error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
            if not busy or time.monotonic() > until:
                raise
            time.sleep(random.uniform(*_NAP_S))
        else:
            return


class _SqliteTransaction:
    def __init__(self, connection: sqlite3.Connection, clock: Callable[[], tuple[int, str]]) -> None:
        self._connection = connection
        self.clock = clock

    def run(self, sql: str, values: Values) -> list[Found]:
        return self._connection.execute(sql, values).fetchall()


class PostgresDatabase:
    """A PostgreSQL database, shared by the processes of several hosts.

    Args:
        url: A SQLAlchemy URL (`postgresql+psycopg://user@host/database`).
        account: Decisions on one account wait for each other, those on two do not.
    """

    id_column = "BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY"
    clock_may_step = True

    def __init__(self, url: str, account: str) -> None:
        self._url = url
        self._lock = _lock_of(f"account {account}")
        self._connected: sa.Engine | None = None
        self._prepared = False

    @property
    def name(self) -> str:
        """The URL without its password."""
        return self._engine.url.render_as_string(hide_password=True)

    @property
    def _engine(self) -> sa.Engine:
        if self._connected is None:
            import sqlalchemy as sa

            try:
                engine = sa.create_engine(self._url, pool_pre_ping=True)
            except ImportError as error:
                raise ConfigurationError(
                    f'IB_PACING_DB: the driver of the URL is missing ({error}). Install it: pip install "psycopg[binary]"; '
                    "the URL begins with postgresql+psycopg://."
                ) from error
            except (sa.exc.ArgumentError, ValueError) as error:
                # A port that is no number may be a part of the password, which is not to be shown.
                why = "what stands after its last colon is no port number" if isinstance(error, ValueError) else str(error)
                raise ConfigurationError(
                    f"IB_PACING_DB: the URL cannot be used: {why}. Write for example postgresql+psycopg://user@host/database."
                ) from error
            if engine.dialect.name != "postgresql":
                raise ConfigurationError(
                    f"IB_PACING_DB: {engine.dialect.name} cannot keep the pacing table. Name a file (SQLite), or a PostgreSQL URL "
                    "such as postgresql+psycopg://user@host/database."
                )
            self._connected = engine
        return self._connected

    @contextmanager
    def alone(self, prepare: Callable[[Transaction], None]) -> Iterator[Transaction]:
        """Run a block whole or not at all, while nobody else decides; `prepare` before the first one."""
        engine = self._engine
        from sqlalchemy.exc import DBAPIError

        try:
            if not self._prepared:  # two accounts must not make the tables at one moment either
                with engine.begin() as connection:
                    prepare(_PostgresTransaction(connection, _lock_of("tables")))
                self._prepared = True
            with engine.begin() as connection:
                yield _PostgresTransaction(connection, self._lock)
        except UnicodeError:  # what names of hosts are written in refuses it before it is looked up
            raise ConfigurationError(
                "IB_PACING_DB: the URL names no host that could be. Write for example postgresql+psycopg://user@host/database."
            ) from None
        except DBAPIError as error:
            raise _failure(self.name, error.orig or error) from error

    def close(self) -> None:
        """Let go of the connections."""
        if self._connected is not None:
            self._connected.dispose()
            self._connected = None


def _lock_of(what: str) -> int:
    return int.from_bytes(hashlib.blake2b(f"pacing {what}".encode(), digest_size=8).digest(), signed=True)


class _PostgresTransaction:
    def __init__(self, connection: sa.Connection, lock: int) -> None:
        self._connection = connection
        self.run("SELECT pg_advisory_xact_lock(:lock)", {"lock": lock})

    def run(self, sql: str, values: Values) -> list[Found]:
        from sqlalchemy import text

        result = self._connection.execute(text(sql), dict(values))
        return list(result.all()) if result.returns_rows else []

    def clock(self) -> tuple[int, str]:
        found = self.run("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint", {})
        return int(found[0][0]) * 1_000, "database"


def _failure(name: str, error: BaseException) -> MarketDataError:
    said = (str(error).splitlines() or [type(error).__name__])[0]
    if "is full" in said:
        return DiskFull(f"The pacing table {name} could not be written: the disk is full. Free some room and run this again.")
    if "locked" in said:
        return StorageFailed(f"The pacing table {name} has been locked by another process for {_BUSY_S:g} s. Run this again when it is done.")
    if "not a database" in said or "malformed" in said:
        return StorageFailed(
            f"{name} is no pacing table: {said}. Move it away, and wait ten minutes before the next request: what was asked is lost."
        )
    return StorageFailed(
        f"The pacing table {name} failed: {said}. Without it no request may go. Name a place that all processes share: IB_PACING_DB=FILE or a URL."
    )
