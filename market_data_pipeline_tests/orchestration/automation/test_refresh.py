"""Two stocks with the 21 NYSE sessions of January 2024; the spec `cross` uses AAPL, `other` uses MSFT in the first week."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.orchestration.automation.places import Places
from market_data_pipeline.orchestration.automation.refresh import Seen, look, refresh_sensor
from market_data_pipeline.orchestration.partitions import PARTITION_TAG, RANGE_END_TAG, RANGE_START_TAG
from market_data_pipeline.orchestration.universe import universe_parts
from market_data_pipeline.watchlist import read_watchlist
from market_data_pipeline_tests.orchestration.automation.situations import Situation, tries
from market_data_pipeline_tests.orchestration.automation.ticking import unreadable_ledger
from market_data_pipeline_tests.orchestration.conftest import Project, opened, started, write_project

AAPL = str(Series.of("AAPL.NASDAQ", "5-MINUTE-LAST"))
Launched = list[tuple[str, str]]


class Sensor:
    """The sensor of a project, with the cursor that the daemon keeps."""

    def __init__(self, project: Project) -> None:
        watchlist = read_watchlist(project.root / "watchlist.yaml")
        root = project.root
        places = Places(root / "catalog", root / "watchlist.yaml", root / "backtests", root / "inbox", root / "results", root / "strategies.yaml")
        self._project = project
        self._sensor = refresh_sensor(watchlist, [universe_parts(watchlist, name) for name in watchlist.universes], places)
        self.cursor: str | None = None
        self.run_keys: set[str | None] = set()
        self.said = ""

    def tick(self) -> Launched:
        """Tick once; return what is launched, as the daemon does it: each run key once."""
        repository = self._project.definitions.get_repository_def()
        context = dg.build_sensor_context(self._project.instance, self.cursor, repository_def=repository)
        data = self._sensor.evaluate_tick(context)
        self.cursor, self.said = data.cursor, data.skip_message or ""
        for added in data.dynamic_partitions_requests or ():
            self._project.instance.add_dynamic_partitions(added.partitions_def_name, list(added.partition_keys))
        launched = []
        for request in data.run_requests or ():
            if request.run_key not in self.run_keys:
                self.run_keys.add(request.run_key)
                tags = request.tags
                launched.append((str(request.job_name), tags.get(PARTITION_TAG) or f"{tags[RANGE_START_TAG]} to {tags[RANGE_END_TAG]}"))
        return launched

    def settle(self) -> Launched:
        """Tick until two ticks saw the same; run what is launched."""
        launched = [*self.tick(), *self.tick()]
        for job, partition in launched:
            assert self._project.run(job, *dict.fromkeys(partition.split(" to "))).success, job
        return launched


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A project in which everything is loaded and was made once by what the sensor launches, and the sensor's cursor."""
    root = tmp_path_factory.mktemp("made")
    write_project(root)
    spec = (root / "backtests" / "cross.yaml").read_text()
    other = spec.replace("name: cross", "name: other").replace("AAPL", "MSFT").replace("end: 2024-01-31", "end: 2024-01-05")
    (root / "backtests" / "other.yaml").write_text(other)
    with opened(root) as project:
        assert project.run("stocks_instruments", "AAPL.NASDAQ", "MSFT.NASDAQ").success
        assert project.run("stocks_bars", "2024-01-02|AAPL.NASDAQ", "2024-01-31|MSFT.NASDAQ").success
        sensor = Sensor(project)
        assert sensor.settle() == [("stocks_availability", "AAPL.NASDAQ to MSFT.NASDAQ"), ("backtest", "cross"), ("backtest", "other")]
    return root, str(sensor.cursor)


@pytest.fixture
def project(tmp_path: Path, made: tuple[Path, str]) -> Iterator[Project]:
    """A copy of it for each test."""
    root = tmp_path / "project"
    shutil.copytree(made[0], root)
    with opened(root) as project:
        yield project


@pytest.fixture
def sensor(project: Project, made: tuple[Path, str]) -> Sensor:
    """The sensor as it is after that."""
    sensor = Sensor(project)
    sensor.cursor = made[1]
    return sensor


