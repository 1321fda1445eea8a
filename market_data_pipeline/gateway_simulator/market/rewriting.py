"""History that a broker has rewritten: values that were corrected, and prices that were put on the base after a split."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

import numpy as np

from market_data_pipeline.domain.bar_table import Int64s
from market_data_pipeline.domain.sessions import day_number
from market_data_pipeline.gateway_simulator.market.bars import NOT_TOLD
from market_data_pipeline.gateway_simulator.market.reading import TimedBars

_ONE_IN = 10
_MIX = np.uint64(0x9E3779B97F4A7C15)


class Rewrite(Protocol):
    """Says what becomes of bars."""

    def apply(self, timed: TimedBars, days: Int64s, step: int) -> TimedBars:
        """Return the bars as they are now.

        Args:
            timed: The bars as they were.
            days: Day number of the session of each.
            step: Smallest step of a price, in units of the last decimal.
        """
        ...


@dataclass(frozen=True)
class Lost:
    """The bars of some sessions are gone."""

    sessions: Collection[dt.date]

    def apply(self, timed: TimedBars, days: Int64s, step: int) -> TimedBars:
        """Return the bars of all others."""
        return timed.take(~np.isin(days, _numbers(self.sessions)))


@dataclass(frozen=True)
class Revised:
    """About one bar in ten of some sessions closes one to three ticks higher and traded 7 % more; one bar of each is gone.

    The same of the same bar however often it is asked for; another seed picks other bars.
    """

    sessions: Collection[dt.date]
    seed: int = 1

    def apply(self, timed: TimedBars, days: Int64s, step: int) -> TimedBars:
        """Return the bars as they were corrected."""
        inside = np.isin(days, _numbers(self.sessions))
        lot = _lots(timed.bars.start_s, self.seed)
        picked = inside & (lot % _ONE_IN == 0)
        ohlc = timed.bars.ohlc.copy()
        ohlc[3, picked] += step * (1 + (lot[picked] // _ONE_IN) % 3)
        ohlc[1] = np.maximum(ohlc[1], ohlc[3])
        volume = np.where(picked & (timed.bars.volume != NOT_TOLD), timed.bars.volume * 107 // 100, timed.bars.volume)
        corrected = replace(timed, bars=replace(timed.bars, ohlc=ohlc, volume=volume))
        gone = np.zeros(len(days), dtype=np.bool_)
        for day in np.unique(days[inside]):
            of_day = np.flatnonzero(days == day)
            if len(of_day) > 1:  # a session that has one bar keeps it
                gone[of_day[np.argmax(lot[of_day])]] = True
        return corrected.take(~gone)


@dataclass(frozen=True)
class Split:
    """All prices of sessions before a date are divided by a ratio, rounded to ticks; volumes are multiplied by it."""

    ratio: float
    before: dt.date | None = None

    def apply(self, timed: TimedBars, days: Int64s, step: int) -> TimedBars:
        """Return the bars on the base after the split."""
        older = days < (day_number(self.before) if self.before is not None else days.max(initial=0) + 1)
        bars = timed.bars
        ohlc = np.where(older, step * np.rint(bars.ohlc / (self.ratio * step)).astype(np.int64), bars.ohlc)
        volume = np.where(older & (bars.volume != NOT_TOLD), np.rint(bars.volume * self.ratio).astype(np.int64), bars.volume)
        return replace(timed, bars=replace(bars, ohlc=ohlc, volume=volume))


class Other(StrEnum):
    """What is other with sessions."""

    CLOSED = "closed"
    OPENED = "opened"
    EARLY = "early"


@dataclass(frozen=True)
class Rescheduled:
    """Sessions of a venue that are other than in its calendar: closed, open where it is closed (with the hours of the session before), or over early.

    Early is at 13:00 on the contract's clocks.
    """

    sessions: Collection[dt.date]
    how: Other

    def apply(self, sessions: list[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
        """Return (start, end, date) of each session as it is now; what lies outside the first and the last date stays out."""
        dates = {f"{date:%Y%m%d}" for date in self.sessions}
        if self.how is Other.CLOSED:
            return [one for one in sessions if one[2] not in dates]
        if self.how is Other.EARLY:
            return [(start, f"{end[:9]}13:00:00" if date in dates else end, date) for start, end, date in sessions]
        found = list(sessions)
        for date in sorted(dates):
            before = [one for one in found if one[2] < date]
            if before and date < found[-1][2]:
                start, end, _ = before[-1]
                found.append((f"{date}{start[8:]}", f"{date}{end[8:]}", date))
                found.sort(key=lambda one: one[2])
        return found


def _numbers(sessions: Collection[dt.date]) -> list[int]:
    return [day_number(date) for date in sessions]


def _lots(start_s: Int64s, seed: int) -> Int64s:
    """Return a number for each bar, the same for the same bar and seed."""
    with np.errstate(over="ignore"):
        mixed = (start_s.astype(np.uint64) + np.uint64(seed)) * _MIX
        mixed ^= mixed >> np.uint64(31)
        mixed *= _MIX
    return (mixed >> np.uint64(33)).astype(np.int64)
