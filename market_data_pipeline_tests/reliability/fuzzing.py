"""Gives a command of `mdp` made input, and says what is wrong with how it ends."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from market_data_pipeline_tests import tally
from market_data_pipeline_tests.reliability.crash_harness import Crashing

LIMIT_S = 60
"""More than any of these commands takes on a loaded machine; they take less than a second."""
MEMORY = 1 << 30
"""Bytes that a command may take beyond what a process that has imported everything takes. Arrow alone reserves half of that."""
_MISSED = ("Traceback", "This is a fault of mdp")


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    said: str


class Fuzz:
    """Runs commands in processes of their own, in a fresh copy of a folder.

    Args:
        crashing: The program that runs them.
        prepared: What stands in the folder before.
        environment: Variables beside those of this process.
    """

    def __init__(self, crashing: Crashing, prepared: Path, environment: Mapping[str, str] | None = None) -> None:
        self._crashing, self._prepared, self._environment = crashing, prepared, dict(environment or {})
        self.folder = prepared.with_name("fuzzed")

    def run(self, command: Sequence[str], files: Mapping[str, bytes] | None = None) -> Ended:
        """Run a command with these files in its folder; it must end by itself, in one clear message.

        Exit codes 0 to 3 are answers. Anything else is a fault: a traceback, a signal (a hang ends with 14, an abort with 6).
        """
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.copytree(self._prepared, self.folder)
        for name, content in (files or {}).items():
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / name).write_bytes(content)
        return self.again(command, files)

    def again(self, command: Sequence[str], files: Mapping[str, bytes] | None = None) -> Ended:
        """Run a command where the one before has run."""
        (self.folder / "said.txt").unlink(missing_ok=True)
        told = self._crashing.ask(folder=str(self.folder), command=[*command], environment=self._environment, limit_s=LIMIT_S, memory=MEMORY)
        ended = Ended(told["code"], told["said"])
        tally.count("fuzz cases")
        assert ended.code in (0, 1, 2, 3), f"{command} ended with {ended.code}: {ended.said[-2_000:]}\n{_shown(files)}"
        for words in _MISSED:
            assert words not in ended.said, f"{command}: {ended.said[-2_000:]}\n{_crash_log(self.folder)}\n{_shown(files)}"
        assert ended.code == 0 or ended.said.strip(), f"{command} ended with {ended.code} and said nothing\n{_shown(files)}"
        return ended


def _shown(files: Mapping[str, bytes] | None) -> str:
    return "\n".join(f"{name}: {content[:1_500]!r}" for name, content in (files or {}).items())


def _crash_log(folder: Path) -> str:
    logs = sorted((folder / "state").rglob("*.log")) + sorted((folder / "state").rglob("*.txt"))
    return logs[-1].read_text(encoding="utf-8", errors="replace")[-3_000:] if logs else ""
