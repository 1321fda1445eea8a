"""The job `migrate_postgres` on a real instance and a real server. 2024-01-02 and 2024-01-03 were NYSE sessions of 390 minutes."""

from __future__ import annotations

from typing import Any

import dagster as dg
import pytest

from market_data_pipeline.catalog.writer import series_lock
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.errors import MarketDataError
from market_data_pipeline.orchestration.migrating import MigratePostgres, migration_of
from market_data_pipeline_tests.orchestration.conftest import Project
from market_data_pipeline_tests.orchestration.test_bars import BARS, failure_of
from market_data_pipeline_tests.postgres.bar_tables import libpq, make_legacy, session

DAYS = ("2024-01-02", "2024-01-03")


def migrate(project: Project, **config: object) -> dg.ExecuteInProcessResult:
    """Run the job as the launchpad does."""
    job = project.definitions.resolve_job_def("migrate_postgres")
    return job.execute_in_process(run_config=config, instance=project.instance, raise_on_error=False)


@pytest.fixture
def five_minutes(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A table of five-minute bars of two symbols, whose URL stands in an environment variable; returns the URL."""
    make_legacy(postgres_url, dict.fromkeys(("AAPL", "MSFT"), DAYS), [])
    with session(postgres_url) as connection:
        connection.execute("DELETE FROM market_data WHERE extract(minute FROM timestamp)::int % 5 <> 0")
    monkeypatch.setenv("PRICES", libpq(postgres_url))
    return postgres_url


def test_a_run_stores_shows_and_reconciles(project: Project, five_minutes: str) -> None:
    asked = {"url_variable": "PRICES", "venue": "NASDAQ", "bar": "5-MINUTE-LAST"}
    dry = migrate(project, **asked, dry_run=True)
    assert dry.success
    assert project.catalog.series() == []
    result = migrate(project, **asked)
    assert result.success
    (event,) = [event for event in result.all_events if event.is_successful_output and event.step_key == "migrate_table"]
    told: dict[str, Any] = {name: value.value for name, value in event.step_output_data.metadata.items()}
    assert (told["rows"], told["bars_written"], told["differences"], told["symbols_refused"]) == (2 * 2 * 78, 2 * 2 * 78, 0, 0)
    assert told["report"].startswith("# Migration of public.market_data")
    assert [record.data["outcome"] for record in told["by_symbol"].records] == ["equal", "equal"]
    assert sorted(project.shown(BARS)) == [f"{day}|{symbol}.NASDAQ" for day in DAYS for symbol in ("AAPL", "MSFT")]
    assert project.catalog.instruments.ids() == ["AAPL.NASDAQ", "MSFT.NASDAQ"]
    assert [len(project.catalog.sessions(Series.of(f"{symbol}.NASDAQ", "5-MINUTE-LAST"))) for symbol in ("AAPL", "MSFT")] == [2, 2]


def test_a_bad_row_fails_the_run_with_its_id_after_the_others_are_stored(project: Project, five_minutes: str) -> None:
    with session(five_minutes) as connection:
        connection.execute("UPDATE market_data SET low = high + 1 WHERE id = 6")
    result = migrate(project, url_variable="PRICES", venue="NASDAQ", bar="5-MINUTE-LAST")
    assert not result.success
    message = failure_of(result)
    assert message.startswith("NotReconciled: NOT reconciled: 0 sessions differ, 1 of 2 symbols was refused.")
    assert "id 6, low" in message
    assert len(project.shown(BARS)) == 2


@pytest.mark.parametrize(("field", "value"), [("stamp", "middle"), ("on_conflict", "ask"), ("prefer", "file"), ("adjustment", "half")])
def test_the_launchpad_refuses_what_is_no_choice(project: Project, field: str, value: str) -> None:
    with pytest.raises(dg.DagsterInvalidConfigError):
        migrate(project, **{field: value})


def test_dates_that_run_backwards_are_said() -> None:
    with pytest.raises(MarketDataError, match="runs backwards"):
        migration_of(MigratePostgres(start="2024-02-01", end="2024-01-01"))


def test_a_symbol_whose_series_another_process_writes_for_too_long_is_refused(project: Project, five_minutes: str) -> None:
    asked = {"url_variable": "PRICES", "venue": "NASDAQ", "bar": "5-MINUTE-LAST", "adjustment": "split+dividend"}
    series = Series.of("AAPL.NASDAQ", "5-MINUTE-LAST")
    with series_lock(project.catalog.layout, series.folder, 10):
        result = migrate(project, **asked, wait_s=0.2)
    assert "1 of 2 symbols was refused" in failure_of(result)
    assert "AAPL" in failure_of(result)
    assert len(project.shown(BARS)) == 2  # MSFT's
