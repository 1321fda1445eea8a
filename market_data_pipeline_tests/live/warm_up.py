"""Nodes with a warm-up, what they told, and what is true: the same bars from the gateway's history, and a backtest over them."""

from __future__ import annotations

import json
import socket
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nautilus_trader.backtest.engine import BacktestEngine
from nautilus_trader.config import BacktestEngineConfig, LoggingConfig
from nautilus_trader.model.currencies import USD
from nautilus_trader.model.data import Bar
from nautilus_trader.model.enums import AccountType, OmsType
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.objects import Money
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from market_data_pipeline.backtest.strategies.sma_cross import SmaCross, SmaCrossConfig
from market_data_pipeline.catalog import Catalog
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.live import Need, WarmUpSettings
from market_data_pipeline.live.history import gather
from market_data_pipeline.sources.ibkr import Hours, IbkrGateway, IbkrSettings
from market_data_pipeline_tests.gateway import RunningGateway
from market_data_pipeline_tests.live import journal
from market_data_pipeline_tests.live.trading_node import NodeSettings, RunningNode, strategy

STOCK_15, PAIR_15 = "AAPL.NASDAQ-15-MINUTE-LAST-EXTERNAL", "EUR/USD.IDEALPRO-15-MINUTE-MID-EXTERNAL"
STOCK, PAIR = "AAPL.NASDAQ-1-MINUTE-LAST-EXTERNAL", "EUR/USD.IDEALPRO-1-MINUTE-MID-EXTERNAL"
_WARMED = "market_data_pipeline_tests.live.warmed"
_SMA_CONFIG = "market_data_pipeline.backtest.strategies.sma_cross:SmaCrossConfig"

type Line = dict[str, Any]


def crossover(bar_type: str = STOCK_15, tag: str = "SMA", **config: object) -> dict[str, Any]:
    """Return the configuration of the shipped crossover of 40 and 260 bars; it is called `Crossover-TAG`."""
    instrument_id = Series.parse(bar_type).instrument_id
    return strategy(f"{_WARMED}:Crossover", _SMA_CONFIG, {"order_id_tag": tag, "instrument_id": instrument_id, "bar_type": bar_type, **config})


def eager(*bar_types: str, tag: str = "EAGER", **config: object) -> dict[str, Any]:
    """Return the configuration of a strategy with the mixin; it is called `Eager-TAG`."""
    return strategy(f"{_WARMED}:Eager", f"{_WARMED}:EagerConfig", {"order_id_tag": tag, "bar_types": list(bar_types), **config})


def watcher(*bar_types: str, tag: str = "WATCHER", **config: object) -> dict[str, Any]:
    """Return the configuration of a strategy without the mixin; it is called `Watcher-TAG`."""
    return strategy(f"{_WARMED}:Watcher", f"{_WARMED}:EagerConfig", {"order_id_tag": tag, "bar_types": list(bar_types), **config})


def warmed_node(
    gateway: RunningGateway,
    folder: Path,
    *strategies: Mapping[str, Any],
    settings: Mapping[str, object] | None = None,
    ibkr: Mapping[str, object] | None = None,
    needs: Mapping[str, int] | None = None,
    **node: Any,
) -> NodeSettings:
    """Return the settings of a node with a warm-up; its catalog is FOLDER/catalog, its status FOLDER/status.json.

    Args:
        gateway: Of the node's client, and of the warm-up if `ibkr` does not say otherwise.
        folder: Of this test.
        strategies: Their configurations.
        settings: Fields of WarmUpSettings.
        ibkr: Fields of IbkrSettings; by default the node's own gateway.
        needs: Bars of bar types, beside what strategies say they need.
        node: Fields of NodeSettings.
    """
    prepare_settings = {
        "catalog": str(folder / "catalog"),
        "settings": dict(settings or {}),
        "status_file": str(folder / "status.json"),
        "ibkr": dict(ibkr or {}),
        "needs": dict(needs or {}),
    }
    built = NodeSettings(
        gateway.host,
        gateway.port,
        ("AAPL.NASDAQ", "EUR/USD.IDEALPRO"),
        tuple(strategies),
        prepare=f"{_WARMED}:prepare",
        prepare_settings=prepare_settings,
    )
    return replace(built, **node)


# A gateway on a fast clock may be asked again at once.
_HASTE = "small_bars: {same_contract: 100000, same_contract_s: 0.01, identical_s: 0.01}\nmessages_s: 0.01\ndelay_s: 0.01\ndelay_share: 0\n"


def environment(folder: Path, **variables: str) -> dict[str, str]:
    """Return variables of a node whose pacing table is its test's own, and whose waits are short."""
    pacing = folder / "pacing.yaml"
    pacing.write_text(_HASTE, encoding="utf-8")
    return {
        "IB_STATE": str(folder / "state"),
        "IB_PACING": str(pacing),
        "IB_PACING_DB": str(folder / "pacing.sqlite"),
        "IB_WAIT_SCALE": "0.02",
        **variables,
    }


def status(folder: Path) -> dict[str, Any]:
    """Return what the status file says now; nothing before the first."""
    path = folder / "status.json"
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"series": [], "strategies": [], "state": ""}
    return content


