"""One gateway for the tests of a module: after the close of Monday 2024-06-03, New York."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from market_data_pipeline_tests.gateway import RunningGateway, start_gateway

MONDAY_EVENING = "2024-06-03T20:30Z"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A gateway whose rules are counted and not enforced. Tests of it send orders too, to see them refused."""
    with start_gateway(tmp_path_factory.mktemp("gateway"), "--now", MONDAY_EVENING, "--no-pacing", takes_orders=True) as running:
        yield running
