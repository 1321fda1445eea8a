"""Mend a catalog where that is safe, and say what needs a decision.

Nothing is thrown away: files that stand in Nautilus' way go to quarantine first, as a verification moves them. The bars of those that are
whole, and only out of order, twice, overlapping, oddly named or of 8 bytes, are then stored again in order, unless what stands says otherwise.
So a repair that is stopped half-way goes on where it was.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from market_data_pipeline.calendars import partitions_of
from market_data_pipeline.catalog import Catalog
from market_data_pipeline.catalog.bar_format import write_atomically
from market_data_pipeline.catalog.instrument_definitions import InstrumentDefinitions, define
from market_data_pipeline.catalog.layout import TEMPORARY_PREFIX
from market_data_pipeline.catalog.reconcile import BadFiles
from market_data_pipeline.catalog.verify import Problem, VerifyReport, is_mendable
from market_data_pipeline.domain.bar_table import BarTable
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.coverage import Convention, Coverage, Provenance, SessionAnswer
from market_data_pipeline.domain.errors import CatalogError, InstrumentNotFound, MarketDataError
from market_data_pipeline.domain.quality import measure
from market_data_pipeline.domain.source import Precision
from market_data_pipeline.domain.words import agreeing, count
from market_data_pipeline.ingest.adopt_sessions import Tally, answers_of
from market_data_pipeline.ingest.import_csv import OnConflict, Run
from market_data_pipeline.ingest.instruments import instruments_without_definition
from market_data_pipeline.sources.nautilus import ForeignSeries, Order, inspect

_REPORT = ".json"
_RESTORED = "restored_at"
# No import writes temporary columns for longer.
_OLD_S = 86_400.0


@dataclass(frozen=True)
class Mended:
    """Something that was mended, or would be: what it was, and what was done."""

    subject: str
    what: str


@dataclass(frozen=True)
class RepairReport:
    """What a repair did, or would do.

    Attributes:
        verified: What the verification at its beginning found, and did.
        mended: What was mended beyond that.
        decisions: What needs a decision, each with the command.
        dry_run: True where nothing was changed.
    """

    verified: VerifyReport
    mended: tuple[Mended, ...]
    decisions: tuple[Problem, ...]
    dry_run: bool


def repair(
    catalog: Catalog,
    definitions: Callable[[], InstrumentDefinitions | None],
    *,
    run: Run = Run.STORE,
    progress: Callable[[Series, int, int], None] | None = None,
) -> RepairReport:
    """Repair a catalog.

    Args:
        catalog: The catalog.
        definitions: Reads the definitions file; only called where an instrument lacks one.
        run: A dry run changes nothing.
        progress: Called with the series about to be verified, its number from 0, and how many there are.
    """
    dry = run is Run.DRY
    verified = catalog.verify(None, progress, BadFiles.LEAVE if dry else BadFiles.QUARANTINE)
    mended: list[Mended] = []
    decisions: list[Problem] = []
    mended += _leftovers(catalog, run)
    for report in sorted(catalog.layout.quarantine.glob(f"*/*.quarantined{_REPORT}")):
        for result in _restored(catalog, report, run):
            (mended if isinstance(result, Mended) else decisions).append(result)  # type: ignore[arg-type]  # each goes to its own list
    for result in _defined(catalog, definitions, run):
        (mended if isinstance(result, Mended) else decisions).append(result)  # type: ignore[arg-type]
    left = {"orphan bars"}
    decisions += [one for one in verified.problems if one.kind not in left | {"bad file", "ledger drift", "ledger damaged"}]
    return RepairReport(verified, tuple(mended), tuple(decisions), dry)


def _leftovers(catalog: Catalog, run: Run) -> Iterator[Mended]:
    """Remove temporary files of processes that were killed. Lock files stay: the system frees a lock with its holder, and removing them is unsafe."""
    old = time.time() - _OLD_S
    for path in [*catalog.root.rglob(f"{TEMPORARY_PREFIX}*"), *catalog.layout.spool.glob("*")]:
        try:
            if not path.is_file() or path.stat().st_mtime > old:
                continue
            if run is Run.STORE:
                path.unlink(missing_ok=True)
        except OSError:
            continue
        yield Mended(str(path.relative_to(catalog.root)), "a temporary file of a process that was killed; removed")


def _restored(catalog: Catalog, report: Path, run: Run) -> Iterator[Mended | Problem]:
    """Store the bars of a file in quarantine that is whole, where nothing that stands contradicts them."""
    try:
        said = json.loads(report.read_text())
        reason, name = str(said["reason"]), str(said["file"])
    except (OSError, ValueError, KeyError, TypeError):
        return
    file = report.with_name(report.name.removesuffix(_REPORT))
    if said.get(_RESTORED) or not is_mendable(reason) or not file.is_file():
        return
    found = inspect(report.parent.name, [file])
    if found.series is None or found.bad or found.left_out:
        yield _undecided(catalog, name, file, "not all of its rows can be used")
        return
    stored = catalog.precision(found.series)
    if stored is not None and stored != found.precision:
        found = inspect(report.parent.name, [file], [stored])
    try:
        yield _store(catalog, found, file, name, run)
    except MarketDataError as error:
        yield _undecided(catalog, name, file, str(error))
        return
    if run is Run.STORE:
        told = {**said, _RESTORED: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
        write_atomically(report.parent, report.name, f"{json.dumps(told, indent=2)}\n".encode())


def _store(catalog: Catalog, found: ForeignSeries, file: Path, name: str, run: Run) -> Mended:
    series = found.series
    assert series is not None
    answers = _unions(catalog, found)
    bars = sum(len(one.bars) for one in answers)
    what = (
        f"its {count(found.rows, 'row')} {agreeing(found.rows, 'was', 'were')} put in order: {count(len(answers), 'session')} with "
        f"{count(bars, 'bar')} written, the others stood already"
    )
    if run is Run.STORE and answers:
        convention = catalog.convention(series) or Convention()
        with catalog.writer(series, found.precision, Provenance("repaired", f"from {file.name}", convention)) as writer:
            for one in answers:
                writer.store(one)
    return Mended(name, what if answers else "all of its bars stood already")


def _unions(catalog: Catalog, found: ForeignSeries) -> list[SessionAnswer]:
    """Return the sessions that a file adds bars to, together with the bars that stand.

    Raises:
        CatalogError: If the file contradicts itself or what stands.
    """
    series, seen, answers = found.series, Tally(), []
    assert series is not None
    for answer, decision in answers_of(catalog, found, Order.NEWEST, OnConflict.FAIL, seen):
        if seen.dropped:
            raise CatalogError(f"{_rows(seen.dropped, 'row')} in it with other values than another row for the same bar")
        if decision.conflict is not None and decision.conflict.different:
            raise CatalogError(f"on {answer.session} {_rows(decision.conflict.different, 'bar')} with other values in the catalog")
        if decision.conflict is not None:
            answers.append(_union(catalog, series, answer))
        elif decision.writes:
            answers.append(answer)
    return answers


def _union(catalog: Catalog, series: Series, answer: SessionAnswer) -> SessionAnswer:
    """Return a session of which the file and the catalog each hold a part, and agree on what both have."""
    stored, partitions = catalog.read_session(series, answer.session), partitions_of(series)
    position = partitions.index_of(answer.session)
    assert position is not None
    both = BarTable.concatenate([stored, answer.bars.take(~np.isin(answer.bars.ts_event, stored.ts_event))])
    both = both.take(np.argsort(both.ts_init, kind="stable"))
    (row,) = catalog.sessions(series, answer.session, answer.session)
    coverage = Coverage.COMPLETE if Coverage.COMPLETE in (row.coverage, answer.coverage) else Coverage.PARTIAL
    return replace(answer, bars=both, coverage=coverage, quality=measure(both, partitions, position))


def _rows(number: int, one: str) -> str:
    return f"{number:,} {one}{'' if number == 1 else 's'}"


def _undecided(catalog: Catalog, name: str, file: Path, why: str) -> Problem:
    place = file.relative_to(catalog.root)
    action = f"it stays in {place}. Import those sessions again (mdp import-csv, mdp load --mode full), or delete it"
    return Problem("needs a decision", name, why, action)


def _defined(catalog: Catalog, definitions: Callable[[], InstrumentDefinitions | None], run: Run) -> Iterator[Mended | Problem]:
    """Store the definitions of bars that have none, where the file of definitions or ISO currency codes tell them."""
    missing = instruments_without_definition(catalog)
    if not missing:
        return
    known = definitions()
    for instrument_id in missing:
        try:
            instrument = define(instrument_id, known)
            _require_decimals(catalog, instrument_id, Precision(instrument.price_precision, instrument.size_precision))
            if run is Run.STORE:
                catalog.instruments.put(instrument, "repair")
        except InstrumentNotFound:
            yield Problem("orphan bars", instrument_id, "it has bars and no definition", "mdp instruments backfill, or with --instruments YAML")
        except MarketDataError as error:
            yield Problem("orphan bars", instrument_id, str(error), "mdp instruments backfill --instruments YAML, with the decimals of the bars")
        else:
            yield Mended(instrument_id, "its definition was stored")


def _require_decimals(catalog: Catalog, instrument_id: str, precision: Precision) -> None:
    from market_data_pipeline.ingest.instruments import require_stored_decimals

    require_stored_decimals(catalog, instrument_id, precision, "the definition")


def needs_decision(report: RepairReport) -> Sequence[Problem]:
    """Return what a repair could not mend by itself, lost files included."""
    lost = [one for one in report.verified.problems if one.kind == "bad file" and not is_mendable(one.detail)]
    return [*lost, *report.decisions]
