from __future__ import annotations

import datetime as dt
from functools import cache
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market_data_pipeline.domain.bar_types import BarSpec
from market_data_pipeline.domain.errors import InvalidDate
from market_data_pipeline.domain.pacing import STRICT
from market_data_pipeline.domain.planning import PlannedRequest, estimate, halved, plan_requests, reach_of_one_request
from market_data_pipeline.domain.request_sizes import DOCUMENTED, OBSERVED, RequestSizes
from market_data_pipeline.domain.sessions import Partitions, SessionCalendar, day_number
from market_data_pipeline_tests.domain.example_calendars import example_partitions
from market_data_pipeline_tests.instants import dates, ns

HOUR = 3_600 * 10**9
# Good Friday and the Mondays after are left to the weekends; enough for a calendar of made weekdays.
HOLIDAYS = set(dates("2023-01-02 2023-12-25 2024-01-01 2024-01-15 2024-02-19 2024-05-27 2024-07-04 2024-12-25 2025-01-01 2025-01-09 2025-05-26"))


@cache
def stocks(spec: str) -> Partitions:
    """Return weekdays without a few holidays from December 2022 on: 09:00 to 22:00 UTC, regular hours 14:30 to 21:00."""
    every = [dt.date(2022, 12, 1) + dt.timedelta(i) for i in range(1_000)]
    return made([day for day in every if day.weekday() < 5 and day not in HOLIDAYS], spec, (9, 14.5, 21, 22))


@cache
def currencies(spec: str) -> Partitions:
    """Return weekdays that begin on the evening before, 22:15 UTC, and end at 22:00."""
    every = [dt.date(2023, 12, 1) + dt.timedelta(i) for i in range(500)]
    return made([day for day in every if day.weekday() < 5], spec, (-1.75, -1.75, 22, 22))


@cache
def coins(spec: str) -> Partitions:
    return made([dt.date(2023, 1, 1) + dt.timedelta(i) for i in range(1_000)], spec, (0, 0, 24, 24))


def made(sessions: list[dt.date], spec: str, hours: tuple[float, float, float, float], pause: tuple[float, float] = (21, 21)) -> Partitions:
    days = np.array([day_number(day) for day in sessions], dtype=np.int64)
    pre, regular, close, end, pause_start, pause_end = (days * 24 * HOUR + round(hour * HOUR) for hour in (*hours, *pause))
    calendar = SessionCalendar("MADE", "UTC", days, pre, regular, close, end, pause_start, pause_end)
    return Partitions.of(calendar, BarSpec.parse(spec))


def told(plan: list[PlannedRequest]) -> list[tuple[str, str, int, str]]:
    return [(f"{one.sessions[0]}", f"{one.sessions[-1]}", len(one.sessions), one.duration) for one in plan]


def between(partitions: Partitions, start: str, end: str) -> list[dt.date]:
    return partitions.dates_between(*dates(f"{start} {end}"))


def test_a_month_of_minutes_is_one_request_a_session() -> None:
    partitions = stocks("1-MINUTE-LAST")
    plan = plan_requests(partitions, between(partitions, "2024-01-01", "2024-01-31"), DOCUMENTED, hours="rth")
    assert len(plan) == 21
    assert {one.duration for one in plan} == {"1 D"}
    assert plan[0] == PlannedRequest((dt.date(2024, 1, 2),), ns("2024-01-02 14:30"), ns("2024-01-02 22:00"), "1 D", "rth")
    told_ahead = estimate(plan, partitions, STRICT)
    assert (told_ahead.requests, told_ahead.sessions, told_ahead.bars, told_ahead.size_bytes) == (21, 21, 8_190, 8_190 * 14)


def test_day_bars_with_three_gaps_take_three_requests() -> None:
    """Asked 2023-01-01 to 2025-05-30, stored 2024-04-01 to 2025-05-01 without 2024-12-01..10.

    A year, a year that reaches over what is stored into the second gap, and May.
    """
    partitions = stocks("1-DAY-LAST")
    stored = set(between(partitions, "2024-04-01", "2025-05-01")) - set(between(partitions, "2024-12-01", "2024-12-10"))
    missing = [day for day in between(partitions, "2023-01-01", "2025-05-30") if day not in stored]
    plan = plan_requests(partitions, missing, DOCUMENTED, hours="rth")
    assert [(first, last) for first, last, _, _ in told(plan)] == [
        ("2023-01-03", "2024-01-02"),
        ("2024-01-03", "2024-12-10"),
        ("2025-05-02", "2025-05-30"),
    ]
    assert [day for one in plan for day in one.sessions] == missing
    assert plan[2].end_ns == ns("2025-05-30 22:00")
    assert len(plan_requests(partitions, missing, OBSERVED, hours="rth")) == 1


