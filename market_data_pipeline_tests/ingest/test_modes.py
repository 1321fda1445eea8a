"""Which sessions each mode asks for. Dates by hand from the calendar of the New York Stock Exchange of 2024: closed on January 1 and 15."""

from __future__ import annotations

import datetime as dt

import pytest

from market_data_pipeline.calendars import partitions_of
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.errors import InvalidDate
from market_data_pipeline.domain.sessions import Partitions, date_of
from market_data_pipeline.ingest.modes import Holes, Mode, Reach, Span, newest_with_bars, sessions_to_ask
from market_data_pipeline_tests.instants import ns

MINUTES = partitions_of(Series.of("AAPL.NASDAQ", "1-MINUTE-LAST"))
DAYS = partitions_of(Series.of("AAPL.NASDAQ", "1-DAY-LAST"))
PAIR = partitions_of(Series.of("EUR/USD.IDEALPRO", "1-MINUTE-MID"))
NEW_YORK = "America/New_York"
WEDNESDAY_NIGHT = ns("2024-01-31 23:00", NEW_YORK)


def day(number: int) -> dt.date:
    return dt.date(2024, 1, number)


def jan(*numbers: int) -> list[dt.date]:
    return [day(number) for number in numbers]


def asked(
    mode: str,
    stored: tuple[int, int] | None,
    start: int | None = None,
    end: int | None = None,
    holes: Holes = Holes.FILL,
    head: str | None = None,
    depth: int = 1,
    partitions: Partitions = MINUTES,
) -> list[dt.date]:
    """Return what is asked for in the night of January 31."""
    reach = Reach(Mode(mode), None if start is None else day(start), None if end is None else day(end), holes)
    newest = newest_with_bars(partitions, "rth", WEDNESDAY_NIGHT)
    span = None if stored is None else Span(day(stored[0]), day(stored[1]))
    head_ns = None if head is None else ns(head, NEW_YORK)
    return sessions_to_ask(partitions, span, reach, newest=newest, head_ns=head_ns, depth=lambda before: depth)


@pytest.mark.parametrize("mode", ["tail", "backfill", "full"])
def test_with_nothing_stored_every_mode_asks_for_the_whole_range(mode: str) -> None:
    """January 2024 had 21 sessions."""
    dates = jan(2, 3, 4, 5, 8, 9, 10, 11, 12, 16, 17, 18, 19, 22, 23, 24, 25, 26, 29, 30, 31)
    assert len(dates) == 21
    assert asked(mode, None, 1, 31) == dates
    assert asked(mode, None, 1) == dates


def test_with_nothing_stored_and_no_start_the_head_time_stamp_is_where_it_begins() -> None:
    assert asked("full", None, head="2024-01-26 09:30") == jan(26, 29, 30, 31)
    assert asked("full", None, head="2024-01-27 12:00") == jan(29, 30, 31)
    assert [Reach(mode).needs_head(None) for mode in Mode] == [True, True, True]
    assert [Reach(mode).needs_head(Span(day(2), day(3))) for mode in Mode] == [False, False, True]
    assert not Reach(Mode.FULL, start=day(2)).needs_head(None)


def test_nothing_is_asked_for_that_is_older_than_the_first_bar_of_the_broker() -> None:
    assert asked("backfill", (30, 30), start=2, head="2024-01-26 09:30") == jan(26, 29)


def test_tail_goes_from_the_last_stored_session_which_may_be_partial_to_now() -> None:
    assert asked("tail", (2, 25), holes=Holes.LEAVE) == jan(25, 26, 29, 30, 31)
    assert asked("tail", (24, 25)) == jan(24, 25, 26, 29, 30, 31)


def test_tail_never_goes_before_the_first_stored_session() -> None:
    assert asked("tail", (29, 30), start=2) == jan(29, 30, 31)


def test_backfill_reaches_back_to_the_start() -> None:
    assert asked("backfill", (16, 18), start=9) == jan(9, 10, 11, 12, 16, 17)
    assert asked("backfill", (16, 18), start=9, holes=Holes.LEAVE) == jan(9, 10, 11, 12)


