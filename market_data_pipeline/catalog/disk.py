"""Room on the disk, asked before a large write and not after it failed."""

from __future__ import annotations

import shutil
from pathlib import Path

from market_data_pipeline.domain.errors import DiskFull

# Measured on minutes of a share: 22 bytes a bar and 2,000 a file.
BYTES_PER_BAR = 28
BYTES_PER_FILE = 2_600
_SPARE = 64 * 1024 * 1024


def estimate(bars: int, sessions: int) -> int:
    """Return the bytes that session files of this many bars will take."""
    return bars * BYTES_PER_BAR + sessions * BYTES_PER_FILE


def require_room(folder: Path, needed: int, what: str) -> None:
    """Make sure that `needed` bytes fit below `folder` and some are left.

    Raises:
        DiskFull: With what is needed, what is free, and where.
    """
    existing = folder
    while not existing.exists():
        existing = existing.parent
    free = shutil.disk_usage(existing).free
    if free < needed + _SPARE:
        raise DiskFull(
            f"{what} needs about {needed / 1e6:,.0f} MB below {folder} and {_SPARE / 1e6:,.0f} MB to spare; {free / 1e6:,.0f} MB are free. "
            "Nothing was written. Free some room, or give another folder with --catalog PATH."
        )
