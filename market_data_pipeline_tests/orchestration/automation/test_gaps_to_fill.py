"""The decision of the gap filler, without gateway, clock or Dagster."""

from __future__ import annotations

import datetime as dt

from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.orchestration.automation.gaps_to_fill import Failures, Gap, Patience, Room, Running, Step, what_to_fill

NOW = dt.datetime(2024, 1, 31, 14, 30, tzinfo=dt.UTC)
SOON = NOW + dt.timedelta(minutes=2)
ASSET = "us/bars_1_minute_last"


def day(number: int) -> dt.date:
    return dt.date(2024, 1, number)


def gap(instrument: str, *days: int, rule: str = "requests", asset: str = ASSET, together: bool = False) -> Gap:
    """One request a session, or one for all."""
    steps = (Step(tuple(map(day, days)), 1),) if together else tuple(Step((day(number),), 1) for number in days)
    return Gap("us_bars", asset, Series.of(instrument, "1-MINUTE-LAST"), steps, rule)


def room(left: int, limit: int = 60) -> dict[str, Room]:
    return {"requests": Room(left, limit, SOON)}


def test_nothing_missing_is_nothing_to_do() -> None:
    decision = what_to_fill([], room(60), [], {}, NOW)
    assert (decision.fills, decision.reasons) == ((), ())


def test_a_gap_within_the_budget_is_one_run() -> None:
    (fill,) = what_to_fill([gap("AAPL.NASDAQ", 3, 4, 5)], room(60), [], {}, NOW).fills
    assert (fill.job, fill.assets, fill.instruments) == ("us_bars", (ASSET,), ("AAPL.NASDAQ",))
    assert (fill.first, fill.last, fill.requests) == (day(3), day(5), 3)


def test_the_newest_sessions_go_first_where_the_budget_is_short() -> None:
    decision = what_to_fill([gap("AAPL.NASDAQ", 2, 3, 4, 5, 8)], room(3), [], {}, NOW)
    (fill,) = decision.fills
    assert (fill.first, fill.last) == (day(4), day(8))
    assert decision.reasons == ("budget: 3 requests left until 14:32 UTC, 2 more are wanted",)


def test_no_budget_starts_nothing_and_says_until_when() -> None:
    decision = what_to_fill([gap("AAPL.NASDAQ", 2)], room(0), [], {}, NOW)
    assert decision.fills == ()
    assert decision.reasons == ("budget: 0 requests left until 14:32 UTC, 1 more are wanted",)


def test_requests_of_runs_that_wait_are_spent_already() -> None:
    running = [Running(assets=frozenset({"us/other"}), requests=58, rule="requests")]
    (fill,) = what_to_fill([gap("AAPL.NASDAQ", 2, 3, 4)], room(60), running, {}, NOW).fills
    assert (fill.first, fill.last) == (day(3), day(4))


def test_a_session_that_takes_more_than_ever_is_left_waits_only_for_the_whole_budget() -> None:
    """48 half hours of a currency's session of seconds, under rules that let 20 go at once."""
    seconds = Gap("fx_bars", "fx/bars_1_second_mid", Series.of("EUR/USD.IDEALPRO", "1-SECOND-MID"), (Step((day(2),), 48),), "requests")
    assert what_to_fill([seconds], room(19, limit=20), [], {}, NOW).fills == ()
    assert len(what_to_fill([seconds], room(20, limit=20), [], {}, NOW).fills) == 1


def test_what_a_run_fills_is_not_started_again() -> None:
    running = [Running(frozenset({ASSET}), frozenset({"AAPL.NASDAQ"}), day(4), day(5))]
    decision = what_to_fill([gap("AAPL.NASDAQ", 3, 4, 5, 8), gap("MSFT.NASDAQ", 4)], room(60), running, {}, NOW)
    assert [(fill.instruments, fill.first, fill.last) for fill in decision.fills] == [
        (("AAPL.NASDAQ",), day(8), day(8)),
        (("MSFT.NASDAQ",), day(4), day(4)),
        (("AAPL.NASDAQ",), day(3), day(3)),
    ]
    assert decision.reasons == ("2 sessions are being filled by runs that wait or work",)


def test_a_run_about_everything_leaves_nothing() -> None:
    assert what_to_fill([gap("AAPL.NASDAQ", 3)], room(60), [Running(frozenset({ASSET}))], {}, NOW).fills == ()


def test_a_session_that_failed_three_times_rests_a_day() -> None:
    failed_at = NOW - dt.timedelta(hours=23)
    failures = {f"{ASSET}|AAPL.NASDAQ|2024-01-04": Failures(3, failed_at), f"{ASSET}|AAPL.NASDAQ|2024-01-03": Failures(2, NOW)}
    gaps = [gap("AAPL.NASDAQ", 3, 4, 5, together=True)]
    decision = what_to_fill(gaps, room(60), [], failures, NOW)
    assert [(fill.first, fill.last) for fill in decision.fills] == [(day(5), day(5)), (day(3), day(3))], "a range would ask for it again"
    assert decision.reasons == ("1 session could not be had 3 times or more (AAPL.NASDAQ 2024-01-04), trying again from 2024-01-31 15:30 UTC on",)
    assert what_to_fill([gap("AAPL.NASDAQ", 4)], room(60), [], failures, NOW).fills == ()
    assert len(what_to_fill([gap("AAPL.NASDAQ", 4)], room(60), [], failures, NOW + dt.timedelta(hours=2)).fills) == 1


def test_the_same_sessions_of_neighbours_are_one_run() -> None:
    order = {f"{ASSET}|{name}": place for place, name in enumerate(["AAPL.NASDAQ", "MSFT.NASDAQ", "SPY.ARCA", "TSLA.NASDAQ"])}
    gaps = [gap(name, 5) for name in ("MSFT.NASDAQ", "AAPL.NASDAQ", "TSLA.NASDAQ")]
    fills = what_to_fill(gaps, room(60), [], {}, NOW, order=order).fills
    assert [fill.instruments for fill in fills] == [("AAPL.NASDAQ", "MSFT.NASDAQ"), ("TSLA.NASDAQ",)]
    assert [fill.requests for fill in fills] == [2, 1]


def test_two_specs_of_one_job_with_the_same_gap_are_one_run() -> None:
    fills = what_to_fill([gap("AAPL.NASDAQ", 5), gap("AAPL.NASDAQ", 5, asset="us/bars_1_day_last")], room(60), [], {}, NOW).fills
    assert [fill.assets for fill in fills] == [("us/bars_1_day_last", ASSET)]


def test_no_more_runs_than_a_tick_may_start() -> None:
    decision = what_to_fill([gap(f"S{i}.NASDAQ", 5) for i in range(9)], room(60), [], {}, NOW, patience=Patience(runs=4))
    assert len(decision.fills) == 4
    assert decision.reasons == ("5 more runs wait for the next tick",)


def test_files_have_no_budget() -> None:
    assert len(what_to_fill([gap("AAPL.NASDAQ", 5, rule="")], room(0), [], {}, NOW).fills) == 1
