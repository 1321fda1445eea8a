"""(g) How long the command line takes to answer."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from bench.lines import Line, best_of, within
from bench.made import SERIES, sessions, stored

# What a script of a few lines does with Nautilus alone: which spans the names of a series' files cover.
_SPANS = """
import sys
from nautilus_trader.model.data import Bar
from nautilus_trader.persistence.catalog import ParquetDataCatalog
print(len(ParquetDataCatalog(sys.argv[1]).get_intervals(Bar, sys.argv[2])))
"""


def measure(folder: Path) -> Iterator[Line]:
    """Start `mdp --help`, and `mdp check` on five years of one series, as processes; the peers likewise."""
    stored(folder / "catalog", sessions()).ledger.close()
    root = str(folder / "catalog")
    mdp, dagster = (str(Path(sys.executable).with_name(name)) for name in ("mdp", "dagster"))
    help_s, their_help_s = _in_turns([mdp, "--help"], [dagster, "--help"])
    yield within("mdp --help", help_s, 0.150, peer="dagster --help", peer_s=their_help_s)
    check_s, spans_s = _in_turns([mdp, "check", "AAPL.NASDAQ", "--catalog", root], [sys.executable, "-c", _SPANS, root, SERIES.bar_type])
    note = "the peer knows what names of files cover: no calendar, no gap, no count"
    yield within("mdp check AAPL.NASDAQ, 1,258 sessions", check_s, 0.400, note, "a script: ParquetDataCatalog.get_intervals", spans_s)


def _in_turns(ours: list[str], theirs: list[str]) -> tuple[float, float]:
    """Return the seconds of the fastest of some rounds of each, in turns: a busy machine is busy for both."""
    seconds = [float("inf"), float("inf")]
    for _ in range(9):
        for i, command in enumerate((ours, theirs)):
            seconds[i] = min(seconds[i], best_of(1, lambda: _run(command)))  # noqa: B023 - called at once
    return seconds[0], seconds[1]


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True)
