from __future__ import annotations

import csv
import datetime as dt
from pathlib import Path

import numpy as np
import pytest

from market_data_pipeline.calendars import calendar_named, partitions_of
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.sessions import SessionCalendar, date_of
from market_data_pipeline_tests.instants import NEW_YORK, ns, weekdays

QUARTER_HOURS = Series.parse("EUR/USD.IDEALPRO-15-MINUTE-MID-EXTERNAL")
QUARTER_HOUR_NS = 900 * 10**9


@pytest.fixture(scope="module")
def calendar() -> SessionCalendar:
    return calendar_named("FX")


def hours(calendar: SessionCalendar, date: dt.date) -> tuple[int, int]:
    i = calendar.index_of(date)
    assert i is not None
    return int(calendar.open_ns[i]), int(calendar.close_ns[i])


@pytest.mark.parametrize(
    ("date", "opens", "closes"),
    [
        ("2024-01-04", "2024-01-03 17:15", "2024-01-04 17:00"),
        ("2024-01-08", "2024-01-07 17:15", "2024-01-08 17:00"),  # Monday opens on Sunday
        ("2024-01-02", "2024-01-01 19:00", "2024-01-02 17:00"),  # after New Year's Day
        ("2024-12-26", "2024-12-25 19:00", "2024-12-26 17:00"),  # after Christmas Day
        ("2025-01-02", "2025-01-01 19:00", "2025-01-02 17:00"),
        ("2025-04-21", "2025-04-20 20:00", "2025-04-21 17:00"),  # Easter Sunday, late
        ("2024-12-24", "2024-12-23 17:15", "2024-12-24 17:00"),  # the eve closes as always
        ("2023-01-02", "2023-01-01 17:15", "2023-01-02 17:00"),  # New Year's Day on a Sunday takes no session away
        ("2026-12-28", "2026-12-27 17:15", "2026-12-28 17:00"),  # Christmas Day on the Friday before
    ],
)
def test_a_session_runs_from_the_evening_before_to_17_00_new_york(calendar: SessionCalendar, date: str, opens: str, closes: str) -> None:
    assert hours(calendar, dt.date.fromisoformat(date)) == (ns(opens, NEW_YORK), ns(closes, NEW_YORK))


@pytest.mark.parametrize("year", [2023, 2024, 2025, 2026])
def test_sessions_are_all_weekdays_but_new_year_and_christmas(calendar: SessionCalendar, year: int) -> None:
    sessions = {date_of(day) for day in calendar.days_between(dt.date(year, 1, 1), dt.date(year, 12, 31))}
    assert sessions == weekdays(dt.date(year, 1, 1), dt.date(year, 12, 31)) - {dt.date(year, 1, 1), dt.date(year, 12, 25)}


def test_the_weeks_in_which_clocks_change(calendar: SessionCalendar) -> None:
    """Forward on Sunday 2024-03-10, back on Sunday 2024-11-03: the Monday session opens after the change."""
    assert hours(calendar, dt.date(2024, 3, 8)) == (ns("2024-03-07 22:15"), ns("2024-03-08 22:00"))
    assert hours(calendar, dt.date(2024, 3, 11)) == (ns("2024-03-10 21:15"), ns("2024-03-11 21:00"))
    assert hours(calendar, dt.date(2024, 11, 1)) == (ns("2024-10-31 21:15"), ns("2024-11-01 21:00"))
    assert hours(calendar, dt.date(2024, 11, 4)) == (ns("2024-11-03 22:15"), ns("2024-11-04 22:00"))


def test_in_the_1990s_clocks_changed_in_april(calendar: SessionCalendar) -> None:
    """United States, 1987 to 2006: first Sunday of April, 1995-04-02."""
    assert hours(calendar, dt.date(1995, 4, 3)) == (ns("1995-04-02 21:15"), ns("1995-04-03 21:00"))
    assert hours(calendar, dt.date(1995, 3, 13)) == (ns("1995-03-12 22:15"), ns("1995-03-13 22:00"))


