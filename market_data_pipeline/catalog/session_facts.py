"""Facts of each session of a series for the rules of `domain.suspicion`, kept beside the catalog so that only new sessions are read.

They can be made again from the bars at any time: a file that is damaged, gone or cannot be written costs time and nothing else.
"""

from __future__ import annotations

import datetime as dt
import io
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from market_data_pipeline.calendars import partitions_of
from market_data_pipeline.catalog.bar_format import write_atomically
from market_data_pipeline.domain.bar_table import BarTable
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.errors import MarketDataError
from market_data_pipeline.domain.sessions import Partitions, date_of
from market_data_pipeline.domain.suspicion import FACT_COLUMNS, SessionFacts

if TYPE_CHECKING:
    from market_data_pipeline.catalog.catalog import Catalog

_FOLDER = "facts"
_DIGITS = "U32"


def session_facts(catalog: Catalog, series: Series) -> SessionFacts:
    """Return the facts of all stored sessions that have bars. Reads the bars of sessions that changed since the last call only.

    Memory is bounded by the bars of some files, however long the series is.

    Raises:
        CorruptFile: If a file that must be read cannot be trusted.
    """
    path = catalog.root / _FOLDER / f"{series.folder}.npz"
    known, marks = _kept(path)
    rows = {row.day: row.fingerprint for row in catalog.sessions(series) if row.rows}
    before = dict(zip(known.days.tolist(), marks.tolist(), strict=True))
    gone = [day for day in before if day not in rows]
    changed = sorted(day for day, fingerprint in rows.items() if before.get(day) != fingerprint)
    if not gone and not changed:
        return known
    partitions = partitions_of(series)
    pieces = [SessionFacts.none(known.price_precision)]
    for first, last in _ranges(changed, partitions):
        pieces += [SessionFacts.of(bars, partitions) for bars in _whole_sessions(catalog.read(series, first, last), partitions)]
    facts = known.replaced(np.array([*gone, *changed], dtype=np.int64), SessionFacts.joined(pieces))
    # A session that was replaced while it was read keeps its old mark, and is read again next time.
    _keep(path, facts, np.array([rows.get(day, "") for day in facts.days.tolist()], dtype=_DIGITS))
    return facts


def kept_facts(catalog: Catalog, series: Series) -> SessionFacts:
    """Return the facts as they were last made, without looking at ledger or bars; none if they were never made."""
    return _kept(catalog.root / _FOLDER / f"{series.folder}.npz")[0]


def _kept(path: Path) -> tuple[SessionFacts, np.ndarray[tuple[int], np.dtype[np.str_]]]:
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as kept:
            columns = {name: kept[name] for name in FACT_COLUMNS}
            marks = kept["fingerprints"]
            precision = int(kept["price_precision"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return SessionFacts.none(), np.empty(0, dtype=_DIGITS)
    if {len(marks), *map(len, columns.values())} != {len(marks)}:
        return SessionFacts.none(), np.empty(0, dtype=_DIGITS)
    return SessionFacts(**columns, price_precision=precision), marks


def _keep(path: Path, facts: SessionFacts, marks: np.ndarray[tuple[int], np.dtype[np.str_]]) -> None:
    content = io.BytesIO()
    columns = {name: facts.column(name) for name in FACT_COLUMNS}
    np.savez(content, **columns, fingerprints=marks, price_precision=np.int64(facts.price_precision))  # type: ignore[arg-type]  # stubs take no mapping
    with suppress(OSError, MarketDataError):  # a catalog that is only read has no such folder
        path.parent.mkdir(exist_ok=True)
        write_atomically(path.parent, path.name, content.getvalue())


def _ranges(days: list[int], partitions: Partitions) -> Iterator[tuple[dt.date, dt.date]]:
    """Yield first and last date of each run of neighbouring sessions."""
    positions = np.searchsorted(partitions.days, days)
    for group in np.split(np.array(days, dtype=np.int64), np.flatnonzero(np.diff(positions) > 1) + 1):
        if len(group):
            yield date_of(group[0]), date_of(group[-1])


def _whole_sessions(tables: Iterable[BarTable], partitions: Partitions) -> Iterator[BarTable]:
    """Yield the same bars cut between sessions: several files may hold one."""
    waiting: list[BarTable] = []
    for table in tables:
        bars = BarTable.concatenate([*waiting, table])
        cut = int(np.searchsorted(bars.ts_init, partitions.starts[partitions.index_of_close(bars.ts_init[-1:])[0]], side="right")) if len(bars) else 0
        if cut:
            yield bars.slice(0, cut)
        waiting = [bars.slice(cut, len(bars))]
    yield from waiting
