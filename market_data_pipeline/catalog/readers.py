"""Who reads a series right now. Nautilus ends the whole process when a file that it has listed is gone before it opens it.

Our own readers list again. A query of Nautilus cannot, so a compaction stays away from a series that one is reading:

- programs of this project hold a lock, `reading`, as long as Nautilus reads for them; so can any other;
- of others, the system tells that they open the folder or a file in it (inotify, Linux). A query lists the folder first, so one that begins is always
  seen; one that goes on is seen by the files that it opens.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import struct
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Self

from market_data_pipeline.catalog.layout import CatalogLayout

_IN_OPEN = 0x20
_IN_Q_OVERFLOW = 0x4000
_EVENT = struct.Struct("iIII")
_QUEUE = 1 << 20


@contextmanager
def reading(layout: CatalogLayout, folders: Iterable[str]) -> Iterator[None]:
    """Keep compactions away from these series, named by their folders. The system frees the locks when the process ends.

    Of a catalog that cannot be written, nobody compacts anything: then no lock is taken.
    """
    with ExitStack() as locks:
        for folder in sorted(set(folders)):
            with suppress(OSError):
                layout.locks.mkdir(parents=True, exist_ok=True)
                locks.enter_context(_lock(layout.locks / f"{folder}.reading", fcntl.LOCK_SH))
        yield


@contextmanager
def without_readers(layout: CatalogLayout, folder: str, wait_s: float = 0.0) -> Iterator[bool]:
    """Keep new readers waiting for the moment that a switch takes, and tell whether there is none: where one is, nothing is held.

    Args:
        layout: The catalog.
        folder: Name of the series' folder.
        wait_s: How long to wait for those who read.
    """
    until = time.monotonic() + wait_s
    with ExitStack() as lock:
        nobody = False
        while not nobody:
            try:
                lock.enter_context(_lock(layout.locks / f"{folder}.reading", fcntl.LOCK_EX | fcntl.LOCK_NB))
                nobody = True
            except BlockingIOError:
                if time.monotonic() >= until:
                    break
                time.sleep(0.05)
        yield nobody


@contextmanager
def _lock(file: Path, how: int) -> Iterator[None]:
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, how)
        yield
    finally:
        os.close(descriptor)


class OpenWatch:
    """Hears of files that anybody opens in a folder, from its beginning to its end. Hears nothing where the system cannot tell.

    Args:
        folder: The folder.
    """

    def __init__(self, folder: Path) -> None:
        self._began = time.monotonic()
        self._descriptor = _inotify(folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def opened(self, own: Iterable[str], at_least_s: float) -> bool:
        """Listen for `at_least_s` seconds since the beginning, and return whether others opened something.

        Args:
            own: Names of the files that the caller has opened itself since the beginning, each once; it has not listed the folder.
            at_least_s: How long to have listened.
        """
        if self._descriptor is None:
            return False
        time.sleep(max(0.0, self._began + at_least_s - time.monotonic()))
        left = set(own)
        for name in self._names():
            if name not in left:
                return True
            left.discard(name)
        return False

    def _names(self) -> Iterator[str | None]:
        """Yield what was opened: a file's name, an empty one for the folder, None where the system lost count."""
        assert self._descriptor is not None
        while True:
            try:
                events = os.read(self._descriptor, _QUEUE)
            except BlockingIOError:
                return
            position = 0
            while position < len(events):
                _, mask, _, length = _EVENT.unpack_from(events, position)
                position += _EVENT.size
                name = events[position : position + length].rstrip(b"\0")
                position += length
                yield None if mask & _IN_Q_OVERFLOW else os.fsdecode(name)


def _inotify(folder: Path) -> int | None:
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor: int = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    if descriptor < 0:
        return None
    if libc.inotify_add_watch(descriptor, os.fsencode(folder), _IN_OPEN) < 0:
        os.close(descriptor)
        return None
    return descriptor
