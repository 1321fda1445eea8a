"""The job `recheck` and the check `revised`, over simulated gateways whose history was rewritten.

The universe ends on 2024-01-31, a Wednesday; the five sessions to it begin with Thursday 2024-01-25.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.orchestration.rechecking import SCHEDULE
from market_data_pipeline_tests.gateway import RunningGateway, start_gateway
from market_data_pipeline_tests.orchestration.brokered import brokered_project
from market_data_pipeline_tests.orchestration.conftest import WATCHLIST, Project
from market_data_pipeline_tests.orchestration.test_bars import checks_of, failure_of

NVDA = Series.of("NVDA.NASDAQ", "5-MINUTE-LAST")
BARS = "brokered/bars_5_minute_last"
_UNIVERSE = """
  brokered:
    calendar: NYSE
    start: 2024-01-16
    end: 2024-01-31
    bars: ["5-MINUTE-LAST"]
    instruments: ["NVDA.NASDAQ", "AAPL.NASDAQ"]
    source: ibkr
    hours: rth
"""


@pytest.fixture
def brokered(tmp_path: Path, gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """A universe of the broker with 12 sessions of one of its two stocks stored."""
    with brokered_project(tmp_path, gateway, WATCHLIST + _UNIVERSE) as project:
        pacing = tmp_path / "haste.yaml"
        pacing.write_text("small_bars: {requests: 100000, same_contract: 100000, same_contract_s: 0.01, identical_s: 0.01}\n")
        monkeypatch.setenv("IB_PACING", str(pacing))
        result = project.run("brokered_bars", "2024-01-16|NVDA.NASDAQ", "2024-01-31|NVDA.NASDAQ")
        assert result.success
        assert checks_of(result)["revised"]
        yield project


@contextmanager
def rewritten(folder: Path, *faults: str) -> Iterator[None]:
    flags = [word for fault in faults for word in ("--fault", fault)]
    with start_gateway(folder / "rewritten", "--no-pacing", *flags) as running, pytest.MonkeyPatch.context() as environment:
        environment.setenv("IB_PORT", str(running.port))
        yield


def recheck(project: Project, **config: object) -> dg.ExecuteInProcessResult:
    return project.run("recheck", config={"ops": {"rechecked": {"config": config}}})


def revised(result: dg.ExecuteInProcessResult) -> dg.AssetCheckEvaluation:
    (one,) = [event.asset_check_evaluation_data for event in result.all_events if event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION]
    assert (one.check_name, one.asset_key, one.severity) == ("revised", dg.AssetKey(BARS.split("/")), dg.AssetCheckSeverity.WARN)
    return one


def rows(evaluation: dg.AssetCheckEvaluation, name: str) -> Sequence[dict[str, Any]]:
    value: Any = evaluation.metadata[name].value
    return [record.data for record in value.records]


def test_a_correction_is_stored_shown_and_listed(brokered: Project, tmp_path: Path) -> None:
    before = {row.session: row.fingerprint for row in brokered.catalog.sessions(NVDA)}
    with rewritten(tmp_path, "history:*=revised:2024-01-30"):
        result = recheck(brokered, sessions=5)
    assert result.success
    (changed,) = [row for row in brokered.catalog.sessions(NVDA) if before[row.session] != row.fingerprint]
    assert str(changed.session) == "2024-01-30"
    shown = brokered.shown(BARS)["2024-01-30|NVDA.NASDAQ"].metadata
    assert (shown["outcome"].value, shown["fingerprint"].value) == ("revised", changed.fingerprint)
    check = revised(result)
    assert (check.passed, check.metadata["revisions"].value) == (True, 1)
    (row,) = rows(check, "newest")
    assert (row["series"], row["first"], row["last"]) == (str(NVDA), "2024-01-30", "2024-01-30")
    assert row["show"] == "mdp revisions NVDA.NASDAQ 5-MINUTE-LAST"


def test_a_suspected_split_warns_until_the_series_is_rebased(brokered: Project, tmp_path: Path) -> None:
    before = {row.session: row.fingerprint for row in brokered.catalog.sessions(NVDA)}
    with rewritten(tmp_path, "history:*=split:10"):
        result = recheck(brokered)
    assert result.success
    assert {row.session: row.fingerprint for row in brokered.catalog.sessions(NVDA)} == before
    check = revised(result)
    assert (check.passed, check.description) == (False, "1 series is on another base at the broker; first: NVDA.NASDAQ, split 10:1.")
    (row,) = rows(check, "suspected")
    assert row["what"] == "prices by 1/10 in 2024-01-25 to 2024-01-31 (5 sessions): split 10:1"
    assert row["command"] == "mdp load NVDA.NASDAQ 5-MINUTE-LAST --rebase"
    # Runs that load bars warn too; nothing is missing, so nobody is asked.
    assert not checks_of(brokered.run("brokered_bars", "2024-01-31|NVDA.NASDAQ"))["revised"]


def test_what_is_not_stored_is_left_out_and_what_could_not_be_had_fails_the_run(brokered: Project, tmp_path: Path) -> None:
    with rewritten(tmp_path, "history:*=no-permission"):
        result = recheck(brokered, sessions=1)
    assert not result.success
    assert "NVDA.NASDAQ-5-MINUTE-LAST-EXTERNAL" in failure_of(result)
    assert "AAPL" not in failure_of(result)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"universes": ["stocks"]}, "universes: stocks asks no broker. Those that do: brokered."),
        ({"instruments": ["MSFT.NASDAQ"]}, "No universe that asks the broker has MSFT.NASDAQ."),
        ({"bars": ["1-DAY-LAST"]}, "No universe that asks the broker has 1-DAY-LAST."),
    ],
)
def test_what_no_universe_of_the_broker_has_is_told(brokered: Project, config: dict[str, object], said: str) -> None:
    assert said in failure_of(recheck(brokered, **config))


def test_the_weekly_schedule_is_off_and_launches_the_job_as_it_is(brokered: Project) -> None:
    definitions = brokered.definitions
    schedule = definitions.resolve_schedule_def(SCHEDULE)
    assert (schedule.default_status, schedule.cron_schedule, schedule.execution_timezone) == (
        dg.DefaultScheduleStatus.STOPPED,
        "0 12 * * 6",
        "America/New_York",
    )
    context = dg.build_schedule_context(instance=brokered.instance, repository_def=definitions.get_repository_def())
    (request,) = schedule.evaluate_tick(context).run_requests or []
    assert definitions.resolve_job_def(schedule.job_name).name == "recheck"
    assert request.run_key is None
