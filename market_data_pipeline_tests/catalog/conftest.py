"""What tests of the catalog share."""

from __future__ import annotations

from pathlib import Path

import pytest

from market_data_pipeline.catalog import Catalog
from market_data_pipeline_tests.catalog.bar_making import store_week


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    """A catalog whose folder does not exist yet."""
    return Catalog.open(tmp_path / "catalog")


@pytest.fixture
def week(tmp_path: Path) -> Catalog:
    """AAPL in minutes, 5 to 9 February 2024, five whole sessions of 390 bars."""
    return store_week(tmp_path / "week")
