"""Says each figure as soon as it is there: a whole run takes minutes."""

from __future__ import annotations

import sys

from bench.report import as_text
from bench.size.steps import Step, step


class Figures:
    """Where figures are said.

    Args:
        what: Named before each.
    """

    def __init__(self, what: str) -> None:
        self._what = what

    def tell(self, work: str, seconds: float, note: str = "") -> None:
        """Say a figure on standard error."""
        print(f"  {self._what}: {work}: {as_text(seconds)} {note}".rstrip(), file=sys.stderr, flush=True)


def telling_step(said: Figures, work: str, name: str, *arguments: object) -> Step:
    """Run a step in a process of its own, and say what it took."""
    done = step(name, *arguments)
    said.tell(work, done.seconds, f"({done.spent.memory})")
    return done
