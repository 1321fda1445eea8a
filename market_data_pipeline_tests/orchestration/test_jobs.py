from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from market_data_pipeline.domain.errors import ConfigurationError
from market_data_pipeline.orchestration.partitions import RANGE_END_TAG, RANGE_START_TAG
from market_data_pipeline_tests.orchestration.conftest import Project
from market_data_pipeline_tests.orchestration.test_bars import ALL, failure_of


def test_every_job_of_a_universe_runs_in_order(project: Project) -> None:
    assert project.run("stocks_instruments", "AAPL.NASDAQ", "MSFT.NASDAQ").success
    assert project.run("stocks_bars", *ALL).success
    assert project.run("stocks_availability", "AAPL.NASDAQ", "MSFT.NASDAQ").success
    assert project.run("backtest", "cross").success

    instrument = project.shown("stocks/instruments")["AAPL.NASDAQ"].metadata
    assert instrument["outcome"].value == "new"
    available = project.shown("stocks/availability")["MSFT.NASDAQ"].metadata
    assert available["dagster/row_count"].value == 21 * 78
    assert available["sessions_in_gaps"].value == 0
    assert str(available["coverage_5-MINUTE-LAST"].value).startswith("![coverage of")
    backtest = project.shown("backtests/from_spec")["cross"].metadata
    assert str(backtest["equity"].value).startswith("![equity curve]")
    assert Path(str(backtest["tearsheet"].value)).exists()
    assert list(backtest)[:3] == ["summary", "equity", "tearsheet"]
    assert str(backtest["summary"].value).startswith("1,000,000.00 to ")
    assert isinstance(backtest["metric/returns/Sharpe Ratio (252 days)"].value, float)
    assert backtest["metric/bars"].value == 21 * 78
    assert available["summary"].value == "5-MINUTE-LAST: 21 sessions complete, 2024-01-02 to 2024-01-31; nothing is missing."


def test_availability_shows_the_gap_and_the_command_that_asks_for_it(project: Project) -> None:
    project.run("stocks_bars", "2024-01-02|AAPL.NASDAQ", "2024-01-05|AAPL.NASDAQ")
    project.run("stocks_availability", "AAPL.NASDAQ")
    metadata = project.shown("stocks/availability")["AAPL.NASDAQ"].metadata
    assert metadata["sessions_in_gaps"].value == 17
    (record,) = metadata["gaps"].value.records  # type: ignore[union-attr]
    assert record.data["first"] == "2024-01-08"
    assert record.data["last"] == "2024-01-31"
    assert record.data["why"] == "17 never stored"
    assert metadata["summary"].value == (
        "5-MINUTE-LAST: 4 sessions complete, 2024-01-02 to 2024-01-05; 17 missing or partial, the newest 2024-01-31."
    )
    assert record.data["command"] == (
        "dagster job execute -m market_data_pipeline.definitions -j stocks_bars --tags "
        '\'{"dagster/asset_partition_range_start": "2024-01-08|AAPL.NASDAQ", "dagster/asset_partition_range_end": "2024-01-31|AAPL.NASDAQ"}\''
    )


def test_a_backtest_on_missing_sessions_is_refused(project: Project) -> None:
    project.run("stocks_instruments", "AAPL.NASDAQ")
    project.run("stocks_bars", "2024-01-02|AAPL.NASDAQ", "2024-01-05|AAPL.NASDAQ")
    message = failure_of(project.run("backtest", "cross"))
    assert "DataMissing" in message
    assert "2024-01-08" in message


def test_a_backtest_from_configuration_needs_no_file(project: Project) -> None:
    project.run("stocks_bars", "2024-01-02|AAPL.NASDAQ", "2024-01-31|AAPL.NASDAQ")
    spec = {"name": "try", "series": ["AAPL.NASDAQ-5-MINUTE-LAST-EXTERNAL"], "start": "2024-01-02", "end": "2024-01-12"}
    result = project.run("backtest_ad_hoc", config={"ops": {"backtests__ad_hoc": {"config": {"spec": spec}}}})
    assert result.success


def test_a_backtest_spec_that_is_not_there_lists_those_that_are(project: Project) -> None:
    assert "'other' is no backtest spec of backtests/. There are: cross." in failure_of(project.run("backtest", "other"))


