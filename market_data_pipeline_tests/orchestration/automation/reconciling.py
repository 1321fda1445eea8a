"""A project whose catalog changes behind Dagster's back, and the sensor that shows it."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
from dagster._core.storage.partition_status_cache import get_and_update_asset_status_cache_value

from market_data_pipeline.cli.main import main
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.orchestration.automation.reconcile import Limits, reconcile_sensor
from market_data_pipeline_tests.orchestration.automation.ticking import Ticking, loaded, places_of
from market_data_pipeline_tests.orchestration.conftest import Project

BARS = "stocks/bars_5_minute_last"
KEY = dg.AssetKey(BARS.split("/"))
AAPL = Series.of("AAPL.NASDAQ", "5-MINUTE-LAST")


def ticking(project: Project, limits: Limits = Limits()) -> Ticking:  # noqa: B008 - frozen
    return Ticking(project, reconcile_sensor(*loaded(project), places_of(project), limits=limits))


def import_outside(project: Project, instrument: str = "AAPL.NASDAQ", *more: str) -> None:
    """Import as a person does at a terminal: 21 sessions of January 2024 (NYSE holiday calendar 2024)."""
    root = project.root
    file = root / "csv" / f"{instrument}-5-MINUTE-LAST.csv"
    words = ["import-csv", str(file), "--instrument", instrument, "--bar", "5-MINUTE-LAST", "--timezone", "America/New_York", "--stamp", "open"]
    assert main([*words, "--catalog", str(root / "catalog"), "--config", str(root / "watchlist.yaml"), *more]) == 0


def events(project: Project) -> int:
    return len(project.instance.fetch_materializations(KEY, limit=1000).records)


def bar_files(project: Project) -> list[Path]:
    return sorted((project.root / "catalog" / "data" / "bar" / AAPL.folder).glob("*.parquet"))


def materialized(project: Project) -> int:
    """Return how many partitions the page counts as materialised, from the cache that it keeps."""
    definition = project.definitions.resolve_assets_def(KEY).partitions_def
    assert definition is not None
    status = get_and_update_asset_status_cache_value(project.instance, KEY, definition)
    return 0 if status is None else len(status.deserialize_materialized_partition_subsets(definition))


def take_away_and_bring_back(project: Project, sensor: Ticking) -> None:
    """Delete the file of 2024-01-05 and write it again, with a tick after each; 21 sessions are shown at the beginning and at the end."""
    taken = bar_files(project)[3]
    content = taken.read_bytes()
    taken.unlink()
    assert sensor.tick().said == f"1 partition of {BARS} not in the catalog any more, wiped."
    assert "2024-01-05|AAPL.NASDAQ" not in project.instance.get_materialized_partitions(KEY)
    assert materialized(project) == 20
    assert sensor.tick().said == "The page shows what the catalog holds."

    taken.write_bytes(content)
    assert sensor.tick().said == f"1 session of {BARS} stored outside Dagster, shown now."
    assert materialized(project) == 21
