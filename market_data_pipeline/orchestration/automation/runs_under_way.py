"""What runs that wait or work are about, whoever launched them."""

# No `from __future__ import annotations`: kept the same in all modules that touch Dagster's decorated functions.

import datetime as dt
from collections.abc import Mapping, Sequence

import dagster as dg
from dagster._core.execution.backfill import BulkActionsFilter, BulkActionStatus

from market_data_pipeline.orchestration.automation.gaps_to_fill import Running
from market_data_pipeline.orchestration.partitions import PARTITION_TAG, RANGE_END_TAG, RANGE_START_TAG

UNFINISHED = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
REQUESTS_TAG = "market_data/requests"
RULE_TAG = "market_data/rule"


def runs_under_way(instance: dg.DagsterInstance, jobs: Mapping[str, str], registered: Mapping[str, Sequence[str]]) -> list[Running]:
    """Return what unfinished runs and backfills are about, as far as they are about bars.

    Args:
        instance: The instance.
        jobs: Job by asset.
        registered: Instruments by asset, in the order of their partitions, by which ranges go.
    """
    found = []
    for run in instance.get_runs(dg.RunsFilter(statuses=UNFINISHED)):
        selected = {key.to_user_string() for key in run.asset_selection or ()}
        assets = frozenset(asset for asset, job in jobs.items() if asset in selected or (not selected and job == run.job_name))
        if assets:
            found.append(_running(run.tags, assets, next(iter(registered.get(asset, ()) for asset in sorted(assets)))))
    for backfill in instance.get_backfills(BulkActionsFilter(statuses=[BulkActionStatus.REQUESTED])):
        # Its partitions are known in part only before its runs are there: nothing else is asked for its assets until it is over.
        assets = frozenset(key.to_user_string() for key in backfill.asset_selection or ()) & frozenset(jobs)
        if assets:
            found.append(Running(assets))
    return found


def _running(tags: Mapping[str, str], assets: frozenset[str], registered: Sequence[str]) -> Running:
    single = tags.get(PARTITION_TAG)
    start, end = (single, single) if single else (tags.get(RANGE_START_TAG), tags.get(RANGE_END_TAG))
    requests = tags.get(REQUESTS_TAG, "0")
    known = int(requests) if requests.isdigit() else 0, tags.get(RULE_TAG, "")
    try:
        (first, first_id), (last, last_id) = ((text or "").split("|") for text in (start, end))
        dates = dt.date.fromisoformat(first), dt.date.fromisoformat(last)
    except ValueError:
        return Running(assets, requests=known[0], rule=known[1])  # about who knows what: everything
    places = [registered.index(one) for one in (first_id, last_id) if one in registered]
    between = registered[min(places) : max(places) + 1] if places else ()
    return Running(assets, frozenset({first_id, last_id, *between}), *dates, *known)
