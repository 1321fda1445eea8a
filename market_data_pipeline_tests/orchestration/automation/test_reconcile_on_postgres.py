"""The page agrees with the catalog where Dagster keeps its events in a real PostgreSQL: what is gone is wiped there too."""

from __future__ import annotations

from market_data_pipeline_tests.orchestration.automation.reconciling import (
    BARS,
    KEY,
    bar_files,
    events,
    import_outside,
    materialized,
    take_away_and_bring_back,
    ticking,
)
from market_data_pipeline_tests.orchestration.conftest import Project


def test_what_comes_and_goes_outside_dagster_is_shown_and_wiped(postgres_project: Project) -> None:
    """21 sessions of January 2024 (NYSE holiday calendar 2024)."""
    project = postgres_project
    import_outside(project)
    sensor = ticking(project)
    assert sensor.tick(forget=True).said == f"21 sessions of {BARS} stored outside Dagster, shown now."
    assert sensor.tick().said == "The page shows what the catalog holds."
    assert events(project) == materialized(project) == 21

    take_away_and_bring_back(project, sensor)


def test_a_wipe_leaves_the_log_of_the_run_whole(postgres_project: Project) -> None:
    project = postgres_project
    run = project.run("stocks_bars", "2024-01-02|AAPL.NASDAQ", "2024-01-31|AAPL.NASDAQ")
    assert run.success
    sensor = ticking(project)
    sensor.tick()
    before = len(project.instance.all_logs(run.run_id))
    bar_files(project)[-1].unlink()  # the newest, which Dagster keeps beside the asset's key
    assert sensor.tick().said == f"1 partition of {BARS} not in the catalog any more, wiped."
    assert len(project.instance.all_logs(run.run_id)) == before
    newest = project.instance.get_latest_materialization_event(KEY)
    assert newest is not None
    assert newest.asset_materialization is not None
    assert newest.asset_materialization.partition == "2024-01-30|AAPL.NASDAQ"


def test_an_asset_that_was_wiped_in_the_page_is_shown_again(postgres_project: Project) -> None:
    import_outside(postgres_project)
    sensor = ticking(postgres_project)
    sensor.tick()
    postgres_project.instance.wipe_assets([KEY])
    assert postgres_project.instance.get_materialized_partitions(KEY) == set()
    assert sensor.tick().said == f"21 sessions of {BARS} stored outside Dagster, shown now."
