"""What runs and backfills that have not ended load, whoever launched them."""

# No `from __future__ import annotations`: kept the same in all modules that touch Dagster's decorated functions.

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import dagster as dg
from dagster._core.execution.backfill import BulkActionsFilter, BulkActionStatus

# `dagster` exports no name for it.
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES

from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.orchestration.automation.gaps_to_fill import Running
from market_data_pipeline.orchestration.bars import bars_key
from market_data_pipeline.orchestration.job_names import bars_jobs
from market_data_pipeline.orchestration.load_instrument import JOB as CHAIN
from market_data_pipeline.orchestration.partitions import PARTITION_TAG, RANGE_END_TAG, RANGE_START_TAG
from market_data_pipeline.orchestration.universe import UniverseParts

UNFINISHED = list(NOT_FINISHED_STATUSES)
REQUESTS_TAG = "market_data/requests"
RULE_TAG = "market_data/rule"


@dataclass(frozen=True)
class BarsAsset:
    """A bars asset, as far as runs are known by it.

    Attributes:
        key: Its key, as `us_equities/bars_1_minute_last`.
        universe: Name of its universe.
        spec: Its bar spec.
        job: The job that materialises it.
    """

    key: str
    universe: str
    spec: str
    job: str


def bars_assets(parts: Sequence[UniverseParts]) -> list[BarsAsset]:
    """Return the bars assets of universes."""
    return [
        BarsAsset(bars_key(one.partitions.name, spec).to_user_string(), one.partitions.name, spec, job)
        for one in parts
        for job, specs in bars_jobs(one.partitions).items()
        for spec in specs
    ]


def held_series(running: Iterable[Running], assets: Sequence[BarsAsset], names: Iterable[str]) -> set[str]:
    """Return which of these series, by name, a run loads or may load."""
    specs = {asset.key: asset.spec for asset in assets}
    loaded = [({specs[key] for key in run.assets if key in specs}, run.instruments) for run in running]
    parsed = ((name, Series.parse(name)) for name in names)
    return {
        name
        for name, series in parsed
        if any(str(series.spec) in of_run and (not instruments or series.instrument_id in instruments) for of_run, instruments in loaded)
    }


def runs_under_way(instance: dg.DagsterInstance, parts: Sequence[UniverseParts]) -> list[Running]:
    """Return what unfinished runs and backfills are about, as far as they are about bars."""
    assets = bars_assets(parts)
    registered = {one.partitions.name: instance.get_dynamic_partitions(str(one.partitions.instruments.name)) for one in parts}
    found: list[Running] = []
    for run in instance.get_runs(dg.RunsFilter(statuses=UNFINISHED)):
        found += [running_of(run, held, registered[universe]) for universe, held in _held_by(run, assets)]
    for backfill in instance.get_backfills(BulkActionsFilter(statuses=[BulkActionStatus.REQUESTED])):
        # Its partitions are known in part only before its runs are there: nothing else is asked for its assets until it is over.
        selected = {key.to_user_string() for key in backfill.asset_selection or ()}
        keys = frozenset(asset.key for asset in assets if asset.key in selected)
        if keys:
            found.append(Running(keys))
    return found


def _held_by(run: dg.DagsterRun, assets: Sequence[BarsAsset]) -> Iterator[tuple[str, frozenset[str]]]:
    """Yield the bars assets of a run by universe: partitions have their order in one."""
    if run.job_name == CHAIN:
        of_run = [asset for asset in assets if _is_named(run.run_config, asset)]
    elif run.asset_selection:
        selected = {key.to_user_string() for key in run.asset_selection}
        of_run = [asset for asset in assets if asset.key in selected]
    else:
        of_run = [asset for asset in assets if asset.job == run.job_name]
    for universe in dict.fromkeys(asset.universe for asset in of_run):
        yield universe, frozenset(asset.key for asset in of_run if asset.universe == universe)


def _is_named(config: Mapping[str, object], asset: BarsAsset) -> bool:
    """Return whether the configuration of the chain's job may mean an asset; what it leaves out is any."""
    bars = config.get("bars")
    specs = [str(spec).upper() for spec in bars] if isinstance(bars, list) else []
    return config.get("universe") in (None, "", asset.universe) and (not specs or asset.spec in specs)


def running_of(run: dg.DagsterRun, assets: frozenset[str], registered: Sequence[str]) -> Running:
    """Return what a run is about; what its tags or its configuration do not say is any.

    Args:
        run: The run.
        assets: Its bars assets, all of one universe.
        registered: The instruments of that universe, in the order of their partitions, by which ranges go.
    """
    if run.job_name == CHAIN:
        instrument = run.run_config.get("instrument")
        return Running(assets, frozenset({instrument}) if isinstance(instrument, str) else frozenset())
    tags = run.tags
    single = tags.get(PARTITION_TAG)
    start, end = (single, single) if single else (tags.get(RANGE_START_TAG), tags.get(RANGE_END_TAG))
    requests = tags.get(REQUESTS_TAG, "0")
    known = int(requests) if requests.isdigit() else 0, tags.get(RULE_TAG, "")
    try:
        (first, first_id), (last, last_id) = ((text or "").split("|") for text in (start, end))
        dates = dt.date.fromisoformat(first), dt.date.fromisoformat(last)
    except ValueError:
        return Running(assets, requests=known[0], rule=known[1])
    places = [registered.index(one) for one in (first_id, last_id) if one in registered]
    between = registered[min(places) : max(places) + 1] if places else ()
    return Running(assets, frozenset({first_id, last_id, *between}), *dates, *known)
