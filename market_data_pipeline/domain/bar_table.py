"""Bars as columns: the one shape in which bars travel between sources, store, checks and charts."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Int64s = npt.NDArray[np.int64]
PRICE_COLUMNS = ("open", "high", "low", "close")
VALUE_COLUMNS = (*PRICE_COLUMNS, "volume")
COLUMNS = (*VALUE_COLUMNS, "ts_event", "ts_init")


@dataclass(frozen=True, eq=False)
class BarTable:
    """Bars of one series, one array a column, all of one length.

    Prices and volumes are whole numbers of the last decimal: 185.42 at `price_precision` 2 is 18542. They are exact where a
    float is not, and fit 64 bits for every price below 9.2e18 / 10**precision.

    Attributes:
        open: Shape (n,), int64, units of 10**-price_precision; so are high, low and close.
        volume: Shape (n,), int64, units of 10**-size_precision.
        ts_event: Shape (n,), int64, the bar's open in nanoseconds since 1970 UTC.
        ts_init: Shape (n,), int64, the bar's close in nanoseconds since 1970 UTC. Day bars close at 23:59:59.999999999 of their date.
    """

    open: Int64s
    high: Int64s
    low: Int64s
    close: Int64s
    volume: Int64s
    ts_event: Int64s
    ts_init: Int64s
    price_precision: int
    size_precision: int

    @classmethod
    def empty(cls, price_precision: int, size_precision: int) -> BarTable:
        """Return a table of no bars."""
        return cls._of([np.empty(0, dtype=np.int64) for _ in COLUMNS], price_precision, size_precision)

    @classmethod
    def _of(cls, columns: Sequence[Int64s], price_precision: int, size_precision: int) -> BarTable:
        """Build from arrays in the order of `COLUMNS`."""
        opens, high, low, close, volume, ts_event, ts_init = columns
        return cls(opens, high, low, close, volume, ts_event, ts_init, price_precision, size_precision)

    def __len__(self) -> int:
        return len(self.ts_init)

    def column(self, name: str) -> Int64s:
        """Return one of `COLUMNS` by name."""
        array: Int64s = getattr(self, name)
        return array

    def _map(self, pick: Any) -> BarTable:
        return self._of([self.column(name)[pick] for name in COLUMNS], self.price_precision, self.size_precision)

    def slice(self, start: int, stop: int) -> BarTable:
        """Return rows [start, stop) without copying."""
        return self._map(slice(start, stop))

    def take(self, rows: Int64s | npt.NDArray[np.bool_]) -> BarTable:
        """Return the rows at these positions, or where this mask is true."""
        return self._map(rows)

    def between(self, after_ns: int, until_ns: int) -> BarTable:
        """Return the bars that close in (after_ns, until_ns]. The table must be ordered by ts_init."""
        first, stop = np.searchsorted(self.ts_init, [after_ns, until_ns], side="right")
        return self.slice(int(first), int(stop))

    @classmethod
    def concatenate(cls, tables: Sequence[BarTable]) -> BarTable:
        """Join tables of one precision, in the given order.

        Raises:
            ValueError: If there is none, or their precisions differ.
        """
        if not tables:
            raise ValueError("no tables to join")
        precisions = {(t.price_precision, t.size_precision) for t in tables}
        if len(precisions) > 1:
            raise ValueError(f"tables of different precisions cannot be joined: {sorted(precisions)}")
        first = tables[0]
        if len(tables) == 1:
            return first
        return cls._of([np.concatenate([t.column(name) for t in tables]) for name in COLUMNS], first.price_precision, first.size_precision)

    def is_ordered(self) -> bool:
        """True if closes rise strictly, and so do opens: no bar twice, none out of place."""
        return bool(np.all(np.diff(self.ts_init) > 0) and np.all(np.diff(self.ts_event) > 0))

    def same_values(self, other: BarTable) -> npt.NDArray[np.bool_]:
        """Return, row by row, whether all prices and the volume are equal. Both tables must have one length and precision."""
        equal = np.ones(len(self), dtype=np.bool_)
        for name in VALUE_COLUMNS:
            equal &= self.column(name) == other.column(name)
        return equal

    def floats(self, name: str) -> npt.NDArray[np.float64]:
        """Return a price or volume column as floats, for charts and statistics only."""
        precision = self.size_precision if name == "volume" else self.price_precision
        return self.column(name) / np.float64(10**precision)

    def fingerprint(self) -> str:
        """Return 32 hex digits that are equal exactly when precision, order and all values are."""
        digest = hashlib.blake2b(f"{self.price_precision},{self.size_precision},{len(self)}".encode(), digest_size=16)
        for name in COLUMNS:
            digest.update(np.ascontiguousarray(self.column(name), dtype="<i8").view(np.uint8).data)
        return digest.hexdigest()
