"""What Dagster loads. Assembles, and decides nothing; needs no network."""

from __future__ import annotations

from pathlib import Path

import dagster as dg

from market_data_pipeline.orchestration.backtests import backtest_assets
from market_data_pipeline.orchestration.broker import IbkrResource
from market_data_pipeline.orchestration.executor import in_process
from market_data_pipeline.orchestration.failures import one_clear_message
from market_data_pipeline.orchestration.jobs import backtest_jobs, watchlist_job
from market_data_pipeline.orchestration.resources import BacktestResults, CatalogResource, place
from market_data_pipeline.orchestration.universe import universe_parts
from market_data_pipeline.watchlist import read_watchlist


def assemble(watchlist_path: Path, specs: Path, catalog: Path, results: Path) -> dg.Definitions:
    """Return the definitions of a watchlist and a folder of backtest specs.

    Raises:
        ConfigurationError: If the watchlist is wrong; the message names file, line and key.
    """
    watchlist = read_watchlist(watchlist_path)
    universes = [universe_parts(watchlist, name) for name in watchlist.universes]
    return dg.Definitions(
        assets=[
            *(asset for parts in universes for asset in parts.assets),
            *backtest_assets(specs, [parts.availability for parts in universes], watchlist),
        ],
        jobs=[*(job for parts in universes for job in parts.jobs), *backtest_jobs(), watchlist_job([parts.partitions for parts in universes], specs)],
        resources={
            "catalog": CatalogResource(path=str(catalog)),
            "results": BacktestResults(path=str(results)),
            "ibkr": IbkrResource.of_environment(),
        },
        executor=in_process,
    )


with one_clear_message():
    defs = assemble(
        watchlist_path=place("MDP_CONFIG", "config/watchlist.yaml"),
        specs=place("MDP_BACKTEST_SPECS", "backtests"),
        catalog=place("MDP_CATALOG", "data/catalog"),
        results=place("MDP_BACKTESTS", "data/backtests"),
    )
