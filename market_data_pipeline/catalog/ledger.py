"""The ledger: an SQL index beside the catalog, which answers what is covered without opening a file.

Files are the truth. The ledger can be rebuilt from them, and it knows when it must be: the change time of a series' folder is
kept with its rows, so a file that came, went or was replaced behind its back is noticed by one `stat`.
"""

from __future__ import annotations

import datetime as dt
import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple
from pathlib import Path

from market_data_pipeline.catalog.ledger_database import Database, SqliteDatabase, Transaction, UrlDatabase, Values
from market_data_pipeline.catalog.ledger_rows import (
    ROW_COLUMNS,
    SERIES_COLUMNS,
    SeriesRow,
    SessionRow,
    content,
    day_in,
    read_rows,
    series_row,
    session_row,
)
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.coverage import Convention, Coverage
from market_data_pipeline.domain.errors import StorageFailed
from market_data_pipeline.domain.sessions import day_number
from market_data_pipeline.domain.source import Precision

__all__ = ["SCHEMA_VERSION", "UNSETTLED", "Ledger", "SeriesRow", "SessionRow"]

SCHEMA_VERSION = 1
UNSETTLED = -1
"""Folder change time of a series that is being written: no folder has it, so whoever asks next looks at the files."""

# SQL that SQLite and PostgreSQL share. `series` carries sums over its sessions, kept in the same transaction: the availability
# of 500 series is then 500 rows. `strip` has one digit a day from `first_day` on: 0 no row, 1 complete, 2 empty, 3 partial.
_TABLES = (
    "CREATE TABLE IF NOT EXISTS ledger_version (version INTEGER PRIMARY KEY)",
    """CREATE TABLE IF NOT EXISTS series (
        id INTEGER PRIMARY KEY, bar_type VARCHAR(200) NOT NULL UNIQUE, price_precision INTEGER NOT NULL, size_precision INTEGER NOT NULL,
        hours VARCHAR(8) NOT NULL, adjustment VARCHAR(32) NOT NULL, folder_mtime_ns BIGINT NOT NULL, updated_at_ns BIGINT NOT NULL,
        bars BIGINT NOT NULL, bytes BIGINT NOT NULL, first_open_ns BIGINT, last_close_ns BIGINT,
        first_day INTEGER, strip TEXT NOT NULL, bad_files TEXT NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS sessions (
        series_id INTEGER NOT NULL, day INTEGER NOT NULL, coverage VARCHAR(8) NOT NULL, bars BIGINT NOT NULL,
        first_open_ns BIGINT, last_close_ns BIGINT, bytes BIGINT NOT NULL, fingerprint VARCHAR(32) NOT NULL,
        source VARCHAR(32) NOT NULL, asked VARCHAR(400) NOT NULL, stored_at_ns BIGINT NOT NULL, expected INTEGER NOT NULL,
        regular INTEGER NOT NULL, longest_absence_s INTEGER NOT NULL, file VARCHAR(100) NOT NULL, file_size BIGINT NOT NULL,
        file_mtime_ns BIGINT NOT NULL, file_hash VARCHAR(32) NOT NULL, PRIMARY KEY (series_id, day))""",
)
_CODES = {Coverage.COMPLETE: "1", Coverage.EMPTY: "2", Coverage.PARTIAL: "3"}


_PUT_SESSION = (
    f"INSERT INTO sessions (series_id, {', '.join(ROW_COLUMNS)}) VALUES (:series_id, {', '.join(f':{name}' for name in ROW_COLUMNS)}) "
    f"ON CONFLICT (series_id, day) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in ROW_COLUMNS if name != 'day')}"
)


