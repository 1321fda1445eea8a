"""Two catalogs as traders left them: adopted, compared value by value, read by Nautilus, and traded on."""

from __future__ import annotations

import csv
import datetime as dt
import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from market_data_pipeline.backtest import BacktestSpec, run_backtest
from market_data_pipeline.catalog import Catalog
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.coverage import Coverage
from market_data_pipeline.ingest.adopt import adopt, adopted
from market_data_pipeline.ingest.adopt_report import AdoptReport, Kept
from market_data_pipeline_tests.catalog.bar_making import nautilus_reads
from market_data_pipeline_tests.cli.conftest import Mdp, _a_place_of_its_own, mdp, reach, root, simulator  # noqa: F401 - fixtures
from market_data_pipeline_tests.gateway import RunningGateway
from market_data_pipeline_tests.sources.nautilus.foreign import state_of

MINUTES = Series.parse("EUR/USD.IDEALPRO-15-MINUTE-MID-EXTERNAL")
DAYS = Series.parse("EUR/USD.IDEALPRO-1-DAY-MID-EXTERNAL")
FILES = {
    MINUTES: "EUR-USD_EUR_USD_IDEALPRO_15_MINUTE_MID_EXTERNAL.csv",
    DAYS: "EUR-USD_EUR_USD_IDEALPRO_1_DAY_MID_EXTERNAL.csv",
}


@pytest.fixture(scope="module")
def fx(market_data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Catalog, AdoptReport]:
    """The FX catalog, adopted; the source is as it was."""
    source = market_data / "legacy-catalog-fx"
    before = state_of(source)
    catalog = Catalog.open(tmp_path_factory.mktemp("fx") / "catalog")
    report = adopted(adopt(catalog, source), lambda step: None)
    assert state_of(source) == before
    return catalog, report


def test_every_row_of_the_fx_catalog_is_accounted_for(fx: tuple[Catalog, AdoptReport]) -> None:
    """1,330 and 26 duplicate rows inside files (README of the files); the others stand in two files."""
    report = fx[1]
    numbers = {one.series: (one.read, one.duplicates_inside, one.duplicates_across, one.written) for one in report.series}
    assert numbers == {MINUTES: (51_624, 1_330, 4_641, 45_653), DAYS: (614, 26, 107, 481)}
    assert report.closes
    assert not report.failed
    assert all(one.price_bytes == (8,) and not one.conflicts and not one.bad_files and not one.left_out for one in report.series)


def test_the_two_wrong_instruments_are_refused_and_the_others_kept(fx: tuple[Catalog, AdoptReport]) -> None:
    catalog, report = fx
    refused = {one.instrument_id: one.why for one in report.instruments if one.what is Kept.REFUSED}
    assert set(refused) == {"EUR-USD.IDEALPRO", "SPY.SMART"}
    assert "a share" in refused["EUR-USD.IDEALPRO"]
    assert "no exchange" in refused["SPY.SMART"]
    assert catalog.instruments.ids() == ["EUR/USD.IDEALPRO", "EUR/USD.SMART", "GBP/USD.IDEALPRO"]


@pytest.mark.parametrize("series", [MINUTES, DAYS])
def test_the_adopted_bars_are_those_of_the_traders_own_csv(market_data: Path, fx: tuple[Catalog, AdoptReport], series: Series) -> None:
    """The CSV is read without our code; every bar of it is in the catalog with the same values."""
    stored: dict[int, tuple[Decimal, ...]] = {}
    for table in fx[0].read(series):
        columns = [[Decimal(value).scaleb(-5) for value in table.column(name).tolist()] for name in ("open", "high", "low", "close")]
        stored.update(zip(table.ts_init.tolist(), zip(*columns, strict=True), strict=True))
    rows = 0
    with (market_data / "ibkr-csv" / FILES[series]).open(newline="") as file:
        for row in csv.DictReader(file):
            text, fraction = row["timestamp"], 0
            if "." in text:
                text, fraction = text[: text.index(".")] + text[-6:], 999_999_999
            close = int(dt.datetime.fromisoformat(text).timestamp()) * 1_000_000_000 + fraction
            assert stored[close] == tuple(Decimal(row[name]) for name in ("open", "high", "low", "close")), row
            rows += 1
    assert rows == {MINUTES: 45_238, DAYS: 478}[series]


def test_nautilus_of_sixteen_bytes_reads_them_and_backtests(fx: tuple[Catalog, AdoptReport], tmp_path: Path) -> None:
    catalog = fx[0]
    assert nautilus_reads(catalog.root, MINUTES.bar_type) == (45_653, 45_653, True)
    assert nautilus_reads(catalog.root, DAYS.bar_type) == (481, 481, True)
    spec = BacktestSpec.of(
        {
            "name": "adopted",
            "series": [MINUTES.bar_type],
            "start": "2025-09-01",
            "end": "2025-10-24",
            "starting_balances": ["1000000 USD"],
            "strategy": {"config": {"fast_period": 40, "slow_period": 260, "trade_size": "100000"}},
        }
    )
    assert run_backtest(catalog, spec, tmp_path / "results").result.passport["bars_fingerprint"]