def test_trading_days_are_counted_over_what_is_stored_between() -> None:
    partitions = stocks("5-MINUTE-LAST")
    plan = plan_requests(partitions, dates("2024-01-02 2024-01-05 2024-01-08 2024-01-16"), DOCUMENTED)
    assert told(plan) == [("2024-01-02", "2024-01-08", 3, "5 D"), ("2024-01-16", "2024-01-16", 1, "1 D")]


def test_a_request_never_begins_or_ends_in_closed_hours_for_their_sake() -> None:
    """From Wednesday over the weekend and the holiday to Wednesday is more than a week: nothing but its own sessions is asked for."""
    partitions = stocks("5-MINUTE-LAST")
    plan = plan_requests(partitions, between(partitions, "2024-01-10", "2024-01-17"), DOCUMENTED)
    assert told(plan) == [("2024-01-10", "2024-01-16", 4, "4 D"), ("2024-01-17", "2024-01-17", 1, "1 D")]
    assert [(one.start_ns, one.end_ns) for one in plan] == [
        (ns("2024-01-10 09:00"), ns("2024-01-16 22:00")),
        (ns("2024-01-17 09:00"), ns("2024-01-17 22:00")),
    ]


def test_small_bars_take_several_requests_a_session() -> None:
    """Regular hours of 6.5 h are two requests of at most 4 h; all 13 h are four."""
    partitions = stocks("15-SECOND-LAST")
    day = dates("2024-01-05")
    plan = plan_requests(partitions, day, DOCUMENTED, hours="rth")
    assert [(one.start_ns, one.end_ns, one.duration) for one in plan] == [
        (ns("2024-01-05 14:30"), ns("2024-01-05 18:30"), "14400 S"),
        (ns("2024-01-05 18:30"), ns("2024-01-05 21:00"), "9000 S"),
    ]
    assert len(plan_requests(partitions, day, DOCUMENTED)) == 4
    assert estimate(plan, partitions, STRICT).bars == 6.5 * 240


def test_a_pause_inside_a_session_is_not_asked_for() -> None:
    partitions = made(dates("2024-01-04 2024-01-05"), "30-SECOND-LAST", (1, 1, 15, 15), pause=(8, 12))
    plan = plan_requests(partitions, dates("2024-01-05"), DOCUMENTED)
    assert [(one.start_ns, one.end_ns) for one in plan] == [
        (ns("2024-01-05 01:00"), ns("2024-01-05 08:00")),
        (ns("2024-01-05 12:00"), ns("2024-01-05 15:00")),
    ]
    assert estimate(plan, partitions, STRICT).bars == 10 * 120


def test_day_bars_end_where_their_own_session_has_closed() -> None:
    """Currencies trade again when the UTC date ends: a request that ended there would count the next day as one of its own."""
    fx = currencies("1-DAY-MID")
    (whole,) = plan_requests(fx, between(fx, "2024-01-02", "2024-01-31"), DOCUMENTED)
    assert (whole.end_ns, whole.duration) == (ns("2024-01-31 22:00"), "22 D")
    crypto = coins("1-DAY-LAST")
    (coin,) = plan_requests(crypto, dates("2024-01-05"), DOCUMENTED)
    assert coin.end_ns == ns("2024-01-06 00:00") - 1


def test_more_than_365_trading_days_are_asked_for_in_years() -> None:
    crypto = coins("1-DAY-LAST")
    assert told(plan_requests(crypto, between(crypto, "2024-01-01", "2024-12-31"), DOCUMENTED)) == [("2024-01-01", "2024-12-31", 366, "1 Y")]
    assert told(plan_requests(crypto, between(crypto, "2024-01-01", "2024-12-30"), DOCUMENTED)) == [("2024-01-01", "2024-12-30", 365, "365 D")]
    assert told(plan_requests(crypto, between(crypto, "2023-02-01", "2025-03-01"), OBSERVED))[0][3] == "3 Y"


def test_week_and_month_bars_are_asked_for_from_before_their_first_period() -> None:
    weeks, months = stocks("1-WEEK-LAST"), stocks("1-MONTH-LAST")
    assert told(plan_requests(weeks, between(weeks, "2024-01-01", "2024-01-31"), DOCUMENTED)) == [("2024-01-05", "2024-01-26", 4, "4 W")]
    assert told(plan_requests(months, between(months, "2023-01-01", "2024-12-31"), DOCUMENTED)) == [
        ("2023-01-31", "2023-12-29", 12, "12 M"),
        ("2024-01-31", "2024-12-31", 12, "12 M"),
    ]
    assert told(plan_requests(weeks, between(weeks, "2023-01-01", "2024-12-20"), DOCUMENTED)) == [("2023-01-06", "2024-12-20", 103, "2 Y")]


