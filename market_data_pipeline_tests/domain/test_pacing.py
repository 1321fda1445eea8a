from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market_data_pipeline.domain.pacing import RELAXED, STRICT, Decision, PacingProfile, PacingRules, decide
from market_data_pipeline.domain.pacing_budget import uses_of
from market_data_pipeline.domain.pacing_windows import NOT_YET, Kind, PacedRequest, PastRequest, WaitingRequest

S = 10**9
NOW = 10_000 * S


def request(contract: str = "AAPL", tick_type: str = "TRADES", identity: str = "new", bar_seconds: int = 60, kind: Kind = "history") -> PacedRequest:
    return PacedRequest(contract, tick_type, identity, bar_seconds, kind)


def past(one: PacedRequest, sent_s: float, answered_s: float | None = None, *, is_open: bool = False) -> PastRequest:
    """Return a request that was sent, and answered, so many seconds before NOW; answered at once if not said."""
    answered = sent_s if answered_s is None else answered_s
    return PastRequest(
        *(one.kind, one.bar_seconds, one.weight, one.contract_key, one.identity_key),
        *(NOW - round(sent_s * S), NOW - round(answered * S), int(is_open)),
    )


def others(count: int, sent_s: float, bar_seconds: int = 60, kind: Kind = "history") -> list[PastRequest]:
    """Return requests for as many other contracts."""
    return [past(request(f"C{i}", identity=f"{i}", bar_seconds=bar_seconds, kind=kind), sent_s) for i in range(count)]


def decided(one: PacedRequest, before: Sequence[PastRequest], profile: PacingProfile = STRICT, ahead: Sequence[WaitingRequest] = ()) -> Decision:
    return decide(one, before, ahead, profile, NOW)


def wait_s(one: PacedRequest, before: Sequence[PastRequest], profile: PacingProfile = STRICT) -> float:
    return (decided(one, before, profile).at_ns - NOW) / S


def test_sixty_requests_in_ten_minutes_and_no_more() -> None:
    assert wait_s(request(), others(59, 30)) == 0
    decision = decided(request(), others(60, 30))
    # The guard for clocks that differ is 0.2 % of the window.
    assert (decision.at_ns - NOW) / S == pytest.approx(600 * 1.002 - 30)
    assert decision.reason == "60 of 60 requests of the last 10 minutes are used"
    assert wait_s(request(), others(60, 601.3)) == 0


def test_bid_ask_counts_twice() -> None:
    assert wait_s(request(tick_type="BID_ASK"), others(58, 30)) == 0
    assert wait_s(request(tick_type="BID_ASK"), others(59, 30)) > 0
    assert wait_s(request(), [past(request(f"C{i}", "BID_ASK", f"{i}"), 30) for i in range(30)]) > 0


def test_the_identical_request_waits_fifteen_seconds_and_another_of_the_contract_does_not() -> None:
    before = [past(request(identity="same"), 5)]
    decision = decided(request(identity="same"), before)
    assert (decision.at_ns - NOW) / S == pytest.approx(15.03 - 5)
    assert decision.reason == "the same request was made less than 15 seconds ago"
    assert wait_s(request(identity="other"), before) == 0


def test_a_sixth_request_for_one_contract_and_tick_type_waits_two_seconds() -> None:
    before = [past(request(identity=f"{i}"), 1) for i in range(5)]
    assert wait_s(request(), before) == pytest.approx(2.004 - 1)
    assert wait_s(request(tick_type="MIDPOINT"), before) == 0
    assert wait_s(request("MSFT"), before) == 0
    assert wait_s(request(), before[:4]) == 0


def test_no_more_than_the_allowed_number_is_open_at_once() -> None:
    still_open = [one._replace(is_open=1, answered_ns=NOT_YET) for one in others(48, 1_000)]
    decision = decided(request(), still_open)
    assert decision.at_ns > NOW
    assert decision.reason == "48 of 48 open requests wait for their answers"
    assert wait_s(request(), still_open[1:]) == 0


def test_messages_to_the_gateway_stay_far_below_fifty_a_second() -> None:
    before = others(20, 0.5, kind="details")
    assert wait_s(request(), before) == pytest.approx(1.002 - 0.5)
    assert wait_s(request(), before[1:]) == 0
    assert wait_s(request(kind="details"), others(60, 30)) == 0, "contract details are no historical request"


