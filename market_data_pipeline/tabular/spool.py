"""Columns of bars on their way: on disk, in files without a name that vanish with the process, however it ends."""

from __future__ import annotations

import errno
import mmap
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO

import numpy as np

from market_data_pipeline.domain.bar_table import VALUE_COLUMNS, Int64s
from market_data_pipeline.domain.errors import DiskFull, StorageFailed
from market_data_pipeline.domain.words import agreeing, count

_SPARE_BYTES = 16 << 20


class Spool:
    """Int64 columns, by default open, high, low, close and volume, appended once and then read from anywhere.

    Args:
        folder: Where the room is taken; None for the system's temporary folder.
        rows: Rows to expect, to find out before and not in the middle that there is no room.
        names: What the columns are called.

    Raises:
        DiskFull: If the folder has less room than the rows take.
        StorageFailed: If the folder cannot be written to.
    """

    def __init__(self, folder: Path | None, rows: int, names: Sequence[str] = VALUE_COLUMNS) -> None:
        self.folder = Path(tempfile.gettempdir()) if folder is None else folder
        self.names = tuple(names)
        self._files: list[IO[bytes]] = []
        self._maps: list[mmap.mmap] = []
        self._columns: dict[str, Int64s] = {}
        self.rows = 0
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            free = shutil.disk_usage(self.folder).free
            if free < rows * self._row_bytes + _SPARE_BYTES:
                raise self._full(rows, free)
            for _ in self.names:
                self._files.append(tempfile.TemporaryFile(dir=self.folder, prefix="mdp-spool-"))  # noqa: SIM115 - closed by close()
        except OSError as error:
            self.close()
            raise self._failed(error) from None

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @property
    def _row_bytes(self) -> int:
        return 8 * len(self.names)

    def append(self, columns: list[Int64s]) -> None:
        """Append rows, one array a column."""
        try:
            for file, column in zip(self._files, columns, strict=True):
                file.write(np.ascontiguousarray(column).data)
        except OSError as error:
            raise self._failed(error) from None
        self.rows += len(columns[0])

    def column(self, name: str) -> Int64s:
        """Return a whole column as a read-only view of the file. Append no more after the first call."""
        if not self._files:
            raise ValueError("the source of these bars was closed")
        if not self._columns:
            self._map()
        return self._columns[name]

    def read(self, name: str, start: int, stop: int) -> Int64s:
        """Return rows [start, stop) of a column, read from the file: unlike a view, it keeps no more of it in memory."""
        if not self._files:
            raise ValueError("the source of these bars was closed")
        file = self._files[self.names.index(name)]
        try:
            file.seek(8 * start)
            return np.frombuffer(bytearray(file.read(8 * (stop - start))), dtype=np.int64)
        except OSError as error:
            raise self._failed(error) from None

    def _map(self) -> None:
        for name, file in zip(self.names, self._files, strict=True):
            if not self.rows:
                self._columns[name] = np.empty(0, dtype=np.int64)
                continue
            try:
                file.flush()
                self._maps.append(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
            except OSError as error:
                raise self._failed(error) from None
            self._columns[name] = np.frombuffer(self._maps[-1], dtype=np.int64)

    def close(self) -> None:
        """Free the room. Views that were handed out must be gone."""
        self._columns.clear()
        for mapped in self._maps:
            mapped.close()
        self._maps.clear()
        for file in self._files:
            try:
                file.close()
            except OSError:  # a full disk is met again by the last flush; the room is freed all the same
                continue
        self._files.clear()

    def _full(self, rows: int, free: int) -> DiskFull:
        return DiskFull(
            f"Reading takes about {(rows * self._row_bytes + _SPARE_BYTES) / 1e6:,.0f} MB of temporary room in {self.folder}, "
            f"and {free / 1e6:,.0f} MB are free. Nothing was written. Make room there, or set TMPDIR to a folder with more."
        )

    def _failed(self, error: OSError) -> DiskFull | StorageFailed:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return DiskFull(
                f"{self.folder} is full: {count(self.rows, 'row')} {agreeing(self.rows, 'was', 'were')} read. Nothing was written. "
                "Make room there, or set TMPDIR to a folder with more."
            )
        return StorageFailed(
            f"Temporary files in {self.folder} failed: {error.strerror}. Nothing was written. Set TMPDIR to a folder that can be written to."
        )
