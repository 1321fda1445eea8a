"""Invented prices: the same second is the same second, whoever asks, in whatever bars, and however far back.

The price is made from coarse to fine. A *block* is a quarter of an hour. The midpoint at its two ends comes from a path that can be read at
any time (octaves of hashed noise, each twice as long as the one before, which together move like a random walk); high and low reach beyond.
A block is divided into 15 minutes, and a minute into 60 seconds, such that the parts together are exactly the whole: first open, highest
high, lowest low, last close, sums of trades and volume. So ten years of day bars are computed from blocks, a year of minutes from blocks and
minutes, and no bar depends on which of them was asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from market_data_pipeline.domain.bar_table import Int64s
from market_data_pipeline.domain.bar_types import NANOSECONDS
from market_data_pipeline.domain.sessions import SessionCalendar
from market_data_pipeline.gateway_simulator.market.bars import NOT_TOLD, Bars, Price, Spans
from market_data_pipeline.gateway_simulator.market.contracts import PriceBehaviour
from market_data_pipeline.gateway_simulator.market.noise import Floats, Noise

BLOCK_S = 900
MINUTE_S = 60
_MINUTES_OF_BLOCK = BLOCK_S // MINUTE_S
_BLOCKS_OF_YEAR = 365 * 96
# 2**17 blocks are 3.7 years: beyond that the path comes back, so that no price runs away in decades.
_OCTAVES = 18
# 2024-01-02 00:00 UTC, where the path goes through the reference price.
_REFERENCE_BLOCK = 1_704_153_600 // BLOCK_S


class _Salt(IntEnum):
    """What a hashed number is used for; each division has a range of its own."""

    OCTAVES = 0
    ABOVE = 100
    BELOW = 101
    TRADES = 102
    TRADE_SIZE = 103
    LIVELY_DAYS = 104
    LIVELY_BLOCKS = 105
    MINUTES = 200
    SECONDS = 300


class _Division(IntEnum):
    """What a hashed number is used for within a division."""

    WALK = 0
    WICKS = 1
    TRADES = 2
    FIRST_TRADE = 3
    VOLUME = 4


@dataclass(frozen=True, eq=False)
class _Parts:
    """Blocks, minutes or seconds, in any order; arrays of shape (n,), int64.

    Attributes:
        index: Number of the part since 1970, in its own length.
        mid: Shape (4, n), midpoints in quanta.
        last: Shape (4, n), prices of trades in the last decimal; no meaning where there is no trade.
        count: Trades.
        volume: Size of them in the last decimal.
    """

    index: Int64s
    mid: Int64s
    last: Int64s
    count: Int64s
    volume: Int64s

    def take(self, rows: Int64s) -> _Parts:
        return _Parts(self.index[rows], self.mid[:, rows], self.last[:, rows], self.count[rows], self.volume[rows])


class InventedTape:
    """Invented prices of one contract.

    Args:
        behaviour: How they move.
        calendar: Tells regular hours, in which more is traded.
        key: Names the contract.
        seed: Another seed is another market.
    """

    def __init__(self, behaviour: PriceBehaviour, calendar: SessionCalendar, key: str, seed: int) -> None:
        self._behaviour = behaviour
        self._calendar = calendar
        self._path_noise = Noise(f"{seed}/path/{behaviour.family}")
        self._noise = Noise(f"{seed}/contract/{key}")
        self._block_deviation = behaviour.volatility / np.sqrt(_BLOCKS_OF_YEAR)
        self._offset = self._octaves(np.array([_REFERENCE_BLOCK]))[0]

    def first_s(self, price: Price) -> int | None:
        """Return None: invented prices go back for ever."""
        return None

    def pieces(self, spans: Spans, price: Price, grain_s: int, until_s: int) -> Bars:
        """Return what happened within `spans` before `until_s`, in pieces as long as these and `grain_s` allow: blocks, minutes, seconds.

        Where nothing was traded there are no TRADES; bid, ask and midpoint are always there.
        """
        found = []
        spans = spans.clipped(0, until_s)
        for length_s in (BLOCK_S, MINUTE_S, 1):
            if grain_s % length_s == 0:
                index, spans = _divided(spans, length_s)
                found.append(self._bars(self._parts(index, length_s), length_s, price))
        return Bars.concatenate(found)

    def _parts(self, index: Int64s, length_s: int) -> _Parts:
        """Return the parts of these numbers; a finer one is made of the coarser one that holds it."""
        if length_s == BLOCK_S:
            return self._blocks(index)
        ratio, salt = (_MINUTES_OF_BLOCK, _Salt.MINUTES) if length_s == MINUTE_S else (MINUTE_S, _Salt.SECONDS)
        whole, of_part = np.unique(index // ratio, return_inverse=True)
        divided = self._divide(self._parts(whole, length_s * ratio), ratio, salt)
        return divided.take(of_part * ratio + index % ratio)

    # Blocks

    def _blocks(self, index: Int64s) -> _Parts:
        behaviour = self._behaviour
        opens, closes = self._midpoints(index), self._midpoints(index + 1)
        reach = np.maximum(opens, closes) * (0.5 * self._block_deviation)
        highs = np.maximum(opens, closes) + _whole(np.abs(self._noise.normal(_Salt.ABOVE, index)) * reach)
        lows = np.minimum(opens, closes) - _whole(np.abs(self._noise.normal(_Salt.BELOW, index)) * reach)
        mid = np.stack([opens, highs, np.maximum(lows, 1), closes])
        count = np.floor(self._trades_expected(index) + self._noise.uniform(_Salt.TRADES, index)).astype(np.int64)
        size = behaviour.trade_size * (0.5 + self._noise.uniform(_Salt.TRADE_SIZE, index))
        return _Parts(index, mid, self._last_of(mid), count, np.maximum(count, _whole(count * size)))

    def _midpoints(self, block: Int64s) -> Int64s:
        """Return the midpoint at the beginning of each block, in quanta."""
        behaviour = self._behaviour
        price = behaviour.reference / behaviour.quantum * np.exp(self._octaves(block) - self._offset)
        return np.maximum(_whole(price), 1)

    def _octaves(self, block: Int64s) -> Floats:
        """Return the logarithm of the price, up to a constant, at the beginning of each block."""
        if not len(block):
            return np.empty(0)
        total: Floats = np.zeros(len(block))
        first, last = int(block.min()), int(block.max())
        for octave in range(_OCTAVES):
            low = first >> octave
            nodes = self._path_noise.normal(_Salt.OCTAVES + octave, np.arange(low, (last >> octave) + 2, dtype=np.int64))
            position = (block >> octave) - low
            between = (block & ((1 << octave) - 1)) / (1 << octave)
            total += (nodes[position] * (1 - between) + nodes[position + 1] * between) * 2.0 ** (octave / 2)
        # Over one block these octaves move by about two deviations of a node.
        scaled: Floats = total * (self._block_deviation / 2)
        return scaled

    def _trades_expected(self, block: Int64s) -> Floats:
        """Return the trades to expect in each block: most near the open and the close, few outside regular hours."""
        behaviour, calendar = self._behaviour, self._calendar
        middle = (block * BLOCK_S + BLOCK_S // 2) * NANOSECONDS
        session = np.clip(np.searchsorted(calendar.open_ns, middle, side="right") - 1, 0, None)
        opens, closes = calendar.open_ns[session], calendar.close_ns[session]
        along = (middle - opens) / (closes - opens)
        regular = (along >= 0) & (along < 1)
        a_minute = np.where(regular, behaviour.trades_per_minute * (0.75 + 3 * (along - 0.5) ** 2), behaviour.extended_trades_per_minute)
        lively = np.exp(0.25 * self._noise.normal(_Salt.LIVELY_DAYS, calendar.days[session]) + 0.2 * self._noise.normal(_Salt.LIVELY_BLOCKS, block))
        return np.asarray(a_minute * lively * _MINUTES_OF_BLOCK)

    # Parts of a whole

    def _divide(self, whole: _Parts, ratio: int, salt: _Salt) -> _Parts:
        """Return `ratio` parts of each whole, which together are exactly the whole."""
        index = whole.index[:, None] * ratio + np.arange(ratio)
        count = self._shared_trades(whole, index, salt)
        volume = self._shared_volume(whole, count, self._noise.uniform(salt + _Division.VOLUME, index))
        # Extremes fall where something trades, so that trades reach them too; where nothing trades, anywhere.
        eligible = (count > 0) | (whole.count == 0)[:, None]
        mid = self._walk(whole, index, eligible, salt)
        last = self._last_of(mid)
        _join(last, whole.last, eligible)
        return _Parts(index.ravel(), mid.reshape(4, -1), last.reshape(4, -1), count.ravel(), volume.ravel())

    def _shared_trades(self, whole: _Parts, index: Int64s, salt: _Salt) -> Int64s:
        weights = np.cumsum(0.5 + self._noise.uniform(salt + _Division.TRADES, index), axis=1)
        offset = self._noise.uniform(salt + _Division.FIRST_TRADE, whole.index)[:, None]
        reached = np.floor(whole.count[:, None] * (weights / weights[:, -1:]) + offset).astype(np.int64)
        return np.diff(reached, axis=1, prepend=0)

    @staticmethod
    def _shared_volume(whole: _Parts, count: Int64s, uniform: Floats) -> Int64s:
        """Each trade has the smallest size, and the rest is shared among the parts that trade."""
        weights = np.cumsum(count * (0.5 + uniform), axis=1)
        rest = (whole.volume - whole.count)[:, None]
        reached = np.floor(rest * (weights / np.maximum(weights[:, -1:], 0.5))).astype(np.int64)
        return count + np.diff(reached, axis=1, prepend=0)

    def _walk(self, whole: _Parts, index: Int64s, eligible: npt.NDArray[np.bool_], salt: _Salt) -> Int64s:
        """Return midpoints of shape (4, n, ratio): a walk from open to close within high and low, which it reaches."""
        ratio = index.shape[1]
        opens, highs, lows, closes = (column[:, None] for column in whole.mid)
        walk = np.cumsum(self._noise.normal(salt + _Division.WALK, index), axis=1)
        along = np.arange(1, ratio + 1) / ratio
        reach = (highs - lows) / np.sqrt(ratio)
        ends = _whole(opens + (closes - opens) * along + (walk - walk[:, -1:] * along) * (0.6 * reach))
        ends = np.clip(ends, lows, highs)
        ends[:, -1:] = closes
        starts = np.concatenate([opens, ends[:, :-1]], axis=1)
        wicks = self._noise.uniform(salt + _Division.WICKS, index)
        above, below = _whole(wicks * 0.5 * reach), _whole((1 - wicks) * 0.5 * reach)
        high = np.minimum(np.maximum(starts, ends) + above, highs)
        low = np.maximum(np.minimum(starts, ends) - below, lows)
        rows = np.arange(len(index))
        high[rows, np.argmax(np.where(eligible, high, np.iinfo(np.int64).min), axis=1)] = highs[:, 0]
        low[rows, np.argmin(np.where(eligible, low, np.iinfo(np.int64).max), axis=1)] = lows[:, 0]
        return np.stack([starts, high, low, ends])

    # Prices of a midpoint. Each rule never falls where the midpoint rises, so an extreme stays an extreme.

    def _last_of(self, mid: Int64s) -> Int64s:
        tick = self._behaviour.tick
        return (2 * mid * self._behaviour.quantum + tick) // (2 * tick) * tick

    def _bars(self, parts: _Parts, length_s: int, price: Price) -> Bars:
        behaviour = self._behaviour
        tick, half_spread = behaviour.tick, behaviour.half_spread
        start_s = parts.index * length_s
        if price is Price.TRADES:
            bars = Bars(start_s, parts.last, parts.volume, parts.count, behaviour.decimals, behaviour.size_decimals)
            return bars.take(parts.count > 0) if behaviour.trades_per_minute else bars
        mid = parts.mid * behaviour.quantum
        if price is Price.BID:
            mid = (mid - half_spread) // tick * tick
        elif price is Price.ASK:
            mid = -(-(mid + half_spread) // tick) * tick
        not_told = np.full(len(start_s), NOT_TOLD, dtype=np.int64)
        return Bars(start_s, mid, not_told, not_told, behaviour.decimals, behaviour.size_decimals)


def _join(last: Int64s, whole: Int64s, trading: npt.NDArray[np.bool_]) -> None:
    """Let the first part that trades open where the whole opens, and the last close where it closes. Changes `last`, shape (4, n, ratio)."""
    rows = np.arange(trading.shape[0])
    first = np.argmax(trading, axis=1)
    final = trading.shape[1] - 1 - np.argmax(trading[:, ::-1], axis=1)
    last[0, rows, first] = whole[0]
    last[3, rows, final] = whole[3]
    last[1] = np.maximum(last[1], np.maximum(last[0], last[3]))
    last[2] = np.minimum(last[2], np.minimum(last[0], last[3]))


def _divided(spans: Spans, length_s: int) -> tuple[Int64s, Spans]:
    """Return the numbers of all whole parts of `length_s` within the spans, and what of the spans is left over at their edges."""
    first, stop = -(-spans.start_s // length_s), spans.stop_s // length_s
    whole = first < stop
    counts = (stop - first)[whole]
    begins = np.cumsum(counts) - counts
    index = np.arange(counts.sum(), dtype=np.int64) + np.repeat(first[whole] - begins, counts)
    starts = np.concatenate([spans.start_s[~whole], spans.start_s[whole], stop[whole] * length_s])
    stops = np.concatenate([spans.stop_s[~whole], first[whole] * length_s, spans.stop_s[whole]])
    some = starts < stops
    return index, Spans(starts[some], stops[some])


def _whole(values: Floats) -> Int64s:
    return np.rint(values).astype(np.int64)
