"""What a trading node's process tells the test that started it: one JSON object a line, in the order in which things happened."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nautilus_trader.model.data import Bar

PATH_VARIABLE = "MDP_TESTS_NODE_JOURNAL"


def write(kind: str, **facts: Any) -> None:
    """Add a line {kind, at, ...}; `at` is this machine's monotonic time in seconds. A kill afterwards does not lose it."""
    line = json.dumps({"kind": kind, "at": time.monotonic(), **facts}) + "\n"
    # One write of one line: a reader may see a line without an end, never one within another.
    with Path(os.environ[PATH_VARIABLE]).open("a", encoding="utf-8") as file:
        file.write(line)


def bar_facts(bar: Bar) -> dict[str, Any]:
    """Return a bar as JSON takes it: its type in words, stamps in UTC nanoseconds, raw prices and volume as the numbers that they are."""
    return {
        "bar_type": str(bar.bar_type),
        "ts_event": bar.ts_event,
        "ts_init": bar.ts_init,
        "ohlcv": [bar.open.raw, bar.high.raw, bar.low.raw, bar.close.raw, bar.volume.raw],
        "revision": bar.is_revision,
    }
