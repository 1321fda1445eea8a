"""When the bars of a foreign file open and close: as Nautilus stamps them, or by what their stamps show against the calendar.

Other programs stamp both times with the open, or both with the close, or the second with the arrival. Which it is, is decided by evidence or
not at all: bars that are taken for closed before they are would let a backtest see the future.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from market_data_pipeline.domain.bar_table import Int64s
from market_data_pipeline.domain.bar_types import DAY_NS
from market_data_pipeline.domain.sessions import Partitions
from market_data_pipeline.domain.words import agreeing, count

_Mask = npt.NDArray[np.bool_]
# Two sessions that begin, and two that end, exactly with the venue's hours are no accident where the other reading never has both.
_EDGES_NEEDED = 2
# Of day bars, a wrong date puts at least every fifth bar on a day that is no session.
_FITS, _DOES_NOT_FIT = 0.95, 0.85


class StampEnd(StrEnum):
    """Which end of a bar a stamp names."""

    OPEN = "open"
    CLOSE = "close"


@dataclass(frozen=True)
class Stamps:
    """What the stamps of a file mean.

    Attributes:
        closes: The close of each bar, nanoseconds since 1970 UTC, shape (n,); undefined where `known` is False.
        known: Whether the close is known, shape (n,).
        notes: What was decided, with its evidence, for a person.
        restamped: Bars whose stamps were not as Nautilus' Interactive Brokers adapter writes them, and are now.
        refused: Why the others were not taken, or None.
    """

    closes: Int64s
    known: _Mask
    notes: tuple[str, ...]
    restamped: int
    refused: str | None


def read_stamps(ts_event: Int64s, ts_init: Int64s, partitions: Partitions, told: StampEnd | None = None) -> Stamps:
    """Return the closes of bars from their two stamps.

    Args:
        ts_event: Shape (n,), nanoseconds since 1970 UTC, as the file has them.
        ts_init: Shape (n,).
        partitions: The sessions of the series.
        told: What a person says that stamps name which do not speak for themselves.
    """
    daily = partitions.spec.is_daily_or_longer
    whole = DAY_NS - 1 if daily else partitions.spec.length_ns
    gap = ts_init - ts_event
    usual = (gap == whole) & (ts_init % DAY_NS == DAY_NS - 1) if daily else gap == whole
    closes, known = ts_init.copy(), usual.copy()
    odd = ~usual
    if not odd.any():
        return Stamps(closes, known, (), 0, None)
    decided = _dates(ts_event[odd], ts_init[odd], partitions, told) if daily else _ends(ts_event[odd], ts_init[odd], partitions, told)
    closes[odd], known[odd] = decided.closes, decided.known
    return Stamps(closes, known, decided.notes, int(decided.known.sum()), decided.refused)


def _refused(count: int, why: str, sample: str) -> Stamps:
    nothing = np.zeros(count, dtype=np.int64)
    return Stamps(
        nothing, np.zeros(count, dtype=np.bool_), (), 0, f"{why}; for example {sample}. Say which end the stamps name: --stamp open or --stamp close"
    )


def _sample(ts_event: Int64s, ts_init: Int64s) -> str:
    return f"ts_event {np.datetime64(int(ts_event[0]), 'ns')}, ts_init {np.datetime64(int(ts_init[0]), 'ns')}"


def _ends(ts_event: Int64s, ts_init: Int64s, partitions: Partitions, told: StampEnd | None) -> Stamps:
    """Decide about bars shorter than a day."""
    length = partitions.spec.length_ns
    early = ts_init - ts_event == length - 1
    stamps = np.where(early, ts_init + 1, np.where(ts_init == ts_event, ts_init, ts_event))
    ahead = int(early.sum())
    closes, known = np.where(early, stamps, 0), early.copy()
    notes = [f"{count(ahead, 'bar')} {agreeing(ahead, 'closes', 'close')} one nanosecond early"] if ahead else []
    rest = ~early
    if not rest.any():
        return Stamps(closes, known, tuple(notes), 0, None)
    hits = {end: _edges(stamps[rest] + (length if end is StampEnd.OPEN else 0), partitions) for end in StampEnd}
    end, evidence = (told, "as was said") if told is not None else _decide(hits)
    if end is None:
        done = _refused(int(rest.sum()), f"stamps that name neither end for certain ({evidence})", _sample(ts_event[rest], ts_init[rest]))
        return Stamps(closes, known, tuple(notes), 0, done.refused)
    closes[rest] = stamps[rest] + (length if end is StampEnd.OPEN else 0)
    known[rest] = True
    notes.append(f"{int(rest.sum()):,} stamps name the bar's {end} ({evidence})")
    return Stamps(closes, known, tuple(notes), 0, None)


@dataclass(frozen=True)
class _Edges:
    """How many sessions begin, and how many end, exactly with the venue's hours, and how many bars lie outside of them."""

    begin: int
    end: int
    outside: int

    @property
    def both(self) -> int:
        """The smaller of the two: a reading that is wrong meets one edge by an absent bar, and the other never."""
        return min(self.begin, self.end)


