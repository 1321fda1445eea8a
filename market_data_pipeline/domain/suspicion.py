"""What in stored bars looks wrong without being forbidden: jumps like splits, sessions without volume, bars that repeat.

All rules work on one row a session (`SessionFacts`), so ten years of minutes are 2,500 rows, and are vectorised over them. They speak of
suspicions, never of errors: a share can halve overnight. What a rule takes as usual it learns from the sessions around.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from market_data_pipeline.domain.bar_table import BarTable, Int64s
from market_data_pipeline.domain.bar_types import BarSpec, PriceType
from market_data_pipeline.domain.sessions import Partitions, date_of
from market_data_pipeline.domain.words import count

Floats = npt.NDArray[np.float64]
FACT_COLUMNS = ("days", "open", "high", "low", "close", "volume", "bars", "flat_bars", "flat_from_ns")

_SPLITS = np.array([1.5, 2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 25, 30, 40, 50, 100])
_NEIGHBOURS = 20
# A jump below a quarter is weather; and one that is not ten times the usual move of its neighbours is weather there.
_LEAST_JUMP, _TIMES_USUAL_MOVE = 0.25, 10.0
# How far, in logarithms, an open may lie from the exact ratio: a split does not stop the market from moving.
_NARROWEST, _WIDEST, _USUAL_MOVES = 0.02, 0.08, 3.0
# Two sessions farther apart than the longest holidays are not neighbours: a share may double in a year.
_DAYS_BETWEEN_NEIGHBOURS, _DAYS_BETWEEN_LONG_BARS = 12, 45
_FLAT_NS, _FLAT_BARS, _TIMES_USUAL_RUN, _FLAT_SESSIONS = 1_800_000_000_000, 5, 5.0, 3


@dataclass(frozen=True, eq=False)
class SessionFacts:
    """What the rules need to know of each session that has bars; arrays of shape (n,), int64, oldest session first.

    Attributes:
        days: Day numbers of the sessions (days since 1970-01-01).
        open: Open of the first bar, units of 10**-price_precision.
        high: Highest high.
        low: Lowest low.
        close: Close of the last bar.
        volume: Sum of the volumes.
        bars: Number of bars.
        flat_bars: Length of the longest run of bars with the same four prices.
        flat_from_ns: Open of the first bar of that run, UTC nanoseconds.
        price_precision: Decimals of the prices.
    """

    days: Int64s
    open: Int64s
    high: Int64s
    low: Int64s
    close: Int64s
    volume: Int64s
    bars: Int64s
    flat_bars: Int64s
    flat_from_ns: Int64s
    price_precision: int

    @classmethod
    def none(cls, price_precision: int = 0) -> SessionFacts:
        """Return the facts of no session."""
        return cls(**{name: np.empty(0, dtype=np.int64) for name in FACT_COLUMNS}, price_precision=price_precision)

    @classmethod
    def of(cls, bars: BarTable, partitions: Partitions) -> SessionFacts:
        """Sum up ordered bars of any number of whole sessions."""
        if not len(bars):
            return cls.none(bars.price_precision)
        position = partitions.index_of_close(bars.ts_init)
        first = np.flatnonzero(np.diff(position, prepend=-2))
        last = np.append(first[1:], len(bars)) - 1
        run_length, run_start = _longest_runs(bars, position)
        return cls(
            days=partitions.days[position[first]],
            open=bars.open[first],
            high=np.maximum.reduceat(bars.high, first),
            low=np.minimum.reduceat(bars.low, first),
            close=bars.close[last],
            volume=np.add.reduceat(bars.volume, first),
            bars=last - first + 1,
            flat_bars=run_length,
            flat_from_ns=bars.ts_event[run_start],
            price_precision=bars.price_precision,
        )

    def __len__(self) -> int:
        return len(self.days)

    def column(self, name: str) -> Int64s:
        """Return one of `FACT_COLUMNS` by name."""
        array: Int64s = getattr(self, name)
        return array

    @classmethod
    def joined(cls, pieces: Sequence[SessionFacts]) -> SessionFacts:
        """Join facts of different sessions of one series; the last piece that has any says how many decimals there are."""
        columns = {name: np.concatenate([piece.column(name) for piece in pieces]) for name in FACT_COLUMNS}
        order = np.argsort(columns["days"], kind="stable")
        precision = next((piece.price_precision for piece in reversed(pieces) if len(piece)), pieces[0].price_precision)
        return cls(**{name: array[order] for name, array in columns.items()}, price_precision=precision)

    def replaced(self, days: Int64s, fresh: SessionFacts) -> SessionFacts:
        """Return these facts with `fresh` in place of what they say of `days`."""
        kept = ~np.isin(self.days, days)
        here = SessionFacts(**{name: self.column(name)[kept] for name in FACT_COLUMNS}, price_precision=self.price_precision)
        return SessionFacts.joined([here, fresh])


def _longest_runs(bars: BarTable, position: Int64s) -> tuple[Int64s, Int64s]:
    """Return, for each session, the length of its longest run of equal bars and the row where that begins."""
    new = np.diff(position, prepend=-2) != 0
    for name in ("open", "high", "low", "close"):
        new |= np.diff(bars.column(name), prepend=bars.column(name)[0]) != 0
    starts = np.flatnonzero(new)
    lengths = np.diff(np.append(starts, len(bars)))
    # Longest first within each session, so that the first row of each session is its longest run.
    order = np.lexsort((starts, -lengths, position[starts]))
    first = np.flatnonzero(np.diff(position[starts][order], prepend=-2))
    return lengths[order][first].astype(np.int64), starts[order][first].astype(np.int64)


@dataclass(frozen=True)
class Suspicion:
    """Sessions that look wrong; first and last are dates, both inclusive."""

    first: dt.date
    last: dt.date
    what: str


def split_like_jumps(facts: SessionFacts, spec: BarSpec) -> Iterator[Suspicion]:
    """Yield sessions that open near 1/2, 2, 1/3, 3, 1/4 … of the close before, far outside of what is usual there.

    Usual is the median move between closes of the 20 sessions before and the 20 after, the jump itself left out.
    """
    if len(facts) < 2:
        return
    scale = np.float64(10**facts.price_precision)
    with np.errstate(divide="ignore", invalid="ignore"):
        # Prices at or below zero are real (crude oil on 2020-04-20) and have no ratio.
        opens, closes = (np.where(column > 0, np.log(column / scale), np.nan) for column in (facts.open, facts.close))
    jump = opens[1:] - closes[:-1]
    usual = _usual_moves(np.abs(np.diff(closes)))
    ratio = np.log(_SPLITS)
    nearest = np.abs(np.abs(np.nan_to_num(jump))[:, None] - ratio).argmin(axis=1)
    off = np.abs(np.abs(jump) - ratio[nearest])
    apart = np.diff(facts.days)
    near = apart <= (_DAYS_BETWEEN_LONG_BARS if spec.is_daily_or_longer else _DAYS_BETWEEN_NEIGHBOURS)
    large = np.abs(jump) > np.maximum(_LEAST_JUMP, _TIMES_USUAL_MOVE * usual)
    fits = off <= np.clip(_USUAL_MOVES * usual, _NARROWEST, _WIDEST)
    for i in np.flatnonzero(large & fits & near):
        date = date_of(facts.days[i + 1])
        share = f"{_SPLITS[nearest[i]]:g}"
        split = f"a {share}-for-1 split" if jump[i] < 0 else f"a 1-for-{share} reverse split"
        before, after = (f"{value / scale:.{facts.price_precision}f}" for value in (facts.close[i], facts.open[i + 1]))
        yield Suspicion(date, date, f"opens at {after} after a close of {before}, as after {split}; usual here is {np.expm1(usual[i]):.1%} a session")


def _usual_moves(moves: Floats) -> Floats:
    """Return for each move the median of its neighbours, without itself; 0 where it has none."""
    padded = np.concatenate([np.full(_NEIGHBOURS, np.nan), moves, np.full(_NEIGHBOURS, np.nan)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * _NEIGHBOURS + 1).copy()
    windows[:, _NEIGHBOURS] = np.nan
    known = ~np.isnan(windows).all(axis=1)
    usual = np.zeros(len(moves))
    usual[known] = np.nanmedian(windows[known], axis=1)
    return usual


def sessions_without_volume(facts: SessionFacts, spec: BarSpec) -> Iterator[Suspicion]:
    """Yield runs of sessions with trades and no volume, where other sessions of the series have some.

    Quotes and midpoints have no volume, and neither has a series of a source that knows none.
    """
    if spec.price_type is not PriceType.LAST or not facts.volume.any():
        return
    for first, last in _runs(facts.volume == 0):
        bars = int(facts.bars[first : last + 1].sum())
        yield Suspicion(
            date_of(facts.days[first]), date_of(facts.days[last]), f"{count(bars, 'bar')} and no volume; other sessions of this series have some"
        )


def flat_runs(facts: SessionFacts, spec: BarSpec) -> Iterator[Suspicion]:
    """Yield sessions in which bar after bar has the same four prices, as a feed does that has died.

    Within a session: at least half an hour and 5 bars, and 5 times as long as the longest such run of the median session: thin series
    repeat themselves. Of bars of a day and longer: at least 3 sessions in a row.
    """
    if spec.is_daily_or_longer:
        same = np.ones(max(len(facts) - 1, 0), dtype=np.bool_)
        for name in ("open", "high", "low", "close"):
            same &= np.diff(facts.column(name)) == 0
        for first, last in _runs(same):
            sessions = int(last - first + 2)
            if sessions >= _FLAT_SESSIONS:
                yield Suspicion(date_of(facts.days[first]), date_of(facts.days[last + 1]), f"{sessions} sessions in a row with the same four prices")
        return
    if not len(facts):
        return
    usual = float(np.median(facts.flat_bars))
    least = max(_FLAT_BARS, -(-_FLAT_NS // spec.length_ns), _TIMES_USUAL_RUN * usual)
    for i in np.flatnonzero(facts.flat_bars >= least):
        date = date_of(facts.days[i])
        since = str(np.datetime64(int(facts.flat_from_ns[i]), "ns"))[11:16]
        yield Suspicion(date, date, f"{int(facts.flat_bars[i])} bars in a row with the same four prices, from {since} UTC; usual here is {usual:g}")


def _runs(wanted: npt.NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """Yield first and last position of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], wanted, [False])).astype(np.int8)))
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        yield int(start), int(stop) - 1
