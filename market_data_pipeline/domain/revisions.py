"""What changed in bars that were asked for again: single values, or the base of all prices. Pure; arrays, no loops over bars."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from market_data_pipeline.domain.bar_table import PRICE_COLUMNS, VALUE_COLUMNS, BarTable, Int64s

# The smallest stock dividends that prices are adjusted for are of 2 %; what all bars of a session moved by less is a correction.
_SMALLEST_REBASE = 0.01
_LARGEST_DENOMINATOR = 100
_EXPLAINED = 0.9
_NEAR_THE_MEDIAN = 0.05
_VOLUME_TOLERANCE = 0.02


@dataclass(frozen=True, eq=False)
class Changes:
    """The bars of one session that are not as they were. Arrays of shape (n,), ordered by open; all bars that did not change are left out.

    Attributes:
        session: The session's date.
        ts_event: int64, opens in nanoseconds since 1970 UTC.
        ts_init: int64, closes.
        was: bool, True where the bar was stored before.
        is_now: bool, True where the source has it now.
        old: int64 of shape (5, n): open, high, low, close, volume in units of the last decimal; of no meaning where the bar was not.
        new: The same as the source has them now.
    """

    session: dt.date
    ts_event: Int64s
    ts_init: Int64s
    was: npt.NDArray[np.bool_]
    is_now: npt.NDArray[np.bool_]
    old: Int64s
    new: Int64s

    def __len__(self) -> int:
        return len(self.ts_event)

    @property
    def added(self) -> int:
        """Bars that were not stored."""
        return int((~self.was).sum())

    @property
    def gone(self) -> int:
        """Bars that the source has no more."""
        return int((~self.is_now).sum())

    @property
    def largest(self) -> float:
        """Largest change of a price, as a fraction of what it was; 0 where no price of a bar changed."""
        both = self.was & self.is_now
        old, new = (values[: len(PRICE_COLUMNS), both].astype(np.float64) for values in (self.old, self.new))
        if not old.size:
            return 0.0
        return float((np.abs(new - old) / np.maximum(np.abs(old), 1)).max())


def changes_between(session: dt.date, old: BarTable, new: BarTable) -> Changes:
    """Return which bars of a session are other than they were, matched by their opens. Both tables are ordered and of one precision."""
    ts_event = np.union1d(old.ts_event, new.ts_event)
    was, before, old_init = _laid_out(ts_event, old)
    is_now, after, new_init = _laid_out(ts_event, new)
    closes = np.where(is_now, new_init, old_init)
    differ = (was != is_now) | (was & is_now & ((before != after).any(axis=0) | (old_init != new_init)))
    return Changes(session, ts_event[differ], closes[differ], was[differ], is_now[differ], before[:, differ], after[:, differ])


def _laid_out(ts_event: Int64s, bars: BarTable) -> tuple[npt.NDArray[np.bool_], Int64s, Int64s]:
    at = np.searchsorted(ts_event, bars.ts_event)
    there = np.zeros(len(ts_event), dtype=np.bool_)
    there[at] = True
    values = np.zeros((len(VALUE_COLUMNS), len(ts_event)), dtype=np.int64)
    values[:, at] = np.stack([bars.column(name) for name in VALUE_COLUMNS])
    closes = np.zeros(len(ts_event), dtype=np.int64)
    closes[at] = bars.ts_init
    return there, values, closes


@dataclass(frozen=True)
class Ratio:
    """By what the prices of a session were divided: every value in [low, high] explains them, within the rounding of the last decimal.

    Attributes:
        session: The session's date.
        low: Lowest such value.
        high: Highest.
        volume: By what the session's volume was multiplied; None where it has none.
    """

    session: dt.date
    low: float
    high: float
    volume: float | None


def ratio_of(session: dt.date, old: BarTable, new: BarTable) -> Ratio | None:
    """Return by what the prices of a session were divided; None if no one number explains them, or it is nearer to 1 than any re-basing.

    An old price p was the true price x within half a unit of the last decimal, the new one q is x / r within half a unit: so r lies in
    [(p - 1/2) / (q + 1/2), (p + 1/2) / (q - 1/2)] for each price, and in what all these intervals share. Up to a tenth of the bars may lie outside:
    bars are corrected on the day of a split, too.
    """
    _, at_old, at_new = np.intersect1d(old.ts_event, new.ts_event, assume_unique=True, return_indices=True)
    if not len(at_old) or 2 * len(at_old) < max(len(old), len(new)):
        return None
    before, after = (np.stack([bars.column(name)[at] for name in PRICE_COLUMNS]).astype(np.float64) for bars, at in ((old, at_old), (new, at_new)))
    if before.min() <= 0.5 or after.min() <= 0.5:  # prices of zero and below have no ratio
        return None
    each = before / after
    near = np.abs(each / np.median(each) - 1).max(axis=0) < _NEAR_THE_MEDIAN
    if not near.any():
        return None
    usual = float(before[:, near].sum() / after[:, near].sum())
    lows, highs = ((before - 0.5) / (after + 0.5)).max(axis=0), ((before + 0.5) / (after - 0.5)).min(axis=0)
    explained = (lows <= usual) & (usual <= highs)
    if explained.mean() < _EXPLAINED or abs(usual - 1) < _SMALLEST_REBASE:
        return None
    low, high = float(lows[explained].max()), float(highs[explained].min())
    if low - _SMALLEST_REBASE < 1 < high + _SMALLEST_REBASE:
        return None
    was, now = int(old.volume[at_old].sum()), int(new.volume[at_new].sum())
    return Ratio(session, low, high, now / was if was and now else None)


@dataclass(frozen=True)
class Rebase:
    """All prices of some sessions were divided by one number: a split, or a symbol that was put on another base.

    Attributes:
        ratio: What the old prices are of the new ones: 4 after a split of 4:1.
        first: The oldest of the sessions.
        last: The newest.
        sessions: How many there are.
        volume_is_inverse: Whether volumes were multiplied by the same number; None where there are none.
    """

    ratio: Fraction
    first: dt.date
    last: dt.date
    sessions: int
    volume_is_inverse: bool | None

    @property
    def factor(self) -> str:
        """What prices were multiplied by: `1/4`."""
        inverse = 1 / self.ratio
        return str(inverse.numerator) if inverse.denominator == 1 else f"{inverse.numerator}/{inverse.denominator}"

    @property
    def name(self) -> str:
        """What it looks like: `split 4:1`."""
        if self.volume_is_inverse is False:
            return f"prices on another base, {self.ratio.numerator}:{self.ratio.denominator}, volumes as before"
        return f"split {self.ratio.numerator}:{self.ratio.denominator}"


def rebases_of(ratios: Sequence[Ratio]) -> tuple[Rebase, ...]:
    """Return the re-basings that explain the ratios of sessions, oldest first: neighbours that one number explains are one."""
    found: list[list[Ratio]] = []
    for one in sorted(ratios, key=lambda ratio: ratio.session):
        if found and max(r.low for r in (*found[-1], one)) <= min(r.high for r in (*found[-1], one)):
            found[-1].append(one)
        else:
            found.append([one])
    return tuple(_rebase(group) for group in found)


def _rebase(group: Sequence[Ratio]) -> Rebase:
    ratio = simplest_between(max(one.low for one in group), min(one.high for one in group))
    volumes = [one.volume for one in group if one.volume is not None]
    inverse = abs(float(np.median(volumes)) / float(ratio) - 1) < _VOLUME_TOLERANCE if volumes else None
    return Rebase(ratio, group[0].session, group[-1].session, len(group), inverse)


def simplest_between(low: float, high: float) -> Fraction:
    """Return the fraction with the smallest denominator in [low, high], 0 < low <= high; none of 100 and below: the nearest to the middle."""
    for denominator in range(1, _LARGEST_DENOMINATOR + 1):
        numerator = int(np.ceil(low * denominator - 1e-9))
        if numerator and numerator <= high * denominator + 1e-9:
            return Fraction(numerator, denominator)
    return Fraction((low + high) / 2).limit_denominator(10_000)
