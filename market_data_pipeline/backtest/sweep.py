"""A sweep: every combination of a spec's grid, on the same bars, each with a result folder and passport of its own.

    <results>/sweep-<name>-<hash>/   sweep.json    what is swept, on which bars, by which code
                                     runs/         a folder for each combination that has run, as `mdp backtest run` makes it
                                     table.parquet, table.csv, table.md, map.png

The hash is of bars, definitions, spec with its grid, the strategy's module and Nautilus' version: run again, a sweep goes on where it
ended; after a change of any of them it is another.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import importlib.util
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path

from market_data_pipeline.backtest.engine import require_settings
from market_data_pipeline.backtest.evidence import Evidence, gather
from market_data_pipeline.backtest.results import TEMPORARY_PREFIX, list_results
from market_data_pipeline.backtest.run import run_on
from market_data_pipeline.backtest.spec import BacktestSpec, Value
from market_data_pipeline.backtest.sweep_table import FAILED, Row, row_of, write_table
from market_data_pipeline.catalog import Catalog
from market_data_pipeline.domain.errors import BacktestFailed, MarketDataError, StorageFailed, UsageError
from market_data_pipeline.parallel import Ended, Tell, in_processes

SWEEP_VERSION = 1
SWEEP_FILE = "sweep.json"
_ABANDONED_AFTER_S = 24 * 3_600


@dataclass(frozen=True, eq=False)
class Sweep:
    """A sweep that is ready to run, or goes on; it pickles, so that each combination can run in another process, or on another host.

    Attributes:
        folder: Where it is kept.
        root: Folder of the catalog.
        spec: What is swept, with its grid.
        evidence: The bars that all combinations stand on.
        stored: The state of the catalog's sessions when they were read.
    """

    folder: Path
    root: Path
    spec: BacktestSpec
    evidence: Evidence
    stored: str

    @property
    def runs(self) -> Path:
        """Folder of the results of single combinations."""
        return self.folder / "runs"

    def finished(self) -> dict[int, Row]:
        """Return the combinations that have a result, by their number, from 0."""
        return finished_rows(self.spec, self.runs)


@dataclass(frozen=True)
class Combined:
    """A combination has ended, well or not, and how far the sweep is."""

    number: int
    row: Row
    done: int
    of: int


def prepare_sweep(catalog: Catalog, spec: BacktestSpec, output_root: Path, progress: Callable[[str], None]) -> Sweep:
    """Check spec and bars, once for all combinations, and make the sweep's folder, or find the one of the same sweep.

    Raises:
        UsageError: If the spec has no grid, or one of settings that the strategy does not have.
        MarketDataError: As `run_backtest` refuses bars.
        StorageFailed: If the folder cannot be made.
    """
    if spec.grid is None:
        raise UsageError(
            f"{spec.name} has no grid, so there is nothing to sweep. Add one, for example grid: {{fast_period: [20, 40]}}, "
            "or run it as it is: mdp backtest run SPEC.yaml"
        )
    require_settings(spec.strategy, [*spec.strategy.config, *spec.grid])
    stored = _stored(catalog, spec)
    evidence = gather(catalog, spec, progress)
    about = {
        "bars_fingerprint": evidence.bars_fingerprint,
        "definitions_fingerprint": evidence.definitions_fingerprint,
        "spec_fingerprint": spec.fingerprint(),
        "strategy_fingerprint": _strategy_fingerprint(spec.strategy.path),
        "nautilus_trader": metadata.version("nautilus_trader"),
    }
    folder = output_root.absolute() / f"sweep-{spec.name}-{_short_hash(about)}"
    sweep = Sweep(folder, catalog.root.absolute(), spec, evidence, stored)
    try:
        sweep.runs.mkdir(parents=True, exist_ok=True)
        _forget_abandoned(sweep.runs)
        if not (folder / SWEEP_FILE).is_file():
            _write(folder / SWEEP_FILE, {**_description(sweep), **about})
    except OSError as error:
        raise StorageFailed(f"The folder of the sweep, {folder}, could not be made: {error}.") from error
    return sweep


def run_sweep(sweep: Sweep, processes: int) -> Generator[Combined, None, list[Row]]:
    """Run the combinations that have no result yet, each in a process, and write the table and the map, also when it is closed early.

    A combination that fails is a row with its reason. Result folders are whole or absent.

    Args:
        sweep: From `prepare_sweep`.
        processes: How many at once, at least 1.

    Returns:
        A row for each combination, in the grid's order.

    Raises:
        StorageFailed: If table or map cannot be written.
    """
    rows = sweep.finished()
    combinations = sweep.spec.combinations
    waiting = [i for i in range(len(combinations)) if i not in rows]
    pool = in_processes(partial(_run, sweep), waiting, processes, lambda i: _in_words(combinations[i]))
    done = len(rows)
    try:
        for event in pool:
            if not isinstance(event, Ended):
                continue
            number, done = waiting[event.piece], done + 1
            rows[number] = event.result if event.result is not None else failed_row(combinations[number], event.error)
            yield Combined(number, rows[number], done, len(combinations))
    finally:
        pool.close()
        table = _whole(sweep, rows)
        write_table(sweep.folder, sweep.spec, table)
    return table


def finished_rows(spec: BacktestSpec, runs: Path) -> dict[int, Row]:
    """Return the combinations of a spec's grid that have a result below `runs`, by their number, from 0."""
    wanted = {spec.with_settings(values).fingerprint(): i for i, values in enumerate(spec.combinations)}
    rows = {}
    for result in list_results(runs):
        number = wanted.get(str(result.passport["spec_fingerprint"]))
        if number is not None:
            rows[number] = row_of(spec.combinations[number], result)
    return rows


