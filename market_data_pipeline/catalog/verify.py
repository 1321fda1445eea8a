"""Reads a whole catalog, finds what is wrong, moves bad files away and says what to do next."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from market_data_pipeline.catalog.bar_format import LEGACY_PRICES, OUT_OF_ORDER, described_by, holds_legacy_prices
from market_data_pipeline.catalog.derived import stale_sessions
from market_data_pipeline.catalog.layout import FOREIGN_NAME
from market_data_pipeline.catalog.reconcile import OVERLAPS, BadFiles, Scope, quarantine
from market_data_pipeline.catalog.reconciled import Quarantined, Reconciled, gone_words
from market_data_pipeline.catalog.writer import series_lock
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.errors import CorruptFile, InstrumentNotFound, SeriesLocked
from market_data_pipeline.domain.sessions import SessionRange
from market_data_pipeline.domain.words import agreeing, count

if TYPE_CHECKING:
    from market_data_pipeline.catalog.catalog import Catalog


@dataclass(frozen=True)
class Problem:
    """Something wrong in a catalog.

    Attributes:
        kind: `bad file`, `file gone`, `orphan bars`, `precision mismatch`, `legacy prices`, `unknown bars`, `ledger drift`, `ledger damaged`,
            `not stored`, `stale` or `locked`.
        subject: Series, file or folder.
        detail: What is wrong, with values.
        action: What was done, or the command that mends it.
    """

    kind: str
    subject: str
    detail: str
    action: str


# A file is whole, and only stands in Nautilus' way.
_MENDABLE = (OUT_OF_ORDER, OVERLAPS, FOREIGN_NAME, LEGACY_PRICES)


def is_mendable(reason: str) -> bool:
    """Return whether the bars of a bad file are sound, so that `mdp catalog repair` can store them in order."""
    return reason.startswith(_MENDABLE)


_LEFT = "left where it is; without --dry-run it is moved to quarantine/"


@dataclass(frozen=True)
class VerifyReport:
    """What a verification found.

    Attributes:
        series: Series looked at.
        files: Bar files read to the last byte.
        bytes: Their size.
        problems: What is wrong; empty if all is well.
        without_bars: Instruments that are defined and have no bars: no fault, and good to know. Only told of a whole catalog.
    """

    series: int
    files: int
    bytes: int
    problems: tuple[Problem, ...]
    without_bars: tuple[str, ...] = ()


def verify_catalog(
    catalog: Catalog, series: Sequence[Series] | None, progress: Callable[[Series, int, int], None] | None, bad_files: BadFiles
) -> VerifyReport:
    """Verify the given series, or all, one after another."""
    mend = bad_files is BadFiles.QUARANTINE
    problems = [*(_mend_ledger(catalog) if mend else ())]
    wanted = list(series) if series is not None else catalog.known_series()
    defined = set(catalog.instruments.ids())
    files = size = 0
    for number, one in enumerate(wanted):
        if progress is not None:
            progress(one, number, len(wanted))
        paths = [file.path for file in catalog.layout.list_folder(catalog.layout.series_folder(one)).files]
        if holds_legacy_prices(paths):
            action = f"left untouched; keep this folder away from Nautilus; mdp catalog adopt {catalog.root} --catalog PATH writes it anew"
            problems.append(Problem("legacy prices", str(one), LEGACY_PRICES, action))
            continue
        gone = catalog.catch_up(one)
        try:
            result = catalog.reconcile(one, Scope.ALL, bad_files)
        except SeriesLocked as error:
            problems.append(Problem("locked", str(one), str(error), "run `mdp catalog verify` again when it is done"))
            continue
        if result is None:
            problems.append(Problem("not stored", str(one), "nothing of this series is stored", _import_again(one)))
            continue
        files += result.files_checked
        size += result.bytes_checked
        if gone:
            problems.append(Problem("file gone", str(one), gone_words(gone), f"load again; {_import_again(one)}"))
        problems += _problems_of(catalog, one, result)
        problems += _stale(catalog, one)
        if one.instrument_id not in defined and len(paths) > len(result.quarantined):
            detail = f"no definition of {one.instrument_id} is stored, so no backtest can use it"
            problems.append(Problem("orphan bars", str(one), detail, f"mdp instruments backfill, or mdp instruments define {one.instrument_id}"))
        problems += _precision_mismatch(catalog, one)
    if series is None:
        problems += _unknown_folders(catalog, {one.folder for one in wanted}, bad_files)
        problems += _instrument_files(catalog, bad_files)
    idle = sorted(defined - {one.instrument_id for one in wanted}) if series is None else ()
    return VerifyReport(len(wanted), files, size, tuple(problems), tuple(idle))


def _precision_mismatch(catalog: Catalog, series: Series) -> Iterator[Problem]:
    """Compare the decimals of bars with those of their instrument: where they differ, a backtest stops at the first bar (FACTS 8)."""
    bars = catalog.precision(series)
    try:
        defined = catalog.instruments.precision(series.instrument_id)
    except (InstrumentNotFound, CorruptFile):  # told as orphan bars, or as a bad file
        return
    if bars is not None and bars != defined:
        detail = (
            f"its bars have {bars.price} price and {bars.size} size decimals, the definition {defined.price} and {defined.size}: "
            "a backtest stops at the first bar"
        )
        action = f"mdp instruments define {series.instrument_id} --instruments YAML, with the decimals of the bars"
        yield Problem("precision mismatch", str(series), detail, action)


def _mend_ledger(catalog: Catalog) -> Iterator[Problem]:
    ledger = catalog.ledger
    moved_to = ledger.move_away_if_damaged(catalog.layout.quarantine)
    if moved_to is not None:
        action = f"moved to {moved_to.relative_to(catalog.root)}; a new one was made from the files"
        yield Problem("ledger damaged", "ledger.sqlite", "it is no sound SQLite file", action)


def _stale(catalog: Catalog, series: Series) -> Iterator[Problem]:
    stale = stale_sessions(catalog, series)
    for finer in dict.fromkeys(one.finer for one in stale):
        dates = [one.session for one in stale if one.finer == finer]
        which = SessionRange(dates[0], dates[-1], len(dates))
        detail = f"{which} derived from {finer} bars that were replaced since"
        command = f"mdp load {series.instrument_id} {series.spec} --derive --from {finer} --start {dates[0]} --end {dates[-1]}"
        yield Problem("stale", str(series), detail, command)


def _problems_of(catalog: Catalog, series: Series, result: Reconciled) -> Iterator[Problem]:
    for item in result.quarantined:
        again = f"load again: {', '.join(item.sessions[:5])}{' …' if len(item.sessions) > 5 else ''}; " if item.sessions else ""
        mend = "; mdp catalog repair puts its bars in order" if is_mendable(item.reason) else ""
        yield _moved(catalog, item, f"; {again}{_import_again(series)}{mend}")
    folder = catalog.layout.series_folder(series).relative_to(catalog.root)
    for name, reason in result.left:
        yield Problem("bad file", str(folder / name), reason, _LEFT)
    if result.drifted:
        detail = f"{result.drifted:,} session{'s' if result.drifted > 1 else ''} stood otherwise in the ledger"
        yield Problem("ledger drift", str(series), detail, "the ledger was brought into agreement with the files")


def _moved(catalog: Catalog, item: Quarantined, next_step: str = "") -> Problem:
    subject, target = (str(path.relative_to(catalog.root)) for path in (item.file, item.moved_to))
    return Problem("bad file", subject, item.reason, f"moved to {target}{next_step}")


def _import_again(series: Series) -> str:
    return f"mdp import-csv FILE --instrument {series.instrument_id} --bar {series.spec}"


def _unknown_folders(catalog: Catalog, known: set[str], bad_files: BadFiles) -> Iterator[Problem]:
    """Report folders that hold no series of ours. Files that nobody can read are moved away; bars of other kinds are left alone."""
    for folder in catalog.layout.series_folders():
        if folder.name in known:
            continue
        try:
            with series_lock(catalog.layout, folder.name, wait_s=0):
                yield from _unknown_files(catalog, folder, bad_files)
        except SeriesLocked:
            continue  # somebody stores the first bars of a new series


def _unknown_files(catalog: Catalog, folder: Path, bad_files: BadFiles) -> Iterator[Problem]:
    listing = catalog.layout.list_folder(folder)
    described = {file.path: described_by(file.path) for file in listing.files}
    if any(one is not None and one[0].folder == folder.name for one in described.values()):
        return  # stored since the series were listed
    others = 0
    for path, reason in [*((file.path, None) for file in listing.files), *listing.foreign]:
        why = reason or _unreadable(path)
        if why is None:
            others += 1
        else:
            yield _dealt_with(catalog, path, why, bad_files)
    if others:
        subject = str(folder.relative_to(catalog.root))
        yield Problem(
            "unknown bars",
            subject,
            f"{count(others, 'file')} {agreeing(others, 'holds', 'hold')} bars that belong to no series of this folder's name",
            "left untouched",
        )


def _instrument_files(catalog: Catalog, bad_files: BadFiles) -> Iterator[Problem]:
    for bad in catalog.instruments.check():
        yield _dealt_with(catalog, bad.path, bad.reason, bad_files, f"; mdp instruments define {bad.path.parent.name}")


def _dealt_with(catalog: Catalog, path: Path, reason: str, bad_files: BadFiles, next_step: str = "") -> Problem:
    """Move a bad file away, or only report it."""
    if bad_files is BadFiles.QUARANTINE:
        return _moved(catalog, quarantine(catalog.layout, path, reason), next_step)
    return Problem("bad file", str(path.relative_to(catalog.root)), reason, _LEFT)


def _unreadable(path: Path) -> str | None:
    try:
        pq.read_schema(path)
    except (pa.ArrowException, OSError) as error:
        return (str(error).splitlines() or [type(error).__name__])[0][:200]
    return None
