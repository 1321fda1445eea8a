"""Instrument definitions in the catalog: one current definition an id, in Nautilus' own files, and its versions beside.

Nautilus adds a file for every change, and BacktestNode then takes the OLDEST (FACTS 2). Here a definition is stamped 1970, so
that its file name never changes and replacing it is one rename. Reading a definition's precision needs no Nautilus import.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from market_data_pipeline.catalog.bar_format import clear_leftovers, sync_folder, write_atomically
from market_data_pipeline.catalog.instrument_files import (
    CURRENT,
    FOLDERS,
    Definition,
    defining,
    files_in,
    id_in,
    instrument_in,
    precision_in,
    row_in,
    row_of,
    table_of,
    to_parquet,
)
from market_data_pipeline.catalog.instrument_versions import (
    FOUND,
    FieldChange,
    InstrumentVersion,
    differences,
    read_versions,
    versions_folder,
    write_version,
)
from market_data_pipeline.domain.bar_types import parse_instrument_id, path_name
from market_data_pipeline.domain.errors import CorruptFile, InstrumentNotFound, InvalidInstrumentId, StorageFailed
from market_data_pipeline.domain.source import Precision

if TYPE_CHECKING:
    import pyarrow as pa
    from nautilus_trader.model.instruments import Instrument

__all__ = ["BadInstrumentFile", "FieldChange", "InstrumentChange", "InstrumentStore", "InstrumentVersion", "Outcome"]

_LOCK_WAIT_S = 60


class Outcome(StrEnum):
    """What storing a definition did."""

    NEW = "new"
    CHANGED = "changed"
    UNCHANGED = "unchanged"


@dataclass(frozen=True)
class InstrumentChange:
    """What storing a definition did, and which fields it changed."""

    instrument_id: str
    outcome: Outcome
    changes: tuple[FieldChange, ...] = ()


@dataclass(frozen=True)
class BadInstrumentFile:
    """An instrument file that cannot be used, and why."""

    path: Path
    reason: str


class InstrumentStore:
    """The instrument definitions of one catalog. Cheap to create.

    Attributes:
        root: The catalog's folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def get(self, instrument_id: str) -> Instrument | None:
        """Return the current definition as a Nautilus instrument, or None if there is none.

        Raises:
            CorruptFile: If its file cannot be used.
        """
        path = self._file_of(instrument_id)
        return None if path is None else instrument_in(path)

    def require(self, instrument_id: str) -> Instrument:
        """Return the current definition.

        Raises:
            InstrumentNotFound: If there is none; the message says how to give one.
            CorruptFile: If its file cannot be used.
        """
        instrument = self.get(instrument_id)
        if instrument is None:
            raise self._not_found(instrument_id)
        return instrument

    def precision(self, instrument_id: str) -> Precision:
        """Return the decimals of the instrument's prices and sizes, without importing Nautilus (about a millisecond).

        Raises:
            InstrumentNotFound: If no definition is stored.
            CorruptFile: If its file cannot be used.
        """
        path = self._file_of(instrument_id)
        if path is None:
            raise self._not_found(instrument_id)
        return precision_in(path)

    def definition(self, instrument_id: str) -> Definition | None:
        """Return the current definition's fields as Nautilus stores them, and `class`; None if there is none.

        Raises:
            CorruptFile: If its file cannot be used.
        """
        path = self._file_of(instrument_id)
        return None if path is None else defining(row_in(path))

    def ids(self) -> list[str]:
        """Return the ids of all stored definitions, sorted; an unreadable file counts under its folder's name."""
        return sorted({id_in(files[0]) or files[0].parent.name for folder in self._folders("*") if (files := files_in(folder))})

    def check(self) -> Iterator[BadInstrumentFile]:
        """Yield every instrument file that cannot be used, reading each one."""
        for folder in self._folders("*"):
            for path in files_in(folder):
                try:
                    instrument_in(path)
                except CorruptFile as error:
                    yield BadInstrumentFile(path, str(error))

    def versions(self, instrument_id: str) -> list[InstrumentVersion]:
        """Return the definition's versions, oldest first; none if it was never stored through here.

        Raises:
            CorruptFile: If the file of a version cannot be read.
        """
        return [version for version in read_versions(versions_folder(self.root, instrument_id)) if version.instrument_id == instrument_id]

    def put(self, instrument: Instrument, source: str, now_ns: int | None = None) -> InstrumentChange:
        """Store a definition: nothing is written if it is the stored one, else it replaces that and a version is kept.

        What Nautilus calls `info` is no part of a definition: where only that differs it is replaced, and no version is made.

        Args:
            instrument: The definition.
            source: Where it comes from, for the version: `instruments.yaml`, `ibkr` …
            now_ns: The version's valid-from, UTC nanoseconds; by default now.

        Raises:
            InvalidInstrumentId: If another id has the same folder in Nautilus' layout, or the id cannot be a file name.
            StorageFailed: If the disk refuses, or another process holds the lock for a minute.
        """
        instrument_id = parse_instrument_id(instrument.id.value)
        table = table_of(instrument)
        if self._stands_alone(instrument_id, table):
            return InstrumentChange(instrument_id, Outcome.UNCHANGED)
        with self._locked():
            return self._replace(instrument_id, table, source, time.time_ns() if now_ns is None else now_ns)

    # Inside

    def _replace(self, instrument_id: str, table: pa.Table, source: str, now_ns: int) -> InstrumentChange:
        old = self._stored_row(instrument_id)
        before = None if old is None else defining(old)
        after = defining(row_of(table))
        changes = differences(before, after)
        file = self._own_file(instrument_id, after)
        try:
            for folder in (file.parent, versions_folder(self.root, instrument_id)):
                clear_leftovers(folder)
            # The version first: should the power go between the two, the next attempt finds it and does not write it again.
            if before is None or changes:
                self._keep_version(before, InstrumentVersion(instrument_id, now_ns, source, changes, after))
            file.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(file.parent, file.name, to_parquet(table))
            sync_folder(file.parent)
            self._remove_superseded(instrument_id, file)
        except OSError as error:
            raise StorageFailed(f"The definition of {instrument_id} could not be stored below {self.root}: {error}.") from error
        outcome = Outcome.NEW if before is None else Outcome.CHANGED if changes else Outcome.UNCHANGED
        return InstrumentChange(instrument_id, outcome, changes)

    def _keep_version(self, before: Definition | None, version: InstrumentVersion) -> None:
        folder = versions_folder(self.root, version.instrument_id)
        kept = self.versions(version.instrument_id)
        if not kept and before is not None:  # stored by another tool: keep what it said
            file = self._file_of(version.instrument_id)
            since = min(file.stat().st_mtime_ns if file is not None else 0, version.valid_from_ns - 1)
            write_version(folder, InstrumentVersion(version.instrument_id, since, FOUND, (), before))
        if not kept:
            write_version(folder, version)
        elif kept[-1].definition != version.definition:
            # A clock that was set back must not put the newest version before an older one.
            write_version(folder, replace(version, valid_from_ns=max(version.valid_from_ns, kept[-1].valid_from_ns + 1)))

    def _stands_alone(self, instrument_id: str, table: pa.Table) -> bool:
        """Return whether exactly this is stored, and nothing else that Nautilus would read for the id."""
        row = row_of(table)
        files = [path for folder in self._folders(path_name(instrument_id)) for path in files_in(folder)]
        return files == [self._own_file(instrument_id, row)] and self._stored_row(instrument_id) == row

    def _stored_row(self, instrument_id: str) -> Definition | None:
        """Return the stored row, or None where there is none or it is broken: then it is written anew."""
        path = self._newest_file(instrument_id)
        if path is None:
            return None
        found = id_in(path)
        if found is not None and found != instrument_id:
            raise InvalidInstrumentId(
                f"{instrument_id} and the stored {found} have one folder name in a Nautilus catalog ({path_name(found)}). Use {found}."
            )
        try:
            return row_in(path)
        except CorruptFile:
            return None

    def _file_of(self, instrument_id: str) -> Path | None:
        """Return the file of an id's current definition, or None; a file of an id with the same folder name does not count."""
        path = self._newest_file(instrument_id)
        return path if path is not None and id_in(path) in (None, instrument_id) else None

    def _newest_file(self, instrument_id: str) -> Path | None:
        """Return the file that holds: ours if there is one, else the newest that another tool left."""
        files = [path for folder in self._folders(path_name(instrument_id)) for path in files_in(folder)]
        return max(files, key=lambda path: (path.name == CURRENT, path.name.partition("_")[2], path.stat().st_mtime_ns), default=None)

    def _own_file(self, instrument_id: str, definition: Definition) -> Path:
        return self.root / "data" / FOLDERS[str(definition["class"])] / path_name(instrument_id) / CURRENT

    def _folders(self, name: str) -> list[Path]:
        """Return the folders of instrument files of this name, in all classes; `*` is every name."""
        kinds = [self.root / "data" / kind for kind in FOLDERS.values()]
        if name != "*":
            return [folder for kind in kinds if (folder := kind / name).is_dir()]
        return [folder for kind in kinds if kind.is_dir() for folder in sorted(kind.iterdir()) if folder.is_dir()]

    def _remove_superseded(self, instrument_id: str, keep: Path) -> None:
        """Take away further files of the id, which Nautilus would read as definitions too; what they said is kept as a version."""
        for folder in self._folders(path_name(instrument_id)):
            for path in files_in(folder):
                if path != keep:
                    path.unlink(missing_ok=True)
            if folder != keep.parent and not any(folder.iterdir()):
                folder.rmdir()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        from filelock import FileLock

        folder = self.root / "locks"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(folder / "instruments.lock", timeout=_LOCK_WAIT_S)
            lock.acquire()
        except TimeoutError:  # filelock.Timeout is one
            raise StorageFailed(f"Another process has held the instruments of {self.root} for {_LOCK_WAIT_S} s. Try again when it is done.") from None
        except OSError as error:
            raise StorageFailed(f"The lock of the instruments in {folder} could not be taken: {error}.") from error
        try:
            yield
        finally:
            lock.release()

    def _not_found(self, instrument_id: str) -> InstrumentNotFound:
        from market_data_pipeline.catalog.instrument_definitions import not_defined

        parse_instrument_id(instrument_id)
        like = [known for known in self.ids() if path_name(known) == path_name(instrument_id)]
        if like:
            return InstrumentNotFound(f"There is no definition of {instrument_id} in the catalog {self.root}, but one of {like[0]}. Use {like[0]}.")
        return not_defined(instrument_id, f"in the catalog {self.root}")
