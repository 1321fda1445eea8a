from __future__ import annotations

import datetime as dt

import pytest

from market_data_pipeline.calendars import partitions_of
from market_data_pipeline.calendars.grids import grid_of
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.trading_time import bars_between, earliest_close, expected_bars
from market_data_pipeline_tests.instants import ns


def between(bar_type: str, hours: str, after: str, until: str) -> int:
    partitions = partitions_of(Series.parse(bar_type))
    return bars_between(partitions, grid_of(partitions.calendar, hours), hours, ns(after), ns(until))


MINUTES = "AAPL.NASDAQ-1-MINUTE-LAST-EXTERNAL"
QUARTERS = "AAPL.NASDAQ-15-MINUTE-LAST-EXTERNAL"
FX = "EUR/USD.IDEALPRO-15-MINUTE-MID-EXTERNAL"


@pytest.mark.parametrize(
    ("date", "bar_type", "hours", "count"),
    [
        # NYSE: 09:30 to 16:00 New York; 2024-11-29 closed at 13:00 (NYSE holiday calendar 2024).
        ("2024-11-27", MINUTES, "rth", 390),
        ("2024-11-29", MINUTES, "rth", 210),
        ("2024-11-27", MINUTES, "all", 960),
        ("2024-11-27", QUARTERS, "rth", 26),
        ("2024-11-27", "AAPL.NASDAQ-1-HOUR-LAST-EXTERNAL", "rth", 7),
        ("2024-11-27", "AAPL.NASDAQ-1-DAY-LAST-EXTERNAL", "rth", 1),
        # IDEALPRO: 17:15 to 17:00 New York.
        ("2024-11-27", FX, "all", 95),
    ],
)
def test_a_session_has_the_bars_of_its_published_hours(date: str, bar_type: str, hours: str, count: int) -> None:
    partitions = partitions_of(Series.parse(bar_type))
    position = partitions.index_of(dt.date.fromisoformat(date))
    assert position is not None
    bars = expected_bars(partitions, grid_of(partitions.calendar, hours), hours, range(position, position + 1))
    assert len(bars.opens) == len(bars.closes) == count


@pytest.mark.parametrize(
    ("bar_type", "hours", "after", "until", "count"),
    [
        (MINUTES, "rth", "2024-01-05T15:00Z", "2024-01-05T15:00Z", 0),
        (MINUTES, "rth", "2024-01-05T15:00Z", "2024-01-05T15:01Z", 1),
        (MINUTES, "rth", "2024-01-05T15:00Z", "2024-01-05T15:01:59Z", 1),  # the second is still forming
        (MINUTES, "rth", "2024-01-05T15:00:30Z", "2024-01-05T15:02Z", 1),  # the first had begun
        (MINUTES, "rth", "2024-01-05T21:00Z", "2024-01-08T14:30Z", 0),  # a weekend
        (MINUTES, "rth", "2024-01-05T20:59Z", "2024-01-08T14:31Z", 2),
        (FX, "all", "2024-01-04T22:00Z", "2024-01-04T22:15Z", 0),  # 17:00 to 17:15 New York
        (FX, "all", "2024-01-04T21:45Z", "2024-01-04T22:30Z", 2),
    ],
)
def test_only_open_hours_can_miss_bars(bar_type: str, hours: str, after: str, until: str, count: int) -> None:
    assert between(bar_type, hours, after, until) == count


@pytest.mark.parametrize(
    ("bar_type", "opened", "over"),
    [
        (MINUTES, "2024-01-05T15:00Z", "2024-01-05T15:01Z"),
        ("AAPL.NASDAQ-1-HOUR-LAST-EXTERNAL", "2024-01-05T14:30Z", "2024-01-05T15:00Z"),  # 09:30 to 10:00 New York
        ("AAPL.NASDAQ-1-HOUR-LAST-EXTERNAL", "2024-01-05T15:00Z", "2024-01-05T16:00Z"),
        ("EUR/USD.IDEALPRO-4-HOUR-MID-EXTERNAL", "2024-01-04T22:15Z", "2024-01-05T01:00Z"),  # 17:15 to 20:00 New York
        ("AAPL.NASDAQ-1-DAY-LAST-EXTERNAL", "2024-01-05T00:00Z", "2024-01-06T00:00Z"),
    ],
)
def test_a_bar_is_over_at_the_next_full_length_on_the_venues_clock(bar_type: str, opened: str, over: str) -> None:
    partitions = partitions_of(Series.parse(bar_type))
    assert earliest_close(partitions, grid_of(partitions.calendar, "all"), ns(opened)) == ns(over)
