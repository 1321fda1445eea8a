"""One market for all tests: it keeps nothing between questions."""

from __future__ import annotations

import pytest

from market_data_pipeline.gateway_simulator.market import Market


@pytest.fixture(scope="session")
def market() -> Market:
    return Market.standard(seed=1)