def replace_session(project: Project, instrument: str, session: str) -> None:
    """Store other bars in the place of a session, by a run."""
    path = project.root / "csv" / f"{instrument}-5-MINUTE-LAST.csv"
    head, *lines = path.read_text().splitlines()
    path.write_text("\n".join([head, *(f"{line.rpartition(',')[0]},7" if line.startswith(session) else line for line in lines)]) + "\n")
    config: dict[str, object] = {"ops": {"stocks__bars_5_minute_last": {"config": {"refetch": True}}}}
    assert project.run("stocks_bars", f"{session}|{instrument}", config=config).success


@tries("refresh", Situation.FIRST_TICK)
def test_the_first_tick_remembers_what_it_sees_and_the_next_acts(sensor: Sensor, project: Project) -> None:
    replace_session(project, "AAPL.NASDAQ", "2024-01-10")
    sensor.cursor = None
    assert sensor.tick() == []
    assert "is waited for: it is being loaded, or has just changed" in sensor.said
    assert sensor.tick() == [("stocks_availability", "AAPL.NASDAQ to AAPL.NASDAQ"), ("backtest", "cross")]


@tries("refresh", Situation.RESTART)
def test_what_changed_before_a_restart_is_acted_on_once_after_it(sensor: Sensor, project: Project) -> None:
    replace_session(project, "AAPL.NASDAQ", "2024-01-10")
    assert sensor.tick() == []
    with started(project.root) as again:
        restarted = Sensor(again)
        restarted.cursor = sensor.cursor
        assert restarted.settle() == [("stocks_availability", "AAPL.NASDAQ to AAPL.NASDAQ"), ("backtest", "cross")]
        assert restarted.settle() == []


@tries("refresh", Situation.NOTHING_TO_DO)
def test_what_is_up_to_date_is_left_alone(sensor: Sensor) -> None:
    assert sensor.tick() == []
    assert sensor.said == "Availability, backtests and derived bars are up to date with the bars of 2 series."
    sensor.cursor = None
    assert sensor.settle() == [], "a cursor that was lost costs nothing"
    sensor.cursor = "nonsense"
    assert sensor.settle() == []


@tries("refresh", Situation.NEW_WORK)
def test_changed_bars_of_one_instrument_refresh_only_what_uses_them(sensor: Sensor, project: Project) -> None:
    replace_session(project, "AAPL.NASDAQ", "2024-01-10")
    assert sensor.tick() == [], "a tick sees it, the next one acts"
    assert sensor.tick() == [("stocks_availability", "AAPL.NASDAQ to AAPL.NASDAQ"), ("backtest", "cross")]


def test_a_spec_whose_range_does_not_hold_the_session_is_left_alone(sensor: Sensor, project: Project) -> None:
    replace_session(project, "MSFT.NASDAQ", "2024-01-10")
    assert sensor.settle() == [("stocks_availability", "MSFT.NASDAQ to MSFT.NASDAQ")]
    replace_session(project, "MSFT.NASDAQ", "2024-01-04")
    assert sensor.settle() == [("stocks_availability", "MSFT.NASDAQ to MSFT.NASDAQ"), ("backtest", "other")]
    assert sensor.settle() == []


def test_sessions_that_are_shown_again_but_did_not_change_refresh_nothing(sensor: Sensor, project: Project) -> None:
    assert project.run("stocks_bars", "2024-01-02|AAPL.NASDAQ", "2024-01-31|MSFT.NASDAQ").success
    assert sensor.settle() == []


@tries("refresh", Situation.TWICE)
def test_the_same_change_is_acted_on_once_though_the_daemon_died_before_it_kept_the_cursor(sensor: Sensor, project: Project) -> None:
    replace_session(project, "AAPL.NASDAQ", "2024-01-10")
    sensor.tick()
    before = sensor.cursor
    assert len(sensor.tick()) == 2
    sensor.cursor = before
    assert sensor.tick() == []


