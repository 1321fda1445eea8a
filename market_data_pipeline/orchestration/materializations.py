"""Materialisations of one run, told to Dagster in batches of a second at most."""

# No `from __future__ import annotations`: kept the same in all modules that touch Dagster's decorated functions.

import time
import uuid

import dagster as dg
from dagster._core.events import DagsterEvent, DagsterEventBatchMetadata

RunContext = dg.AssetExecutionContext | dg.OpExecutionContext
"""What an asset, or an op that makes assets, is given by Dagster."""

_EVENTS_AT_ONCE = 100
_SECONDS_AT_MOST = 1.0


class Materializations:
    """What is stored, shown on the page within a second of being stored.

    `context.log_event` writes each event in a transaction of its own; Dagster's seam for batches, which it uses for the outputs of a step, is
    not public. Where the storage knows no batches, Dagster stores the events one by one as before.
    """

    def __init__(self, context: RunContext) -> None:
        self._context = context.op_execution_context if isinstance(context, dg.AssetExecutionContext) else context
        self._waiting: list[dg.AssetMaterialization] = []
        self._since = 0.0

    def add(self, materialization: dg.AssetMaterialization) -> None:
        """Tell of one now or with those that follow within a second."""
        if not self._waiting:
            self._since = time.monotonic()
        self._waiting.append(materialization)
        if len(self._waiting) >= _EVENTS_AT_ONCE or time.monotonic() - self._since > _SECONDS_AT_MOST:
            self.tell()

    def tell(self) -> None:
        """Tell of all that wait. Call it before any long wait, and at the end however it comes."""
        waiting, self._waiting = self._waiting, []
        batch = str(uuid.uuid4())
        for left, materialization in zip(range(len(waiting) - 1, -1, -1), waiting, strict=True):
            step = self._context._step_execution_context
            told = DagsterEvent.asset_materialization(step, materialization, DagsterEventBatchMetadata(batch, left == 0))
            self._context._events.append(told)  # as `log_event` does: results of a run hold it