_NODE = """
import json, sys
from decimal import Decimal
from nautilus_trader.backtest.config import BacktestDataConfig, BacktestEngineConfig, BacktestRunConfig, BacktestVenueConfig
from nautilus_trader.backtest.node import BacktestNode
from nautilus_trader.config import ImportableStrategyConfig, LoggingConfig
from nautilus_trader.model.data import Bar
strategy = ImportableStrategyConfig(
    strategy_path="nautilus_trader.examples.strategies.ema_cross:EMACross",
    config_path="nautilus_trader.examples.strategies.ema_cross:EMACrossConfig",
    config={"instrument_id": sys.argv[2], "bar_type": sys.argv[3], "trade_size": Decimal("100000"), "fast_ema_period": 10, "slow_ema_period": 20},
)
venue = BacktestVenueConfig(name="IDEALPRO", oms_type="NETTING", account_type="MARGIN", starting_balances=["1000000 USD"])
data = BacktestDataConfig(catalog_path=sys.argv[1], data_cls=Bar, bar_types=[sys.argv[3]], instrument_id=sys.argv[2])
engine = BacktestEngineConfig(strategies=[strategy], logging=LoggingConfig(bypass_logging=True))
node = BacktestNode([BacktestRunConfig(engine=engine, venues=[venue], data=[data])])
(result,) = node.run()
print(json.dumps({"iterations": result.iterations, "orders": result.total_orders}))
"""


def test_a_backtest_node_of_nautilus_alone_runs_over_them(fx: tuple[Catalog, AdoptReport]) -> None:
    """Nothing of ours takes part but the files: all 481 day bars reach the strategy."""
    command = [sys.executable, "-c", _NODE, str(fx[0].root), "EUR/USD.IDEALPRO", DAYS.bar_type]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-800:]
    assert json.loads(done.stdout.splitlines()[-1])["iterations"] == 481


def test_sessions_with_holes_are_partial(fx: tuple[Catalog, AdoptReport]) -> None:
    """No bar from 16:00 on 2023-12-29, and the files end in the middle of 2025-11-04."""
    coverage = fx[0].coverage(MINUTES, dt.date(2023, 12, 28), dt.date(2025, 11, 4))
    assert [date for date, found in coverage.items() if found is not Coverage.COMPLETE] == [dt.date(2023, 12, 29), dt.date(2025, 11, 4)]


@pytest.fixture
def gateway(simulator: RunningGateway, reach: object) -> RunningGateway:  # noqa: F811 - fixtures
    """The simulator, where commands look for a gateway."""
    return reach(simulator)  # type: ignore[operator, no-any-return]


def test_orphans_of_the_us_catalog_are_filled_from_a_gateway_and_a_backtest_runs(
    market_data: Path,
    mdp: Mdp,  # noqa: F811
    root: Path,  # noqa: F811
    gateway: RunningGateway,
) -> None:
    done = mdp("catalog", "adopt", market_data / "legacy-catalog-us", "--json", "--catalog", root)
    assert (done.code, done.json["closes"]) == (0, True)
    assert done.json["orphans"] == ["AAPL.NASDAQ", "GOOGL.NASDAQ", "MSFT.NASDAQ"]
    assert {one["series"]: (one["bars_read"], one["duplicates"], one["written"]) for one in done.json["series"]} == {
        "AAPL.NASDAQ-1-DAY-LAST-EXTERNAL": (39, 9, 30),
        "GOOGL.NASDAQ-1-DAY-LAST-EXTERNAL": (28, 0, 28),
        "MSFT.NASDAQ-1-DAY-LAST-EXTERNAL": (28, 0, 28),
    }
    filled = mdp("instruments", "backfill", "--catalog", root, "--json")
    assert [(one["id"], one["outcome"]) for one in filled.json["instruments"]] == [
        ("AAPL.NASDAQ", "new"),
        ("GOOGL.NASDAQ", "new"),
        ("MSFT.NASDAQ", "new"),
    ]
    assert mdp("catalog", "verify", "--catalog", root).out.endswith("all is well\n")
    dates = ("--start", "2023-12-15", "--end", "2024-01-30")
    series = ("--bar-type", "AAPL.NASDAQ-1-DAY-LAST", "--balance", "100000 USD", "--config", '{"fast_period": 3, "slow_period": 8}')
    ended = mdp("backtest", "run", *series, *dates, "--name", "adopted", "--catalog", root)
    assert ended.code == 0, ended.err
    assert "passport" in ended.out
