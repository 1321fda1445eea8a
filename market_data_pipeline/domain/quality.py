"""How a session's bars look against the calendar, and what that says about a source that cannot be asked again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from market_data_pipeline.domain.bar_table import BarTable, Int64s
from market_data_pipeline.domain.bar_types import NANOSECONDS
from market_data_pipeline.domain.coverage import Coverage, Quality
from market_data_pipeline.domain.sessions import Partitions


def measure(bars: BarTable, partitions: Partitions, position: int) -> Quality:
    """Measure one session's bars (ordered, inside its window) against its regular hours."""
    if partitions.spec.is_daily_or_longer:
        return Quality(expected=1, regular=len(bars), longest_absence_s=0)
    open_ns, close_ns = partitions.regular_hours(position)
    i = int(partitions.calendar_index[position])
    pause = int(partitions.calendar.break_end_ns[i] - partitions.calendar.break_start_ns[i])
    length = partitions.spec.length_ns
    expected = max(0, -(-(close_ns - open_ns - pause) // length))
    opens, closes = bars.ts_event, bars.ts_init
    inside = (closes > open_ns) & (opens < close_ns)
    return Quality(expected, int(inside.sum()), _longest_absence(opens[inside], closes[inside], partitions, position) // NANOSECONDS)


def _longest_absence(opens: Int64s, closes: Int64s, partitions: Partitions, position: int) -> int:
    """Return nanoseconds of the longest stretch of regular hours that no bar touches; an inner pause does not count."""
    open_ns, close_ns = partitions.regular_hours(position)
    starts = np.concatenate(([open_ns], closes))
    stops = np.concatenate((opens, [close_ns]))
    absent = stops - starts
    i = int(partitions.calendar_index[position])
    pause_start, pause_end = partitions.calendar.break_start_ns[i], partitions.calendar.break_end_ns[i]
    absent = absent - np.clip(np.minimum(stops, pause_end) - np.maximum(starts, pause_start), 0, None)
    return max(0, int(absent.max()))


@dataclass(frozen=True)
class HoleRule:
    """How long a stretch of regular hours without bars may be before it counts as a hole in a file.

    A file cannot be asked again, so its bars are the only evidence. Liquid series trade every interval: half an hour without
    a bar is a hole. Thin series are measured by themselves: their own usual absence, many times over. What stays doubtful is
    called partial, never complete: a hole is never taken for thin trading in silence.
    """

    at_least_s: int = 1_800
    at_least_bars: int = 2
    times_usual: float = 30.0

    def longest_allowed_s(self, bar_length_s: int, usual_absence_s: float) -> float:
        """Return the longest absence, in seconds, that is still taken for thin trading."""
        return max(self.at_least_s, self.at_least_bars * bar_length_s, self.times_usual * usual_absence_s)


def judge(bars: BarTable, quality: Quality, longest_allowed_s: float) -> Coverage:
    """Return the coverage of a session that a file answered: complete, or partial where a hole is seen.

    No bars at all is `MISSING`: a file says nothing about what it does not hold.
    """
    if not len(bars):
        return Coverage.MISSING
    return Coverage.COMPLETE if quality.longest_absence_s <= longest_allowed_s else Coverage.PARTIAL


def broken_rows(bars: BarTable) -> dict[str, npt.NDArray[np.bool_]]:
    """Return, rule by rule, which rows break it: the rules that every stored bar obeys, as masks of shape (n,).

    Negative prices are real (crude oil on 2020-04-20), so only sources that know better refuse them.
    """
    top, bottom = np.maximum(bars.open, bars.close), np.minimum(bars.open, bars.close)
    return {
        "low > high": bars.low > bars.high,
        "open or close above high": top > bars.high,
        "open or close below low": bottom < bars.low,
        "negative volume": bars.volume < 0,
        "closes before it opens": bars.ts_init <= bars.ts_event,
    }
