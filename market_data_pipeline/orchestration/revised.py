"""The check `revised` of bars that the broker is asked for: what it changed in sessions that were stored, and whether a split is suspected."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg

from market_data_pipeline.domain.errors import MarketDataError
from market_data_pipeline.domain.sessions import SessionRange
from market_data_pipeline.domain.words import agreeing, count
from market_data_pipeline.orchestration.metadata import utc_text

if TYPE_CHECKING:
    from dagster._core.definitions.metadata import RawMetadataValue

    from market_data_pipeline.catalog import Catalog
    from market_data_pipeline.catalog.revisions import Revision, Suspicion
    from market_data_pipeline.orchestration.partitions import UniversePartitions

NAME = "revised"
DESCRIPTION = (
    "No split is suspected: no look at stored sessions found all their prices divided by one number. Lists what such looks (mdp load --recheck, the "
    "job recheck) found changed, the newest first."
)
_SHOWN = 50


def is_asked_of_the_broker(partitions: UniversePartitions, spec: str) -> bool:
    """Return whether bars of a universe come from the broker, so that it can be asked for them again."""
    return partitions.universe.files is None and spec not in partitions.universe.derived


def evaluate_revised(catalog: Catalog, partitions: UniversePartitions, spec: str) -> dg.AssetCheckResult:
    """Return the check's result. Reads the notes beside the catalog, no bar and no broker."""
    from market_data_pipeline.catalog.revisions import RevisionFiles

    files = RevisionFiles(catalog)
    revisions: list[Revision] = []
    suspicions: list[Suspicion] = []
    unread: list[str] = []
    for series in partitions.universe.series(spec):
        try:
            revisions += files.of(series)
            suspicions += [one for one in [files.suspicion(series)] if one is not None]
        except MarketDataError as error:
            unread.append(str(error))
    metadata: dict[str, RawMetadataValue] = {"revisions": len(revisions), "suspected_splits": len(suspicions)}
    if revisions:
        metadata["newest"] = _newest(revisions)
    if suspicions:
        metadata["suspected"] = _suspected(suspicions)
    if unread:
        metadata["unreadable"] = dg.MetadataValue.json(unread)
    return dg.AssetCheckResult(
        check_name=NAME,
        passed=not suspicions and not unread,
        severity=dg.AssetCheckSeverity.WARN,
        metadata=metadata,
        description=_said(revisions, suspicions, unread),
    )


def _said(revisions: list[Revision], suspicions: list[Suspicion], unread: list[str]) -> str:
    if suspicions:
        first = suspicions[0]
        split = first.rebases[0].name if first.rebases else "another base"
        which = f"first: {first.series.instrument_id}, {split}"
        return f"{count(len(suspicions), 'series', 'series')} {agreeing(len(suspicions), 'is', 'are')} on another base at the broker; {which}."
    if unread:
        return unread[0]
    if not revisions:
        return "No stored bar was found changed."
    newest = max(revisions, key=lambda one: one.found_at_ns)
    return f"{count(len(revisions), 'revision')}; the newest of {newest.series.instrument_id}, {utc_text(newest.found_at_ns)}: {_what(newest)}."


def _what(one: Revision) -> str:
    if one.rebases:
        return f"rebased by {', '.join(rebase.factor for rebase in one.rebases)}"
    return f"{count(one.bars, 'bar')} in {count(len(one.sessions), 'session')}, prices by {one.largest:.2%} at most"


def _newest(revisions: list[Revision]) -> dg.TableMetadataValue:
    newest = sorted(revisions, key=lambda one: one.found_at_ns, reverse=True)[:_SHOWN]
    records = [
        dg.TableRecord(
            {
                "found": utc_text(one.found_at_ns),
                "series": str(one.series),
                "first": str(one.sessions[0].session),
                "last": str(one.sessions[-1].session),
                "what": _what(one),
                "show": f"mdp revisions {one.series.instrument_id} {one.series.spec}",
            }
        )
        for one in newest
        if one.sessions
    ]
    columns = [dg.TableColumn(name) for name in ("found", "series", "first", "last", "what", "show")]
    return dg.MetadataValue.table(records, schema=dg.TableSchema(columns))


def _suspected(suspicions: list[Suspicion]) -> dg.TableMetadataValue:
    records = [
        dg.TableRecord(
            {
                "found": utc_text(one.found_at_ns),
                "series": str(one.series),
                "what": f"prices by {rebase.factor} in {SessionRange(rebase.first, rebase.last, rebase.sessions)}: {rebase.name}",
                "command": f"mdp load {one.series.instrument_id} {one.series.spec} --rebase",
            }
        )
        for one in suspicions
        for rebase in one.rebases
    ]
    columns = [dg.TableColumn(name) for name in ("found", "series", "what", "command")]
    return dg.MetadataValue.table(records, schema=dg.TableSchema(columns))
