"""A clock that several processes share and that runs faster: what passes in a minute for them passes in a second for the test.

Unlike `WallClock` it takes the monotonic clock along: sleeps, timeouts and timers of asyncio and of Nautilus are shorter too.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_PRELOADED = Path(__file__).parent / "preloaded"
_VARIABLES = ("LD_PRELOAD", "FAKETIME", "FAKETIME_SHARED")
_HOLDS = "import json, os; print(json.dumps(dict(os.environ)), flush=True); input()"


@dataclass(frozen=True)
class RunningClock:
    """A running clock.

    Attributes:
        at: What it showed when it was started, in UTC.
        speed: Its seconds in one of ours.
        environment: Variables of the processes that go by it. Their `threading` waits with a timeout (`Event.wait(5)`) last `speed` times longer than
            they should: libfaketime 0.9.10 leaves their condition variables at real speed.
        started: Our monotonic time at `at`, about.
    """

    at: dt.datetime
    speed: float
    environment: dict[str, str]
    started: float

    @staticmethod
    def installed() -> bool:
        """Return whether Debian's `faketime` is there (apt install faketime)."""
        return shutil.which("faketime") is not None

    def now(self) -> dt.datetime:
        """Return what it shows, to about a second of ours."""
        return self.at + dt.timedelta(seconds=(time.monotonic() - self.started) * self.speed)


@contextmanager
def run_clock(at: dt.datetime, speed: float) -> Iterator[RunningClock]:
    """Let a clock run from a moment until the block ends; processes started with its environment all see the same time.

    Args:
        at: What it shows first; with a zone.
        speed: Its seconds in one of ours.
    """
    moment = at.astimezone(dt.UTC)
    command = ["faketime", "-f", f"@{moment:%Y-%m-%d %H:%M:%S} x{speed:g}", sys.executable, "-c", _HOLDS]
    # The first process fixes when the clock began, for all that share its memory; it lives as long as they do.
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "TZ": "UTC"}) as holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        try:
            told = json.loads(holder.stdout.readline())
            environment = {name: told[name] for name in _VARIABLES} | {
                # Times of files are compared with each other.
                "NO_FAKE_STAT": "1",
                "TZ": "UTC",
                "PYTHONPATH": os.pathsep.join(filter(None, (str(_PRELOADED), os.environ.get("PYTHONPATH")))),
            }
            yield RunningClock(moment, speed, environment, time.monotonic())
        finally:
            holder.stdin.write("\n")
            holder.stdin.close()
            holder.wait(30)
