"""History into a `TradingNode` of Nautilus, so that its strategies are ready before their first live bar.

    node.build()
    with LiveWarmUp("data/catalog") as warm_up:
        warm_up.attach(node)
        node.run()

It stands between the node's data clients and its data engine: live bars of the bar types that are warmed are held until history has been given
to the cache, to the indicators and to `on_historical_data` of every subscriber. So each of them sees each bar once, in order.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from market_data_pipeline.domain.errors import UsageError
from market_data_pipeline.live.need import Need, WarmUpSettings, merged

if TYPE_CHECKING:
    from nautilus_trader.live.node import TradingNode

    from market_data_pipeline.live.attached import AttachedNode
    from market_data_pipeline.live.status import NodeStatus
    from market_data_pipeline.sources.ibkr import IbkrSettings


class LiveWarmUp:
    """Warms the strategies of one node. Use as a context manager around `node.run()`.

    Args:
        catalog: Folder of the Parquet catalog; need not exist.
        settings: What may be done.
        ibkr: How to reach the gateway that may be asked; None for the environment's settings, at the host and port of the node's own client.
        status_file: A JSON file that says how far it is (`status.NodeStatus`); None writes none.
    """

    def __init__(
        self,
        catalog: Path | str,
        settings: WarmUpSettings | None = None,
        *,
        ibkr: IbkrSettings | None = None,
        status_file: Path | str | None = None,
    ) -> None:
        self.settings = settings or WarmUpSettings()
        self._catalog = Path(catalog)
        self._ibkr = ibkr
        self._status_file = None if status_file is None else Path(status_file)
        self._node: AttachedNode | None = None

    def __enter__(self) -> LiveWarmUp:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def attach(self, node: TradingNode, needs: Iterable[Need] = ()) -> None:
        """Stand between the clients and the engine of a built node that does not run yet.

        What is warmed is what its strategies with `WarmUpMixin` say they need, and `needs`: bar types of strategies without it get their history
        too, in the cache, in registered indicators and in `on_historical_data`, but nothing keeps such a strategy from trading early.

        Raises:
            UsageError: If the node is not built, runs already, or nothing needs history.
            ConfigurationError: If a client of the node sends bars that are still forming.
            UnknownVenue: If no calendar is known for a venue.
        """
        from market_data_pipeline.live.attached import AttachedNode, needs_of

        if self._node is not None:
            raise UsageError("This warm-up is attached to a node already. Make one LiveWarmUp for each node.")
        if not node.is_built() or node.is_running():
            raise UsageError("A warm-up is attached to a node between node.build() and node.run().")
        if not self.settings.enabled:
            node.get_logger().info("Warm-up is off (enabled: false): strategies warm up on live bars.")
            return
        self._node = AttachedNode(node, merged([*needs, *needs_of(node)]), self._catalog, self.settings, self._ibkr, self._status_file)

    def status(self) -> NodeStatus | None:
        """Return how far it is; None before `attach`. Call it in the node's loop."""
        return None if self._node is None else self._node.status()

    def close(self) -> None:
        """Stop what is under way and let the node go."""
        if self._node is not None:
            self._node.close()
