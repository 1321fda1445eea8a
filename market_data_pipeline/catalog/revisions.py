"""What a source changed in bars that were stored: old values and new ones, in small files beside the catalog.

    revisions/<series>/<when found>.parquet     one file for everything that one recheck found, written whole or not at all
    revisions/<series>/suspected.json           prices seem to be on another base, and nobody has decided yet

Files alone, and no table of the ledger: they are the truth, so they outlive a ledger that is made anew; they are few and small, so an index would
answer no faster; and no ledger in use has to be migrated for them. A file is written before the sessions that it speaks of are replaced: a process
that dies in between loses no old value, and the next recheck finds the same changes and does not note them twice.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from market_data_pipeline.catalog.bar_format import clear_leftovers, sync_folder, write_atomically
from market_data_pipeline.catalog.layout import SUFFIX, TEMPORARY_PREFIX, stamp_of
from market_data_pipeline.catalog.writer import storage_errors
from market_data_pipeline.domain.bar_table import VALUE_COLUMNS
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.errors import CorruptFile
from market_data_pipeline.domain.revisions import Changes, Rebase
from market_data_pipeline.domain.sessions import day_number
from market_data_pipeline.domain.source import Precision

if TYPE_CHECKING:
    from market_data_pipeline.catalog.catalog import Catalog

_FOLDER = "revisions"
_SUSPECTED = "suspected.json"
_FACTS = b"revision"
_VALUES = [f"{when}_{name}" for when in ("old", "new") for name in VALUE_COLUMNS]
_SCHEMA = pa.schema(
    [
        pa.field("session", pa.date32(), nullable=False),
        pa.field("ts_event", pa.timestamp("ns", "UTC"), nullable=False),
        pa.field("ts_init", pa.timestamp("ns", "UTC"), nullable=False),
        *(pa.field(name, pa.int64()) for name in _VALUES),
    ]
)


class RevisionKind(StrEnum):
    """What became of the changes."""

    CHANGED = "changed"  # the new values are stored
    REBASED = "rebased"  # all prices of the series were put on another base


@dataclass(frozen=True)
class RevisedSession:
    """What changed in one session.

    Attributes:
        session: Its date.
        changed: Bars that have other values.
        added: Bars that were not stored.
        gone: Bars that the source has no more.
        largest: Largest change of a price, as a fraction of what it was.
        before: Fingerprint of the session as it was stored.
        after: Fingerprint of the session as the source has it now.
    """

    session: dt.date
    changed: int
    added: int
    gone: int
    largest: float
    before: str
    after: str

    @classmethod
    def of(cls, changes: Changes, before: str, after: str) -> RevisedSession:
        """Sum changes up."""
        added, gone = changes.added, changes.gone
        return cls(changes.session, len(changes) - added - gone, added, gone, changes.largest, before, after)

    @property
    def bars(self) -> int:
        """All bars that are not as they were."""
        return self.changed + self.added + self.gone


@dataclass(frozen=True)
class Revision:
    """What one recheck of a series found.

    Attributes:
        series: The series.
        kind: What became of it.
        found_at_ns: When it was found, UTC nanoseconds.
        source: Who has the new values.
        precision: Decimals of the values in the file.
        sessions: The sessions, oldest first.
        rebases: For `REBASED`: by what prices were divided.
        file: The file with the values.
    """

    series: Series
    kind: RevisionKind
    found_at_ns: int
    source: str
    precision: Precision
    sessions: tuple[RevisedSession, ...]
    rebases: tuple[Rebase, ...]
    file: Path

    @property
    def bars(self) -> int:
        """All bars that are not as they were."""
        return sum(one.bars for one in self.sessions)

    @property
    def largest(self) -> float:
        """Largest change of a price, as a fraction of what it was."""
        return max((one.largest for one in self.sessions), default=0.0)


@dataclass(frozen=True)
class Suspicion:
    """Prices of a series seem to be on another base at the source, and nothing was stored of it.

    Attributes:
        series: The series.
        found_at_ns: When it was found, UTC nanoseconds.
        rebases: By what prices would have been divided.
        before: Fingerprints of the sessions as they were stored, by day number.
    """

    series: Series
    found_at_ns: int
    rebases: tuple[Rebase, ...]
    before: dict[int, str]


@dataclass(frozen=True)
class ChangedValue:
    """One value that changed; prices and volumes as text with their decimals, None where there was, or is, no bar."""

    session: dt.date
    ts_event_ns: int
    column: str
    old: str | None
    new: str | None


class RevisionFiles:
    """The revisions of one catalog.

    Args:
        catalog: The catalog.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def series(self) -> list[Series]:
        """Return the series of which there are revisions, or a suspicion, sorted by bar type."""
        folders = self._root.iterdir() if self._root.is_dir() else ()
        found: set[Series] = set()
        for folder in folders:
            found |= {one.series for one in _revisions(folder)} | {one.series for one in _suspicions(folder)}
        return sorted(found)

    def of(self, series: Series) -> list[Revision]:
        """Return the revisions of a series, oldest first.

        Raises:
            CorruptFile: If a file cannot be read.
        """
        return list(_revisions(self._folder(series)))

    def clear_killed(self, series: Series) -> None:
        """Remove what a process left that was killed while it noted something. Only while holding the lock of the series' recheck."""
        with storage_errors(f"Looking at what was noted of {series}"):
            clear_leftovers(self._folder(series))

    def suspicion(self, series: Series) -> Suspicion | None:
        """Return what is suspected of a series; None where nothing is, or its sessions have been replaced since.

        Raises:
            CorruptFile: If the file cannot be read.
        """
        for one in _suspicions(self._folder(series)):
            days = sorted(one.before)
            first, last = (dt.date(1970, 1, 1) + dt.timedelta(days=day) for day in (days[0], days[-1]))
            stored = {day: fingerprint for day, _, _, fingerprint in self._catalog.contents(series, first, last)}
            if all(stored.get(day) == fingerprint for day, fingerprint in one.before.items()):
                return one
        return None

    def is_noted(self, series: Series, sessions: Sequence[RevisedSession]) -> bool:
        """Return whether all these changes stand in the newest revision that names their sessions: somebody died before they were stored."""
        newest = {one.session: (one.before, one.after) for revision in self.of(series) for one in revision.sessions}
        return all(newest.get(one.session) == (one.before, one.after) for one in sessions)

    def note(
        self,
        series: Series,
        kind: RevisionKind,
        found_at_ns: int,
        source: str,
        precision: Precision,
        sessions: Sequence[RevisedSession],
        rebases: Sequence[Rebase],
        changes: Iterable[Changes],
    ) -> Path:
        """Write down what a recheck found, whole or not at all, and return the file. `changes` are read one at a time.

        Raises:
            DiskFull, StorageFailed: If the file system refuses.
        """
        folder = self._folder(series)
        while (target := folder / f"{stamp_of(found_at_ns)}{SUFFIX}").exists():  # a gateway's clock tells whole seconds
            found_at_ns += 1
        facts = {
            "kind": kind,
            "bar_type": series.bar_type,
            "found_at_ns": found_at_ns,
            "source": source,
            "price_precision": precision.price,
            "size_precision": precision.size,
            "sessions": [{**asdict(one), "session": str(one.session)} for one in sessions],
            "rebases": [_rebase_to_json(one) for one in rebases],
        }
        with storage_errors(f"Noting what changed in {series}"):
            folder.mkdir(parents=True, exist_ok=True)
            temporary = folder / f"{TEMPORARY_PREFIX}{os.getpid()}-{secrets.token_hex(4)}"
            try:
                with pq.ParquetWriter(temporary, _SCHEMA, compression="zstd") as writer:
                    for one in changes:
                        writer.write_table(_table(one))
                    writer.add_key_value_metadata({_FACTS: json.dumps(facts).encode()})
                with temporary.open("rb+") as written:
                    os.fsync(written.fileno())
                os.replace(temporary, target)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
            sync_folder(folder)
        return target

    def suspect(self, suspicion: Suspicion) -> None:
        """Keep a suspicion, in place of the one before.

        Raises:
            DiskFull, StorageFailed: If the file system refuses.
        """
        folder = self._folder(suspicion.series)
        content = {
            "bar_type": suspicion.series.bar_type,
            "found_at_ns": suspicion.found_at_ns,
            "rebases": [_rebase_to_json(one) for one in suspicion.rebases],
            "before": {str(day): fingerprint for day, fingerprint in suspicion.before.items()},
        }
        with storage_errors(f"Noting what is suspected of {suspicion.series}"):
            folder.mkdir(parents=True, exist_ok=True)
            write_atomically(folder, _SUSPECTED, json.dumps(content, indent=1).encode())
            sync_folder(folder)

    def drop_suspicion(self, series: Series) -> bool:
        """Forget what was suspected of a series; return whether anything was."""
        file = self._folder(series) / _SUSPECTED
        there = file.exists()
        with contextlib.suppress(OSError):
            file.unlink(missing_ok=True)
        return there

    @property
    def _root(self) -> Path:
        return self._catalog.root / _FOLDER

    def _folder(self, series: Series) -> Path:
        return self._root / series.folder


