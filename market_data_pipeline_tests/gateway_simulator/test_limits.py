"""The broker's rules, measured. Numbers from "Historical Data Limitations" and "Pacing Violations for Small Bars" of the TWS API documentation."""

from __future__ import annotations

import random

from market_data_pipeline.gateway_simulator.limits import Arrival, PacingLimits, PacingWatch, Rule, Window

S = 1_000_000_000


def arrival(number: int = 0, series: str = "", weight: int = 1) -> Arrival:
    return Arrival(series or f"series {number}", f"request {number}", weight)


def rules(watch: PacingWatch, seconds: float, what: Arrival, open_now: int = 0) -> set[Rule]:
    return {breach.rule for breach in watch.historical(round(seconds * S), what, open_now)}


def test_sixty_requests_in_ten_minutes_are_allowed_and_the_next_is_not() -> None:
    watch = PacingWatch(PacingLimits())
    assert all(not rules(watch, 9.0 * number, arrival(number)) for number in range(60))
    assert rules(watch, 599.999, arrival(60)) == {Rule.WINDOW}


def test_after_exactly_ten_minutes_the_first_no_longer_counts() -> None:
    watch = PacingWatch(PacingLimits())
    for number in range(60):
        rules(watch, 9.0 * number, arrival(number))
    assert not rules(watch, 600.0, arrival(60))


def test_a_request_that_was_refused_counts_too() -> None:
    watch = PacingWatch(PacingLimits(requests=2, window_s=10))
    assert [rules(watch, at, arrival(round(at * 10))) for at in (0, 4, 8, 11, 12)] == [set(), set(), {Rule.WINDOW}, {Rule.WINDOW}, {Rule.WINDOW}]


def test_bid_ask_counts_twice() -> None:
    watch = PacingWatch(PacingLimits())
    assert all(not rules(watch, 10.0 * number, arrival(number, weight=2)) for number in range(30))
    assert rules(watch, 301, arrival(30)) == {Rule.WINDOW}


def test_the_same_request_within_fifteen_seconds_is_a_breach() -> None:
    watch = PacingWatch(PacingLimits())
    assert [rules(watch, at, arrival(7)) for at in (0.0, 15.0, 29.9)] == [set(), set(), {Rule.IDENTICAL}]


def test_six_for_one_contract_within_two_seconds_are_a_breach() -> None:
    watch = PacingWatch(PacingLimits())
    seen = [rules(watch, 0.3 * number, arrival(number, "AAPL SMART TRADES")) for number in range(6)]
    assert seen == [set(), set(), set(), set(), set(), {Rule.BURST}]


def test_other_contracts_do_not_count_for_a_burst() -> None:
    watch = PacingWatch(PacingLimits())
    assert all(not rules(watch, 0.01 * number, arrival(number)) for number in range(20))


def test_fifty_may_be_open() -> None:
    watch = PacingWatch(PacingLimits())
    assert not rules(watch, 0, arrival(1), open_now=49)
    assert rules(watch, 100, arrival(2), open_now=50) == {Rule.OPEN}


def test_matching_symbols_may_be_asked_for_once_a_second() -> None:
    watch = PacingWatch(PacingLimits())
    assert [len(watch.matching(round(at * S))) for at in (0, 1.0, 1.5, 2.6)] == [0, 0, 1, 0]


def test_fifty_messages_a_second_are_allowed() -> None:
    rate = PacingWatch(PacingLimits()).messages()
    breaches = [rate.arrived(number * S // 100) for number in range(51)]
    assert [breach is None for breach in breaches] == [True] * 50 + [False]


def test_a_breach_tells_both_times() -> None:
    watch = PacingWatch(PacingLimits(requests=1, window_s=10))
    watch.historical(3 * S, arrival(1), 0)
    (breach,) = watch.historical(7 * S, arrival(2), 0)
    assert (breach.with_ns, breach.at_ns, breach.counted, breach.limit, breach.window_s) == (3 * S, 7 * S, 2, 1, 10)


def test_times_scale_and_numbers_do_not() -> None:
    scaled = PacingLimits().scaled(0.01)
    assert (scaled.window_s, scaled.identical_s, scaled.burst_s, scaled.matching_s) == (6.0, 0.15, 0.02, 0.01)
    assert (scaled.requests, scaled.burst, scaled.open_at_once, scaled.messages) == (60, 6, 50, 50)


def test_the_window_agrees_with_counting_every_pair() -> None:
    """Against a count of all arrivals so far in (now - window, now]."""
    chance = random.Random(3)
    window, arrivals, now = Window(2.0), [], 0
    for _ in range(2_000):
        now += chance.randrange(0, S // 2)
        arrivals.append((now, chance.choice("abc"), chance.choice([1, 2])))
        weight, first = window.add(*arrivals[-1])
        same = [(at, one) for at, key, one in arrivals if key == arrivals[-1][1] and now - at < 2 * S]
        assert (weight, first) == (sum(one for _, one in same), same[0][0])


def test_a_window_remembers_only_what_it_holds() -> None:
    window = Window(1.0)
    for number in range(10_000):
        window.add(number * S // 10, number)
    assert len(window._times) == len(window._weights) == len(window._arrivals) == 10
