"""All assets and jobs of one universe."""

from __future__ import annotations

from dataclasses import dataclass

import dagster as dg

from market_data_pipeline.orchestration.availability import availability_asset
from market_data_pipeline.orchestration.bars import bars_asset
from market_data_pipeline.orchestration.instruments import instruments_asset
from market_data_pipeline.orchestration.jobs import Job, universe_jobs
from market_data_pipeline.orchestration.partitions import UniversePartitions
from market_data_pipeline.orchestration.series_checks import series_checks
from market_data_pipeline.watchlist import Watchlist


@dataclass(frozen=True)
class UniverseParts:
    """What a universe adds to the definitions."""

    partitions: UniversePartitions
    assets: tuple[dg.AssetsDefinition, ...]
    availability: dg.AssetKey
    jobs: tuple[Job, ...]


def universe_parts(watchlist: Watchlist, name: str) -> UniverseParts:
    """Make the assets and jobs of a universe."""
    partitions = UniversePartitions.of(name, watchlist.universes[name])
    bars = [bars_asset(watchlist, partitions, spec) for spec in partitions.universe.bars]
    availability = availability_asset(partitions)
    assets = (instruments_asset(watchlist, partitions), *bars, availability, series_checks(partitions, availability.key))
    return UniverseParts(partitions, assets, availability.key, tuple(universe_jobs(partitions)))
