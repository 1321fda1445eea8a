"""Counts the steps of a process on its way to the disk; at one of them it ends, as by a kill -9 or a loss of power, or is refused by the system."""

from __future__ import annotations

import builtins
import io
import os
import signal
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from market_data_pipeline.catalog import folder_exchange

_WRITING = frozenset("wax+")
# Each stands before the name that it changes; `Path`, `shutil` and `tempfile` call the same functions.
_NAMED = ("replace", "rename", "link", "symlink", "unlink", "remove", "mkdir", "rmdir", "truncate", "ftruncate", "utime")


class Steps:
    """The steps of this process, each before it is done: what changes a name or a file, and every statement to a SQLite database.

    Writing is two steps: nothing written yet, and half of it.

    Args:
        last: The step at which the process ends; 0 lets it run.
        loses_power: At the end, files lose what was written to them and not synced.
        fails: The process goes on; the system refuses that step, and every later one of the same kind, with this error number. A statement
            to a database cannot be refused so.
    """

    def __init__(self, last: int, *, loses_power: bool = False, fails: int = 0) -> None:
        self.names: list[str] = []
        self._last, self._loses_power, self._fails, self._refused = last, loses_power, fails, ""
        self._turn = threading.Lock()
        self._unsynced: dict[int, str] = {}

    def watch(self) -> None:
        """Begin to count. There is no way back: for a process that is about to end."""
        for name in _NAMED:
            setattr(os, name, self._before(f"os.{name}", getattr(os, name)))
        # The system's call is reached by ctypes, past `os`.
        setattr(folder_exchange, "exchange", self._before("exchange", folder_exchange.exchange))  # noqa: B010 - mypy forbids it otherwise
        self._watch_descriptors()
        self._watch_files()
        self._watch_sqlite()

    def _step(self, name: str) -> bool:
        """Count one; return whether it is the last."""
        with self._turn:
            self.names.append(name)
            return len(self.names) == self._last or (self._refused != "" and name == self._refused)

    def _take(self, name: str) -> None:
        if self._step(name):
            self._end()

    def _end(self) -> None:
        if self._fails:
            self._refused = self.names[-1]
            raise OSError(self._fails, os.strerror(self._fails))
        if self._loses_power:
            for path in {*self._unsynced.values()}:
                if Path(path).is_file():
                    _real_truncate(path, 0)
        os.kill(os.getpid(), signal.SIGKILL)

    def _before(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **more: Any) -> Any:
            self._take(name)
            return real(*arguments, **more)

        return counted

    def _watch_descriptors(self) -> None:
        opened, written, synced = os.open, os.write, os.fsync

        def watched_open(path: Any, flags: int, *arguments: Any, **more: Any) -> int:
            writes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            if writes:
                self._take("os.open")
            descriptor = opened(path, flags, *arguments, **more)
            if writes:
                self._unsynced[descriptor] = os.fspath(path)
            return descriptor

        def watched_write(descriptor: int, data: Any) -> int:
            self._take("os.write")
            if self._step("half of os.write"):
                view = memoryview(data)
                written(descriptor, view[: len(view) // 2])
                self._end()
            return written(descriptor, data)

        def watched_sync(descriptor: int) -> None:
            self._take("os.fsync")
            synced(descriptor)
            self._unsynced.pop(descriptor, None)

        for name, watched in (("open", watched_open), ("write", watched_write), ("fsync", watched_sync)):
            setattr(os, name, watched)

    def _watch_files(self) -> None:
        opened = io.open

        def watched(file: Any, mode: str = "r", *arguments: Any, **more: Any) -> Any:
            if not _WRITING & set(mode):
                return opened(file, mode, *arguments, **more)
            self._take("open")
            stream = opened(file, mode, *arguments, **more)
            if isinstance(file, str | os.PathLike):
                self._unsynced[stream.fileno()] = os.fspath(file)
            self._take("opened")
            return stream

        io.open = builtins.open = watched

    def _watch_sqlite(self) -> None:
        connect = sqlite3.connect

        def watched(*arguments: Any, **more: Any) -> sqlite3.Connection:
            connection: sqlite3.Connection = connect(*arguments, **more)
            connection.set_trace_callback(lambda statement: self._take(f"SQL {statement[:40]}"))
            return connection

        setattr(sqlite3, "connect", watched)  # noqa: B010 - mypy knows its overloads


_real_truncate = os.truncate
