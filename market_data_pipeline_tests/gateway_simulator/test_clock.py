"""The gateway's clock."""

from __future__ import annotations

import time

import pytest

from market_data_pipeline.gateway_simulator.clock import Clock

START = 1_717_425_000_000_000_000  # 2024-06-03 14:30:00 UTC


def test_a_clock_that_nobody_set_shows_the_real_time() -> None:
    assert abs(Clock().now_ns() - time.time_ns()) < 1_000_000_000


def test_a_clock_that_nobody_set_follows_the_real_one_over_a_night_asleep(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that sleeps stops its monotonic clock, and its wall clock goes on."""
    clock = Clock()
    monkeypatch.setattr(time, "time_ns", lambda: START)
    assert clock.now_ns() == START


def test_a_clock_that_was_set_goes_on_from_there() -> None:
    clock = Clock(START)
    assert 0 <= clock.now_ns() - START < 1_000_000_000
    assert f"{clock.now():%Y-%m-%d %H:%M}" == "2024-06-03 14:30"


def test_a_clock_may_run_faster() -> None:
    clock = Clock(START, 3_600)
    time.sleep(0.05)
    assert 180 <= (clock.now_ns() - START) / 1e9 < 3_600


def test_a_clock_may_stand_still() -> None:
    clock = Clock(START, 0)
    time.sleep(0.01)
    assert clock.now_ns() == START
    assert clock.real_seconds_until(START + 1) is None


def test_waiting_takes_less_time_on_a_fast_clock() -> None:
    """At speed 60 a minute of the market is a second."""
    left = Clock(START, 60).real_seconds_until(START + 60_000_000_000)
    assert left is not None
    assert 0.9 < left <= 1.0


def test_a_moment_that_is_past_is_not_waited_for() -> None:
    assert Clock(START).real_seconds_until(START - 1) == 0.0
