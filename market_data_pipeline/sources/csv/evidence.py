"""A hypothesis about a file's clock and stamps, held against the venue's hours: does it fit, can it be, is it excluded, and why?"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from market_data_pipeline.domain.bar_table import Int64s
from market_data_pipeline.domain.bar_types import DAY_NS, NANOSECONDS
from market_data_pipeline.sources.csv.hours import Hours, VenueHours
from market_data_pipeline.sources.csv.layout import Stamp
from market_data_pipeline.tabular.zones import changes_between, to_utc, to_wall

_MINUTE_NS = 60 * NANOSECONDS
_BUCKET_NS = 15 * _MINUTE_NS  # opens and closes of venues, and offsets of zones, stand on quarters of an hour
_SEVERAL = 3  # sessions that begin or end alike before that counts as the hours of a file
_SHARE = 0.05
_SURELY_OUTSIDE = 4
_PAUSE_SEEN_NS = 15 * _MINUTE_NS


class Standing(IntEnum):
    """How a hypothesis stands, the best first."""

    FITS = 0  # sessions begin and end with hours that the venue has
    POSSIBLE = 1  # nothing speaks against it
    DOUBTFUL = 2  # too little speaks against it to exclude it
    EXCLUDED = 3


@dataclass(frozen=True)
class Hypothesis:
    """A reading of a file's times.

    Attributes:
        zone: The clock of times without an offset; None where the text says the offset.
        stamp: Which end of a bar the stamps name.
    """

    zone: str | None
    stamp: Stamp


@dataclass(frozen=True, eq=False)
class Judgement:
    """What the file says about a hypothesis.

    Attributes:
        hypothesis: The hypothesis.
        standing: How it stands.
        reason: Why, in words.
        opens: int64 UTC nanoseconds of the bars' opens under it: hypotheses with the same are one reading.
        hours: The hours that it fits, or None.
        gross: True where so much speaks against it that it is refused even where it was declared and nothing else fits better.
    """

    hypothesis: Hypothesis
    standing: Standing
    reason: str
    opens: Int64s
    hours: str | None = None
    gross: bool = False


def distinct(times: Int64s) -> Int64s:
    """Return times sorted, each once. Those of a file stand in order nearly always, which `np.unique` does not use: it hashes them."""
    ordered = times if (times[1:] >= times[:-1]).all() else np.sort(times, kind="stable")
    kept: Int64s = ordered[np.append(True, ordered[1:] != ordered[:-1])] if len(ordered) else ordered
    return kept


def thinned(wall_ns: Int64s) -> Int64s:
    """Return sorted stamps, the first and last of each quarter of an hour: the ones that lie at an edge are among them."""
    wall = distinct(wall_ns)
    if len(wall) < 3:
        return wall
    bucket = wall // _BUCKET_NS
    edge = np.append(True, bucket[1:] != bucket[:-1]) | np.append(bucket[1:] != bucket[:-1], True)
    kept: Int64s = wall[edge]
    return kept


@dataclass(frozen=True, eq=False)
class Edges:
    """The first and last stamp inside each interval of some hours that has any; arrays of shape (k,).

    Attributes:
        index: Positions of the intervals.
        first: int64 UTC nanoseconds.
        last: int64 UTC nanoseconds.
        outside: Stamps that lie in no interval.
        gaps: Between how many intervals these lie.
        example: One of them, or 0.
    """

    index: Int64s
    first: Int64s
    last: Int64s
    outside: int
    gaps: int
    example: int


def edges_of(stamps: Int64s, stamp: Stamp, length_ns: int, hours: Hours) -> Edges:
    """Return where stamps (sorted UTC nanoseconds) begin and end in each interval. A bar lies in one that it overlaps."""
    if stamp is Stamp.OPEN:
        at = np.searchsorted(hours.starts - length_ns, stamps, side="left") - 1
        inside = (at >= 0) & (stamps < hours.ends[np.maximum(at, 0)])
    else:
        at = np.searchsorted(hours.starts, stamps, side="left") - 1
        inside = (at >= 0) & (stamps < hours.ends[np.maximum(at, 0)] + length_ns)
    lost = stamps[~inside]
    found = at[inside]  # in order, as the stamps are
    first = np.flatnonzero(np.append(True, found[1:] != found[:-1])) if len(found) else found
    index = found[first]
    kept = stamps[inside]
    last = kept[np.append(first[1:], len(kept)) - 1] if len(kept) else kept
    return Edges(index, kept[first], last, len(lost), len(np.unique(at[~inside])), int(lost[len(lost) // 2]) if len(lost) else 0)


def judge(hypothesis: Hypothesis, wall: Int64s, offset: Int64s | None, length_ns: int, venue: VenueHours) -> Judgement:
    """Hold a hypothesis against the venue's hours.

    Args:
        hypothesis: The hypothesis.
        wall: Thinned stamps as the file's clock shows them, int64 nanoseconds.
        offset: Their UTC offsets where the text says them.
        length_ns: Length of the bars.
        venue: The venue's hours.
    """
    utc, missing = wall if offset is None else wall - offset, 0
    if hypothesis.zone is not None:
        local = to_utc(hypothesis.zone, wall)
        utc, missing = distinct(local.first), int(local.nonexistent.sum())
    opens = utc if hypothesis.stamp is Stamp.OPEN else utc - length_ns
    if missing >= 2:
        reason = f"{missing} stamps would show times that this clock skips in spring"
        return Judgement(hypothesis, Standing.EXCLUDED, reason, opens)
    if venue.widest is None:
        return Judgement(hypothesis, Standing.POSSIBLE, "the venue never shuts, so no hours speak for or against it", opens)
    edges = edges_of(utc, hypothesis.stamp, length_ns, venue.widest)
    allowed = len(edges.index) // 100
    if edges.gaps > allowed:
        sure = edges.gaps >= 2 or edges.outside >= _SURELY_OUTSIDE
        what = f"bars would trade outside {venue.widest.name}, for example at {_clock(edges.example, venue.zone)} ({venue.zone})"
        widely = edges.outside >= _SURELY_OUTSIDE and edges.outside > len(utc) * _SHARE
        always = edges.gaps >= 2 and 2 * edges.gaps >= len(edges.index)
        return Judgement(hypothesis, Standing.EXCLUDED if sure else Standing.DOUBTFUL, what, opens, gross=widely or always)
    # IDEALPRO's pause of a quarter of an hour is not to be seen in longer bars.
    for hours in () if venue.is_currency and length_ns > _PAUSE_SEEN_NS else venue.usual:
        if _fits(edges_of(utc, hypothesis.stamp, length_ns, hours), hypothesis.stamp, length_ns, hours, allowed):
            return Judgement(hypothesis, Standing.FITS, f"sessions begin and end with {hours.name}", opens, hours.name)
    if not venue.is_currency:
        odd = _odd_edge(utc, hypothesis.stamp, length_ns, venue)
        if odd is not None:
            return Judgement(hypothesis, Standing.EXCLUDED, odd.reason, opens, gross=odd.is_shift)
    return Judgement(hypothesis, Standing.POSSIBLE, f"all bars lie inside {venue.widest.name}", opens)


def _clock(ns: int, zone: str) -> str:
    wall = int(to_wall(zone, np.array([ns], dtype=np.int64))[0])
    return str(np.datetime64(wall, "ns").astype("datetime64[m]")).replace("T", " ")


def _hits(edges: Edges, stamp: Stamp, length_ns: int, hours: Hours) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Return in which intervals the first bar begins with them, and in which the last one ends with them."""
    start, end = hours.starts[edges.index], hours.ends[edges.index]
    if stamp is Stamp.OPEN:
        return (edges.first <= start) & (edges.first > start - length_ns), (edges.last < end) & (edges.last >= end - length_ns)
    return (edges.first > start) & (edges.first <= start + length_ns), (edges.last >= end) & (edges.last < end + length_ns)


