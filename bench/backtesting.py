"""(f) A backtest against a bare BacktestNode on the same bars, each in a process of its own."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

from bench.lines import Line, no_slower
from bench.made import SERIES, sessions, stored
from bench.size.child import Spent, python
from market_data_pipeline.catalog.instrument_definitions import InstrumentDefinitions, define
from market_data_pipeline.domain.bar_types import Series

_FIRST, _LAST = dt.date(2023, 1, 3), dt.date(2023, 12, 29)
_ROUNDS = 2

_OURS = """
import sys
from pathlib import Path
from market_data_pipeline.backtest import BacktestSpec, run_backtest
from market_data_pipeline.catalog import Catalog
spec = BacktestSpec(name="bench", series=[sys.argv[3]], start=sys.argv[4], end=sys.argv[5])
run_backtest(Catalog.open(sys.argv[1]), spec, Path(sys.argv[2]))
"""

_BARE = """
import sys
from nautilus_trader.model.data import Bar, BarType
from nautilus_trader.backtest.config import BacktestDataConfig, BacktestEngineConfig, BacktestRunConfig, BacktestVenueConfig
from nautilus_trader.backtest.node import BacktestNode
from nautilus_trader.config import ImportableStrategyConfig, LoggingConfig
cross = "market_data_pipeline.backtest.strategies.sma_cross:SmaCross"
kind = BarType.from_str(sys.argv[2])
settings = dict(instrument_id=str(kind.instrument_id), bar_type=str(kind))
node = BacktestNode([BacktestRunConfig(
    venues=[BacktestVenueConfig(
        name=str(kind.instrument_id.venue), oms_type="NETTING", account_type="MARGIN", base_currency="USD", starting_balances=["1000000 USD"])],
    data=[BacktestDataConfig(
        catalog_path=sys.argv[1], data_cls=Bar, bar_types=[str(kind)], start_time=f"{sys.argv[3]}T00:00:00Z", end_time=f"{sys.argv[4]}T23:59:59Z")],
    engine=BacktestEngineConfig(
        logging=LoggingConfig(bypass_logging=True), strategies=[ImportableStrategyConfig(cross, cross + "Config", settings)]),
    raise_exception=True,
    dispose_on_completion=False,
)])
[result] = node.run()
assert result.total_positions, "no trade"
"""


def measure(folder: Path) -> Iterator[Line]:
    """Run the shipped strategy on a year of minutes, with its statistics, pictures and tearsheet, and in a bare node."""
    catalog = stored(folder / "catalog", sessions(_FIRST, _LAST))
    known = {"instruments": [{"id": SERIES.instrument_id, "type": "equity", "currency": "USD", "price_precision": 2}]}
    catalog.instruments.put(define(SERIES.instrument_id, InstrumentDefinitions.model_validate(known)), "bench")
    availability = catalog.availability(SERIES)
    catalog.ledger.close()
    bars = availability.rows if availability is not None else 0
    ours, bare = (
        min((run(folder / "catalog", SERIES, (_FIRST, _LAST), folder / "out") for _ in range(_ROUNDS)), key=lambda spent: spent.wall_s)
        for run in (run_ours, run_bare)
    )
    work = f"backtest of {bars:,} bars, SMA 40/260, from start to exit of the process"
    note = "ours also checks every page, and writes reports, tearsheet, picture and passport"
    yield no_slower(f"{work}: wall", ours.wall_s, "a bare BacktestNode on the same files", bare.wall_s, 1.05, note)
    yield no_slower(f"{work}: CPU", ours.cpu_s, "a bare BacktestNode on the same files", bare.cpu_s, 1.05, note)


def run_ours(catalog: Path, series: Series, dates: tuple[dt.date, dt.date], out: Path) -> Spent:
    """Run the shipped strategy over sessions dated in [first, last] as `mdp backtest run` does."""
    return python(_OURS, str(catalog), str(out), f"{series.instrument_id}-{series.spec}", *map(str, dates))


def run_bare(catalog: Path, series: Series, dates: tuple[dt.date, dt.date], _out: Path) -> Spent:
    """Run it in a bare node, which writes nothing."""
    return python(_BARE, str(catalog), series.bar_type, *map(str, dates))
