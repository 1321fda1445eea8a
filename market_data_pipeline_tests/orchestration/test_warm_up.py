"""What strategies need is brought into the catalog before the open: on stored bars, and over a simulated gateway in a process of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline_tests.gateway import RunningGateway, start_gateway
from market_data_pipeline_tests.orchestration.brokered import brokered_project
from market_data_pipeline_tests.orchestration.conftest import WATCHLIST, Project
from market_data_pipeline_tests.orchestration.test_bars import failure_of
from market_data_pipeline_tests.orchestration.test_jobs import execute

NVDA = Series.of("NVDA.NASDAQ", "5-MINUTE-LAST")
BARS = "brokered/bars_5_minute_last"
_UNIVERSE = """
  brokered:
    calendar: NYSE
    start: 2024-01-02
    end: 2024-01-31
    bars: ["5-MINUTE-LAST"]
    instruments: ["NVDA.NASDAQ"]
    source: ibkr
    hours: rth
"""
_STORED = """
warm_up: {buffer: 1.2, sources: [catalog]}
strategies:
  - name: slow
    series: ["AAPL.NASDAQ-5-MINUTE-LAST-EXTERNAL"]
    bars: 260
  - name: fast
    series: ["AAPL.NASDAQ-5-MINUTE-LAST-EXTERNAL", "MSFT.NASDAQ-5-MINUTE-LAST-EXTERNAL"]
    bars: 20
"""
_ASKED = """
warm_up: {time_limit_s: 20}
strategies:
  - name: cross
    series: ["NVDA.NASDAQ-5-MINUTE-LAST-EXTERNAL"]
    bars: 100
  - name: wrong
    series: ["NOSUCH.NASDAQ-5-MINUTE-LAST-EXTERNAL"]
    bars: 10
