"""Definitions fetched from the broker, one after the other, as commands do it."""

from __future__ import annotations

from collections.abc import Sequence

from market_data_pipeline.catalog import Catalog
from market_data_pipeline.cli.progress import Meter
from market_data_pipeline.ingest.instruments import Refreshed, refresh_instruments
from market_data_pipeline.sources.ibkr import IbkrGateway, IbkrSettings


def fetch_definitions(catalog: Catalog, settings: IbkrSettings, ids: Sequence[str]) -> list[Refreshed]:
    """Fetch and store definitions, showing how far it is; connects only if there are any to fetch.

    Raises:
        SourceUnavailable: If the gateway does not answer.
    """
    done: list[Refreshed] = []
    with IbkrGateway(settings) as gateway, Meter() as meter:
        for one in refresh_instruments(catalog, gateway, ids):
            done.append(one)
            meter.show("Fetching definitions", len(done), len(ids))
    return done
