"""Checks of whole series, made on the availability of a universe: is it up to date, can it be used, does it look right?

None is partitioned: each speaks of all instruments of the universe and lists what it found. A run for some instruments looks at the bars of
those again, and takes for the others what was found when they were last looked at.
"""

# No `from __future__ import annotations`: Dagster reads the annotations of checks as they are.

import json
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.errors import MarketDataError
from market_data_pipeline.domain.suspicion import SessionFacts, Suspicion, flat_runs, sessions_without_volume, split_like_jumps
from market_data_pipeline.domain.words import count
from market_data_pipeline.orchestration.failures import one_clear_message
from market_data_pipeline.orchestration.mending import job_command, load_command
from market_data_pipeline.orchestration.partitions import PARTITION_TAG, RANGE_END_TAG, RANGE_START_TAG, UniversePartitions
from market_data_pipeline.orchestration.resources import CatalogResource

if TYPE_CHECKING:
    from market_data_pipeline.catalog import Catalog
    from market_data_pipeline.domain.bar_types import BarSpec

_SHOWN = 50

_LOOKS: dict[str, tuple[str, Callable[[SessionFacts, "BarSpec"], Iterator[Suspicion]]]] = {
    "price_jumps": (
        "No session opens near 1/2, 2, 1/3, 3, 1/4 … of the close before, far outside of what is usual there: prices before a split are adjusted.",
        split_like_jumps,
    ),
    "zero_volume_days": ("No session with trades is without volume, where other sessions of the series have some.", sessions_without_volume),
    "flat_runs": ("No session repeats the same bar for half an hour and longer, as a feed does that has died.", flat_runs),
}
_DESCRIPTIONS = {
    "up_to_date": (
        "The newest session of each series that has ended, and had the universe's settling time since, is stored whole or known to be empty."
    ),
    "orphan_bars": "Every series of the universe with bars has an instrument definition; without one no backtest can use it.",
    "quarantined_files": "No session is missing because its file was found damaged and set aside.",
    **{name: text for name, (text, _) in _LOOKS.items()},
}


def series_checks(partitions: UniversePartitions, availability: dg.AssetKey) -> dg.AssetChecksDefinition:
    """Make the checks of a universe's series. Each can be executed alone on the page, for all instruments."""
    specs = [dg.AssetCheckSpec(name, asset=availability, description=text) for name, text in _DESCRIPTIONS.items()]

    @dg.multi_asset_check(
        name=f"{partitions.name}_series_checks", specs=specs, can_subset=True, description=f"Looks at the series of {partitions.name}."
    )
    def checks(context: dg.AssetCheckExecutionContext, catalog: CatalogResource) -> Iterator[dg.AssetCheckResult]:
        with one_clear_message():
            wanted = {key.name for key in context.selected_asset_check_keys}
            yield from evaluate_series(catalog.open(), partitions, _asked(context, partitions), wanted)

    return checks


def _asked(context: dg.AssetCheckExecutionContext, partitions: UniversePartitions) -> list[str]:
    """Return the instruments that the run is about; all where it names none."""
    tags = context.run.tags
    if PARTITION_TAG in tags:
        return [tags[PARTITION_TAG]]
    if RANGE_START_TAG in tags and RANGE_END_TAG in tags:
        known = list(context.instance.get_dynamic_partitions(str(partitions.instruments.name)))
        ends = [tags[RANGE_START_TAG], tags[RANGE_END_TAG]]
        if set(ends) <= set(known):
            return known[known.index(ends[0]) : known.index(ends[1]) + 1]
    return list(partitions.universe.instruments)


def evaluate_series(
    catalog: "Catalog", partitions: UniversePartitions, instruments: Collection[str], wanted: Collection[str], now_ns: int | None = None
) -> Iterator[dg.AssetCheckResult]:
    """Yield the result of each check in `wanted`, after looking again at the bars of `instruments`."""
    if "up_to_date" in wanted:
        yield _up_to_date(catalog, partitions, time.time_ns() if now_ns is None else now_ns)
    if "orphan_bars" in wanted:
        yield _orphan_bars(catalog, partitions)
    if "quarantined_files" in wanted:
        yield _quarantined(catalog, partitions)
    if wanted & _LOOKS.keys():
        yield from _suspicions(catalog, partitions, instruments, wanted)


def _all_series(partitions: UniversePartitions) -> list[Series]:
    universe = partitions.universe
    return [series for spec in universe.bars for series in universe.series(spec)]


def _up_to_date(catalog: "Catalog", partitions: UniversePartitions, now_ns: int) -> dg.AssetCheckResult:
    universe = partitions.universe
    found = []
    for spec in universe.bars:
        wanted = universe.settled_session(spec, now_ns)
        if wanted is None:
            continue
        for series in universe.series(spec):
            # Only the newest gap matters here; older ones are the business of calendar_complete.
            gaps = catalog.gaps(series, universe.start, wanted, now_ns, universe.fetched_hours)
            if not gaps or gaps[-1].last != wanted:
                continue
            behind = f"{count(gaps[-1].sessions, 'session')} behind: {gaps[-1]} not stored whole"
            found.append((str(series), behind, load_command(partitions, series, gaps[-1]), job_command(partitions, series, gaps[-1])))
    facts = {"series": len(_all_series(partitions)), "settling_minutes": universe.settling_minutes}
    return _result("up_to_date", found, dg.AssetCheckSeverity.WARN, facts, ("series", "what", "mdp", "command"))


