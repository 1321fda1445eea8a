"""Each session is prepared once, half an hour before its regular open: against published calendars, and on a real instance."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from dagster._utils.schedules import schedule_execution_time_iterator

from market_data_pipeline.orchestration.automation.before_open import before_open, before_open_schedules
from market_data_pipeline.orchestration.failures import ClearFailure
from market_data_pipeline_tests.answers import nyse
from market_data_pipeline_tests.orchestration.conftest import Project, places_of

NEW_YORK = ZoneInfo("America/New_York")
_STRATEGIES = "warm_up: {{sources: [catalog]}}\nstrategies:\n  - {{name: one, series: [{series}], bars: 20}}\n"
_AAPL = '"AAPL.NASDAQ-5-MINUTE-LAST-EXTERNAL"'
_EURUSD = '"EUR/USD.IDEALPRO-15-MINUTE-MID-EXTERNAL"'


def schedules(root: Path, *series: str) -> dict[str, dg.ScheduleDefinition]:
    (root / "strategies.yaml").write_text(_STRATEGIES.format(series=", ".join(series)))
    return {one.name: one for one in before_open_schedules(places_of(root))}


def prepared(found: dg.ScheduleDefinition, calendar: str, year: int) -> dict[str, str]:
    """Return when each session is prepared, in the schedule's zone, by Dagster's own reading of the crons."""
    zone = ZoneInfo(str(found.execution_timezone))
    start, end = (dt.datetime(one, 1, 1, tzinfo=zone).timestamp() for one in (year, year + 1))
    sessions: dict[str, str] = {}
    for tick in schedule_execution_time_iterator(start, found.cron_schedule, str(found.execution_timezone)):
        if tick.timestamp() >= end:
            return sessions
        session = before_open(calendar).session_at(round(tick.timestamp()) * 1_000_000_000)
        if session is not None:
            assert str(session) not in sessions, f"{session} is prepared twice"
            sessions[str(session)] = f"{tick.astimezone(zone):%Y-%m-%d %H:%M}"
    raise AssertionError("the schedule has an end")


def weekdays(year: int) -> Iterator[dt.date]:
    days = (dt.date(year, 1, 1) + dt.timedelta(days=i) for i in range(366))
    return (day for day in days if day.year == year and day.weekday() < 5)


@pytest.mark.parametrize("year", [2024, 2025, 2026])
def test_shares_are_prepared_at_nine_in_new_york_on_every_session_and_on_no_holiday(tmp_path: Path, year: int) -> None:
    """NYSE opens at 9:30, also before an early close (NYSE holiday notices)."""
    holidays = {f"{year}-{day}" for day in nyse.HOLIDAYS[year].split()}
    found = prepared(schedules(tmp_path, _AAPL)["warm_up_nyse"], "NYSE", year)
    assert found == {str(day): f"{day} 09:00" for day in weekdays(year) if str(day) not in holidays}
    assert len(found) == nyse.SESSIONS[year]


def test_currencies_are_prepared_on_the_evening_before_and_mondays_on_sunday(tmp_path: Path) -> None:
    """IDEALPRO opens on Sunday at 17:15 New York, and after each pause from 17:00 on (IBKR, forex trading hours)."""
    found = prepared(schedules(tmp_path, _EURUSD)["warm_up_fx"], "FX", 2024)
    assert found["2024-01-05"] == "2024-01-04 16:45"
    assert found["2024-01-08"] == "2024-01-07 16:45"  # a Sunday
    assert "2024-12-25" not in found


def test_each_calendar_of_the_strategies_has_a_schedule_that_is_off_at_first(tmp_path: Path) -> None:
    found = schedules(tmp_path, _AAPL, _EURUSD)
    assert sorted(found) == ["warm_up_fx", "warm_up_nyse"]
    assert {one.default_status for one in found.values()} == {dg.DefaultScheduleStatus.STOPPED}
    assert {one.job_name for one in found.values()} == {"warm_up"}


def test_without_a_file_of_strategies_there_is_no_schedule_and_a_wrong_one_is_told(tmp_path: Path) -> None:
    assert before_open_schedules(places_of(tmp_path)) == []
    (tmp_path / "strategies.yaml").write_text("strategies: []\n")
    with pytest.raises(Exception, match=r"strategies\.yaml, line 1: strategies"):
        before_open_schedules(places_of(tmp_path))


def evaluate(project: Project, clock: str) -> dg.ScheduleExecutionData | object:
    found = schedules(project.root, _AAPL, _EURUSD)["warm_up_nyse"]
    return tick(project, found, clock)


def tick(project: Project, found: dg.ScheduleDefinition, clock: str) -> object:
    when = dt.datetime.fromisoformat(clock).replace(tzinfo=NEW_YORK)
    with dg.build_schedule_context(instance=project.instance, scheduled_execution_time=when) as context:
        data = found.evaluate_tick(context)
    return data.run_requests[0] if data.run_requests else data.skip_message


def test_a_tick_before_a_session_launches_one_run_for_the_series_of_its_calendar(project: Project) -> None:
    request = evaluate(project, "2024-01-31 09:00")
    assert isinstance(request, dg.RunRequest)
    assert request.run_key == "warm_up/NYSE/2024-01-31"
    job = project.definitions.resolve_job_def("warm_up")
    result = job.execute_in_process(run_config=dict(request.run_config), instance=project.instance)
    assert result.success
    (event,) = result.asset_materializations_for_node("live__warm_up")
    assert event.metadata["needs"].value == 1  # of two series, one trades by NYSE


def test_a_tick_on_a_holiday_says_which_session_is_next(project: Project) -> None:
    """2024-01-15 was Martin Luther King Day, a Monday."""
    said = evaluate(project, "2024-01-15 09:00")
    assert said == "No session of NYSE opens now; the next one is 2024-01-16 (prepared at 2024-01-16 09:00 EST)."


def test_a_calendar_that_the_file_names_no_more_is_told(project: Project) -> None:
    found = schedules(project.root, _AAPL)["warm_up_nyse"]
    schedules(project.root, _EURUSD)
    assert "names no series of the calendar NYSE any more" in str(tick(project, found, "2024-01-31 09:00"))


def test_a_file_that_has_become_wrong_is_told_by_the_tick(project: Project) -> None:
    found = schedules(project.root, _AAPL)["warm_up_nyse"]
    (project.root / "strategies.yaml").write_text("strategies:\n  - {name: one}\n")
    with pytest.raises(ClearFailure, match=r"strategies\.yaml, line 2: strategies\[0\]\.series: is missing"):
        tick(project, found, "2024-01-31 09:00")
