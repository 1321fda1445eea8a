"""When the next request to a broker may go: the rules, and the decision by what is known of the requests before it.

Pure: `decide` is given the past and the time. `market_data_pipeline.pacing` keeps the past for all processes that share an account.

A broker counts requests as they *arrive*, and between our grant and their arrival lies a delay that nobody knows: a request sent late, with
the one a window later sent at once, puts one too many into the broker's window. So a request counts until a window after the latest moment
at which it can have arrived: when its answer came (it had arrived by then), or a little after it was sent, whichever is sooner; and one that
was granted and not yet reported as sent counts on. Then no delay between grant and sending, however long, can break a rule, and a delay on
the wire can only where it is longer than the one that is allowed for (`PacingProfile.delay_of`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from market_data_pipeline.domain.bar_types import NANOSECONDS
from market_data_pipeline.domain.pacing_windows import EVERYTHING, HISTORY, NOT_YET, PacedRequest, PastRequest, Per, WaitingRequest, WindowRule

_SHORTEST_DELAY_S = 0.05
# Answers come at times nobody knows: look again this often while only they are missing.
_LOOK_AGAIN_NS = 100_000_000


@dataclass(frozen=True)
class PacingRules:
    """The rules for one class of bars. The defaults are IBKR's own ("Pacing Violations for Small Bars").

    Attributes:
        requests: Historical requests in any `window_s`.
        window_s: Seconds.
        same_contract: Requests for one contract, exchange and tick type in any `same_contract_s` (IBKR refuses the sixth).
        same_contract_s: Seconds.
        identical_s: Seconds between two identical requests.
    """

    requests: int = 60
    window_s: float = 600.0
    same_contract: int = 5
    same_contract_s: float = 2.0
    identical_s: float = 15.0

    def scaled(self, factor: float) -> PacingRules:
        """Return the same rules in a time that runs `1 / factor` times as fast: windows times `factor`, counts as they are."""
        return replace(self, window_s=self.window_s * factor, same_contract_s=self.same_contract_s * factor, identical_s=self.identical_s * factor)


@dataclass(frozen=True)
class PacingProfile:
    """All rules that an account is held to.

    Attributes:
        name: For messages.
        small: Rules of bars shorter than `large_from_s` and of head time stamps; of everything where `large` is None.
        large: Rules of longer bars, which are counted by themselves; None where every request counts alike.
        large_from_s: Seconds from which bars are large.
        open: Requests open at once. IBKR allows 50; one that we gave up may still be open there.
        messages: Requests of any kind in any `messages_s`. IBKR allows 50 messages a second; a request and its cancellation are two.
        messages_s: Seconds.
        matching_s: Seconds between two symbol searches.
        refusal_s: Seconds, at least, in which nobody asks after the broker refused a request as too fast.
        delay_s: Seconds, at least, that a request which was sent and not answered may still be on its way to the broker.
        delay_share: The same as a share of a rule's window; the larger one counts.
        longest_open_s: Seconds after which a request counts as over, although nobody said so and its process may live.
    """

    name: str = "strict"
    small: PacingRules = field(default_factory=PacingRules)
    large: PacingRules | None = None
    large_from_s: int = 60
    open: int = 48
    messages: int = 20
    messages_s: float = 1.0
    matching_s: float = 1.0
    refusal_s: float = 60.0
    delay_s: float = 1.0
    delay_share: float = 0.02
    longest_open_s: float = 600.0

    def scaled(self, factor: float) -> PacingProfile:
        """Return the same rules in a time that runs `1 / factor` times as fast, for tests against a broker that is scaled too.

        The delay that is allowed for stays at 50 ms or more: processes and sockets do not become faster.
        """
        return replace(
            self,
            name=f"{self.name} × {factor:g}",
            small=self.small.scaled(factor),
            large=self.large and self.large.scaled(factor),
            messages_s=self.messages_s * factor,
            matching_s=self.matching_s * factor,
            refusal_s=self.refusal_s * factor,
            delay_s=max(_SHORTEST_DELAY_S, self.delay_s * factor),
        )

    def delay_of(self, window_s: float) -> float:
        """Return the seconds for which a request without an answer may be on its way, by the length of a rule's window."""
        return max(self.delay_s, self.delay_share * window_s)

    def rules_of(self, bar_seconds: int) -> PacingRules:
        """Return the rules that bars of a length follow."""
        return self.small if self.large is None or bar_seconds < self.large_from_s else self.large

    def seconds_for(self, requests: int, bar_seconds: int) -> float:
        """Return how long so many requests for bars of a length take at the rate of the rules: 312 take 52 minutes."""
        rules = self.rules_of(bar_seconds)
        return requests * rules.window_s / rules.requests

    @cached_property
    def windows(self) -> tuple[WindowRule, ...]:
        """Every rule that counts requests in a window."""
        classes = [("", self.small, 0, NOT_YET)]
        if self.large is not None:
            parting = self.large_from_s
            classes = [(f" for bars below {parting} s", self.small, 0, parting), (f" for bars from {parting} s", self.large, parting, NOT_YET)]
        found = [rule for name, rules, low, high in classes for rule in self._class_windows(name, rules, low, high)]
        found.append(self._window("messages", Per.ACCOUNT, self.messages, self.messages_s, EVERYTHING))
        found.append(self._window("symbol searches", Per.ACCOUNT, 1, self.matching_s, frozenset({"matching"})))
        return tuple(found)

    def _class_windows(self, name: str, rules: PacingRules, low: int, high: int) -> Iterable[WindowRule]:
        yield self._window(f"requests{name}", Per.ACCOUNT, rules.requests, rules.window_s, HISTORY, low, high)
        yield self._window("requests for one contract", Per.CONTRACT, rules.same_contract, rules.same_contract_s, HISTORY, low, high)
        yield self._window("identical requests", Per.IDENTITY, 1, rules.identical_s, HISTORY, low, high)

    def _window(
        self, what: str, per: Per, limit: int, window_s: float, kinds: frozenset[str], bars_from_s: int = 0, bars_below_s: int = NOT_YET
    ) -> WindowRule:
        window_ns, delay_ns = round(window_s * NANOSECONDS), round(self.delay_of(window_s) * NANOSECONDS)
        return WindowRule(what, per, limit, window_ns, delay_ns, kinds, bars_from_s, bars_below_s)

    @cached_property
    def longest_ns(self) -> int:
        """Nanoseconds after it was sent from which a request counts in no rule."""
        return max(rule.counted_ns + rule.delay_ns for rule in self.windows)