def _enough(hits: npt.NDArray[np.bool_]) -> bool:
    return int(hits.sum()) >= max(_SEVERAL, int(len(hits) * _SHARE))


def _fits(edges: Edges, stamp: Stamp, length_ns: int, hours: Hours, allowed: int) -> bool:
    if edges.gaps > allowed or not len(edges.index):
        return False
    first, last = _hits(edges, stamp, length_ns, hours)
    return _enough(first) and _enough(last)


@dataclass(frozen=True)
class _OddEdge:
    """Sessions begin or end where the venue neither opens nor closes.

    Attributes:
        reason: In words.
        is_shift: They last as long as regular hours, so that these were moved, and not cut.
    """

    reason: str
    is_shift: bool


def _odd_edge(utc: Int64s, stamp: Stamp, length_ns: int, venue: VenueHours) -> _OddEdge | None:
    """Return where sessions sharply begin or end at a time at which the venue neither opens nor closes; None if they do not."""
    found: list[str] = []
    late: list[int] = []
    regular, extended = venue.usual[0], venue.usual[1]
    edges = edges_of(utc, stamp, length_ns, extended)
    if len(edges.index) < _SEVERAL:
        return None
    clipped = Hours("", regular.starts[edges.index], regular.ends[edges.index])
    widest = Hours("", extended.starts[edges.index], extended.ends[edges.index])
    here = Edges(np.arange(len(edges.index)), edges.first, edges.last, 0, 0, 0)
    (open_hits, close_hits), (pre_hits, end_hits) = (_hits(here, stamp, length_ns, hours) for hours in (clipped, widest))
    for word, relative, hit, stamps in (
        ("begin", edges.first - clipped.starts, open_hits | pre_hits, edges.first),
        ("end", clipped.ends - edges.last, close_hits | end_hits, edges.last),
    ):
        at_edge = relative == relative.min()
        late.append(int(relative.min()))
        if int(at_edge.sum()) >= _SEVERAL and not hit[at_edge].any():
            found.append(f"{word} at {_clock(int(stamps[np.flatnonzero(at_edge)[0]]), venue.zone)[-5:]}")
    if not found:
        return None
    # An open stands a bar's length before its bar's end; the last bar of a session may reach beyond it (15:30 to 16:30).
    begins, ends = (late[0], length_ns - late[1]) if stamp is Stamp.OPEN else (late[0] - length_ns, -late[1])
    reason = f"sessions would {' and '.join(found)} ({venue.zone}), where the venue neither opens nor closes"
    return _OddEdge(reason, len(found) == 2 and 0 <= ends - begins < length_ns)


