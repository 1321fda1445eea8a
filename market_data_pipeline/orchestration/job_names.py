"""Which job stores which bars of a universe."""

# No `from __future__ import annotations`: kept the same in all modules of jobs and assets.

import numpy as np

from market_data_pipeline.orchestration.partitions import UniversePartitions


def bars_name(spec: str) -> str:
    """Return how bars of a spec are called in assets and jobs: `bars_1_minute_last`."""
    return f"bars_{spec.lower().replace('-', '_')}"


def bars_jobs(partitions: UniversePartitions) -> dict[str, list[str]]:
    """Return the bar specs of each bars job of a universe, by the job's name.

    Bar specs that do not share the partitions of the first (weeks and months) have a job of their own, named like their asset. So have derived ones
    as a whole: a bars asset tells each session as it is stored and yields no output, and Dagster skips what stands downstream of it in one run.
    """
    name, universe = partitions.name, partitions.universe
    asked = [spec for spec in universe.bars if spec not in universe.derived]
    first = universe.partitions(asked[0]).days
    together = [spec for spec in asked if np.array_equal(universe.partitions(spec).days, first)]
    derived = [spec for spec in universe.derived if np.array_equal(universe.partitions(spec).days, first)]
    alone = {f"{name}_{bars_name(spec)}": [spec] for spec in universe.bars if spec not in (*together, *derived)}
    return {f"{name}_bars": together} | ({f"{name}_derived_bars": derived} if derived else {}) | alone


def asking_jobs(partitions: UniversePartitions) -> dict[str, list[str]]:
    """Return those of `bars_jobs` whose bars a source is asked for: none that derives bars."""
    derived = partitions.universe.derived
    return {job: specs for job, specs in bars_jobs(partitions).items() if derived.keys().isdisjoint(specs)}


def job_of(partitions: UniversePartitions, spec: str) -> str:
    """Return the name of the job that stores bars of a spec."""
    return next(job for job, specs in bars_jobs(partitions).items() if spec in specs)