def test_symbols_are_searched_once_a_second() -> None:
    assert wait_s(request(kind="matching"), others(1, 0.25, kind="matching")) == pytest.approx(1.002 - 0.25)


def test_nothing_goes_while_the_broker_refuses() -> None:
    decision = decide(request(kind="details"), [], [], STRICT, NOW, NOW + 60 * S)
    assert decision == Decision(NOW + 60 * S, NOW, "the broker refused a request as too fast")


def test_a_request_that_was_not_sent_yet_counts_as_one_to_come() -> None:
    """Granted ten minutes ago and still on our side: it arrives at the broker with whatever goes now."""
    late = [one._replace(sent_ns=NOT_YET, answered_ns=NOT_YET) for one in others(60, 0)]
    profile = replace(STRICT, messages=100)
    assert wait_s(request(), late, profile) > 600
    assert wait_s(request(), late[:59], profile) == 0


def test_a_request_counts_from_its_answer_or_from_when_it_must_have_arrived() -> None:
    """Sent 610 s ago: one that was answered after 11 s arrived at the latest then; no delay above 2 % of the window is believed."""
    answered_s = {"after 3 s": 607.0, "after 11 s": 599.0, "never": None}
    waits = {
        name: wait_s(request(), [one._replace(answered_ns=NOT_YET if s is None else NOW - round(s * S)) for one in others(60, 610)])
        for name, s in answered_s.items()
    }
    assert waits == {"after 3 s": 0, "after 11 s": pytest.approx(601.2 - 599), "never": pytest.approx(601.2 + 12 - 610)}


def test_relaxed_rules_count_large_bars_by_themselves() -> None:
    """Bars of a minute and more keep the soft rules; small bars and head time stamps the hard ones."""
    small, large = others(60, 30, bar_seconds=30), others(60, 30, bar_seconds=60)
    assert wait_s(request(bar_seconds=60), small + large, RELAXED) == 0
    assert wait_s(request(bar_seconds=30), small, RELAXED) > 0
    assert wait_s(request(bar_seconds=30), large, RELAXED) == 0
    assert wait_s(request(bar_seconds=0, kind="head"), small, RELAXED) > 0
    assert "for bars below 60 s" in decided(request(bar_seconds=30), small, RELAXED).reason
    assert wait_s(request(identity="same"), [past(request(identity="same"), 5)], RELAXED) > 0
    assert wait_s(request(bar_seconds=60), others(600, 30), RELAXED) > 0
    assert wait_s(request(bar_seconds=3600), large + small, STRICT) > 0


def waiting(count: int, ready_ns: int = NOW, due_ns: int = NOW) -> list[WaitingRequest]:
    return [WaitingRequest("history", 60, 1, ready_ns, due_ns)] * count


def test_nobody_overtakes_one_who_waited_longer_and_each_is_told_another_place() -> None:
    before = [past(request(f"C{i}", identity=f"{i}"), 600 - i) for i in range(60)]
    told = [(decided(request(), before, ahead=waiting(count)).at_ns - NOW) / S for count in range(3)]
    assert told == [pytest.approx(1.2), pytest.approx(2.2), pytest.approx(3.2)]
    assert decided(request(), others(59, 30), ahead=waiting(1)).at_ns > NOW
    assert decided(request(), before, ahead=waiting(2)).reason.endswith(", and 2 more waited before this one")


def test_one_who_waits_for_a_rule_of_his_own_holds_nobody_up() -> None:
    assert decided(request(), others(59, 30), ahead=waiting(5, ready_ns=NOW + 1)).at_ns == NOW


def test_those_who_wait_for_minutes_hold_no_message_up() -> None:
    ahead = waiting(100, due_ns=NOW + 300 * S)
    assert decided(request(kind="details"), others(60, 30), ahead=ahead).at_ns == NOW


def test_more_may_wait_than_a_window_holds() -> None:
    assert NOW < decided(request(), others(60, 30), ahead=waiting(200)).at_ns <= NOW + 602 * S


def test_a_request_heavier_than_a_limit_still_goes() -> None:
    profile = PacingProfile(small=PacingRules(requests=1))
    assert wait_s(request(tick_type="BID_ASK"), [], profile) == 0