class Ledger:
    """The ledger of one catalog. Cheap to create; connects on first use.

    Args:
        where: A SQLite file, or the SQLAlchemy URL of another database.
    """

    def __init__(self, where: Path | str) -> None:
        self._database: Database = SqliteDatabase(where) if isinstance(where, Path) else UrlDatabase(where)
        self._prepared = False

    @property
    def is_copy(self) -> bool:
        """True where the ledger cannot be written: then it lives in memory, and so does what is found out about the files."""
        return self._database.is_copy

    @contextmanager
    def _reading(self) -> Iterator[Transaction]:
        self._prepare()
        with self._database.reading() as transaction:
            yield transaction

    @contextmanager
    def _writing(self) -> Iterator[Transaction]:
        self._prepare()
        with self._database.writing() as transaction:
            yield transaction

    def _prepare(self) -> None:
        """Make the tables, or make sure that they are of this release."""
        if self._prepared:
            return
        if not self._is_there():
            with self._database.writing() as transaction:
                for table in _TABLES:
                    transaction.run(table, {})
                transaction.run("INSERT INTO ledger_version (version) VALUES (:version) ON CONFLICT DO NOTHING", {"version": SCHEMA_VERSION})
        with self._database.reading() as transaction:
            versions = [row[0] for row in transaction.run("SELECT version FROM ledger_version", {})]
        if versions != [SCHEMA_VERSION]:
            raise StorageFailed(
                f"The catalog's ledger has schema version {', '.join(map(str, versions))}; this release reads {SCHEMA_VERSION}. "
                "It is an index only: move ledger.sqlite out of the catalog and run `mdp catalog verify`, which makes it anew from the files."
            )
        self._prepared = True

    def _is_there(self) -> bool:
        if not isinstance(self._database, SqliteDatabase):
            return False
        with self._database.reading() as transaction:
            return bool(transaction.run("SELECT 1 FROM sqlite_master WHERE name = 'sessions'", {}))

    def close(self) -> None:
        """Let go of the database."""
        self._database.close()
        self._prepared = False

    def move_away_if_damaged(self, folder: Path) -> Path | None:
        """Move a SQLite file that is damaged into `folder`, so that a new one is made; return where it lies now, or None if it is sound."""
        database = self._database
        if not isinstance(database, SqliteDatabase) or database.is_copy or not database.file.exists():
            return None
        if _is_sound(database.file):
            return None
        self.close()
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / f"{database.file.name}.{time.time_ns()}.quarantined"
        for suffix in ("-wal", "-shm"):
            database.file.with_name(database.file.name + suffix).unlink(missing_ok=True)
        return database.file.rename(target)

    def find(self, series: Series) -> SeriesRow | None:
        """Return what is kept of a series, or None if it is not known."""
        with self._reading() as transaction:
            found = transaction.run(f"SELECT {SERIES_COLUMNS} FROM series WHERE bar_type = :bar_type", {"bar_type": series.bar_type})
        return read_rows(series_row, found[:1])[0] if found else None

    def find_folder(self, folder: str) -> SeriesRow | None:
        """Return what is kept of the series whose folder has this name: Nautilus drops the slash, so EUR/USD and EURUSD share one."""
        query = f"SELECT {SERIES_COLUMNS} FROM series WHERE REPLACE(bar_type, '/', '') = :folder AND first_day IS NOT NULL"
        with self._reading() as transaction:
            found = transaction.run(query, {"folder": folder})
        return read_rows(series_row, found[:1])[0] if found else None

    def all_series(self) -> list[SeriesRow]:
        """Return all series, sorted by bar type."""
        with self._reading() as transaction:
            found = transaction.run(f"SELECT {SERIES_COLUMNS} FROM series", {})
        # Not by the database: each PostgreSQL sorts text by its own locale.
        return sorted(read_rows(series_row, found), key=lambda row: row.series.bar_type)

    def define(self, series: Series, precision: Precision, convention: Convention) -> SeriesRow:
        """Return the row of a series after making one; where sessions are stored, precision and convention stay what they are."""
        values: Values = {
            "bar_type": series.bar_type,
            "price": precision.price,
            "size": precision.size,
            "hours": convention.hours,
            "adjustment": convention.adjustment,
        }
        with self._writing() as transaction:
            transaction.run(
                "INSERT INTO series (id, bar_type, price_precision, size_precision, hours, adjustment, folder_mtime_ns, updated_at_ns, "
                "bars, bytes, strip, bad_files) "
                "SELECT COALESCE(MAX(id), 0) + 1, :bar_type, :price, :size, :hours, :adjustment, 0, 0, 0, 0, '', '[]' FROM series WHERE TRUE "
                "ON CONFLICT (bar_type) DO UPDATE SET price_precision = :price, size_precision = :size, hours = :hours, "
                "adjustment = :adjustment WHERE series.first_day IS NULL",
                values,
            )
        row = self.find(series)
        assert row is not None
        return row

    def sessions(self, series_id: int, start: dt.date | None = None, end: dt.date | None = None) -> list[SessionRow]:
        """Return the stored sessions dated in [start, end], oldest first."""
        query = f"SELECT {', '.join(ROW_COLUMNS)} FROM sessions WHERE series_id = :series_id AND day BETWEEN :first AND :last ORDER BY day"
        first, last = day_number(start or dt.date.min), day_number(end or dt.date.max)
        with self._reading() as transaction:
            found = transaction.run(query, {"series_id": series_id, "first": first, "last": last})
        return read_rows(session_row, found)

    def contents(self, series_id: int, start: dt.date | None = None, end: dt.date | None = None) -> list[tuple[int, str, int, str]]:
        """Return day number, coverage, number of bars and fingerprint of the stored sessions dated in [start, end], oldest first."""
        query = "SELECT day, coverage, bars, fingerprint FROM sessions WHERE series_id = :series_id AND day BETWEEN :first AND :last ORDER BY day"
        first, last = day_number(start or dt.date.min), day_number(end or dt.date.max)
        with self._reading() as transaction:
            found = transaction.run(query, {"series_id": series_id, "first": first, "last": last})
        return read_rows(content, found)

    def unsettle(self, series_id: int) -> None:
        """Note that the series is being written: until `record` says otherwise, whoever asks next looks at the files."""
        with self._writing() as transaction:
            transaction.run("UPDATE series SET folder_mtime_ns = :mtime WHERE id = :id", {"id": series_id, "mtime": UNSETTLED})

    def record(
        self,
        series_id: int,
        rows: Sequence[SessionRow],
        folder_mtime_ns: int,
        *,
        forget: Iterable[int] = (),
        bad_files: Sequence[tuple[str, str]] = (),
    ) -> None:
        """Put session rows in place of what is kept for their days, forget other days, and bring the sums up to date.

        Args:
            series_id: `SeriesRow.id`.
            rows: One row a day.
            folder_mtime_ns: Change time of the folder with which the ledger agrees from now on, or `UNSETTLED`.
            forget: Day numbers that are not stored any more.
            bad_files: (name, reason) of files that were left where they are.
        """
        with self._writing() as transaction:
            transaction.run_many(
                "DELETE FROM sessions WHERE series_id = :series_id AND day = :day", [{"series_id": series_id, "day": day} for day in forget]
            )
            transaction.run_many(_PUT_SESSION, [{"series_id": series_id, **dict(zip(ROW_COLUMNS, astuple(row), strict=True))} for row in rows])
            transaction.run(
                "UPDATE series SET folder_mtime_ns = :mtime, bad_files = :bad_files WHERE id = :id",
                {"id": series_id, "mtime": folder_mtime_ns, "bad_files": json.dumps([list(pair) for pair in bad_files])},
            )
            _sum_up(transaction, series_id)


