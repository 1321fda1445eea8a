"""Checks of whole series, on the availability of a real instance. January 2024 had 21 NYSE sessions (NYSE holiday calendar 2024)."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.orchestration.beta import beta_parameters
from market_data_pipeline.orchestration.partitions import UniversePartitions
from market_data_pipeline.orchestration.series_checks import evaluate_series
from market_data_pipeline.watchlist import read_watchlist
from market_data_pipeline_tests.instants import ns
from market_data_pipeline_tests.orchestration.conftest import Project
from market_data_pipeline_tests.orchestration.test_bars import ALL

AAPL = Series.of("AAPL.NASDAQ", "5-MINUTE-LAST")
NAMES = {"up_to_date", "orphan_bars", "quarantined_files", "price_jumps", "zero_volume_days", "flat_runs"}


def results(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    return {evaluation.check_name: evaluation for evaluation in result.get_asset_check_evaluations()}


def found(evaluation: dg.AssetCheckEvaluation) -> list[dict[str, Any]]:
    return [dict(record.data) for record in evaluation.metadata["first_found"].value.records]  # type: ignore[union-attr]


def rewrite(project: Project, change: dict[dt.date, tuple[float, int | None, bool]]) -> None:
    """Multiply the prices of AAPL from a date on, give its sessions a volume, or repeat the first bar of the day."""
    path = project.root / "csv" / "AAPL.NASDAQ-5-MINUTE-LAST.csv"
    head, *lines = path.read_text().splitlines()
    written = [head]
    first: dict[dt.date, list[str]] = {}
    for line in lines:
        stamp, *prices, volume = line.split(",")
        date = dt.date.fromisoformat(stamp[:10])
        scale = next((factor for since, (factor, _, _) in sorted(change.items(), reverse=True) if since <= date), 1.0)
        _, fixed, flat = change.get(date, (1.0, None, False))
        values = [f"{float(price) * scale:.2f}" for price in prices]
        values = first.setdefault(date, values) if flat else values
        written.append(",".join([stamp, *values, volume if fixed is None else str(fixed)]))
    path.write_text("\n".join(written) + "\n")


def test_whole_series_are_found_in_order(project: Project) -> None:
    assert project.run("stocks_instruments", "AAPL.NASDAQ", "MSFT.NASDAQ").success
    assert project.run("stocks_bars", *ALL).success
    made = results(project.run("stocks_availability", "AAPL.NASDAQ", "MSFT.NASDAQ"))
    assert {name: evaluation.passed for name, evaluation in made.items()} == dict.fromkeys(NAMES, True)
    assert made["price_jumps"].metadata["sessions_looked_at"].value == 2 * 21


def test_a_split_a_dead_feed_and_a_day_without_volume_are_told_with_their_sessions(project: Project) -> None:
    """A 4-for-1 split on 16 January, after the holiday of the 15th; no volume on the 18th; a feed that died on the 23rd."""
    rewrite(
        project,
        {
            dt.date(2024, 1, 16): (0.25, None, False),
            dt.date(2024, 1, 18): (0.25, 0, False),
            dt.date(2024, 1, 23): (0.25, None, True),
        },
    )
    assert project.run("stocks_bars", *ALL).success
    result = project.run("stocks_availability", "AAPL.NASDAQ")
    made = results(result)
    assert result.success, "a suspicion stops nothing"
    for name, first in (("price_jumps", "2024-01-16"), ("zero_volume_days", "2024-01-18"), ("flat_runs", "2024-01-23")):
        (record,) = found(made[name])
        assert (record["series"], record["first"]) == (str(AAPL), first)
        assert (made[name].passed, made[name].severity) == (False, dg.AssetCheckSeverity.WARN)
    assert "as after a 4-for-1 split" in found(made["price_jumps"])[0]["what"]
    assert "78 bars in a row" in found(made["flat_runs"])[0]["what"]

    other = results(project.run("stocks_availability", "MSFT.NASDAQ"))
    assert not other["price_jumps"].passed, "a run for another instrument still tells what was found"


def test_bars_without_an_instrument_are_an_error_with_the_commands_that_define_it(project: Project) -> None:
    assert project.run("stocks_bars", "2024-01-05|AAPL.NASDAQ").success
    for file in (project.root / "catalog" / "data" / "equity").rglob("*.parquet"):
        file.unlink()
    orphan = results(project.run("stocks_availability", "AAPL.NASDAQ"))["orphan_bars"]
    assert (orphan.passed, orphan.severity) == (False, dg.AssetCheckSeverity.ERROR)
    (record,) = found(orphan)
    assert record["mdp"] == "mdp instruments define AAPL.NASDAQ"
    assert '-j stocks_instruments --tags \'{"dagster/partition": "AAPL.NASDAQ"}\'' in record["command"]
    assert project.run("stocks_instruments", "AAPL.NASDAQ").success
    assert results(project.run("stocks_availability", "AAPL.NASDAQ"))["orphan_bars"].passed


def test_a_file_in_quarantine_is_told_until_its_sessions_are_loaded_again(project: Project) -> None:
    project.run("stocks_bars", "2024-01-04|AAPL.NASDAQ", "2024-01-05|AAPL.NASDAQ")
    file = max((project.root / "catalog" / "data" / "bar" / AAPL.folder).glob("*.parquet"))
    content = file.read_bytes()
    file.unlink()
    file.write_bytes(content[:100])
    left = results(project.run("stocks_availability", "AAPL.NASDAQ"))["quarantined_files"]
    assert found(left)[0]["mdp"] == "mdp catalog verify", "it stands where it stood"
    project.catalog.verify()
    moved = results(project.run("stocks_availability", "AAPL.NASDAQ"))["quarantined_files"]
    (record,) = found(moved)
    assert record["file"].endswith(file.name)
    assert record["what_to_do"] == "load again: 2024-01-05"
    assert "2024-01-05|AAPL.NASDAQ" in record["command"]
    assert record["mdp"].startswith("mdp import-csv csv/AAPL.NASDAQ-5-MINUTE-LAST.csv --instrument AAPL.NASDAQ --bar 5-MINUTE-LAST")
    assert project.run("stocks_bars", "2024-01-05|AAPL.NASDAQ").success
    again = results(project.run("stocks_availability", "AAPL.NASDAQ"))["quarantined_files"]
    assert again.passed
    assert again.metadata["files_in_quarantine"].value == 1


def test_a_series_is_behind_once_its_session_has_ended_and_settled(project: Project) -> None:
    """NYSE closed at 16:00 New York time, 21:00 UTC, on 31 January 2024; after hours end at 20:00; the universe waits 15 minutes more."""
    path = project.root / "watchlist.yaml"
    path.write_text(path.read_text().replace("    end: 2024-01-31\n", ""))
    project.run("stocks_bars", "2024-01-02|AAPL.NASDAQ", "2024-01-30|MSFT.NASDAQ")
    universe = UniversePartitions.of("stocks", read_watchlist(path).universes["stocks"])

    def behind(now: str) -> list[str]:
        (check,) = evaluate_series(project.catalog, universe, [], {"up_to_date"}, ns(now))
        return [] if check.passed else [record.data["what"] for record in check.metadata["first_found"].value.records]  # type: ignore[union-attr]

    assert behind("2024-01-31 20:30") == []
    assert behind("2024-02-01 01:10") == []
    assert behind("2024-02-01 01:20") == ["1 session behind: 2024-01-31 (1 session) not stored whole"] * 2
    assert behind("2024-02-05 20:00")[0].startswith("3 sessions behind: 2024-01-31 to 2024-02-02")


def test_the_checks_can_be_executed_alone_without_a_partition(project: Project) -> None:
    project.run("stocks_bars", *ALL)
    selection = dg.AssetSelection.checks(dg.AssetCheckKey(dg.AssetKey(["stocks", "availability"]), "price_jumps"))
    job = dg.define_asset_job("only_checks", selection)
    with beta_parameters():
        alone = dg.Definitions.merge(project.definitions, dg.Definitions(jobs=[job])).resolve_job_def("only_checks")
    result = alone.execute_in_process(instance=project.instance)
    assert set(results(result)) == {"price_jumps"}
    assert results(result)["price_jumps"].metadata["sessions_looked_at"].value == 2 * 21


def test_what_is_missing_is_told_with_both_commands(project: Project) -> None:
    result = project.run("stocks_bars", "2024-01-02|AAPL.NASDAQ", "2024-01-05|AAPL.NASDAQ")
    check = results(result)["calendar_complete"]
    assert check.metadata["sessions_missing_or_partial"].value == 17 + 21
    records = [dict(record.data) for record in check.metadata["gaps"].value.records]  # type: ignore[union-attr]
    assert [(record["series"], record["first"], record["last"], record["sessions"]) for record in records] == [
        (str(Series.of("MSFT.NASDAQ", "5-MINUTE-LAST")), "2024-01-02", "2024-01-31", 21),
        (str(AAPL), "2024-01-08", "2024-01-31", 17),
    ]
    assert records[1]["mdp"] == (
        "mdp import-csv csv/AAPL.NASDAQ-5-MINUTE-LAST.csv --instrument AAPL.NASDAQ --bar 5-MINUTE-LAST --timezone America/New_York --stamp open"
    )
    assert '-j stocks_bars --tags \'{"dagster/asset_partition_range_start": "2024-01-08|AAPL.NASDAQ"' in records[1]["command"]


@pytest.mark.parametrize("hours", ["", "    hours: rth\n"])
def test_a_gap_of_the_broker_names_mdp_load(tmp_path: Path, hours: str) -> None:
    from market_data_pipeline.domain.sessions import SessionRange
    from market_data_pipeline.orchestration.mending import load_command

    path = tmp_path / "watchlist.yaml"
    lines = ["calendar: NYSE", "start: 2024-01-02", "bars: [5-MINUTE-LAST]", "instruments: [AAPL.NASDAQ]", "source: ibkr"]
    path.write_text("universes:\n  b:\n" + "".join(f"    {line}\n" for line in lines) + hours)
    universe = UniversePartitions.of("b", read_watchlist(path).universes["b"])
    gap = SessionRange(dt.date(2024, 1, 4), dt.date(2024, 1, 5), 2)
    expected = "mdp load AAPL.NASDAQ 5-MINUTE-LAST --mode full --start 2024-01-04 --end 2024-01-05"
    assert load_command(universe, AAPL, gap) == expected + (" --hours rth" if hours else "")
