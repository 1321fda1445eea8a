"""What the ledger knows of derived sessions: which finer bars each was made of, and whether those are still the ones that are stored."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from market_data_pipeline.calendars import partitions_of
from market_data_pipeline.domain.bar_types import DAY_NS, Aggregation, BarSpec, Series
from market_data_pipeline.domain.coverage import Coverage
from market_data_pipeline.domain.sessions import Partitions, date_of

if TYPE_CHECKING:
    from market_data_pipeline.catalog.catalog import Catalog
    from market_data_pipeline.domain.bar_table import Int64s

DERIVED = "derived"
"""The source of derived sessions, in the ledger."""

_ASKED = re.compile(r"(?P<spec>\S+) from (?P<finer>\S+) \(fingerprint (?P<fingerprint>[0-9a-f]{32})\)")


def asked_for(spec: BarSpec, finer: BarSpec, fingerprint: str) -> str:
    """Return what the ledger keeps as asked: `5-MINUTE-LAST from 1-MINUTE-LAST (fingerprint 0123…)`."""
    return f"{spec} from {finer} (fingerprint {fingerprint})"


def together(fingerprints: Sequence[str]) -> str:
    """Return one fingerprint of the sessions that a bar is made of: that of the only one, else of all in their order."""
    if len(fingerprints) == 1:
        return fingerprints[0]
    return hashlib.blake2b(",".join(fingerprints).encode(), digest_size=16).hexdigest()


def sessions_of(coarser: Partitions, finer: Partitions, position: int) -> tuple[dt.date, ...]:
    """Return the finer sessions of which a coarser partition is made, oldest first: one, or those of its week or month."""
    first, stop = np.searchsorted(finer.days, _days_of(coarser, position), side="right")
    return tuple(date_of(day) for day in finer.days[int(first) : int(stop)])


def _days_of(coarser: Partitions, position: int) -> Int64s:
    """Return the days (after, until] of a partition."""
    until = coarser.days[position]
    is_longer = coarser.spec.aggregation in (Aggregation.WEEK, Aggregation.MONTH)
    # The windows of weeks and months are dates: one ends with the last nanosecond of the day that the one before is labelled with.
    after = coarser.starts[position] // DAY_NS if is_longer else until - 1
    return np.array([after, until], dtype=np.int64)


@dataclass(frozen=True)
class Stale:
    """A derived session whose finer bars were replaced since.

    Attributes:
        session: Its date.
        finer: What it was made of.
    """

    session: dt.date
    finer: BarSpec


def stale_sessions(catalog: Catalog, series: Series, start: dt.date | None = None, end: dt.date | None = None) -> list[Stale]:
    """Return the stored sessions dated in [start, end] that were derived from other finer bars than are stored now, oldest first.

    Sessions whose finer bars are gone, or not whole, are not named: nothing better can be made of them. Answered by the ledger alone.
    """
    rows = [row for row in catalog.sessions(series, start, end) if row.source == DERIVED]
    derived = [(row.session, match) for row in rows if (match := _ASKED.fullmatch(row.asked))]
    found: list[Stale] = []
    for text in dict.fromkeys(match["finer"] for _, match in derived):
        finer = Series(series.instrument_id, BarSpec.parse(text))
        of_finer = [(session, match["fingerprint"]) for session, match in derived if match["finer"] == text]
        now = dict(fingerprints(catalog, series, finer, [session for session, _ in of_finer]))
        found += [Stale(session, finer.spec) for session, then in of_finer if now.get(session, then) != then]
    return sorted(found, key=lambda stale: stale.session)


def fingerprints(catalog: Catalog, series: Series, finer: Series, sessions: Sequence[dt.date]) -> Iterator[tuple[dt.date, str]]:
    """Yield sessions of a coarser series whose finer sessions are all stored whole, with the fingerprint of those."""
    if not sessions:
        return
    coarser, of_finer = partitions_of(series), partitions_of(finer)
    positions = [position for session in sessions if (position := coarser.index_of(session)) is not None]
    made_of = {position: sessions_of(coarser, of_finer, position) for position in positions}
    dates = [date for dates in made_of.values() for date in dates]
    if not dates:
        return
    whole = {day: mark for day, coverage, _, mark in catalog.contents(finer, min(dates), max(dates)) if not Coverage(coverage).is_gap}
    by_date = {date_of(day): mark for day, mark in whole.items()}
    for position, parts in made_of.items():
        if parts and all(date in by_date for date in parts):
            yield date_of(coarser.days[position]), together([by_date[date] for date in parts])
