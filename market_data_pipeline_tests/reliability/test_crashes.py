"""kill -9 at every step of every use case that writes: nothing is ever half, and the next run makes it whole.

`./dev test --all` kills each at every step and at random moments; a smaller sample, by a seed, runs everywhere.
"""

from __future__ import annotations

import errno

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
    steps = sorted({count, int(np.random.default_rng(SEED).integers(1, count + 1))})
    assert harness.kill_at_steps(steps) >= 1  # a run beside a gateway may take fewer steps than the one before
    harness.kill_at_moments(1, SEED)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@_each
def test_a_use_case_that_is_killed_at_every_step_leaves_whole_sessions(attack: Attack, use_case: UseCase) -> None:
    harness = attack(use_case)
    steps = range(1, len(harness.steps) + 1)
    assert harness.kill_at_steps(steps) >= 0.9 * len(steps)
    harness.kill_at_steps(steps[::5], loses_power=True)
    harness.kill_at_moments(10, SEED)


_refusals = pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EIO], ids=errno.errorcode.get)


@pytest.mark.parametrize("use_case", [one for one in USE_CASES if one.name in ("import", "refresh")], ids=str)
def test_a_disk_that_is_full_in_the_middle_is_told_and_nothing_is_lost(attack: Attack, use_case: UseCase) -> None:
    """From a step on, everything of its kind is refused: the rest of the run meets it too."""
    harness = attack(use_case)
    writing = [number for number, name in enumerate(harness.steps, 1) if not name.startswith("SQL")]
    steps = sorted({writing[0], *np.random.default_rng(SEED).choice(writing, 3).tolist()})
    assert harness.fail_at_steps(steps, errno.ENOSPC) >= 1


@pytest.mark.slow
@pytest.mark.timeout(3600)
@_refusals
@_each
def test_whatever_step_the_system_refuses_is_told_and_nothing_is_lost(attack: Attack, use_case: UseCase, number: int) -> None:
    harness = attack(use_case)
    writing = [step for step, name in enumerate(harness.steps, 1) if not name.startswith("SQL")]
    chosen = np.random.default_rng([SEED, number]).permutation(writing)[:12].tolist()
    assert harness.fail_at_steps(sorted(chosen), number) >= len(chosen) // 4
