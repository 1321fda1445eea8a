from __future__ import annotations

import datetime as dt
from pathlib import Path

import dagster as dg

from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline_tests.orchestration.conftest import JANUARY, Project, write_csv

BARS = "stocks/bars_5_minute_last"
AAPL = Series.of("AAPL.NASDAQ", "5-MINUTE-LAST")
ALL = ("2024-01-02|AAPL.NASDAQ", "2024-01-31|MSFT.NASDAQ")


def failure_of(result: dg.ExecuteInProcessResult) -> str:
    """Return what the failed step says, which is all that a person sees of it."""
    (event,) = [event for event in result.all_events if event.is_step_failure]
    error = event.step_failure_data.error
    assert error is not None
    assert error.stack == [], "a person gets a message and no stack trace"
    return error.message


def checks_of(result: dg.ExecuteInProcessResult) -> dict[str, bool]:
    return {evaluation.check_name: evaluation.passed for evaluation in result.get_asset_check_evaluations()}


def test_a_range_of_two_instruments_is_one_run_and_shows_each_session(project: Project) -> None:
    result = project.run("stocks_bars", *ALL)
    assert result.success
    shown = project.shown(BARS)
    assert len(shown) == 2 * 21
    metadata = shown["2024-01-05|AAPL.NASDAQ"].metadata
    assert metadata["dagster/row_count"].value == 78
    assert metadata["coverage"].value == "complete"
    assert metadata["first_bar_opens"].value == "2024-01-05 14:30:00 UTC"
    assert metadata["last_bar_closes"].value == "2024-01-05 21:00:00 UTC"
    available = project.catalog.availability(AAPL)
    assert available is not None
    assert (available.complete, available.rows) == (21, 21 * 78)
    assert checks_of(result) == dict.fromkeys(["bar_schema", "ohlc_order", "no_duplicates", "instrument_present", "calendar_complete"], True)


def test_one_partition_stores_one_session_with_its_picture(project: Project) -> None:
    assert project.run("stocks_bars", "2024-01-05|AAPL.NASDAQ").success
    shown = project.shown(BARS)
    assert list(shown) == ["2024-01-05|AAPL.NASDAQ"]
    assert str(shown["2024-01-05|AAPL.NASDAQ"].metadata["closes"].value).startswith("![closes of 2024-01-05](data:image/png;base64,")
    assert [row.session for row in project.catalog.sessions(AAPL)] == [dt.date(2024, 1, 5)]


def test_what_is_stored_is_not_read_again_but_shown(project: Project) -> None:
    project.run("stocks_bars", *ALL)
    before = project.catalog.sessions(AAPL)
    (project.root / "csv" / "AAPL.NASDAQ-5-MINUTE-LAST.csv").write_text("timestamp,open,high,low,close,volume\nnonsense\n")
    result = project.run("stocks_bars", *ALL)
    assert result.success, "a source that is not asked cannot fail"
    assert project.shown(BARS)["2024-01-05|AAPL.NASDAQ"].metadata["outcome"].value == "stored before"
    assert project.catalog.sessions(AAPL) == before


def test_refetch_asks_again(project: Project) -> None:
    project.run("stocks_bars", "2024-01-05|AAPL.NASDAQ")
    result = project.run("stocks_bars", "2024-01-05|AAPL.NASDAQ", config={"ops": {"stocks__bars_5_minute_last": {"config": {"refetch": True}}}})
    assert result.success
    assert project.shown(BARS)["2024-01-05|AAPL.NASDAQ"].metadata["outcome"].value == "stored now"


