"""The job `compact` and its schedule on a real instance. January 2024 had 21 NYSE sessions (NYSE holiday calendar 2024)."""

from __future__ import annotations

import datetime as dt
from typing import Any

import dagster as dg

from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline_tests.catalog.bar_making import all_bars, writing
from market_data_pipeline_tests.orchestration.conftest import Project
from market_data_pipeline_tests.orchestration.test_bars import ALL, BARS

AAPL, MSFT = (Series.of(f"{symbol}.NASDAQ", "5-MINUTE-LAST") for symbol in ("AAPL", "MSFT"))


def compact(project: Project, **config: object) -> tuple[bool, dict[str, Any]]:
    """Run the job as the launchpad does; return whether it succeeded, and what it shows."""
    job = project.definitions.resolve_job_def("compact")
    result = job.execute_in_process(run_config=config, instance=project.instance, raise_on_error=False)
    outputs = [event for event in result.all_events if event.is_successful_output]
    return result.success, {name: value.value for one in outputs for name, value in one.step_output_data.metadata.items()}


def test_a_run_joins_what_is_closed_and_says_so(project: Project) -> None:
    project.run("stocks_bars", *ALL)
    before, shown = all_bars(project.catalog, AAPL), project.shown(BARS)
    done, told = compact(project)
    assert done
    assert (told["files_before"], told["files_after"], told["passed_over"]) == (42, 2, "none")
    assert told["summary"] == "42 sessions of 2 series got other files."
    assert [record.data["files after"] for record in told["series"].records] == [1, 1]
    assert all_bars(project.catalog, AAPL).fingerprint() == before.fingerprint()
    assert project.shown(BARS) == shown
    done, told = compact(project)
    assert (done, told["summary"]) == (True, "2 series: nothing to do.")
    done, told = compact(project, undo=True, series=[AAPL.bar_type])
    assert (done, told["files_before"], told["files_after"]) == (True, 1, 21)


def test_the_page_shows_the_same_sessions_and_asks_for_none_again(project: Project) -> None:
    project.run("stocks_bars", *ALL)
    compact(project)
    shown = project.shown(BARS)
    project.run("stocks_bars", *ALL)
    assert len(project.catalog.layout.list_folder(project.catalog.layout.series_folder(AAPL)).files) == 1
    assert {key: one.metadata["fingerprint"].value for key, one in project.shown(BARS).items()} == {
        key: one.metadata["fingerprint"].value for key, one in shown.items()
    }


def test_a_series_that_is_written_is_passed_over_and_told(project: Project) -> None:
    project.run("stocks_bars", *ALL)
    with writing(project.catalog, MSFT):
        done, told = compact(project, wait_s=0.1)
    assert done
    assert (told["files_before"], told["files_after"]) == (21, 1)
    assert "Another process is writing MSFT.NASDAQ-5-MINUTE-LAST-EXTERNAL" in told["passed_over"]
    assert told["summary"] == "21 sessions of 1 series got other files; 1 series passed over."


def test_the_schedule_is_weekly_and_off_at_first(project: Project) -> None:
    (schedule,) = [one for one in project.definitions.get_repository_def().schedule_defs if one.name == "weekly_compaction"]
    assert schedule.default_status is dg.DefaultScheduleStatus.STOPPED
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("0 6 * * 0", "UTC")
    context = dg.build_schedule_context(instance=project.instance, scheduled_execution_time=dt.datetime(2024, 1, 7, 6, tzinfo=dt.UTC))
    requests = schedule.evaluate_tick(context).run_requests
    assert requests is not None
    assert len(requests) == 1
