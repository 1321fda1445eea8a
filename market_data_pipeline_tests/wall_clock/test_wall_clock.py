from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
from pathlib import Path

import pytest

from market_data_pipeline_tests.wall_clock import WallClock

THANKSGIVING = dt.datetime(2024, 11, 28, 17, tzinfo=dt.UTC)
_PROGRAM = """
import subprocess, sys, threading, time
started = time.monotonic()
print(int(time.time()), flush=True)
time.sleep(0.2)
threading.Event().wait(0.2)
subprocess.run(["sleep", "0.1"], timeout=10)
input()
print(int(time.time()), flush=True)
print(subprocess.run(["date", "+%s"], capture_output=True, text=True).stdout.strip(), flush=True)
print(time.monotonic() - started)
"""


def test_a_process_and_its_children_see_a_jump_at_once_and_wait_as_long_as_ever(tmp_path: Path) -> None:
    if WallClock.installed() is None:
        pytest.skip("no libfaketime (apt install faketime)")
    clock = WallClock(tmp_path, THANKSGIVING)
    environment = {**os.environ, **clock.environment}
    with subprocess.Popen([sys.executable, "-c", _PROGRAM], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        first = int(process.stdout.readline())
        clock.set(THANKSGIVING + dt.timedelta(days=3))
        process.stdin.write("\n")
        process.stdin.flush()
        second, of_child, took = (float(process.stdout.readline()) for _ in range(3))
    start = THANKSGIVING.timestamp()
    assert 0 <= first - start < 30
    assert 0 <= second - start - 3 * 86_400 < 30
    assert 0 <= of_child - second < 30
    assert 0.5 <= took < 60
    assert abs((clock.now() - THANKSGIVING).total_seconds() - 3 * 86_400) < 60