def test_two_backtests_in_one_run_are_refused(project: Project) -> None:
    (project.root / "backtests" / "second.yaml").write_text((project.root / "backtests" / "cross.yaml").read_text())
    project.run("watchlist_partitions")
    assert "One run makes one backtest" in failure_of(project.run("backtest", "cross", "second"))


def test_a_new_symbol_becomes_a_partition_and_none_is_removed(project: Project) -> None:
    path = project.root / "watchlist.yaml"
    path.write_text(path.read_text().replace('["AAPL.NASDAQ", "MSFT.NASDAQ"]', '["AAPL.NASDAQ", "SPY.ARCA"]'))
    assert project.run("watchlist_partitions").success
    assert project.instance.get_dynamic_partitions("stocks_instruments") == ["AAPL.NASDAQ", "MSFT.NASDAQ", "SPY.ARCA"]


def test_an_instrument_without_a_definition_says_what_to_write(project: Project) -> None:
    (project.root / "instruments.yaml").write_text("instruments: []\n")
    message = failure_of(project.run("stocks_instruments", "AAPL.NASDAQ"))
    assert "InstrumentNotFound" in message
    assert "type: equity" in message


def test_a_broken_watchlist_names_its_line(project: Project) -> None:
    path = project.root / "watchlist.yaml"
    path.write_text(path.read_text().replace("calendar: NYSE", "calendar: NYSEE"))
    with pytest.raises(ConfigurationError, match=r"watchlist.yaml, line \d+.*NYSEE"):
        _ = project.definitions


def test_the_exclusions_are_the_closed_days_of_the_calendar(project: Project) -> None:
    """2024-01-15 was Martin Luther King Jr. Day (NYSE holiday calendar 2024)."""
    definition = project.definitions.resolve_assets_def(["stocks", "bars_5_minute_last"]).partitions_def
    assert isinstance(definition, dg.MultiPartitionsDefinition)
    keys = definition.get_partitions_def_for_dimension("date").get_partition_keys()
    assert (len(keys), keys[0], keys[-1]) == (21, "2024-01-02", "2024-01-31")
    assert "2024-01-15" not in keys


def test_loading_the_definitions_imports_nothing_heavy() -> None:
    code = (
        "import sys; import market_data_pipeline.definitions; "
        "print(sorted({'pandas', 'nautilus_trader', 'matplotlib', 'pandera', 'pyarrow', 'ib_async'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def execute(project: Project, job: str, home: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """Run `dagster job execute` as a user does."""
    program = Path(sys.executable).parent / "dagster"
    environment = {**os.environ, **project.settings, "DAGSTER_HOME": str(home)}
    command = [str(program), "job", "execute", "-m", "market_data_pipeline.definitions", "-j", job, *more]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_the_command_line_refuses_a_run_without_partition_in_one_line(project: Project) -> None:
    """Dagster itself fails before any of our code where an upstream asset has been materialised."""
    assert project.run("stocks_instruments", "AAPL.NASDAQ").success
    ended = execute(project, "stocks_bars", project.root / "home")
    assert ended.returncode != 0
    assert "InvalidPartition: No partition was named" in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr
    assert "Stack Trace" not in ended.stdout + ended.stderr


def test_the_command_line_refuses_an_impossible_range_in_one_line(project: Project) -> None:
    tags = {RANGE_START_TAG: "2024-01-06|AAPL.NASDAQ", RANGE_END_TAG: "2024-01-12|AAPL.NASDAQ"}
    ended = execute(project, "stocks_bars", project.root / "home", "--tags", json.dumps(tags))
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].startswith("Error: 2024-01-06 is no 5-MINUTE-LAST session of NYSE.")
    assert "Traceback" not in ended.stderr


def test_the_command_line_tells_the_line_of_a_broken_watchlist(project: Project) -> None:
    path = project.root / "watchlist.yaml"
    path.write_text(path.read_text().replace("calendar: NYSE", "calendar: NYSEE"))
    ended = execute(project, "watchlist_partitions", project.root / "home")
    assert ended.returncode == 1
    assert "watchlist.yaml, line" in ended.stderr.splitlines()[-1]
    assert "Traceback" not in ended.stderr
