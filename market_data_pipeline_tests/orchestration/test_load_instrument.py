"""The whole chain for one instrument. January 2024 had 21 NYSE sessions of 78 five-minute bars (NYSE holiday calendar 2024)."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from market_data_pipeline.domain.errors import MarketDataError
from market_data_pipeline.orchestration.load_instrument import LoadInstrument, chain_of
from market_data_pipeline.orchestration.partitions import UniversePartitions
from market_data_pipeline.watchlist import read_watchlist
from market_data_pipeline_tests.orchestration.conftest import JANUARY, Project, write_csv, write_project
from market_data_pipeline_tests.orchestration.test_bars import BARS, failure_of
from market_data_pipeline_tests.orchestration.test_jobs import execute

FIELDS = {"fetched_bars", "gaps_analyzed", "segments_fetched", "requests_made", "cached_before", "failed_segments"}


def universes(project: Project) -> list[UniversePartitions]:
    watchlist = read_watchlist(project.root / "watchlist.yaml")
    return [UniversePartitions.of(name, universe) for name, universe in watchlist.universes.items()]


def load(project: Project, **config: object) -> dg.ExecuteInProcessResult:
    """Run the job as the launchpad does."""
    job = project.definitions.resolve_job_def("load_instrument")
    return job.execute_in_process(run_config=config, instance=project.instance, raise_on_error=False)


def fields(result: dg.ExecuteInProcessResult) -> dict[str, object]:
    """Return the metadata of the output of the step that loads."""
    (event,) = [event for event in result.all_events if event.is_successful_output and event.step_key == "sessions"]
    return {name: value.value for name, value in event.step_output_data.metadata.items()}


def test_one_run_makes_the_whole_chain_and_shows_each_session(project: Project) -> None:
    result = load(project, instrument="AAPL.NASDAQ", backtest="cross")
    assert result.success
    told = fields(result)
    assert told.keys() >= FIELDS
    assert {name: told[name] for name in FIELDS - {"failed_segments"}} == {
        "fetched_bars": 21 * 78,
        "gaps_analyzed": 1,
        "segments_fetched": 21,
        "requests_made": 1,
        "cached_before": 0,
    }
    shown = project.shown(BARS)
    assert len(shown) == 21
    assert {one.metadata["outcome"].value for one in shown.values()} == {"stored now"}
    assert list(project.shown("stocks/instruments")) == list(project.shown("stocks/availability")) == ["AAPL.NASDAQ"]
    assert "passport" in project.shown("backtests/from_spec")["cross"].metadata
    checks = {evaluation.check_name: evaluation.passed for evaluation in result.get_asset_check_evaluations()}
    assert checks == dict.fromkeys(["bar_schema", "ohlc_order", "no_duplicates", "instrument_present"], True) | {"calendar_complete": False}


def test_a_range_that_is_stored_is_asked_for_once(project: Project) -> None:
    wanted = {"instrument": "AAPL.NASDAQ", "universe": "stocks", "start": "2024-01-04", "end": "2024-01-06"}
    assert load(project, **wanted).success
    again = load(project, **wanted)
    assert again.success
    assert (fields(again)["cached_before"], fields(again)["requests_made"]) == (2, 0)
    assert sorted(project.shown(BARS)) == ["2024-01-04|AAPL.NASDAQ", "2024-01-05|AAPL.NASDAQ"]


def test_sessions_that_could_not_be_had_fail_the_run_after_the_others_are_stored_and_shown(project: Project) -> None:
    write_csv(project.root / "csv" / "AAPL.NASDAQ-5-MINUTE-LAST.csv", "AAPL.NASDAQ", JANUARY, without=(dt.date(2024, 1, 17),))
    result = load(project, instrument="AAPL.NASDAQ", backtest="cross")
    assert not result.success
    message = failure_of(result)
    assert "1 of 21 sessions could not be had; 20 are stored and stay" in message
    assert "2024-01-17" in message
    assert len(project.shown(BARS)) == 20
    assert project.shown("stocks/availability")["AAPL.NASDAQ"].metadata["sessions_in_gaps"].value == 1
    assert project.shown("backtests/from_spec") == {}
    (failed,) = fields(result)["failed_segments"].records  # type: ignore[attr-defined]
    assert failed.data["session"] == "2024-01-17"


def test_a_source_that_is_not_there_fails_the_run_with_its_own_words(project: Project) -> None:
    (project.root / "csv" / "AAPL.NASDAQ-5-MINUTE-LAST.csv").unlink()
    assert "csv/AAPL.NASDAQ-5-MINUTE-LAST.csv" in failure_of(load(project, instrument="AAPL.NASDAQ"))


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"instrument": "GOOGL.NASDAQ"}, "'GOOGL.NASDAQ' is no instrument of the universes stocks"),
        ({"instrument": "AAPL.NASDAQ", "universe": "bonds"}, "the watchlist has no 'bonds'. It has stocks"),
        ({"instrument": "AAPL.NASDAQ", "start": "02.01.2024"}, "02.01.2024"),
        ({"instrument": "AAPL.NASDAQ", "start": "2024-01-31", "end": "2024-01-02"}, "start 2024-01-31 lies after end 2024-01-02"),
        ({"instrument": "AAPL.NASDAQ", "start": "2024-01-13", "end": "2024-01-15"}, "No session of stocks lies between 2024-01-13 and 2024-01-15"),
        ({"instrument": "AAPL.NASDAQ", "start": "2024-03-01"}, "It holds sessions from 2024-01-02 to 2024-01-31"),
        ({"instrument": "AAPL.NASDAQ", "bars": ["1-DAY-LAST"]}, "stocks has no 1-DAY-LAST. It has 5-MINUTE-LAST"),
        ({"instrument": "AAPL.NASDAQ", "backtest": "nope"}, "there is no spec 'nope' in backtests/. There are: cross"),
    ],
)
def test_what_cannot_be_meant_is_said_before_anything_is_done(tmp_path: Path, config: dict[str, object], said: str) -> None:
    write_project(tmp_path)
    watchlist = read_watchlist(tmp_path / "watchlist.yaml")
    with pytest.raises(MarketDataError) as raised:
        chain_of([UniversePartitions.of("stocks", watchlist.universes["stocks"])], ["cross"], LoadInstrument.model_validate(config))
    assert said in str(raised.value)


def test_the_run_says_it_in_one_message(project: Project) -> None:
    assert failure_of(load(project, instrument="GOOGL.NASDAQ")).startswith("InvalidPartition: 'GOOGL.NASDAQ' is no instrument")


def test_the_command_line_loads_with_one_command(project: Project) -> None:
    if "load_instrument" not in {job.name for job in project.definitions.jobs or ()}:
        pytest.skip("the job is not assembled yet")
    config = {"instrument": "AAPL.NASDAQ", "start": "2024-01-04", "end": "2024-01-05"}
    (project.root / "load.json").write_text(json.dumps(config))
    ended = execute(project, "load_instrument", project.root / "home", "-c", str(project.root / "load.json"))
    assert ended.returncode == 0, ended.stderr[-2000:]
    assert len(project.catalog.sessions(project.catalog.series()[0])) == 2


def test_a_bars_run_shows_the_fields_of_its_result_too(project: Project) -> None:
    result = project.run("stocks_bars", "2024-01-04|AAPL.NASDAQ", "2024-01-05|MSFT.NASDAQ")
    (event,) = [event for event in result.all_events if event.event_type_value == "ASSET_OBSERVATION"]
    told: dict[str, Any] = {name: value.value for name, value in event.asset_observation_data.asset_observation.metadata.items()}
    assert told.keys() == FIELDS
    assert (told["fetched_bars"], told["segments_fetched"], told["failed_segments"].records) == (4 * 78, 4, [])
