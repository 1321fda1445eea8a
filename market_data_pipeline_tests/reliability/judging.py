"""Says whether what a killed process left is whole, and whether the next run makes it what an unbroken run makes."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from market_data_pipeline.catalog import Catalog
from market_data_pipeline.catalog.instrument_files import Definition
from market_data_pipeline.catalog.revisions import ChangedValue, Revision, RevisionFiles, changed_values
from market_data_pipeline.domain.coverage import Coverage
from market_data_pipeline.domain.errors import CorruptFile
from market_data_pipeline.domain.sessions import day_number
from market_data_pipeline_tests.reliability.use_cases import CATALOG, UseCase

Session = tuple[str, int]
"""A series' bar type and a day number."""

Noted = tuple[Revision, list[ChangedValue]]
"""What a recheck found, and the values before and after."""


@dataclass(frozen=True)
class State:
    """What a catalog holds.

    Attributes:
        sessions: Coverage and fingerprint of the bars, read from the files, of each stored session.
        definitions: Each instrument's current definition.
        versions: Each instrument's versions, without the moments at which they were stored.
        bar_files: Hash of the bytes of every bar file.
        revisions: What was noted of bars that the source has changed, without the moments at which it was found.
        output: Hash of what was written beside the catalog, or nothing.
        problems: What a verification of the catalog as it is finds, without changing a file.
    """

    sessions: dict[Session, tuple[Coverage, str]]
    definitions: dict[str, Definition | None]
    versions: dict[str, list[Definition]]
    bar_files: dict[str, str]
    revisions: list[Noted]
    output: str
    problems: tuple[str, ...]


def state_of(folder: Path, use_case: UseCase) -> State:
    """Read the catalog of a run; the ledger must say of every session what its file says."""
    from market_data_pipeline.catalog.reconcile import BadFiles

    catalog = Catalog.open(folder / CATALOG)
    sessions: dict[Session, tuple[Coverage, str]] = {}
    for series in catalog.series():
        for row in catalog.sessions(series):
            try:
                fingerprint = catalog.read_session(series, row.session).fingerprint()
            except CorruptFile:
                if not use_case.starts_damaged:
                    raise
                fingerprint = row.fingerprint
            assert row.fingerprint == fingerprint, f"{folder.name}: the ledger and the file of {series} {row.session} differ"
            sessions[series.bar_type, row.day] = row.coverage, fingerprint
    ids = catalog.instruments.ids()
    state = State(
        sessions,
        {one: catalog.instruments.definition(one) for one in ids},
        {one: [version.definition for version in catalog.instruments.versions(one)] for one in ids},
        {str(file.relative_to(catalog.root)): _hash(file) for file in sorted(catalog.layout.bars.rglob("*.parquet"))},
        _noted(catalog),
        _hash(folder / use_case.output) if use_case.output else "",
        tuple(sorted(f"{one.kind} {one.subject}: {one.detail}" for one in catalog.verify(bad_files=BadFiles.LEAVE).problems)),
    )
    catalog.ledger.close()
    return state


def _noted(catalog: Catalog) -> list[Noted]:
    files = RevisionFiles(catalog)
    found = [one for series in files.series() for one in files.of(series)]
    return [(replace(one, found_at_ns=0, file=Path()), list(changed_values(one))) for one in found]


def _hash(file: Path) -> str:
    return hashlib.blake2b(file.read_bytes(), digest_size=16).hexdigest() if file.exists() else ""


def require_whole(folder: Path, use_case: UseCase, before: State, after: State) -> None:
    """Make sure that every session is what it was or what it should become, by the ledger as it stands and by the files alone.

    Looks at a copy, so that the next run finds what the killed process left.
    """
    looked_at = folder.with_name(f"{folder.name}-looked-at")
    shutil.copytree(folder, looked_at)
    left = state_of(looked_at, use_case)
    _require_known(folder, left, before, after)
    catalog = Catalog.open(looked_at / CATALOG)
    catalog.verify()
    again = catalog.verify().problems
    catalog.ledger.close()
    verified = state_of(looked_at, use_case)
    _require_known(folder, verified, before, after)
    told = {f"{one.kind} {one.subject}: {one.detail}" for one in again}
    assert told <= {*before.problems, *after.problems}, f"{folder.name}: after two verifications still {told}"
    for file in (looked_at / CATALOG).glob("ledger.sqlite*"):
        file.unlink()
    from_files = state_of(looked_at, use_case)
    assert {key: fingerprint for key, (_, fingerprint) in from_files.sessions.items()} == {
        key: fingerprint for key, (_, fingerprint) in verified.sessions.items()
    }, f"{folder.name}: after a verification the ledger does not agree with the files"
    shutil.rmtree(looked_at)


def _require_known(folder: Path, left: State, before: State, after: State) -> None:
    for key in left.sessions.keys() | before.sessions.keys() | after.sessions.keys():
        coverage, fingerprint = left.sessions.get(key, (Coverage.MISSING, ""))
        known = [one.sessions.get(key, (Coverage.MISSING, "")) for one in (before, after)]
        assert fingerprint in [values for _, values in known], f"{folder.name}: {key} holds neither the old nor the new bars"
        if not coverage.is_gap:
            assert (coverage, fingerprint) in known, f"{folder.name}: {key} is called {coverage}"
    _require_noted(folder, left, before, after)
    for instrument_id in left.definitions.keys() | before.definitions.keys():
        assert left.definitions.get(instrument_id) in [one.definitions.get(instrument_id) for one in (before, after)], folder.name
    assert left.output in (before.output, after.output, ""), f"{folder.name}: what was written beside the catalog is torn"


def _require_noted(folder: Path, left: State, before: State, after: State) -> None:
    """Make sure that a session which a recheck replaces is never the new one before its old values are noted."""
    noted = {(revision.series.bar_type, session.session, session.after) for revision, _ in left.revisions for session in revision.sessions}
    for revision, _ in [one for one in after.revisions if one not in before.revisions]:
        for session in revision.sessions:
            _, fingerprint = left.sessions.get((revision.series.bar_type, day_number(session.session)), (Coverage.MISSING, ""))
            told = (revision.series.bar_type, session.session, session.after) in noted
            assert told or fingerprint != session.after, f"{folder.name}: {session.session} was replaced and its old values are nowhere"


def require_same(folder: Path, use_case: UseCase, after: State) -> None:
    """Make sure that a catalog is what an unbroken run makes, to the byte of every bar file, and that nothing was left lying about."""
    found = state_of(folder, use_case)
    for name in ("sessions", "definitions", "versions", "bar_files", "revisions", "output", "problems"):
        assert getattr(found, name) == getattr(after, name), f"{folder.name}: {name} differ from those of an unbroken run"
    assert leftovers(folder) == [], f"{folder.name}: left lying about"


def leftovers(folder: Path) -> list[str]:
    """Return what a killed process left where bars, definitions and revisions are, and in the folders for what is not yet stored.

    A report of an adoption that was cut short is nowhere in the way: `mdp catalog repair` removes it when it is a day old.
    """
    root = folder / CATALOG
    temporary = [path for place in ("data", "instrument_versions", "revisions") for path in (root / place).rglob(".*")]
    unfinished = [path for place in ("spool", "compacting", "recheck", "rebase") for path in (root / place).glob("*")]
    return sorted(str(path.relative_to(root)) for path in [*temporary, *unfinished])