def test_scaled_rules_keep_their_counts_and_a_delay_that_processes_need() -> None:
    scaled = STRICT.scaled(0.01)
    assert (scaled.small.requests, scaled.small.window_s, scaled.small.identical_s, scaled.refusal_s) == (60, 6, 0.15, 0.6)
    assert [scaled.delay_of(6), scaled.delay_of(0.02)] == pytest.approx([0.12, 0.05])
    assert RELAXED.scaled(0.5).large == PacingRules(600, 300, 5, 1, 7.5)
    assert STRICT.scaled(0.01).large is None


def test_312_requests_take_52_minutes() -> None:
    assert STRICT.seconds_for(312, 60) == 52 * 60
    assert RELAXED.seconds_for(600, 60) == 600
    assert RELAXED.seconds_for(600, 30) == 6_000


def test_use_of_each_shared_rule_is_told() -> None:
    uses = {use.what: use for use in uses_of(RELAXED, others(45, 30) + others(10, 0.5, bar_seconds=1), NOW)}
    assert (uses["requests for bars below 60 s"].used, uses["requests for bars below 60 s"].left) == (10, 50)
    assert (uses["requests for bars from 60 s"].used, uses["requests for bars from 60 s"].limit) == (45, 600)
    assert (uses["messages"].used, uses["messages"].next_s) == (10, 0)
    assert next(use.next_s for use in uses_of(STRICT, others(60, 30), NOW)) == pytest.approx(571.2)


@pytest.mark.parametrize(
    ("requests", "seconds"),
    [
        (6, 0),
        (7, 171.2),  # when the first 54 leave: sent 430 s ago, one second of delay and a margin after ten minutes
        (60, 171.2),
        (61, 600),
        (66, 600),
        (67, 771.2),
    ],
)
def test_the_last_of_some_requests_goes_when_the_places_of_others_are_free(requests: int, seconds: float) -> None:
    (use, *_) = uses_of(STRICT, others(54, 430), NOW)
    assert use.left == 6
    assert use.seconds_until(requests) == pytest.approx(seconds)


@st.composite
def runs(draw: st.DrawFn) -> list[tuple[float, PacedRequest, float, float]]:
    """Draw requests with the pause before them, the delay until they are sent and the delay on the wire, in seconds of a 6 s window."""
    one = st.builds(request, st.sampled_from("ABC"), st.sampled_from(["TRADES", "BID_ASK"]), st.sampled_from("xyz"))
    delays = st.floats(0, 3) | st.just(0.0)
    return draw(st.lists(st.tuples(st.floats(0, 0.5), one, delays, st.floats(0, 0.119)), max_size=60))


@given(runs())
def test_whatever_the_delays_the_broker_sees_no_breach(run: list[tuple[float, PacedRequest, float, float]]) -> None:
    """The broker's own count, over arrivals: 8 in 6 s with BID_ASK twice, 5 in 2 s for a contract and tick type, identical after 1.5 s."""
    rules = PacingRules(requests=8, window_s=6, same_contract=3, same_contract_s=2, identical_s=1.5)
    profile = replace(STRICT, small=rules, delay_s=0.12, messages=1_000)
    now, arrivals = 0.0, []
    known: list[tuple[PacedRequest, float, float]] = []  # sent at, answered at
    for pause, one, delay, wire in run:
        now += pause
        for _ in range(100):
            here = round(now * S)
            before = [
                PastRequest(
                    *(done.kind, done.bar_seconds, done.weight, done.contract_key, done.identity_key),
                    *(round(sent * S) if sent <= now else NOT_YET, round(answered * S) if answered <= now else NOT_YET, 0),
                )
                for done, sent, answered in known
            ]
            decision = decide(one, before, [], profile, here)
            if decision.at_ns <= here:
                break
            now = max(now + 1e-6, decision.at_ns / S)
        else:
            pytest.fail("it never goes")
        known.append((one, now + delay, now + delay + wire + 0.2))
        arrivals.append((now + delay + wire, one))
    arrivals.sort(key=lambda arrival: arrival[0])
    for i, (end, one) in enumerate(arrivals):
        window = [other for moment, other in arrivals[: i + 1] if moment > end - 6]
        assert sum(other.weight for other in window) <= 8
        alike = [moment for moment, other in arrivals[: i + 1] if moment > end - 2 and other.contract_key == one.contract_key]
        assert len(alike) <= 3
        assert sum(other.identity_key == one.identity_key and moment > end - 1.5 for moment, other in arrivals[: i + 1]) == 1
