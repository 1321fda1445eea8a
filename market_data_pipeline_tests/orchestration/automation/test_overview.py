"""Two stocks with the 21 NYSE sessions of January 2024 (NYSE holiday calendar 2024) in CSV files, and one backtest spec."""

from __future__ import annotations

import datetime as dt

import dagster as dg
import pytest

from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.sessions import SessionRange
from market_data_pipeline.orchestration.automation.gaps_to_fill import Running
from market_data_pipeline.orchestration.automation.overview import done_about
from market_data_pipeline.orchestration.automation.overview_page import KEY, overview_sensor
from market_data_pipeline_tests.orchestration.automation.situations import Situation, tries
from market_data_pipeline_tests.orchestration.automation.ticking import Ticking, loaded, places_of, unreadable_ledger
from market_data_pipeline_tests.orchestration.conftest import Project, started

MSFT = Series.of("MSFT.NASDAQ", "5-MINUTE-LAST")
ASSET = "stocks/bars_5_minute_last"


def ticking(project: Project) -> Ticking:
    return Ticking(project, overview_sensor(loaded(project)[1], places_of(project)))


def told(project: Project) -> list[dg.AssetMaterialization]:
    """What the page shows of the overview, oldest first."""
    records = project.instance.fetch_materializations(KEY, limit=100, ascending=True).records
    return [record.asset_materialization for record in records if record.asset_materialization is not None]


def rows(shown: dg.AssetMaterialization, table: str) -> list[dict[str, object]]:
    value = shown.metadata[table]
    assert isinstance(value, dg.TableMetadataValue)
    return [dict(record.data) for record in value.records]


def load_all_but_two_sessions(project: Project) -> None:
    assert project.run("stocks_instruments", "AAPL.NASDAQ", "MSFT.NASDAQ").success
    assert project.run("stocks_bars", "2024-01-02|AAPL.NASDAQ", "2024-01-31|AAPL.NASDAQ").success
    assert project.run("stocks_bars", "2024-01-02|MSFT.NASDAQ", "2024-01-29|MSFT.NASDAQ").success


@tries("overview", Situation.FIRST_TICK)
def test_the_first_tick_says_that_nothing_is_stored(project: Project) -> None:
    said = ticking(project).tick().said
    assert said == "Told. Of 2 series nothing is stored yet. No run failed in the last 24 hours. 0 of 1 backtest up to date."
    (shown,) = told(project)
    assert [row["state"] for row in rows(shown, "backtests")] == ["waits for 21 missing sessions"]
    assert "![coverage" in str(shown.metadata["newest_sessions"].value)


@tries("overview", Situation.NEW_WORK)
def test_what_is_missing_stands_there_with_why_and_with_what_is_being_done(project: Project) -> None:
    load_all_but_two_sessions(project)
    assert project.run("backtest", "cross").success
    said = ticking(project).tick().said
    assert "1 of 2 series has gaps: 2 sessions missing or partial. The sensor gap_filler is off." in said
    assert "1 of 1 backtest up to date." in said
    (shown,) = told(project)
    (gap,) = rows(shown, "gaps")
    assert (gap["series"], gap["first"], gap["last"], gap["sessions"]) == (str(MSFT), "2024-01-30", "2024-01-31", 2)
    assert gap["why"] == "2 never stored"
    assert gap["done_about_it"] == "nothing: the sensor gap_filler is off. Switch it on under Automation, or use the command"
    assert str(gap["mdp"]).startswith("mdp import-csv csv/MSFT.NASDAQ-5-MINUTE-LAST.csv --instrument MSFT.NASDAQ")
    (universe,) = rows(shown, "universes")
    assert universe == {"universe": "stocks", "series": 2, "complete_series": 1, "newest": "2024-01-31", "sessions": 42, "missing_or_partial": 2}
    (backtest,) = rows(shown, "backtests")
    assert backtest["state"] == "up to date"
    assert "fills" in str(backtest["did"])


@tries("overview", Situation.NOTHING_TO_DO, Situation.TWICE)
def test_what_was_told_is_not_told_twice(project: Project) -> None:
    load_all_but_two_sessions(project)
    sensor = ticking(project)
    sensor.tick()
    assert sensor.tick().said.startswith("Nothing has changed. 1 of 2 series has gaps")
    assert len(told(project)) == 1
    assert project.run("stocks_bars", "2024-01-30|MSFT.NASDAQ", "2024-01-31|MSFT.NASDAQ").success
    assert "All 2 stored series are complete" in sensor.tick().said
    assert len(told(project)) == 2


def test_a_run_that_failed_is_told_with_its_own_words(project: Project) -> None:
    (project.root / "csv" / "MSFT.NASDAQ-5-MINUTE-LAST.csv").unlink()
    assert not project.run("stocks_bars", "2024-01-30|MSFT.NASDAQ").success
    said = ticking(project).tick().said
    assert "1 run failed in the last 24 hours, the newest: " in said
    (failed,) = rows(told(project)[0], "failed_in_24_hours")
    assert (failed["job"], failed["about"]) == ("stocks_bars", "2024-01-30|MSFT.NASDAQ")
    assert "MSFT.NASDAQ-5-MINUTE-LAST.csv" in str(failed["said"])


@tries("overview", Situation.FAULT)
def test_a_catalog_that_cannot_be_read_is_said_and_the_next_tick_goes_on(project: Project) -> None:
    load_all_but_two_sessions(project)
    sensor = ticking(project)
    with unreadable_ledger(project):
        assert "The catalog cannot be read" in sensor.tick().said
    assert told(project) == []
    assert sensor.tick().said.startswith("Told.")


@tries("overview", Situation.RESTART)
def test_a_restart_tells_once_more_only_where_the_cursor_was_lost(project: Project) -> None:
    load_all_but_two_sessions(project)
    sensor = ticking(project)
    sensor.tick()
    with started(project.root) as again:
        restarted = Ticking(again, overview_sensor(loaded(again)[1], places_of(again)), sensor.cursor)
        assert restarted.tick().said.startswith("Nothing has changed.")
        assert Ticking(again, restarted.sensor).tick().said.startswith("Told.")
        assert len(told(again)) == 2


def test_a_history_that_was_wiped_is_told_again(project: Project) -> None:
    sensor = ticking(project)
    sensor.tick()
    project.instance.wipe_assets([KEY])
    assert sensor.tick().said.startswith("Told.")


def test_a_click_tells_the_same(project: Project) -> None:
    load_all_but_two_sessions(project)
    job = project.definitions.resolve_implicit_global_asset_job_def().get_subset(asset_selection={KEY})
    assert job.execute_in_process(instance=project.instance, raise_on_error=False).success
    assert "1 of 2 series has gaps" in str(told(project)[-1].metadata["summary"].value)


@pytest.mark.parametrize(
    ("running", "is_on", "said"),
    [
        ([Running(frozenset({ASSET}), frozenset({"MSFT.NASDAQ"}), dt.date(2024, 1, 2), dt.date(2024, 1, 31))], False, "a run is loading it"),
        ([Running(frozenset({ASSET}), frozenset({"AAPL.NASDAQ"}))], True, "gap_filler looks every 5 minutes; last: all complete."),
        ([], False, "nothing: the sensor gap_filler is off. Switch it on under Automation, or use the command"),
    ],
)
def test_what_is_done_about_a_gap_is_known(running: list[Running], is_on: bool, said: str) -> None:
    gap = SessionRange(dt.date(2024, 1, 30), dt.date(2024, 1, 31), 2)
    assert done_about(gap, ASSET, MSFT, running, is_on, "all complete.") == said
