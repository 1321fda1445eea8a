"""What is kept of every good row in memory: when its bar closes, and which line it came from."""

from __future__ import annotations

import numpy as np

from market_data_pipeline.domain.bar_table import Int64s
from market_data_pipeline.sources.csv.faults import pack


class LineMap:
    """Which line of which file each good row came from. Lines that follow each other take no room."""

    def __init__(self) -> None:
        self._rows: list[Int64s] = []
        self._lines: list[Int64s] = []
        self._files: list[Int64s] = []
        self._count = 0
        self._joined: tuple[Int64s, Int64s, Int64s] | None = None

    def append(self, file: int, lines: Int64s) -> None:
        """Add the lines of the next rows."""
        if not len(lines):
            return
        starts = np.concatenate(([0], np.flatnonzero(np.diff(lines) != 1) + 1))
        self._rows.append(starts + self._count)
        self._lines.append(lines[starts])
        self._files.append(np.full(len(starts), file, dtype=np.int64))
        self._count += len(lines)
        self._joined = None

    def places(self, rows: Int64s) -> tuple[Int64s, Int64s]:
        """Return file and line of rows."""
        if self._joined is None:
            empty = np.empty(0, dtype=np.int64)
            rows_, lines, files = (np.concatenate([empty, *pieces]) for pieces in (self._rows, self._lines, self._files))
            self._joined = rows_, lines, files
        starts, lines, files = self._joined
        at = np.searchsorted(starts, rows, side="right") - 1
        return files[at], lines[at] + rows - starts[at]

    def packed(self, rows: Int64s) -> Int64s:
        """Return the places of rows as one int64 each."""
        return pack(*self.places(rows))


class Closes:
    """The close of every good row, growing by a quarter at a time."""

    def __init__(self, expected: int) -> None:
        self._array: Int64s = np.empty(max(expected, 1024), dtype=np.int64)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def append(self, closes: Int64s) -> None:
        """Add the closes of the next rows."""
        stop = self._count + len(closes)
        if stop > len(self._array):
            grown = np.empty(max(stop, len(self._array) * 5 // 4), dtype=np.int64)
            grown[: self._count] = self.array()
            self._array = grown
        self._array[self._count : stop] = closes
        self._count = stop

    def array(self) -> Int64s:
        """Return all closes, shape (rows,)."""
        return self._array[: self._count]
