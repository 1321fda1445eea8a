"""Row groups of files that hold many sessions: where they end, and which of them a range of closes needs.

A file that a compaction wrote declares that its rows are sorted by `ts_init`, and keeps the bounds of that column. Both are ordinary Parquet: schema
and metadata stay Nautilus' own to the byte (its consolidation refuses files of other metadata). The bounds let any reader leave out row groups: a
query of Nautilus for one session opens every file of the folder, and reads what its bounds do not exclude.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from market_data_pipeline.domain.bar_table import COLUMNS, BarTable
from market_data_pipeline.domain.sessions import Partitions

# Measured over five years of minutes: with a session a group, a query of Nautilus over all of them takes as long and one for a session 1.2 times as
# long; with a month a group 1.6 times. Day bars and hours would have groups of one row.
_BARS_AT_LEAST = 1_000
_CLOSE = COLUMNS.index("ts_init")
SORTED_BY_CLOSE = (pq.SortingColumn(_CLOSE),)


def ends_of_groups(bars: BarTable, partitions: Partitions) -> Iterator[int]:
    """Yield the row after each row group: every one ends with a session and holds a thousand bars or more, but for the last."""
    positions = partitions.index_of_close(bars.ts_init)
    begun = 0
    for end in (np.flatnonzero(np.diff(positions)) + 1).tolist():
        if end - begun >= _BARS_AT_LEAST:
            yield end
            begun = end
    if begun < len(bars):
        yield len(bars)


def holds_whole_sessions(content: bytes) -> bool:
    """Return whether a compaction wrote this file: then every session that its name claims to the end is whole, and empty where it has no bars.

    Of any other file that covers several sessions, only its bars can tell. So a ledger that is lost comes back as it was.
    """
    metadata = pq.read_metadata(pa.BufferReader(content))
    groups = (metadata.row_group(i) for i in range(metadata.num_row_groups))
    return metadata.num_row_groups > 0 and all(group.sorting_columns == SORTED_BY_CLOSE for group in groups)


def groups_between(metadata: pq.FileMetaData, after: int, until: int) -> list[int] | None:
    """Return the row groups that may hold closes in (after, until], UTC nanoseconds; None is all.

    Each edge between two groups is taken from both of them, the wider way, so one damaged bound cannot hide a bar: it costs a group that is read
    for nothing. Bounds that are missing, or out of order, are not believed at all.
    """
    count = metadata.num_row_groups
    found = [metadata.row_group(i).column(_CLOSE).statistics for i in range(count)]
    if count < 2 or any(one is None or not one.has_min_max for one in found):
        return None
    lows, highs = [int(one.min) for one in found], [int(one.max) for one in found]
    edges = [edge for pair in zip(lows, highs, strict=True) for edge in pair]
    if edges != sorted(edges):
        return None
    first = next((i for i in range(count - 1) if max(highs[i], lows[i + 1] - 1) > after), count - 1)
    last = next((i for i in range(count - 1, 0, -1) if min(lows[i], highs[i - 1] + 1) <= until), 0)
    return None if (first, last) == (0, count - 1) else list(range(first, last + 1))
