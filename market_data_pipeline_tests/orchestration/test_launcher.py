"""Whether the worker of a run still lives: asked of a real instance, of real processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.events import EngineEventData
from dagster._core.launcher.base import WorkerStatus
from dagster._core.storage.tags import GRPC_INFO_TAG

from market_data_pipeline.orchestration.launcher import WORKER_TAG, WatchingRunLauncher
from market_data_pipeline.orchestration.partitions import range_tags
from market_data_pipeline.pacing.processes import Process
from market_data_pipeline_tests.conftest import REPOSITORY
from market_data_pipeline_tests.orchestration.conftest import Project
from market_data_pipeline_tests.orchestration.page import wait_until


@pytest.fixture
def other() -> Iterator[subprocess.Popen[bytes]]:
    """A process that waits."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def started_run(project: Project, tags: dict[str, str]) -> dg.DagsterRun:
    job = project.definitions.resolve_job_def("watchlist_partitions")
    return project.instance.create_run_for_job(job, tags=tags, status=dg.DagsterRunStatus.STARTED)


def health(project: Project, run: dg.DagsterRun) -> WorkerStatus:
    launcher = project.instance.run_launcher
    assert isinstance(launcher, WatchingRunLauncher), "as dagster.yaml says"
    assert launcher.supports_check_run_worker_health
    return launcher.check_run_worker_health(run).status


def test_a_worker_that_was_killed_is_gone_and_another_of_its_number_is_none_of_it(project: Project, other: subprocess.Popen[bytes]) -> None:
    worker = Process.with_id(other.pid)
    run = started_run(project, {WORKER_TAG: worker.to_text()})
    assert health(project, run) is WorkerStatus.RUNNING
    reused = started_run(project, {WORKER_TAG: replace(worker, started=worker.started - 1).to_text()})
    assert health(project, reused) is WorkerStatus.FAILED
    other.kill()
    wait_until(lambda: health(project, run) is WorkerStatus.FAILED, 10)  # not reaped yet: a zombie works no more


def test_a_machine_or_container_that_was_started_again_has_lost_its_workers(project: Project) -> None:
    """The boot of the machine, or the namespace of process ids, is another; a process of this number may well run here now."""
    before = replace(Process.this(), world="the boot before")
    assert health(project, started_run(project, {WORKER_TAG: before.to_text()})) is WorkerStatus.FAILED


def test_of_another_host_nothing_can_be_said(project: Project) -> None:
    elsewhere = replace(Process.this(), host="another", pid=2**22 + 1)
    assert health(project, started_run(project, {WORKER_TAG: elsewhere.to_text()})) is WorkerStatus.RUNNING
    assert health(project, started_run(project, {})) is WorkerStatus.RUNNING
    assert health(project, started_run(project, {WORKER_TAG: "written by a hand"})) is WorkerStatus.RUNNING


@pytest.mark.parametrize(("host", "expected"), [("localhost", WorkerStatus.FAILED), ("code-server", WorkerStatus.RUNNING)])
def test_a_run_without_a_name_is_known_by_what_its_code_server_wrote(
    project: Project, other: subprocess.Popen[bytes], host: str, expected: WorkerStatus
) -> None:
    """Killed before it wrote its name, or of a code location with another executor."""
    run = started_run(project, {GRPC_INFO_TAG: json.dumps({"host": host, "socket": "/tmp/a"})})
    project.instance.report_engine_event("Started process for run.", run, EngineEventData.in_process(other.pid))
    assert health(project, run) is WorkerStatus.RUNNING
    other.kill()
    other.wait()
    assert health(project, run) is expected


def test_a_job_at_the_terminal_names_its_process_and_is_gone_once_that_was_killed(project: Project) -> None:
    """It has no code server that could say so."""
    dagster = str(Path(sys.executable).parent / "dagster")
    tags = json.dumps(range_tags("2024-01-02|AAPL.NASDAQ", "2024-01-31|MSFT.NASDAQ"))
    command = [dagster, "job", "execute", "-m", "market_data_pipeline.definitions", "-j", "stocks_bars", "--tags", tags]
    with subprocess.Popen(command, cwd=REPOSITORY, env={**os.environ, **project.settings}) as process:
        wait_until(lambda: any(run.tags.get(WORKER_TAG) for run in started_runs(project)))
        (run,) = started_runs(project)
        assert Process.parse(run.tags[WORKER_TAG]) == Process.with_id(process.pid)
        assert health(project, run) is WorkerStatus.RUNNING
        process.kill()
    assert health(project, run) is WorkerStatus.FAILED


def started_runs(project: Project) -> list[dg.DagsterRun]:
    return list(project.instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])))
