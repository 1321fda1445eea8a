"""(o) Five years of minutes in session files, joined by month, and in one file: loaded whole, and one session."""

from __future__ import annotations

import datetime as dt
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
from nautilus_trader.model.data import Bar
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from bench.lines import Line, best_of, no_slower, within
from bench.made import FIRST, LAST, SERIES, joined, sessions, stored
from market_data_pipeline.calendars import partitions_of
from market_data_pipeline.catalog import Catalog
from market_data_pipeline.catalog.bar_format import to_parquet_of_sessions, write_atomically
from market_data_pipeline.catalog.compaction import Direction, compact
from market_data_pipeline.catalog.layout import file_name
from market_data_pipeline.catalog.reading import to_nautilus
from market_data_pipeline.domain.bar_table import BarTable
from market_data_pipeline.domain.words import count

_DAY = dt.date(2021, 6, 1)
_START, _END = f"{_DAY}T00:00:00Z", f"{_DAY}T23:59:00Z"
_ROUNDS = 7


def measure(folder: Path) -> Iterator[Line]:
    """Load all and one session before and after, with our reader and with Nautilus' query, each beside itself on one file with all bars."""
    answers = sessions()
    months, one = stored(folder / "months", answers), _in_one_file(folder / "one", joined(answers))
    theirs, their_one = ParquetDataCatalog(months.root), ParquetDataCatalog(one.root)
    work = f"{len(joined(answers)):,} bars of {len(answers):,} session files"
    yield _loaded(f"{work} to checked columns", lambda: _columns(months), "the same of one file", lambda: _columns(one), None)
    yield _loaded(f"{work} to Bar objects by Nautilus' query", lambda: _query(theirs), "the same on one file", lambda: _query(their_one), None)
    before = _session_s(months), _nautilus_session_s(theirs)
    yield Line("one session of them to Bar objects", before[0], "Nautilus' query with start and end", before[1])
    by_nautilus = _by_nautilus(months, folder / "theirs", 30)
    yield from _switched(months, Direction.JOIN, *by_nautilus)
    if not _bars(months) == _query(theirs) == _query(their_one):
        raise AssertionError("the bars differ")
    work = f"{len(joined(answers)):,} bars of 60 month files"
    yield _loaded(f"{work} to checked columns", lambda: _columns(months), "the same of one file", lambda: _columns(one), 1.1)
    yield _loaded(f"{work} to Bar objects", lambda: _bars(months), "the same of one file", lambda: _bars(one), 1.1)
    yield _loaded(f"{work} to Bar objects by Nautilus' query", lambda: _query(theirs), "the same on one file", lambda: _query(their_one), 1.1)
    yield within("one session of them to Bar objects", _session_s(months), 0.010, peer="the same out of session files", peer_s=before[0])
    after = _nautilus_session_s(theirs)
    yield Line("one session of them by Nautilus' query", after, "the same over session files", before[1], note="it opens every file of the folder")
    yield from _switched(months, Direction.UNDO, *_by_nautilus(months, folder / "taken apart", 1))


def _in_one_file(root: Path, bars: BarTable) -> Catalog:
    partitions = partitions_of(SERIES)
    folder = root / "data" / "bar" / SERIES.folder
    folder.mkdir(parents=True)
    name = file_name(partitions.window(FIRST)[0] + 1, partitions.window(LAST)[1])
    write_atomically(folder, name, to_parquet_of_sessions(bars, SERIES, partitions))
    return Catalog.open(root)


def _loaded(work: str, ours: Callable[[], object], peer: str, theirs: Callable[[], object], times: float | None) -> Line:
    """Measure both in turns: a busy machine is busy for both."""
    seconds = [float("inf"), float("inf")]
    for _ in range(_ROUNDS):
        for i, one in enumerate((ours, theirs)):
            seconds[i] = min(seconds[i], best_of(1, one))
    return Line(work, seconds[0], peer, seconds[1]) if times is None else no_slower(work, seconds[0], peer, seconds[1], times)


def _by_nautilus(catalog: Catalog, root: Path, days: int) -> tuple[str, float, str]:
    """Let Nautilus lay out a copy of the catalog in files of so many days; return its name, its seconds, and what must be known of it."""
    shutil.copytree(catalog.root, root)
    theirs = ParquetDataCatalog(root)
    before = len(_query(theirs))
    began = time.perf_counter()
    theirs.consolidate_data_by_period(Bar, SERIES.bar_type, pd.Timedelta(days=days))
    seconds = time.perf_counter() - began
    files = len(list((root / "data" / "bar" / SERIES.folder).glob("*.parquet")))
    kept = len(_query(ParquetDataCatalog(root)))
    return (
        f"Nautilus' consolidate_data_by_period of {count(days, 'day')}, on a copy",
        seconds,
        f"the peer: {files:,} files, {kept:,} of {before:,} bars; nothing read back, files removed as it goes",
    )


def _switched(catalog: Catalog, direction: Direction, peer: str = "", peer_s: float | None = None, of_peer: str = "") -> Iterator[Line]:
    """Measure the switch itself, without the wait for readers."""
    began = time.perf_counter()
    done = compact(catalog, SERIES, direction, time.time_ns(), quiet_s=0)
    seconds = time.perf_counter() - began
    assert done is not None
    what = f"{done.files_before:,} files became {done.files_after:,}"
    note = f"{done.bytes_before / 1e6:.1f} MB became {done.bytes_after / 1e6:.1f} MB; each bar read back"
    yield Line(what, seconds, peer, peer_s, note=f"{note}; {of_peer}" if of_peer else note)


def _columns(catalog: Catalog) -> int:
    return sum(map(len, catalog.read(SERIES)))


def _bars(catalog: Catalog) -> list[Bar]:
    return [bar for chunk in catalog.bars(SERIES, chunk=1_000_000) for bar in chunk]


def _query(theirs: ParquetDataCatalog) -> list[Bar]:
    found: list[Bar] = theirs.query(Bar, identifiers=[SERIES.bar_type])
    return found


def _session_s(catalog: Catalog) -> float:
    return best_of(9, lambda: to_nautilus(catalog.read_session(SERIES, _DAY), SERIES))


def _nautilus_session_s(theirs: ParquetDataCatalog) -> float:
    return best_of(5, lambda: theirs.query(Bar, identifiers=[SERIES.bar_type], start=_START, end=_END))
