"""The versions of a definition, kept beside the catalog as small JSON files: valid from when, what changed, from where."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from market_data_pipeline.catalog.bar_format import sync_folder, write_atomically
from market_data_pipeline.catalog.instrument_files import Definition, Scalar
from market_data_pipeline.catalog.layout import stamp_of
from market_data_pipeline.domain.bar_types import path_name
from market_data_pipeline.domain.errors import CorruptFile

FOUND = "found in the catalog"


@dataclass(frozen=True)
class FieldChange:
    """One field of a definition that changed. None where a side does not have it."""

    field: str
    old: Scalar
    new: Scalar

    def __str__(self) -> str:
        return f"{self.field} {self.old} -> {self.new}"


@dataclass(frozen=True)
class InstrumentVersion:
    """A definition as it held from a moment on.

    Attributes:
        instrument_id: Whose.
        valid_from_ns: From when, UTC nanoseconds: the moment it was stored.
        source: Where it came from.
        changes: Against the version before; none for the first.
        definition: All fields as Nautilus stores them, and `class`.
    """

    instrument_id: str
    valid_from_ns: int
    source: str
    changes: tuple[FieldChange, ...]
    definition: Definition


def differences(old: Definition | None, new: Definition) -> tuple[FieldChange, ...]:
    """Return the fields in which two definitions differ, by name; none if there is no old one."""
    if old is None:
        return ()
    return tuple(FieldChange(name, old.get(name), new.get(name)) for name in sorted({*old, *new}) if old.get(name) != new.get(name))


def versions_folder(root: Path, instrument_id: str) -> Path:
    """Return the folder of an instrument's versions in the catalog `root`."""
    return root / "instrument_versions" / path_name(instrument_id)


def read_versions(folder: Path) -> list[InstrumentVersion]:
    """Return the versions in a folder, oldest first.

    Raises:
        CorruptFile: If the file of a version cannot be read.
    """
    return [_read(path) for path in sorted(folder.glob("*.json"))]


def write_version(folder: Path, version: InstrumentVersion) -> None:
    """Add a version, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    stamp = max(version.valid_from_ns, 0)
    while (folder / f"{stamp_of(stamp)}.json").exists():
        stamp += 1
    content = {
        "instrument_id": version.instrument_id,
        "valid_from": stamp_of(version.valid_from_ns),
        "valid_from_ns": version.valid_from_ns,
        "source": version.source,
        "changes": [{"field": change.field, "old": change.old, "new": change.new} for change in version.changes],
        "definition": version.definition,
    }
    write_atomically(folder, f"{stamp_of(stamp)}.json", f"{json.dumps(content, indent=2)}\n".encode())
    sync_folder(folder)


def _read(path: Path) -> InstrumentVersion:
    try:
        return _version(json.loads(path.read_bytes()))
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise CorruptFile(
            f"{path}: not the record of an instrument's version ({error}). Remove it; the current definition does not depend on it."
        ) from None


def _version(content: Any) -> InstrumentVersion:
    """Return a version; what raises is for `_read` to tell."""
    changes = tuple(FieldChange(change["field"], change["old"], change["new"]) for change in content["changes"])
    instrument_id, since, source, definition = (content[name] for name in ("instrument_id", "valid_from_ns", "source", "definition"))
    if not (isinstance(instrument_id, str) and isinstance(source, str) and isinstance(definition, dict)):
        raise TypeError("a value of another kind than is written")
    if not isinstance(since, int) or not 0 <= since < 2**63:
        raise ValueError(f"no time stamp: {since!s:.40}")
    return InstrumentVersion(instrument_id, since, source, changes, definition)
