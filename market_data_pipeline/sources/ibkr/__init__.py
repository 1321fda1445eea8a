"""Bars and instruments from Interactive Brokers, read-only.

    with IbkrGateway(IbkrSettings.from_environment()) as gateway:
        source = IbkrSource(gateway, Series.of("AAPL.NASDAQ", "1-MINUTE-LAST"))
        for answer in source.fetch(asked):
            ...

Nothing is connected, and ib_async is not imported, before the first question goes out.
"""

from __future__ import annotations

from market_data_pipeline.sources.ibkr.contracts import contract_of, resolve
from market_data_pipeline.sources.ibkr.discovery import Candidate, DiscoveryCache, discover
from market_data_pipeline.sources.ibkr.facts import ServerFacts
from market_data_pipeline.sources.ibkr.gateway import IbkrGateway
from market_data_pipeline.sources.ibkr.instruments import instrument_of
from market_data_pipeline.sources.ibkr.settings import AccountMode, ExcessDecimals, Hours, IbkrSettings
from market_data_pipeline.sources.ibkr.source import IbkrSource, fits_broker

__all__ = [
    "AccountMode",
    "Candidate",
    "DiscoveryCache",
    "ExcessDecimals",
    "Hours",
    "IbkrGateway",
    "IbkrSettings",
    "IbkrSource",
    "ServerFacts",
    "contract_of",
    "discover",
    "fits_broker",
    "instrument_of",
    "resolve",
]
