"""A project whose automation runs by itself, in real processes, while a test lets days pass: the page, its daemon, its code, and a gateway."""

from __future__ import annotations

import datetime as dt
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from market_data_pipeline_tests.conftest import REPOSITORY
from market_data_pipeline_tests.gateway import RunningGateway, start_gateway
from market_data_pipeline_tests.orchestration.page import ENDED, Page, dagster_dev
from market_data_pipeline_tests.processes import running
from market_data_pipeline_tests.wall_clock import WallClock

LOCATION = "market_data_pipeline"
# Ten minutes of the broker's rules are half a minute, on both sides.
_SCALE = 0.05
_SELECTOR = f'repositoryName: "__repository__", repositoryLocationName: "{LOCATION}"'
_START_SENSOR = f"mutation($name: String!) {{ startSensor(sensorSelector: {{{_SELECTOR}, sensorName: $name}}) {{ __typename }} }}"
_START_SCHEDULE = f"mutation($name: String!) {{ startSchedule(scheduleSelector: {{{_SELECTOR}, scheduleName: $name}}) {{ __typename }} }}"
_TICKS = f"""query($name: String!) {{ instigationStateOrError(instigationSelector: {{{_SELECTOR}, name: $name}}) {{
  ... on InstigationState {{ ticks(limit: 500) {{ timestamp status skipReason runIds error {{ message }} }} }} }} }}"""
_SENSORS = f"""{{ sensorsOrError(repositorySelector: {{{_SELECTOR}}}) {{ ... on Sensors {{ results {{ name
  sensorState {{ status ticks(limit: 1) {{ timestamp status }} }} }} }} }} }}"""
_RUNS = """{ runsOrError(limit: 500) { ... on Runs { results { runId jobName status creationTime startTime endTime tags { key value } } } } }"""
_PATIENCE_S = 600.0
_LOOK_S = 0.5


@dataclass(frozen=True)
class Tick:
    """A tick of a sensor or schedule.

    Attributes:
        at: When it began, UTC; for a schedule, when it was due.
        status: `SUCCESS`, `SKIPPED` or `FAILURE`.
        said: Why it launched nothing, or what went wrong.
        runs: What it launched.
    """

    at: dt.datetime
    status: str
    said: str
    runs: tuple[str, ...]


@dataclass
class TradingDays:
    """The running project.

    Attributes:
        root: Its folder.
        clock: What time it is in all of its processes.
        page: Dagster's.
        port: Where its gateway listens, while it lives.
        gateways: Those that lived so far; the last may live.
    """

    root: Path
    clock: WallClock
    page: Page
    port: int
    scenario: Path
    gateways: list[RunningGateway] = field(default_factory=list)
    _seen: dict[str, dict[dt.datetime, Tick]] = field(default_factory=dict)
    _living: ExitStack = field(default_factory=ExitStack)

    def start_gateway(self) -> None:
        """Let the gateway be there, with all that its scenario says."""
        flags = ("--port", str(self.port), "--scenario", str(self.scenario), "--pacing-scale", str(_SCALE))
        folder = self.root / f"gateway-{len(self.gateways)}"
        self.gateways.append(self._living.enter_context(start_gateway(folder, *flags, environment=self.clock.environment)))

    def kill_gateway(self) -> None:
        """Let the gateway die at once."""
        process = self.gateways[-1].process
        time.sleep(0.7)  # its statistics are written twice a second
        process.kill()
        process.wait()

    def close(self) -> None:
        """End the gateway."""
        self._living.close()

    def switch_on(self, sensors: Sequence[str], schedules: Sequence[str]) -> None:
        """Switch sensors and schedules on, as the page's switches do."""
        for name in sensors:
            answer = self.page.ask(_START_SENSOR, {"name": name})["startSensor"]
            assert answer["__typename"] == "Sensor", answer
        for name in schedules:
            answer = self.page.ask(_START_SCHEDULE, {"name": name})["startSchedule"]
            assert answer["__typename"] == "ScheduleStateResult", answer

    def ticks(self, name: str) -> list[Tick]:
        """Return the ticks of a sensor or schedule that have ended, oldest first; those too that the page has shown and forgotten since."""
        found = self.page.ask(_TICKS, {"name": name})["instigationStateOrError"]["ticks"]
        seen = self._seen.setdefault(name, {})
        for one in found:
            if one["status"] != "STARTED":
                at = dt.datetime.fromtimestamp(one["timestamp"], dt.UTC)
                seen[at] = Tick(at, one["status"], one["skipReason"] or (one["error"] or {}).get("message", ""), tuple(one["runIds"]))
        return [seen[at] for at in sorted(seen)]

    def runs(self) -> list[dict[str, Any]]:
        """Return all runs, oldest first."""
        found: list[dict[str, Any]] = self.page.ask(_RUNS)["runsOrError"]["results"]
        return found[::-1]

    def jump(self, moment: dt.datetime) -> None:
        """Let it be the minute of `moment`, then wait until every sensor has ticked and every run that came of it has ended.

        The second hand goes on as it does: the daemon looks at schedules when it jumps to the next minute. A jump that is shorter than what the
        slowest sensor waits between two ticks takes the rest of that time in earnest.
        """
        now = self.clock.now()
        target = moment.replace(second=now.second, microsecond=now.microsecond)
        assert target > now, f"{moment} is over"
        self.clock.set(target)
        self.rest(target)

    def wait_for(self, moment: dt.datetime) -> None:
        """Let time pass as it does until `moment`, a minute at most."""
        left_s = (moment - self.clock.now()).total_seconds()
        assert left_s <= 60, f"{left_s} s until {moment}"
        time.sleep(max(0.0, left_s))

    def rest(self, since: dt.datetime) -> None:
        """Wait until every sensor has ticked since, and nothing is under way."""
        give_up = time.monotonic() + _PATIENCE_S
        while not (self._have_ticked(since) and all(run["status"] in ENDED for run in self.runs())):
            assert time.monotonic() < give_up, f"not at rest after {_PATIENCE_S} s: {self.runs()[-5:]}"
            time.sleep(_LOOK_S)

    def _have_ticked(self, since: dt.datetime) -> bool:
        states = [one["sensorState"] for one in self.page.ask(_SENSORS)["sensorsOrError"]["results"]]
        running = [state["ticks"] for state in states if state["status"] == "RUNNING"]
        return all(ticks and ticks[0]["timestamp"] >= since.timestamp() and ticks[0]["status"] != "STARTED" for ticks in running)

    def wait_for_run(self, job: str, since: dt.datetime) -> None:
        """Wait until a job that was launched since has ended."""
        give_up = time.monotonic() + _PATIENCE_S
        while True:
            runs = [run for run in self.runs() if run["jobName"] == job and run["creationTime"] >= since.timestamp()]
            if runs and all(run["status"] in ENDED for run in runs):
                return
            assert time.monotonic() < give_up, f"no {job} since {since}"
            time.sleep(_LOOK_S)

    def wait_for_tick(self, name: str, at: dt.datetime) -> None:
        """Wait until a schedule's tick that is due at a moment has ended."""
        give_up = time.monotonic() + _PATIENCE_S
        while not any(tick.at == at for tick in self.ticks(name)):
            assert time.monotonic() < give_up, f"no tick of {name} at {at}"
            time.sleep(_LOOK_S)