def changed_values(revision: Revision, limit: int | None = None) -> Iterator[ChangedValue]:
    """Yield the values that a revision changed, oldest first, `limit` at most.

    Raises:
        CorruptFile: If the file cannot be read.
    """
    given = 0
    decimals = [revision.precision.price] * (len(VALUE_COLUMNS) - 1) + [revision.precision.size]
    try:
        with pq.ParquetFile(revision.file) as file:
            for batch in file.iter_batches(batch_size=4096):
                opens = batch.column("ts_event").cast(pa.int64()).to_pylist()
                columns = {name: batch.column(name).to_pylist() for name in ("session", *_VALUES)}
                for row, open_ns in enumerate(opens):
                    for name, places in zip(VALUE_COLUMNS, decimals, strict=True):
                        old, new = columns[f"old_{name}"][row], columns[f"new_{name}"][row]
                        if old == new:
                            continue
                        if given == limit:
                            return
                        given += 1
                        yield ChangedValue(columns["session"][row], open_ns, name, _text(old, places), _text(new, places))
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(revision.file, error) from None


def _text(value: int | None, places: int) -> str | None:
    return None if value is None else f"{value / 10**places:.{places}f}" if abs(value) < 2**53 else str(value)


def _table(changes: Changes) -> pa.Table:
    day = np.full(len(changes), day_number(changes.session), dtype=np.int32)
    columns: list[pa.Array] = [pa.array(day).cast(pa.date32())]
    columns += [pa.array(stamps).cast(pa.timestamp("ns", "UTC")) for stamps in (changes.ts_event, changes.ts_init)]
    for values, there in ((changes.old, changes.was), (changes.new, changes.is_now)):
        columns += [pa.array(column, mask=~there) for column in values]
    return pa.Table.from_arrays(columns, schema=_SCHEMA)