def read_closes(file: Path) -> list[dt.datetime]:
    with file.open(newline="") as rows:
        return [dt.datetime.fromisoformat(row["timestamp"]) for row in csv.DictReader(rows)]


@pytest.mark.real_data
def test_every_real_quarter_hour_lies_in_the_regular_hours_of_one_session(market_data: Path, calendar: SessionCalendar) -> None:
    """45,238 bars of EUR/USD from 2023-12-27 17:15 to 2025-10-30 00:00 New York, 478 sessions, four changes of the clocks."""
    stamps = read_closes(market_data / "ibkr-csv" / "EUR-USD_EUR_USD_IDEALPRO_15_MINUTE_MID_EXTERNAL.csv")
    closes = np.array([int(stamp.timestamp()) * 10**9 for stamp in stamps], dtype=np.int64)
    partitions = partitions_of(QUARTER_HOURS)
    positions = partitions.index_of_close(closes)
    sessions = partitions.calendar_index[positions]
    assert len(closes) == 45_238
    assert np.all(closes - QUARTER_HOUR_NS >= calendar.open_ns[sessions])
    assert np.all(closes <= calendar.close_ns[sessions])
    # Counted the other way round too: how many sessions are open at each close.
    opened = np.searchsorted(calendar.open_ns, closes, side="left")
    closed = np.searchsorted(calendar.close_ns, closes, side="left")
    assert np.all(opened - closed == 1)
    # No session of the calendar without bars, none with bars that the calendar has not.
    assert sorted(set(positions.tolist())) == list(partitions.positions_between(dt.date(2023, 12, 28), dt.date(2025, 10, 30)))
    assert len(set(positions.tolist())) == 478


@pytest.mark.real_data
def test_real_sessions_hold_what_the_calendar_says_but_for_three_holes(market_data: Path) -> None:
    """23 h 45 min are 95 quarter hours; the other lengths are the holidays' late opens, or holes of the file."""
    stamps = read_closes(market_data / "ibkr-csv" / "EUR-USD_EUR_USD_IDEALPRO_15_MINUTE_MID_EXTERNAL.csv")
    partitions = partitions_of(QUARTER_HOURS)
    positions = partitions.index_of_close(np.array([int(stamp.timestamp()) * 10**9 for stamp in stamps], dtype=np.int64))
    found = {date_of(partitions.days[i]): int(count) for i, count in zip(*np.unique(positions, return_counts=True), strict=True)}
    short = {str(date): count for date, count in found.items() if count != 95}
    assert short == {
        "2023-12-29": 91,  # nothing between 16:00 and 17:00
        "2024-01-02": 88,  # opens at 19:00
        "2024-12-26": 88,
        "2025-01-02": 88,
        "2025-04-21": 84,  # opens at 20:00
        "2025-10-27": 27,  # nothing after midnight
        "2025-10-30": 27,  # the export ends at midnight
    }


@pytest.mark.real_data
def test_the_real_day_bars_are_dated_by_the_sessions(market_data: Path, calendar: SessionCalendar) -> None:
    stamps = [dt.datetime.fromisoformat(text) for text in _stamps(market_data / "ibkr-csv" / "EUR-USD_EUR_USD_IDEALPRO_1_DAY_MID_EXTERNAL.csv")]
    dated = [stamp.astimezone(dt.UTC).date() for stamp in stamps]
    assert dated == [date_of(day) for day in calendar.days_between(dt.date(2023, 12, 28), dt.date(2025, 10, 30))]
    assert len(dated) == 478
    partitions = partitions_of(Series.parse("EUR/USD.IDEALPRO-1-DAY-MID-EXTERNAL"))
    closes = np.array([ns(f"{date} 00:00") + 86_400 * 10**9 - 1 for date in dated], dtype=np.int64)
    assert [date_of(partitions.days[i]) for i in partitions.index_of_close(closes)] == dated


def _stamps(file: Path) -> list[str]:
    with file.open(newline="") as rows:
        return [row["timestamp"] for row in csv.DictReader(rows)]
