"""(n) Ready for the first live bar: a real trading node with Nautilus' own client, beside its own `request_bars`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from bench.lines import Line, within
from market_data_pipeline.backtest.strategies.sma_cross import SmaCross
from market_data_pipeline.catalog import Catalog
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.live import LiveWarmUp, Need, WarmUpSettings
from market_data_pipeline.live.history import gather
from market_data_pipeline.live.sma_cross import WarmedSmaCross
from market_data_pipeline.sources.ibkr import IbkrGateway, IbkrSettings
from market_data_pipeline_tests.gateway import RunningGateway, start_gateway
from market_data_pipeline_tests.live import journal
from market_data_pipeline_tests.live.trading_node import NodeSettings, start_node, strategy

if TYPE_CHECKING:
    from nautilus_trader.live.node import TradingNode

_GOAL_S = 5.0
_NEEDED = 260
_SYMBOLS = ("AAPL", "MSFT", "NVDA", "AMZN", "TSLA")
# A Saturday: nothing has closed since Friday, so what is stored is all there is.
_CLOSED = ("--now", "2024-06-01T12:00Z", "--speed", "1", "--no-pacing")
# A Monday, in the middle of a session: the tail of it is not stored.
_TRADING = ("--now", "2024-06-03T15:37Z", "--speed", "1", "--no-pacing")
_PEER_RANGE = ("2024-05-13T13:30Z", "2024-06-03T15:30Z")
_CONFIG = "market_data_pipeline.backtest.strategies.sma_cross:SmaCrossConfig"


def measure(folder: Path) -> Iterator[Line]:
    """Fill a catalog, then start nodes: with all there, with the tail to be asked for, and Nautilus' own way."""
    catalog = folder / "catalog"
    with start_gateway(folder / "closed", *_CLOSED) as gateway:
        _fill(catalog, gateway)
        whole = {count: _ready(folder / f"whole-{count}", gateway, catalog, _SYMBOLS[:count]) for count in (1, len(_SYMBOLS))}
    with start_gateway(folder / "trading", *_TRADING) as gateway:
        peers = {count: _ready(folder / f"peer-{count}", gateway, None, _SYMBOLS[:count]) for count in whole}
        tail = _ready(folder / "tail", gateway, catalog, _SYMBOLS[:1])
    theirs = "Nautilus' request_bars at the same simulator, which answers at once"
    needs = f"SMA 40 and 260 of 15-minute bars ({_NEEDED} needed, 312 brought)"
    yield within(f"catalog to READY: {needs}", whole[1], _GOAL_S, "from the strategy's start; 65 hours of trading without", theirs, peers[1])
    several = len(_SYMBOLS)
    yield within(f"the same for {several} strategies on {several} series", whole[several], _GOAL_S, "until the last is READY", theirs, peers[several])
    yield within("the same with today's session to be asked for", tail, _GOAL_S, "one request more", theirs, peers[1])


def _series(symbol: str) -> Series:
    return Series.of(f"{symbol}.NASDAQ", "15-MINUTE-LAST")


def _fill(root: Path, gateway: RunningGateway) -> None:
    catalog = Catalog.open(root)
    with IbkrGateway(IbkrSettings.from_environment(host=gateway.host, port=gateway.port)) as broker:
        for symbol in _SYMBOLS:
            history = gather(catalog, lambda: broker, Need(_series(symbol), _NEEDED), WarmUpSettings())
            assert history.enough, history.reasons
    catalog.ledger.close()


def _ready(folder: Path, gateway: RunningGateway, catalog: Path | None, symbols: tuple[str, ...]) -> float:
    """Return the seconds from a node's first strategy's start until its last one is warm."""
    path = f"{__name__}:{'Asking' if catalog is None else 'Warmed'}"
    strategies = tuple(
        strategy(path, _CONFIG, {"instrument_id": _series(one).instrument_id, "bar_type": _series(one).bar_type, "order_id_tag": f"{i:03d}"})
        for i, one in enumerate(symbols)
    )
    instruments = tuple(_series(symbol).instrument_id for symbol in symbols)
    settings = NodeSettings(gateway.host, gateway.port, instruments, strategies, log_level="WARNING")
    if catalog is not None:
        settings = replace(settings, prepare=f"{__name__}:prepare", prepare_settings={"catalog": str(catalog)})
    with start_node(folder, settings) as node:
        ready = node.wait_for("ready", len(symbols))
        started = node.lines("started")
        return float(max(line["at"] for line in ready) - min(line["at"] for line in started))


def prepare(node: TradingNode, settings: dict[str, Any]) -> None:
    """Put a warm-up into a node that is about to run."""
    LiveWarmUp(settings["catalog"]).attach(node)


class Warmed(WarmedSmaCross):
    """Ours: tells when it starts and when it is ready."""

    def on_start(self) -> None:
        """Start the clock."""
        journal.write("started")
        super().on_start()

    def on_ready(self) -> None:
        """Stop the clock."""
        journal.write("ready")


class Asking(SmaCross):
    """Nautilus' way: asks for bars when it starts, and looks whether its averages are there."""

    told = False

    def on_start(self) -> None:
        """Ask, and start the clock."""
        journal.write("started")
        super().on_start()
        start, end = map(pd.Timestamp, _PEER_RANGE)
        self.request_bars(self.config.bar_type, start=start, end=end)

    def on_historical_data(self, data: object) -> None:
        """Stop the clock when the averages are there."""
        if self.indicators_initialized() and not self.told:
            self.told = True
            journal.write("ready")