def _revisions(folder: Path) -> Iterator[Revision]:
    for file in sorted(folder.glob(f"*{SUFFIX}")):
        try:
            facts = json.loads(pq.read_metadata(file).metadata[_FACTS])
            yield Revision(
                Series.parse(facts["bar_type"]),
                RevisionKind(facts["kind"]),
                int(facts["found_at_ns"]),
                facts["source"],
                Precision(facts["price_precision"], facts["size_precision"]),
                tuple(RevisedSession(**{**one, "session": dt.date.fromisoformat(one["session"])}) for one in facts["sessions"]),
                tuple(map(_rebase, facts["rebases"])),
                file,
            )
        except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
            raise _unreadable(file, error) from None


def _suspicions(folder: Path) -> Iterator[Suspicion]:
    file = folder / _SUSPECTED
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        before = {int(day): str(fingerprint) for day, fingerprint in content["before"].items()}
        if before:
            yield Suspicion(Series.parse(content["bar_type"]), int(content["found_at_ns"]), tuple(map(_rebase, content["rebases"])), before)
    except FileNotFoundError:
        return
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _unreadable(file, error) from None


def _unreadable(file: Path, error: Exception) -> CorruptFile:
    reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
    return CorruptFile(f"{file} cannot be read ({reason}). No bar depends on it; move it away to go on without what it noted.")


def _rebase_to_json(one: Rebase) -> dict[str, Any]:
    return {
        "numerator": one.ratio.numerator,
        "denominator": one.ratio.denominator,
        "first": str(one.first),
        "last": str(one.last),
        "sessions": one.sessions,
        "volume_is_inverse": one.volume_is_inverse,
    }


def _rebase(content: dict[str, Any]) -> Rebase:
    return Rebase(
        Fraction(content["numerator"], content["denominator"]),
        dt.date.fromisoformat(content["first"]),
        dt.date.fromisoformat(content["last"]),
        int(content["sessions"]),
        content["volume_is_inverse"],
    )