@contextmanager
def trading_days(root: Path, clock: WallClock, watchlist: str, scenario: str) -> Iterator[TradingDays]:
    """Start everything but the gateway, with the project's own dagster.yaml; stop all of it at the end.

    Args:
        root: The folder of the project.
        clock: The time of all its processes.
        watchlist: Its watchlist, YAML.
        scenario: What goes wrong at its gateway, YAML.
    """
    (root / "watchlist.yaml").write_text(watchlist)
    (root / "scenario.yaml").write_text(scenario)
    # A simulated gateway scales its rules too, but counts messages in real seconds.
    (root / "pacing.yaml").write_text(f"scale: {_SCALE}\nmessages_s: {1 / _SCALE:g}\n")
    home = root / "home"
    home.mkdir()
    shutil.copy(REPOSITORY / "dagster_home" / "dagster.yaml", home)
    port = free_port()
    environment = {**clock.environment, **settings(root, port), "DAGSTER_HOME": str(home)}
    with _code_server(root, environment) as workspace, dagster_dev(home, environment, workspace) as page:
        days = TradingDays(root, clock, page, port, root / "scenario.yaml")
        try:
            yield days
        finally:
            days.close()


def settings(root: Path, port: int) -> dict[str, str]:
    """Return the environment variables of the project."""
    return {
        "MDP_CONFIG": str(root / "watchlist.yaml"),
        "MDP_CATALOG": str(root / "catalog"),
        "MDP_BACKTESTS": str(root / "results"),
        "MDP_BACKTEST_SPECS": str(root / "backtests"),
        "MDP_INBOX": str(root / "inbox"),
        "MDP_NOTIFICATIONS": str(root / "notifications.jsonl"),
        "IB_PORT": str(port),
        "IB_STATE": str(root / "state"),
        "IB_PACING": str(root / "pacing.yaml"),
        "IB_PACING_DB": str(root / "pacing.sqlite"),
        "IB_WAIT_SCALE": "0.02",
    }


def free_port() -> int:
    """Return a port of loopback at which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def _code_server(root: Path, environment: Mapping[str, str]) -> Iterator[Path]:
    """Serve the definitions as a container of them does; yield the workspace that names it.

    The code server that `dagster dev` starts ends when it has not heard of its page for 30 seconds of the wall clock, which a jump makes it believe.
    """
    port = free_port()
    workspace = root / "workspace.yaml"
    workspace.write_text(f"load_from:\n  - grpc_server: {{host: 127.0.0.1, port: {port}, location_name: {LOCATION}}}\n")
    served = ["api", "grpc", "-m", f"{LOCATION}.definitions", "-h", "127.0.0.1", "-p", str(port), "--location-name", LOCATION]
    log = root / "code-server.log"
    with running("dagster", served, environment, log) as process:
        _wait_until_listening(port, process, log)
        yield workspace


def _wait_until_listening(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    give_up = time.monotonic() + 60
    while True:
        assert process.poll() is None, log.read_text()[-3000:]
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert time.monotonic() < give_up, log.read_text()[-3000:]
        time.sleep(0.1)
