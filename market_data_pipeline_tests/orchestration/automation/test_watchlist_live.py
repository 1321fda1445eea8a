"""The watchlist, its sensors and a real daemon: a name that is written into the file is loaded, and no code is loaded again."""

from __future__ import annotations

import pytest

from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline_tests.orchestration.conftest import Project, write_csv
from market_data_pipeline_tests.orchestration.page import dagster_dev, wait_until


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_name_written_into_the_watchlist_is_loaded_by_the_running_daemon(project: Project) -> None:
    def stored(name: str) -> bool:
        available = project.catalog.availability(Series.of(name, "5-MINUTE-LAST"))
        return available is not None and available.complete == 21

    with dagster_dev(project.root / "home", project.settings) as page:
        page.start_sensor("watchlist_loads")
        wait_until(lambda: stored("AAPL.NASDAQ") and stored("MSFT.NASDAQ"), 180)
        write_csv(project.root / "csv" / "GOOGL.NASDAQ-5-MINUTE-LAST.csv", "GOOGL.NASDAQ")
        definitions = project.root / "instruments.yaml"
        definitions.write_text(definitions.read_text() + '  - {id: "GOOGL.NASDAQ", type: equity, currency: USD, price_precision: 2}\n')
        path = project.root / "watchlist.yaml"
        path.write_text(path.read_text().replace('"MSFT.NASDAQ"]', '"MSFT.NASDAQ", "GOOGL.NASDAQ"]'))
        wait_until(lambda: stored("GOOGL.NASDAQ"), 180)
        wait_until(lambda: all(run.is_finished for run in project.instance.get_runs()), 180)
    assert {run.status.value for run in project.instance.get_runs(limit=50)} == {"SUCCESS"}
    assert len([key for key in project.shown("stocks/bars_5_minute_last") if key.endswith("GOOGL.NASDAQ")]) == 21
