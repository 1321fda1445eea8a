"""A trading node as a user would build one, in a process of its own: CONFIGURATION.json. What happens goes to the journal.

Data come from Nautilus' own Interactive Brokers client, orders go to its sandbox.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

from nautilus_trader.adapters.interactive_brokers.common import IB
from nautilus_trader.adapters.interactive_brokers.config import InteractiveBrokersDataClientConfig, InteractiveBrokersInstrumentProviderConfig
from nautilus_trader.adapters.interactive_brokers.factories import InteractiveBrokersLiveDataClientFactory
from nautilus_trader.adapters.sandbox.config import SandboxExecutionClientConfig
from nautilus_trader.config import ImportableStrategyConfig, LiveDataEngineConfig, LiveExecEngineConfig, LoggingConfig, TradingNodeConfig
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.data import Bar
from nautilus_trader.model.identifiers import InstrumentId, TraderId

from market_data_pipeline.live.sandbox import SandboxLiveExecClientFactory
from market_data_pipeline_tests.live import journal


def build(settings: dict[str, Any]) -> TradingNode:
    """Return a built node of these settings, as `trading_node.NodeSettings` writes them."""
    instruments = frozenset(InstrumentId.from_str(one) for one in settings["instruments"])
    venues = sorted({one.venue.value for one in instruments})
    gateway = InteractiveBrokersDataClientConfig(
        ibg_host=settings["host"],
        ibg_port=settings["port"],
        ibg_client_id=settings["client_id"],
        use_regular_trading_hours=settings["use_rth"],
        handle_revised_bars=settings["revised_bars"],
        connection_timeout=settings["connection_timeout_s"],
        request_timeout_secs=20,
        instrument_provider=InteractiveBrokersInstrumentProviderConfig(load_ids=instruments),
    )
    config = TradingNodeConfig(
        trader_id=TraderId(f"TESTER-{settings['client_id']:03d}"),
        logging=LoggingConfig(log_level=settings["log_level"], log_colors=False),
        data_engine=LiveDataEngineConfig(**settings["data_engine"]),
        exec_engine=LiveExecEngineConfig(reconciliation=False),
        data_clients={IB: gateway},
        exec_clients={
            venue: SandboxExecutionClientConfig(
                venue=venue, starting_balances=["1_000_000 USD"], base_currency="USD", account_type="MARGIN", default_leverage=Decimal(1)
            )
            for venue in venues
        },
        strategies=[ImportableStrategyConfig(**one) for one in settings["strategies"]],
        timeout_connection=settings["connection_timeout_s"],
        timeout_portfolio=5.0,
        timeout_disconnection=5.0,
        timeout_post_stop=0.2,
        timeout_shutdown=1.0,
    )
    node = TradingNode(config=config)
    node.add_data_client_factory(IB, InteractiveBrokersLiveDataClientFactory)
    for venue in venues:
        node.add_exec_client_factory(venue, SandboxLiveExecClientFactory)
    node.build()
    return node


def stop_after(node: TradingNode, bars: dict[str, int]) -> None:
    """Stop the node once the engine has published so many bars of each of these types."""
    left = Counter(bars)

    def count(bar: Bar) -> None:
        if left and left[str(bar.bar_type)] > 0:
            left.subtract([str(bar.bar_type)])
            if not any(left.values()):
                left.clear()
                node.stop()

    node.kernel.msgbus.subscribe("data.bars.*", count)


def _engine_tells(node: TradingNode) -> None:
    node.kernel.msgbus.subscribe("data.bars.*", lambda bar: journal.write("published", **journal.bar_facts(bar)))
    node.kernel.msgbus.subscribe("events.order.*", lambda event: journal.write("order", event=type(event).__name__))


class _Closes(Protocol):
    """What `prepare` may return: closed once the node has stopped."""

    def close(self) -> None: ...


def _called(path: str) -> Callable[[TradingNode, dict[str, Any]], _Closes | None]:
    module, name = path.split(":")
    found: Callable[[TradingNode, dict[str, Any]], _Closes | None] = getattr(importlib.import_module(module), name)
    return found


def main(configuration: Path) -> None:
    """Build, prepare, run, dispose."""
    settings = json.loads(configuration.read_text(encoding="utf-8"))
    node = build(settings)
    _engine_tells(node)
    if settings["stop_after_bars"]:
        stop_after(node, settings["stop_after_bars"])
    prepared = None if settings["prepare"] is None else _called(settings["prepare"])(node, settings["prepare_settings"])
    journal.write("built")
    try:
        node.run()
    finally:
        journal.write("stopped")
        if prepared is not None:
            prepared.close()
        node.dispose()
    journal.write("disposed")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
