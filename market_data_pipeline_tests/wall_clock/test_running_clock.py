from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
import time

import pytest

from market_data_pipeline_tests.wall_clock import RunningClock, run_clock

_MONDAY = dt.datetime(2024, 6, 3, 14, tzinfo=dt.UTC)
_PROGRAM = """
import asyncio, json, time
from nautilus_trader.common.component import LiveClock
clock = LiveClock()
async def main():
    before = time.time(), clock.timestamp_ns() / 1e9
    await asyncio.sleep(60)
    print(json.dumps([*before, time.time(), clock.timestamp_ns() / 1e9]))
asyncio.run(main())
"""


def _told(clock: RunningClock) -> list[float]:
    told: list[float] = json.loads(
        subprocess.run([sys.executable, "-c", _PROGRAM], env={**os.environ, **clock.environment}, capture_output=True).stdout
    )
    return told


def test_processes_started_apart_share_a_clock_and_their_sleeps_pass_by_it() -> None:
    """A minute of sleep takes a second at sixty times the speed, for Python as for Nautilus' clock."""
    if not RunningClock.installed():
        pytest.skip("no faketime (apt install faketime)")
    with run_clock(_MONDAY, 60) as clock:
        first = _told(clock)
        between = time.monotonic()
        second = _told(clock)
        took = (time.monotonic() - between) * clock.speed
    start = _MONDAY.timestamp()
    assert start < first[0] < first[2] < second[0] < second[2]
    assert first[2] - first[0] >= 60
    assert second[2] - first[2] == pytest.approx(took, rel=0.2)
    assert [python - nautilus for python, nautilus in (first[:2], first[2:], second[:2], second[2:])] == pytest.approx([0] * 4, abs=5)
