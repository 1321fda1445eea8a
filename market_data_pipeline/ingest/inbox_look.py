"""Which files of the inbox are complete."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from market_data_pipeline.ingest.inbox_journal import InboxJournal, identity_of
from market_data_pipeline.ingest.inbox_rules import SIDECAR_SUFFIX

DONE, REJECTED = "done", "rejected"
UNFINISHED_SUFFIXES = (".part", ".tmp", ".crdownload", ".download", ".partial", ".filepart", "~")
_AGAIN_AFTER_S = 300.0
_PROCESSES = Path("/proc")
_WRITING = 0o3

Sizes = Mapping[str, tuple[int, int]]
"""Size and change time (nanoseconds) by file name, as an earlier look saw them."""


@dataclass(frozen=True)
class Waiting:
    """A file that is not imported yet, and why."""

    name: str
    why: str


@dataclass(frozen=True)
class Looked:
    """What lies in the inbox.

    Attributes:
        ready: Names of complete files, sorted.
        waiting: Files that are not imported yet.
        sizes: For the next look.
        key: Of exactly these ready files and what was tried with them before: the same event has the same key.
    """

    ready: tuple[str, ...]
    waiting: tuple[Waiting, ...]
    sizes: dict[str, tuple[int, int]]
    key: str


def look_into(folder: Path, rests_s: float, now_ns: int, before: Sizes | None = None) -> Looked:
    """Say which files are complete: nobody writes them, and they have not changed since an earlier look, or for `rests_s` seconds.

    Args:
        folder: The inbox; need not exist.
        rests_s: Seconds.
        now_ns: The time, UTC nanoseconds.
        before: What an earlier look saw, if there was one.
    """
    ready, waiting, sizes, keys = [], [], {}, []
    journal, written = InboxJournal(folder), None
    for file in _files(folder):
        try:
            stat, identity = file.stat(), identity_of(file)
        except FileNotFoundError:  # moved away meanwhile
            continue
        sizes[file.name] = (stat.st_size, stat.st_mtime_ns)
        if file.name.endswith(UNFINISHED_SUFFIXES):
            waiting.append(Waiting(file.name, "its name says that it is not finished"))
            continue
        still = (before or {}).get(file.name) == sizes[file.name]
        # A change time in the future says nothing.
        if not still and not rests_s * 1e9 <= now_ns - stat.st_mtime_ns:
            waiting.append(Waiting(file.name, f"it changed {max(0.0, (now_ns - stat.st_mtime_ns) / 1e9):.0f} s ago"))
            continue
        written = files_being_written() if written is None else written
        if str(file.resolve()) in written:
            waiting.append(Waiting(file.name, "another process is writing it"))
            continue
        tries = journal.tries(identity)
        if tries.why and now_ns - tries.at_ns < _AGAIN_AFTER_S * 1e9:
            waiting.append(Waiting(file.name, f"it is tried again every {_AGAIN_AFTER_S / 60:.0f} minutes: {tries.why}"))
            continue
        ready.append(file.name)
        keys.append(f"{identity}-{tries.begun}")
    return Looked(tuple(ready), tuple(waiting), sizes, hashlib.blake2b("+".join(keys).encode(), digest_size=16).hexdigest())


def _files(folder: Path) -> list[Path]:
    """Return what may hold bars: no hidden file, no folder, and no YAML, which says what another file holds."""
    try:
        entries = sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [path for path in entries if not path.name.startswith(".") and path.is_file() and path.suffix not in (SIDECAR_SUFFIX, ".yml")]


def files_being_written() -> frozenset[str]:
    """Return the paths that processes have open for writing, as far as Linux tells us; none elsewhere."""
    found = set()
    for process in _entries(_PROCESSES):
        if not process.name.isdigit():
            continue
        for descriptor in _entries(process / "fd"):
            try:
                target = str(descriptor.readlink())
                if target.startswith("/") and not target.startswith(("/dev/", "/proc/")) and _is_for_writing(process, descriptor.name):
                    found.add(target)
            except OSError:  # closed meanwhile
                continue
    return frozenset(found)


def _entries(folder: Path) -> list[Path]:
    try:
        return [Path(entry.path) for entry in os.scandir(folder)]
    except OSError:  # gone, or of another user
        return []


def _is_for_writing(process: Path, descriptor: str) -> bool:
    for line in (process / "fdinfo" / descriptor).read_text().splitlines():
        if line.startswith("flags:"):
            return bool(int(line.split()[1], 8) & _WRITING)
    return False
