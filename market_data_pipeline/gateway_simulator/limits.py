"""The rules by which Interactive Brokers limits requests, measured by arrival at the server.

Source: TWS API documentation, "Historical Data Limitations" and "Pacing Violations for Small Bars"; message rate: "Requests per second".
This is the broker's side of the rules, written without a line of the side that keeps them. A window of W seconds is half-open: two arrivals
exactly W apart are not in one window.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass, replace
from enum import StrEnum

_BILLION = 1_000_000_000


class Rule(StrEnum):
    """What can be broken."""

    WINDOW = "window"
    IDENTICAL = "identical"
    BURST = "burst"
    OPEN = "open"
    MATCHING = "matching"
    MESSAGES = "messages"


@dataclass(frozen=True)
class PacingLimits:
    """How much may be asked.

    Attributes:
        requests: Historical requests (BID_ASK counts twice) in any `window_s` seconds.
        window_s: See `requests`.
        identical_s: Seconds before the same historical request may come again.
        burst: This many for one contract, exchange and tick type in any `burst_s` seconds are too many.
        burst_s: See `burst`.
        open_at_once: Historical requests without an end, kept-up-to-date ones and head time stamps that nobody cancelled included.
        matching_s: Seconds between two requests for matching symbols.
        messages: Messages of one client in any second.
        message_window_s: That second. A shade less by default, because a full second measured by the client can arrive closer together.
        enforced: Whether the server refuses what breaks a rule; it counts breaches in any case.
    """

    requests: int = 60
    window_s: float = 600.0
    identical_s: float = 15.0
    burst: int = 6
    burst_s: float = 2.0
    open_at_once: int = 50
    matching_s: float = 1.0
    messages: int = 50
    message_window_s: float = 0.9
    enforced: bool = True

    def scaled(self, factor: float) -> PacingLimits:
        """Return the same limits in times multiplied by `factor`; the message rate stays, it is the socket's own."""
        return replace(
            self,
            window_s=self.window_s * factor,
            identical_s=self.identical_s * factor,
            burst_s=self.burst_s * factor,
            matching_s=self.matching_s * factor,
        )


@dataclass(frozen=True)
class Breach:
    """One rule broken.

    Attributes:
        rule: Which.
        at_ns: Arrival of the request that broke it, on the monotonic clock.
        with_ns: Arrival of the oldest request that it breaks the rule with.
        counted: What was counted in the window, this request included.
        limit: The most that may be counted.
        window_s: Length of the window in seconds; 0 for what is not measured over time.
    """

    rule: Rule
    at_ns: int
    with_ns: int
    counted: int
    limit: int
    window_s: float


class Window:
    """What arrived within the last seconds, by key. Remembers no more than the window holds.

    Args:
        seconds: Its length.
    """

    def __init__(self, seconds: float) -> None:
        self._length_ns = round(seconds * _BILLION)
        self._arrivals: deque[tuple[int, Hashable, int]] = deque()
        self._times: dict[Hashable, deque[int]] = {}
        self._weights: dict[Hashable, int] = {}

    def add(self, now_ns: int, key: Hashable, weight: int = 1) -> tuple[int, int]:
        """Note an arrival; return the weight of its key within the window, this one included, and when the oldest of them arrived."""
        while self._arrivals and now_ns - self._arrivals[0][0] >= self._length_ns:
            self._forget_oldest()
        self._arrivals.append((now_ns, key, weight))
        self._times.setdefault(key, deque()).append(now_ns)
        self._weights[key] = self._weights.get(key, 0) + weight
        return self._weights[key], self._times[key][0]

    def _forget_oldest(self) -> None:
        _, key, weight = self._arrivals.popleft()
        self._times[key].popleft()
        self._weights[key] -= weight
        if not self._times[key]:
            del self._times[key], self._weights[key]


@dataclass(frozen=True)
class Arrival:
    """A historical request as the rules see it.

    Attributes:
        series: Contract, exchange and tick type.
        identity: All that was asked, without the request's id.
        weight: 2 for BID_ASK, else 1.
    """

    series: Hashable
    identity: Hashable
    weight: int


class PacingWatch:
    """Measures what all clients ask together: the rules bind the account."""

    def __init__(self, limits: PacingLimits) -> None:
        self.limits = limits
        self._all = Window(limits.window_s)
        self._identical = Window(limits.identical_s)
        self._bursts = Window(limits.burst_s)
        self._matching = Window(limits.matching_s)

    def historical(self, now_ns: int, arrival: Arrival, open_now: int) -> list[Breach]:
        """Note the arrival of a historical request.

        Args:
            now_ns: Monotonic time.
            arrival: What arrived.
            open_now: How many historical requests are open without it.

        Returns:
            The rules that it breaks. A request that is refused was asked all the same, and counts.
        """
        limits = self.limits
        breaches = []
        weight, first = self._all.add(now_ns, None, arrival.weight)
        if weight > limits.requests:
            breaches.append(Breach(Rule.WINDOW, now_ns, first, weight, limits.requests, limits.window_s))
        times, first = self._identical.add(now_ns, arrival.identity)
        if times > 1:
            breaches.append(Breach(Rule.IDENTICAL, now_ns, first, times, 1, limits.identical_s))
        weight, first = self._bursts.add(now_ns, arrival.series, arrival.weight)
        if weight >= limits.burst:
            breaches.append(Breach(Rule.BURST, now_ns, first, weight, limits.burst - 1, limits.burst_s))
        if open_now >= limits.open_at_once:
            breaches.append(Breach(Rule.OPEN, now_ns, now_ns, open_now + 1, limits.open_at_once, 0.0))
        return breaches

    def matching(self, now_ns: int) -> list[Breach]:
        """Note the arrival of a request for matching symbols; return the rules that it breaks."""
        times, first = self._matching.add(now_ns, None)
        return [Breach(Rule.MATCHING, now_ns, first, times, 1, self.limits.matching_s)] if times > 1 else []

    def messages(self) -> MessageRate:
        """Return a measure of one client's messages."""
        return MessageRate(self.limits)


class MessageRate:
    """Measures the messages of one client."""

    def __init__(self, limits: PacingLimits) -> None:
        self._limits = limits
        self._window = Window(limits.message_window_s)

    def arrived(self, now_ns: int) -> Breach | None:
        """Note a message; return the breach, if it is one."""
        count, first = self._window.add(now_ns, None)
        if count <= self._limits.messages:
            return None
        return Breach(Rule.MESSAGES, now_ns, first, count, self._limits.messages, self._limits.message_window_s)
