"""A pacing table of a test's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from market_data_pipeline.pacing import PacingTable
from market_data_pipeline.pacing.database import SqliteDatabase
from market_data_pipeline_tests.pacing.set_clock import FEW, SetClock


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "state" / "pacing.sqlite"


@pytest.fixture
def table(place: Path, clock: SetClock) -> Iterator[PacingTable]:
    with PacingTable(SqliteDatabase(place, clock), FEW) as table:
        yield table
