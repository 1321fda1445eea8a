"""What the data clients of a node that come from Interactive Brokers are set to: history must be asked for in the same way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.errors import ConfigurationError
from market_data_pipeline.sources.ibkr import Hours, IbkrSettings, contract_of

if TYPE_CHECKING:
    from nautilus_trader.live.node import TradingNode

# They trade around the clock: what is asked for them has no other hours.
_ONE_KIND_OF_HOURS = ("CASH", "CRYPTO")


@dataclass(frozen=True)
class BrokerClients:
    """Interactive Brokers' clients of a node.

    Attributes:
        configs: Their configurations, by name; none where the node's bars come from elsewhere.
        patience_s: Seconds for which the node waits until its clients are connected.
    """

    configs: dict[str, Any]
    patience_s: float

    @classmethod
    def of(cls, node: TradingNode) -> BrokerClients:
        """Read them from a node's configuration."""
        from nautilus_trader.adapters.interactive_brokers.config import InteractiveBrokersDataClientConfig

        made_of = node._config  # Nautilus gives no other way to what a node was made of
        clients = {str(name): config for name, config in made_of.data_clients.items() if isinstance(config, InteractiveBrokersDataClientConfig)}
        return cls(clients, made_of.timeout_connection)

    @property
    def place(self) -> str:
        """`host:port` of the gateway; empty where there is none."""
        return next((f"{config.ibg_host}:{config.ibg_port}" for config in self.configs.values()), "")

    def refuse_forming_bars(self) -> None:
        """Refuse clients that send every change of a bar that is forming: none of its states would be the closed one.

        Raises:
            ConfigurationError: Naming the client.
        """
        for name, config in self.configs.items():
            if config.handle_revised_bars:
                raise ConfigurationError(
                    f"The node's data client {name} sends bars that are still forming (handle_revised_bars=True), and never says which is the last. "
                    "Set handle_revised_bars=False, Nautilus' default."
                )

    def settings(self, given: IbkrSettings | None) -> IbkrSettings:
        """Return how to reach the gateway for history: as given, else as the environment says, at the place of the node's own client.

        Raises:
            ConfigurationError: If a variable cannot be meant.
        """
        if given is not None:
            return given
        for config in self.configs.values():
            return IbkrSettings.from_environment(host=config.ibg_host, port=config.ibg_port)
        return IbkrSettings.from_environment()

    def hours(self, series: Series) -> Hours | None:
        """Return which hours the node's client sends live; None where it makes no difference, or another client sends them."""
        if contract_of(series.instrument_id).secType in _ONE_KIND_OF_HOURS:
            return None
        for config in self.configs.values():
            return Hours.RTH if config.use_regular_trading_hours else Hours.ALL
        return None
