"""Worker and daemon are killed with -9: no run stays started for ever, nothing stays locked, and the gap filler finishes the work."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import dagster as dg
import pytest

from market_data_pipeline.catalog.writer import series_lock
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.orchestration.launcher import WORKER_TAG
from market_data_pipeline.orchestration.partitions import range_tags
from market_data_pipeline.pacing import PacingTable, read_profile
from market_data_pipeline.pacing.processes import Process
from market_data_pipeline.sources.ibkr import IbkrSettings
from market_data_pipeline.sources.ibkr.client_ids import lease
from market_data_pipeline_tests import tally
from market_data_pipeline_tests.gateway import RunningGateway, start_gateway
from market_data_pipeline_tests.orchestration.brokered import brokered_project
from market_data_pipeline_tests.orchestration.conftest import Project
from market_data_pipeline_tests.orchestration.page import Page, dagster_dev, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

NVDA = Series.of("NVDA.NASDAQ", "1-MINUTE-LAST")
BARS = "brokered/bars_1_minute_last"
WHOLE_MONTH = range_tags("2024-01-02|NVDA.NASDAQ", "2024-01-31|NVDA.NASDAQ")
# Requests that one fetch has under way at once, and which a kill leaves unanswered (IB_IN_FLIGHT).
IN_FLIGHT = 4
_UNIVERSE = """
universes:
  brokered:
    calendar: NYSE
    start: 2024-01-02
    end: 2024-01-31
    bars: ["1-MINUTE-LAST"]
    instruments: ["NVDA.NASDAQ", "META.NASDAQ"]
    source: ibkr
    hours: rth
"""
ONE_STOCK = _UNIVERSE.replace(', "META.NASDAQ"', "")


@pytest.fixture
def slow_gateway(tmp_path: Path) -> Iterator[RunningGateway]:
    """A gateway that takes three seconds for an answer, so that some are always under way."""
    with start_gateway(tmp_path / "slow", "--no-pacing", "--latency", "3") as running:
        yield running


def sessions(project: Project) -> int:
    """Return how many sessions are stored: the files are the truth, the ledger of a killed writer follows at the next look."""
    return len(list(project.catalog.layout.bars.joinpath(NVDA.folder).glob("*.parquet")))


def status(project: Project, run: str) -> dg.DagsterRunStatus:
    found = project.instance.get_run_by_id(run)
    assert found is not None
    return found.status


def kill_worker(project: Project, run: str) -> None:
    found = project.instance.get_run_by_id(run)
    assert found is not None
    worker = Process.parse(found.tags[WORKER_TAG])
    assert worker is not None
    assert worker.is_alive()
    os.kill(worker.pid, signal.SIGKILL)
    tally.count("kills")


def kill_everything(page: Page) -> None:
    """Kill webserver, daemon, code server and workers in one stroke, as a loss of power does."""
    os.killpg(page.group, signal.SIGKILL)
    tally.count("kills")
    wait_until(lambda: not members(page.group), 10)


def members(group: int) -> list[int]:
    """Return the processes of a group that still run."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, its_group = path.read_text(errors="replace").rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if int(its_group) == group and state not in "ZX":
            found.append(int(path.parent.name))
    return found


def assert_nothing_is_held(project: Project, gateway: RunningGateway) -> None:
    """Client ids, series lock, pacing, pool slots: everything can be had."""
    settings = IbkrSettings.from_environment()
    with ExitStack() as leased:
        for _ in range(settings.client_ids):
            leased.callback(lease(settings).release)
    # A sensor that brings the ledger up to date holds it for a moment.
    with series_lock(project.catalog.layout, NVDA.folder, 10):
        pass
    with PacingTable.open(settings.pacing_db, read_profile(settings.pacing)) as table:
        budget = table.budget()
    assert (budget.open, budget.waiting, budget.refused_s) == (0, 0, 0)
    assert not project.instance.event_log_storage.get_concurrency_run_ids()
    assert gateway.statistics()["connections"]["now"] == 0


