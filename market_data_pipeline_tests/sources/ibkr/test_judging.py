from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from market_data_pipeline.calendars import partitions_of
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.coverage import Coverage, SessionAnswer
from market_data_pipeline.domain.source import Precision, SessionFailure
from market_data_pipeline.sources.ibkr.bars import RawBars
from market_data_pipeline.sources.ibkr.judging import Doubt, Judge, Seen
from market_data_pipeline.sources.ibkr.settings import ExcessDecimals, Hours
from market_data_pipeline_tests.sources.ibkr.raw_making import minutes, raw, utc_ns

PARTITIONS = partitions_of(Series.parse("AAPL.NASDAQ-1-MINUTE-LAST-EXTERNAL"))
LATER = utc_ns("2024-06-03T20:30")


def position(date: str) -> int:
    found = PARTITIONS.index_of(dt.date.fromisoformat(date))
    assert found is not None
    return found


FRIDAY = position("2024-01-05")


def judge(
    decimals: ExcessDecimals = ExcessDecimals.REFUSE,
    precision: Precision = Precision(2, 0),  # noqa: B008 - frozen
    hours: Hours = Hours.RTH,
    usual_share: float = 0.0,
) -> Judge:
    return Judge(PARTITIONS, precision, hours, 1, decimals, usual_share)


def seen(bars: RawBars, now_ns: int = LATER, by: Judge | None = None) -> Seen:
    return (by or judge()).see(bars, [FRIDAY], now_ns)[FRIDAY]


def test_a_whole_session_is_believed_at_once() -> None:
    """A regular session of the NYSE opens at 14:30 UTC in winter and has 390 minutes."""
    one = seen(minutes("2024-01-05T14:30", 390))
    assert (one.doubt, len(one.bars)) == (None, 390)
    answer = judge().answer(FRIDAY, one, LATER)
    assert isinstance(answer, SessionAnswer)
    assert answer.coverage is Coverage.COMPLETE


def test_bars_of_other_sessions_are_left_out() -> None:
    """`N D` reaches further back than what is wanted."""
    both = RawBars.joined([minutes("2024-01-04T14:30", 390), minutes("2024-01-05T14:30", 390)])
    assert len(seen(both).bars) == 390


def test_bars_out_of_order_are_brought_in_order() -> None:
    bars = minutes("2024-01-05T14:30", 390)
    one = seen(bars.take(np.random.default_rng(1).permutation(390)))
    assert one.doubt is None
    assert one.bars.is_ordered()


def test_a_bar_that_is_there_twice_is_taken_once() -> None:
    bars = minutes("2024-01-05T14:30", 390)
    one = seen(RawBars.joined([bars, bars.take(np.arange(10, 20))]))
    assert (one.doubt, len(one.bars)) == (None, 390)


def test_two_values_for_one_bar_are_doubted_and_fail_if_they_are_said_twice() -> None:
    one = seen(RawBars.joined([minutes("2024-01-05T14:30", 390), minutes("2024-01-05T15:00", 1, price=101.0)]))
    assert one.doubt is Doubt.CONTRADICTION
    failure = judge().answer(FRIDAY, one, LATER)
    assert isinstance(failure, SessionFailure)
    assert "two different bars open at 2024-01-05T15:00:00 UTC" in failure.reason


def test_silence_is_doubted_and_empty_if_it_is_said_twice() -> None:
    one = seen(RawBars.none())
    assert one.doubt is Doubt.SILENT
    assert one.agrees_with(seen(RawBars.none()))
    answer = judge().answer(FRIDAY, one, LATER)
    assert isinstance(answer, SessionAnswer)
    assert answer.coverage is Coverage.EMPTY


MONDAY = position("2024-01-08")
# After-hours trading of Friday 2024-01-05 ended at 20:00 New York, 01:00 UTC.
YOUNG, OLD = utc_ns("2024-01-13T00:59"), utc_ns("2024-01-13T01:01")


@pytest.mark.parametrize(
    ("stored", "heard", "now_ns", "expected"),
    [
        (0.9, "", YOUNG, "failure"),
        (0.9, "", OLD, "empty"),
        (0.4, "", YOUNG, "empty"),
        (0.0, "2024-01-08T14:30", YOUNG, "failure"),
        (0.0, "2024-01-08T14:30", OLD, "empty"),
    ],
)
def test_silence_about_a_busy_instrument_is_a_loss_for_a_week(stored: float, heard: str, now_ns: int, expected: str) -> None:
    """Busy is what has bars in half of the time: in stored sessions, or in another one of this fetch."""
    one_judge = judge(usual_share=stored)
    both = one_judge.see(minutes(heard, 390) if heard else RawBars.none(), [FRIDAY, MONDAY], now_ns)
    answer = one_judge.answer(FRIDAY, both[FRIDAY], now_ns)
    if expected == "failure":
        assert isinstance(answer, SessionFailure)
        assert "it has lost them, most likely for a while. Ask again later; from 2024-01-13 on it is taken at its word." in answer.reason
    else:
        assert isinstance(answer, SessionAnswer)
        assert answer.coverage is Coverage.EMPTY


