"""Which series are being loaded at this moment, by the runs and backfills that have not ended."""

# No `from __future__ import annotations`: kept the same in all modules that touch Dagster's decorated functions.

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import dagster as dg
from dagster._core.execution.backfill import BulkActionStatus

# `dagster` exports no name for it.
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES

from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.orchestration.bars import bars_key
from market_data_pipeline.orchestration.jobs import bars_jobs
from market_data_pipeline.orchestration.partitions import PARTITION_TAG, RANGE_END_TAG, RANGE_START_TAG
from market_data_pipeline.orchestration.universe import UniverseParts

_CHAIN = "load_instrument"
_RUNS_AT_MOST = 1_000


@dataclass(frozen=True)
class Loading:
    """What one run loads.

    Attributes:
        specs: Bar specs.
        instruments: Instrument ids.
    """

    specs: frozenset[str]
    instruments: frozenset[str]

    def includes(self, series: Series) -> bool:
        """Return whether a series is among it."""
        return series.instrument_id in self.instruments and str(series.spec) in self.specs


def loading_now(instance: dg.DagsterInstance, parts: Sequence[UniverseParts]) -> list[Loading]:
    """Return what the runs and backfills load that wait, start or work."""
    found: list[Loading] = []
    runs = instance.get_runs(dg.RunsFilter(statuses=NOT_FINISHED_STATUSES), limit=_RUNS_AT_MOST)
    backfills = instance.get_backfills(status=BulkActionStatus.REQUESTED) if parts else []
    for one in parts:
        partitions = one.partitions
        every = frozenset(partitions.universe.instruments)
        jobs = bars_jobs(partitions)
        keys = {bars_key(partitions.name, spec): spec for spec in partitions.universe.bars}
        for run in runs:
            selected = frozenset(keys[key] for key in run.asset_selection or () if key in keys)
            specs = frozenset(jobs.get(run.job_name, selected)) if run.job_name != _CHAIN else frozenset(partitions.universe.bars)
            if specs:
                registered = instance.get_dynamic_partitions(str(partitions.instruments.name))
                asked = named_in(run.run_config) if run.job_name == _CHAIN else instruments_of(run.tags, registered)
                found.append(Loading(specs, asked if asked is not None else every))
        asked_for = (frozenset(keys[key] for key in backfill.asset_selection or () if key in keys) for backfill in backfills)
        found += [Loading(specs, every) for specs in asked_for if specs]
    return found


def instruments_of(tags: Mapping[str, str], registered: Sequence[str]) -> frozenset[str] | None:
    """Return the instruments that the partition tags of a bars run name; None where they do not say."""
    if PARTITION_TAG in tags:
        instrument = tags[PARTITION_TAG].partition("|")[2]
        return frozenset({instrument}) if instrument else None
    ends = [tags.get(tag, "").partition("|")[2] for tag in (RANGE_START_TAG, RANGE_END_TAG)]
    if not set(ends) <= set(registered):
        return None
    first, last = sorted(map(list(registered).index, ends))
    return frozenset(registered[first : last + 1])


def named_in(config: Mapping[str, object]) -> frozenset[str] | None:
    """Return the instrument that the configuration of the chain's job names; None where it does not say."""
    instrument = config.get("instrument")
    return frozenset({instrument}) if isinstance(instrument, str) else None
