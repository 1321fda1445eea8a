"""The page agrees with the catalog, whoever changed it: a real catalog, a real instance, the command line's own functions."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.partitions.context import partition_loading_context
from dagster._core.definitions.partitions.snap import PartitionsSnap

from market_data_pipeline.cli.main import main
from market_data_pipeline.orchestration.automation.reconcile import Limits, reconcile_sensor
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
from market_data_pipeline_tests.orchestration.automation.situations import Situation, tries
from market_data_pipeline_tests.orchestration.automation.ticking import Ticking, loaded, places_of
from market_data_pipeline_tests.orchestration.conftest import Project, opened, write_csv, write_project


@tries("catalog_reconcile", Situation.FIRST_TICK)
def test_a_first_tick_shows_what_was_stored_before_dagster_was_there(project: Project) -> None:
    import_outside(project)
    told = ticking(project).tick()
    assert told.said == f"21 sessions of {BARS} stored outside Dagster, shown now."
    shown = project.shown(BARS)
    assert len(shown) == 21
    metadata = shown["2024-01-05|AAPL.NASDAQ"].metadata
    assert metadata["dagster/row_count"].value == 78
    assert metadata["coverage"].value == "complete"
    assert metadata["outcome"].value == "found in the catalog"


def test_the_page_need_not_count_what_a_tick_told_or_wiped(project: Project) -> None:
    """What the page counts by is kept beside the asset's key; without it, 250,000 partitions are counted while somebody waits."""
    import_outside(project)
    sensor = ticking(project)
    sensor.tick()
    assert len(counted(project)) == 21
    bar_files(project)[3].unlink()
    sensor.tick()
    assert len(counted(project)) == 20


def counted(project: Project) -> set[str]:
    """Return the partitions by which the page counts, as a webserver that knows the definition from its snapshot finds them."""
    (record,) = project.instance.get_asset_records([KEY])
    definition = project.definitions.resolve_assets_def(KEY).partitions_def
    assert definition is not None
    as_page_knows_it = PartitionsSnap.from_def(definition).get_partitions_definition()
    status = record.asset_entry.cached_status
    assert status is not None
    with partition_loading_context(None, project.instance):
        assert status.partitions_def_id == as_page_knows_it.get_serializable_unique_identifier()
        return set(status.deserialize_materialized_partition_subsets(as_page_knows_it).get_partition_keys())


@tries("catalog_reconcile", Situation.NOTHING_TO_DO)
def test_nothing_to_do_writes_nothing(project: Project) -> None:
    import_outside(project)
    sensor = ticking(project)
    sensor.tick()
    assert sensor.tick().said == "The page shows what the catalog holds."
    assert events(project) == 21


def test_what_a_run_stored_and_told_is_not_told_again(project: Project) -> None:
    assert project.run("stocks_bars", "2024-01-02|AAPL.NASDAQ", "2024-01-31|AAPL.NASDAQ").success
    assert ticking(project).tick().said == "The page shows what the catalog holds."
    assert events(project) == 21


@tries("catalog_reconcile", Situation.NEW_WORK)
def test_new_sessions_of_a_series_that_is_known_are_told_alone(project: Project) -> None:
    assert project.run("stocks_bars", "2024-01-02|AAPL.NASDAQ", "2024-01-12|AAPL.NASDAQ").success  # 9 sessions
    sensor = ticking(project)
    sensor.tick()
    import_outside(project)
    assert sensor.tick().said == f"12 sessions of {BARS} stored outside Dagster, shown now."
    assert events(project) == 21


def test_a_session_that_was_stored_with_other_bars_is_told_again(project: Project) -> None:
    import_outside(project)
    sensor = ticking(project)
    sensor.tick()
    before = project.shown(BARS)["2024-01-05|AAPL.NASDAQ"].metadata["fingerprint"].value
    file = project.root / "csv" / "AAPL.NASDAQ-5-MINUTE-LAST.csv"
    lines = [line.rsplit(",", 1)[0] + ",7" if line.startswith("2024-01-05") else line for line in file.read_text().splitlines()]
    file.write_text("\n".join(lines) + "\n")
    import_outside(project, "AAPL.NASDAQ", "--on-conflict", "overwrite")
    assert sensor.tick().said == f"1 session of {BARS} stored outside Dagster, shown now."
    assert project.shown(BARS)["2024-01-05|AAPL.NASDAQ"].metadata["fingerprint"].value != before


def test_a_session_whose_file_is_gone_leaves_the_page_and_comes_back_with_it(project: Project) -> None:
    import_outside(project)
    sensor = ticking(project)
    sensor.tick()
    materialized(project)  # the page has been looked at: its cache must not hold the session either
    take_away_and_bring_back(project, sensor)


@pytest.mark.slow
def test_a_session_in_quarantine_leaves_the_page(project: Project) -> None:
    import_outside(project)
    sensor = ticking(project)
    sensor.tick()
    bad = bar_files(project)[3]
    bad.write_bytes(bad.read_bytes()[:100])
    assert main(["catalog", "verify", "--catalog", str(project.root / "catalog")]) == 1
    assert sensor.tick().said == f"1 partition of {BARS} not in the catalog any more, wiped."