"""


def warm_up(project: Project, file: str | None = None, **config: object) -> dg.ExecuteInProcessResult:
    if file is not None:
        (project.root / "strategies.yaml").write_text(file)
    return project.run("warm_up", config={"ops": {"live__warm_up": {"config": config}}})


def told(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    assert result.success
    (event,) = [one for one in result.asset_materializations_for_node("live__warm_up") if one.asset_key == dg.AssetKey(["live", "warm_up"])]
    return {name: value.value for name, value in event.metadata.items()}


def check(result: dg.ExecuteInProcessResult) -> dg.AssetCheckEvaluation:
    (evaluation,) = result.get_asset_check_evaluations()
    assert (evaluation.check_name, evaluation.severity, evaluation.blocking) == ("warm_enough", dg.AssetCheckSeverity.ERROR, False)
    return evaluation


def lacking(result: dg.ExecuteInProcessResult) -> list[dict[str, Any]]:
    value: Any = check(result).metadata["lacking"].value
    return [record.data for record in value.records]


def test_what_is_stored_is_enough_and_nobody_is_asked(project: Project) -> None:
    """At 9:00 in New York on 31 January, 20 sessions of 78 bars have ended (NYSE holiday calendar 2024); 260 times 1.2 is 312."""
    assert project.run("stocks_bars", "2024-01-02|AAPL.NASDAQ", "2024-01-31|MSFT.NASDAQ").success
    result = warm_up(project, _STORED, as_of="2024-01-31T14:00:00Z")
    facts = told(result)
    assert (facts["strategies"], facts["series"], facts["needs"], facts["needs_met"], facts["requests_made"]) == (2, 2, 3, 3, 0)
    assert facts["summary"] == "2 strategies warm: 3 needs, each with enough bars in the catalog."
    header, _, *lines = facts["warm_up"].splitlines()
    assert header == "| strategy | series | needed | wanted | at hand | stored before | asked for | newest bar closed | outcome |"
    assert lines == [
        "| slow | AAPL.NASDAQ-5-MINUTE-LAST-EXTERNAL | 260 | 312 | 312 | 312 | 0 | 2024-01-30 21:00:00 UTC | enough |",
        "| fast | AAPL.NASDAQ-5-MINUTE-LAST-EXTERNAL | 20 | 24 | 312 | 312 | 0 | 2024-01-30 21:00:00 UTC | enough |",
        "| fast | MSFT.NASDAQ-5-MINUTE-LAST-EXTERNAL | 20 | 24 | 24 | 24 | 0 | 2024-01-30 21:00:00 UTC | enough |",
    ]
    assert check(result).passed


def test_a_hole_before_the_open_fails_the_check_with_the_command_that_mends_it(project: Project) -> None:
    """The night before 1 February: the session of 31 January is not stored."""
    assert project.run("stocks_bars", "2024-01-02|AAPL.NASDAQ", "2024-01-30|AAPL.NASDAQ").success
    result = warm_up(project, _STORED, as_of="2024-02-01T01:00:00Z", strategies=["slow"])
    assert told(result)["needs_met"] == 0
    assert not check(result).passed
    assert check(result).description == "1 of 1 need lacks bars: slow (AAPL.NASDAQ-5-MINUTE-LAST-EXTERNAL)."
    (row,) = lacking(result)
    assert (row["strategy"], row["series"], row["lacks"]) == ("slow", "AAPL.NASDAQ-5-MINUTE-LAST-EXTERNAL", 260)
    assert row["why"].startswith("A hole of ")
    assert row["command"] == "mdp warmup AAPL.NASDAQ 5-MINUTE-LAST --bars 260 --load"


def test_a_warm_up_that_is_off_asks_nobody_and_says_so(project: Project) -> None:
    result = warm_up(project, _STORED.replace("{buffer: 1.2,", "{enabled: false,"))
    assert told(result)["summary"].startswith("Warm-up is off (enabled: false in ")
    assert check(result).passed


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"strategies": ["quick"]}, "ConfigurationError: No strategy quick is in the strategies' file. It has slow, fast."),
        ({"calendars": ["FX"]}, "ConfigurationError: No calendar FX is in the strategies' file. It has NYSE."),
        ({"as_of": "2024-01-31"}, "ConfigurationError: as_of: '2024-01-31' is no instant. Write date, time and zone"),
        ({"as_of": "soon"}, "ConfigurationError: as_of: 'soon' is no instant. Write date, time and zone"),
    ],
)
def test_what_cannot_be_meant_is_one_message(project: Project, config: dict[str, object], said: str) -> None:
    assert failure_of(warm_up(project, _STORED, **config)).startswith(said)


def test_without_a_file_of_strategies_the_run_says_how_to_write_one(project: Project) -> None:
    assert "Write one (docs/live.md), or name it: MDP_STRATEGIES." in failure_of(warm_up(project))


def test_the_command_line_rehearses_on_stored_bars(project: Project) -> None:
    assert project.run("stocks_bars", "2024-01-02|AAPL.NASDAQ", "2024-01-31|MSFT.NASDAQ").success
    (project.root / "strategies.yaml").write_text(_STORED)
    config = project.root / "rehearsal.json"
    config.write_text(json.dumps({"ops": {"live__warm_up": {"config": {"as_of": "2024-01-31T14:00:00Z"}}}}))
    ended = execute(project, "warm_up", project.root / "home", "-c", str(config))
    assert ended.returncode == 0, ended.stderr[-2000:]
    assert "2 strategies warm: 3 needs, each with enough bars in the catalog." in ended.stderr
    config.write_text(json.dumps({"ops": {"live__warm_up": {"config": {"as_of": "today"}}}}))
    refused = execute(project, "warm_up", project.root / "home", "-c", str(config))
    assert refused.returncode != 0
    assert "as_of: 'today' is no instant" in refused.stdout + refused.stderr
    assert "Traceback" not in refused.stdout + refused.stderr


# Over a gateway whose clock shows 9:00 in New York on Thursday, 2024-01-11, and stays so.


@pytest.fixture(scope="module")
def nine_o_clock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    with start_gateway(tmp_path_factory.mktemp("nine"), "--no-pacing", "--now", "2024-01-11T14:00Z", "--speed", "0") as running:
        yield running


@pytest.fixture
def brokered(tmp_path: Path, nine_o_clock: RunningGateway) -> Iterator[Project]:
    with brokered_project(tmp_path, nine_o_clock, WATCHLIST + _UNIVERSE) as project:
        yield project


def test_what_is_missing_is_asked_for_once_and_shown_at_its_bars(brokered: Project, nine_o_clock: RunningGateway) -> None:
    """100 times 1.2 bars are the two sessions before, of 78 each: 9 and 10 January."""
    before = int(nine_o_clock.statistics()["historical"]["total"])
    result = warm_up(brokered, _ASKED, strategies=["cross"])
    facts = told(result)
    assert (facts["bars_asked_for"], facts["bars_at_hand"], facts["requests_made"], facts["sessions_shown"]) == (120, 120, 1, 2)
    assert check(result).passed
    assert sorted(brokered.shown(BARS)) == ["2024-01-09|NVDA.NASDAQ", "2024-01-10|NVDA.NASDAQ"]
    assert [row.rows for row in brokered.catalog.sessions(NVDA)] == [78, 78]
    assert int(nine_o_clock.statistics()["historical"]["total"]) - before == 1

    again = warm_up(brokered, strategies=["cross"])
    assert (told(again)["requests_made"], told(again)["bars_asked_for"], told(again)["sessions_shown"]) == (0, 0, 0)
    assert "| 120 | 120 | 0 | 2024-01-10 21:00:00 UTC | enough |" in told(again)["warm_up"]
    assert int(nine_o_clock.statistics()["historical"]["total"]) - before == 1


def test_a_series_that_the_broker_does_not_have_does_not_stop_the_others(brokered: Project) -> None:
    result = warm_up(brokered, _ASKED)
    assert told(result)["needs_met"] == 1
    (row,) = lacking(result)
    assert (row["strategy"], row["lacks"]) == ("wrong", 10)
    assert "IBKR lists no contract for NOSUCH.NASDAQ" in row["why"]
    assert row["command"] == "mdp warmup NOSUCH.NASDAQ 5-MINUTE-LAST --bars 10 --load"


def test_a_gateway_that_is_down_fails_the_check_and_not_the_run(brokered: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IB_PORT", "1")
    result = warm_up(brokered, _ASKED.replace("time_limit_s: 20", "time_limit_s: 1"))
    assert told(result)["needs_met"] == 0
    assert [row["strategy"] for row in lacking(result)] == ["cross", "wrong"]
    assert "No IB Gateway listens" in lacking(result)[0]["why"]
