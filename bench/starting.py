"""(g) How long the command line takes to answer."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from bench.lines import Line, best_of, within
from bench.made import sessions, stored


def measure(folder: Path) -> Iterator[Line]:
    """Start `mdp --help`, and `mdp check` on five years of one series, as processes."""
    stored(folder / "catalog", sessions()).ledger.close()
    mdp = [str(Path(sys.executable).with_name("mdp"))]
    yield within("mdp --help", best_of(9, lambda: _run([*mdp, "--help"])), 0.150)
    yield within(
        "mdp check AAPL.NASDAQ, 1,258 sessions", best_of(9, lambda: _run([*mdp, "check", "AAPL.NASDAQ", "--catalog", str(folder / "catalog")])), 0.400
    )


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True)
