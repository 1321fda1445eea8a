"""Pieces of work that a process of its own can import."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from market_data_pipeline.domain.errors import DataMissing


def square(number: int, tell: Callable[[object], None]) -> tuple[int, int]:
    """Return the square and the process; 13 is refused, 666 kills its process."""
    tell(f"working on {number}")
    if number == 13:
        raise DataMissing("13 is not there. Load it: mdp load 13")
    if number == 14:
        raise _Unportable(number, "words")
    if number == 666:
        os.kill(os.getpid(), signal.SIGKILL)
    return number * number, os.getpid()


def linger(path: Path, tell: Callable[[object], None]) -> None:
    """Write a file, tell, and wait to be stopped; the file then says how it ended."""
    try:
        path.write_text(f"{os.getpid()} begun")
        tell("begun")
        time.sleep(600)
    except KeyboardInterrupt:
        path.write_text("stopped in order")
        raise


class _Unportable(Exception):
    """Cannot be made anew from its message, as many exceptions of other people's code."""

    def __init__(self, number: int, words: str) -> None:
        super().__init__(f"{number} {words}")