def _sum_up(transaction: Transaction, series_id: int) -> None:
    kept = transaction.run(
        "SELECT day, coverage, bars, bytes, first_open_ns, last_close_ns, stored_at_ns FROM sessions WHERE series_id = :id ORDER BY day",
        {"id": series_id},
    )
    read_rows(day_in, kept)
    strip = ["0"] * (kept[-1][0] - kept[0][0] + 1 if kept else 0)
    for row in kept:
        strip[row[0] - kept[0][0]] = _CODES[Coverage(row[1])]
    transaction.run(
        "UPDATE series SET bars = :bars, bytes = :bytes, first_open_ns = :first, last_close_ns = :last, updated_at_ns = :updated, "
        "first_day = :first_day, strip = :strip WHERE id = :id",
        {
            "id": series_id,
            "bars": sum(row[2] for row in kept),
            "bytes": sum(row[3] for row in kept),
            "first": min((row[4] for row in kept if row[4] is not None), default=None),
            "last": max((row[5] for row in kept if row[5] is not None), default=None),
            "updated": max((row[6] for row in kept), default=0),
            "first_day": kept[0][0] if kept else None,
            "strip": "".join(strip),
        },
    )


def _is_sound(file: Path) -> bool:
    try:
        connection = sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True, timeout=30)
        try:
            if connection.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
                return False
            read_rows(series_row, connection.execute(f"SELECT {SERIES_COLUMNS} FROM series").fetchall())
            read_rows(session_row, connection.execute(f"SELECT {', '.join(ROW_COLUMNS)} FROM sessions").fetchall())
        finally:
            connection.close()
    except sqlite3.OperationalError:  # locked, or not to be read at all
        return True
    except (sqlite3.DatabaseError, StorageFailed):
        return False
    return True
