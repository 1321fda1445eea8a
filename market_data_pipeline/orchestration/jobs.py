"""Jobs: one for each universe and step, because one asset job cannot mix partitions; and the one that reads the watchlist."""

# No `from __future__ import annotations`: Dagster reads the annotations of ops as they are.

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import dagster as dg

# `define_asset_job` returns it, and Dagster exports no name for it.
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from market_data_pipeline.orchestration.backtests import AD_HOC, FROM_SPEC, SPECS, spec_names
from market_data_pipeline.orchestration.bars import bars_key
from market_data_pipeline.orchestration.job_names import bars_jobs
from market_data_pipeline.orchestration.partitions import UniversePartitions, register

Job = dg.JobDefinition | UnresolvedAssetJobDefinition


def universe_jobs(partitions: UniversePartitions) -> list[Job]:
    """Make the jobs of a universe: `<name>_instruments`, `<name>_availability` and those of `bars_jobs`."""
    name = partitions.name
    (together_name, together), *others = bars_jobs(partitions).items()
    keys = [bars_key(name, spec) for spec in together]
    jobs: list[Job] = [
        dg.define_asset_job(f"{name}_instruments", dg.AssetSelection.assets([name, "instruments"]), description=f"Store the definitions of {name}."),
        dg.define_asset_job(
            together_name,
            dg.AssetSelection.assets(*keys),
            description=f"Store sessions of {name} ({', '.join(together)}). Partition: DATE|INSTRUMENT, or a range of them.",
        ),
        dg.define_asset_job(
            f"{name}_availability",
            dg.AssetSelection.assets([name, "availability"]),
            description=f"Say what is stored of {name}, and what is missing.",
        ),
    ]
    for job_name, specs in others:
        derived = partitions.universe.derived.keys() >= set(specs)
        said = f"Derive {', '.join(specs)} bars of {name} from stored finer ones; asks nobody." if derived else f"Store {specs[0]} bars of {name}."
        jobs.append(dg.define_asset_job(job_name, dg.AssetSelection.assets(*(bars_key(name, spec) for spec in specs)), description=said))
    return jobs


@cache
def backtest_jobs() -> list[Job]:
    """Return the jobs `backtest` (a partition is a spec) and `backtest_ad_hoc` (a spec as configuration): the same for whoever names them.

    Dagster takes two objects of one name for two jobs.
    """
    return [
        dg.define_asset_job("backtest", dg.AssetSelection.assets(FROM_SPEC), description="Run one spec of backtests/."),
        dg.define_asset_job("backtest_ad_hoc", dg.AssetSelection.assets(AD_HOC), description="Run a backtest whose spec is given as configuration."),
    ]


def watchlist_job(universes: Sequence[UniversePartitions], specs: Path) -> dg.JobDefinition:
    """Make the job `watchlist_partitions`: what the watchlist and backtests/ name becomes partitions of the page."""

    @dg.op(description="Adds partitions that are new; none is ever removed, and no data.")
    def add_partitions(context: dg.OpExecutionContext) -> None:
        for partitions in universes:
            new = partitions.register(context.instance)
            context.log.info(f"{partitions.name}: {len(partitions.universe.instruments)} instruments, new: {', '.join(new) or 'none'}")
        names = spec_names(specs)
        new = register(context.instance, SPECS, names)
        context.log.info(f"backtests: {len(names)} specs, new: {', '.join(new) or 'none'}")

    @dg.job(description="Make partitions of the instruments that the watchlist names, and of the specs in backtests/.")
    def watchlist_partitions() -> None:
        add_partitions()

    return watchlist_partitions
