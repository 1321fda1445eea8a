"""What is new in the watchlist or in backtests/ becomes partitions; a broken file changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest

from market_data_pipeline.orchestration.automation.places import Places
from market_data_pipeline.orchestration.automation.watchlist_sync import needs_reload, watchlist_sensor
from market_data_pipeline.watchlist import read_watchlist
from market_data_pipeline_tests.orchestration.automation.situations import Situation, tries
from market_data_pipeline_tests.orchestration.conftest import Project, opened, started, write_project

_NEW_UNIVERSE = """
  fresh:
    calendar: FX
    start: 2024-01-02
    bars: ["15-MINUTE-MID"]
    instruments: ["EUR/USD.IDEALPRO"]
    source: ibkr
"""

Tick = Callable[[], str]
Asked = list[dg.AddDynamicPartitionsRequest]


def places_of(project: Project) -> Places:
    root = project.root
    return Places(root / "catalog", root / "watchlist.yaml", root / "backtests", root / "inbox", root / "results", root / "strategies.yaml")


def evaluate(project: Project) -> tuple[str, Asked]:
    """Evaluate the sensor as a process does that has just loaded the code; return what it says, and what it asks for."""
    sensor = watchlist_sensor(read_watchlist(project.root / "watchlist.yaml"), places_of(project))
    return evaluated(sensor, project)


def evaluated(sensor: dg.SensorDefinition, project: Project) -> tuple[str, Asked]:
    with dg.build_sensor_context(project.instance) as context:
        data = sensor.evaluate_tick(context)
    assert not data.run_requests
    asked = list(data.dynamic_partitions_requests or [])
    assert all(isinstance(request, dg.AddDynamicPartitionsRequest) for request in asked)
    return str(data.skip_message), asked  # type: ignore[return-value]  # as asserted


def add(project: Project, asked: Asked) -> None:
    """Do what a tick asks for, as the daemon does."""
    for request in asked:
        project.instance.add_dynamic_partitions(request.partitions_def_name, list(request.partition_keys))


@pytest.fixture
def tick(project: Project) -> Tick:
    """Evaluate the sensor as it was loaded, do what it asks as the daemon would, and return what it says."""
    sensor = watchlist_sensor(read_watchlist(project.root / "watchlist.yaml"), places_of(project))

    def evaluate() -> str:
        said, asked = evaluated(sensor, project)
        add(project, asked)
        return said

    return evaluate


def edit(project: Project, old: str, new: str) -> None:
    path = project.root / "watchlist.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def instruments(project: Project, universe: str = "stocks") -> list[str]:
    return list(project.instance.get_dynamic_partitions(f"{universe}_instruments"))


@tries("watchlist_sync", Situation.FIRST_TICK)
def test_the_first_tick_of_a_new_home_makes_partitions_of_all_that_is_written(tmp_path: Path) -> None:
    write_project(tmp_path)
    with started(tmp_path) as project:
        said, asked = evaluate(project)
        assert said == "stocks: AAPL.NASDAQ, MSFT.NASDAQ became partitions. backtests: cross became partitions."
        add(project, asked)
        assert instruments(project) == ["AAPL.NASDAQ", "MSFT.NASDAQ"]


@tries("watchlist_sync", Situation.TWICE)
def test_what_two_ticks_ask_for_is_added_once(project: Project) -> None:
    """The daemon died after the tick and before it added what was asked for, and another tick asks for the same."""
    edit(project, '"MSFT.NASDAQ"]', '"MSFT.NASDAQ", "AMZN.NASDAQ"]')
    first, again = evaluate(project)[1], evaluate(project)[1]
    assert [request.partition_keys for request in first] == [request.partition_keys for request in again] == [["AMZN.NASDAQ"]]
    add(project, first)
    add(project, again)
    assert instruments(project) == ["AAPL.NASDAQ", "MSFT.NASDAQ", "AMZN.NASDAQ"]


@tries("watchlist_sync", Situation.RESTART)
def test_what_was_written_while_nothing_ran_becomes_a_partition_after_the_start(tmp_path: Path) -> None:
    write_project(tmp_path)
    with opened(tmp_path) as project:
        assert evaluate(project) == ("Nothing is new.", [])
    edit(project, '"MSFT.NASDAQ"]', '"MSFT.NASDAQ", "AMZN.NASDAQ"]')
    with started(tmp_path) as project:
        said, asked = evaluate(project)
        assert said == "stocks: AMZN.NASDAQ became partitions."
        add(project, asked)
        assert evaluate(project) == ("Nothing is new.", [])


@tries("watchlist_sync", Situation.NOTHING_TO_DO)
def test_nothing_new_is_said_and_changes_nothing(project: Project, tick: Tick) -> None:
    assert tick() == "Nothing is new."
    assert instruments(project) == ["AAPL.NASDAQ", "MSFT.NASDAQ"]


@tries("watchlist_sync", Situation.NEW_WORK)
def test_a_new_instrument_becomes_a_partition_once(project: Project, tick: Tick) -> None:
    edit(project, '"MSFT.NASDAQ"]', '"MSFT.NASDAQ", "AMZN.NASDAQ", "GOOGL.NASDAQ"]')
    assert tick() == "stocks: AMZN.NASDAQ, GOOGL.NASDAQ became partitions."
    assert instruments(project) == ["AAPL.NASDAQ", "MSFT.NASDAQ", "AMZN.NASDAQ", "GOOGL.NASDAQ"]
    assert tick() == "Nothing is new."


def test_an_instrument_that_left_the_file_keeps_its_partition(project: Project, tick: Tick) -> None:
    edit(project, ', "MSFT.NASDAQ"]', "]")
    assert tick() == "Nothing is new. stocks: MSFT.NASDAQ left the files; partitions and data stay."
    assert instruments(project) == ["AAPL.NASDAQ", "MSFT.NASDAQ"]


def test_a_backtest_spec_dropped_into_the_folder_becomes_a_partition(project: Project, tick: Tick) -> None:
    (project.root / "backtests" / "second.yaml").write_text((project.root / "backtests" / "cross.yaml").read_text())
    assert tick() == "backtests: second became partitions."
    assert project.instance.get_dynamic_partitions("backtests") == ["cross", "second"]


@tries("watchlist_sync", Situation.FAULT)
def test_a_broken_watchlist_leaves_the_last_good_state_and_names_the_line_until_it_is_mended(project: Project, tick: Tick) -> None:
    edit(project, '"MSFT.NASDAQ"]', '"MSFT.NASDAQ", "AMZN.NASDAQ"]')
    edit(project, "calendar: NYSE", "calender: NYSE")
    said = tick()
    assert said.startswith("The watchlist is broken; what it said before holds until it is mended.")
    assert f"{project.root / 'watchlist.yaml'}, line 5: universes.stocks.calender: is no key known here" in said
    assert instruments(project) == ["AAPL.NASDAQ", "MSFT.NASDAQ"]
    edit(project, "calender: NYSE", "calendar: NYSE")
    assert tick() == "stocks: AMZN.NASDAQ became partitions."


def test_a_watchlist_that_is_gone_is_said_and_changes_nothing(project: Project, tick: Tick) -> None:
    (project.root / "watchlist.yaml").unlink()
    assert "There is no file" in tick()
    assert instruments(project) == ["AAPL.NASDAQ", "MSFT.NASDAQ"]


def test_a_new_universe_gets_its_partitions_and_asks_for_a_reload(project: Project, tick: Tick) -> None:
    path = project.root / "watchlist.yaml"
    path.write_text(path.read_text() + _NEW_UNIVERSE)
    assert tick() == ("fresh: EUR/USD.IDEALPRO became partitions. universe fresh is new: click Reload definitions (Deployment, Code locations).")
    assert instruments(project, "fresh") == ["EUR/USD.IDEALPRO"]
    assert tick() == "Nothing is new. universe fresh is new: click Reload definitions (Deployment, Code locations)."


def test_partitions_that_somebody_wiped_come_back(project: Project, tick: Tick) -> None:
    project.instance.delete_dynamic_partition("stocks_instruments", "MSFT.NASDAQ")
    assert tick() == "stocks: MSFT.NASDAQ became partitions."


def test_what_is_built_when_the_code_is_loaded_asks_for_a_reload(tmp_path: Path, project: Project) -> None:
    loaded = read_watchlist(project.root / "watchlist.yaml").universes
    edit(project, "start: 2024-01-02", "start: 2023-06-01")
    edit(project, '"5-MINUTE-LAST"', '"5-MINUTE-LAST", "1-DAY-LAST"')
    assert needs_reload(loaded, read_watchlist(project.root / "watchlist.yaml").universes) == ["start, bars of universe stocks changed"]


def test_the_sensor_is_on_from_the_start(project: Project) -> None:
    """It reads files and adds partitions; it launches nothing."""
    sensor = watchlist_sensor(read_watchlist(project.root / "watchlist.yaml"), places_of(project))
    assert sensor.default_status is dg.DefaultSensorStatus.RUNNING