def test_a_session_that_the_file_lacks_fails_the_run_and_the_others_stay(project: Project) -> None:
    path = project.root / "csv" / "AAPL.NASDAQ-5-MINUTE-LAST.csv"
    write_csv(path, "AAPL.NASDAQ", JANUARY, without=(dt.date(2024, 1, 17),))
    result = project.run("stocks_bars", "2024-01-02|AAPL.NASDAQ", "2024-01-31|AAPL.NASDAQ")
    assert not result.success
    message = failure_of(result)
    assert "1 of 21 sessions could not be had; 20 are stored and stay" in message
    assert "2024-01-17" in message
    shown = project.shown(BARS)
    assert len(shown) == 20
    assert "2024-01-17|AAPL.NASDAQ" not in shown
    assert not checks_of(result)["calendar_complete"]

    write_csv(path, "AAPL.NASDAQ")
    assert project.run("stocks_bars", "2024-01-02|AAPL.NASDAQ", "2024-01-31|AAPL.NASDAQ").success
    outcomes = {key: event.metadata["outcome"].value for key, event in project.shown(BARS).items()}
    assert [key for key, outcome in outcomes.items() if outcome == "stored now"] == ["2024-01-17|AAPL.NASDAQ"]


def test_bad_rows_fail_the_run_before_anything_is_written(project: Project) -> None:
    path = project.root / "csv" / "AAPL.NASDAQ-5-MINUTE-LAST.csv"
    lines = path.read_text().splitlines()
    lines[7] = lines[7].replace(",", ",-", 1)
    path.write_text("\n".join(lines) + "\n")
    result = project.run("stocks_bars", "2024-01-05|AAPL.NASDAQ")
    assert "BadRows" in failure_of(result)
    assert "8" in failure_of(result), "the line of the file"
    assert project.shown(BARS) == {}


def test_a_missing_file_says_where_it_was_looked_for(project: Project) -> None:
    (project.root / "csv" / "AAPL.NASDAQ-5-MINUTE-LAST.csv").unlink()
    assert "csv/AAPL.NASDAQ-5-MINUTE-LAST.csv" in failure_of(project.run("stocks_bars", "2024-01-05|AAPL.NASDAQ"))


def test_no_partition_says_how_to_name_one(project: Project) -> None:
    message = failure_of(project.run("stocks_bars"))
    assert message.startswith("InvalidPartition: No partition was named")
    assert '--tags \'{"dagster/partition": "2024-01-31|AAPL.NASDAQ"}\'' in message


def test_a_saturday_is_not_taken_for_the_next_monday(project: Project) -> None:
    message = failure_of(project.run("stocks_bars", "2024-01-06|AAPL.NASDAQ"))
    assert "2024-01-06 is no 5-MINUTE-LAST session of NYSE. Sessions around it: 2024-01-05 and 2024-01-08." in message
    assert project.catalog.series() == []


def test_a_key_that_names_nothing_is_refused(project: Project) -> None:
    assert "'GOOGL.NASDAQ' is no instrument of the universe stocks" in failure_of(project.run("stocks_bars", "2024-01-05|GOOGL.NASDAQ"))
    assert "lies outside the universe stocks" in failure_of(project.run("stocks_bars", "2024-02-05|AAPL.NASDAQ"))


def test_pictures_and_paths_survive_a_broken_catalog_file(project: Project) -> None:
    """A file that was cut short is set aside by the next run, and its session is read again."""
    project.run("stocks_bars", "2024-01-05|AAPL.NASDAQ")
    (file,) = (Path(project.root) / "catalog" / "data" / "bar" / AAPL.folder).glob("*.parquet")
    file.write_bytes(file.read_bytes()[:100])
    assert project.run("stocks_bars", "2024-01-05|AAPL.NASDAQ").success
    assert project.shown(BARS)["2024-01-05|AAPL.NASDAQ"].metadata["outcome"].value == "stored now"
    assert list((project.root / "catalog" / "quarantine").rglob("*.quarantined"))


def test_the_picture_of_the_very_first_session_of_a_series_shows_its_bars(project: Project) -> None:
    """The ledger learns of a series when its first load ends; the picture is drawn before."""
    from market_data_pipeline.charts.bars import bars_png
    from market_data_pipeline.orchestration.metadata import png

    assert project.run("stocks_bars", "2024-01-05|AAPL.NASDAQ").success
    series, session = Series.of("AAPL.NASDAQ", "5-MINUTE-LAST"), dt.date(2024, 1, 5)
    bars = project.catalog.read_session(series, session)
    assert len(bars) == 78
    shown = project.shown(BARS)["2024-01-05|AAPL.NASDAQ"].metadata["closes"]
    assert shown.value == png(bars_png(series, bars, "America/New_York"), f"closes of {session}").value