def run_combination(sweep: Sweep, number: int) -> Row:
    """Run one combination in this process.

    Raises:
        MarketDataError: As `run_backtest` does; BacktestFailed also where the catalog's bars changed since the sweep began.
    """
    values = sweep.spec.combinations[number]

    def confirm() -> None:
        catalog = Catalog.open(sweep.root)
        try:
            now = _stored(catalog, sweep.spec)
        finally:
            catalog.ledger.close()
        if now != sweep.stored:
            raise BacktestFailed(
                "Bars of the range were changed in the catalog while the sweep ran. Run the sweep again; it then stands on the new ones."
            )

    return row_of(values, run_on(sweep.root, sweep.spec.with_settings(values), sweep.evidence, sweep.runs, _silent, confirm).result)


def failed_row(values: Mapping[str, Value], error: Exception | None) -> Row:
    """Return the row of a combination that could not be run."""
    reason = str(error) if isinstance(error, MarketDataError) else f"{type(error).__name__}: {error}"
    return Row(dict(values), FAILED, " ".join(reason.split()), "", {})


def keep_table(sweep: Sweep, failures: Mapping[int, Row]) -> list[Row]:
    """Write table and map of what has run so far; return a row for each combination, in the grid's order."""
    table = _whole(sweep, {**failures, **sweep.finished()})
    write_table(sweep.folder, sweep.spec, table)
    return table


def _run(sweep: Sweep, number: int, _tell: Tell) -> Row:
    return run_combination(sweep, number)


def _whole(sweep: Sweep, rows: Mapping[int, Row]) -> list[Row]:
    return [rows.get(i) or Row.not_run(values) for i, values in enumerate(sweep.spec.combinations)]


def _in_words(values: Mapping[str, Value]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _silent(_message: str) -> None:
    pass


def _stored(catalog: Catalog, spec: BacktestSpec) -> str:
    """Return what the ledger says of the sessions of the range: equal exactly when their bars are. Opens no file of bars."""
    digest = hashlib.blake2b(digest_size=16)
    for series in spec.all_series:
        digest.update(f"{series}\n".encode())
        for facts in catalog.contents(series, spec.start, spec.end):
            digest.update(f"{facts}\n".encode())
    return digest.hexdigest()


def _strategy_fingerprint(path: str) -> str:
    """Return a hash of the file that holds the strategy; what that imports is not in it."""
    found = importlib.util.find_spec(path.partition(":")[0])
    file = Path(found.origin) if found is not None and found.origin else None
    return hashlib.blake2b(file.read_bytes() if file is not None and file.is_file() else b"", digest_size=16).hexdigest()


def _short_hash(content: object) -> str:
    return hashlib.blake2b(json.dumps(content, sort_keys=True).encode(), digest_size=4).hexdigest()


def _description(sweep: Sweep) -> dict[str, object]:
    return {
        "sweep_version": SWEEP_VERSION,
        "name": sweep.spec.name,
        "created_at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "catalog": str(sweep.root),
        "combinations": len(sweep.spec.combinations),
        "bars": sweep.evidence.bars,
        "gap_verdict": "gaps allowed" if sweep.evidence.has_gaps else "complete",
        "python": ".".join(map(str, sys.version_info[:3])),
        "spec": sweep.spec.to_json(),
    }


def _write(path: Path, content: object) -> None:
    handle, temporary = tempfile.mkstemp(prefix=".", dir=path.parent)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    Path(temporary).chmod(0o644)
    os.replace(temporary, path)


def _forget_abandoned(runs: Path) -> None:
    """Remove what killed processes left unfinished; another sweep that runs now has younger folders."""
    for folder in runs.glob(f"{TEMPORARY_PREFIX}*"):
        with suppress(OSError):
            if time.time() - folder.stat().st_mtime > _ABANDONED_AFTER_S:
                shutil.rmtree(folder, ignore_errors=True)
