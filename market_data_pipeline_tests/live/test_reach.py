"""Which sessions hold the newest bars. Hours are those that NYSE and IBKR publish, worked out by hand."""

from __future__ import annotations

import datetime as dt

import pytest

from market_data_pipeline.calendars import partitions_of
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.coverage import Coverage
from market_data_pipeline.domain.sessions import date_of
from market_data_pipeline.live.reach import Held, Reach, Schedule, Situation
from market_data_pipeline.sources.ibkr import Hours
from market_data_pipeline_tests.instants import NEW_YORK, ns

WHOLE = Held(Coverage.COMPLETE, 390)
THURSDAY = "2024-01-11"


def schedule_of(instrument: str, spec: str, hours: Hours = Hours.RTH) -> Schedule:
    return Schedule(partitions_of(Series.of(instrument, spec)), hours)


def at(schedule: Schedule, date: str) -> int:
    position = schedule.partitions.index_of(dt.date.fromisoformat(date))
    assert position is not None
    return position


def days_of(schedule: Schedule, positions: range) -> list[str]:
    return [str(date_of(schedule.partitions.days[position])) for position in positions]


def situation(schedule: Schedule, now: str, **held: Held) -> Situation:
    """Return what is at hand at a New York time; keys are dates, `d2024_01_10`."""
    by_position = {at(schedule, key[1:].replace("_", "-")): one for key, one in held.items()}
    return Situation(schedule, by_position, ns(now, NEW_YORK))


MINUTE = schedule_of("AAPL.NASDAQ", "1-MINUTE-LAST")


@pytest.mark.parametrize(
    ("instrument", "spec", "hours", "date", "bars"),
    [
        ("AAPL.NASDAQ", "1-MINUTE-LAST", Hours.RTH, THURSDAY, 390),
        ("AAPL.NASDAQ", "1-MINUTE-LAST", Hours.ALL, THURSDAY, 960),  # 04:00 to 20:00
        ("AAPL.NASDAQ", "15-MINUTE-LAST", Hours.RTH, "2024-11-29", 14),  # the day after Thanksgiving closes at 13:00
        ("AAPL.NASDAQ", "1-HOUR-LAST", Hours.RTH, THURSDAY, 7),  # 09:30, 10:00 … 15:00
        ("AAPL.NASDAQ", "1-DAY-LAST", Hours.RTH, THURSDAY, 1),
        ("EUR/USD.IDEALPRO", "15-MINUTE-MID", Hours.ALL, THURSDAY, 95),  # a day without a quarter of an hour
        ("EUR/USD.IDEALPRO", "1-HOUR-MID", Hours.ALL, THURSDAY, 24),  # 17:15, 18:00 … 16:00
        ("ESH24.CME", "1-MINUTE-LAST", Hours.ALL, THURSDAY, 1_380),  # 17:00 to 16:00 Chicago
    ],
)
def test_a_session_holds_as_many_bars_as_its_hours(instrument: str, spec: str, hours: Hours, date: str, bars: int) -> None:
    schedule = schedule_of(instrument, spec, hours)
    assert len(schedule.closes(at(schedule, date))) == bars


def test_a_bar_counts_once_it_has_closed() -> None:
    position = at(MINUTE, THURSDAY)
    closed = [MINUTE.closed(position, ns(f"{THURSDAY} {clock}", NEW_YORK)) for clock in ("09:30", "09:30:59", "09:31", "11:00:30", "16:00", "18:00")]
    assert closed == [0, 0, 1, 90, 390, 390]


def test_today_counts_what_has_closed_and_yesterday_gives_the_rest() -> None:
    """At 11:00:30, 90 bars of the day have closed; 390 before are enough for 480, and for 481 they are not."""
    now = situation(MINUTE, f"{THURSDAY} 11:00:30")
    for wanted, sessions in ((90, 1), (91, 2), (480, 2), (481, 3)):
        reach = now.reach(wanted, 400)
        assert (len(reach.positions), reach.is_limited) == (sessions, False), wanted
    assert days_of(MINUTE, now.reach(481, 400).positions) == ["2024-01-09", "2024-01-10", THURSDAY]


def test_stored_sessions_count_their_bars_and_thin_ones_reach_further_back() -> None:
    thin = {f"d2024_01_{day:02}": Held(Coverage.COMPLETE, 39) for day in (10, 9, 8)}
    now = situation(MINUTE, "2024-01-10 20:00", **thin)
    assert days_of(MINUTE, now.reach(100, 400).positions) == ["2024-01-08", "2024-01-09", "2024-01-10"]
    # A tenth of the time has bars, so the 83 that are missing are expected in three sessions more.
    assert days_of(MINUTE, now.reach(200, 400).positions)[0] == "2024-01-03"


def test_260_day_bars_are_260_sessions() -> None:
    """At 11:00 the day's bar is forming. NYSE had 250 sessions in 2023, so 253 before 1 January 2024 begin on 28 December 2022."""
    daily = schedule_of("AAPL.NASDAQ", "1-DAY-LAST")
    reach = situation(daily, f"{THURSDAY} 11:00").reach(260, 400)
    assert (len(reach.positions), reach.bars) == (260, 260)
    assert days_of(daily, reach.positions)[-1] == "2024-01-10"
    assert days_of(daily, reach.positions)[0] == "2022-12-28"
    assert days_of(daily, situation(daily, f"{THURSDAY} 16:00").reach(260, 400).positions)[-1] == THURSDAY


