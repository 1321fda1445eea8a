from __future__ import annotations

import time

from market_data_pipeline.pacing.clock import Timeline, Watch, since_boot_ns

S = 10**9


def test_time_goes_on_with_the_clock() -> None:
    assert Timeline("boot", 0, 100 * S).at(107 * S, "boot").now_ns == 107 * S


def test_a_clock_that_is_set_back_makes_nothing_early_and_nothing_wait_for_hours() -> None:
    """Time goes on from the last look, at the pace of the clock."""
    behind = Timeline("boot", 0, 10_000 * S).at(5 * S, "boot")
    assert behind.now_ns == 10_000 * S
    assert behind.at(12 * S, "boot").now_ns == 10_007 * S


def test_another_boot_is_another_clock() -> None:
    """The host was down for nobody knows how long: only time since then counts, whatever the new clock reads."""
    rebooted = Timeline("first", 0, 100 * S).at(3_000 * S, "second")
    assert rebooted.now_ns == 100 * S
    assert rebooted.at(3_060 * S, "second").now_ns == 160 * S


def test_a_clock_that_jumps_ahead_is_held_to_what_can_have_passed() -> None:
    jumped = Timeline("database", 0, 100 * S).at(3_700 * S, "database", at_most_ns=105 * S)
    assert jumped.now_ns == 105 * S
    # Another process, which looked before the jump too, sees nothing odd any more.
    assert jumped.at(3_702 * S, "database", at_most_ns=109 * S).now_ns == 107 * S
    # Nor does time run back where another process has looked in between.
    assert Timeline("database", 0, 100 * S).at(3_700 * S, "database", at_most_ns=99 * S).now_ns == 100 * S


def test_a_watch_says_how_late_it_can_be() -> None:
    watch = Watch()
    assert watch.at_most_ns() is None
    watch.saw(100 * S)
    time.sleep(0.02)
    at_most = watch.at_most_ns()
    assert at_most is not None
    assert 101.02 * S <= at_most < 106 * S


def test_the_clock_of_the_host_is_not_the_wall_clock() -> None:
    first = since_boot_ns()
    assert 0 <= since_boot_ns() - first < S
    assert abs(first - time.time_ns()) > 1_000 * S