@pytest.mark.slow
def test_the_run_that_made_a_wiped_partition_keeps_its_log(project: Project) -> None:
    result = project.run("stocks_bars", "2024-01-05|AAPL.NASDAQ")
    (file,) = bar_files(project)
    file.unlink()
    ticking(project).tick()
    kept = project.instance.all_logs(result.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
    assert [entry.dagster_event.partition for entry in kept if entry.dagster_event is not None] == ["2024-01-05|AAPL.NASDAQ"]
    (record,) = project.instance.get_asset_records([KEY])
    assert record.asset_entry.last_materialization is None


@tries("catalog_reconcile", Situation.FAULT)
def test_a_catalog_that_is_not_there_wipes_nothing(project: Project) -> None:
    """A disk that is not mounted is no reason to forget years."""
    import_outside(project)
    sensor = ticking(project)
    sensor.tick()
    (project.root / "catalog").rename(project.root / "elsewhere")
    assert "What the page shows stays" in sensor.tick().said
    assert materialized(project) == 21
    (project.root / "elsewhere").rename(project.root / "catalog")
    assert sensor.tick().said == "The page shows what the catalog holds."


def test_a_tick_does_only_so_much_and_the_next_goes_on(project: Project) -> None:
    import_outside(project)
    sensor = ticking(project, Limits(events=8))
    said = [sensor.tick().said for _ in range(4)]
    assert said[0] == f"8 sessions of {BARS} stored outside Dagster, shown now; 2 series left for the next tick."
    assert said[3] == "The page shows what the catalog holds."
    assert events(project) == 21


@tries("catalog_reconcile", Situation.TWICE)
def test_a_cursor_that_was_lost_tells_nothing_twice(project: Project) -> None:
    """The daemon was killed after a tick and before it could keep the cursor; then the instance is opened anew."""
    import_outside(project)
    sensor = ticking(project)
    sensor.tick(forget=True)
    assert sensor.tick().said == "The page shows what the catalog holds."
    assert events(project) == 21


@tries("catalog_reconcile", Situation.RESTART)
@pytest.mark.slow
def test_another_process_goes_on_from_the_cursor(tmp_path: Path) -> None:
    write_project(tmp_path)
    with opened(tmp_path) as project:
        import_outside(project)
        first = ticking(project)
        first.tick()
    with opened(tmp_path) as project:
        again = ticking(project)
        again.cursor = first.cursor
        assert again.tick().said == "The page shows what the catalog holds."
        again.cursor = "not a cursor"
        assert again.tick().said == "The page shows what the catalog holds."
        assert events(project) == 21


def test_an_asset_that_was_wiped_in_the_page_is_shown_again(project: Project) -> None:
    import_outside(project)
    sensor = ticking(project)
    sensor.tick()
    project.instance.wipe_assets([KEY])
    assert project.instance.get_materialized_partitions(KEY) == set()
    assert sensor.tick().said == f"21 sessions of {BARS} stored outside Dagster, shown now."


@pytest.fixture
def under_way(project: Project) -> Iterator[dg.DagsterRun]:
    """A run that works."""
    job = project.definitions.resolve_job_def("watchlist_partitions")
    run = project.instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
    yield run
    project.instance.report_run_failed(run)


def test_what_a_run_may_be_about_to_tell_is_left_to_it(project: Project, under_way: dg.DagsterRun) -> None:
    import_outside(project)
    limits = places_of(project)
    now = ticking(project)
    assert now.tick().said == "1 series left for the next tick."
    assert events(project) == 0
    half_a_minute_later = reconcile_sensor(*loaded(project), limits, clock=lambda: time.time_ns() + 31_000_000_000)
    later = Ticking(project, half_a_minute_later, now.cursor)
    assert later.tick().said == f"21 sessions of {BARS} stored outside Dagster, shown now."


def test_a_broken_watchlist_is_said_and_the_loaded_one_holds(project: Project) -> None:
    import_outside(project)
    sensor = ticking(project)
    path = project.root / "watchlist.yaml"
    path.write_text(path.read_text().replace("calendar: NYSE", "calendar: NYSEE"))
    said = sensor.tick().said
    assert said.startswith(f"21 sessions of {BARS} stored outside Dagster, shown now. The watchlist was not read:")
    assert "watchlist.yaml, line 4" in said


@pytest.mark.slow
def test_sessions_outside_the_universe_have_no_partition(project: Project) -> None:
    path = project.root / "watchlist.yaml"
    path.write_text(path.read_text().replace("start: 2024-01-02", "start: 2024-01-29"))
    write_csv(project.root / "csv" / "AAPL.NASDAQ-5-MINUTE-LAST.csv", "AAPL.NASDAQ")
    import_outside(project)
    assert ticking(project).tick().said == f"3 sessions of {BARS} stored outside Dagster, shown now."