STRICT = PacingProfile()
"""Every historical request counts, whatever its bars: safe for every account."""

RELAXED = PacingProfile(name="relaxed", large=PacingRules(requests=600))
"""For bars of a minute and more, whose hard limits IBKR says it has lifted: one request a second over ten minutes, and the soft rules."""

PROFILES = {profile.name: profile for profile in (STRICT, RELAXED)}


@dataclass(frozen=True)
class Decision:
    """Whether a request may go.

    Attributes:
        at_ns: From when it may go, as far as can be known now; the time of the decision itself if at once.
        ready_ns: From when only the rules that it shares with others hold it.
        reason: Why it must wait; empty where it may go.
    """

    at_ns: int
    ready_ns: int
    reason: str


def decide(
    request: PacedRequest,
    past: Sequence[PastRequest],
    ahead: Sequence[WaitingRequest],
    profile: PacingProfile,
    now_ns: int,
    refused_until_ns: int = 0,
) -> Decision:
    """Decide whether a request may go at `now_ns`, by all rules at once.

    Requests that waited before this one and could go by their own rules have a place each, so nobody is overtaken, and each waiting request
    is told another time.

    Args:
        request: What is to go.
        past: Requests that were granted and may still count.
        ahead: Requests that wait for longer than this one.
        profile: The rules.
        now_ns: The time, on the steady clock of `past`.
        refused_until_ns: Until when nobody may ask, because the broker refused.
    """
    at_ns, reason, ready_ns = max(refused_until_ns, now_ns), "the broker refused a request as too fast", now_ns
    ready_ahead = [one for one in ahead if one.ready_ns <= now_ns]
    for rule in profile.windows:
        if not rule.counts(request.kind, request.bar_seconds):
            continue
        places = rule.places(past, now_ns, request)
        before = 0
        if rule.per is Per.ACCOUNT:  # one that waits for minutes takes no place of the next second
            soon_ns = now_ns + rule.counted_ns
            before = sum(rule.weight_of(one.weight) for one in ready_ahead if one.due_ns <= soon_ns and rule.counts(one.kind, one.bar_seconds))
        used = sum(weight for _, weight in places)
        free_ns = free_at(places, used + before + rule.weight_of(request.weight) - rule.limit, now_ns, rule.counted_ns)
        if rule.per is not Per.ACCOUNT:
            ready_ns = max(ready_ns, free_ns)
        if free_ns > at_ns:
            at_ns, reason = free_ns, rule.in_words(used) + _queue(before)
    still_open, due = sum(one.is_open for one in past), sum(one.due_ns <= now_ns for one in ready_ahead)
    if at_ns <= now_ns and still_open + due >= profile.open:
        at_ns, reason = now_ns + _LOOK_AGAIN_NS, f"{still_open} of {profile.open} open requests wait for their answers{_queue(due)}"
    return Decision(at_ns, ready_ns, reason if at_ns > now_ns else "")


def free_at(places: Sequence[tuple[int, int]], too_much: int, now_ns: int, counted_ns: int) -> int:
    """Return when enough of `places` (`WindowRule.places`) have left that a weight of `too_much` is gone."""
    if too_much <= 0:
        return now_ns
    for until_ns, weight in places:
        too_much -= weight
        if too_much <= 0:
            return until_ns
    return now_ns + counted_ns  # more wait before this one than a window holds


def _queue(before: int) -> str:
    return f", and {before} more waited before this one" if before else ""


@dataclass(frozen=True)
class Grant:
    """Leave to make one request at once.

    Attributes:
        id: Its number in the table.
        request: What was granted.
    """

    id: int
    request: PacedRequest


@dataclass(frozen=True)
class Wait:
    """A request may not go yet.

    Attributes:
        seconds: When to ask again. Nobody else is told the same place, so whoever comes in time gets it.
        reason: Why, and when the next may go, for a person.
    """

    seconds: float
    reason: str
