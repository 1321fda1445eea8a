"""The bars of a catalog, read back from its files, beside what a database says of the same sessions."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from market_data_pipeline.domain.bar_table import VALUE_COLUMNS, BarTable, Int64s
from market_data_pipeline.domain.session_sums import SessionSums
from market_data_pipeline.domain.sessions import Partitions, date_of

if TYPE_CHECKING:
    from market_data_pipeline.catalog import Catalog
    from market_data_pipeline.domain.bar_types import Series
    from market_data_pipeline.domain.source import Precision

_HALF = 20


@dataclass(frozen=True)
class Difference:
    """A session that the catalog holds otherwise than the database.

    Attributes:
        session: Its date.
        what: `rows`, a column whose sums differ, or `values`.
        in_table: What the database says.
        in_catalog: What the files say.
        bar: The first bar that differs with both values, where it was looked for; else empty.
    """

    session: dt.date
    what: str
    in_table: str
    in_catalog: str
    bar: str = ""

    def __str__(self) -> str:
        said = f"{self.session}: {self.what} {self.in_table} in the table, {self.in_catalog} in the catalog"
        return f"{said}; {self.bar}" if self.bar else said


def stored_sessions(
    catalog: Catalog, series: Series, partitions: Partitions, precision: Precision, first: dt.date, last: dt.date
) -> Iterator[tuple[dt.date, BarTable]]:
    """Yield the stored sessions dated in [first, last] with their bars, read back from the Parquet files."""
    if catalog.precision(series) != precision:
        return
    for table in catalog.read(series, first, last):
        found = partitions.index_of_close(table.ts_init)
        edges = np.append(np.flatnonzero(np.diff(found, prepend=-2)), len(table))
        for start, stop in pairwise(edges):
            yield date_of(partitions.days[found[start]]), table.slice(int(start), int(stop))


def sums_of(session: dt.date, bars: BarTable) -> SessionSums:
    """Return count, sums and digest of a session's bars, as `SessionSums` describes them."""
    columns = [bars.ts_init // 1_000, *(bars.column(name) for name in VALUE_COLUMNS)]
    lines = pc.binary_join_element_wise(*(pa.array(column).cast(pa.string()) for column in columns), ",")
    digest = hashlib.md5(usedforsecurity=False)
    digest.update("\n".join(lines.to_pylist()).encode())
    decimals = [*[bars.price_precision] * 4, bars.size_precision]
    sums = tuple(Decimal(_total(column)).scaleb(-places) for column, places in zip(columns[1:], decimals, strict=True))
    return SessionSums(session, len(bars), sums, digest.hexdigest())


def _total(column: Int64s) -> int:
    # In two halves: 64 bits hold every value, and not every sum of them.
    return (int((column >> _HALF).sum()) << _HALF) + int((column & ((1 << _HALF) - 1)).sum())


def difference_of(theirs: SessionSums, ours: SessionSums | None) -> Difference | None:
    """Return how a session of the table differs from the catalog's; None where it does not."""
    if ours is None:
        return Difference(theirs.session, "rows", f"{theirs.rows:,}", "0")
    what = theirs.difference(ours)
    if what is None:
        return None
    if what == "rows":
        return Difference(theirs.session, what, f"{theirs.rows:,}", f"{ours.rows:,}")
    if what == "values":
        return Difference(theirs.session, what, f"MD5 {theirs.digest}", f"MD5 {ours.digest}")
    i = VALUE_COLUMNS.index(what)
    return Difference(theirs.session, f"sum of {what}", f"{theirs.sums[i].normalize():f}", f"{ours.sums[i].normalize():f}")


def first_unlike(theirs: list[tuple[int, tuple[Decimal, ...]]], ours: BarTable) -> str:
    """Return the first bar that differs, with both values.

    Args:
        theirs: Close in microseconds since 1970 UTC and values of each row of the table, in order.
        ours: The bars of the catalog.
    """
    scales = [ours.size_precision if name == "volume" else ours.price_precision for name in VALUE_COLUMNS]
    closes = (ours.ts_init // 1_000).tolist()
    mine = {
        close: tuple(Decimal(int(ours.column(name)[i])).scaleb(-scale) for name, scale in zip(VALUE_COLUMNS, scales, strict=True))
        for i, close in enumerate(closes)
    }
    table = dict(theirs)
    for close in sorted({*table, *mine}):
        left, right = table.get(close), mine.get(close)
        if left != right or sum(one == close for one, _ in theirs) > 1:
            return (
                f"bar closing {np.datetime64(close, 'us').astype('datetime64[s]')} UTC: {_values(left)} in the table, {_values(right)} in the catalog"
            )
    return ""


def _values(values: tuple[Decimal, ...] | None) -> str:
    if values is None:
        return "none"
    return ", ".join(f"{name} {value.normalize():f}" for name, value in zip(VALUE_COLUMNS, values, strict=True))
