"""What an answer says of each session, and whether that is to be believed.

A session is believed if its answer is clean, or if two askings gave the same. Doubtful is

- silence: no bars of a session that is over (a truncated answer, or nothing there);
- a hole: a stretch of regular hours without a bar that is longer than `domain.quality.HoleRule` takes for thin trading, edges included;
- two different values for one bar, or a bar that breaks a rule that every stored bar obeys.

Silence and holes that were said twice are the truth of a thin instrument. Silence between sessions that are full must be said three times: a service
that is ill for a moment says it too, and a session that is taken for empty is not asked for again. Contradictions that were said twice are a failure
of their session.

Of a busy instrument not even that is believed at once: its data service has lost sessions for days, and found them again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from market_data_pipeline.calendars.endings import ends_as_fetched
from market_data_pipeline.domain.bar_table import BarTable, Int64s
from market_data_pipeline.domain.bar_types import DAY_NS, NANOSECONDS
from market_data_pipeline.domain.coverage import Coverage, Quality, SessionAnswer
from market_data_pipeline.domain.quality import HoleRule, broken_rows, measure
from market_data_pipeline.domain.sessions import Partitions, date_of
from market_data_pipeline.domain.source import Precision, SessionFailure
from market_data_pipeline.domain.words import agreeing, count
from market_data_pipeline.sources.ibkr.bars import Exact, Floats, Placed, RawBars, exact, place, table_of
from market_data_pipeline.sources.ibkr.settings import ExcessDecimals, Hours

# The last bars of a session are settled a moment after its end.
_SETTLING_NS = 30 * NANOSECONDS
# So many sessions with holes that were said twice show that an instrument trades thinly; its others are not asked twice.
_HOLES_CONFIRMED = 3
# An instrument is busy if half of the time has bars. A session without any is then a loss at the broker's, for as long as such things last there.
_BUSY_SHARE = 0.5
_LOST_FOR_NS = 7 * DAY_NS


class Doubt(StrEnum):
    """Why an answer is asked for again."""

    SILENT = "no bars"
    HOLE = "a hole in regular hours"
    CONTRADICTION = "two values for one bar"
    BROKEN = "bars that break a rule"


@dataclass(frozen=True, eq=False)
class Seen:
    """What one asking said of one session.

    Attributes:
        bars: Its closed bars, ordered, each once.
        quality: How they look.
        doubt: Why it should be asked for again; None if there is no reason.
        reason: What a person should know of the doubt.
        failure: Why it cannot be stored, whatever another asking says; empty if it can.
        rounded: Bars that were rounded to the instrument's decimals.
    """

    bars: BarTable
    quality: Quality
    doubt: Doubt | None = None
    reason: str = ""
    failure: str = ""
    rounded: int = 0

    def agrees_with(self, other: Seen) -> bool:
        """True if both say the same."""
        return self.doubt == other.doubt and self.bars.fingerprint() == other.bars.fingerprint()


class Judge:
    """Judges the sessions of one fetch.

    Args:
        partitions: The partitions of the series.
        precision: The instrument's decimals.
        hours: Which hours are asked for.
        magnifier: IBKR's price magnifier.
        decimals: What to do with values that need more decimals.
        usual_share: How much of regular hours has bars in stored sessions of the series.
    """

    def __init__(
        self, partitions: Partitions, precision: Precision, hours: Hours, magnifier: int, decimals: ExcessDecimals, usual_share: float = 0.0
    ) -> None:
        self._partitions, self._precision, self._hours = partitions, precision, hours
        self._magnifier = max(magnifier, 1)
        self._decimals = decimals
        self._rule = HoleRule()
        self._holes_confirmed = 0
        self._full = 0
        self._is_busy = usual_share >= _BUSY_SHARE

    def is_over(self, position: int, now_ns: int) -> bool:
        """True if the hours of a partition that are asked for are over, its last bars included."""
        return now_ns >= int(ends_as_fetched(self._partitions, self._hours)[position]) + _SETTLING_NS

    def see(self, raw: RawBars, positions: Iterable[int], now_ns: int) -> dict[int, Seen]:
        """Return what bars say of some partitions.

        Args:
            raw: The bars of everything that was asked for these partitions.
            positions: The partitions.
            now_ns: The gateway's time: bars that close later are still forming.
        """
        placed = place(raw, self._partitions, self._hours)
        known = (placed.positions >= 0) & (self._closed_at(placed) <= now_ns)
        placed = Placed(placed.bars.take(known), placed.positions[known], placed.ts_event[known], placed.ts_init[known])
        values = exact(placed.bars.values, self._precision, self._magnifier)
        found = {}
        for position in positions:
            first, stop = np.searchsorted(placed.positions, [position, position + 1])
            found[position] = self._see_one(position, placed, values, slice(int(first), int(stop)), now_ns)
        return found

    def _closed_at(self, placed: Placed) -> Int64s:
        """Return from when on each bar changes no more; the date that a day bar is stamped to may end before its session does, or after."""
        if not self._partitions.spec.is_daily_or_longer:
            return placed.ts_init
        calendar, at = self._partitions.calendar, self._partitions.calendar_index[np.maximum(placed.positions, 0)]
        return (calendar.close_ns if self._hours is Hours.RTH else calendar.end_ns)[at]

    def _see_one(self, position: int, placed: Placed, values: Exact, rows: slice, now_ns: int) -> Seen:
        opens = placed.ts_event[rows]
        kept = np.zeros(len(placed.positions), dtype=np.bool_)
        kept[rows] = np.concatenate(([True], np.diff(opens) > 0)) if len(opens) else False
        bars = table_of(placed, kept, values.values, self._precision)
        quality = measure(bars, self._partitions, position)
        excess = values.excess[rows]
        if excess.any() and self._decimals is ExcessDecimals.REFUSE:
            return Seen(bars, quality, failure=self._excess(placed.bars.values[rows][excess]))
        rounded = int(excess.sum())
        twice = np.flatnonzero(np.diff(opens) == 0)
        raw = placed.bars.values[rows]
        if len(twice) and (differing := twice[(raw[twice] != raw[twice + 1]).any(axis=1)]).size:
            return Seen(bars, quality, Doubt.CONTRADICTION, f"two different bars open at {_instant(opens[differing[0]])}", rounded=rounded)
        if broken := [f"{rule}: {int(mask.sum())}" for rule, mask in broken_rows(bars).items() if mask.any()]:
            return Seen(bars, quality, Doubt.BROKEN, f"bars that break a rule ({'; '.join(broken)})", rounded=rounded)
        doubt = self._absence(position, bars, quality) if self.is_over(position, now_ns) else None
        self._full += doubt is None and 0 < quality.expected <= quality.regular
        self._is_busy |= quality.expected > 0 and quality.regular >= _BUSY_SHARE * quality.expected
        return Seen(bars, quality, doubt, str(doubt or ""), rounded=rounded)

    def _absence(self, position: int, bars: BarTable, quality: Quality) -> Doubt | None:
        if not len(bars):
            return Doubt.SILENT
        if self._partitions.spec.is_daily_or_longer or self._holes_confirmed >= _HOLES_CONFIRMED:
            return None
        allowed_s = self._rule.longest_allowed_s(self._partitions.spec.length_ns // NANOSECONDS, self._usual_absence_s(position, bars))
        return Doubt.HOLE if quality.longest_absence_s > allowed_s else None

    def _usual_absence_s(self, position: int, bars: BarTable) -> float:
        """Return the median time between the end of a bar and the start of the next one in regular hours, in seconds."""
        open_ns, close_ns = self._partitions.regular_hours(position)
        inside = (bars.ts_init > open_ns) & (bars.ts_event < close_ns)
        gaps = bars.ts_event[inside][1:] - bars.ts_init[inside][:-1]
        return float(np.median(np.maximum(gaps, 0)) / NANOSECONDS) if len(gaps) else 0.0

    def times_to_say(self, seen: Seen) -> int:
        """Return how often a doubtful answer must be given before it is believed."""
        return 3 if seen.doubt is Doubt.SILENT and self._full else 2

    def confirm(self, seen: Seen) -> None:
        """Take note that a doubtful answer was said twice."""
        if seen.doubt is Doubt.HOLE:
            self._holes_confirmed += 1

    def answer(self, position: int, seen: Seen, now_ns: int, *, before_head: bool = False) -> SessionAnswer | SessionFailure:
        """Return the answer of a session that is believed, or its failure.

        Args:
            position: The session.
            seen: What was said of it, as often as it has to be said.
            now_ns: The gateway's time.
            before_head: Whether the gateway says that its data begins later; there is nothing then.
        """
        date = date_of(self._partitions.days[position])
        if seen.failure:
            return SessionFailure(date, seen.failure)
        if seen.doubt in (Doubt.CONTRADICTION, Doubt.BROKEN):
            return SessionFailure(date, f"IBKR answered {seen.reason}, and the same when it was asked again. Run this again later.")
        coverage = Coverage.PARTIAL
        if seen.doubt is Doubt.SILENT and self._is_busy and not before_head and now_ns < (believed_ns := self._believed_ns(position)):
            return SessionFailure(date, _lost(believed_ns))
        if self.is_over(position, now_ns):
            coverage = Coverage.COMPLETE if len(seen.bars) else Coverage.EMPTY
        return SessionAnswer(date, seen.bars, coverage, seen.quality)

    def _believed_ns(self, position: int) -> int:
        """Return from when on silence about a session of a busy instrument is believed."""
        return int(self._partitions.ends[position]) + _LOST_FOR_NS

    def _excess(self, rows: Floats) -> str:
        """Return why values that need more decimals are refused, and the way out."""
        precision = self._precision
        for value, decimals in [(value, precision.price) for value in rows[0][:4]] + [(rows[0][4], precision.size)]:
            if round(float(value) / self._magnifier, decimals) != float(value) / self._magnifier:
                example = f"{value / self._magnifier:.12g}"
                break
        else:
            example = str(rows[0][0])
        return (
            f"{count(len(rows), 'bar')} {agreeing(len(rows), 'has', 'have')} values with more decimals than the instrument (prices "
            f"{precision.price}, sizes {precision.size}), "
            f"for example {example}. To store them rounded: --excess-decimals round"
        )


def _lost(believed_ns: int) -> str:
    day = np.datetime64(believed_ns, "ns").astype("datetime64[D]")
    return (
        "IBKR says that there are no bars, however often it is asked, and sessions around this one are full: it has lost them, most likely for a "
        f"while. Ask again later; from {day} on it is taken at its word."
    )


def _instant(ns: np.integer) -> str:
    return f"{np.datetime64(int(ns), 'ns').astype('datetime64[s]')} UTC"
