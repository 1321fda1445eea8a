from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from market_data_pipeline.backtest import BacktestOutcome, BacktestSpec, run_backtest
from market_data_pipeline.catalog import Catalog
from market_data_pipeline_tests.backtest.made_bars import opened, walk

APPLE = "AAPL.NASDAQ-15-MINUTE-LAST-EXTERNAL"
MICROSOFT = "MSFT.NASDAQ-15-MINUTE-LAST-EXTERNAL"
EURO = "EUR/USD.IDEALPRO-15-MINUTE-MID-EXTERNAL"
HOLES = "AAPL.NASDAQ-5-MINUTE-LAST-EXTERNAL"

Run = Callable[..., BacktestOutcome]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalog: January 2024 of Apple, Microsoft and the euro, and Apple's 5 minutes without the sessions of 8, 9 and 17 January."""
    root = tmp_path_factory.mktemp("backtests") / "catalog"
    walk(root, APPLE, "2024-01-02", "2024-01-31")
    walk(root, MICROSOFT, "2024-01-02", "2024-01-31", seed=2)
    walk(root, EURO, "2024-01-02", "2024-01-31", seed=3, price=110_000)
    walk(root, HOLES, "2024-01-02", "2024-01-31", seed=4, without=("2024-01-08", "2024-01-09", "2024-01-17"))
    return root


@pytest.fixture
def catalog(root: Path) -> Iterator[Catalog]:
    with opened(root) as catalog:
        yield catalog


def spec(*series: str, **options: object) -> BacktestSpec:
    """A crossover of 5 and 20 bars over January 2024, unless told otherwise."""
    quick = {"config": {"fast_period": 5, "slow_period": 20}}
    return BacktestSpec.of({"name": "cross", "strategy": quick, "series": list(series), "start": "2024-01-02", "end": "2024-01-31", **options})


@pytest.fixture
def run(catalog: Catalog, tmp_path: Path) -> Run:
    """Run a spec into this test's own folder."""

    def run(*series: str, **options: object) -> BacktestOutcome:
        return run_backtest(catalog, spec(*series, **options), tmp_path / "results")

    return run
