"""Dagster's launcher for runs on this host, which also sees that the worker of a run is gone.

Dagster leaves that to the code server that started the worker. Where both were killed (the whole of `dagster dev`, a host that lost its power), and
for `dagster job execute`, which has no code server, a run stayed STARTED for ever, and so did all that waits for it: queue, pools, gap filler. Run
monitoring (`run_monitoring` in dagster.yaml) asks the launcher for the health of each started run; Dagster's own has no answer to that.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import dagster as dg

# Neither has a public name.
from dagster._core.launcher.base import CheckRunHealthResult, WorkerStatus
from dagster._core.launcher.default_run_launcher import DefaultRunLauncher
from dagster._core.storage.tags import GRPC_INFO_TAG

from market_data_pipeline.pacing.processes import Process

if TYPE_CHECKING:
    from collections.abc import Iterator

WORKER_TAG = "market_data/worker"
_SAME_HOST = ("localhost", "127.0.0.1")


class WatchingRunLauncher(DefaultRunLauncher):
    """What dagster.yaml names: launches as Dagster does, and answers run monitoring."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Always."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Return FAILED where the worker is known to be gone, and RUNNING wherever that cannot be said from here, as of another host's."""
        worker = _named_by_itself(run) or _named_by_its_code_server(self._instance, run)
        if worker is None or not _is_gone(worker):
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.FAILED, f"process {worker.pid} of {worker.host} is gone without a word; it was killed")


def _is_gone(worker: Process) -> bool:
    """Return whether a process surely runs no more: it is not there, or its machine or container, by name, was started again since."""
    here = Process.this()
    return (worker.host == here.host and worker.world != here.world) or worker.is_alive() is False


def note_worker(instance: dg.DagsterInstance, run_id: str) -> None:
    """Write into the tags of a run that this process works on it."""
    instance.add_run_tags(run_id, {WORKER_TAG: Process.this().to_text()})


def _named_by_itself(run: dg.DagsterRun) -> Process | None:
    return Process.parse(run.tags.get(WORKER_TAG, ""))


def _named_by_its_code_server(instance: dg.DagsterInstance, run: dg.DagsterRun) -> Process | None:
    """Return the process of a run whose executor is none of ours, or which was killed before it wrote its name; None if it may be of elsewhere."""
    server = json.loads(run.tags.get(GRPC_INFO_TAG, "{}"))
    pids = list(_pids(instance, run.run_id))
    if server.get("host") not in _SAME_HOST or not pids:
        return None
    return Process.with_id(pids[-1])


def _pids(instance: dg.DagsterInstance, run_id: str) -> Iterator[int]:
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.ENGINE_EVENT):
        event = entry.dagster_event
        pid = event.engine_event_data.metadata.get("pid") if event is not None else None
        if pid is not None and str(pid.value).isdigit():
            yield int(str(pid.value))
