"""Runs at the start of every Python process with a faked wall clock.

Python sleeps until a moment of the monotonic clock, which libfaketime 0.9.10 takes for one of the wall clock: `OSError: Invalid argument`.
Waiting on no file takes the same time and asks no clock.
"""

from __future__ import annotations

import select
import time
from typing import SupportsIndex


def _sleep(seconds: float | SupportsIndex, /) -> None:
    if float(seconds) < 0:
        raise ValueError("sleep length must be non-negative")
    select.select((), (), (), float(seconds))


time.sleep = _sleep
