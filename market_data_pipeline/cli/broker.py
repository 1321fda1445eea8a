"""The gateway of Interactive Brokers as commands see it: how it is, and what its pacing rules still allow."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

from market_data_pipeline.domain.errors import SourceError
from market_data_pipeline.domain.pacing_budget import Budget
from market_data_pipeline.sources.ibkr import IbkrGateway, IbkrSettings, ServerFacts

# What the source logs is told by the command itself; without this Python would print it a second time.
logging.getLogger("market_data_pipeline").addHandler(logging.NullHandler())


def gateway_settings(
    host: str | None = None, port: int | None = None, client_id: int | None = None, sizes: str | None = None, decimals: str | None = None
) -> IbkrSettings:
    """Return the settings of the environment, with what was given on the command line in their place.

    Raises:
        ConfigurationError: If a value cannot be meant.
    """
    return IbkrSettings.from_environment(host=host, port=port, client_id=client_id, request_sizes=sizes, excess_decimals=decimals)


def facts_of(settings: IbkrSettings) -> ServerFacts:
    """Connect, and return what the gateway says of itself.

    Raises:
        SourceUnavailable: If none answers within the timeout of the settings.
    """
    with IbkrGateway(settings) as gateway:
        return gateway.server_facts()


def budget_of(settings: IbkrSettings) -> Budget:
    """Return what is left of the account's requests, without a gateway.

    Raises:
        ConfigurationError: If IB_PACING or IB_PACING_DB cannot be meant.
        StorageFailed: If the pacing table cannot be read.
    """
    with IbkrGateway(settings) as gateway:
        return gateway.budget()


_DOWN = "down"


@dataclass(frozen=True)
class Health:
    """Whether bars can be had from a gateway.

    Attributes:
        place: Its host and port.
        healthy: True where it answers, and no farm of historical data is down.
        reason: Why it is not; empty where it is.
        seconds: How long the answer took.
    """

    place: str
    healthy: bool
    reason: str
    seconds: float


def health_of(settings: IbkrSettings) -> Health:
    """Return whether bars can be had from a gateway, within the timeout of the settings."""
    started = time.monotonic()
    try:
        facts = facts_of(settings)
    except SourceError as error:
        return Health(settings.place, healthy=False, reason=str(error), seconds=time.monotonic() - started)
    # A farm that sleeps wakes when it is asked.
    down = [name for name, state in facts.farms.items() if state == _DOWN]
    reason = f"down: {', '.join(sorted(down))}" if down else ""
    return Health(settings.place, healthy=not down, reason=reason, seconds=time.monotonic() - started)
