"""The job `backtest_sweep`, by `dagster job execute` in a process of its own, as its executor asks. 21 sessions of 78 five-minute bars."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow.parquet as pq
import pytest

from market_data_pipeline.backtest.sweep_results import list_sweeps
from market_data_pipeline.domain.errors import ConfigurationError
from market_data_pipeline_tests.orchestration.conftest import Project
from market_data_pipeline_tests.orchestration.test_bars import ALL
from market_data_pipeline_tests.orchestration.test_jobs import execute

GRID = """
name: grid
series: ["AAPL.NASDAQ-5-MINUTE-LAST-EXTERNAL"]
start: 2024-01-02
end: 2024-01-31
grid: {fast_period: [5, 20], slow_period: [20, 40]}
"""


@pytest.fixture
def swept(project: Project) -> Project:
    """A project with its bars stored, and a spec with a grid of four, of which the strategy refuses one: 20 is not less than 20."""
    project.run("stocks_instruments", "AAPL.NASDAQ", "MSFT.NASDAQ")
    project.run("stocks_bars", *ALL)
    (project.root / "backtests" / "sweeps").mkdir()
    (project.root / "backtests" / "sweeps" / "grid.yaml").write_text(GRID)
    return project


def sweep(project: Project, **config: object) -> dg.DagsterRun:
    """Run the job, and return its run."""
    (project.root / "sweep.json").write_text(json.dumps({"spec": "grid", "max_concurrent": 2, **config}))  # JSON is YAML
    execute(project, "backtest_sweep", project.root / "home", "-c", str(project.root / "sweep.json"))
    return project.instance.get_runs(dg.RunsFilter(job_name="backtest_sweep"), limit=1)[0]


def steps(project: Project, run: dg.DagsterRun) -> dict[str, str]:
    """Return how each step ended, by its name on the page."""
    return {one.step_key: str(one.status).partition(".")[2] for one in project.instance.get_run_step_stats(run.run_id)}


@pytest.mark.slow
def test_each_combination_is_a_step_and_the_sweep_is_shown_with_table_and_map(swept: Project) -> None:
    run = sweep(swept)
    assert run.status is dg.DagsterRunStatus.SUCCESS
    assert steps(swept, run) == {
        "bars_and_combinations": "SUCCESS",
        "combination[fast_period_5_slow_period_20]": "SUCCESS",
        "combination[fast_period_5_slow_period_40]": "SUCCESS",
        "combination[fast_period_20_slow_period_20]": "SUCCESS",
        "combination[fast_period_20_slow_period_40]": "SUCCESS",
        "table": "SUCCESS",
    }
    shown = swept.shown("backtests/sweeps")["None"].metadata
    assert str(shown["summary"].value).startswith("3 of 4 combinations finished, 1 failed; best ")
    assert str(shown["map"].value).startswith("![change of equity by settings](data:image/png;base64,")
    assert "| fast_period | slow_period | change |" in str(shown["table"].value)
    assert "fast_period 20 must be less than slow_period 20" in str(shown["table"].value)
    [kept] = list_sweeps(swept.root / "results")
    assert [row.outcome for row in kept.rows] == ["finished", "finished", "failed", "finished"]
    assert pq.read_table(kept.table).num_rows == 4

    again = sweep(swept)
    assert steps(swept, again) == {
        "bars_and_combinations": "SUCCESS",
        "combination[fast_period_20_slow_period_20]": "SUCCESS",
        "table": "SUCCESS",
    }

    (swept.root / "backtests" / "sweeps" / "grid.yaml").write_text(GRID.replace("[5, 20]", "[50]"))
    nothing = sweep(swept)
    assert nothing.status is dg.DagsterRunStatus.FAILURE
    [failure] = [record for record in swept.instance.all_logs(nothing.run_id) if record.dagster_event and record.dagster_event.is_step_failure]
    assert "None of 2 combinations of grid could be run" in str(failure.get_dagster_event().step_failure_data.error_display_string)


def test_a_spec_that_is_not_there_is_told_with_those_that_are(project: Project) -> None:
    (project.root / "backtests" / "sweeps").mkdir()
    (project.root / "backtests" / "sweeps" / "other.yaml").write_text(GRID)
    result = _in_this_process(project, spec="grid")
    message = str(result.failure_data_for_node("bars_and_combinations"))
    assert ConfigurationError.__name__ in message
    assert "There is no spec 'grid' in " in message
    assert "It has other." in message


def _in_this_process(project: Project, **config: Any) -> dg.ExecuteInProcessResult:
    job = project.definitions.resolve_job_def("backtest_sweep")
    return job.execute_in_process(run_config=config, instance=project.instance, raise_on_error=False)


def test_a_grid_among_the_single_backtests_is_sent_to_the_sweep(swept: Project) -> None:
    Path(swept.root / "backtests" / "cross.yaml").write_text(GRID)
    result = swept.run("backtest", "cross")
    assert not result.success
    assert "the job backtest_sweep" in str(result.failure_data_for_node("backtests__from_spec"))
