"""What was asked of a session and answered, and how its bars look: two different questions, two different words."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from enum import StrEnum

from market_data_pipeline.domain.bar_table import BarTable


class Coverage(StrEnum):
    """What is known of a session: was it asked for, and was the answer whole?"""

    COMPLETE = "complete"
    EMPTY = "empty"  # asked (twice, where the source can be asked twice), and there is nothing
    PARTIAL = "partial"  # still trading, or answered in part
    MISSING = "missing"

    @property
    def is_gap(self) -> bool:
        """True where bars are still to be had."""
        return self in (Coverage.PARTIAL, Coverage.MISSING)


@dataclass(frozen=True)
class Quality:
    """How a session's bars look, measured against the calendar.

    Attributes:
        expected: Bars that regular hours would hold if every interval had traded; 0 where that cannot be said.
        regular: Bars inside regular hours.
        longest_absence_s: Longest stretch of regular hours without a bar, in seconds, edges included.
    """

    expected: int
    regular: int
    longest_absence_s: int


SIMULATED = "simulated"


@dataclass(frozen=True)
class Convention:
    """Under which convention bars were asked for. Bars of two conventions are never mixed in one series.

    Attributes:
        hours: `all`, or `rth` where only regular trading hours were asked for.
        adjustment: `raw`, or what the source did to its prices (`split`, `split+dividend`); `SIMULATED` where it invented them.
    """

    hours: str = "all"
    adjustment: str = "raw"


@dataclass(frozen=True)
class SessionAnswer:
    """What a source has for one session.

    Attributes:
        session: The partition's date.
        bars: Its bars, ordered by close, all inside the session's window; no bars if there are none.
        coverage: `COMPLETE`, `EMPTY` or `PARTIAL`.
        quality: How the bars look: `quality.measure` of them.
        asked: What was asked for this session, where that differs from session to session; else empty, and the source's `Provenance` says it.
    """

    session: dt.date
    bars: BarTable
    coverage: Coverage
    quality: Quality
    asked: str = ""


@dataclass(frozen=True)
class Provenance:
    """Where bars come from, as it is kept in the ledger.

    Attributes:
        source: `csv`, `ibkr`, `derived`, `files` (found in the catalog) …
        asked: What was asked, for a person: a file's name, a request.
    """

    source: str
    asked: str
    convention: Convention = field(default_factory=Convention)
