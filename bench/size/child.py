"""Runs a program as a process of its own, and returns what it spent: its peak of memory is its own only there."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

# A process is born with its parent's peak on Linux, so a small interpreter stands between: the figures' floor is its 10 MB.
_BETWEEN = """
import json, os, resource, subprocess, sys, time
started = time.perf_counter()
done = subprocess.run(sys.argv[1:], check=False)
wall = time.perf_counter() - started
spent = resource.getrusage(resource.RUSAGE_CHILDREN)
peak = spent.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
print("\\n" + json.dumps([done.returncode, wall, spent.ru_utime + spent.ru_stime, peak]))
"""


@dataclass(frozen=True)
class Spent:
    """What a process took.

    Attributes:
        wall_s: Seconds from its start to its exit.
        cpu_s: Seconds of all its threads.
        peak: Bytes of memory at its fullest.
        output: What it printed.
    """

    wall_s: float
    cpu_s: float
    peak: int
    output: str

    @property
    def memory(self) -> str:
        """The peak as a person reads it."""
        return f"{self.peak / 1e6:,.0f} MB"


def run(command: Sequence[str]) -> Spent:
    """Run a command to its end; what it says on its standard error is shown only where it fails.

    Raises:
        RuntimeError: If it fails, with its last words.
    """
    with tempfile.TemporaryFile("w+") as errors:
        done = subprocess.run([sys.executable, "-I", "-S", "-c", _BETWEEN, *command], stdout=subprocess.PIPE, stderr=errors, text=True, check=False)
        errors.seek(0)
        words = errors.read()
    output, _, last = done.stdout.rstrip("\n").rpartition("\n")
    if done.returncode:
        raise RuntimeError(f"{command}: {words[-2_000:]}")
    code, wall_s, cpu_s, peak = json.loads(last)
    if code:
        raise RuntimeError(f"{command} ended with {code}: {words[-2_000:]}")
    return Spent(wall_s, cpu_s, peak, output.rstrip("\n"))


def python(program: str, *arguments: str) -> Spent:
    """Run a program text."""
    return run([sys.executable, "-W", "ignore", "-c", program, *arguments])


def mdp(*arguments: str) -> Spent:
    """Run the command line of this environment."""
    return run([str(Path(sys.executable).with_name("mdp")), *arguments])
