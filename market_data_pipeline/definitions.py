"""What Dagster loads. Assembles, and decides nothing; needs no network."""

from __future__ import annotations

import dagster as dg

from market_data_pipeline.calendars.overrides import stand_in
from market_data_pipeline.orchestration.adopting import adopt_job
from market_data_pipeline.orchestration.automation.after_close import after_close_schedules
from market_data_pipeline.orchestration.automation.before_open import before_open_schedules
from market_data_pipeline.orchestration.automation.gap_filler import gap_filler_sensor
from market_data_pipeline.orchestration.automation.inbox import inbox_job, inbox_sensor
from market_data_pipeline.orchestration.automation.notifications import failure_sensor, gap_sensor
from market_data_pipeline.orchestration.automation.overview_page import overview_asset, overview_sensor
from market_data_pipeline.orchestration.automation.places import Places
from market_data_pipeline.orchestration.automation.reconcile import reconcile_sensor
from market_data_pipeline.orchestration.automation.refresh import refresh_sensor
from market_data_pipeline.orchestration.automation.watchlist_loads import watchlist_loads_sensor
from market_data_pipeline.orchestration.automation.watchlist_sync import watchlist_sensor
from market_data_pipeline.orchestration.backtests import backtest_assets
from market_data_pipeline.orchestration.beta import beta_parameters
from market_data_pipeline.orchestration.broker import IbkrResource
from market_data_pipeline.orchestration.calendar_check import calendar_check_job, calendar_check_schedule
from market_data_pipeline.orchestration.compacting import compact_job, compaction_schedule
from market_data_pipeline.orchestration.executor import in_process
from market_data_pipeline.orchestration.failures import one_clear_message
from market_data_pipeline.orchestration.importing import import_csv_job
from market_data_pipeline.orchestration.jobs import backtest_jobs, watchlist_job
from market_data_pipeline.orchestration.load_instrument import load_instrument_job
from market_data_pipeline.orchestration.migrating import migrate_postgres_job
from market_data_pipeline.orchestration.rechecking import recheck_job, recheck_schedule
from market_data_pipeline.orchestration.resources import PROJECT, BacktestResults, CatalogResource, place
from market_data_pipeline.orchestration.sweeps import sweep_job, sweeps_asset
from market_data_pipeline.orchestration.universe import universe_parts
from market_data_pipeline.orchestration.warm_up import warm_up_asset, warm_up_job
from market_data_pipeline.watchlist import read_watchlist


def assemble(places: Places) -> dg.Definitions:
    """Return the definitions of a project.

    Raises:
        ConfigurationError: If the watchlist or the file of strategies is wrong; the message names file, line and key.
    """
    watchlist = read_watchlist(places.watchlist)
    parts = [universe_parts(watchlist, name) for name in watchlist.universes]
    universes = [one.partitions for one in parts]
    inbox, compact = inbox_job(places), compact_job()
    recheck, calendar_check = recheck_job(universes), calendar_check_job(universes)
    definitions = dg.Definitions(
        assets=[
            overview_asset(parts, places),
            warm_up_asset(places),
            *(asset for one in parts for asset in one.assets),
            *backtest_assets(places.specs, [one.availability for one in parts], watchlist),
            sweeps_asset(),
        ],
        jobs=[
            *(job for one in parts for job in one.jobs),
            *backtest_jobs(),
            sweep_job(places),
            watchlist_job(universes, places.specs),
            load_instrument_job(watchlist, universes, places.specs),
            inbox,
            adopt_job(places),
            migrate_postgres_job(places.watchlist),
            import_csv_job(places),
            warm_up_job(),
            compact,
            recheck,
            calendar_check,
        ],
        schedules=[
            *after_close_schedules(watchlist, parts),
            *before_open_schedules(places),
            compaction_schedule(compact),
            recheck_schedule(recheck),
            calendar_check_schedule(calendar_check),
        ],
        sensors=[
            watchlist_sensor(watchlist, places),
            watchlist_loads_sensor(parts, places),
            gap_filler_sensor(watchlist, parts, places),
            inbox_sensor(places, inbox),
            reconcile_sensor(watchlist, parts, places),
            refresh_sensor(watchlist, parts, places),
            gap_sensor(watchlist, parts, places),
            failure_sensor(),
            overview_sensor(parts, places),
        ],
        resources={
            "catalog": CatalogResource(path=str(places.catalog)),
            "results": BacktestResults(path=str(places.results)),
            "ibkr": IbkrResource.of_environment(),
        },
        executor=in_process,
    )
    with beta_parameters():
        definitions.get_repository_def()  # kept by Dagster; it copies sensors with a parameter of its own that is beta
    return definitions


stand_in(PROJECT)

with one_clear_message():
    defs = assemble(
        Places(
            catalog=place("MDP_CATALOG", "data/catalog"),
            watchlist=place("MDP_CONFIG", "config/watchlist.yaml"),
            specs=place("MDP_BACKTEST_SPECS", "backtests"),
            inbox=place("MDP_INBOX", "data/inbox"),
            results=place("MDP_BACKTESTS", "data/backtests"),
            strategies=place("MDP_STRATEGIES", "config/strategies.yaml"),
        )
    )
