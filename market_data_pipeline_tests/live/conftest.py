"""Gateways and catalogs that the tests of warm-up share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from market_data_pipeline.catalog import Catalog
from market_data_pipeline.sources.ibkr import IbkrGateway
from market_data_pipeline_tests.gateway import RunningGateway
from market_data_pipeline_tests.live.warming_up import simulated

Simulated = tuple[RunningGateway, IbkrGateway]


@pytest.fixture(scope="module")
def at_eleven(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulated]:
    """A gateway where it is 11:00:30 in New York on Thursday, 11 January 2024."""
    with simulated(tmp_path_factory.mktemp("eleven")) as both:
        yield both


@pytest.fixture(scope="module")
def long_after(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IbkrGateway]:
    """A gateway of the same market on Friday evening, 2 February 2024."""
    with simulated(tmp_path_factory.mktemp("after"), now="2024-02-02T23:30:00Z") as (_, gateway):
        yield gateway


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    """A catalog whose folder does not exist yet."""
    return Catalog.open(tmp_path / "catalog")
