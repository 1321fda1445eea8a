"""kill -9 at every step of every use case that writes: nothing is ever half, and the next run makes it whole.

`./dev test --all` kills each at every step and at random moments; a smaller sample, by a seed, runs everywhere.
"""

from __future__ import annotations

import numpy as np
import pytest

from market_data_pipeline_tests.reliability.conftest import Attack
from market_data_pipeline_tests.reliability.use_cases import USE_CASES, UseCase

SEED = 20_240_205
_each = pytest.mark.parametrize("use_case", USE_CASES, ids=str)


@_each
def test_a_use_case_that_is_killed_leaves_whole_sessions_and_ends_the_next_time(attack: Attack, use_case: UseCase) -> None:
    harness = attack(use_case)
    count = len(harness.steps)
    steps = sorted({1, count, *np.random.default_rng(SEED).integers(1, count + 1, 6).tolist()})
    assert harness.kill_at_steps(steps) >= len(steps) - 2
    harness.kill_at_moments(2, SEED)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@_each
def test_a_use_case_that_is_killed_at_every_step_leaves_whole_sessions(attack: Attack, use_case: UseCase) -> None:
    harness = attack(use_case)
    steps = range(1, len(harness.steps) + 1)
    assert harness.kill_at_steps(steps) >= 0.9 * len(steps)
    harness.kill_at_steps(steps[::3], loses_power=True)
    harness.kill_at_moments(10, SEED)
