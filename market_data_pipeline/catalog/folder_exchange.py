"""Many files of a series are replaced by others in one step: a second folder is built beside the catalog's bars, and the two change names.

Nautilus takes what a folder lists, so several renames in a row would show a query some bars twice, or not at all, and so would a kill between them.
Linux and macOS exchange two folders in one call; where the file system cannot (NFS, FAT), nothing is done.
"""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from market_data_pipeline.catalog.bar_format import sync_folder, write_atomically
from market_data_pipeline.catalog.layout import TEMPORARY_PREFIX, BarFile, CatalogLayout, interval_of
from market_data_pipeline.domain.errors import StorageFailed

_AT_CWD = -100 if sys.platform == "linux" else -2
_EXCHANGE = 2  # RENAME_EXCHANGE of renameat2(2), RENAME_SWAP of renameatx_np(2)
_CALLS = {"linux": "renameat2", "darwin": "renameatx_np"}
_UNABLE = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EPERM)


def exchange(first: Path, second: Path) -> None:
    """Let two folders change names, at once for everybody.

    Raises:
        OSError: If the system refuses, or has no such call (`ENOSYS`).
    """
    call = getattr(ctypes.CDLL(None, use_errno=True), _CALLS.get(sys.platform, ""), None)
    if call is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), str(first))
    if call(_AT_CWD, os.fsencode(first), _AT_CWD, os.fsencode(second), ctypes.c_uint(_EXCHANGE)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(first), None, str(second))


def _require_exchange(stage: Path, root: Path) -> None:
    """Make sure that two folders can change names, with two empty ones inside the stage."""
    pair = stage / "a", stage / "b"
    for folder in pair:
        folder.mkdir()
    try:
        exchange(*pair)
    except OSError as error:
        if error.errno not in _UNABLE:
            raise
        raise StorageFailed(
            f"The file system of {root} cannot exchange two folders in one step ({error.strerror}), so readers would be disturbed. "
            "Nothing was changed. ext4, xfs, btrfs, tmpfs and APFS can; NFS and FAT cannot."
        ) from None
    for folder in pair:
        folder.rmdir()


class StagedFolder:
    """What is to take the place of a series' folder. Made by `staged`, while the series' lock is held."""

    def __init__(self, folder: Path, stage: Path) -> None:
        self._folder, self._stage = folder, stage

    def put(self, name: str, content: pa.Buffer) -> BarFile:
        """Write a bar file; it is on the disk when this returns. Its path is the one that it will have."""
        stat = write_atomically(self._stage, name, content)
        interval = interval_of(name)
        assert interval is not None
        return BarFile(self._folder / name, *interval, stat.st_size, stat.st_mtime_ns)

    def switch(self, replaced: set[str]) -> None:
        """Take over every other file of the folder, but for those that are replaced, and change names."""
        for entry in os.scandir(self._folder):
            if entry.name not in replaced and not entry.name.startswith(TEMPORARY_PREFIX):
                os.link(entry.path, self._stage / entry.name, follow_symlinks=False)
        sync_folder(self._stage)
        exchange(self._stage, self._folder)
        sync_folder(self._folder.parent)
        sync_folder(self._stage.parent)


@contextmanager
def staged(layout: CatalogLayout, folder: Path) -> Iterator[StagedFolder]:
    """Lend a folder beside the bars, out of Nautilus' sight, and remove at the end what stands there: the new files, or the old ones.

    A kill leaves it; `clear_stage` removes it, whichever it is, for the series' own folder is whole at every moment.

    Raises:
        StorageFailed: If the file system cannot exchange two folders.
    """
    clear_stage(layout, folder)
    stage = layout.compacting / folder.name
    stage.mkdir(parents=True)
    try:
        _require_exchange(stage, layout.root)
        shutil.copymode(folder, stage)
        yield StagedFolder(folder, stage)
    finally:
        clear_stage(layout, folder)


def clear_stage(layout: CatalogLayout, folder: Path) -> None:
    """Remove what a switch left. Only while holding the series' lock."""
    stage = layout.compacting / folder.name
    if stage.is_dir():
        shutil.rmtree(stage)


def why_not_switched(folder: Path) -> str | None:
    """Return what stands in the way of building the folder anew, or None."""
    if folder.is_symlink():
        return "its folder is a link to another place"
    odd = sorted(entry.name for entry in os.scandir(folder) if not entry.is_file(follow_symlinks=False) and not entry.is_symlink())
    return f"its folder holds {odd[0]}, which is no file" if odd else None
