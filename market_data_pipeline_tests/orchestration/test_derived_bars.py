"""Hours of two stocks derived from their five-minute bars, in the page: which run stores them, when, and what is done when the finer ones change."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.orchestration.automation.after_close import after_close_schedules
from market_data_pipeline.orchestration.automation.gap_filler import gap_filler_sensor
from market_data_pipeline.orchestration.automation.watchlist_loads import Seen, plan_loads
from market_data_pipeline.orchestration.job_names import asking_jobs
from market_data_pipeline.orchestration.universe import universe_parts
from market_data_pipeline.watchlist import read_watchlist
from market_data_pipeline_tests.orchestration.automation.test_refresh import Sensor, replace_session
from market_data_pipeline_tests.orchestration.conftest import Project, opened, places_of, write_project

HOURS = Series.of("AAPL.NASDAQ", "1-HOUR-LAST")
_BARS = 'bars: ["5-MINUTE-LAST", "1-HOUR-LAST from 5-MINUTE-LAST", "1-WEEK-LAST from 1-HOUR-LAST"]'
EVERYTHING = ("2024-01-02|AAPL.NASDAQ", "2024-01-31|MSFT.NASDAQ")
ASSET = "stocks/bars_1_hour_last"


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    write_project(tmp_path)
    watchlist = tmp_path / "watchlist.yaml"
    watchlist.write_text(watchlist.read_text().replace('bars: ["5-MINUTE-LAST"]', _BARS))
    with opened(tmp_path) as project:
        assert project.run("stocks_instruments", "AAPL.NASDAQ", "MSFT.NASDAQ").success
        yield project


def test_what_is_derived_stands_downstream_of_what_it_is_derived_from_session_by_session(project: Project) -> None:
    graph = project.definitions.resolve_asset_graph()
    node = graph.get(dg.AssetKey(ASSET.split("/")))
    finer = dg.AssetKey(["stocks", "bars_5_minute_last"])
    assert finer in node.parent_keys
    assert isinstance(node.partition_mappings[finer], dg.IdentityPartitionMapping)
    assert project.definitions.resolve_job_def("stocks_derived_bars").asset_layer.selected_asset_keys == {node.key}


def test_a_run_derives_the_sessions_whose_finer_ones_are_whole_and_names_the_others(project: Project) -> None:
    """78 five-minute bars from 09:30 are 7 hours: the first of half an hour."""
    assert project.run("stocks_bars", *EVERYTHING).success
    file = next(project.catalog.layout.series_folder(Series.of("AAPL.NASDAQ", "5-MINUTE-LAST")).glob("2024-01-10*"))
    file.unlink()
    result = project.run("stocks_derived_bars", *EVERYTHING)
    assert not result.success
    (failure,) = [event for event in result.all_events if event.event_type_value == "STEP_FAILURE"]
    message = str(failure.step_failure_data.error)
    assert "AAPL.NASDAQ 2024-01-10: its 5-MINUTE-LAST session is missing; load that first: mdp import-csv FILE" in message
    assert [row.rows for row in project.catalog.sessions(HOURS)] == [7] * 20
    shown = project.shown(ASSET)
    assert len(shown) == 41  # 21 sessions of MSFT, 20 of AAPL
    source = str(shown["2024-01-09|AAPL.NASDAQ"].metadata["source"].value)
    assert source.startswith("derived: 1-HOUR-LAST from 5-MINUTE-LAST (fingerprint ")


def test_the_sensor_derives_what_was_loaded_and_anew_what_was_replaced_and_nothing_twice(project: Project) -> None:
    sensor = Sensor(project)
    assert project.run("stocks_bars", *EVERYTHING).success
    launched = sensor.settle()
    assert ("stocks_derived_bars", " to ".join(EVERYTHING)) in launched
    before = {row.session: row.fingerprint for row in project.catalog.sessions(HOURS)}
    assert len(before) == 21
    # The weeks of the hours follow the hours: 2024-01-02 to 01-05 is a week of four days; the last of January ends on 2024-02-02 and is not over.
    weeks = [job for job, _ in sensor.settle()]
    assert "stocks_bars_1_week_last" in weeks
    assert [str(row.session) for row in project.catalog.sessions(Series.of("AAPL.NASDAQ", "1-WEEK-LAST"))] == [
        *("2024-01-05", "2024-01-12", "2024-01-19", "2024-01-26")
    ]
    sensor.settle()
    assert sensor.settle() == []
    replace_session(project, "AAPL.NASDAQ", "2024-01-10")
    assert ("stocks_derived_bars", "2024-01-10|AAPL.NASDAQ to 2024-01-10|AAPL.NASDAQ") in sensor.settle()
    after = {row.session: row.fingerprint for row in project.catalog.sessions(HOURS)}
    assert {session for session in after if after[session] != before[session]} == {dt.date(2024, 1, 10)}


def test_no_schedule_and_no_gap_filler_asks_for_derived_bars(project: Project) -> None:
    watchlist = read_watchlist(project.root / "watchlist.yaml")
    parts = [universe_parts(watchlist, "stocks")]
    assert [schedule.name for schedule in after_close_schedules(watchlist, parts)] == ["stocks_after_close"]
    assert asking_jobs(parts[0].partitions) == {"stocks_bars": ["5-MINUTE-LAST"]}
    loads = plan_loads(parts, watchlist, project.catalog, Seen(), lambda: "")
    assert {history.job for history in loads.histories} == {"stocks_bars"}
    late = time.time_ns() + 60 * 10**9  # its files have come to rest
    filler = gap_filler_sensor(watchlist, parts, places_of(project.root), clock=lambda: late)
    context = dg.build_sensor_context(project.instance, repository_def=project.definitions.get_repository_def())
    requests = filler.evaluate_tick(context).run_requests or []
    assert {key.to_user_string() for request in requests for key in request.asset_selection or ()} == {"stocks/bars_5_minute_last"}


@pytest.mark.slow
def test_bars_that_are_declared_later_are_derived_from_what_is_stored(tmp_path: Path) -> None:
    write_project(tmp_path)
    with opened(tmp_path) as before:
        assert before.run("stocks_instruments", "AAPL.NASDAQ", "MSFT.NASDAQ").success
        assert before.run("stocks_bars", *EVERYTHING).success
        old = Sensor(before)
        old.settle()
    watchlist = tmp_path / "watchlist.yaml"
    watchlist.write_text(watchlist.read_text().replace('bars: ["5-MINUTE-LAST"]', _BARS))
    with opened(tmp_path) as project:
        sensor = Sensor(project)
        sensor.cursor = old.cursor
        assert ("stocks_derived_bars", " to ".join(EVERYTHING)) in sensor.settle()


def test_the_whole_chain_of_one_instrument_derives_after_it_has_loaded(project: Project) -> None:
    config: dict[str, object] = {"instrument": "AAPL.NASDAQ", "bars": ["1-HOUR-LAST", "5-MINUTE-LAST"], "end": "2024-01-05"}
    assert project.run("load_instrument", config=config).success
    assert [row.rows for row in project.catalog.sessions(HOURS)] == [7] * 4
