"""Aggregation on a calendar made by hand, against a plain loop over random bars."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market_data_pipeline.domain.aggregation import Grid, aggregate, closes_of
from market_data_pipeline.domain.bar_table import BarTable
from market_data_pipeline.domain.bar_types import DAY_NS, BarSpec, WantedBars
from market_data_pipeline.domain.errors import InvalidBarType
from market_data_pipeline.domain.sessions import Partitions
from market_data_pipeline_tests.domain.example_calendars import example_calendar
from market_data_pipeline_tests.instants import ns

MINUTE = 60_000_000_000
PAUSE = ("17:15", "17:45")
CALENDAR = example_calendar(PAUSE)
Row = tuple[int, int, int, int, int, int, int]


def partitions(spec: str) -> Partitions:
    return Partitions.of(CALENDAR, BarSpec.parse(spec))


def grid(hours: str = "rth") -> Grid:
    """The example's clocks show UTC; its pause ends at 17:45."""
    opens = CALENDAR.open_ns if hours == "rth" else CALENDAR.pre_ns
    return Grid(opens, CALENDAR.break_end_ns, np.zeros(len(opens), dtype=np.int64))


def table(rows: Iterable[tuple[str, int, int, int, int, int]], minutes: int = 5) -> BarTable:
    """Bars that open at these times of 2024 and last some minutes: (`01-05 14:30`, open, high, low, close, volume)."""
    columns = [np.array(column, dtype=np.int64) for column in zip(*[(ns(f"2024-{at}"), *values) for at, *values in rows], strict=True)]
    stamps, opened, high, low, close, volume = columns
    return BarTable(opened, high, low, close, volume, stamps, stamps + minutes * MINUTE, 2, 0)


def rows_of(bars: BarTable) -> list[Row]:
    names = ("ts_event", "ts_init", "open", "high", "low", "close", "volume")
    return list(zip(*(bars.column(name).tolist() for name in names), strict=True))


def made(bars: BarTable, coarser: str, finer: str = "5-MINUTE-LAST", hours: str = "rth") -> list[Row]:
    return rows_of(aggregate(bars, partitions(finer), partitions(coarser), grid(hours), hours))


def test_a_bar_begins_where_the_session_does_and_then_on_the_clock() -> None:
    """The session opens at 14:30; half an hour later an hour begins. 20:55 is in the last one, which ends at 21:00."""
    bars = table(
        [("01-05 14:30", 10, 12, 9, 11, 3), ("01-05 14:55", 11, 15, 11, 14, 4), ("01-05 15:00", 20, 20, 20, 20, 1), ("01-05 20:55", 7, 8, 6, 7, 2)]
    )
    assert made(bars, "1-HOUR-LAST") == [
        (ns("2024-01-05 14:30"), ns("2024-01-05 15:30"), 10, 15, 9, 14, 7),  # half an hour, stamped with its full length
        (ns("2024-01-05 15:00"), ns("2024-01-05 16:00"), 20, 20, 20, 20, 1),
        (ns("2024-01-05 20:00"), ns("2024-01-05 21:00"), 7, 8, 6, 7, 2),
    ]


def test_a_pause_makes_a_bar_end_and_another_begin() -> None:
    bars = table([("01-05 17:10", 1, 1, 1, 1, 1), ("01-05 17:45", 2, 2, 2, 2, 2), ("01-05 18:00", 3, 3, 3, 3, 3)])
    assert [(row[0], row[6]) for row in made(bars, "1-HOUR-LAST")] == [
        (ns("2024-01-05 17:00"), 1),
        (ns("2024-01-05 17:45"), 2),
        (ns("2024-01-05 18:00"), 3),
    ]


def test_two_bars_of_a_short_day_close_one_after_the_other() -> None:
    """The 12th closes at 18:00: of 4 hours, the bar from 14:30 would end at 18:30 and the one from 16:00 at 20:00."""
    bars = table([("01-12 14:30", 1, 1, 1, 1, 1), ("01-12 16:10", 2, 2, 2, 2, 2)])
    assert [row[:2] for row in made(bars, "4-HOUR-LAST")] == [
        (ns("2024-01-12 14:30"), ns("2024-01-12 16:00")),
        (ns("2024-01-12 16:00"), ns("2024-01-12 18:00")),
    ]


def test_a_day_is_the_session_stamped_by_its_date_and_a_week_ends_with_its_last_session() -> None:
    bars = table([("01-11 14:30", 5, 9, 4, 6, 1), ("01-12 14:30", 6, 7, 2, 3, 10), ("01-16 15:00", 8, 8, 8, 8, 100)])
    days = made(bars, "1-DAY-LAST")
    assert [row[0] for row in days] == [ns("2024-01-11"), ns("2024-01-12"), ns("2024-01-16")]
    assert days[1] == (ns("2024-01-12"), ns("2024-01-13") - 1, 6, 7, 2, 3, 10)
    assert made(bars, "1-WEEK-LAST") == [
        (ns("2024-01-12"), ns("2024-01-13") - 1, 5, 9, 2, 3, 11),
        (ns("2024-01-19"), ns("2024-01-20") - 1, 8, 8, 8, 8, 100),
    ]


def test_nothing_is_made_of_nothing() -> None:
    assert made(BarTable.empty(2, 0), "1-HOUR-LAST") == []


def test_large_volumes_and_negative_prices_stay_exact() -> None:
    bars = table([("01-05 14:30", -5, -1, -9, -3, 2**61), ("01-05 14:35", -3, 4, -4, 2, 2**61 + 1)])
    assert made(bars, "1-HOUR-LAST")[0][2:] == (-5, 4, -9, 2, 2**62 + 1)


