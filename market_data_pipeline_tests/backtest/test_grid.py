from __future__ import annotations

import pytest

from market_data_pipeline.backtest import BacktestSpec
from market_data_pipeline.domain.errors import ConfigurationError
from market_data_pipeline_tests.backtest.conftest import APPLE


def swept(grid: object, **options: object) -> BacktestSpec:
    return BacktestSpec.of({"name": "grid", "series": [APPLE], "start": "2024-01-02", "end": "2024-01-31", "grid": grid, **options})


def test_all_combinations_the_last_setting_changing_fastest() -> None:
    assert swept({"fast_period": [5, 10], "allow_short": [True, False]}).combinations == (
        {"fast_period": 5, "allow_short": True},
        {"fast_period": 5, "allow_short": False},
        {"fast_period": 10, "allow_short": True},
        {"fast_period": 10, "allow_short": False},
    )


def test_a_combination_is_the_backtest_that_one_would_write_by_hand() -> None:
    """Its name and how it came about do not change its fingerprint."""
    combination = swept({"fast_period": [5, 10]}, strategy={"config": {"slow_period": 20}}).with_settings({"fast_period": 5})
    by_hand = BacktestSpec.of(
        {
            "name": "hand",
            "series": [APPLE],
            "start": "2024-01-02",
            "end": "2024-01-31",
            "strategy": {"config": {"fast_period": 5, "slow_period": 20}},
        }
    )
    assert combination.grid is None
    assert combination.fingerprint() == by_hand.fingerprint()
    assert swept({"fast_period": [5, 10]}).fingerprint() != swept({"fast_period": [5, 11]}).fingerprint()


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ({}, "a grid names settings"),
        ([1], "a grid names settings"),
        ({"fast_period": []}, "fast_period has no values"),
        ({"fast_period": 5}, r"write for example fast_period: \[20, 40\]"),
        ({"fast_period": [5, 5]}, "fast_period has a value twice: 5, 5"),
        ({"fast_period": [[5]]}, "each value of fast_period is a number"),
        ({"fast_period": list(range(1, 52)), "slow_period": list(range(100, 120))}, "51 x 20 values are 1,020 combinations, and a sweep takes 1,000"),
    ],
)
def test_a_grid_that_cannot_be_meant_is_refused(grid: object, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        swept(grid)


def test_a_setting_stands_in_one_place() -> None:
    with pytest.raises(ConfigurationError, match=r"fast_period stands in strategy\.config and in the grid"):
        swept({"fast_period": [5]}, strategy={"config": {"fast_period": 5}})
