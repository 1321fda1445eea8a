from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from market_data_pipeline.live.gate import CLOCK_SLACK_NS, BarGate, Verdict

MINUTE = 60_000_000_000
NOON = 1_704_456_000_000_000_000


def minutes() -> BarGate:
    return BarGate(lambda ts_event: ts_event + MINUTE)


def test_a_bar_passes_once() -> None:
    gate = minutes()
    assert [gate.judge(NOON, NOON + MINUTE) for _ in range(3)] == [Verdict.PASS, Verdict.SEEN, Verdict.SEEN]
    assert gate.seen == 2


def test_a_bar_older_than_the_history_was_seen() -> None:
    gate = minutes()
    gate.passed(NOON)
    assert gate.judge(NOON - 20 * MINUTE, NOON + MINUTE) is Verdict.SEEN
    assert gate.judge(NOON + MINUTE, NOON + 2 * MINUTE) is Verdict.PASS


def test_history_that_ends_before_what_has_passed_moves_nothing() -> None:
    gate = minutes()
    gate.passed(NOON)
    gate.passed(NOON - MINUTE)
    assert gate.newest == NOON


def test_a_forming_bar_is_dropped_and_passes_when_it_has_closed() -> None:
    gate = minutes()
    assert gate.judge(NOON, NOON + MINUTE // 2) is Verdict.FORMING
    assert gate.judge(NOON, NOON + MINUTE) is Verdict.PASS
    assert gate.forming == 1


def test_a_bar_that_arrives_as_it_closes_passes_where_the_clock_is_a_little_behind() -> None:
    assert minutes().judge(NOON, NOON + MINUTE - CLOCK_SLACK_NS) is Verdict.PASS
    assert minutes().judge(NOON, NOON + MINUTE - CLOCK_SLACK_NS - 1) is Verdict.FORMING


def test_without_a_clock_only_revisions_are_forming() -> None:
    gate = BarGate()
    assert gate.judge(NOON, 0) is Verdict.PASS
    assert gate.judge(NOON + MINUTE, 0, is_revision=True) is Verdict.FORMING


def test_a_revision_is_a_state_that_may_change_again() -> None:
    assert minutes().judge(NOON, NOON + 5 * MINUTE, is_revision=True) is Verdict.FORMING


@given(st.lists(st.integers(0, 30)), st.lists(st.integers(0, 60)))
def test_whatever_comes_in_whatever_order_what_passes_rises_and_none_twice(history: list[int], live: list[int]) -> None:
    gate = minutes()
    for number in history:
        gate.passed(number * MINUTE)
    newest = max(history, default=-1)
    passed = [number for number in live if gate.judge(number * MINUTE, NOON) is Verdict.PASS]
    assert passed == sorted(set(passed))
    assert all(number > newest for number in passed)
    # A list that rises on its own loses nothing that the history did not have.
    if live == sorted(live):
        assert passed == [number for number in dict.fromkeys(live) if number > newest]