def settle_by_pause(judged: list[Judgement], length_ns: int, venue: VenueHours) -> list[Judgement]:
    """Exclude readings that do not show a venue's daily pause where another does (currencies: IDEALPRO shuts from 17:00 to 17:15)."""
    if not venue.is_currency or all(one.standing is not Standing.FITS for one in judged):
        return judged
    reason = "the daily pause would not stand where IDEALPRO has it (17:00 to 17:15 New York)"
    return [
        one if one.standing in (Standing.FITS, Standing.EXCLUDED) else Judgement(one.hypothesis, Standing.EXCLUDED, reason, one.opens)
        for one in judged
    ]


def described(judgement: Judgement, wall: Int64s, offset: Int64s | None, length_ns: int, venue: VenueHours) -> list[str]:
    """Return in words what the stamps show under a reading: when sessions begin and end, and what DST does to them."""
    if venue.widest is None or not len(wall):
        return []
    zone, stamp = judgement.hypothesis.zone, judgement.hypothesis.stamp
    utc = wall - offset if offset is not None else wall if zone is None else distinct(to_utc(zone, wall).first)
    hours = next((hours for hours in venue.usual if hours.name == judgement.hours), venue.widest)
    edges = edges_of(utc, stamp, length_ns, hours)
    if not len(edges.index):
        return []
    shown = venue.zone if zone is None else zone
    kind = "session" if judgement.hours or not venue.is_currency else "week"
    firsts, lasts = to_wall(shown, edges.first), to_wall(shown, edges.last)
    inside = f"{'as' if judgement.hours else 'inside'} {hours.name}"
    text = [f"first stamp of a {kind} {_usual_clock(firsts)}, last {_usual_clock(lasts)} ({shown}), {inside}: stamps are bar {stamp}s"]
    moved = _moves(edges.first, shown, venue.zone)
    return [*moved, *text] if zone is not None else text


def _usual_clock(wall: Int64s) -> str:
    clocks, counts = np.unique(wall % DAY_NS, return_counts=True)
    seconds = int(clocks[counts.argmax()]) // NANOSECONDS
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}"


def _moves(first: Int64s, zone: str, venue_zone: str) -> list[str]:
    """Return what the first stamps do where the venue's clock changes: stay, or jump by an hour."""
    ahead = to_wall(venue_zone, first) - first
    changes = np.flatnonzero(np.diff(ahead)) + 1
    if not len(changes):
        return []
    change = int(changes[0])
    before, after = _usual_clock(to_wall(zone, first[:change])), _usual_clock(to_wall(zone, first[change : changes[1] if len(changes) > 1 else None]))
    date = _clock(int(changes_between(venue_zone, int(first[change - 1]), int(first[change]))[0]), venue_zone)[:10]
    if before == after:
        return [f"sessions begin at {before} before and after the clocks of {venue_zone} change ({date}): {zone}"]
    return [f"first stamps jump from {before} to {after} where the clocks of {venue_zone} change ({date}): {zone}"]