def test_a_weekend_is_no_session() -> None:
    pair = schedule_of("EUR/USD.IDEALPRO", "15-MINUTE-MID", Hours.ALL)
    for now in ("2024-01-12 17:00", "2024-01-13 12:00", "2024-01-14 17:29"):
        assert days_of(pair, situation(pair, now).reach(96, 400).positions) == ["2024-01-11", "2024-01-12"]
    assert days_of(pair, situation(pair, "2024-01-14 17:30").reach(96, 400).positions) == ["2024-01-12", "2024-01-15"]


def test_in_the_pause_of_currencies_nothing_is_missing_that_has_not_traded() -> None:
    pair = schedule_of("EUR/USD.IDEALPRO", "15-MINUTE-MID", Hours.ALL)
    for clock in ("17:00", "17:07", "17:15", "17:29"):
        now = situation(pair, f"{THURSDAY} {clock}", d2024_01_11=Held(Coverage.COMPLETE, 95))
        assert now.broken(now.reach(95, 400).positions) == []
    now = situation(pair, f"{THURSDAY} 17:30", d2024_01_11=Held(Coverage.COMPLETE, 95))
    assert days_of(pair, range(now.broken(now.reach(95, 400).positions)[0], now.schedule.newest(now.now_ns) + 1)) == ["2024-01-12"]


def test_a_half_day_holds_210_minutes() -> None:
    now = situation(MINUTE, "2024-11-29 13:00")
    assert now.reach(210, 400) == Reach(range(at(MINUTE, "2024-11-29"), at(MINUTE, "2024-11-29") + 1), 210, is_limited=False)
    assert days_of(MINUTE, now.reach(211, 400).positions) == ["2024-11-27", "2024-11-29"]  # Thanksgiving is no session


def test_it_never_goes_back_further_than_it_may() -> None:
    reach = situation(MINUTE, f"{THURSDAY} 11:00:30").reach(10_000, 3)
    assert (len(reach.positions), reach.bars, reach.is_limited) == (3, 870, True)


def test_a_hole_is_told_with_its_sessions_its_bars_and_its_times() -> None:
    now = situation(MINUTE, f"{THURSDAY} 11:00:30", d2024_01_08=WHOLE, d2024_01_11=Held(Coverage.COMPLETE, 390))
    hole = now.hole(now.reach(1_000, 400).positions)
    assert hole is not None
    assert (days_of(MINUTE, hole.positions), hole.bars) == (["2024-01-09", "2024-01-10"], 780)
    assert (hole.start_ns, hole.end_ns) == (ns("2024-01-09 09:30", NEW_YORK), ns("2024-01-10 16:00", NEW_YORK))


def test_a_session_that_was_asked_for_while_it_traded_is_whole_up_to_its_last_bar() -> None:
    ten = ns(f"{THURSDAY} 10:00", NEW_YORK)
    by_broker, by_file = Held(Coverage.PARTIAL, 30, ten, until_ns=ten), Held(Coverage.PARTIAL, 30, ten)
    whole = situation(MINUTE, f"{THURSDAY} 10:00:59", d2024_01_11=by_broker)
    assert whole.is_continuous(at(MINUTE, THURSDAY))
    assert not situation(MINUTE, f"{THURSDAY} 10:00:59", d2024_01_11=by_file).is_continuous(at(MINUTE, THURSDAY))
    now = situation(MINUTE, f"{THURSDAY} 10:30", d2024_01_11=by_broker)
    hole = now.hole(range(at(MINUTE, THURSDAY), at(MINUTE, THURSDAY) + 1))
    assert hole is not None
    assert (hole.bars, hole.start_ns, hole.end_ns) == (30, ten, ns(f"{THURSDAY} 10:30", NEW_YORK))


def test_a_session_without_trades_is_no_hole() -> None:
    now = situation(MINUTE, "2024-01-10 20:00", d2024_01_09=Held(Coverage.EMPTY, 0), d2024_01_10=WHOLE)
    assert now.broken(range(at(MINUTE, "2024-01-09"), at(MINUTE, "2024-01-10") + 1)) == []


@pytest.mark.parametrize(
    ("instrument", "spec", "now", "bars", "closes"),
    [
        ("AAPL.NASDAQ", "1-MINUTE-LAST", f"{THURSDAY} 11:00:30", 260, f"{THURSDAY} 15:20"),
        ("AAPL.NASDAQ", "1-MINUTE-LAST", f"{THURSDAY} 11:00:30", 301, "2024-01-12 09:31"),
        ("AAPL.NASDAQ", "15-MINUTE-LAST", "2024-01-12 16:00", 260, "2024-01-29 16:00"),  # 26 a day: ten sessions, and 15 January is none
        ("AAPL.NASDAQ", "1-DAY-LAST", f"{THURSDAY} 11:00", 3, "2024-01-16 16:00"),  # 11, 12 and 16 January
    ],
)
def test_the_nth_bar_from_now_closes_when_the_calendar_says(instrument: str, spec: str, now: str, bars: int, closes: str) -> None:
    schedule = schedule_of(instrument, spec)
    found = schedule.nth_close_after(ns(now, NEW_YORK), bars)
    assert found == ns(closes, NEW_YORK)


def test_beyond_the_calendar_nothing_is_told() -> None:
    daily = schedule_of("AAPL.NASDAQ", "1-DAY-LAST")
    assert daily.nth_close_after(ns(f"{THURSDAY} 11:00", NEW_YORK), 100_000) is None