def assert_finished(project: Project) -> None:
    """January 2024 had 21 NYSE sessions of 390 minutes (NYSE holiday calendar 2024); all are stored, and shown."""
    available = project.catalog.availability(NVDA)
    assert available is not None
    assert (available.complete, available.rows, available.gaps) == (21, 8_190, ())
    wait_until(lambda: len(project.shown(BARS)) == 21)
    wait_until(lambda: all(run.is_finished for run in project.instance.get_runs()))


def gap_runs(project: Project) -> list[str]:
    return [run.status.value for run in project.instance.get_runs(dg.RunsFilter(tags={"dagster/sensor_name": "gap_filler"}))]


def kill_in_the_middle(project: Project, page: Page, gateway: RunningGateway, *, open_requests: bool) -> int:
    """Launch the month, kill its worker once three sessions are stored, see the run fail; return how many sessions are stored."""
    run = page.launch("brokered_bars", WHOLE_MONTH)
    wait_until(lambda: sessions(project) >= 3 and bool(gateway.statistics()["historical"]["open_now"]) is open_requests)
    kill_worker(project, run)
    kept = sessions(project)
    assert kept < 21
    # The code server looks every half second, run monitoring every 30.
    wait_until(lambda: status(project, run) is dg.DagsterRunStatus.FAILURE, 40)
    assert_nothing_is_held(project, gateway)
    assert sessions(project) == kept
    wait_until(lambda: len(project.shown(BARS)) == kept, 90)
    return kept


def test_a_worker_killed_in_the_middle_of_a_request(tmp_path: Path, slow_gateway: RunningGateway) -> None:
    with brokered_project(tmp_path, slow_gateway, ONE_STOCK) as project, dagster_dev(project.root / "home", project.settings) as page:
        kill_in_the_middle(project, page, slow_gateway, open_requests=True)
        asked = slow_gateway.statistics()["historical"]["total"]
        missing = 21 - sessions(project)
        page.start_sensor("gap_filler")
        wait_until(lambda: sessions(project) == 21, 180)
        assert_finished(project)
        assert slow_gateway.statistics()["historical"]["total"] - asked == missing, "what was stored is not asked for again"
        assert gap_runs(project) == ["SUCCESS"]
        assert_nothing_is_held(project, slow_gateway)


def test_a_worker_killed_between_two_sessions(tmp_path: Path, gateway: RunningGateway) -> None:
    """Five requests of one contract in two seconds, at most: between them nothing is under way."""
    with brokered_project(tmp_path, gateway, ONE_STOCK) as project, dagster_dev(project.root / "home", project.settings) as page:
        kill_in_the_middle(project, page, gateway, open_requests=False)
        page.start_sensor("gap_filler")
        wait_until(lambda: sessions(project) == 21, 180)
        assert_finished(project)
        assert gap_runs(project) == ["SUCCESS"]


def test_daemon_and_worker_killed_and_everything_started_again(tmp_path: Path, slow_gateway: RunningGateway) -> None:
    """`dagster dev` ends by itself when its daemon is gone."""
    with brokered_project(tmp_path, slow_gateway, ONE_STOCK) as project:
        home = project.root / "home"
        with dagster_dev(home, project.settings) as page:
            run = page.launch("brokered_bars", WHOLE_MONTH)
            wait_until(lambda: sessions(project) >= 1)
            for pid in members(page.group):
                if b"dagster._daemon" in (Path("/proc") / str(pid) / "cmdline").read_bytes():
                    os.kill(pid, signal.SIGKILL)
            kill_worker(project, run)
            wait_until(lambda: not members(page.group), 120)
        assert 1 <= sessions(project) < 21
        with dagster_dev(home, project.settings) as page:
            wait_until(lambda: status(project, run) is dg.DagsterRunStatus.FAILURE, 90)
            assert_nothing_is_held(project, slow_gateway)
            page.start_sensor("gap_filler")
            wait_until(lambda: sessions(project) == 21, 180)
            assert_finished(project)
            assert gap_runs(project) == ["SUCCESS"]


