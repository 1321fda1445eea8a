from __future__ import annotations

from pathlib import Path

import pytest

from market_data_pipeline.calendars import partitions_of
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline_tests.browser import Browser
from market_data_pipeline_tests.orchestration.conftest import FIVE, JANUARY, Project, widen_to_a_year_of_five
from market_data_pipeline_tests.orchestration.page import dagster_dev

BARS = "stocks/bars_5_minute_last"
TERMINAL_STATE = "SUCCESS"


def keys(project: Project, instruments: list[str]) -> list[str]:
    dates = partitions_of(Series.of("AAPL.NASDAQ", "5-MINUTE-LAST")).dates_between(*JANUARY)
    return [f"{date}|{instrument}" for date in dates for instrument in instruments]


@pytest.mark.timeout(240)
def test_a_backfill_through_the_daemon_is_one_run_an_instrument_and_the_page_shows_it(project: Project, browser: Browser, tmp_path: Path) -> None:
    with dagster_dev(project.root / "home", project.settings) as page:
        runs = page.backfill(BARS, keys(project, ["AAPL.NASDAQ", "MSFT.NASDAQ"]), runs=2, timeout_s=120)
        assert [run["status"] for run in runs] == [TERMINAL_STATE, TERMINAL_STATE]
        shown = project.shown(BARS)
        assert len(shown) == 2 * 21
        assert project.run("stocks_availability", "AAPL.NASDAQ", "MSFT.NASDAQ").success
        assert project.run("backtest", "cross").success

        browser.goto(f"{page.url}/locations/__repository__@market_data_pipeline/asset-groups/stocks")
        browser.wait_for_text("bars_5_minute_last", 60)
        browser.screenshot(tmp_path / "assets.png")
        browser.goto(f"{page.url}/assets/stocks/bars_5_minute_last?view=partitions")
        browser.wait_for_text("Materialized (42)", 60)
        browser.screenshot(tmp_path / "partitions.png")
        browser.goto(f"{page.url}/assets/stocks/bars_5_minute_last?view=checks")
        browser.wait_for_text("calendar_complete", 60)
        browser.goto(f"{page.url}/assets/backtests/from_spec?view=partitions&partition=cross")
        browser.click_text("[Show Markdown]", 60)
        browser.wait_until("[...document.images].some(image => image.alt === 'equity curve' && image.naturalWidth > 400)", 60)
        browser.screenshot(tmp_path / "equity.png")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_year_of_five_instruments_is_five_runs(project: Project) -> None:
    """2024 had 252 NYSE sessions (NYSE holiday calendar 2024)."""
    keys = widen_to_a_year_of_five(project.root)
    project.run("watchlist_partitions")
    with dagster_dev(project.root / "home", project.settings) as page:
        runs = page.backfill(BARS, keys, runs=5, timeout_s=400)
    assert [run["status"] for run in runs] == [TERMINAL_STATE] * 5
    for name in FIVE:
        available = project.catalog.availability(Series.of(name, "5-MINUTE-LAST"))
        assert available is not None
        assert (available.complete, available.gaps) == (252, ())
