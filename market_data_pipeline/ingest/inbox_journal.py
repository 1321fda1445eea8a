"""What was done with the files of the inbox, in a small SQLite file in it. It outlives restarts, so no content is imported twice."""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.errors import StorageFailed

NAME = ".inbox.sqlite"
_TABLES = """
CREATE TABLE IF NOT EXISTS imported (content TEXT, series TEXT, name TEXT NOT NULL, at_ns INTEGER NOT NULL, PRIMARY KEY (content, series));
CREATE TABLE IF NOT EXISTS tries (file TEXT PRIMARY KEY, begun INTEGER NOT NULL, ended INTEGER NOT NULL, at_ns INTEGER NOT NULL, why TEXT NOT NULL);
"""
_BUSY_S = 30.0


def identity_of(file: Path) -> str:
    """Return what tells a file that lies there from any other that lay or will lie there, without reading it.

    The change time of its inode is part of it: a file that was moved out and back is another one.

    Raises:
        FileNotFoundError: If it has gone.
    """
    stat = file.stat()
    facts = f"{file.name}\0{stat.st_size}\0{stat.st_mtime_ns}\0{stat.st_ctime_ns}\0{stat.st_ino}"
    return hashlib.blake2b(facts.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()


def content_of(file: Path) -> str:
    """Return 32 hex digits of a file's bytes, read piece by piece."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


@dataclass(frozen=True)
class Tries:
    """How often a file was begun, how often that ended, when the last one was begun (UTC nanoseconds), and why it did not succeed."""

    begun: int = 0
    ended: int = 0
    at_ns: int = 0
    why: str = ""

    @property
    def killed(self) -> int:
        """Tries that nobody ended: the process died, or works still."""
        return self.begun - self.ended


@dataclass(frozen=True)
class Before:
    """When a content was imported, UTC nanoseconds, and under which name."""

    name: str
    at_ns: int


class InboxJournal:
    """The journal of one inbox. Reading makes no file.

    Args:
        folder: The inbox.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / NAME

    def tries(self, identity: str) -> Tries:
        """Return how often a file was tried."""
        row = self._row("SELECT begun, ended, at_ns, why FROM tries WHERE file = ?", identity)
        return Tries() if row is None else Tries(int(row[0]), int(row[1]), int(row[2]), str(row[3]))

    def imported(self, content: str, series: Series) -> Before | None:
        """Return when a content was imported into a series, or None."""
        row = self._row("SELECT name, at_ns FROM imported WHERE content = ? AND series = ?", content, series.bar_type)
        return None if row is None else Before(str(row[0]), int(row[1]))

    def begin(self, identity: str) -> Tries:
        """Note that a file is about to be dealt with; return the tries before."""
        before = self.tries(identity)
        self._write(
            "INSERT INTO tries VALUES (?, 1, 0, ?, '') ON CONFLICT (file) DO UPDATE SET begun = begun + 1, at_ns = excluded.at_ns",
            identity,
            time.time_ns(),
        )
        return before

    def left(self, identity: str, why: str) -> None:
        """Note that a file stays where it is, to be tried again."""
        self._write("UPDATE tries SET ended = ended + 1, why = ? WHERE file = ?", why, identity)

    def done(self, identity: str) -> None:
        """Forget the tries of a file that has left the inbox."""
        self._write("DELETE FROM tries WHERE file = ?", identity)

    def note_imported(self, content: str, series: Series, name: str) -> None:
        """Note that a content is in the catalog."""
        self._write("INSERT OR REPLACE INTO imported VALUES (?, ?, ?, ?)", content, series.bar_type, name, time.time_ns())

    def _row(self, query: str, *values: object) -> tuple[Any, ...] | None:
        if not self._file.exists():
            return None
        with self._opened() as connection:
            found: tuple[Any, ...] | None = connection.execute(query, values).fetchone()
        return found

    def _write(self, query: str, *values: object) -> None:
        with self._opened() as connection, connection:
            connection.execute(query, values)

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(self._file, timeout=_BUSY_S)) as connection:
                connection.executescript(_TABLES)
                yield connection
        except sqlite3.Error as error:
            raise StorageFailed(
                f"{self._file}, the journal of the inbox, cannot be used: {error}. Make the folder writable; if the file is damaged, remove it: "
                "importing a file again changes nothing."
            ) from error
