"""Published calendars on disk, so that a command which only reads the catalog never imports pandas.

A cache only: whatever is wrong with it (unreadable, unwritable, torn, of another form), the calendar is computed anew and nothing is said.
"""

from __future__ import annotations

import os
from importlib.metadata import version
from pathlib import Path

import numpy as np

from market_data_pipeline.domain.sessions import CALENDAR_ARRAYS, SessionCalendar

# Raise it when the arrays, or the rules in published.py that make them, change.
FORMAT = 1


def cache_file(name: str, last_year: int) -> Path | None:
    """Return where a calendar is kept: below XDG_CACHE_HOME or ~/.cache; None where there is no home."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    try:
        # A relative XDG_CACHE_HOME must be ignored (XDG Base Directory Specification).
        home = Path(given) if given.startswith("/") else Path.home() / ".cache"
    except RuntimeError:
        return None
    library = version("pandas_market_calendars")
    return home / "nautilus-market-data-pipeline" / "calendars" / f"{name}-{last_year}-library-{library}-format-{FORMAT}.npz"


def read_cached(file: Path, name: str) -> SessionCalendar | None:
    """Return the calendar that a file holds, or None if it holds none that can be trusted."""
    try:
        # Opened here: np.load leaves a file open that it cannot read.
        with file.open("rb") as raw, np.load(raw, allow_pickle=False) as stored:
            time_zone, table = str(stored["time_zone"]), stored["table"]
    except Exception:  # noqa: BLE001 - a damaged archive raises whatever its damaged part leads to, and any of it means "compute anew"
        return None
    if table.dtype != np.int64 or table.ndim != 2 or len(table) != len(CALENDAR_ARRAYS) or table.shape[1] < 2:
        return None
    calendar = SessionCalendar(name, time_zone, **dict(zip(CALENDAR_ARRAYS, table, strict=True)))
    rising = np.all(np.diff(calendar.days) > 0) and np.all(np.diff(calendar.end_ns) > 0)
    return calendar if rising else None


def write_cached(file: Path, calendar: SessionCalendar) -> None:
    """Keep a calendar, whole or not at all; do nothing where the folder cannot be written."""
    import tempfile

    table = np.stack([getattr(calendar, name) for name in CALENDAR_ARRAYS])
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=file.parent, prefix=f"{file.stem}-", suffix=".tmp")
    except OSError:
        return
    try:
        with os.fdopen(descriptor, "wb") as out:
            np.savez(out, time_zone=np.array(calendar.time_zone), table=table)
        os.replace(temporary, file)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