def test_backfill_without_a_start_reaches_as_far_as_one_maximal_request() -> None:
    assert asked("backfill", (16, 16)) == jan(12)
    assert asked("backfill", (16, 16), depth=5) == jan(8, 9, 10, 11, 12)


def test_backfill_leaves_the_last_session_to_tail_because_it_may_still_trade() -> None:
    assert asked("backfill", (12, 18)) == jan(11, 12, 16, 17)


def test_a_stopped_backfill_goes_on_to_its_end_when_run_again() -> None:
    """It was stopped after January 5."""
    assert asked("backfill", (2, 5), 1, 12) == jan(2, 3, 4, 5, 8, 9, 10, 11, 12)
    assert asked("backfill", (2, 5), 1, 12, Holes.LEAVE) == jan(5, 8, 9, 10, 11, 12)


def test_full_goes_from_the_start_to_now_and_leaves_holes_on_demand() -> None:
    assert asked("full", (17, 25), start=12) == jan(12, 16, 17, 18, 19, 22, 23, 24, 25, 26, 29, 30, 31)
    assert asked("full", (17, 25), start=12, holes=Holes.LEAVE) == jan(12, 16, 25, 26, 29, 30, 31)


@pytest.mark.parametrize("mode", ["tail", "backfill", "full"])
def test_start_and_end_bound_every_mode_and_holes_too(mode: str) -> None:
    assert asked(mode, (2, 30), start=9, end=11) == jan(9, 10, 11)
    assert asked(mode, (2, 30), start=13, end=16) == jan(16)


def test_a_range_without_a_session_and_one_that_runs_backwards_are_refused() -> None:
    with pytest.raises(InvalidDate, match="There is no 1-MINUTE-LAST session of NYSE from 2024-01-13 to 2024-01-15"):
        asked("full", None, 13, 15)
    with pytest.raises(InvalidDate, match="The range runs backwards: 2024-01-12 to 2024-01-09"):
        asked("full", None, 12, 9)


def test_the_future_is_never_asked_for() -> None:
    reach = Reach(Mode.FULL, start=dt.date(2024, 2, 1))
    with pytest.raises(
        InvalidDate, match=r"No 1-MINUTE-LAST bar of 2024-02-01 or later has closed yet. The last session that has bars is 2024-01-31"
    ):
        sessions_to_ask(MINUTES, None, reach, newest=newest_with_bars(MINUTES, "rth", WEDNESDAY_NIGHT), depth=lambda before: 1)
    until_june = Reach(Mode.FULL, start=day(30), end=dt.date(2024, 6, 28))
    newest = newest_with_bars(MINUTES, "rth", WEDNESDAY_NIGHT)
    assert sessions_to_ask(MINUTES, None, until_june, newest=newest, depth=lambda before: 1) == jan(30, 31)


@pytest.mark.parametrize(
    ("partitions", "hours", "now", "last"),
    [
        # Thursday's regular hours open at 09:30; the first minute has closed at 09:31. Pre-market begins at 04:00.
        (MINUTES, "rth", "2024-01-11 09:30:59", 10),
        (MINUTES, "rth", "2024-01-11 09:31", 11),
        (MINUTES, "all", "2024-01-11 04:00:59", 10),
        (MINUTES, "all", "2024-01-11 04:01", 11),
        # A weekend and a holiday: the last session is Friday's.
        (MINUTES, "rth", "2024-01-13 12:00", 12),
        (MINUTES, "all", "2024-01-15 12:00", 12),
        # A day bar is forming until the session has closed: regular hours at 16:00, post-market at 20:00.
        (DAYS, "rth", "2024-01-11 15:59", 10),
        (DAYS, "rth", "2024-01-11 16:00", 11),
        (DAYS, "all", "2024-01-11 16:00", 10),
        (DAYS, "all", "2024-01-11 20:00", 11),
        # The session of Monday the 8th opens on Sunday at 17:15.
        (PAIR, "all", "2024-01-07 17:15:59", 5),
        (PAIR, "all", "2024-01-07 17:16", 8),
    ],
)
def test_the_newest_session_is_the_one_that_trades_once_a_bar_has_closed(partitions: Partitions, hours: str, now: str, last: int) -> None:
    assert date_of(partitions.days[newest_with_bars(partitions, hours, ns(now, NEW_YORK))]) == day(last)
