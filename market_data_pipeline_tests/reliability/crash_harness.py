"""Kills a use case at many points, and holds what each leaves against an unbroken run."""

from __future__ import annotations

import errno
import json
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from market_data_pipeline_tests import tally
from market_data_pipeline_tests.reliability.judging import require_same, require_whole, state_of
from market_data_pipeline_tests.reliability.use_cases import CATALOG, Surroundings, UseCase

REPOSITORY = Path(__file__).parents[2]


class Crashing:
    """The program that runs commands in processes of their own. See `crashing`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, **job: Any) -> dict[str, Any]:
        """Have a job done."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"the program of crashes ended with {self._process.wait()}"
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextmanager
def start_crashing() -> Iterator[Crashing]:
    """Start the program; it ends with the block."""
    # The libraries' idle threads do not matter to a child that is about to be killed.
    command = [sys.executable, "-W", "ignore:This process:DeprecationWarning", "-m", "market_data_pipeline_tests.reliability.crashing"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY) as process:
        try:
            yield Crashing(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()


class CrashHarness:
    """One use case in one folder. An unbroken run is made first; it says which steps there are and how long they take.

    Args:
        crashing: The program that runs it.
        use_case: What is killed.
        folder: Where its runs go, each in a folder of its own.
        surroundings: What it needs.
        environment: Variables beside those of this process.

    Attributes:
        steps: Names of the steps of an unbroken run, in order.
        seconds: How long it takes.
    """

    def __init__(self, crashing: Crashing, use_case: UseCase, folder: Path, surroundings: Surroundings, environment: dict[str, str]) -> None:
        self._crashing, self._use_case, self._folder, self._environment = crashing, use_case, folder, environment
        self._prepared = folder / "prepared"
        self._prepared.mkdir(parents=True)
        use_case.prepare(self._prepared, surroundings)
        unbroken = self._copy("unbroken")
        ended = self._run(unbroken)
        assert ended["code"] == 0, _said(unbroken)
        self.steps: list[str] = ended["steps"]
        self.seconds: float = ended["seconds"]
        self._before = state_of(self._copy("before"), use_case)
        self._seen = self._nautilus_reads(unbroken)
        self._after = state_of(unbroken, use_case)

    def kill_at_steps(self, steps: Iterable[int], *, loses_power: bool = False) -> int:
        """End the process at each of these steps, counted from 1; return how many ended so."""
        return sum(self._kill(f"step-{step}{'-power' * loses_power}", step=step, loses_power=loses_power) for step in steps)

    def kill_at_moments(self, count: int, seed: int) -> int:
        """End the process at so many random moments of its run; return how many it had not come to its end at."""
        moments = np.random.default_rng(seed).uniform(0.0, self.seconds, count)
        return sum(self._kill(f"moment-{i}", after_s=float(moment)) for i, moment in enumerate(moments))

    def fail_at_steps(self, steps: Iterable[int], number: int) -> int:
        """Let the system refuse each of these steps; return how often the command then ended with one clear message."""
        refused = 0
        for step in steps:
            folder = self._copy(f"step-{step}-{errno.errorcode[number]}")
            code = self._run(folder, step=step, fails=number)["code"]
            said = _said(folder)
            assert code in (0, 1), f"{folder.name} ended with {code}: {said}"
            assert "Traceback" not in said, f"{folder.name}: {said}"
            assert "This is a fault of mdp" not in said, f"{folder.name}: {said}"
            assert code == 0 or said.strip(), folder.name
            self._require_mended(folder)
            refused += code == 1
            tally.count("faults")
        return refused

    def _kill(self, name: str, **where: Any) -> bool:
        folder = self._copy(name)
        code = self._run(folder, **where)["code"]
        assert code in (-9, 0), f"{name} ended with {code}: {_said(folder)}"
        self._require_mended(folder)
        if code == -9:
            tally.count("power cuts" if where.get("loses_power") else "kills")
        return bool(code == -9)

    def _require_mended(self, folder: Path) -> None:
        """Make sure that what was left is whole, and that the next run makes of it what an unbroken run makes."""
        name = folder.name
        if not self._use_case.starts_damaged:
            self._nautilus_reads(folder)
        require_whole(folder, self._use_case, self._before, self._after)
        again = self._run(folder)["code"]
        assert again == 0, f"the run after {name} ended with {again}: {_said(folder)}"
        assert self._nautilus_reads(folder) == self._seen, name
        require_same(folder, self._use_case, self._after)
        shutil.rmtree(folder)

    def _copy(self, name: str) -> Path:
        return Path(shutil.copytree(self._prepared, self._folder / name))

    def _run(self, folder: Path, **where: Any) -> dict[str, Any]:
        return self._crashing.ask(folder=str(folder), command=self._use_case.words, environment=self._environment, **where)

    def _nautilus_reads(self, folder: Path) -> dict[str, Any]:
        """Let Nautilus read the catalog in a process of its own, for a bad file aborts it; return what it saw."""
        told = self._crashing.ask(read=str(folder / CATALOG))
        assert told["code"] == 0, f"Nautilus ended with {told['code']} at what {folder.name} left"
        seen: dict[str, Any] = told["seen"]
        for name, (count, closes, in_order, _) in seen["bars"].items():
            assert (count, in_order) == (closes, True), f"Nautilus reads bars of {name} twice or out of order after {folder.name}"
        return seen


def _said(folder: Path) -> str:
    file = folder / "said.txt"
    return file.read_text(encoding="utf-8", errors="replace")[-3_000:] if file.exists() else ""
