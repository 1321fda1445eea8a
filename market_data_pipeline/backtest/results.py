"""Results of backtests that were run: listed by time, read back, never changed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from market_data_pipeline.domain.errors import BacktestError

TEMPORARY_PREFIX = ".running-"
_FILES = ("passport.json", "statistics.json")


@dataclass(frozen=True)
class BacktestResult:
    """A kept backtest.

    Attributes:
        folder: Its folder, whose name is its id.
        passport: On what it stands: fingerprints, sessions, gaps, definitions, versions, seed, spec.
        statistics: What came out.
    """

    folder: Path
    passport: dict[str, Any]
    statistics: dict[str, Any]

    @property
    def id(self) -> str:
        """Its id: `<UTC time>-<name>-<hash>`."""
        return self.folder.name

    @property
    def name(self) -> str:
        """The spec's name."""
        return str(self.passport["name"])

    @property
    def created_at(self) -> str:
        """When it was run, ISO 8601 UTC."""
        return str(self.passport["created_at"])

    @property
    def refused(self) -> dict[str, int]:
        """Orders that were denied or rejected, by reason."""
        return dict(self.statistics["refused"])

    @property
    def tearsheet(self) -> Path:
        """Nautilus' tearsheet, one HTML file."""
        return self.folder / "tearsheet.html"

    @property
    def equity_png(self) -> Path:
        """The picture of the equity curve."""
        return self.folder / "equity.png"


def list_results(root: Path) -> list[BacktestResult]:
    """Return all results below `root`, oldest first. Folders that are no result are passed over."""
    if not root.is_dir():
        return []
    folders = sorted(folder for folder in root.iterdir() if not folder.name.startswith(".") and all((folder / name).is_file() for name in _FILES))
    return [load_result(folder) for folder in folders]


def find_result(root: Path, wanted: str) -> BacktestResult:
    """Return the result whose id starts with `wanted`, or else the newest of that name.

    Raises:
        BacktestError: If there is none, or several ids start so.
    """
    results = list_results(root)
    by_id = [result for result in results if result.id == wanted] or [result for result in results if result.id.startswith(wanted)]
    if len(by_id) > 1:
        raise BacktestError(f"{len(by_id)} results start with {wanted!r}: {', '.join(result.id for result in by_id)}. Write more of the id.")
    found = by_id or [result for result in results if result.name == wanted][-1:]
    if not found:
        raise BacktestError(f"There is no result {wanted!r} in {root}. List them: mdp backtest list")
    return found[0]


def load_result(folder: Path) -> BacktestResult:
    """Return the result in a folder.

    Raises:
        BacktestError: If it is none.
    """
    try:
        passport, statistics = (json.loads((folder / name).read_bytes()) for name in _FILES)
    except (OSError, ValueError) as error:
        raise BacktestError(f"{folder} holds no readable backtest result: {error}. List them: mdp backtest list") from None
    return BacktestResult(folder, passport, statistics)
