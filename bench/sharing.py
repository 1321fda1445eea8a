"""(k) Four processes share one account: two `mdp load`, two Dagster runs, one of them killed with -9, at a simulated gateway."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bench.lines import Line
from market_data_pipeline_tests.acceptance.four_processes import LIMIT, WINDOW_S, run_four_processes

_GOAL = 0.97


def measure(folder: Path) -> Iterator[Line]:
    """Load 440 sessions by minute bars, a request each, against a limit of 60 in five seconds instead of ten minutes."""
    seen = run_four_processes(folder)
    note = f"{seen.requests} requests, {seen.breaches} breaches by the gateway's own count, {seen.rate:.1%} of the allowed rate"
    yield Line(
        f"61 requests of four processes, one of them killed; {LIMIT} may come in {WINDOW_S:g} s",
        WINDOW_S / seen.rate,
        "the window that the gateway enforces",
        WINDOW_S,
        f"no breach, {_GOAL:.0%} of the allowed rate",
        seen.breaches == 0 and seen.rate >= _GOAL,
        note,
    )
