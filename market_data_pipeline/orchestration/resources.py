"""What assets are given: the catalog, and where results go."""

from __future__ import annotations

import os
from pathlib import Path

import dagster as dg

from market_data_pipeline.catalog import Catalog

# The folder that holds `market_data_pipeline/`: data/, config/ and backtests/ lie beside it.
PROJECT = Path(__file__).resolve().parents[2]


def place(variable: str, default: str) -> Path:
    """Return the path that an environment variable names, or `default` below the project's folder."""
    return Path(os.environ.get(variable) or PROJECT / default)


class CatalogResource(dg.ConfigurableResource[Catalog]):
    """The Parquet catalog. Nothing is opened or made before an asset asks for it.

    Attributes:
        path: Folder of the catalog; the environment variable MDP_CATALOG, else data/catalog.
    """

    path: str

    def open(self) -> Catalog:
        """Return the catalog."""
        return Catalog.open(self.path)


class BacktestResults(dg.ConfigurableResource[Path]):
    """Where backtests leave their results.

    Attributes:
        path: Folder; the environment variable MDP_BACKTESTS, else data/backtests.
    """

    path: str

    @property
    def folder(self) -> Path:
        """Return the folder."""
        return Path(self.path)