def _edges(closes: Int64s, partitions: Partitions) -> _Edges:
    closes = np.unique(closes)
    position = partitions.index_of_close(closes)
    inside = (position >= 0) & (position < len(partitions))
    closes, position, strangers = closes[inside], position[inside], int((~inside).sum())
    if not len(closes):
        return _Edges(0, 0, strangers)
    calendar, of = partitions.calendar, partitions.calendar_index[position]
    opens = closes - partitions.spec.length_ns
    first = np.flatnonzero(np.diff(position, prepend=-2))
    last = np.append(first[1:], len(closes)) - 1
    begin = (opens[first] == calendar.open_ns[of[first]]) | (opens[first] == calendar.pre_ns[of[first]])
    end = (closes[last] == calendar.close_ns[of[last]]) | (closes[last] == calendar.end_ns[of[last]])
    outside = (opens < calendar.pre_ns[of]) | (closes > calendar.end_ns[of])
    return _Edges(int(begin.sum()), int(end.sum()), int(outside.sum()) + strangers)


def _decide(edges: Mapping[StampEnd, _Edges]) -> tuple[StampEnd | None, str]:
    for end, other in ((StampEnd.OPEN, StampEnd.CLOSE), (StampEnd.CLOSE, StampEnd.OPEN)):
        mine, theirs = edges[end], edges[other]
        if mine.both >= _EDGES_NEEDED and not theirs.both and mine.outside <= theirs.outside:
            return end, f"as {end}s {_told(mine)}, as {other}s {_told(theirs)}"
    return None, "; ".join(
        f"as {end}s {_told(one)} and {count(one.outside, 'bar')} {agreeing(one.outside, 'lies', 'lie')} outside of them" for end, one in edges.items()
    )


def _told(edges: _Edges) -> str:
    return (
        f"{count(edges.begin, 'session')} {agreeing(edges.begin, 'begins', 'begin')} and {edges.end:,} "
        f"{agreeing(edges.end, 'ends', 'end')} exactly with the venue's hours"
    )


def _dates(ts_event: Int64s, ts_init: Int64s, partitions: Partitions, told: StampEnd | None) -> Stamps:
    """Decide to which date bars of a day and longer belong."""
    candidates = _candidate_days(ts_event, ts_init, partitions, told)
    share = {name: float(np.isin(days, partitions.days).mean()) * (len(np.unique(days)) / len(days) > 0.5) for name, days in candidates.items()}
    best = max(share, key=lambda name: share[name])
    rivals = [name for name in candidates if not np.array_equal(candidates[name], candidates[best])]
    certain = share[best] >= _FITS and all(share[name] <= _DOES_NOT_FIT or (share[best] == 1 and share[name] < 1) for name in rivals)
    if not certain:
        shares = ", ".join(f"{name}: {value:.0%} are sessions" for name, value in share.items())
        return _refused(len(ts_event), f"stamps that name no date for certain ({shares})", _sample(ts_event, ts_init))
    days = candidates[best]
    beside = max((share[name] for name in rivals), default=0.0)
    note = f"{len(days):,} day stamps name their date as {best}: {share[best]:.0%} of these dates are sessions"
    note += f", {beside:.0%} by the next best reading" if rivals else ""
    return Stamps((days + 1) * DAY_NS - 1, np.ones(len(days), dtype=np.bool_), (note,), 0, None)


def _candidate_days(ts_event: Int64s, ts_init: Int64s, partitions: Partitions, told: StampEnd | None) -> dict[str, Int64s]:
    calendar = partitions.calendar
    if told is not None:
        stamps = ts_event if told is StampEnd.OPEN else ts_init - 1
        return {f"the UTC date of the {told}": stamps // DAY_NS}
    after = np.clip(np.searchsorted(calendar.end_ns, ts_event, side="right"), 0, len(calendar.days) - 1)
    session = np.where(ts_event >= calendar.pre_ns[after], calendar.days[after], -1)
    candidates = {
        "the UTC date of ts_event": ts_event // DAY_NS,
        "the UTC date of ts_init": ts_init // DAY_NS,
        "the UTC day that ts_init ends": (ts_init - 1) // DAY_NS,
    }
    return candidates | {"the session that ts_event opens in": session} if (session >= 0).all() else candidates