def test_silence_before_the_first_bar_that_there_is_is_no_loss() -> None:
    answer = judge(usual_share=0.9).answer(FRIDAY, seen(RawBars.none(), YOUNG), YOUNG, before_head=True)
    assert isinstance(answer, SessionAnswer)


@pytest.mark.parametrize(
    ("name", "start", "count"), [("the end is missing", "2024-01-05T14:30", 350), ("the beginning is missing", "2024-01-05T15:10", 350)]
)
def test_a_session_that_is_cut_off_is_doubted(name: str, start: str, count: int) -> None:
    assert seen(minutes(start, count)).doubt is Doubt.HOLE, name


def test_half_an_hour_without_a_trade_is_no_hole() -> None:
    quiet = RawBars.joined([minutes("2024-01-05T14:30", 100), minutes("2024-01-05T16:40", 260)])
    assert seen(quiet).doubt is None


def test_thin_trading_is_measured_by_itself() -> None:
    """A trade every five minutes: an hour without one is not unusual for it."""
    opens = [utc_ns("2024-01-05T14:30") + minute * 60_000_000_000 for minute in [*range(0, 200, 5), *range(260, 390, 5)]]
    assert seen(raw(opens)).doubt is None


def test_after_three_holes_that_were_said_twice_an_instrument_is_taken_as_thin() -> None:
    one_judge, cut = judge(), minutes("2024-01-05T14:30", 300)
    for _ in range(3):
        one = seen(cut, by=one_judge)
        assert one.doubt is Doubt.HOLE
        one_judge.confirm(one)
    assert seen(cut, by=one_judge).doubt is None


def test_a_forming_bar_is_never_taken() -> None:
    """At 15:00:30 UTC the bar that opened at 15:00 is still forming."""
    one = seen(minutes("2024-01-05T14:30", 31), now_ns=utc_ns("2024-01-05T15:00:30"))
    assert len(one.bars) == 30
    assert one.doubt is None
    answer = judge().answer(FRIDAY, one, utc_ns("2024-01-05T15:00:30"))
    assert isinstance(answer, SessionAnswer)
    assert answer.coverage is Coverage.PARTIAL


def test_a_session_is_over_when_its_post_market_hours_have_ended_and_settled() -> None:
    """20:00 New York is 01:00 UTC of the next day in winter."""
    end = utc_ns("2024-01-06T01:00")
    assert not judge(hours=Hours.ALL).is_over(FRIDAY, end)
    assert judge(hours=Hours.ALL).is_over(FRIDAY, end + 30_000_000_000)


def test_regular_hours_are_over_with_the_regular_close() -> None:
    """16:00 New York is 21:00 UTC in winter."""
    close = utc_ns("2024-01-05T21:00")
    assert not judge().is_over(FRIDAY, close)
    assert judge().is_over(FRIDAY, close + 30_000_000_000)


def test_bars_that_break_a_rule_are_doubted() -> None:
    bars = minutes("2024-01-05T14:30", 390)
    bars.values[7, 1] = 99.0
    one = seen(bars)
    assert one.doubt is Doubt.BROKEN
    assert "open or close above high: 1" in one.reason


def test_excess_decimals_fail_their_session_and_name_the_way_out() -> None:
    bars = minutes("2024-01-05T14:30", 390)
    bars.values[3, :4] = 100.125
    failure = judge().answer(FRIDAY, seen(bars), LATER)
    assert isinstance(failure, SessionFailure)
    assert "1 bar has values with more decimals than the instrument (prices 2, sizes 0), for example 100.125" in failure.reason
    assert "--excess-decimals round" in failure.reason


def test_excess_decimals_are_rounded_and_counted_if_that_is_wanted() -> None:
    bars = minutes("2024-01-05T14:30", 390)
    bars.values[3, :4] = 100.126
    one = seen(bars, by=judge(ExcessDecimals.ROUND))
    assert (one.failure, one.rounded, one.bars.open[3]) == ("", 1, 10013)


def test_a_day_bar_is_closed_when_its_session_is() -> None:
    """A currency's Friday ends at 17:00 New York, 22:00 UTC, before its date does."""
    partitions = partitions_of(Series.parse("EUR/USD.IDEALPRO-1-DAY-MID-EXTERNAL"))
    friday = partitions.index_of(dt.date(2024, 1, 5))
    assert friday is not None
    one_judge = Judge(partitions, Precision(5, 0), Hours.ALL, 1, ExcessDecimals.REFUSE)
    bar = raw([utc_ns("2024-01-05")], price=1.09453, volume=-1)
    assert len(one_judge.see(bar, [friday], utc_ns("2024-01-05T21:59"))[friday].bars) == 0
    assert len(one_judge.see(bar, [friday], utc_ns("2024-01-05T22:00"))[friday].bars) == 1
    assert not one_judge.is_over(friday, utc_ns("2024-01-05T22:01"))
    assert one_judge.is_over(friday, utc_ns("2024-01-06T00:01"))
