"""A wall clock that a test sets, for processes of its own and all their children.

with WallClock(tmp_path, at=dt.datetime(2024, 11, 27, 20, 50, tzinfo=dt.UTC)) as clock: ...
    subprocess.Popen(command, env={**os.environ, **clock.environment})
    clock.set(dt.datetime(2024, 11, 27, 21, 15, tzinfo=dt.UTC))

Or one that runs faster, and lets sleeps and timeouts pass faster too: `run_clock`.
"""

from __future__ import annotations

from market_data_pipeline_tests.wall_clock.running_clock import RunningClock, run_clock
from market_data_pipeline_tests.wall_clock.wall_clock import WallClock

__all__ = ["RunningClock", "WallClock", "run_clock"]