def _orphan_bars(catalog: "Catalog", partitions: UniversePartitions) -> dg.AssetCheckResult:
    """Bars of instruments without a definition: those of the universe, and those that no universe could ever show."""
    found = []
    universe = partitions.universe
    stored = {series for series in catalog.series() if series.instrument_id in universe.instruments}
    for instrument in sorted({series.instrument_id for series in stored}):
        if catalog.instruments.definition(instrument) is None:
            names = ", ".join(str(series) for series in sorted(stored) if series.instrument_id == instrument)
            tags = json.dumps({PARTITION_TAG: instrument})
            command = f"dagster job execute -m market_data_pipeline.definitions -j {partitions.name}_instruments --tags '{tags}'"
            found.append((names, f"no definition of {instrument} is stored", f"mdp instruments define {instrument}", command))
    return _result("orphan_bars", found, dg.AssetCheckSeverity.ERROR, {"series": len(stored)}, ("series", "what", "mdp", "command"))


def _quarantined(catalog: "Catalog", partitions: UniversePartitions) -> dg.AssetCheckResult:
    """Files that lie in quarantine, or ought to, and what of them has not been loaded again."""
    from market_data_pipeline.catalog.quarantined import quarantined_files
    from market_data_pipeline.domain.sessions import SessionRange

    found, set_aside = [], 0
    universe = partitions.universe
    for series in _all_series(partitions):
        for file in quarantined_files(catalog.layout, series):
            set_aside += 1
            wanted = [date for date in file.sessions if date >= universe.start and (universe.end is None or date <= universe.end)]
            lost = catalog.gaps(series, min(wanted), max(wanted)) if wanted else ()
            still = [date for date in wanted if any(gap.first <= date <= gap.last for gap in lost)]
            if still:
                gap = SessionRange(still[0], still[-1], len(still))
                again = f"load again: {', '.join(map(str, still[:5]))}{' …' if len(still) > 5 else ''}"
                found.append((file.name, file.reason, again, load_command(partitions, series, gap), job_command(partitions, series, gap)))
        available = catalog.availability(series)
        for name, reason in available.bad_files if available is not None else ():
            found.append((f"{series.folder}/{name}", reason, "move it away", "mdp catalog verify", "mdp catalog verify"))
    facts = {"files_in_quarantine": set_aside}
    return _result("quarantined_files", found, dg.AssetCheckSeverity.WARN, facts, ("file", "reason", "what_to_do", "mdp", "command"))


def _suspicions(
    catalog: "Catalog", partitions: UniversePartitions, instruments: Collection[str], wanted: Collection[str]
) -> Iterator[dg.AssetCheckResult]:
    from market_data_pipeline.catalog.session_facts import kept_facts, session_facts

    found: dict[str, list[tuple[str, ...]]] = {name: [] for name in _LOOKS}
    unread: list[tuple[str, ...]] = []
    sessions = 0
    for series in _all_series(partitions):
        try:
            facts = session_facts(catalog, series) if series.instrument_id in instruments else kept_facts(catalog, series)
        except MarketDataError as error:
            unread.append((str(series), "", "", f"cannot be read: {error}", "mdp catalog verify"))
            continue
        sessions += len(facts)
        for name, (_, look) in _LOOKS.items():
            found[name] += [
                (str(series), str(one.first), str(one.last), one.what, _again(partitions, series, one)) for one in look(facts, series.spec)
            ]
    columns = ("series", "first", "last", "what", "load_again")
    for name in _LOOKS:
        if name in wanted:
            yield _result(name, [*unread, *found[name]], dg.AssetCheckSeverity.WARN, {"sessions_looked_at": sessions}, columns)


def _again(partitions: UniversePartitions, series: Series, one: Suspicion) -> str:
    if partitions.universe.files is None:
        return f"mdp load {series.instrument_id} {series.spec} --mode full --start {one.first} --end {one.last} --refetch"
    return f"mdp import-csv FILE --instrument {series.instrument_id} --bar {series.spec} --on-conflict overwrite"


def _result(
    name: str, found: Sequence[tuple[str, ...]], severity: dg.AssetCheckSeverity, facts: dict[str, int], columns: Sequence[str]
) -> dg.AssetCheckResult:
    metadata: dict[str, Any] = {**facts, "found": len(found)}
    if found:
        records = [dg.TableRecord(dict(zip(columns, one, strict=True))) for one in found[:_SHOWN]]
        metadata["first_found"] = dg.MetadataValue.table(records, schema=dg.TableSchema([dg.TableColumn(column) for column in columns]))
    series = len({one[0] for one in found})
    said = (
        "Nothing found." if not found else f"{len(found)} found in {series} of the universe's series; first: {found[0][0]}: {' '.join(found[0][1:4])}"
    )
    return dg.AssetCheckResult(check_name=name, passed=not found, severity=severity, metadata=metadata, description=said)
