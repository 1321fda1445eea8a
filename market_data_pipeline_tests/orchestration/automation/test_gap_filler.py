"""The gap filler over a real instance, a simulated gateway in a process of its own, and real files."""

from __future__ import annotations

import datetime as dt
import os
import re
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.events import JobFailureData, RunFailureReason

from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.orchestration.automation.gap_filler import RUN_TAG, gap_filler_sensor
from market_data_pipeline.orchestration.partitions import RANGE_END_TAG, RANGE_START_TAG
from market_data_pipeline_tests.gateway import RunningGateway
from market_data_pipeline_tests.orchestration.automation.situations import Situation, tries
from market_data_pipeline_tests.orchestration.automation.ticking import Ticking, loaded, places_of
from market_data_pipeline_tests.orchestration.brokered import brokered_project
from market_data_pipeline_tests.orchestration.conftest import Project, started, write_csv

NVDA = Series.of("NVDA.NASDAQ", "5-MINUTE-LAST")
BARS = "brokered/bars_5_minute_last"
_UNIVERSE = """
universes:
  brokered:
    calendar: NYSE
    start: 2024-01-02
    end: 2024-01-12
    bars: ["5-MINUTE-LAST"]
    instruments: ["NVDA.NASDAQ", "META.NASDAQ"]
    source: ibkr
    hours: rth
"""


@pytest.fixture
def brokered(tmp_path: Path, gateway: RunningGateway) -> Iterator[Project]:
    """Two stocks of the broker, 9 sessions each: 2024-01-02 to 2024-01-12 (NYSE holiday calendar 2024)."""
    with brokered_project(tmp_path, gateway, _UNIVERSE) as project:
        yield project


class Clock:
    """A clock that a test moves on."""

    def __init__(self) -> None:
        self.ahead = dt.timedelta()

    def __call__(self) -> int:
        return time.time_ns() + round(self.ahead.total_seconds() * 1e9)

    def pass_by(self, **time: float) -> None:
        self.ahead += dt.timedelta(**time)


def ticking(project: Project, clock: Callable[[], int] = time.time_ns) -> Ticking:
    return Ticking(project, gap_filler_sensor(*loaded(project), places_of(project), clock=clock))


def ranges(runs: list[dg.RunRequest]) -> list[tuple[str, str]]:
    return [(run.tags[RANGE_START_TAG], run.tags[RANGE_END_TAG]) for run in runs]


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def nvda_only(project: Project, *more: str) -> None:
    path = project.root / "watchlist.yaml"
    names = ", ".join(f'"{name}"' for name in ("NVDA.NASDAQ", *more))
    path.write_text(path.read_text().replace('"NVDA.NASDAQ", "META.NASDAQ"', names))
    assert project.run("watchlist_partitions").success


@tries("gap_filler", Situation.FIRST_TICK, Situation.NOTHING_TO_DO, Situation.NEW_WORK)
def test_what_is_missing_is_filled_and_then_all_is_complete(brokered: Project, gateway: RunningGateway) -> None:
    """Two sessions in the first week of 2024 and five in the next: two requests of a week at most for each stock."""
    sensor = ticking(brokered)
    (run,) = sensor.tick().runs
    assert run.job_name == "brokered_bars"
    assert ranges([run]) == [("2024-01-02|NVDA.NASDAQ", "2024-01-12|META.NASDAQ")]
    assert run.tags["market_data/requests"] == "4"
    before = gateway.statistics()["historical"]["total"]
    assert sensor.execute(run).success
    assert gateway.statistics()["historical"]["total"] - before == 4
    told = sensor.tick()
    assert told.runs == []
    assert told.said == "all complete."

    (brokered.root / "catalog" / "data" / "bar" / NVDA.folder).joinpath(session_file(brokered, "2024-01-05")).unlink()
    assert ranges(sensor.tick().runs) == [("2024-01-05|NVDA.NASDAQ", "2024-01-05|NVDA.NASDAQ")], "new work: one session was lost"


@pytest.mark.parametrize(("minute", "launched"), [(14, 0), (15, 1)])
def test_what_the_schedule_could_not_have_after_an_early_close_is_filled_in_the_same_hour(brokered: Project, minute: int, launched: int) -> None:
    """Friday 2024-11-29: NYSE closed at 13:00 New York, 18:00 UTC, and after 15 minutes its regular hours have settled."""
    path = brokered.root / "watchlist.yaml"
    path.write_text(path.read_text().replace("start: 2024-01-02", "start: 2024-11-29").replace("end: 2024-01-12", "end: 2024-11-29"))
    now = dt.datetime(2024, 11, 29, 18, minute, tzinfo=dt.UTC)
    runs = ticking(brokered, lambda: int(now.timestamp()) * 10**9).tick().runs
    assert ranges(runs) == [("2024-11-29|NVDA.NASDAQ", "2024-11-29|META.NASDAQ")][:launched]


