"""Where the folders and files are that automation looks at."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Places:
    """The folders and files of a project.

    Attributes:
        catalog: The Parquet catalog.
        watchlist: The watchlist, a YAML file.
        specs: Backtest specs, one YAML file each.
        inbox: Where a person puts files to be imported.
        results: Results of backtests.
        strategies: The strategies of a live node, a YAML file; need not exist.
    """

    catalog: Path
    watchlist: Path
    specs: Path
    inbox: Path
    results: Path
    strategies: Path
