"""The availability asset of a universe: what is stored of each instrument, and what is not."""

# No `from __future__ import annotations`: Dagster reads the annotations of assets as they are.

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from market_data_pipeline.catalog import Availability, Catalog
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.sessions import SessionRange
from market_data_pipeline.domain.words import count
from market_data_pipeline.orchestration.bars import bars_key
from market_data_pipeline.orchestration.beta import beta_parameters
from market_data_pipeline.orchestration.failures import one_clear_message
from market_data_pipeline.orchestration.mending import gap_table
from market_data_pipeline.orchestration.metadata import availability_table, png, utc_text
from market_data_pipeline.orchestration.partitions import UniversePartitions, asked_instruments
from market_data_pipeline.orchestration.resources import CatalogResource
from market_data_pipeline.orchestration.state import STATE, state_of


def availability_asset(partitions: UniversePartitions) -> dg.AssetsDefinition:
    """Make the availability asset of a universe."""
    universe = partitions.universe

    with beta_parameters():

        @dg.asset(
            key=[partitions.name, "availability"],
            partitions_def=partitions.instruments,
            deps=[bars_key(partitions.name, spec) for spec in universe.bars],
            backfill_policy=dg.BackfillPolicy.single_run(),
            group_name=partitions.name,
            kinds={"sql"},
            owners=["team:market-data"],
            description=(
                "First and last session, complete, empty, partial and missing sessions, gaps as ranges, bytes and last update of each series, "
                "read from the ledger without opening a file; with a calendar picture of the coverage. `mdp check` says the same."
            ),
        )
        def availability(context: dg.AssetExecutionContext, catalog: CatalogResource) -> None:
            with one_clear_message():
                store = catalog.open()
                for instrument in asked_instruments(context, partitions):
                    context.add_asset_metadata(describe(store, partitions, instrument), partition_key=instrument)

    return availability


def availability_state(store: Catalog, partitions: UniversePartitions, instrument: str) -> str:
    """Return the state of all bars of an instrument in its universe."""
    return state_of(store, [(Series.of(instrument, spec), None, None) for spec in partitions.universe.bars])


def describe(store: Catalog, partitions: UniversePartitions, instrument: str) -> dict[str, Any]:
    """Return what the page shows of an instrument's availability."""
    universe = partitions.universe
    # Before anything else: what is stored meanwhile makes the state differ, and the page is refreshed once more.
    state = availability_state(store, partitions, instrument)
    found: dict[str, Availability | None] = {}
    gaps, pictures = [], {}
    for spec in universe.bars:
        series = Series.of(instrument, spec)
        found[spec] = store.availability(series)
        last = universe.last_session(spec)
        if last is None:
            continue
        gaps += [(series, gap) for gap in store.gaps(series, universe.start, last, hours=universe.fetched_hours)]
        pictures[f"coverage_{spec}"] = png(_coverage_picture(store, series, partitions), f"coverage of {series}")
    stored = [item for item in found.values() if item is not None]
    # In this order on the page: what a person wants to know, the picture, then what only some will read.
    return {
        "summary": _summary(found, gaps),
        **pictures,
        "sessions_in_gaps": sum(gap.sessions for _, gap in gaps),
        "first_bar_opens": utc_text(min((item.first_open_ns for item in stored if item.first_open_ns is not None), default=None)),
        "last_bar_closes": utc_text(max((item.last_close_ns for item in stored if item.last_close_ns is not None), default=None)),
        "dagster/row_count": sum(item.rows for item in stored),
        "bytes": sum(item.bytes for item in stored),
        "series": availability_table(found),
        "gaps": gap_table(store, partitions, gaps),
        STATE: state,
    }


def _summary(found: Mapping[str, Availability | None], gaps: Sequence[tuple[Series, SessionRange]]) -> str:
    """Return one line for each bar spec: what is there, and what is missing."""
    lines = []
    for spec, item in found.items():
        missing = [gap for series, gap in gaps if str(series.spec) == spec]
        there = "nothing is stored" if item is None else f"{count(item.complete, 'session')} complete, {item.first_session} to {item.last_session}"
        if missing:
            newest = max(missing, key=lambda gap: gap.last)
            sessions = sum(gap.sessions for gap in missing)
            lines.append(f"{spec}: {there}; {sessions} missing or partial, the newest {newest.last}.")
        else:
            lines.append(f"{spec}: {there}; nothing is missing.")
    return " ".join(lines)


def _coverage_picture(store: Catalog, series: Series, partitions: UniversePartitions) -> bytes:
    from market_data_pipeline.charts.coverage import coverage_png

    universe = partitions.universe
    last = universe.last_session(str(series.spec)) or universe.start
    return coverage_png(series, store.coverage(series, universe.start, last))
