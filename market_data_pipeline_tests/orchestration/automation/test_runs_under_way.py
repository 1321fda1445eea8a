"""What is being loaded, read from the runs and backfills of a real instance."""

from __future__ import annotations

import datetime as dt

import dagster as dg
import pytest

from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.orchestration.automation.gaps_to_fill import Running
from market_data_pipeline.orchestration.automation.runs_under_way import bars_assets, held_series, runs_under_way
from market_data_pipeline.orchestration.partitions import PARTITION_TAG, range_tags
from market_data_pipeline_tests.orchestration.automation.ticking import loaded
from market_data_pipeline_tests.orchestration.conftest import Project

BARS = frozenset({"stocks/bars_5_minute_last"})
AAPL, MSFT = (str(Series.of(name, "5-MINUTE-LAST")) for name in ("AAPL.NASDAQ", "MSFT.NASDAQ"))
FIRST, LAST = dt.date(2024, 1, 2), dt.date(2024, 1, 31)


def start(project: Project, job: str, tags: dict[str, str] | None = None, config: dict[str, object] | None = None) -> dg.DagsterRun:
    definition = project.definitions.resolve_job_def(job)
    return project.instance.create_run_for_job(definition, run_config=config, tags=tags, status=dg.DagsterRunStatus.STARTED)


def under_way(project: Project) -> list[Running]:
    return runs_under_way(project.instance, loaded(project)[1])


def held(project: Project) -> set[str]:
    return held_series(under_way(project), bars_assets(loaded(project)[1]), [AAPL, MSFT])


def test_a_bars_run_is_about_the_range_of_its_tags_until_it_ends(project: Project) -> None:
    run = start(project, "stocks_bars", range_tags("2024-01-02|AAPL.NASDAQ", "2024-01-31|MSFT.NASDAQ"))
    assert under_way(project) == [Running(BARS, frozenset({"AAPL.NASDAQ", "MSFT.NASDAQ"}), FIRST, LAST)]
    assert held(project) == {AAPL, MSFT}
    project.instance.report_run_failed(run)
    assert under_way(project) == []
    assert held(project) == set()


def test_a_single_partition_is_a_range_of_one(project: Project) -> None:
    start(project, "stocks_bars", {PARTITION_TAG: "2024-01-02|MSFT.NASDAQ"})
    assert under_way(project) == [Running(BARS, frozenset({"MSFT.NASDAQ"}), FIRST, FIRST)]
    assert held(project) == {MSFT}


@pytest.mark.parametrize("tags", [{}, {PARTITION_TAG: "2024-01-02"}])
def test_a_run_that_does_not_say_what_it_loads_may_load_everything(project: Project, tags: dict[str, str]) -> None:
    start(project, "stocks_bars", tags)
    assert under_way(project) == [Running(BARS)]
    assert held(project) == {AAPL, MSFT}


def test_the_chain_of_one_instrument_is_about_that_instrument(project: Project) -> None:
    """Its configuration says so: it has no partitions."""
    start(project, "load_instrument", config={"instrument": "MSFT.NASDAQ"})
    assert under_way(project) == [Running(BARS, frozenset({"MSFT.NASDAQ"}))]
    assert held(project) == {MSFT}


def test_the_chain_with_other_bars_or_another_universe_holds_nothing_here(project: Project) -> None:
    start(project, "load_instrument", config={"instrument": "MSFT.NASDAQ", "bars": ["1-DAY-LAST"]})
    start(project, "load_instrument", config={"instrument": "MSFT.NASDAQ", "universe": "others"})
    assert under_way(project) == []


def test_runs_of_other_assets_hold_no_bars(project: Project) -> None:
    start(project, "stocks_availability", {PARTITION_TAG: "AAPL.NASDAQ"})
    start(project, "watchlist_partitions")
    assert under_way(project) == []
