"""Debian's libfaketime, so that days pass in minutes for real processes.

The clock runs at real speed, and a test lets it jump. What measures time that passes (the monotonic clock: sleeps, timeouts, windows of pacing) stays
as it is, as on a machine that was suspended.
"""

from __future__ import annotations

import datetime as dt
import os
import time
from pathlib import Path

_LIBRARY = "libfaketimeMT.so.1"
_FOLDERS = ("/usr/lib/*/faketime", "/usr/lib/faketime", "/usr/lib64/faketime", "/usr/local/lib/faketime", "/usr/local/lib/*/faketime")
_PRELOADED = Path(__file__).parent / "preloaded"


class WallClock:
    """A wall clock for other processes. This process keeps the real one.

    Args:
        folder: Where its file goes.
        at: What it shows first; with a zone.
    """

    def __init__(self, folder: Path, at: dt.datetime) -> None:
        library = self.installed()
        assert library is not None
        self._file = folder / "faketime"
        self._offset_s = 0.0
        self.set(at)
        self.environment = {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            # Read at every look: all processes see a jump at once.
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            # Times of files are compared with each other, and with a clock only where files are the source.
            "NO_FAKE_STAT": "1",
            "PYTHONPATH": os.pathsep.join(filter(None, (str(_PRELOADED), os.environ.get("PYTHONPATH")))),
        }

    @staticmethod
    def installed() -> Path | None:
        """Return the library, or None where it is not installed (apt install faketime)."""
        root = Path("/")
        return next((path for folder in _FOLDERS for path in sorted(root.glob(f"{folder[1:]}/{_LIBRARY}"))), None)

    def now(self) -> dt.datetime:
        """Return what it shows, in UTC."""
        return dt.datetime.fromtimestamp(time.time() + self._offset_s, dt.UTC)

    def set(self, moment: dt.datetime) -> None:
        """Let it show `moment` now and go on from there."""
        self._offset_s = moment.timestamp() - time.time()
        beside = self._file.with_suffix(".new")
        beside.write_text(f"{self._offset_s:+.3f}\n", encoding="ascii")
        beside.replace(self._file)

    def pass_by(self, **time: float) -> None:
        """Let it jump ahead by so much, in words of `timedelta`."""
        self.set(self.now() + dt.timedelta(**time))