def test_everything_killed_at_once_and_started_again(tmp_path: Path, slow_gateway: RunningGateway) -> None:
    """The gap filler's own run works, one run starts, one waits in the queue, a backfill is asked for: killed, and the gap filler finishes."""
    with brokered_project(tmp_path, slow_gateway, ONE_STOCK) as project:
        home = project.root / "home"
        settings = (home / "dagster.yaml").read_text()
        assert "max_concurrent_runs: 6" in settings
        (home / "dagster.yaml").write_text(settings.replace("max_concurrent_runs: 6", "max_concurrent_runs: 2"))
        with dagster_dev(home, project.settings) as page:
            page.start_sensor("gap_filler")
            wait_until(lambda: sessions(project) >= 1)
            (filling,) = project.instance.get_runs(dg.RunsFilter(tags={"dagster/sensor_name": "gap_filler"}))
            starting, queued = (page.launch("brokered_instruments", {"dagster/partition": "NVDA.NASDAQ"}) for _ in range(2))
            backfill = page.launch_backfill("brokered/instruments", ["NVDA.NASDAQ"])
            wait_until(lambda: status(project, starting) is dg.DagsterRunStatus.STARTING)
            kill_everything(page)
        kept = sessions(project)
        assert 1 <= kept < 21
        statuses = [status(project, run).value for run in (filling.run_id, starting, queued)]
        assert statuses == ["STARTED", "STARTING", "QUEUED"]
        assert not page_runs(project, backfill)
        assert_nothing_is_held(project, slow_gateway)

        with dagster_dev(home, project.settings) as page:
            began = time.monotonic()
            wait_until(lambda: status(project, filling.run_id) is dg.DagsterRunStatus.FAILURE, 90)
            assert time.monotonic() - began < 60, "run monitoring looks every 30 s"
            assert "is gone without a word; it was killed" in told(project, filling.run_id)
            wait_until(lambda: status(project, queued) is dg.DagsterRunStatus.SUCCESS, 90)
            wait_until(lambda: [run.status.value for run in page_runs(project, backfill)] == ["SUCCESS"], 120)
            # start_timeout_seconds, and one look of run monitoring.
            wait_until(lambda: status(project, starting) is dg.DagsterRunStatus.FAILURE, 180 + 60)
            # The next tick of the gap filler comes five minutes after the one before the kill.
            wait_until(lambda: sessions(project) == 21, 360)
            assert_finished(project)
            assert sorted(gap_runs(project)) == ["FAILURE", "SUCCESS"]
            assert_nothing_is_held(project, slow_gateway)
    total = slow_gateway.statistics()["requests"]["by_kind"]["history"]
    assert 21 <= total <= 21 + IN_FLIGHT, "only what was under way when everything was killed is asked for twice"


def test_a_compaction_that_is_killed_is_ended_by_the_next_run(project: Project) -> None:
    """Two series of 21 files each. The worker is killed after the first of them."""
    stocks = [Series.of(f"{symbol}.NASDAQ", "5-MINUTE-LAST") for symbol in ("AAPL", "MSFT")]
    assert project.run("stocks_bars", "2024-01-02|AAPL.NASDAQ", "2024-01-31|MSFT.NASDAQ").success

    def files() -> list[int]:
        return [len(list(project.catalog.layout.series_folder(one).glob("*.parquet"))) for one in stocks]

    before = [project.catalog.contents(one) for one in stocks]
    assert files() == [21, 21]
    first = project.catalog.layout.series_folder(stocks[0])
    number = first.stat().st_ino  # another folder takes its place; whoever listed it would count as a reader
    with dagster_dev(project.root / "home", project.settings) as page:
        run = page.launch("compact")
        wait_until(lambda: first.stat().st_ino != number)
        kill_worker(project, run)
        wait_until(lambda: status(project, run) is dg.DagsterRunStatus.FAILURE, 40)
        assert files() == [1, 21]
        assert [project.catalog.contents(one) for one in stocks] == before
        again = page.launch("compact")
        wait_until(lambda: status(project, again) is dg.DagsterRunStatus.SUCCESS)
    assert files() == [1, 1]
    assert [project.catalog.contents(one) for one in stocks] == before


def page_runs(project: Project, backfill: str) -> list[dg.DagsterRun]:
    return list(project.instance.get_runs(dg.RunsFilter(tags={"dagster/backfill": backfill})))


def told(project: Project, run: str) -> str:
    return "\n".join(entry.message for entry in project.instance.all_logs(run))
