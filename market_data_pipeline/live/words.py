"""Why a history is shorter than wanted, in words for a person, each with the way out."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.coverage import Convention
from market_data_pipeline.domain.sessions import Partitions, SessionRange, date_of
from market_data_pipeline.live.reach import Hole
from market_data_pipeline.sources.ibkr import fits_broker


@dataclass(frozen=True)
class HoleWords:
    """A hole, as a person is told of it.

    Attributes:
        partitions: The partitions of the series.
        hole: The hole.
        series: The series.
        asks: Whether a source was allowed that could have filled it.
        stored: Under which convention the series is stored; None where nothing is.
    """

    partitions: Partitions
    hole: Hole
    series: Series
    asks: bool
    stored: Convention | None = None

    def __str__(self) -> str:
        days, positions = self.partitions.days, self.hole.positions
        first, last = date_of(days[positions.start]), date_of(days[positions.stop - 1])
        where = str(SessionRange(first, last, len(positions)))
        if not self.partitions.spec.is_daily_or_longer:
            where = f"between {instant(self.hole.start_ns)} and {instant(self.hole.end_ns)}, {where}"
        load = f"mdp load {self.series.instrument_id} {self.series.spec} --mode full --start {first}"
        if self.stored is not None and not fits_broker(self.series, self.stored):
            load = (
                f"mdp import-csv FILE --instrument {self.series.instrument_id} --bar {self.series.spec} (its prices are stored as "
                f"{self.stored.adjustment}, those of IBKR are adjusted for splits, and they are never mixed; another catalog takes them)"
            )
        out = " Fill it:" if self.asks else " Allow the source ibkr, or fill it before:"
        bars = f"{self.hole.bars:,} bar{'s' if self.hole.bars != 1 else ''}"
        if not self.hole.has_bars_before:
            return f"{bars} {where}: not stored, and nothing before.{out} {load}"
        return f"A hole of {bars} {where}: nothing before it can be used, for indicators over a hole are wrong.{out} {load}"


def lookback_words(sessions: int, bars: int) -> str:
    """Return that a warm-up went back as far as it may."""
    limit = f"{sessions:,} sessions back, as far as this warm-up may go"
    return f"{limit}, there are only {bars:,} bars. Let it go further with lookback_sessions (mdp warmup: --lookback)."


def no_older_words(partitions: Partitions, empty: Sequence[int]) -> str:
    """Return that the broker has nothing before some date."""
    first, last = date_of(partitions.days[min(empty)]), date_of(partitions.days[max(empty)])
    span = f"on {last}" if first == last else f"from {first} to {last}"
    return f"IBKR has no older bars: none {span}. Need fewer bars, or import older ones from files: mdp import-csv FILE"


def instant(ns: int) -> str:
    """Return UTC nanoseconds as `2024-01-05 14:30 UTC`, with seconds where there are some."""
    moment = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(seconds=ns // 1_000_000_000)
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC" if moment.second else f"{moment:%Y-%m-%d %H:%M} UTC"
