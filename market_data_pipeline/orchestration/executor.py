"""Executes runs in one process (or a few, where a job asks for it), which writes its name into the run first, after a look at their partition tags.

By its name run monitoring knows whether the process still lives. A run of a partitioned job without a partition fails inside Dagster, before any
of our code, with a trace that names neither tag nor job.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import dagster as dg
from dagster._core.definitions.partitions.context import partition_loading_context

from market_data_pipeline.orchestration.failures import one_clear_message
from market_data_pipeline.orchestration.launcher import note_worker
from market_data_pipeline.orchestration.partitions import no_partition_named

if TYPE_CHECKING:
    from dagster._core.events import DagsterEvent
    from dagster._core.execution.context.system import PlanOrchestrationContext
    from dagster._core.execution.plan.plan import ExecutionPlan
    from dagster._core.execution.retries import RetryMode


class _PartitionsFirst(dg.Executor):
    """Names its process, refuses a run that names no partition where its assets have some, and else hands it to another executor."""

    def __init__(self, inner: dg.Executor) -> None:
        self._inner = inner

    @property
    def retries(self) -> RetryMode:
        return self._inner.retries

    def execute(self, plan_context: PlanOrchestrationContext, execution_plan: ExecutionPlan) -> Iterator[DagsterEvent]:
        note_worker(plan_context.instance, plan_context.run_id)
        with one_clear_message():
            _refuse_without_partition(plan_context)
        yield from self._inner.execute(plan_context, execution_plan)


def _refuse_without_partition(plan_context: PlanOrchestrationContext) -> None:
    if plan_context.dagster_run.is_partitioned:
        return
    layer = plan_context.job.get_definition().asset_layer
    for key in layer.selected_asset_keys:
        partitions = layer.get(key).partitions_def
        if partitions is not None:
            with partition_loading_context(dynamic_partitions_store=plan_context.instance):
                keys = partitions.get_partition_keys()
            raise no_partition_named(keys[-1] if keys else "PARTITION")


def _create(context: dg.InitExecutorContext) -> dg.Executor:
    inner = dg.in_process_executor.executor_creation_fn
    assert inner is not None
    return _PartitionsFirst(inner(context))


# A process for each step costs as much again as a short run (3.3 s against 6.6 s).
in_process = dg.ExecutorDefinition(
    name="in_process",
    config_schema=dg.in_process_executor.config_schema,  # type: ignore[arg-type]  # what one definition holds, another takes
    executor_creation_fn=_create,
)


def _create_for_several(context: dg.InitExecutorContext) -> dg.Executor:
    inner = dg.multiprocess_executor.executor_creation_fn
    assert inner is not None
    return _PartitionsFirst(inner(context))


# For the jobs whose steps are worth a process each. On a cluster, this is the one place where another executor is named (docs/cluster.md).
in_processes = dg.ExecutorDefinition(
    name="in_processes",
    config_schema=dg.multiprocess_executor.config_schema,  # type: ignore[arg-type]
    requirements=dg.multiprocess_executor._requirements_fn,
    executor_creation_fn=_create_for_several,
)