def test_the_session_that_trades_is_asked_up_to_its_last_closed_bar() -> None:
    partitions = stocks("5-MINUTE-LAST")
    now = ns("2024-01-05 16:42") + 123
    (request,) = plan_requests(partitions, dates("2024-01-05"), DOCUMENTED, now, "rth")
    assert request == PlannedRequest((dt.date(2024, 1, 5),), ns("2024-01-05 14:30"), ns("2024-01-05 16:40"), "7800 S", "rth")
    # Does the day that has begun count as a trading day? With one more it does not matter.
    assert told(plan_requests(partitions, dates("2024-01-03 2024-01-04 2024-01-05"), DOCUMENTED, now)) == [("2024-01-03", "2024-01-05", 3, "4 D")]
    # After the regular close nothing of regular hours is to come, although the session's window is open.
    (closed,) = plan_requests(partitions, dates("2024-01-05"), DOCUMENTED, ns("2024-01-05 21:32"), "rth")
    assert (closed.end_ns, closed.duration) == (ns("2024-01-05 21:30"), "1 D")


@pytest.mark.parametrize(
    ("spec", "now"), [("1-MINUTE-LAST", "2024-01-05 14:30"), ("1-DAY-LAST", "2024-01-05 20:59"), ("1-WEEK-LAST", "2024-01-05 20:59")]
)
def test_a_session_without_a_closed_bar_is_not_asked_for(spec: str, now: str) -> None:
    partitions = stocks(spec)
    assert plan_requests(partitions, dates("2024-01-05"), DOCUMENTED, ns(now), "rth") == []
    later = ns(now) + 60 * 10**9
    assert [one.end_ns for one in plan_requests(partitions, dates("2024-01-05"), DOCUMENTED, later, "rth")] == [later]


@pytest.mark.parametrize(
    ("spec", "now", "end", "duration"),
    [
        ("4-HOUR-MID", "2024-01-10 22:05", "2024-01-10 22:00", "1 D"),  # over: its last bar is an hour long
        ("4-HOUR-MID", "2024-01-10 21:32", "2024-01-10 21:30", "83700 S"),  # 17:00 to 21:00 is closed, by whichever clock bars are laid out
        ("1-HOUR-MID", "2024-01-10 21:32", "2024-01-10 21:30", "83700 S"),
        ("1-MINUTE-MID", "2024-01-10 21:32:30", "2024-01-10 21:32", "83820 S"),
    ],
)
def test_no_closed_bar_is_cut_off_whatever_its_length(spec: str, now: str, end: str, duration: str) -> None:
    (request,) = plan_requests(currencies(spec), dates("2024-01-10"), DOCUMENTED, ns(now))
    assert (request.start_ns, request.end_ns, request.duration) == (ns("2024-01-09 22:15"), ns(end), duration)


def test_a_date_without_a_session_is_refused() -> None:
    with pytest.raises(InvalidDate, match="2024-01-15 is no 1-MINUTE-LAST session"):
        plan_requests(stocks("1-MINUTE-LAST"), dates("2024-01-12 2024-01-15"), DOCUMENTED)
    with pytest.raises(InvalidDate, match="Known are"):
        plan_requests(stocks("1-MINUTE-LAST"), dates("2035-01-15"), DOCUMENTED)


def test_nothing_missing_needs_no_request() -> None:
    partitions = stocks("1-MINUTE-LAST")
    assert plan_requests(partitions, [], DOCUMENTED) == []
    assert estimate([], partitions, STRICT).requests == 0


def test_the_order_and_repetition_of_what_is_missing_does_not_matter() -> None:
    partitions = stocks("5-MINUTE-LAST")
    missing = dates("2024-01-05 2024-01-02 2024-01-05")
    assert told(plan_requests(partitions, missing, DOCUMENTED)) == [("2024-01-02", "2024-01-05", 2, "4 D")]


