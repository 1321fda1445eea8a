"""(a) Five years of minutes from arrays to session files."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from nautilus_trader.model.data import Bar
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from bench.lines import Line, best_of, faster, no_slower
from bench.made import SERIES, joined, sessions, stored
from market_data_pipeline.calendars import partitions_of
from market_data_pipeline.catalog.bar_format import encode, sync_folder
from market_data_pipeline.catalog.layout import file_name
from market_data_pipeline.catalog.reading import to_nautilus

_PARTS, _SAMPLE = 5, 4


def measure(folder: Path) -> Iterator[Line]:
    """Compare our writer with bare pyarrow and with Nautilus' `write_data`."""
    answers = sessions()
    windows = [partitions_of(SERIES).window(answer.session) for answer in answers]
    bars = len(joined(answers))
    work = f"{bars:,} bars as {len(answers):,} session files, from arrays"

    def ours() -> None:
        shutil.rmtree(folder / "ours", ignore_errors=True)
        stored(folder / "ours", answers)

    bare = folder / "bare"
    tables = [encode(answer.bars, SERIES) for answer in answers]
    ours_s = bare_s = ready_s = float("inf")
    for _ in range(3):  # in turns: the disk is not the same from one second to the next
        ours_s = min(ours_s, best_of(1, ours))
        bare_s = min(bare_s, best_of(1, lambda: bare_pyarrow(bare, (encode(answer.bars, SERIES) for answer in answers), windows)))
        ready_s = min(ready_s, best_of(1, lambda: bare_pyarrow(bare, tables, windows)))
    yield no_slower(work, ours_s, "bare pyarrow: the same arrays, settings, fsync and rename; no checks, no ledger, no lock", bare_s, 1.2)
    yield Line(work, ours_s, "the same with Arrow tables that are ready", ready_s)
    objects = [to_nautilus(answer.bars, SERIES) for answer in answers]
    seconds, note = write_data_by_session(folder / "checked", objects, windows)
    yield faster(work, ours_s, "ParquetDataCatalog.write_data; its Bar objects are ready", seconds, 100, note)
    unchecked_s = _write_data_unchecked(folder / "unchecked", objects, windows)
    yield Line(work, ours_s, "the same with skip_disjoint_check, which lets duplicates in", unchecked_s, note="not atomic, no fsync")


def bare_pyarrow(folder: Path, tables: Iterable[pa.Table], windows: Sequence[tuple[int, int]]) -> None:
    """Write a file a table with pyarrow alone, as durably as ours; nothing is checked, and nothing else is kept."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for table, (start, end) in zip(tables, windows, strict=True):
        temporary = folder / ".temporary"
        with temporary.open("wb") as out:
            pq.write_table(
                table,
                out,
                compression="snappy",
                use_dictionary=False,
                column_encoding={"ts_event": "DELTA_BINARY_PACKED", "ts_init": "DELTA_BINARY_PACKED"},
                write_page_checksum=True,
                write_statistics=False,
            )
            out.flush()
            os.fsync(out.fileno())
        os.replace(temporary, folder / file_name(start + 1, end))
    sync_folder(folder)


def write_data_by_session(root: Path, objects: Sequence[list[Bar]], windows: Sequence[tuple[int, int]]) -> tuple[float, str]:
    """Return seconds of `write_data` for all sessions, one file each, and how that was measured.

    The disjoint check reads all names, so the cost of a session grows with the folder: it is measured at several sizes of the folder, and
    between them taken as linear.
    """
    catalog = ParquetDataCatalog(root)
    folder = root / "data" / "bar" / SERIES.folder
    sizes = [len(objects) * part // _PARTS for part in range(_PARTS)] + [len(objects) - _SAMPLE]
    costs, written = [], 0
    for size in sizes:
        if written:
            content = next(folder.glob("*.parquet")).read_bytes()
            for start, end in windows[written:size]:  # the check looks at names only
                (folder / file_name(start + 1, end)).write_bytes(content)
        started = time.perf_counter()
        for number in range(size, size + _SAMPLE):
            catalog.write_data(objects[number], start=windows[number][0] + 1, end=windows[number][1])
        costs.append((time.perf_counter() - started) / _SAMPLE)
        written = size + _SAMPLE
    ends = [*sizes[1:-1], len(objects)]
    total = sum((b - a) * (x + y) / 2 for a, b, x, y in zip(sizes[:-1], ends, costs[:-1], costs[1:], strict=True))
    return (
        total,
        f"extrapolated: {_SAMPLE * len(sizes)} of {len(objects):,} sessions measured, in folders of {', '.join(f'{size:,}' for size in sizes)} files",
    )


def _write_data_unchecked(root: Path, objects: Sequence[list[Bar]], windows: Sequence[tuple[int, int]]) -> float:
    catalog = ParquetDataCatalog(root)
    started = time.perf_counter()
    for bars, (start, end) in zip(objects, windows, strict=True):
        catalog.write_data(bars, start=start + 1, end=end, skip_disjoint_check=True)
    return time.perf_counter() - started
