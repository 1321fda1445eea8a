"""Catalogs to import into, and to adopt."""

from pathlib import Path

import pytest

from market_data_pipeline_tests.catalog.conftest import catalog, week

__all__ = ["catalog", "week"]


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """Where a foreign catalog goes."""
    return tmp_path / "old"