def test_a_load_is_waited_for_and_refreshes_once_at_its_end(sensor: Sensor, project: Project) -> None:
    job = project.definitions.resolve_job_def("stocks_bars")
    tags = {RANGE_START_TAG: "2024-01-02|AAPL.NASDAQ", RANGE_END_TAG: "2024-01-31|AAPL.NASDAQ"}
    run = project.instance.create_run_for_job(job, tags=tags, status=dg.DagsterRunStatus.STARTED)
    for session in ("2024-01-10", "2024-01-11", "2024-01-12"):
        replace_session(project, "AAPL.NASDAQ", session)
        assert sensor.tick() == []
    assert sensor.tick() == []
    assert "is waited for" in sensor.said
    project.instance.report_run_failed(run)
    assert sensor.tick() == [("stocks_availability", "AAPL.NASDAQ to AAPL.NASDAQ"), ("backtest", "cross")]


def test_a_session_that_vanished_refreshes_the_availability_and_the_backtest_waits_for_it(sensor: Sensor, project: Project) -> None:
    file = max((project.root / "catalog" / "data" / "bar" / AAPL).glob("*.parquet"))
    file.unlink()
    assert sensor.settle() == [("stocks_availability", "AAPL.NASDAQ to AAPL.NASDAQ")]
    assert project.shown("stocks/availability")["AAPL.NASDAQ"].metadata["sessions_in_gaps"].value == 1


def test_a_dropped_spec_becomes_a_partition_and_a_broken_one_stops_nothing(sensor: Sensor, project: Project) -> None:
    specs = project.root / "backtests"
    (specs / "dropped.yaml").write_text((specs / "cross.yaml").read_text().replace("name: cross", "name: dropped"))
    (specs / "a|b.yaml").write_text("name: x")
    (specs / "broken.yaml").write_text("name: [")
    assert sensor.tick() == []
    assert set(project.instance.get_dynamic_partitions("backtests")) == {"cross", "other", "dropped", "broken"}
    replace_session(project, "AAPL.NASDAQ", "2024-01-10")
    assert sensor.settle() == [("stocks_availability", "AAPL.NASDAQ to AAPL.NASDAQ"), ("backtest", "cross"), ("backtest", "dropped")]


def test_bars_that_were_stored_before_a_universe_had_them_get_their_availability(sensor: Sensor, project: Project) -> None:
    """A universe that is written later, and is known to Dagster later still: nothing of the bars changes then."""
    path = project.root / "watchlist.yaml"
    later = path.read_text().partition("universes:")[2].replace("stocks:", "later:", 1)
    path.write_text(f"{path.read_text()}{later}")
    with started(project.root) as again:
        reloaded = Sensor(again)
        reloaded.cursor = sensor.cursor
        assert reloaded.settle() == [], "its instruments are no partitions yet"
        assert again.run("watchlist_partitions").success
        assert reloaded.settle() == [("later_availability", "AAPL.NASDAQ to MSFT.NASDAQ")]
        assert reloaded.settle() == []


@tries("refresh", Situation.FAULT)
def test_a_catalog_that_cannot_be_read_is_said_and_nothing_is_forgotten(sensor: Sensor, project: Project) -> None:
    replace_session(project, "AAPL.NASDAQ", "2024-01-10")
    sensor.tick()
    before = sensor.cursor
    with unreadable_ledger(project):
        assert sensor.tick() == []
        assert "cannot be read" in sensor.said
        assert sensor.cursor in (None, before), "none leaves what the daemon kept"
    sensor.cursor = before
    assert ("backtest", "cross") in sensor.settle()


def test_a_series_is_ready_once_it_has_been_still_for_a_tick() -> None:
    ready, seen = look(Seen({"A": "1"}), {"A": "2", "B": "1"}, set(), 100.0)
    assert (ready, dict(seen.waiting)) == ([], {"A": 100.0, "B": 100.0})
    ready, seen = look(seen, {"A": "2", "B": "2"}, set(), 130.0)
    assert (ready, dict(seen.waiting)) == (["A"], {"B": 100.0})
    ready, seen = look(seen, {"A": "2"}, {"B"}, 160.0)
    assert (ready, dict(seen.waiting)) == ([], {"B": 100.0}), "it vanished just now"
    assert look(seen, {"A": "2"}, {"B"}, 160.0 + 3_600)[0] == ["B"], "nothing is held back for longer than an hour"
