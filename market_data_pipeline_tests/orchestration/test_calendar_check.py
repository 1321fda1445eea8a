"""The job `calendar_against_broker`, over a simulated gateway whose schedule is another one on one date; and Dagster's days follow an override."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from market_data_pipeline.orchestration.calendar_check import SCHEDULE
from market_data_pipeline_tests.gateway import start_gateway
from market_data_pipeline_tests.orchestration.brokered import brokered_project
from market_data_pipeline_tests.orchestration.conftest import WATCHLIST, Project
from market_data_pipeline_tests.orchestration.test_bars import failure_of

_UNIVERSES = """
  brokered:
    calendar: NYSE
    start: 2024-05-01
    end: 2024-05-31
    bars: ["5-MINUTE-LAST"]
    instruments: ["NVDA.NASDAQ", "AAPL.NASDAQ"]
    source: ibkr
    hours: rth
  pairs:
    calendar: FX
    start: 2024-05-01
    end: 2024-05-31
    bars: ["1-HOUR-MID"]
    instruments: ["EUR/USD.IDEALPRO"]
    source: ibkr
"""


@pytest.fixture
def brokered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    monkeypatch.setenv("MDP_CALENDAR_OVERRIDES", str(tmp_path / "overrides.yaml"))
    flags = ("--no-pacing", "--now", "2024-06-03T20:30Z", "--fault", "schedule/NVDA:*=early-close:2024-05-24")
    with start_gateway(tmp_path / "gateway", *flags) as gateway, brokered_project(tmp_path, gateway, WATCHLIST + _UNIVERSES) as project:
        yield project


def compare(project: Project, **config: object) -> dg.ExecuteInProcessResult:
    return project.run("calendar_against_broker", config={"ops": {"compared": {"config": config}}})


def test_a_difference_fails_the_run_with_both_values_and_the_command(brokered: Project) -> None:
    said = failure_of(compare(brokered))
    assert "The calendar NYSE differs from IBKR's schedule of NVDA.NASDAQ on 1 date (2024-05-24: ours 09:30 to 16:00, IBKR 09:30 to 13:00)." in said
    assert "mdp calendar check NVDA.NASDAQ --start 2024-05-04 --end 2024-06-02 --write" in said
    assert "FX" not in said


def test_what_is_the_same_is_told_as_that(brokered: Project) -> None:
    result = compare(brokered, instruments=["AAPL.NASDAQ", "EUR/USD.IDEALPRO"], days=60)
    assert result.success
    (output,) = [event for event in result.all_node_events if event.is_successful_output]
    assert output.step_output_data.metadata["calendars"].value == 2


def test_an_override_is_honoured_by_partitions_and_by_the_next_look(brokered: Project, tmp_path: Path) -> None:
    (tmp_path / "overrides.yaml").write_text(
        "calendars:\n  NYSE:\n    closed:\n      2024-05-30: an example\n    sessions:\n"
        '      2024-05-24: {open: "09:30", close: "13:00", reason: early}\n'
    )
    assert "2024-05-24" not in failure_of(compare(brokered))
    refused = brokered.run("brokered_bars", "2024-05-30|NVDA.NASDAQ")
    assert not refused.success
    definition = brokered.definitions.resolve_assets_def(dg.AssetKey(["brokered", "bars_5_minute_last"])).partitions_def
    assert definition is not None
    keys = {str(key).split("|")[0] for key in definition.get_partition_keys(dynamic_partitions_store=brokered.instance)}
    assert "2024-05-29" in keys
    assert "2024-05-30" not in keys


def test_the_weekly_schedule_is_off(brokered: Project) -> None:
    schedule = brokered.definitions.resolve_schedule_def(SCHEDULE)
    assert (schedule.default_status, schedule.job_name) == (dg.DefaultScheduleStatus.STOPPED, "calendar_against_broker")


def test_an_instrument_of_no_universe_of_the_broker_is_told(brokered: Project) -> None:
    assert "No universe that asks the broker has MSFT.NASDAQ" in failure_of(compare(brokered, instruments=["MSFT.NASDAQ"]))
