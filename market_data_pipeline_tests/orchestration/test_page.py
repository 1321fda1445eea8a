from __future__ import annotations

import pytest

from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline_tests.orchestration.conftest import FIVE, Project, widen_to_a_year_of_five
from market_data_pipeline_tests.orchestration.page import dagster_dev

BARS = "stocks/bars_5_minute_last"
TERMINAL_STATE = "SUCCESS"


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
