"""A small project of its own for each test: watchlist, CSV files, catalog, and a real Dagster instance on disk."""

from __future__ import annotations

import datetime as dt
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pytest
import yaml

from market_data_pipeline.calendars import partitions_of
from market_data_pipeline.catalog import Catalog
from market_data_pipeline.definitions import assemble
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.orchestration.automation.places import Places
from market_data_pipeline.orchestration.partitions import PARTITION_TAG, RANGE_END_TAG, RANGE_START_TAG
from market_data_pipeline_tests.conftest import REPOSITORY
from market_data_pipeline_tests.gateway import RunningGateway, start_gateway

JANUARY = (dt.date(2024, 1, 2), dt.date(2024, 1, 31))  # 21 NYSE sessions (NYSE holiday calendar 2024)

WATCHLIST = """
instruments: instruments.yaml
universes:
  stocks:
    calendar: NYSE
    start: 2024-01-02
    end: 2024-01-31
    bars: ["5-MINUTE-LAST"]
    instruments: ["AAPL.NASDAQ", "MSFT.NASDAQ"]
    source:
      csv: csv/{instrument}-{bar}.csv
      time_zone: America/New_York
      stamp: open
"""
_INSTRUMENTS = """
instruments:
  - {id: "AAPL.NASDAQ", type: equity, currency: USD, price_precision: 2}
  - {id: "MSFT.NASDAQ", type: equity, currency: USD, price_precision: 2}
"""
_SPEC = """
name: cross
strategy:
  config: {fast_period: 5, slow_period: 20}
series: ["AAPL.NASDAQ-5-MINUTE-LAST-EXTERNAL"]
start: 2024-01-02
end: 2024-01-31
starting_balances: ["1000000 USD"]
"""


def write_csv(path: Path, instrument: str, days: tuple[dt.date, dt.date] = JANUARY, without: tuple[dt.date, ...] = ()) -> int:
    """Write 78 five-minute bars for each NYSE session, stamped at the open in New York time; return the number of rows."""
    partitions = partitions_of(Series.of(instrument, "5-MINUTE-LAST"))
    generator = np.random.default_rng(len(instrument))
    path.parent.mkdir(parents=True, exist_ok=True)
    lines, price = ["timestamp,open,high,low,close,volume"], 18_000
    for date in partitions.dates_between(*days):
        steps = generator.integers(-30, 31, 78)
        for i in range(78):
            hour, minute = divmod(9 * 60 + 30 + 5 * i, 60)
            close = price + int(steps[i])
            low, high = min(price, close) - 2, max(price, close) + 3
            values = ",".join(f"{value / 100:.2f}" for value in (price, high, low, close))
            if date not in without:
                lines.append(f"{date} {hour:02}:{minute:02}:00,{values},{1000 + i}")
            price = close
    path.write_text("\n".join(lines) + "\n")
    return len(lines) - 1


def places_of(root: Path) -> Places:
    """Return where a test's project has its things."""
    return Places(root / "catalog", root / "watchlist.yaml", root / "backtests", root / "inbox", root / "results", root / "strategies.yaml")


@dataclass
class Project:
    """A project folder with a real instance."""

    root: Path
    instance: dg.DagsterInstance

    @property
    def settings(self) -> dict[str, str]:
        """The environment variables that make this project the one that Dagster loads."""
        return {
            "MDP_CONFIG": str(self.root / "watchlist.yaml"),
            "MDP_BACKTEST_SPECS": str(self.root / "backtests"),
            "MDP_CATALOG": str(self.root / "catalog"),
            "MDP_BACKTESTS": str(self.root / "results"),
            "MDP_INBOX": str(self.root / "inbox"),
            "MDP_STRATEGIES": str(self.root / "strategies.yaml"),
        }

    @property
    def catalog(self) -> Catalog:
        return Catalog.open(self.root / "catalog")

    @property
    def definitions(self) -> dg.Definitions:
        return assemble(places_of(self.root))

    def run(self, job: str, *keys: str, config: dict[str, object] | None = None) -> dg.ExecuteInProcessResult:
        """Execute a job for one partition, for a range of two, or for none."""
        tags = dict(zip([PARTITION_TAG] if len(keys) == 1 else [RANGE_START_TAG, RANGE_END_TAG], keys, strict=False))
        definition = self.definitions.resolve_job_def(job)
        return definition.execute_in_process(run_config=config, tags=tags, instance=self.instance, raise_on_error=False)

    def shown(self, asset: str) -> dict[str, dg.AssetMaterialization]:
        """Return the newest materialisation of each partition, as the page shows it."""
        records = self.instance.fetch_materializations(dg.AssetKey(asset.split("/")), limit=1000, ascending=True).records
        return {str(record.partition_key): record.asset_materialization for record in records if record.asset_materialization is not None}


