"""The job `adopt_catalog`: sessions shown at their bars, the report on the page, one message on failure."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import dagster as dg

from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline_tests.catalog.bar_making import regular
from market_data_pipeline_tests.orchestration.conftest import Project
from market_data_pipeline_tests.sources.nautilus.foreign import by_nautilus, equity, with_close

AAPL = Series.parse("AAPL.NASDAQ-5-MINUTE-LAST-EXTERNAL")
OTHER = Series.parse("GOOGL.NASDAQ-5-MINUTE-LAST-EXTERNAL")
DATES = [dt.date(2024, 1, 2), dt.date(2024, 1, 3)]
BEFORE = dt.date(2023, 12, 29)  # a session before the universe begins


def old_catalog(root: Path) -> Path:
    """Two sessions of a series of the watchlist, one of another, and a definition."""
    for date in (BEFORE, *DATES):
        by_nautilus(root, regular(AAPL, date), AAPL)
    by_nautilus(root, regular(OTHER, DATES[0]), OTHER)
    equity(root)
    return root


def config(path: Path, **more: object) -> dict[str, object]:
    return {"path": str(path), **more}


def metadata_of(result: dg.ExecuteInProcessResult) -> dict[str, object]:
    (output,) = [event for event in result.all_events if event.is_successful_output]
    return {name: value.value for name, value in output.step_output_data.metadata.items()}


def test_sessions_are_shown_and_the_report_is_metadata(project: Project, tmp_path: Path) -> None:
    result = project.run("adopt_catalog", config=config(old_catalog(tmp_path / "old")))
    assert result.success
    shown = project.shown("stocks/bars_5_minute_last")
    assert set(shown) == {f"{date}|AAPL.NASDAQ" for date in DATES}
    assert shown["2024-01-02|AAPL.NASDAQ"].metadata["outcome"].value == "stored by an adoption"
    found = metadata_of(result)
    assert (found["bars_read"], found["written"], found["sum_closes"], found["instruments_missing"]) == (312, 312, True, "GOOGL.NASDAQ")
    assert "# Adoption of" in str(found["report"])
    assert str(found["coverage of AAPL.NASDAQ 5-MINUTE-LAST"]).startswith("![")
    assert Path(str(found["report_file"])).is_file()
    assert len(list(project.catalog.read(AAPL))) == 3


def test_again_nothing_is_written_or_told_twice(project: Project, tmp_path: Path) -> None:
    old = old_catalog(tmp_path / "old")
    project.run("adopt_catalog", config=config(old))
    before = project.shown("stocks/bars_5_minute_last")
    again = project.run("adopt_catalog", config=config(old))
    assert (metadata_of(again)["written"], metadata_of(again)["stored_before"]) == (0, 312)
    assert project.shown("stocks/bars_5_minute_last") == before


def test_a_dry_run_shows_the_report_and_stores_nothing(project: Project, tmp_path: Path) -> None:
    result = project.run("adopt_catalog", config=config(old_catalog(tmp_path / "old"), dry_run=True))
    assert metadata_of(result)["ending"] == "dry run"
    assert not (project.root / "catalog").exists()


def test_a_contradiction_fails_with_one_clear_message(project: Project, tmp_path: Path) -> None:
    old = old_catalog(tmp_path / "old")
    by_nautilus(old, with_close(regular(AAPL, DATES[0]), 7, 20_000), AAPL)
    result = project.run("adopt_catalog", config=config(old))
    assert not result.success
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    error = failure.step_failure_data.error
    assert error is not None
    assert "Nothing was written. 1 row has other values" in str(error)
    assert project.run("adopt_catalog", config=config(old, prefer="newest-file")).success
