"""A real webserver with its code server, asked as the page asks it."""

from __future__ import annotations

import json
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.scale.project import ASSET
from market_data_pipeline_tests.processes import running

_LOCATION, _REPOSITORY = "market_data_pipeline", "__repository__"
# What the page's own buttons "Test sensor" and "Test schedule" send: the code server evaluates a tick as for the daemon.
_SENSOR = """mutation($selector: SensorSelector!, $cursor: String) { sensorDryRun(selectorData: $selector, cursor: $cursor) { __typename
  ... on DryRunInstigationTick { evaluationResult { cursor skipReason runRequests { runKey } error { message } } }
  ... on PythonError { message } } }"""
_SCHEDULE = """mutation($selector: ScheduleSelector!, $at: Float!) { scheduleDryRun(selectorData: $selector, timestamp: $at) { __typename
  ... on DryRunInstigationTick { evaluationResult { skipReason runRequests { runKey } error { message } } }
  ... on PythonError { message } } }"""
_INSTIGATORS = """query($selector: RepositorySelector!) { repositoryOrError(repositorySelector: $selector) { ... on Repository {
  sensors { name } schedules { name cronSchedule executionTimezone futureTicks(limit: 1) { results { timestamp } } } } } }"""
_CURSOR = """mutation($selector: SensorSelector!, $cursor: String) { setSensorCursor(sensorSelector: $selector, cursor: $cursor) { __typename } }"""
_BACKFILL = """mutation($params: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $params) {
  __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }"""
_RUNS = """query($id: String!) { runsOrError(filter: {tags: [{key: "dagster/backfill", value: $id}]}) {
  ... on Runs { results { status creationTime startTime endTime } } } }"""


@dataclass(frozen=True)
class Tick:
    """One evaluation of a sensor or schedule.

    Attributes:
        seconds: From the question to the answer.
        said: Why it asked for nothing, or how many runs it asked for.
        cursor: What the next tick is given.
    """

    seconds: float
    said: str
    cursor: str | None = None


class Served:
    """A page that is up, with its definitions loaded.

    Attributes:
        url: Its address.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    def ask(self, query: str, variables: Mapping[str, object] | None = None, timeout_s: float = 300) -> dict[str, Any]:
        """Return the `data` of a GraphQL answer."""
        body = json.dumps({"query": query, "variables": variables or {}}).encode()
        request = urllib.request.Request(f"{self.url}/graphql", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=timeout_s) as answer:
            content = json.load(answer)
        if "errors" in content:
            raise RuntimeError(str(content["errors"]))
        data: dict[str, Any] = content["data"]
        return data

    def instigators(self) -> tuple[list[str], dict[str, float]]:
        """Return the names of all sensors, and of all schedules with the time of their next tick."""
        selector = {"repositoryLocationName": _LOCATION, "repositoryName": _REPOSITORY}
        found = self.ask(_INSTIGATORS, {"selector": selector})["repositoryOrError"]
        schedules = {one["name"]: float(one["futureTicks"]["results"][0]["timestamp"]) for one in found["schedules"]}
        return [one["name"] for one in found["sensors"]], schedules

    def tick(self, sensor: str, cursor: str | None) -> Tick:
        """Evaluate a sensor once."""
        return self._evaluate("sensorDryRun", _SENSOR, {"selector": _selector("sensorName", sensor), "cursor": cursor})

    def tick_of_schedule(self, schedule: str, at: float) -> Tick:
        """Evaluate a schedule once, as of a time."""
        return self._evaluate("scheduleDryRun", _SCHEDULE, {"selector": _selector("scheduleName", schedule), "at": at})

    def _evaluate(self, field: str, query: str, variables: Mapping[str, object]) -> Tick:
        began = time.perf_counter()
        answer = self.ask(query, variables)[field]
        seconds = time.perf_counter() - began
        result = answer.get("evaluationResult") or {}
        if answer["__typename"] != "DryRunInstigationTick" or result.get("error"):
            raise RuntimeError(str(answer)[:2000])
        runs = len(result.get("runRequests") or ())
        return Tick(seconds, f"{runs} runs" if runs else str(result.get("skipReason") or ""), result.get("cursor"))

    def keep_cursor(self, sensor: str, cursor: str | None) -> None:
        """Give a sensor the cursor that its next tick in the daemon goes on from."""
        self.ask(_CURSOR, {"selector": _selector("sensorName", sensor), "cursor": cursor})

    def launch_backfill(self, partitions: list[str]) -> tuple[str, float]:
        """Launch a backfill as the page does; return its id, and how long the answer took."""
        began = time.perf_counter()
        answer = self.ask(_BACKFILL, {"params": {"assetSelection": [{"path": ASSET.split("/")}], "partitionNames": partitions}})
        seconds = time.perf_counter() - began
        launched = answer["launchPartitionBackfill"]
        if launched["__typename"] != "LaunchBackfillSuccess":
            raise RuntimeError(str(launched)[:2000])
        return str(launched["backfillId"]), seconds

    def wait_for_run(self, backfill: str, timeout_s: float = 300) -> dict[str, Any]:
        """Return the only run of a backfill when it has ended."""
        give_up = time.monotonic() + timeout_s
        while time.monotonic() < give_up:
            runs: list[dict[str, Any]] = self.ask(_RUNS, {"id": backfill})["runsOrError"]["results"]
            if runs and runs[0]["endTime"]:
                if runs[0]["status"] != "SUCCESS":
                    raise RuntimeError(f"the backfill's run ended as {runs[0]['status']}")
                return runs[0]
            time.sleep(0.5)
        raise RuntimeError(f"the backfill's run has not ended within {timeout_s:g} s")


def _selector(key: str, name: str) -> dict[str, str]:
    return {"repositoryLocationName": _LOCATION, "repositoryName": _REPOSITORY, key: name}


@contextmanager
def webserver(environment: Mapping[str, str], log: Path) -> Iterator[Served]:
    """Start `dagster-webserver` on a free port of loopback, wait until the definitions are loaded, and stop it at the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    served = Served(f"http://127.0.0.1:{port}")
    with running("dagster-webserver", ["-w", "workspace.yaml", "-h", "127.0.0.1", "-p", str(port)], environment, log) as started:
        give_up = time.monotonic() + 180
        while True:
            try:
                served.instigators()
                break
            except (urllib.error.URLError, ConnectionError, TimeoutError, KeyError):
                if started.poll() is not None or time.monotonic() > give_up:
                    raise RuntimeError(f"the page did not come up\n{log.read_text()[-3000:]}") from None
                time.sleep(0.3)
        yield served
