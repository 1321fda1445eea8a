"""Stops a piece of work at the n-th line of our code that it runs, in a process of its own, as often as asked.

A program, not a module of tests: `python -m market_data_pipeline_tests.catalog.stopping WORK SIGNAL FOLDER POINT…` makes a fresh
catalog FOLDER/POINT for each POINT, forks, and does WORK there until the point is reached. Point 0 is never reached: WORK ends, and the
number of lines is printed.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from market_data_pipeline.calendars import partitions_of
from market_data_pipeline.catalog import Catalog
from market_data_pipeline.domain.bar_table import BarTable
from market_data_pipeline.ingest.import_csv import OnConflict, Prefer, import_csv
from market_data_pipeline.sources.csv import CsvSource
from market_data_pipeline_tests.catalog.bar_making import (
    AAPL,
    CENTS,
    FRIDAY,
    MONDAY,
    THURSDAY,
    TUESDAY,
    WEDNESDAY,
    WEEK,
    answer,
    decimals,
    empty,
    morning,
    regular,
    store,
    writing,
)

OURS = os.sep + "market_data_pipeline" + os.sep
NEXT_WEEK = [date.replace(day=date.day + 7) for date in WEEK]


def prepare(root: Path) -> Catalog:
    """Store what stands before the work begins: whole, partial and empty sessions."""
    catalog = Catalog.open(root)
    store(catalog, answer(AAPL, MONDAY), morning(AAPL, TUESDAY), empty(AAPL, WEDNESDAY), answer(AAPL, FRIDAY))
    return catalog


def store_sessions(root: Path) -> None:
    """Replace each kind of session by another, and add some; commit twice."""
    with writing(Catalog.open(root)) as writer:
        writer.store(answer(AAPL, MONDAY, seed=1))
        writer.store(answer(AAPL, TUESDAY, seed=1))
        writer.store(morning(AAPL, WEDNESDAY, seed=1))
        writer.store(answer(AAPL, THURSDAY, seed=1))
        writer._commit(-1)
        writer.store(morning(AAPL, FRIDAY, seed=1))
        for date in NEXT_WEEK:
            writer.store(answer(AAPL, date, seed=1))


def import_file(root: Path) -> None:
    """Import the same sessions from a CSV file, with other values for what is stored."""
    file = root.parent / "file.csv"
    source = CsvSource([file], time_zone="UTC", stamp="open", spool_dir=root.parent)
    with source:
        for _ in import_csv(Catalog.open(root), source, AAPL, CENTS, on_conflict=OnConflict.MERGE, prefer=Prefer.FILE):
            pass


def write_file(file: Path) -> None:
    """Write two weeks of minutes as a CSV file."""
    write_bars(file, [regular(AAPL, date, seed=1) for date in (*WEEK, *NEXT_WEEK)])


def write_bars(file: Path, tables: Sequence[BarTable]) -> None:
    """Write bars in cents as a CSV file that names their opens in UTC."""
    bars = BarTable.concatenate(tables)
    columns = [*(decimals(bars.column(name), 2) for name in ("open", "high", "low", "close")), decimals(bars.volume, 0)]
    stamps = [str(stamp.astype("datetime64[ns]").astype("datetime64[s]")).replace("T", " ") for stamp in bars.ts_event]
    rows = [",".join(row) for row in zip(stamps, *columns, strict=True)]
    file.write_text("\n".join(["timestamp,open,high,low,close,volume", *rows]) + "\n")


WORK: dict[str, Callable[[Path], None]] = {"store": store_sessions, "import": import_file}


def stop_at(point: int, how: int) -> Callable[[], int]:
    """Send this process a signal before the `point`-th line of ours that it runs; return how to ask for the lines so far."""
    lines = 0

    def at_line(_frame: FrameType, event: str, _argument: object) -> Any:
        nonlocal lines
        if event == "line":
            lines += 1
            if lines == point:
                os.kill(os.getpid(), how)
        return at_line

    def at_call(frame: FrameType, _event: str, _argument: object) -> Any:
        return at_line if OURS in frame.f_code.co_filename else None

    sys.settrace(at_call)
    return lambda: lines


def main(work: str, how: str, folder: str, *points: str) -> None:
    """See the module."""
    partitions_of(AAPL)
    for point in points:
        root = Path(folder) / point
        child = os.fork()
        if child == 0:
            lines = stop_at(int(point), signal.Signals[how])
            WORK[work](root)
            sys.settrace(None)
            os.write(1, f"{lines()}\n".encode())
            os._exit(0)
        _, status = os.waitpid(child, 0)
        sys.stderr.write(f"{point}: {os.waitstatus_to_exitcode(status)}\n")


def end_quietly(_kind: type[BaseException], _error: BaseException, _trace: TracebackType | None) -> None:
    """End as a program does at Ctrl-C."""
    os._exit(130)


if __name__ == "__main__":
    sys.excepthook = end_quietly
    main(*sys.argv[1:])
