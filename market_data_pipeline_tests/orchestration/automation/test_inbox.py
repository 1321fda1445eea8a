"""Files put into the inbox: the sensor and the job over a real instance."""

from __future__ import annotations

import os
import time
from pathlib import Path

import dagster as dg
import pytest

from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.orchestration.automation.inbox import inbox_job, inbox_sensor
from market_data_pipeline.orchestration.executor import in_process
from market_data_pipeline.orchestration.resources import CatalogResource
from market_data_pipeline_tests.orchestration.automation.situations import Situation, tries
from market_data_pipeline_tests.orchestration.automation.ticking import Ticking, places_of
from market_data_pipeline_tests.orchestration.conftest import Project, write_csv
from market_data_pipeline_tests.orchestration.test_bars import failure_of

BARS = "stocks/bars_5_minute_last"
AAPL = Series.of("AAPL.NASDAQ", "5-MINUTE-LAST")
NAME = "AAPL.NASDAQ-5-MINUTE-LAST.csv"
_RULES = """
rules:
  - {pattern: "{instrument}-{bar}.csv", time_zone: America/New_York, stamp: open}
"""


def put(project: Project, name: str = NAME, *, age_s: float = 60) -> Path:
    """Put the sessions of January 2024 into the inbox: 21 (NYSE holiday calendar 2024)."""
    project.root.joinpath("inbox.yaml").write_text(_RULES)
    file = project.root / "inbox" / name
    write_csv(file, "AAPL.NASDAQ")
    os.utime(file, (time.time() - age_s, time.time() - age_s))
    return file


def ticking(project: Project) -> Ticking:
    places = places_of(project)
    return Ticking(project, inbox_sensor(places, inbox_job(places)))


def execute(project: Project, run: dg.RunRequest | None = None) -> dg.ExecuteInProcessResult:
    """Run the job as the definitions hold it."""
    catalog = CatalogResource(path=str(project.root / "catalog"))
    definitions = dg.Definitions(jobs=[inbox_job(places_of(project))], resources={"catalog": catalog}, executor=in_process)
    job = definitions.resolve_job_def("inbox_import")
    return job.execute_in_process(run_config=run.run_config if run else None, instance=project.instance, raise_on_error=False)


@tries("inbox", Situation.NOTHING_TO_DO)
def test_an_empty_inbox_is_nothing_to_do(project: Project) -> None:
    assert ticking(project).tick().said == f"Nothing lies in {project.root / 'inbox'}."


@tries("inbox", Situation.FIRST_TICK, Situation.NEW_WORK)
def test_a_complete_file_is_imported_shown_at_its_bars_and_moved(project: Project) -> None:
    file = put(project)
    sensor = ticking(project)
    (run,) = sensor.tick().runs
    assert run.run_config["ops"] == {"import_files": {"config": {"files": [NAME]}}}
    result = execute(project, run)
    assert result.success
    shown = project.shown(BARS)
    assert len(shown) == 21
    assert shown["2024-01-05|AAPL.NASDAQ"].metadata["outcome"].value == "stored from the inbox"
    assert not file.exists()
    assert (project.root / "inbox" / "done" / NAME).is_file()
    assert sensor.tick().said == f"Nothing lies in {project.root / 'inbox'}."


def test_a_file_that_grows_waits_for_two_ticks_that_see_the_same(project: Project) -> None:
    file = put(project, age_s=1)
    sensor = ticking(project)
    assert "it changed 1 s ago" in sensor.tick().said
    file.write_text(file.read_text() + "\n")
    os.utime(file, (time.time() - 1, time.time() - 1))
    assert sensor.tick().runs == []
    assert len(sensor.tick().runs) == 1


@tries("inbox", Situation.FAULT)
def test_a_bad_file_fails_the_run_and_lies_beside_its_report(project: Project) -> None:
    file = put(project)
    file.write_text(file.read_text().replace(",", ",-", 1).replace("timestamp,-open", "timestamp,open").replace("09:35:00,", "09:35:00,-", 1))
    os.utime(file, (time.time() - 60, time.time() - 60))
    (run,) = ticking(project).tick().runs
    result = execute(project, run)
    assert not result.success
    assert "1 of 1 file of the inbox was rejected" in failure_of(result)
    report = (project.root / "inbox" / "rejected" / f"{NAME}.report.txt").read_text()
    assert "line 3" in report
    assert f"mdp import-csv {project.root / 'inbox' / 'rejected' / NAME} --instrument AAPL.NASDAQ --bar 5-MINUTE-LAST" in report
    assert "--skip-bad-rows" in report
    assert project.catalog.series() == []


@tries("inbox", Situation.TWICE)
def test_the_same_file_seen_twice_is_one_event_and_put_back_it_is_another(project: Project) -> None:
    file = put(project)
    sensor = ticking(project)
    (run,) = sensor.tick(forget=True).runs
    assert sensor.tick().runs == [], "the same key"
    away = file.rename(project.root / "away.csv")
    time.sleep(0.02)
    away.rename(file)
    (again,) = sensor.tick().runs
    assert again.run_key != run.run_key


def test_while_an_import_works_no_other_is_launched(project: Project) -> None:
    put(project)
    under_way = project.instance.create_run_for_job(inbox_job(places_of(project)), status=dg.DagsterRunStatus.STARTED)
    sensor = ticking(project)
    assert sensor.tick().said == "An import is under way; what lies there then is next."
    project.instance.report_run_failed(under_way)
    assert len(sensor.tick().runs) == 1


@tries("inbox", Situation.RESTART)
def test_a_process_that_died_in_the_middle_is_followed_by_another(project: Project) -> None:
    """Half of the sessions are stored, the file still lies there, and nothing says that the try ended."""
    from market_data_pipeline.ingest.inbox_journal import InboxJournal, identity_of

    file = put(project)
    sensor = ticking(project)
    (first,) = sensor.tick().runs
    write_csv(project.root / "csv" / NAME, "AAPL.NASDAQ")
    assert project.run("stocks_bars", "2024-01-02|AAPL.NASDAQ", "2024-01-12|AAPL.NASDAQ").success
    InboxJournal(file.parent).begin(identity_of(file))
    restarted = ticking(project)
    restarted.cursor = sensor.cursor
    (second,) = restarted.tick().runs
    assert second.run_key != first.run_key
    assert execute(project, second).success
    assert len(project.catalog.sessions(AAPL)) == 21
    assert len(project.shown(BARS)) == 21


@pytest.mark.slow
def test_without_a_configuration_the_job_takes_what_is_complete(project: Project) -> None:
    put(project)
    assert execute(project).success
    assert len(project.shown(BARS)) == 21
    assert execute(project).success, "nothing lies there any more"


@pytest.mark.slow
def test_bars_that_no_universe_has_are_imported_and_shown_nowhere(project: Project) -> None:
    put(project, "MSFT.NASDAQ-5-MINUTE-LAST.csv")
    path = project.root / "watchlist.yaml"
    path.write_text(path.read_text().replace(', "MSFT.NASDAQ"]', "]"))
    result = execute(project)
    assert result.success
    assert project.shown(BARS) == {}
    assert len(project.catalog.sessions(Series.of("MSFT.NASDAQ", "5-MINUTE-LAST"))) == 21


def test_wrong_rules_are_said_with_their_line(project: Project) -> None:
    put(project)
    (project.root / "inbox.yaml").write_text('rules:\n  - {pattern: "{thing}.csv"}\n')
    result = execute(project)
    assert "inbox.yaml, line 2" in failure_of(result)
    assert "'{thing}.csv' has a placeholder that is not known" in failure_of(result)
