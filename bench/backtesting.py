"""(f) A backtest against a bare BacktestNode on the same bars, each in a process of its own."""

from __future__ import annotations

import datetime as dt
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from bench.lines import Line, no_slower
from bench.made import SERIES, sessions, stored
from market_data_pipeline.catalog.instrument_definitions import InstrumentDefinitions, define

_FIRST, _LAST = dt.date(2023, 1, 3), dt.date(2023, 12, 29)
_ROUNDS = 2

_OURS = f"""
import sys
from pathlib import Path
from market_data_pipeline.backtest import BacktestSpec, run_backtest
from market_data_pipeline.catalog import Catalog
spec = BacktestSpec(name="bench", series=["{SERIES.instrument_id}-{SERIES.spec}"], start="{_FIRST}", end="{_LAST}")
run_backtest(Catalog.open(sys.argv[1]), spec, Path(sys.argv[2]))
"""

_BARE = f"""
import sys
from nautilus_trader.backtest.config import BacktestDataConfig, BacktestEngineConfig, BacktestRunConfig, BacktestVenueConfig
from nautilus_trader.backtest.node import BacktestNode
from nautilus_trader.config import ImportableStrategyConfig, LoggingConfig
from nautilus_trader.model.data import Bar
cross = "market_data_pipeline.backtest.strategies.sma_cross:SmaCross"
settings = dict(instrument_id="{SERIES.instrument_id}", bar_type="{SERIES.bar_type}")
node = BacktestNode([BacktestRunConfig(
    venues=[BacktestVenueConfig(
        name="{SERIES.venue}", oms_type="NETTING", account_type="MARGIN", base_currency="USD", starting_balances=["1000000 USD"])],
    data=[BacktestDataConfig(catalog_path=sys.argv[1], data_cls=Bar, bar_types=["{SERIES.bar_type}"])],
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
    ours = min(_timed(_OURS, str(folder / "catalog"), str(folder / "out")) for _ in range(_ROUNDS))
    bare = min(_timed(_BARE, str(folder / "catalog")) for _ in range(_ROUNDS))
    work = f"backtest of {bars:,} bars, SMA 40/260, from start to exit of the process"
    note = "ours also checks every page, and writes reports, tearsheet, picture and passport"
    yield no_slower(f"{work}: wall", ours[0], "a bare BacktestNode on the same files", bare[0], 1.05, note)
    yield no_slower(f"{work}: CPU", ours[1], "a bare BacktestNode on the same files", bare[1], 1.05, note)


def _timed(program: str, *arguments: str) -> tuple[float, float]:
    """Return wall and CPU seconds of a program."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", program, *arguments], capture_output=True, text=True, check=False)
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise RuntimeError(done.stderr[-2_000:])
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