def session_file(project: Project, date: str) -> str:
    (row,) = project.catalog.sessions(NVDA, dt.date.fromisoformat(date), dt.date.fromisoformat(date))
    return row.file


def test_what_a_run_fills_already_is_not_launched_again(brokered: Project) -> None:
    sensor = ticking(brokered)
    (run,) = sensor.tick().runs
    job = brokered.definitions.resolve_job_def("brokered_bars")
    under_way = brokered.instance.create_run_for_job(job, tags={**run.tags}, status=dg.DagsterRunStatus.STARTED)
    told = sensor.tick()
    assert told.runs == []
    assert told.said == "18 sessions missing: nothing started; 18 sessions are being filled by runs that wait or work."
    brokered.instance.report_run_failed(under_way)
    assert len(sensor.tick().runs) == 1


@tries("gap_filler", Situation.TWICE)
def test_the_same_tick_again_has_the_same_keys(brokered: Project) -> None:
    """The daemon died after it launched and before it kept the cursor: Dagster launches a key once."""
    sensor = ticking(brokered)
    nvda_only(brokered)
    sensor.execute(sensor.tick().runs[0])
    for file in (brokered.root / "catalog" / "data" / "bar" / NVDA.folder).glob("*.parquet"):
        file.unlink()
    assert len(sensor.tick(forget=True).runs) == 1
    assert sensor.tick().runs == []


@tries("gap_filler", Situation.RESTART)
def test_a_restart_goes_on_from_the_cursor(brokered: Project) -> None:
    first = ticking(brokered)
    (run,) = first.tick().runs
    assert first.execute(run).success
    with started(brokered.root) as again:
        second = ticking(again)
        second.cursor = first.cursor
        assert second.tick().said == "all complete."
        second.cursor = "{broken"
        assert second.tick().said == "all complete."


