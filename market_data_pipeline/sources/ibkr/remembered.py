"""What a gateway told and is worth keeping between two runs: a small JSON file in the user's state folder, with the time of each entry."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

_FORMAT = 1
_LOCK_WAIT_S = 2.0


@dataclass(frozen=True)
class Entry:
    """What was told, and how long ago."""

    value: Any
    age_s: float


class Remembered:
    """A JSON file of entries by key. Only a cache: whatever is wrong with the file, nothing is remembered and nothing is said.

    Args:
        file: The file; it is made when the first entry is kept.
        clock: Returns seconds since 1970.
    """

    def __init__(self, file: Path, clock: Callable[[], float] = time.time) -> None:
        self.file = file
        self._clock = clock

    def get(self, key: str, max_age_s: float) -> Entry | None:
        """Return an entry that is not older than `max_age_s`."""
        entry = self._read().get(key)
        if not isinstance(entry, dict) or not isinstance(entry.get("at"), int | float):
            return None
        age_s = self._clock() - entry["at"]
        return Entry(entry.get("value"), age_s) if 0 <= age_s <= max_age_s else None

    def put(self, key: str, value: Any) -> None:
        """Keep an entry; do nothing where the folder cannot be written."""
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(self.file.with_suffix(".lock"), timeout=_LOCK_WAIT_S):
                self._write(self._read() | {key: {"at": self._clock(), "value": value}})
        except (OSError, Timeout):
            return

    def clear(self) -> bool:
        """Forget everything; return whether there was anything."""
        there = self.file.is_file()
        self.file.unlink(missing_ok=True)
        return there

    def _read(self) -> dict[str, Any]:
        try:
            content = json.loads(self.file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        entries = content.get("entries") if isinstance(content, dict) and content.get("format") == _FORMAT else None
        return entries if isinstance(entries, dict) else {}

    def _write(self, entries: dict[str, Any]) -> None:
        descriptor, temporary = tempfile.mkstemp(dir=self.file.parent, prefix=f"{self.file.stem}-", suffix=".tmp")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as out:
                json.dump({"format": _FORMAT, "entries": entries}, out, ensure_ascii=False, indent=1, sort_keys=True)
            os.replace(temporary, self.file)
        finally:
            Path(temporary).unlink(missing_ok=True)
