from __future__ import annotations

from market_data_pipeline.live.readiness import Readiness, WarmUpState
from market_data_pipeline.live.status import least_ready

MINUTES, QUARTERS = "AAPL.NASDAQ-1-MINUTE-LAST-EXTERNAL", "AAPL.NASDAQ-15-MINUTE-LAST-EXTERNAL"


def saw(readiness: Readiness, bar_type: str, count: int) -> Readiness:
    for _ in range(count):
        readiness.saw(bar_type)
    return readiness


def test_it_is_ready_when_every_bar_type_has_enough_and_indicators_say_so() -> None:
    readiness = saw(Readiness({MINUTES: 3, QUARTERS: 2}), MINUTES, 3)
    readiness.advance(indicators_initialized=True)
    assert (readiness.state, readiness.lacks()) == (WarmUpState.WARMING_UP, {QUARTERS: 2})
    saw(readiness, QUARTERS, 2)
    assert not readiness.advance(indicators_initialized=False)
    assert readiness.advance(indicators_initialized=True)
    assert readiness.is_ready


def test_initialised_indicators_are_not_enough_where_more_bars_are_needed() -> None:
    readiness = saw(Readiness({MINUTES: 3}), MINUTES, 2)
    readiness.advance(indicators_initialized=True)
    assert not readiness.is_ready


def test_while_history_is_on_its_way_it_is_not_ready() -> None:
    readiness = saw(Readiness({MINUTES: 1}, waiting={MINUTES}), MINUTES, 1)
    readiness.advance(indicators_initialized=True)
    assert readiness.state is WarmUpState.WARMING_UP
    readiness.waiting.clear()
    assert readiness.advance(indicators_initialized=True)


def test_ready_is_never_taken_back() -> None:
    readiness = saw(Readiness({MINUTES: 1}), MINUTES, 1)
    readiness.advance(indicators_initialized=True)
    assert not readiness.advance(indicators_initialized=False)
    assert readiness.is_ready


def test_nothing_seen_is_initializing() -> None:
    readiness = Readiness({MINUTES: 1})
    assert not readiness.advance(indicators_initialized=True)
    assert readiness.state is WarmUpState.INITIALIZING


def test_a_node_is_as_ready_as_its_least_ready_strategy() -> None:
    assert least_ready([WarmUpState.READY, WarmUpState.WARMING_UP]) is WarmUpState.WARMING_UP
    assert least_ready([]) is WarmUpState.INITIALIZING
