"""Counts of what the tests did to the project, summed over all workers and printed at the end of a run.

A test says `tally.count("kills", 12)`; examples of hypothesis may say it too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import pytest

KINDS = ("kills", "power cuts", "faults", "fuzz cases", "soak requests")
"""What is counted: processes that ended by SIGKILL, kills that also lost what was not synced, faults, made inputs, requests of a soak run."""

_PROPERTY = "tally"
_counts: Counter[str] = Counter()


def count(kind: str, number: int = 1) -> None:
    """Add to a count of the test that runs.

    Raises:
        ValueError: If nobody would print it.
    """
    if kind not in KINDS:
        raise ValueError(f"{kind!r} is none of {', '.join(KINDS)}")
    _counts[kind] += number


def begin() -> None:
    """Forget what the test before counted."""
    _counts.clear()


def hand_over(item: pytest.Item) -> None:
    """Give the counts of a test to its report, which travels from a worker to the process that prints."""
    if _counts:
        item.user_properties.append((_PROPERTY, dict(_counts)))
        _counts.clear()


def total(reports: Iterable[pytest.TestReport]) -> dict[str, int]:
    """Return the sums over the reports of tests, in the order of `KINDS`; kinds of which there were none are left out."""
    sums: Counter[str] = Counter()
    for report in reports:
        for name, value in report.user_properties:
            if name == _PROPERTY and isinstance(value, dict):
                sums.update(value)
    return {kind: sums[kind] for kind in KINDS if sums[kind]}


def lines(passed: dict[str, int], failed: dict[str, int]) -> list[str]:
    """Return what is printed: a line a kind, and what was counted in tests that failed."""
    kinds = [kind for kind in KINDS if kind in passed or kind in failed]
    return [
        f"{kind}: {passed.get(kind, 0) + failed.get(kind, 0):,}" + (f" ({failed[kind]:,} of them in tests that failed)" if kind in failed else "")
        for kind in kinds
    ]