@given(data=st.data(), coarser=st.sampled_from(["10-MINUTE-LAST", "15-MINUTE-LAST", "30-MINUTE-LAST", "1-HOUR-LAST", "4-HOUR-LAST", "1-DAY-LAST"]))
def test_it_is_what_a_plain_loop_makes(data: st.DataObject, coarser: str) -> None:
    hours = data.draw(st.sampled_from(["rth", "all"]))
    sessions = CALENDAR.days[1:]
    slots = [
        int(opens) + i * 5 * MINUTE
        for opens, closes, pre, end in zip(CALENDAR.open_ns[1:], CALENDAR.close_ns[1:], CALENDAR.pre_ns[1:], CALENDAR.end_ns[1:], strict=True)
        for opens, closes in [(opens, closes) if hours == "rth" else (pre, end)]
        for i in range(int(closes - opens) // (5 * MINUTE))
    ]
    chosen = sorted(data.draw(st.sets(st.sampled_from(slots), min_size=1, max_size=60)))
    price = st.integers(-(10**12), 10**12)
    low, high = [], []
    opens, closes, volumes = ([data.draw(kind) for _ in chosen] for kind in (price, price, st.integers(0, 10**15)))
    for a, b in zip(opens, closes, strict=True):
        low.append(min(a, b) - data.draw(st.integers(0, 9)))
        high.append(max(a, b) + data.draw(st.integers(0, 9)))
    stamps = np.array(chosen, dtype=np.int64)
    one, two, three, four, five = (np.array(column, dtype=np.int64) for column in (opens, high, low, closes, volumes))
    bars = BarTable(one, two, three, four, five, stamps, stamps + 5 * MINUTE, 2, 0)
    assert made(bars, coarser, hours=hours) == _by_a_loop(bars, coarser, hours, sessions.tolist())


def _by_a_loop(bars: BarTable, coarser: str, hours: str, days: list[int]) -> list[Row]:
    """Make bars one by one, from the words of the documents: on the clock, cut at the open and at the end of the pause."""
    spec = BarSpec.parse(coarser)
    found: dict[int, list[int]] = {}
    for at, opened, high, low, close, volume in zip(bars.ts_event.tolist(), bars.open, bars.high, bars.low, bars.close, bars.volume, strict=True):
        day = at // DAY_NS
        if spec.is_daily_or_longer:
            begin = day * DAY_NS
        else:
            session = CALENDAR.days.tolist().index(day)
            cuts = [(CALENDAR.open_ns if hours == "rth" else CALENDAR.pre_ns)[session], CALENDAR.break_end_ns[session]]
            begin = max([at - at % spec.length_ns, *(int(cut) for cut in cuts if cut <= at)])
        bar = found.setdefault(begin, [int(opened), int(high), int(low), 0, 0])
        bar[1:] = [max(bar[1], int(high)), min(bar[2], int(low)), int(close), bar[4] + int(volume)]
    ends = {}
    begins = sorted(found)
    for begin in begins:
        session = CALENDAR.days.tolist().index(begin // DAY_NS)
        end = int((CALENDAR.close_ns if hours == "rth" else CALENDAR.end_ns)[session])
        ends[begin] = begin + DAY_NS - 1 if spec.is_daily_or_longer else min(begin + spec.length_ns, end)
    for begin, following in pairwise(begins):
        ends[begin] = following if ends[begin] == ends[following] else ends[begin]
    return [(begin, ends[begin], bar[0], bar[1], bar[2], bar[3], bar[4]) for begin in begins if (bar := found[begin])]


def test_closes_of_one_bar_twice_are_left_alone() -> None:
    """A gateway may say a bar twice; it is not taken for two."""
    opens = np.array([0, 0, 10], dtype=np.int64)
    assert closes_of(opens, 60, np.full(3, 50, dtype=np.int64)).tolist() == [50, 10, 50]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("5-MINUTE-LAST from 1-MINUTE-MID", "LAST prices cannot be made of MID prices"),
        ("5-MINUTE-LAST from 5-MINUTE-LAST", "they are the same bars"),
        ("5-MINUTE-LAST from 15-MINUTE-LAST", "15-MINUTE-LAST is not finer than 5-MINUTE-LAST"),
        ("5-MINUTE-LAST from 2-MINUTE-LAST", "2 MINUTE does not divide 5 MINUTE"),
        ("1-HOUR-LAST from 1-DAY-LAST", "1-DAY-LAST is not finer than 1-HOUR-LAST"),
        ("1-MONTH-LAST from 1-WEEK-LAST", "months do not begin with a week"),
        ("1-DAY-LAST from 1-WEEK-LAST", "1-WEEK-LAST is not finer than 1-DAY-LAST"),
        ("5-MINUTE-LAST from", "as 5-MINUTE-LAST from 1-MINUTE-LAST"),
        ("5-MINUTE-LAST of 1-MINUTE-LAST", "is not a bar spec"),
    ],
)
def test_bars_that_cannot_be_made_are_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(InvalidBarType, match=reason):
        WantedBars.parse(text)


@pytest.mark.parametrize("text", ["5-MINUTE-LAST from 1-MINUTE-LAST", "1-HOUR-MID from 30-SECOND-MID", "1-MONTH-LAST from 1-DAY-LAST", "1-DAY-BID"])
def test_bars_that_can_be_made_are_written_as_they_were(text: str) -> None:
    assert str(WantedBars.parse(text)) == text
