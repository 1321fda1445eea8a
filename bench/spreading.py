"""(p) Work that is spread over the cores: an import of many series, and a sweep, each beside the same work one after the other."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv

from bench.lines import Line
from bench.made import SERIES, YEAR, joined, sessions, stored
from market_data_pipeline.catalog.instrument_definitions import InstrumentDefinitions, define
from market_data_pipeline.catalog.reading import to_arrow
from market_data_pipeline.parallel import cores

_SYMBOLS = 20
_GRID = {"fast_period": [20, 40, 60, 80], "slow_period": [130, 260]}
# Of all cores; the rest is what one process does alone at begin and end, and what cores share: memory, disk.
_GOAL = 0.7


def measure(folder: Path) -> Iterator[Line]:
    """Import 20 symbols with a year of minutes each, and run 8 backtests on a year of minutes."""
    at_once = cores()
    yield from _imports(folder / "imports", at_once)
    yield from _sweeps(folder / "sweeps", at_once)


def _imports(folder: Path, at_once: int) -> Iterator[Line]:
    folder.mkdir()
    bars = joined(sessions(*YEAR))
    table = pa.Table.from_batches([to_arrow(bars)])
    stamps = table.column("ts_event").cast(pa.timestamp("s", "UTC")).cast(pa.timestamp("s"))
    rows = table.select(["open", "high", "low", "close", "volume"]).add_column(0, "timestamp", stamps)
    symbols = [f"S{number:02}" for number in range(_SYMBOLS)]
    for symbol in symbols:
        pacsv.write_csv(rows, folder / f"{symbol}.csv")
    lines = [f"  - {{id: {symbol}.NASDAQ, type: equity, currency: USD, price_precision: 2}}" for symbol in symbols]
    (folder / "instruments.yaml").write_text("\n".join(["instruments:", *lines]) + "\n", encoding="utf-8")
    files = [f"{symbol}.csv" for symbol in symbols]
    how = ["--bar", str(SERIES.spec), "--timezone", "UTC", "--stamp", "open", "--instrument", "{symbol}.NASDAQ"]

    def run(jobs: int) -> float:
        shutil.rmtree(folder / "catalog", ignore_errors=True)
        return _mdp(folder, "import-csv", *files, *how, "--jobs", str(jobs), "--catalog", "catalog")

    alone = run(1)
    work = f"mdp import-csv of {_SYMBOLS} symbols x {len(bars):,} minute bars"
    yield _spread(f"{work}, {at_once} at once", run(at_once), "one after the other, in one process", alone, at_once)


def _sweeps(folder: Path, at_once: int) -> Iterator[Line]:
    folder.mkdir()
    catalog = stored(folder / "catalog", sessions(*YEAR))
    known = {"instruments": [{"id": SERIES.instrument_id, "type": "equity", "currency": "USD", "price_precision": 2}]}
    catalog.instruments.put(define(SERIES.instrument_id, InstrumentDefinitions.model_validate(known)), "bench")
    catalog.ledger.close()
    spec = f"name: bench\nseries: [{SERIES.instrument_id}-{SERIES.spec}]\nstart: {YEAR[0]}\nend: {YEAR[1]}\n"
    (folder / "grid.yaml").write_text(f"{spec}grid: {_GRID}\n", encoding="utf-8")
    combinations = [(fast, slow) for fast in _GRID["fast_period"] for slow in _GRID["slow_period"]]
    peer_s = 0.0
    for fast, slow in combinations:
        (folder / "one.yaml").write_text(f"{spec}strategy: {{config: {{fast_period: {fast}, slow_period: {slow}}}}}\n", encoding="utf-8")
        peer_s += _mdp(folder, "backtest", "run", "one.yaml", "--catalog", "catalog", "--results", "singles")
    peer = f"{len(combinations)} x mdp backtest run, one after the other"
    bars = sum(len(answer.bars) for answer in sessions(*YEAR))
    work = f"mdp backtest sweep of {len(combinations)} combinations on {bars:,} bars"
    for jobs in dict.fromkeys((1, at_once)):
        shutil.rmtree(folder / "swept", ignore_errors=True)
        ours = _mdp(folder, "backtest", "sweep", "grid.yaml", "--jobs", str(jobs), "--catalog", "catalog", "--results", "swept")
        yield _spread(f"{work}, {jobs} at once", ours, peer, peer_s, jobs)


def _spread(work: str, ours_s: float, peer: str, peer_s: float, jobs: int) -> Line:
    times = _GOAL * jobs if jobs > 1 else 1.0
    load = f"load of the machine {os.getloadavg()[0]:.1f}"
    return Line(work, ours_s, peer, peer_s, f"{times:g} times as fast", peer_s / ours_s >= times, load)


def _mdp(folder: Path, *arguments: str) -> float:
    """Run `mdp` in a process of its own and return the seconds from start to exit."""
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "market_data_pipeline.cli", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    took = time.perf_counter() - started
    if done.returncode:
        raise RuntimeError(done.stderr[-2_000:])
    return took
