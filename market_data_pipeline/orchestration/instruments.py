"""The instruments asset of a universe: one definition a partition."""

# No `from __future__ import annotations`: Dagster reads the annotations of assets as they are.

from collections.abc import Callable
from typing import TYPE_CHECKING

import dagster as dg

from market_data_pipeline.catalog import Catalog
from market_data_pipeline.ingest.instruments import store_definition
from market_data_pipeline.orchestration.beta import beta_parameters
from market_data_pipeline.orchestration.broker import IbkrResource
from market_data_pipeline.orchestration.failures import one_clear_message
from market_data_pipeline.orchestration.materializations import RunContext
from market_data_pipeline.orchestration.partitions import UniversePartitions, asked_instruments
from market_data_pipeline.orchestration.resources import CatalogResource
from market_data_pipeline.watchlist import Watchlist

if TYPE_CHECKING:
    from market_data_pipeline.catalog.instruments import InstrumentChange
    from market_data_pipeline.sources.ibkr import IbkrGateway


def instruments_asset(watchlist: Watchlist, partitions: UniversePartitions) -> dg.AssetsDefinition:
    """Make the instruments asset of a universe."""
    with beta_parameters():

        @dg.asset(
            key=[partitions.name, "instruments"],
            partitions_def=partitions.instruments,
            backfill_policy=dg.BackfillPolicy.single_run(),
            group_name=partitions.name,
            kinds={"parquet", "nautilus", "yaml" if partitions.universe.files else "ibkr"},
            owners=["team:market-data"],
            description=(
                "Instrument definitions in the catalog, one current definition an id, older versions beside it. They come from "
                + (
                    "the definitions file that the watchlist names; currency pairs of ISO codes are known without being told."
                    if partitions.universe.files
                    else "Interactive Brokers, through Nautilus' own parser: ids are those of its live adapter."
                )
            ),
        )
        def instruments(context: dg.AssetExecutionContext, catalog: CatalogResource, ibkr: IbkrResource) -> None:
            with one_clear_message(), ibkr.for_run() as gateway:
                store = catalog.open()
                define = definer(store, watchlist, partitions, gateway)
                for instrument in asked_instruments(context, partitions):
                    context.add_asset_metadata(defined(context, store, define, instrument), partition_key=instrument)

    return instruments


def defined(context: RunContext, store: Catalog, define: "Callable[[str], InstrumentChange]", instrument: str) -> dict[str, str]:
    """Store the definition of an instrument, say what came of it, and return what the page shows."""
    change = define(instrument)
    context.log.info(f"{instrument}: {change.outcome}{': ' + ', '.join(map(str, change.changes)) if change.changes else ''}")
    facts = {name: str(value) for name, value in (store.instruments.definition(instrument) or {}).items() if value is not None}
    return {"outcome": str(change.outcome), **facts}


def definer(
    store: Catalog, watchlist: Watchlist, partitions: UniversePartitions, gateway: "Callable[[], IbkrGateway]"
) -> "Callable[[str], InstrumentChange]":
    """Return what stores the definition of an instrument of a universe, asking whom the universe asks."""
    if partitions.universe.files is not None:
        return lambda instrument: store_definition(store, instrument, watchlist.definitions)
    from market_data_pipeline.ingest.instruments import refresh_instrument

    opened = gateway()
    return lambda instrument: refresh_instrument(store, opened, instrument)
