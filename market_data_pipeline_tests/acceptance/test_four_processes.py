from __future__ import annotations

from pathlib import Path

import pytest

from market_data_pipeline_tests.acceptance.four_processes import run_four_processes


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_four_processes_of_which_one_is_killed_break_no_rule_and_lose_no_session(tmp_path: Path) -> None:
    """Two `mdp load` and two Dagster runs of 110 sessions each, 60 requests a window: the rate is told by `./dev bench k`, as it depends on load."""
    seen = run_four_processes(tmp_path)
    assert seen.breaches == 0
    assert seen.requests >= 4 * 110
    assert set(seen.complete.values()) == {110}
    assert 1 <= seen.killed_after < 110
