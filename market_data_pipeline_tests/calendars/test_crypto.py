from __future__ import annotations

import datetime as dt

from market_data_pipeline.calendars import calendar_named, partitions_of
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline_tests.instants import ns


def test_every_day_is_a_session_from_midnight_to_midnight_utc() -> None:
    calendar = calendar_named("CRYPTO")
    assert calendar.closed_days(dt.date(1991, 1, 1), calendar.last_date) == []
    assert len(calendar.days_between(dt.date(2024, 1, 1), dt.date(2024, 12, 31))) == 366
    i = calendar.index_of(dt.date(2024, 12, 25))
    assert i is not None
    assert (calendar.open_ns[i], calendar.close_ns[i]) == (ns("2024-12-25 00:00"), ns("2024-12-26 00:00"))


def test_the_bar_that_closes_at_midnight_belongs_to_the_day_in_which_it_traded() -> None:
    partitions = partitions_of(Series.parse("BTC/USD.PAXOS-1-MINUTE-LAST-EXTERNAL"))
    assert partitions.window(dt.date(2024, 2, 29)) == (ns("2024-02-29 00:00"), ns("2024-03-01 00:00"))


def test_weeks_end_on_sunday() -> None:
    """2024-01-07 was a Sunday."""
    partitions = partitions_of(Series.parse("BTC/USD.PAXOS-1-WEEK-LAST-EXTERNAL"))
    assert partitions.dates_between(dt.date(2024, 1, 1), dt.date(2024, 1, 15)) == [dt.date(2024, 1, 7), dt.date(2024, 1, 14)]
