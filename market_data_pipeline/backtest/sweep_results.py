"""Sweeps that were run, or begun: listed, and read back."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from market_data_pipeline.backtest.results import TEMPORARY_PREFIX, BacktestResult, find_result, list_results, load_result
from market_data_pipeline.backtest.spec import BacktestSpec
from market_data_pipeline.backtest.sweep import SWEEP_FILE, finished_rows
from market_data_pipeline.backtest.sweep_table import FINISHED, MAP, TABLE, Row, best_first, read_rows
from market_data_pipeline.domain.errors import BacktestError


@dataclass(frozen=True)
class KeptSweep:
    """A sweep on disk.

    Attributes:
        folder: Its folder, whose name is its id.
        about: What is swept, on which bars.
        rows: A row for each combination, in the grid's order.
    """

    folder: Path
    about: dict[str, Any]
    rows: tuple[Row, ...]

    @property
    def id(self) -> str:
        """Its id: `sweep-<name>-<hash>`."""
        return self.folder.name

    @property
    def name(self) -> str:
        """The spec's name."""
        return str(self.about["name"])

    @property
    def created_at(self) -> str:
        """When it was begun, ISO 8601 UTC."""
        return str(self.about["created_at"])

    @property
    def outcomes(self) -> Counter[str]:
        """How many combinations are `finished`, `failed`, `not run`."""
        return Counter(row.outcome for row in self.rows)

    @property
    def best(self) -> Row | None:
        """The combination with the highest change of equity; None where none has finished."""
        finished = [row for row in self.rows if row.outcome == FINISHED]
        return best_first(finished)[0] if finished else None

    @property
    def map_png(self) -> Path:
        """The picture."""
        return self.folder / MAP

    @property
    def table(self) -> Path:
        """The table as Parquet."""
        return self.folder / TABLE


def list_sweeps(root: Path) -> list[KeptSweep]:
    """Return all sweeps below `root`, oldest first."""
    if not root.is_dir():
        return []
    found = [load_sweep(folder) for folder in root.iterdir() if folder.name.startswith("sweep-") and (folder / SWEEP_FILE).is_file()]
    return sorted(found, key=lambda one: (one.created_at, one.id))


def load_sweep(folder: Path) -> KeptSweep:
    """Return the sweep in a folder.

    Raises:
        BacktestError: If it is none.
    """
    try:
        about = json.loads((folder / SWEEP_FILE).read_bytes())
        rows = _rows(folder, about["spec"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BacktestError(f"{folder} holds no readable sweep: {error}. List them: mdp backtest list") from None
    return KeptSweep(folder, about, tuple(rows))


def _rows(folder: Path, described: dict[str, Any]) -> list[Row]:
    """Return the rows of the table; where the sweep was killed before it wrote it, results that are there count instead."""
    table = read_rows(folder, [*described["grid"]]) if (folder / TABLE).is_file() else []
    results = sum(one.is_dir() and not one.name.startswith(TEMPORARY_PREFIX) for one in (folder / "runs").iterdir())
    if table and results == sum(row.outcome == FINISHED for row in table):
        return table
    spec = BacktestSpec.model_validate(described)
    finished = finished_rows(spec, folder / "runs")
    before = table or [Row.not_run(values) for values in spec.combinations]
    return [finished.get(i, row) for i, row in enumerate(before)]


def find_kept(root: Path, wanted: str) -> BacktestResult | KeptSweep:
    """Return the backtest or sweep whose id is or starts with `wanted`; the backtest of one combination, by its id; or else the newest of that name.

    Raises:
        BacktestError: If there is none, or several ids start so.
    """
    sweeps = list_sweeps(root)
    by_id = [one for one in sweeps if one.id == wanted] or [one for one in sweeps if one.id.startswith(wanted)]
    if len(by_id) > 1:
        raise BacktestError(f"{len(by_id)} sweeps start with {wanted!r}: {', '.join(one.id for one in by_id)}. Write more of the id.")
    named = by_id or [one for one in sweeps if one.name == wanted][-1:]
    combination = next((folder for one in sweeps if (folder := one.folder / "runs" / wanted).is_dir() and "/" not in wanted), None)
    if combination is not None:
        return load_result(combination)
    if not named:
        return find_result(root, wanted)
    singles = [one for one in list_results(root) if one.name == wanted] if not by_id else []
    return singles[-1] if singles and singles[-1].created_at > named[0].created_at else named[0]
