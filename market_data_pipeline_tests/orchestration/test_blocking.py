from __future__ import annotations

import datetime as dt

import dagster as dg
import pytest

from market_data_pipeline.catalog.bar_format import encode, to_parquet, write_atomically
from market_data_pipeline.domain.bar_table import BarTable
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline_tests.orchestration.conftest import Project
from market_data_pipeline_tests.orchestration.test_bars import ALL, BARS, failure_of

AAPL = Series.of("AAPL.NASDAQ", "5-MINUTE-LAST")
MSFT = Series.of("MSFT.NASDAQ", "5-MINUTE-LAST")


@pytest.fixture
def loaded(project: Project) -> Project:
    assert project.run("stocks_instruments", "AAPL.NASDAQ", "MSFT.NASDAQ").success
    assert project.run("stocks_bars", *ALL).success
    return project


def put_bad_bar(project: Project, series: Series) -> None:
    """Put a file of another program in place of the session of 5 January: its third bar has a low above its high."""
    day = dt.date(2024, 1, 5)
    folder = project.catalog.layout.series_folder(series)
    (row,) = project.catalog.sessions(series, day, day)
    session = project.catalog.read_session(series, day)
    low = session.low.copy()
    low[2] = session.high[2] + 50
    columns = {name: session.column(name) for name in ("open", "high", "close", "volume", "ts_event", "ts_init")}
    bad = BarTable(**columns, low=low, price_precision=session.price_precision, size_precision=session.size_precision)
    write_atomically(folder, row.file, to_parquet(encode(bad, series)))


def fail_check(project: Project, **metadata: object) -> None:
    """Record that a blocking check of the bars failed."""
    project.instance.report_runless_asset_event(
        dg.AssetCheckEvaluation(
            asset_key=dg.AssetKey(BARS.split("/")),
            check_name="ohlc_order",
            passed=False,
            severity=dg.AssetCheckSeverity.ERROR,
            metadata=metadata,  # type: ignore[arg-type]
            blocking=True,
        )
    )


def results_of(project: Project) -> list[str]:
    folder = project.root / "results"
    return sorted(one.name for one in folder.iterdir()) if folder.exists() else []


def test_bars_that_pass_their_checks_are_tested(loaded: Project) -> None:
    assert loaded.run("backtest", "cross").success
    assert len(results_of(loaded)) == 1


def test_a_backtest_is_not_run_on_bars_of_which_a_check_fails(loaded: Project) -> None:
    put_bad_bar(loaded, AAPL)
    result = loaded.run("backtest", "cross")
    message = failure_of(result)
    assert "cross was not run" in message
    assert "mdp catalog verify" in message
    assert results_of(loaded) == []
    assert loaded.shown("backtests/from_spec") == {}


def test_a_check_that_was_recorded_as_failed_stops_the_backtest_until_it_passes(loaded: Project) -> None:
    fail_check(loaded, failing=dg.MetadataValue.json([str(AAPL)]))
    message = failure_of(loaded.run("backtest", "cross"))
    assert message.startswith("ChecksFailed: cross was not run, because blocking checks of its bars fail:")
    assert f"ohlc_order of {BARS}: {AAPL}" in message
    assert results_of(loaded) == []
    assert loaded.run("stocks_bars", "2024-01-05|AAPL.NASDAQ").success
    assert loaded.run("backtest", "cross").success


def test_a_check_that_fails_for_other_series_stops_nothing(loaded: Project) -> None:
    fail_check(loaded, failing=dg.MetadataValue.json([str(MSFT)]))
    assert loaded.run("backtest", "cross").success


def test_a_failed_check_that_does_not_say_for_what_stops_the_backtest(loaded: Project) -> None:
    fail_check(loaded)
    assert "it does not say for which series" in failure_of(loaded.run("backtest", "cross"))


def test_a_backtest_from_configuration_is_stopped_too(loaded: Project) -> None:
    fail_check(loaded)
    spec = {"name": "try", "series": [str(AAPL)], "start": "2024-01-02", "end": "2024-01-12"}
    message = failure_of(loaded.run("backtest_ad_hoc", config={"ops": {"backtests__ad_hoc": {"config": {"spec": spec}}}}))
    assert "ChecksFailed: try was not run" in message
