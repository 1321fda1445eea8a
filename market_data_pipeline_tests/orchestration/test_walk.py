"""A person walks through the page of a real `dagster dev` in a real browser: each thing is clicked and typed, and looked at afterwards.

Pictures: see `walking`.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from market_data_pipeline.catalog import Catalog
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.coverage import Coverage
from market_data_pipeline.samples import write_samples
from market_data_pipeline_tests.browser import Browser
from market_data_pipeline_tests.conftest import REPOSITORY
from market_data_pipeline_tests.gateway import start_gateway
from market_data_pipeline_tests.orchestration.conftest import Project
from market_data_pipeline_tests.orchestration.page import ENDED, dagster_dev
from market_data_pipeline_tests.orchestration.walking import Walk

BARS = "stocks/bars_5_minute_last"
_SENSOR = "/locations/market_data_pipeline/sensors"
_SCHEDULE = "/locations/market_data_pipeline/schedules"


@pytest.mark.timeout(240)
def test_one_partition_a_backfill_the_switches_and_a_backtest_by_hand(project: Project, browser: Browser, tmp_path: Path) -> None:
    """January 2024 of two shares, 21 sessions each (NYSE holiday calendar 2024), from files."""
    with dagster_dev(project.root / "home", project.settings) as page, Walk(browser, page, tmp_path) as walk:
        walk.open("/locations/market_data_pipeline/asset-groups/stocks", "bars_5_minute_last")
        walk.keep("graph")

        walk.asset(BARS, "partitions", "Missing (42)")
        before = walk.runs()
        walk.materialize(["AAPL.NASDAQ"], "2024-01-05")
        (one,) = walk.wait_for_new_runs(before)
        assert one["status"] == "SUCCESS"
        assert set(project.shown(BARS)) == {"2024-01-05|AAPL.NASDAQ"}
        walk.asset(BARS, "partitions", "stored now", "2024-01-05|AAPL.NASDAQ")
        walk.keep("session")

        walk.asset(BARS, "partitions", "Missing (41)")
        before = walk.runs()
        walk.materialize(["AAPL.NASDAQ", "MSFT.NASDAQ"], "[2024-01-02...2024-01-31]", picture="dialog")
        # The daemon looks for backfills every 30 seconds only. Meanwhile:
        walk.open("/automation", "gap_filler")
        walk.switch_on("gap_filler")
        walk.switch_on("stocks_after_close")
        walk.keep("automation")
        walk.open(f"{_SCHEDULE}/stocks_after_close", "Next tick")
        assert "America/New_York" in browser.text()
        walk.keep("schedule")

        runs = walk.wait_for_new_runs(before, 2)
        assert {run["status"] for run in runs} == {"SUCCESS"}
        walk.asset(BARS, "partitions", "Materialized (42)")
        walk.keep("partitions")
        walk.asset(BARS, "checks", "calendar_complete")
        walk.open(f"{_SENSOR}/gap_filler", "0 runs requested")
        browser.hover_text("0 runs requested")  # the backfill fills everything already, and the tick says so
        walk.until_either("nothing started", "all complete")
        walk.keep("tick")

        _backtest_by_hand(walk, "cross")
    assert len(project.shown(BARS)) == 42


def _backtest_by_hand(walk: Walk, name: str) -> None:
    """Launch a backtest in the page, and look at its table and picture."""
    walk.asset("backtests/from_spec", "partitions", name)
    before = walk.runs()
    walk.materialize([])
    assert [run["status"] for run in walk.wait_for_new_runs(before)] == ["SUCCESS"]
    walk.asset("backtests/from_spec", "partitions", "returns/Sharpe Ratio (252 days)", name)
    walk.keep("statistics")
    walk.browser.click_text("[Show Markdown]")
    walk.browser.wait_until("[...document.images].some(image => image.alt === 'equity curve' && image.naturalWidth > 400)")
    walk.keep("equity_on_the_page")
    walk.asset("backtests/from_spec", "overview", "Plots")
    walk.browser.click_text("Plots")
    walk.browser.wait_for_text("metric/returns/Sharpe Ratio (252 days)")


@dataclass(frozen=True)
class Shipped:
    """The project as a clone has it, with its sample files and a simulated gateway that takes its time."""

    root: Path
    settings: dict[str, str]

    @property
    def catalog(self) -> Catalog:
        return Catalog.open(self.root / "data" / "catalog")


@pytest.fixture
def shipped(tmp_path: Path) -> Iterator[Shipped]:
    """Watchlist, definitions and specs of the repository, copied."""
    root = tmp_path / "market-data"
    for name in ("config", "backtests"):
        shutil.copytree(REPOSITORY / name, root / name)
    write_samples(root / "data" / "samples")
    (root / "home").mkdir()
    shutil.copy(REPOSITORY / "dagster_home" / "dagster.yaml", root / "home")
    with start_gateway(tmp_path / "gateway", "--no-pacing", "--fault", "history:*=slow:3") as gateway:
        yield Shipped(
            root,
            {
                "MDP_CONFIG": str(root / "config" / "watchlist.yaml"),
                "MDP_BACKTEST_SPECS": str(root / "backtests"),
                "MDP_CATALOG": str(root / "data" / "catalog"),
                "MDP_BACKTESTS": str(root / "data" / "backtests"),
                "MDP_INBOX": str(root / "data" / "inbox"),
                "MDP_NOTIFICATIONS": str(root / "data" / "notifications.jsonl"),
                "IB_PORT": str(gateway.port),
                "IB_STATE": str(tmp_path / "state"),
                "IB_PACING_DB": str(tmp_path / "pacing.sqlite"),
            },
        )


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_whole_walk_through_the_shipped_project(shipped: Shipped, browser: Browser, tmp_path: Path) -> None:
    with dagster_dev(shipped.root / "home", shipped.settings) as page, Walk(browser, page, tmp_path) as walk:
        # The watchlist has become partitions by itself.
        walk.open_until("/assets/us_equities/instruments?view=partitions", "SPY.ARCA")
        before = walk.runs()
        walk.materialize([])
        assert [run["status"] for run in walk.wait_for_new_runs(before)] == ["SUCCESS"]
        _shares_from_files(walk)
        _cancel_a_load(walk, shipped)
        _availability(walk)
        _backtest_by_hand(walk, "sma_cross_aapl")
        _gaps_are_filled(walk, shipped)


def _shares_from_files(walk: Walk) -> None:
    """One session, then a quarter of two shares: 61 NYSE sessions from 2024-01-02 to 2024-03-28 (NYSE holiday calendar 2024)."""
    bars = "us_equities/bars_1_minute_last"
    walk.asset(bars, "partitions", "Missing (183)")
    before = walk.runs()
    walk.materialize(["AAPL.NASDAQ"], "2024-01-05")
    assert [run["status"] for run in walk.wait_for_new_runs(before)] == ["SUCCESS"]
    walk.asset(bars, "partitions", "closes", "2024-01-05|AAPL.NASDAQ")
    walk.keep("session")
    walk.browser.click_text("[Show Markdown]")
    walk.browser.wait_until("[...document.images].some(image => image.alt === 'closes of 2024-01-05' && image.naturalWidth > 400)")
    walk.keep("closes")
    walk.asset(bars, "partitions", "Missing (182)")
    before = walk.runs()
    walk.materialize(["AAPL.NASDAQ", "MSFT.NASDAQ"], "[2024-01-02...2024-03-28]", picture="backfill")
    assert [run["status"] for run in walk.wait_for_new_runs(before, 2)] == ["SUCCESS", "SUCCESS"]
    walk.asset(bars, "partitions", "Materialized (122)")
    walk.keep("partitions")


def _cancel_a_load(walk: Walk, shipped: Shipped) -> None:
    """Launch the job of the whole chain from its launchpad, stop it in the middle, and find what was stored."""
    asset, series = "us_equities_ibkr/bars_1_minute_last", Series.of("META.NASDAQ", "1-MINUTE-LAST")
    walk.open("/jobs", "load_instrument")
    walk.browser.click_text("load_instrument")
    walk.browser.click_text("Launchpad")
    walk.browser.wait_for_text('Missing required config entry "instrument"')
    walk.keep("launchpad_error")
    walk.write_config('{"instrument": "META.NASDAQ", "start": "2024-01-02", "end": "2024-01-31"}')
    walk.browser.wait_for_text("No errors")
    walk.keep("launchpad")
    walk.browser.click_text("Launch Run")
    run = walk.run_on_screen()
    walk.wait_for(lambda: len(shipped.catalog.sessions(series)) >= 4)
    walk.browser.wait_for_text("left; 2024-01-", 60)  # percent, rate and time left, in words
    walk.keep("run")
    walk.browser.click_text("Terminate")
    walk.browser.click_text("Terminate 1 run")
    walk.wait_for(lambda: walk.status_of(run) in ENDED)
    assert walk.status_of(run) == "CANCELED"
    walk.browser.wait_for_text("Canceled", 60)  # the dialog closes itself; a page that is left before asks whether that is meant
    walk.browser.wait_until("!document.querySelector('.dagster-dialog')", 60)
    walk.browser.wait_for_text("What was stored in this run stays", 60)
    walk.keep("cancelled")

    stored = {str(row.session) for row in shipped.catalog.sessions(series)}
    assert 4 <= len(stored) < 21  # January 2024 had 21 NYSE sessions
    walk.asset(asset, "partitions", f"Materialized ({len(stored)})")
    walk.keep("cancelled_partitions")
    assert {row.coverage for row in shipped.catalog.sessions(series)} == {Coverage.COMPLETE}
    assert len(shipped.catalog.sessions(Series.of("AAPL.NASDAQ", "1-MINUTE-LAST"))) == 61


def _availability(walk: Walk) -> None:
    """What is missing of the share whose load was stopped, and why; the picture of it."""
    asset = "us_equities_ibkr/availability"
    walk.asset(asset, "partitions", "META.NASDAQ")
    before = walk.runs()
    walk.materialize(["META.NASDAQ"])
    walk.wait_for_new_runs(before)
    walk.asset(asset, "partitions", "never stored", "META.NASDAQ")
    assert "mdp load META.NASDAQ 1-MINUTE-LAST --mode full" in walk.browser.text()
    walk.keep("availability")
    walk.browser.click_text("[Show Markdown]")
    walk.browser.wait_until("[...document.images].some(image => image.alt.startsWith('coverage of') && image.naturalWidth > 400)")
    walk.keep("coverage_on_the_page")


def _gaps_are_filled(walk: Walk, shipped: Shipped) -> None:
    """Switch the gap filler on: it finishes what was stopped, and what nobody asked for yet."""
    walk.open("/automation", "gap_filler")
    walk.switch_on("gap_filler")
    walk.switch_on("us_equities_ibkr_after_close")
    walk.keep("automation")
    wanted = [("META.NASDAQ", 21), ("TSLA.NASDAQ", 21), ("SPY.ARCA", 61)]
    stored = [(Series.of(name, "1-MINUTE-LAST"), sessions) for name, sessions in wanted]
    walk.wait_for(lambda: all(len(shipped.catalog.sessions(series)) == sessions for series, sessions in stored), 300)
    walk.open(f"{_SENSOR}/gap_filler", "runs requested")
    walk.keep("gap_filler")
    # `refresh` sees the new bars by itself.
    walk.wait_for(lambda: any(run["jobName"] == "us_equities_ibkr_availability" and run["status"] == "SUCCESS" for run in walk.runs()), 180)
    walk.open("/locations/market_data_pipeline/asset-groups/us_equities", "100% filled")
    walk.keep("page")
    walk.open("/runs", "gap_filler")
    walk.keep("runs")
