"""Sweeps that were run, or begun: listed, and read back."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from market_data_pipeline.backtest.results import BacktestResult, list_results
from market_data_pipeline.backtest.sweep import SWEEP_FILE
from market_data_pipeline.backtest.sweep_table import FINISHED, MAP, TABLE, Row, best_first, read_rows
from market_data_pipeline.domain.errors import BacktestError


@dataclass(frozen=True)
class KeptSweep:
    """A sweep on disk.

    Attributes:
        folder: Its folder, whose name is its id.
        about: What is swept, on which bars.
        rows: A row for each combination; none where it was killed before it wrote its table.
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
        found = Counter(row.outcome for row in self.rows)
        return found or Counter({"not run": int(self.about["combinations"])})

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
        rows = read_rows(folder, [*about["spec"]["grid"]]) if (folder / TABLE).is_file() else []
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BacktestError(f"{folder} holds no readable sweep: {error}. List them: mdp backtest list") from None
    return KeptSweep(folder, about, tuple(rows))


def find_sweep(root: Path, wanted: str) -> KeptSweep | None:
    """Return the sweep whose id starts with `wanted`, or else the newest of that name; None if there is none.

    Raises:
        BacktestError: If several ids start so.
    """
    sweeps = list_sweeps(root)
    by_id = [one for one in sweeps if one.id == wanted] or [one for one in sweeps if one.id.startswith(wanted)]
    if len(by_id) > 1:
        raise BacktestError(f"{len(by_id)} sweeps start with {wanted!r}: {', '.join(one.id for one in by_id)}. Write more of the id.")
    return next(iter(by_id), None) or next(iter([one for one in reversed(sweeps) if one.name == wanted]), None)


def find_run_of_a_sweep(root: Path, wanted: str) -> BacktestResult | None:
    """Return the result of one combination by its whole id; None if no sweep has it."""
    for sweep in list_sweeps(root):
        for result in list_results(sweep.folder / "runs"):
            if result.id == wanted:
                return result
    return None
