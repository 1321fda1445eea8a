"""kill -9 before the n-th call by which a piece of work changes files or the ledger, in a process of its own.

A program, not a module of tests: `python -m market_data_pipeline_tests.catalog.compacting_stopped WORK FOLDER POINT…` works in the catalog
FOLDER/POINT for each POINT. Point 0 is never reached: the work ends, and the number of calls is printed.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from market_data_pipeline.calendars import partitions_of
from market_data_pipeline.catalog import Catalog, folder_exchange
from market_data_pipeline.catalog.ledger import Ledger
from market_data_pipeline_tests.catalog.bar_making import AAPL, empty, morning, store
from market_data_pipeline_tests.catalog.months import FEBRUARY, february, joined, short, taken_apart


def made_whole(root: Path) -> None:
    """Replace whole sessions inside the file of a month."""
    store(Catalog.open(root), short(FEBRUARY[3], seed=1), empty(AAPL, FEBRUARY[4]))


def made_partial(root: Path) -> None:
    """Replace a session inside the file of a month by a part, which takes the file apart."""
    store(Catalog.open(root), morning(AAPL, FEBRUARY[3], 10, seed=1))


WORK: dict[str, tuple[Callable[[Path], object], Callable[[Path], object]]] = {
    "join": (february, lambda root: joined(Catalog.open(root))),
    "undo": (lambda root: joined(february(root)), lambda root: taken_apart(Catalog.open(root))),
    "whole": (lambda root: joined(february(root)), made_whole),
    "partial": (lambda root: joined(february(root)), made_partial),
}
"""What is prepared, and what is then done and stopped."""

_CALLS: tuple[tuple[Any, str], ...] = (
    *((os, name) for name in ("replace", "rename", "link", "unlink", "rmdir", "mkdir", "fsync", "write")),
    (folder_exchange, "exchange"),
    (Ledger, "unsettle"),
    (Ledger, "record"),
)


def stop_at(point: int) -> Callable[[], int]:
    """Kill this process before the `point`-th call; return how to ask for the calls so far."""
    calls = 0

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def before(*arguments: Any, **named: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == point:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments, **named)

        return before

    for owner, name in _CALLS:
        setattr(owner, name, counted(getattr(owner, name)))
    return lambda: calls


def main(work: str, folder: str, *points: str) -> None:
    """See the module."""
    partitions_of(AAPL)
    for point in points:
        child = os.fork()
        if child == 0:
            calls = stop_at(int(point))
            WORK[work][1](Path(folder) / point)
            sys.stdout.write(f"{calls()}\n")
            sys.stdout.flush()
            os._exit(0)
        _, status = os.waitpid(child, 0)
        sys.stderr.write(f"{point}: {os.waitstatus_to_exitcode(status)}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
