"""What is counted of requests to a broker, and in which windows of time. `domain.pacing` says why it is counted so."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Literal, NamedTuple

from market_data_pipeline.domain.bar_types import NANOSECONDS

type Kind = Literal["history", "head", "details", "matching"]
"""What is asked: bars (and schedules), the first date that has data, contract details, symbols that match a text."""

NOT_YET = 1 << 62
"""Nanoseconds of something that has not happened."""

HISTORY: frozenset[str] = frozenset({"history", "head"})
EVERYTHING: frozenset[str] = frozenset({"history", "head", "details", "matching"})
# Two clocks never run alike, and a broker may stamp in whole seconds: 1.2 s of its 10 minutes.
_GUARD_SHARE = 0.002
_GUARD_NS = 2_000_000


class Per(StrEnum):
    """What a rule counts together."""

    ACCOUNT = "account"
    CONTRACT = "contract"  # and exchange and tick type
    IDENTITY = "identity"


@dataclass(frozen=True)
class PacedRequest:
    """What pacing must know of a request.

    Attributes:
        contract: Contract and exchange, in any one way of writing them (`265598@SMART`).
        tick_type: What the bars are made of, as the broker names it (`TRADES`, `BID_ASK` …); empty where the request has none.
        identity: Every field of the request; equal texts are one request asked again.
        bar_seconds: Length of the bars; 0 where none are asked for.
        kind: What is asked.
    """

    contract: str
    tick_type: str
    identity: str
    bar_seconds: int = 0
    kind: Kind = "history"

    @property
    def weight(self) -> int:
        """How often it counts: BID_ASK counts twice (IBKR, "Historical Data Limitations")."""
        return 2 if self.tick_type == "BID_ASK" else 1

    @cached_property
    def contract_key(self) -> str:
        """Short form of contract, exchange and tick type."""
        return _digest(f"{self.contract}\0{self.tick_type}")

    @cached_property
    def identity_key(self) -> str:
        """Short form of the whole request."""
        return _digest(f"{self.kind}\0{self.contract}\0{self.tick_type}\0{self.bar_seconds}\0{self.identity}")


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()


class PastRequest(NamedTuple):
    """What is remembered of a request that was granted. Times are nanoseconds of one steady clock; `NOT_YET` if not yet.

    A plain tuple, because a decision looks at all of them.
    """

    kind: str
    bar_seconds: int
    weight: int
    contract_key: str
    identity_key: str
    sent_ns: int
    answered_ns: int
    is_open: int


class WaitingRequest(NamedTuple):
    """A request that was told to wait and is still wanted.

    `ready_ns`: from when only rules that it shares with others hold it; `due_ns`: when it was told to come again.
    """

    kind: str
    bar_seconds: int
    weight: int
    ready_ns: int
    due_ns: int


@dataclass(frozen=True)
class WindowRule:
    """At most `limit` in any window, counted per account, contract or identity.

    Attributes:
        what: What is counted, in the plural.
        per: What is counted together.
        limit: Weight allowed in a window.
        window_ns: Length of the window.
        delay_ns: How long a request may be on its way after it was sent.
        kinds: Kinds of request that count.
        bars_from_s: Shortest bars that count.
        bars_below_s: Shortest bars that count no more.
    """

    what: str
    per: Per
    limit: int
    window_ns: int
    delay_ns: int
    kinds: frozenset[str]
    bars_from_s: int = 0
    bars_below_s: int = NOT_YET

    @cached_property
    def counted_ns(self) -> int:
        """Nanoseconds that a request counts after it arrived: the window, and a guard for clocks that differ."""
        return self.window_ns + max(_GUARD_NS, round(self.window_ns * _GUARD_SHARE))

    def counts(self, kind: str, bar_seconds: int) -> bool:
        """Return whether such a request counts; a head time stamp counts as a request for small bars."""
        return kind in self.kinds and self.bars_from_s <= (0 if kind == "head" else bar_seconds) < self.bars_below_s

    def weight_of(self, weight: int) -> int:
        """Return what a request of a weight counts here: identity knows no weight, and no request may be too heavy for ever."""
        return 1 if self.per is Per.IDENTITY else min(weight, self.limit)

    def places(self, past: Iterable[PastRequest], now_ns: int, request: PacedRequest | None = None) -> list[tuple[int, int]]:
        """Return (until when it counts, weight) of every request that counts at `now_ns`, those that leave first at the front.

        Args:
            past: Requests that were granted.
            now_ns: The time.
            request: With whose contract or identity they are counted; only for rules that are not per account.
        """
        gone_ns, found = now_ns - self.counted_ns, []
        contract = request.contract_key if request and self.per is Per.CONTRACT else None
        identity = request.identity_key if request and self.per is Per.IDENTITY else None
        # Taken apart by place, and time first: this runs over every request of the last ten minutes.
        for kind, bar_seconds, weight, contract_key, identity_key, sent_ns, answered_ns, _ in past:
            arrived_ns = min(answered_ns, sent_ns + self.delay_ns)
            if arrived_ns <= gone_ns or (contract and contract != contract_key) or (identity and identity != identity_key):
                continue
            if self.counts(kind, bar_seconds):
                # Not sent yet: whenever it goes, it goes after now.
                latest_ns = arrived_ns if arrived_ns < NOT_YET else now_ns + self.delay_ns
                found.append((latest_ns + self.counted_ns, self.weight_of(weight)))
        found.sort()
        return found

    def in_words(self, used: int) -> str:
        """Return why a request must wait, for a person."""
        if self.per is Per.IDENTITY:
            return f"the same request was made less than {_span(self.window_ns)} ago"
        return f"{used} of {self.limit} {self.what} of the last {_span(self.window_ns, one='')} are used"


def _span(nanoseconds: int, one: str = "1 ") -> str:
    """Return a length of time in words: `10 minutes`, `2 seconds`."""
    seconds = nanoseconds / NANOSECONDS
    count, unit = (seconds / 60, "minute") if seconds >= 60 and seconds % 60 == 0 else (seconds, "second")
    return f"{one}{unit}" if count == 1 else f"{count:g} {unit}s"
