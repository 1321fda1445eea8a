"""A real `dagster dev` (webserver, daemon, code server) for tests, and the GraphQL calls that its page makes."""

from __future__ import annotations

import json
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from market_data_pipeline_tests.processes import running

_BACKFILL = """mutation($params: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $params) {
  __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }"""
_RUNS = """query($id: String!) { runsOrError(filter: {tags: [{key: "dagster/backfill", value: $id}]}) {
  ... on Runs { results { runId status creationTime startTime endTime } } } }"""
_TERMINATE = """mutation($id: String!) { terminateRun(runId: $id) { __typename ... on TerminateRunFailure { message } } }"""
_START_SENSOR = """mutation($sensor: SensorSelector!) { startSensor(sensorSelector: $sensor) { __typename } }"""
_LAUNCH = """mutation($params: ExecutionParams!) { launchRun(executionParams: $params) {
  __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
_REPOSITORY = {"repositoryLocationName": "market_data_pipeline", "repositoryName": "__repository__"}
_READY = "{ workspaceOrError { ... on Workspace { locationEntries { locationOrLoadError { __typename } } } } }"


ENDED = ("SUCCESS", "FAILURE", "CANCELED")


class Page:
    """A running Dagster page.

    Attributes:
        url: Its address.
        group: The process group of webserver, daemon, code server and the workers of runs.
    """

    def __init__(self, url: str, log: Path, group: int) -> None:
        self.url = url
        self.group = group
        self._log = log

    def ask(self, query: str, variables: Mapping[str, object] | None = None) -> dict[str, Any]:
        """Return the `data` of a GraphQL answer."""
        body = json.dumps({"query": query, "variables": variables or {}}).encode()
        request = urllib.request.Request(f"{self.url}/graphql", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            content = json.load(answer)
        assert "errors" not in content, content["errors"]
        data: dict[str, Any] = content["data"]
        return data

    def backfill(self, asset: str, keys: Sequence[str], runs: int, timeout_s: float) -> list[dict[str, Any]]:
        """Backfill partitions of an asset as the page does; return its runs when `runs` of them, and all there are, have ended.

        The daemon looks at backfills every 30 seconds only, so the state of the backfill itself comes later.
        """
        launched = self.launch_backfill(asset, keys)
        give_up = time.monotonic() + timeout_s
        while True:
            results = self.runs_of(launched)
            if len(results) >= runs and all(run["status"] in ENDED for run in results):
                return results
            assert time.monotonic() < give_up, f"{results} after {timeout_s} s\n{self._log.read_text()[-3000:]}"
            time.sleep(0.5)

    def launch_backfill(self, asset: str, keys: Sequence[str]) -> str:
        """Launch a backfill as the page does; return its id."""
        params = {"assetSelection": [{"path": asset.split("/")}], "partitionNames": list(keys)}
        launched = self.ask(_BACKFILL, {"params": params})["launchPartitionBackfill"]
        assert launched["__typename"] == "LaunchBackfillSuccess", launched
        return str(launched["backfillId"])

    def runs_of(self, backfill: str) -> list[dict[str, Any]]:
        """Return the runs that a backfill has launched so far."""
        results: list[dict[str, Any]] = self.ask(_RUNS, {"id": backfill})["runsOrError"]["results"]
        return results

    def launch(self, job: str, tags: Mapping[str, str] | None = None, config: Mapping[str, object] | None = None) -> str:
        """Launch a run of a job as the launchpad does; return its id."""
        listed = [{"key": key, "value": value} for key, value in (tags or {}).items()]
        params = {"selector": {**_REPOSITORY, "jobName": job}, "runConfigData": config or {}, "executionMetadata": {"tags": listed}}
        launched = self.ask(_LAUNCH, {"params": params})["launchRun"]
        assert launched["__typename"] == "LaunchRunSuccess", launched
        return str(launched["run"]["runId"])

    def start_sensor(self, name: str) -> None:
        """Switch a sensor on."""
        answer = self.ask(_START_SENSOR, {"sensor": {**_REPOSITORY, "sensorName": name}})["startSensor"]
        assert answer["__typename"] == "Sensor", answer

    def terminate(self, run: str) -> None:
        """Stop a run as the page's button does."""
        answer = self.ask(_TERMINATE, {"id": run})["terminateRun"]
        assert answer["__typename"] == "TerminateRunSuccess", answer


def wait_until(holds: Callable[[], bool], timeout_s: float = 90) -> None:
    """Wait for what a daemon does in its own time."""
    give_up = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < give_up, f"not within {timeout_s} s"
        time.sleep(0.2)


@contextmanager
def dagster_dev(home: Path, environment: Mapping[str, str], workspace: Path | str = "workspace.yaml") -> Iterator[Page]:
    """Start `dagster dev` on a free port of loopback, wait until the definitions are loaded, and stop it at the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = home / "dagster-dev.log"
    settings = {**environment, "DAGSTER_HOME": str(home), "DAGSTER_DISABLE_TELEMETRY": "1"}
    with running("dagster", ["dev", "-w", str(workspace), "-h", "127.0.0.1", "-p", str(port)], settings, log) as process:
        page = Page(f"http://127.0.0.1:{port}", log, process.pid)
        _wait_until_loaded(page, process, log)
        yield page


def _wait_until_loaded(page: Page, process: subprocess.Popen[bytes], log: Path) -> None:
    give_up = time.monotonic() + 90
    while time.monotonic() < give_up:
        assert process.poll() is None, log.read_text()[-3000:]
        try:
            entries = page.ask(_READY)["workspaceOrError"]["locationEntries"]
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            entries = []
        if entries and all(entry["locationOrLoadError"] for entry in entries):
            assert entries[0]["locationOrLoadError"]["__typename"] == "RepositoryLocation", entries
            return
        time.sleep(0.3)
    raise AssertionError(f"the page did not come up\n{log.read_text()[-3000:]}")