def series_status(folder: Path, bar_type: str) -> dict[str, Any]:
    """Return what the status file says of a series now."""
    found: dict[str, Any] = next((one for one in status(folder)["series"] if one["bar_type"] == bar_type), {})
    return found


def strategy_status(folder: Path, strategy_id: str) -> dict[str, Any]:
    """Return what the status file says of a strategy now."""
    found: dict[str, Any] = next((one for one in status(folder)["strategies"] if one["strategy_id"] == strategy_id), {})
    return found


def free_port() -> int:
    """Return a port of this machine where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def seen_by(lines: Iterable[Line], strategy_id: str, bar_type: str) -> list[Line]:
    """Return all bars that reached a strategy, from history and live, in the order in which they came."""
    return [line for line in lines if line["kind"] in ("bar", "historical") and line["strategy"] == strategy_id and line["bar_type"] == bar_type]


def opens(lines: Iterable[Line]) -> list[int]:
    """Return when bars opened, UTC nanoseconds."""
    return [line["ts_event"] for line in lines]


@dataclass(frozen=True)
class Truth:
    """All bars of a series that a gateway knows of some time, from its history.

    Attributes:
        bars: Oldest first, as Nautilus' own catalog reads them.
        folder: Of the catalog.
    """

    bars: list[Bar]
    folder: Path

    def between(self, first_ns: int, last_ns: int) -> list[Bar]:
        """Return the bars that open from one moment to another, both inclusive, UTC nanoseconds."""
        return [bar for bar in self.bars if first_ns <= bar.ts_event <= last_ns]

    def holds(self, lines: Sequence[Line]) -> None:
        """Assert that bars came once each, in order, with no hole and with these values."""
        stretch = self.between(lines[0]["ts_event"], lines[-1]["ts_event"])
        assert opens(lines) == [bar.ts_event for bar in stretch]
        others = [
            f"{line['kind']} bar of {line['ts_event']}: {line['ohlcv']}, the gateway has {true}"
            for line, true in zip(lines, (journal.bar_facts(bar)["ohlcv"] for bar in stretch), strict=True)
            if line["ohlcv"] != true
        ]
        assert not others, "; ".join(others)

    def averages(self, since: int) -> dict[int, list[float]]:
        """Return the averages of a crossover in a backtest over the bars that open from a moment on, by ts_event, UTC nanoseconds."""
        bars = [bar for bar in self.bars if bar.ts_event >= since]
        bar_type = bars[0].bar_type
        instrument = ParquetDataCatalog(str(self.folder)).instruments(instrument_ids=[str(bar_type.instrument_id)])[-1]
        engine = BacktestEngine(BacktestEngineConfig(logging=LoggingConfig(bypass_logging=True)))
        engine.add_venue(instrument.venue, OmsType.NETTING, AccountType.MARGIN, [Money(1_000_000, USD)], base_currency=USD)
        engine.add_instrument(instrument)
        engine.add_data(bars)
        told = _Averages(SmaCrossConfig(instrument_id=InstrumentId.from_str(str(bar_type.instrument_id)), bar_type=bar_type))
        engine.add_strategy(told)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Timestamp.utcnow is deprecated")  # Nautilus 1.23x under pandas 3
            engine.run()
        engine.dispose()
        return told.after


class _Averages(SmaCross):
    """The crossover as shipped for backtests; remembers its averages after each bar."""

    def __init__(self, config: SmaCrossConfig) -> None:
        super().__init__(config)
        self.after: dict[int, list[float]] = {}

    def on_bar(self, bar: Bar) -> None:
        super().on_bar(bar)
        self.after[bar.ts_event] = [self._fast.value, self._slow.value]


def fill(gateway: RunningGateway, catalog: Path, bar_type: str, bars: int, hours: Hours | None = None) -> None:
    """Store the newest bars that a gateway has in a catalog."""
    beside = catalog.parent / f"{catalog.name}-state"
    settings = IbkrSettings.from_environment(
        host=gateway.host, port=gateway.port, state=beside, pacing="relaxed", pacing_db=str(beside / "pacing.sqlite")
    )
    opened = Catalog.open(catalog)
    with IbkrGateway(settings) as broker:
        history = gather(opened, lambda: broker, Need(Series.parse(bar_type), bars), WarmUpSettings(buffer=1.0), hours=hours)
    opened.ledger.close()
    assert history.enough, history.reasons


def truth_of(gateway: RunningGateway, folder: Path, bar_type: str, bars: int) -> Truth:
    """Ask a gateway for its newest bars, store them in a catalog of their own, and read them with Nautilus' own."""
    fill(gateway, folder / "truth", bar_type, bars)
    read = ParquetDataCatalog(str(folder / "truth")).bars(bar_types=[bar_type])
    return Truth(list(read), folder / "truth")


def wait_for_status(node: RunningNode, folder: Path, bar_type: str, within_s: float = 60.0, **facts: object) -> dict[str, Any]:
    """Wait until the status file says this of a series; return all that it says."""
    node.wait_until(lambda: all(series_status(folder, bar_type).get(name) == value for name, value in facts.items()), f"status {facts}", within_s)
    return series_status(folder, bar_type)