FIVE = ("AAPL.NASDAQ", "MSFT.NASDAQ", "GOOGL.NASDAQ", "AMZN.NASDAQ", "META.NASDAQ")
YEAR = (dt.date(2024, 1, 2), dt.date(2024, 12, 31))  # 252 NYSE sessions (NYSE holiday calendar 2024)


def write_project(root: Path) -> None:
    """Write a watchlist of two stocks with the sessions of January 2024 in CSV files, and one backtest spec."""
    (root / "watchlist.yaml").write_text(WATCHLIST)
    (root / "instruments.yaml").write_text(_INSTRUMENTS)
    (root / "backtests").mkdir()
    (root / "backtests" / "cross.yaml").write_text(_SPEC)
    for instrument in ("AAPL.NASDAQ", "MSFT.NASDAQ"):
        write_csv(root / "csv" / f"{instrument}-5-MINUTE-LAST.csv", instrument)
    (root / "home").mkdir()
    # The page and its daemon run as users run them.
    shutil.copy(REPOSITORY / "dagster_home" / "dagster.yaml", root / "home")


def widen_to_a_year_of_five(root: Path) -> list[str]:
    """Make it five stocks and the sessions of 2024; return the keys of all partitions."""
    path = root / "watchlist.yaml"
    quoted = ", ".join(f'"{name}"' for name in FIVE)
    path.write_text(path.read_text().replace('["AAPL.NASDAQ", "MSFT.NASDAQ"]', f"[{quoted}]").replace("end: 2024-01-31", "end: 2024-12-31"))
    definitions = [f'  - {{id: "{name}", type: equity, currency: USD, price_precision: 2}}' for name in FIVE]
    (root / "instruments.yaml").write_text("\n".join(["instruments:", *definitions]) + "\n")
    for name in FIVE:
        write_csv(root / "csv" / f"{name}-5-MINUTE-LAST.csv", name, YEAR)
    dates = partitions_of(Series.of(FIVE[0], "5-MINUTE-LAST")).dates_between(*YEAR)
    return [f"{date}|{name}" for date in dates for name in FIVE]


def scaling_guide_storage() -> dict[str, Any]:
    """Return the `storage:` block of docs/scaling.md, which keeps Dagster's runs and events in PostgreSQL."""
    guide = (REPOSITORY / "docs" / "scaling.md").read_text(encoding="utf-8")
    (block,) = [block for block in re.findall(r"^```yaml\n(.*?)^```", guide, re.DOTALL | re.MULTILINE) if block.startswith("storage:")]
    storage: dict[str, Any] = yaml.safe_load(block)["storage"]
    return storage


def keep_in_postgres(home: Path) -> None:
    """Do to a home's dagster.yaml what docs/scaling.md says; DAGSTER_POSTGRES_URL names the database."""
    settings = yaml.safe_load((home / "dagster.yaml").read_text())
    (home / "dagster.yaml").write_text(yaml.safe_dump({**settings, "storage": scaling_guide_storage()}))


def _home(root: Path, environment: pytest.MonkeyPatch) -> Path:
    environment.setenv("DAGSTER_HOME", str(root / "home"))
    return root / "home"


@contextmanager
def started(root: Path) -> Iterator[Project]:
    """Open a project's instance as a process does that starts: with whatever others left in it."""
    with (
        # dagster.yaml keeps its files below DAGSTER_HOME, as users have it.
        pytest.MonkeyPatch.context() as environment,
        dg.DagsterInstance.local_temp(str(_home(root, environment)), overrides={"telemetry": {"enabled": False}}) as instance,
    ):
        yield Project(root, instance)


@contextmanager
def opened(root: Path) -> Iterator[Project]:
    """Open a project's instance, with the partitions of its watchlist."""
    with started(root) as project:
        assert project.run("watchlist_partitions").success
        yield project


@pytest.fixture
def postgres_project(tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """The same project with Dagster's runs and events in PostgreSQL."""
    monkeypatch.setenv("DAGSTER_POSTGRES_URL", postgres_url.replace("+psycopg", "", 1))
    write_project(tmp_path)
    keep_in_postgres(tmp_path / "home")
    with opened(tmp_path) as project:
        yield project


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """Two stocks with the 21 NYSE sessions of January 2024 in CSV files, and one backtest spec."""
    write_project(tmp_path)
    with opened(tmp_path) as project:
        yield project


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A gateway that answers at once and as often as it is asked."""
    with start_gateway(tmp_path_factory.mktemp("gateway"), "--no-pacing") as running:
        yield running