def test_a_span_that_times_out_is_halved_between_sessions_then_in_time() -> None:
    partitions = stocks("5-MINUTE-LAST")
    (request,) = plan_requests(partitions, dates("2024-01-02 2024-01-04 2024-01-05"), DOCUMENTED, hours="rth")
    older, newer = halved(request, partitions)
    assert told([older, newer]) == [("2024-01-02", "2024-01-02", 1, "1 D"), ("2024-01-04", "2024-01-05", 2, "2 D")]
    assert newer.end_ns == request.end_ns
    morning, afternoon = halved(older, partitions)
    assert [(one.start_ns, one.end_ns, one.duration) for one in (morning, afternoon)] == [
        (ns("2024-01-02 14:30"), ns("2024-01-02 17:45"), "11700 S"),
        (ns("2024-01-02 17:45"), ns("2024-01-02 21:00"), "11700 S"),
    ]
    assert morning.sessions == afternoon.sessions == older.sessions


def test_halving_ends_at_ten_bars_and_at_a_day_bar() -> None:
    """78 bars are 39 + 39, each of them 19 + 20, and 20 are 10 + 10."""
    partitions = stocks("5-MINUTE-LAST")
    left = plan_requests(partitions, dates("2024-01-02"), DOCUMENTED, hours="rth")
    for _ in range(10):
        left = [half for one in left for half in halved(one, partitions)]
    assert [int(one.duration.removesuffix(" S")) // 300 for one in left] == [19, 10, 10, 19, 10, 10]
    assert [(a.end_ns, b.start_ns) for a, b in pairwise(left) if a.end_ns != b.start_ns] == []
    assert halved(left[0], partitions) == [left[0]]
    days = stocks("1-DAY-LAST")
    (one,) = plan_requests(days, dates("2024-01-02"), DOCUMENTED)
    assert halved(one, days) == [one]


def test_halving_steps_over_a_pause_and_keeps_the_last_closed_bar() -> None:
    paused = made(dates("2024-01-04 2024-01-05"), "1-MINUTE-LAST", (1, 1, 15, 15), pause=(7, 12))
    (whole,) = plan_requests(paused, dates("2024-01-05"), DOCUMENTED)
    assert [(one.start_ns, one.end_ns) for one in halved(whole, paused)] == [
        (ns("2024-01-05 01:00"), ns("2024-01-05 07:00")),
        (ns("2024-01-05 12:00"), ns("2024-01-05 15:00")),
    ]
    partitions = stocks("5-MINUTE-LAST")
    (trading,) = plan_requests(partitions, dates("2024-01-04 2024-01-05"), DOCUMENTED, ns("2024-01-05 16:42"))
    assert [(one.end_ns, one.duration) for one in halved(trading, partitions)] == [
        (ns("2024-01-04 22:00"), "1 D"),
        (ns("2024-01-05 16:40"), "27600 S"),
    ]


@pytest.mark.parametrize("partitions", [coins("1-DAY-LAST"), currencies("1-DAY-MID"), currencies("4-HOUR-MID"), stocks("1-DAY-LAST")])
def test_the_newer_half_ends_where_the_whole_ended(partitions: Partitions) -> None:
    """A coin's day ends at midnight, an hour bar of currencies in the middle of four."""
    (whole,) = plan_requests(partitions, between(partitions, "2024-01-08", "2024-01-11"), DOCUMENTED)
    older, newer = halved(whole, partitions)
    assert told([older, newer]) == [("2024-01-08", "2024-01-09", 2, "2 D"), ("2024-01-10", "2024-01-11", 2, "2 D")]
    assert newer.end_ns == whole.end_ns


def test_a_session_that_opens_at_a_quarter_past_is_halved_between_hour_bars() -> None:
    partitions = currencies("1-HOUR-MID")
    (whole,) = plan_requests(partitions, dates("2024-01-10"), DOCUMENTED)
    older, newer = halved(whole, partitions)
    assert (older.end_ns, newer.start_ns) == (ns("2024-01-10 10:00"), ns("2024-01-10 10:00"))


def test_the_time_is_told_at_the_rate_of_the_rules() -> None:
    partitions = stocks("1-MINUTE-LAST")
    plan = plan_requests(partitions, between(partitions, "2023-01-01", "2024-03-31")[:312], DOCUMENTED)
    assert (len(plan), estimate(plan, partitions, STRICT).seconds) == (312, 52 * 60)
    assert estimate(plan, partitions, STRICT).bars == 312 * 13 * 60


def test_one_request_reaches_as_far_as_its_size() -> None:
    assert reach_of_one_request(stocks("1-MINUTE-LAST"), 100, DOCUMENTED) == 1
    assert reach_of_one_request(stocks("1-MINUTE-LAST"), 100, OBSERVED) == 10
    assert reach_of_one_request(stocks("1-SECOND-LAST"), 100, DOCUMENTED) == 1
    assert reach_of_one_request(stocks("1-MINUTE-LAST"), 0, DOCUMENTED) == 0
    days = stocks("1-DAY-LAST")
    before = days.index_of(dt.date(2024, 12, 31))
    assert before is not None
    # 2023-12-31 to 2024-12-30.
    assert reach_of_one_request(days, before, DOCUMENTED) == len(between(days, "2023-12-31", "2024-12-30"))


EXAMPLES = {"5-MINUTE-LAST": "3 D", "15-MINUTE-LAST": "1 W", "1-DAY-LAST": "1 W"}


@given(st.sampled_from(sorted(EXAMPLES)), st.sets(st.integers(0, 9), min_size=1), st.integers(0, 16 * 24), st.sampled_from(["rth", "all"]))
def test_no_smaller_plan_covers_what_is_missing(spec: str, chosen: set[int], hours_on: int, hours: str) -> None:
    """Against every way to cut the missing sessions of two weeks into runs."""
    partitions = example_partitions(spec)
    sizes = RequestSizes.from_mapping({"1 min": EXAMPLES[spec]})
    now = ns("2024-01-04 23:00") + hours_on * HOUR + 17 * 60 * 10**9
    missing = [partitions.dates_between(dt.date.min, dt.date.max)[i] for i in sorted(chosen)]
    plan = plan_requests(partitions, missing, sizes, now, hours)
    assert all(one.start_ns < one.end_ns <= now for one in plan)
    served = [day for one in plan for day in one.sessions]
    length = None if spec == "1-DAY-LAST" else partitions.spec.length_ns
    assert served == [day for day in missing if has_closed_bar(day, now, hours, length)]
    assert not any(span_too_long(one.sessions, sizes, spec, now, hours) for one in plan)
    assert len(plan) == fewest(served, sizes, spec, now, hours)


def has_closed_bar(day: dt.date, now: int, hours: str, length: int | None) -> bool:
    close = ns(f"{day} 22:00") if hours == "all" else ns(f"{day} 18:00") if day == dt.date(2024, 1, 12) else ns(f"{day} 21:00")
    opened = ns(f"{day} 14:30" if hours == "rth" else f"{day} 09:00")
    return close <= now if length is None else now // length * length > opened


def span_too_long(sessions: tuple[dt.date, ...], sizes: RequestSizes, spec: str, now: int, hours: str) -> bool:
    every = example_partitions().dates_between(*dates("2024-01-05 2024-01-19"))
    trading_days = every.index(sessions[-1]) - every.index(sessions[0]) + 1
    first, last = every[every.index(sessions[0])], sessions[-1]
    close = ns(f"{last} 22:00") if hours == "all" else ns(f"{last} 18:00") if last == dt.date(2024, 1, 12) else ns(f"{last} 21:00")
    if spec != "1-DAY-LAST" and now < close and trading_days > 1:  # still trading: one trading day more is asked for
        trading_days += 1
        earlier = every.index(first) - 1
        first = every[earlier] if earlier >= 0 else dt.date(2024, 1, 4)
    if str(sizes.longest(BarSpec.parse(spec))) == "3 D":
        return trading_days > 3
    return (last - first).days > 6


def fewest(missing: list[dt.date], sizes: RequestSizes, spec: str, now: int, hours: str) -> int:
    if not missing:
        return 0
    for cuts in range(len(missing)):
        for places in combinations(range(1, len(missing)), cuts):
            edges = [0, *places, len(missing)]
            runs = [tuple(missing[a:b]) for a, b in pairwise(edges)]
            if not any(span_too_long(run, sizes, spec, now, hours) for run in runs):
                return cuts + 1
    raise AssertionError


@given(st.sets(st.integers(0, 400), min_size=1, max_size=40), st.sampled_from(["1-MINUTE-MID", "5-MINUTE-MID", "30-SECOND-MID", "1-HOUR-MID"]))
def test_halves_bring_what_the_whole_would_have_brought(chosen: set[int], spec: str) -> None:
    partitions = currencies(spec)
    every = partitions.dates_between(*dates("2023-12-04 2025-04-10"))
    plan = plan_requests(partitions, [every[i % len(every)] for i in chosen], DOCUMENTED)
    for request in plan:
        older, newer = halved(request, partitions)
        assert sorted({*older.sessions, *newer.sessions}) == list(request.sessions)
        assert (older.start_ns, newer.end_ns) == (request.start_ns, request.end_ns)
        assert older.end_ns <= newer.start_ns
        if len(request.sessions) > 1:
            assert not set(older.sessions) & set(newer.sessions)
