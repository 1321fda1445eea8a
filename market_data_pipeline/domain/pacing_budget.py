"""What is left of an account's requests, for a person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from market_data_pipeline.domain.bar_types import NANOSECONDS
from market_data_pipeline.domain.pacing import PacingProfile, free_at
from market_data_pipeline.domain.pacing_windows import PastRequest, Per


@dataclass(frozen=True)
class RuleUse:
    """How much of a rule is used.

    Attributes:
        what: What the rule counts (`requests`, `messages` …).
        used: Weight in the window now.
        limit: Weight allowed.
        window_s: Seconds of the window.
        next_s: Seconds until one more may go by this rule; 0 for at once.
        frees_s: Seconds until each used place is free again, rising; as many as are used.
        bars_from_s: Length of the shortest bars that it counts.
    """

    what: str
    used: int
    limit: int
    window_s: float
    next_s: float
    frees_s: tuple[float, ...] = ()
    bars_from_s: int = 0

    @property
    def left(self) -> int:
        """What may go at once."""
        return max(0, self.limit - self.used)

    def seconds_until(self, requests: int) -> float:
        """Return in how many seconds the last of so many more may go, if nobody else asks; each takes the place that is free first."""
        windows, place = divmod(max(requests, 1) - 1, self.limit)
        held = place - (self.limit - self.used)
        return windows * self.window_s + (self.frees_s[held] if held >= 0 else 0.0)


@dataclass(frozen=True)
class PacingUser:
    """A process that made requests which still count.

    Attributes:
        host: Name of its host.
        pid: Its process id there.
        requests: Requests that count.
        open: Requests that wait for their answers.
        alive: Whether it runs; None where that cannot be said from here.
    """

    host: str
    pid: int
    requests: int
    open: int
    alive: bool | None


@dataclass(frozen=True)
class Budget:
    """What is left of an account's requests.

    Attributes:
        account: Whose.
        profile: Name of the rules.
        place: Where the table is kept, without a password.
        uses: One line a rule that all requests share.
        open: Requests that wait for their answers.
        open_limit: How many may.
        waiting: Requests that wait for leave.
        refused_s: Seconds for which nobody may ask, because the broker refused; else 0.
        next_s: Seconds until the next historical request may go (small bars); 0 for at once.
        users: Which processes made the requests that count, the busiest first.
    """

    account: str
    profile: str
    place: str
    uses: tuple[RuleUse, ...]
    open: int
    open_limit: int
    waiting: int
    refused_s: float
    next_s: float
    users: tuple[PacingUser, ...]

    def left(self, what: str = "requests") -> int:
        """Return what may go at once of the first rule whose name begins with `what`."""
        return next((use.left for use in self.uses if use.what.startswith(what)), 0)

    def use_for(self, bar_seconds: int) -> RuleUse:
        """Return how much is used of the rule that counts requests for bars of a length."""
        return [use for use in self.uses if use.what.startswith("requests") and use.bars_from_s <= bar_seconds][-1]


def uses_of(profile: PacingProfile, past: Sequence[PastRequest], now_ns: int) -> tuple[RuleUse, ...]:
    """Return how much is used of each rule that all requests of an account share."""
    found = []
    for rule in profile.windows:
        if rule.per is Per.ACCOUNT:
            places = rule.places(past, now_ns)
            used = sum(weight for _, weight in places)
            next_ns = free_at(places, used + 1 - rule.limit, now_ns, rule.counted_ns) - now_ns
            frees_s = tuple((until_ns - now_ns) / NANOSECONDS for until_ns, weight in places for _ in range(weight))
            found.append(RuleUse(rule.what, used, rule.limit, rule.window_ns / NANOSECONDS, next_ns / NANOSECONDS, frees_s, rule.bars_from_s))
    return tuple(found)
