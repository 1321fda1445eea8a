"""Interactive Brokers as a resource: nothing is connected, and ib_async is not imported, before an asset asks for something."""

# No `from __future__ import annotations`: Dagster reads the annotations of resources as they are.

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import TYPE_CHECKING

import dagster as dg

if TYPE_CHECKING:
    from market_data_pipeline.sources.ibkr import IbkrGateway

_TEXT = {
    "host": "IB_HOST",
    "request_sizes": "IB_REQUEST_SIZES",
    "pacing": "IB_PACING",
    "pacing_db": "IB_PACING_DB",
    "account_mode": "IB_ACCOUNT_MODE",
    "excess_decimals": "IB_EXCESS_DECIMALS",
}
_WHOLE = {"port": "IB_PORT", "client_id": "IB_CLIENT_ID", "client_ids": "IB_CLIENT_IDS"}


class IbkrResource(dg.ConfigurableResource["IbkrGateway"]):
    """The gateway or TWS that bars and definitions are asked of, read-only. What is left out is as the environment has it (IB_HOST, IB_PORT …).

    Attributes:
        host: Name or address [IB_HOST, else 127.0.0.1].
        port: API port: gateway paper 4002, live 4001; TWS paper 7497, live 7496 [IB_PORT, else 4002].
        client_id: First client id of the range that all our processes share [IB_CLIENT_ID].
        client_ids: How many ids the range has [IB_CLIENT_IDS].
        timeout_s: Seconds in which a connection stands, or the run fails with one message [IB_TIMEOUT, else 5].
        account_mode: paper, live or any: another kind of account is refused [IB_ACCOUNT_MODE].
        request_sizes: Size table of requests, documented or observed [IB_REQUEST_SIZES].
        pacing: Rules of pacing: strict, relaxed or a YAML file [IB_PACING].
        pacing_db: Path or URL of the pacing table that all processes share [IB_PACING_DB].
        excess_decimals: Values with more decimals than the instrument has: refuse, or round [IB_EXCESS_DECIMALS].
    """

    host: str | None = None
    port: int | None = None
    client_id: int | None = None
    client_ids: int | None = None
    timeout_s: float | None = None
    account_mode: str | None = None
    request_sizes: str | None = None
    pacing: str | None = None
    pacing_db: str | None = None
    excess_decimals: str | None = None

    @classmethod
    def of_environment(cls) -> "IbkrResource":
        """Return a resource that reads those variables which are set now when it is used, and shows their names on the page."""
        given = {name: dg.EnvVar(variable) for name, variable in _TEXT.items() if os.environ.get(variable)}
        whole = {name: dg.EnvVar.int(variable) for name, variable in _WHOLE.items() if os.environ.get(variable)}
        return cls(**given, **whole)  # type: ignore[arg-type] # Dagster resolves EnvVar where it builds the resource

    @contextmanager
    def open(self) -> "Iterator[IbkrGateway]":
        """Give the gateway, connected at its first question, and free its client id afterwards.

        Raises:
            ConfigurationError: If a value cannot be meant; the message names the variable.
        """
        from market_data_pipeline.sources.ibkr import IbkrGateway, IbkrSettings

        settings = IbkrSettings.from_environment(
            host=self.host,
            port=self.port,
            client_id=self.client_id,
            client_ids=self.client_ids,
            connect_timeout_s=self.timeout_s,
            account_mode=self.account_mode,
            request_sizes=self.request_sizes,
            pacing=self.pacing,
            pacing_db=self.pacing_db,
            excess_decimals=self.excess_decimals,
        )
        with IbkrGateway(settings) as gateway:
            yield gateway

    @contextmanager
    def for_run(self) -> "Iterator[Callable[[], IbkrGateway]]":
        """Give a function that opens the gateway at its first call, the same for a whole run, and close it afterwards if it was opened."""
        with ExitStack() as opened:
            yield cache(lambda: opened.enter_context(self.open()))
