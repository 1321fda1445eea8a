"""A crossover of two moving averages that is ready before its first live bar: paper, read-only data, sandbox execution.

    python examples/live_sma.py                        # with a gateway simulator of its own, on a clock that runs fast
    python examples/live_sma.py --port 4002            # with the gateway, or simulator, that listens there

Data come from Nautilus' own Interactive Brokers client. Orders go to Nautilus' sandbox and never leave this process.
"""

from __future__ import annotations

import argparse
import json
import logging
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from nautilus_trader.adapters.interactive_brokers.common import IB
from nautilus_trader.adapters.interactive_brokers.config import InteractiveBrokersDataClientConfig, InteractiveBrokersInstrumentProviderConfig
from nautilus_trader.adapters.interactive_brokers.factories import InteractiveBrokersLiveDataClientFactory
from nautilus_trader.adapters.sandbox.config import SandboxExecutionClientConfig
from nautilus_trader.config import LiveExecEngineConfig, LoggingConfig, TradingNodeConfig
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.data import Bar, BarType
from nautilus_trader.model.identifiers import InstrumentId, TraderId

from market_data_pipeline.backtest.strategies.sma_cross import SmaCrossConfig
from market_data_pipeline.domain.errors import MarketDataError
from market_data_pipeline.live import LiveWarmUp, WarmUpSettings, await_gateway
from market_data_pipeline.live.sandbox import SandboxLiveExecClientFactory
from market_data_pipeline.live.sma_cross import WarmedSmaCross
from market_data_pipeline.sources.ibkr import IbkrSettings

if TYPE_CHECKING:
    from nautilus_trader.model.events import OrderFilled

APPLE = InstrumentId.from_str("AAPL.NASDAQ")
BAR_TYPE = BarType.from_str(f"{APPLE}-15-MINUTE-LAST-EXTERNAL")
# A Monday at 10:37 New York, in the middle of a bar; a bar of 15 minutes takes two seconds.
SIMULATED = ("--now", "2024-06-03T14:37Z", "--speed", "450")


def build(host: str, port: int, client_id: int) -> TradingNode:
    """Return a node for bars of Apple, with one crossover."""
    data = InteractiveBrokersDataClientConfig(
        ibg_host=host,
        ibg_port=port,
        ibg_client_id=client_id,
        use_regular_trading_hours=True,
        instrument_provider=InteractiveBrokersInstrumentProviderConfig(load_ids=frozenset([APPLE])),
    )
    sandbox = SandboxExecutionClientConfig(
        venue=APPLE.venue.value, starting_balances=["100_000 USD"], base_currency="USD", account_type="MARGIN", default_leverage=Decimal(1)
    )
    node = TradingNode(
        TradingNodeConfig(
            trader_id=TraderId("EXAMPLE-001"),
            logging=LoggingConfig(log_level="WARNING"),
            exec_engine=LiveExecEngineConfig(reconciliation=False),  # a sandbox remembers nothing
            data_clients={IB: data},
            exec_clients={APPLE.venue.value: sandbox},
            timeout_connection=20,
            timeout_post_stop=1,
        )
    )
    node.add_data_client_factory(IB, InteractiveBrokersLiveDataClientFactory)
    node.add_exec_client_factory(APPLE.venue.value, SandboxLiveExecClientFactory)
    node.trader.add_strategy(WarmedSmaCross(SmaCrossConfig(instrument_id=APPLE, bar_type=BAR_TYPE, fast_period=40, slow_period=260)))
    node.build()
    return node


def narrate(node: TradingNode, bars: int) -> None:
    """Print what happens, and stop the node after so many live bars."""
    strategy = node.trader.strategies()[0]
    live = 0

    def tell_bar(bar: Bar) -> None:
        nonlocal live
        live += 1
        fast, slow = (indicator.value for indicator in strategy.registered_indicators)
        opened = time.strftime("%Y-%m-%d %H:%M", time.gmtime(bar.ts_event // 10**9))
        print(f"live bar {live} of {opened} UTC: close {bar.close}, averages {fast:.4f} and {slow:.4f}")
        if live == bars:
            node.stop()

    def tell_fill(event: OrderFilled) -> None:
        print(f"filled: {event.order_side.name} {event.last_qty} at {event.last_px}")

    bus = node.kernel.msgbus
    bus.subscribe("warm_up.*", lambda state: print(f"{state}: {strategy.readiness.seen.get(str(BAR_TYPE), 0)} bars seen"))
    # After the strategy has seen it.
    bus.subscribe(f"data.bars.{BAR_TYPE}", lambda bar: node.kernel.loop.call_soon(tell_bar, bar))
    bus.subscribe("events.fills.*", tell_fill)


@contextmanager
def gateway(port: int | None) -> Iterator[int]:
    """Lend the port of a gateway: the one that was given, or a simulator's that ends with the block."""
    if port is not None:
        yield port
        return
    with tempfile.TemporaryDirectory() as folder:
        ready = Path(folder) / "ready.json"
        command = [
            sys.executable,
            "-m",
            "market_data_pipeline.cli",
            "ibkr",
            "simulate",
            "--port",
            "0",
            "--ready-file",
            str(ready),
            "--quiet",
            *SIMULATED,
        ]
        simulator = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            while not ready.exists():
                if simulator.poll() is not None:
                    raise SystemExit(f"The gateway simulator ended with {simulator.returncode}. Try it alone: mdp ibkr simulate")
                time.sleep(0.05)
            found: int = json.loads(ready.read_text(encoding="utf-8"))["port"]
            yield found
        finally:
            simulator.terminate()
            simulator.wait()


def main() -> None:
    """Warm up, see some live bars, say what was seen."""
    parser = argparse.ArgumentParser(description="A crossover that is ready before its first live bar.")
    parser.add_argument("--host", default="127.0.0.1", help="of the gateway (127.0.0.1)")
    parser.add_argument("--port", type=int, help="of a gateway; by default a simulator is started")
    parser.add_argument("--client-id", type=int, default=1, help="of the node's connection (1)")
    parser.add_argument("--bars", type=int, default=10, help="live bars to wait for (10)")
    parser.add_argument("--catalog", type=Path, default=Path("data/live_sma"), help="Parquet catalog (data/live_sma)")
    arguments = parser.parse_args()
    if arguments.bars < 1:
        parser.error(f"--bars {arguments.bars}: at least one live bar is waited for")
    # Nautilus' client (1.230) leaves a timer behind for each update of a bar, and asyncio tells of every one of them in the end.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    with gateway(arguments.port) as port:
        try:
            await_gateway(IbkrSettings.from_environment(host=arguments.host, port=port), patience_s=60)
        except MarketDataError as error:
            raise SystemExit(str(error)) from None
        node = build(arguments.host, port, arguments.client_id)
        try:
            with LiveWarmUp(arguments.catalog, WarmUpSettings(buffer=1.2), status_file=arguments.catalog / "warm_up.json") as warm_up:
                warm_up.attach(node)
                narrate(node, arguments.bars)
                node.run()
                status = warm_up.status()
        except MarketDataError as error:
            raise SystemExit(str(error)) from None
        finally:
            node.dispose()
    assert status is not None
    for series in status.series:
        print(f"{series.bar_type}: {series.from_catalog} bars from the catalog, {series.from_source} from IBKR in {series.requests} requests")
    for one in status.strategies:
        took = "never" if one.seconds_to_ready is None else f"{one.seconds_to_ready:.2f} s after it started"
        print(f"{one.strategy_id}: {one.state}, ready {took}; {one.orders_refused} orders refused before")


if __name__ == "__main__":
    main()