@tries("gap_filler", Situation.FAULT)
def test_a_dead_gateway_is_looked_at_after_5_then_10_minutes(brokered: Project, gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    port, clock = closed_port(), Clock()
    monkeypatch.setenv("IB_PORT", str(port))
    sensor = ticking(brokered, clock)
    started = time.monotonic()
    first = sensor.tick()
    assert time.monotonic() - started < 10
    assert first.runs == []
    assert re.fullmatch(
        rf"18 sessions missing: nothing started; gateway at 127\.0\.0\.1:{port} does not answer, looking again at \d\d:\d\d UTC\.", first.said
    )
    assert "did not answer, looking again at" in sensor.tick().said, "not even a connection is tried before"
    waits = []
    for _ in range(6):
        began = clock()
        while "does not answer" not in sensor.tick().said:
            clock.pass_by(minutes=5)
        waits.append(round((clock() - began) / 60e9))
    assert waits == [5, 10, 20, 40, 60, 60]
    monkeypatch.setenv("IB_PORT", str(gateway.port))
    clock.pass_by(minutes=60)
    assert len(sensor.tick().runs) == 1


@pytest.mark.slow
def test_a_run_that_found_nobody_counts_against_the_gateway_and_not_the_sessions(brokered: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    nvda_only(brokered)
    sensor = ticking(brokered)
    (run,) = sensor.tick().runs
    with monkeypatch.context() as gone:
        gone.setenv("IB_PORT", str(closed_port()))
        assert not sensor.execute(run).success
    assert "did not answer, looking again at" in sensor.tick().said
    assert '"failed":{}' in str(sensor.cursor)


@pytest.mark.parametrize("stopped", ["killed", "never started", "interrupted"])
def test_a_run_that_was_stopped_from_outside_says_nothing_of_its_sessions(brokered: Project, stopped: str) -> None:
    """Neither counts it as a try of the sessions, nor as a word of the gateway, and the next tick asks again, however often that happens."""
    sensor = ticking(brokered)
    job = brokered.definitions.resolve_job_def("brokered_bars")
    for _ in range(4):
        (run,) = sensor.tick().runs
        under_way = brokered.instance.create_run_for_job(job, tags={**run.tags}, status=dg.DagsterRunStatus.STARTED)
        assert sensor.tick().runs == []
        reasons = {"never started": RunFailureReason.START_TIMEOUT, "interrupted": RunFailureReason.UNEXPECTED_TERMINATION}
        data = JobFailureData(None, reasons[stopped]) if stopped in reasons else None
        brokered.instance.report_run_failed(under_way, job_failure_data=data)
    assert len(sensor.tick().runs) == 1
    assert '"failed":{}' in str(sensor.cursor)


def test_a_session_that_fails_three_times_is_left_alone_for_a_day(brokered: Project) -> None:
    """The broker lists no such stock."""
    nvda_only(brokered, "NOSUCH.NASDAQ")
    clock = Clock()
    sensor = ticking(brokered, clock)
    nvda, nosuch = sensor.tick().runs
    assert sensor.execute(nvda).success
    assert not sensor.execute(nosuch).success
    for _ in range(2):
        (run,) = sensor.tick().runs
        assert ranges([run]) == [("2024-01-02|NOSUCH.NASDAQ", "2024-01-12|NOSUCH.NASDAQ")]
        assert not sensor.execute(run).success
    told = sensor.tick()
    assert told.runs == []
    assert "9 sessions could not be had 3 times or more (NOSUCH.NASDAQ 2024-01-02" in told.said
    assert len(str(sensor.cursor)) < 400, "nine sessions are one range"
    clock.pass_by(hours=25)
    assert len(sensor.tick().runs) == 1


def test_no_more_is_started_than_the_budget_lets_go_at_once(brokered: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    rules = brokered.root / "three.yaml"
    rules.write_text("name: three\nsmall_bars: {requests: 3, window_s: 600}\n")
    monkeypatch.setenv("IB_PACING", str(rules))
    nvda_only(brokered)
    path = brokered.root / "watchlist.yaml"
    path.write_text(path.read_text().replace("5-MINUTE-LAST", "1-MINUTE-LAST"))  # one request a session
    sensor = ticking(brokered)
    (run,) = sensor.tick().runs
    assert ranges([run]) == [("2024-01-10|NVDA.NASDAQ", "2024-01-12|NVDA.NASDAQ")], "the newest three"
    assert sensor.execute(run).success
    told = sensor.tick()
    assert told.runs == []
    assert re.fullmatch(r"6 sessions missing: nothing started; budget: 0 requests left until \d\d:\d\d UTC, 6 more are wanted\.", told.said), (
        told.said
    )


def test_a_file_is_read_again_only_when_it_is_new(project: Project) -> None:
    """21 sessions of January 2024 in the file of AAPL; the file of MSFT lacks one."""
    lost = dt.date(2024, 1, 17)
    file = project.root / "csv" / "MSFT.NASDAQ-5-MINUTE-LAST.csv"
    write_csv(file, "MSFT.NASDAQ", without=(lost,))
    age(project)
    sensor = ticking(project)
    (run,) = sensor.tick().runs
    assert ranges([run]) == [("2024-01-02|AAPL.NASDAQ", "2024-01-31|MSFT.NASDAQ")]
    assert RUN_TAG in run.tags
    assert not sensor.execute(run).success
    told = sensor.tick()
    assert told.runs == []
    assert told.said == "1 session missing: nothing started; no file newer than the last try for MSFT.NASDAQ-5-MINUTE-LAST-EXTERNAL."

    write_csv(file, "MSFT.NASDAQ")
    clock = Clock()
    clock.pass_by(seconds=15)
    later = ticking(project, clock)
    later.cursor = sensor.cursor
    (run,) = later.tick().runs
    assert ranges([run]) == [("2024-01-17|MSFT.NASDAQ", "2024-01-17|MSFT.NASDAQ")]
    assert later.execute(run).success
    assert later.tick().said == "all complete."


def age(project: Project) -> None:
    """Let the files be a minute old."""
    for path in (project.root / "csv").iterdir():
        os.utime(path, (time.time() - 60, time.time() - 60))


def test_sessions_that_the_loaded_code_has_no_partitions_of_wait_for_a_reload(project: Project) -> None:
    """Dagster refuses to make such a run, and one that is refused in the middle of a tick stops the others of that tick."""
    age(project)
    sensor = ticking(project)
    path = project.root / "watchlist.yaml"
    path.write_text(path.read_text().replace("start: 2024-01-02", "start: 2023-12-01").replace("end: 2024-01-31", "end: 2024-02-29"))
    (run,) = sensor.tick().runs
    assert ranges([run]) == [("2024-01-02|AAPL.NASDAQ", "2024-01-31|MSFT.NASDAQ")]
    assert sensor.execute(run).success
    assert sensor.tick().said == (
        "all complete; sessions of stocks from 2023-12-01 to before 2024-01-02 and sessions of stocks after 2024-01-31: "
        "click Reload definitions (Deployment, Code locations), and they follow."
    )


def test_an_instrument_that_is_no_partition_yet_waits_for_it(project: Project) -> None:
    path = project.root / "watchlist.yaml"
    path.write_text(path.read_text().replace('"MSFT.NASDAQ"]', '"MSFT.NASDAQ", "SPY.ARCA"]'))
    age(project)
    told = ticking(project).tick()
    assert ranges(told.runs) == [("2024-01-02|AAPL.NASDAQ", "2024-01-31|MSFT.NASDAQ")]
