"""What ingest asks of a source of bars. CSV files answer it today; Interactive Brokers answers the same questions."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.coverage import Provenance, SessionAnswer
from market_data_pipeline.domain.sessions import Partitions


@dataclass(frozen=True)
class Precision:
    """Decimals of an instrument: of its prices and of its sizes."""

    price: int
    size: int


@dataclass(frozen=True)
class Asked:
    """What a source is asked for: sessions of one series, oldest first, at the instrument's precision.

    Attributes:
        series: The series.
        partitions: Its sessions.
        precision: Decimals of its instrument.
        sessions: The dates asked for.
        usual_share: How much of regular hours has bars in sessions that are stored, from 0 to 1; 0 where none is stored.
    """

    series: Series
    partitions: Partitions
    precision: Precision
    sessions: Sequence[dt.date]
    usual_share: float = 0.0


@dataclass(frozen=True)
class RequestPlan:
    """What answering would take, told before it starts.

    Attributes:
        requests: Requests to a broker, or files to read.
        seconds: Estimated time, 0 where it is not worth telling.
        sessions: Sessions the plan covers.
        bars: Estimated bars, at most; 0 where that cannot be said.
        size_bytes: Estimated size on disk; 0 where that cannot be said.
        bar_seconds: Length of the bars, by which requests to a broker are counted; 0 where nobody counts.
    """

    requests: int
    seconds: float
    sessions: int
    bars: int = 0
    size_bytes: int = 0
    bar_seconds: int = 0


class NewsKind(StrEnum):
    """What a source is busy with between two answers."""

    ASKED = "asked"  # a request has just gone out
    WAITING = "waiting"  # pacing says when the next request may go
    RETRYING = "retrying"  # a request failed and is asked again after a wait
    RECONNECTING = "reconnecting"
    NOTE = "note"


@dataclass(frozen=True)
class SourceNews:
    """What a source does between two answers, for a person who waits.

    Attributes:
        kind: What it is.
        message: One line for a person: cause, attempt, time.
        requests: Requests made so far by this fetch, retries included.
        wait_s: Seconds that are waited from now; 0 where nothing is waited for.
        seconds_left: Estimate for the rest of the fetch; None where nothing new can be said.
    """

    kind: NewsKind
    message: str
    requests: int
    wait_s: float = 0.0
    seconds_left: float | None = None


@dataclass(frozen=True)
class SessionFailure:
    """Why one session could not be had. Others go on."""

    session: dt.date
    reason: str


class BarSource(Protocol):
    """A source of bars: asked for sessions, it answers session by session, oldest first."""

    @property
    def provenance(self) -> Provenance:
        """What the ledger keeps about where the bars come from."""
        ...

    def plan(self, asked: Asked) -> RequestPlan:
        """Return what `fetch` would take. Never asks the source itself."""
        ...

    def fetch(self, asked: Asked) -> Iterator[SessionAnswer | SessionFailure | SourceNews]:
        """Yield one answer or failure for each session asked for, oldest first, as soon as it is whole, and news between them.

        Raises:
            SourceError: If the source cannot go on at all; what was yielded before stands.
        """
        ...
