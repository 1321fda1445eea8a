"""Bars as columns, and the exact aggregate of finer ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np
import numpy.typing as npt

from market_data_pipeline.domain.bar_table import Int64s

NOT_TOLD = -1
"""Volume, wap and count of bars that are not made of trades."""


class Price(StrEnum):
    """Which price bars are made of."""

    TRADES = "TRADES"
    MIDPOINT = "MIDPOINT"
    BID = "BID"
    ASK = "ASK"


@dataclass(frozen=True, eq=False)
class Spans:
    """Disjoint stretches of time [start_s, stop_s), oldest first, in seconds since 1970 UTC; arrays of shape (n,)."""

    start_s: Int64s
    stop_s: Int64s

    def clipped(self, start_s: int, stop_s: int) -> Spans:
        """Return what of them lies in [start_s, stop_s)."""
        starts, stops = np.maximum(self.start_s, start_s), np.minimum(self.stop_s, stop_s)
        some = starts < stops
        return Spans(starts[some], stops[some])


@dataclass(frozen=True, eq=False)
class Bars:
    """Bars, oldest first, or the pieces that bars are made of. Arrays of shape (n,), int64.

    Attributes:
        start_s: Where each begins, seconds since 1970 UTC.
        ohlc: Shape (4, n): open, high, low, close, units of 10**-decimals.
        volume: Units of 10**-size_decimals; `NOT_TOLD` where the price is not that of trades.
        count: Number of trades, or `NOT_TOLD`.
    """

    start_s: Int64s
    ohlc: Int64s
    volume: Int64s
    count: Int64s
    decimals: int
    size_decimals: int

    def __len__(self) -> int:
        return len(self.start_s)

    def take(self, rows: Int64s | npt.NDArray[np.bool_]) -> Bars:
        """Return the rows at these positions, or where this mask is true."""
        return Bars(self.start_s[rows], self.ohlc[:, rows], self.volume[rows], self.count[rows], self.decimals, self.size_decimals)

    def aggregate(self, keys: Int64s) -> tuple[Bars, Int64s]:
        """Return one bar for each run of equal keys, and the positions at which the runs begin.

        Open of the first, highest high, lowest low, close of the last, sums of volume and count; it begins where its first piece begins.

        Args:
            keys: Shape (n,), never falling.
        """
        if not len(self):
            return self, np.empty(0, dtype=np.int64)
        first = np.flatnonzero(np.append(True, keys[1:] != keys[:-1]))
        last = np.append(first[1:], len(keys)) - 1
        opens, highs, lows, closes = self.ohlc
        ohlc = np.stack([opens[first], np.maximum.reduceat(highs, first), np.minimum.reduceat(lows, first), closes[last]])
        told = self.volume[0] != NOT_TOLD
        volume, count = ((np.add.reduceat(column, first) if told else column[first]) for column in (self.volume, self.count))
        return Bars(self.start_s[first], ohlc, volume, count, self.decimals, self.size_decimals), first

    @classmethod
    def none(cls, decimals: int, size_decimals: int) -> Bars:
        """Return no bars."""
        nothing = np.empty(0, dtype=np.int64)
        return cls(nothing, np.empty((4, 0), dtype=np.int64), nothing, nothing, decimals, size_decimals)

    @staticmethod
    def concatenate(parts: Sequence[Bars]) -> Bars:
        """Join bars of one precision and put them in order of time."""
        start_s = np.concatenate([part.start_s for part in parts])
        order = np.argsort(start_s, kind="stable")
        joined = Bars(
            start_s,
            np.concatenate([part.ohlc for part in parts], axis=1),
            np.concatenate([part.volume for part in parts]),
            np.concatenate([part.count for part in parts]),
            parts[0].decimals,
            parts[0].size_decimals,
        )
        return joined.take(order)


class Tape(Protocol):
    """What happened to one contract: pieces of bars, from which bars of any size are put together."""

    def pieces(self, spans: Spans, price: Price, grain_s: int, until_s: int) -> Bars:
        """Return all that happened within `spans` before `until_s`, oldest first, in pieces that bars of `grain_s` seconds are made of."""
        ...

    def first_s(self, price: Price) -> int | None:
        """Return where the first piece that is kept begins, in seconds since 1970 UTC; None where nothing limits it but the listing."""
        ...
