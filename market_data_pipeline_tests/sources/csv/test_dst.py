"""Nights on which a clock is set: New York 2024-03-10 (02:00 to 03:00) and 2024-11-03 (02:00 back to 01:00)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market_data_pipeline.tabular.zones import to_utc, to_wall
from market_data_pipeline_tests.instants import NEW_YORK, ns
from market_data_pipeline_tests.sources.csv.conftest import Read
from market_data_pipeline_tests.sources.csv.rows import HEADER, bar, opens, utc

HALF_HOURS = "BTC/USDT.BINANCE-30-MINUTE-LAST"
AUTUMN = ["00:30", "01:00", "01:30", "01:00", "01:30", "02:00"]
AUTUMN_UTC = utc(*(f"2024-11-03 {clock}" for clock in ("04:30", "05:00", "05:30", "06:00", "06:30", "07:00")))


def night(date: str, clocks: list[str]) -> str:
    """Each row has a price of its own, so that rows with one stamp are not the same bar."""
    return HEADER + "".join(bar(f"{date} {clock}", str(10 + i)) for i, clock in enumerate(clocks))


def test_a_spring_night_has_no_half_past_two(read: Read) -> None:
    bars = read(night("2024-03-10", ["01:30", "02:00", "02:30", "03:00"]), bars=HALF_HOURS, time_zone=NEW_YORK, skip_bad_rows=True)
    assert opens(bars) == utc("2024-03-10 06:30", "2024-03-10 07:00")
    rule = "the clock of America/New_York skips this time (DST)"
    assert [(row.line, row.value, row.rule) for row in bars.bad_rows.first] == [(3, "2024-03-10 02:00", rule), (4, "2024-03-10 02:30", rule)]


def test_an_autumn_hour_shown_twice_is_told_by_the_order_of_rows(read: Read) -> None:
    assert opens(read(night("2024-11-03", AUTUMN), bars=HALF_HOURS, time_zone=NEW_YORK)) == AUTUMN_UTC


def test_so_it_is_in_a_file_that_runs_backwards(read: Read) -> None:
    assert opens(read(night("2024-11-03", AUTUMN[::-1]), bars=HALF_HOURS, time_zone=NEW_YORK)) == AUTUMN_UTC


def test_hour_bars_show_the_same_stamp_twice(read: Read) -> None:
    text = night("2024-11-03", ["00:00", "01:00", "01:00", "02:00"])
    bars = read(text, bars="BTC/USDT.BINANCE-1-HOUR-LAST", time_zone=NEW_YORK)
    assert opens(bars) == utc("2024-11-03 04:00", "2024-11-03 05:00", "2024-11-03 06:00", "2024-11-03 07:00")


@pytest.mark.parametrize(
    "clocks",
    [
        ["00:30", "01:00", "01:30", "02:00"],  # one hour is absent, and which is not told
        ["00:30", "01:00", "01:30", "01:00", "01:30", "01:00", "02:00"],  # it steps back twice
        ["02:00", "01:30", "01:00", "00:30"],  # backwards, and one hour is absent
        ["02:30", "01:00", "01:30", "01:00", "01:30", "00:30", "02:00"],  # in no order at all
    ],
)
def test_an_autumn_hour_that_the_order_does_not_tell_is_bad(read: Read, clocks: list[str]) -> None:
    bars = read(night("2024-11-03", clocks), bars=HALF_HOURS, time_zone=NEW_YORK, skip_bad_rows=True)
    assert [row.line for row in bars.bad_rows.first] == [i + 2 for i, clock in enumerate(clocks) if clock.startswith("01")]
    assert {row.rule for row in bars.bad_rows.first} == {
        "the clock of America/New_York shows this time twice (DST), and the order of rows does not tell which"
    }


def test_each_night_and_each_file_is_told_for_itself(read: Read) -> None:
    """2023-11-05 is decided, 2024-11-03 is not; the second file runs backwards."""
    first = HEADER + "".join(bar(f"2023-11-05 {clock}", str(10 + i)) for i, clock in enumerate(AUTUMN)) + bar("2024-11-03 01:30")
    second = night("2025-11-02", AUTUMN[::-1])
    bars = read(first, second, bars=HALF_HOURS, time_zone=NEW_YORK, skip_bad_rows=True)
    assert [(row.file, row.line) for row in bars.bad_rows.first] == [("a.csv", 8)]
    assert opens(bars) == [t - ns("2024-11-03") + ns(day) for day in ("2023-11-05", "2025-11-02") for t in AUTUMN_UTC]


def test_offsets_in_the_text_leave_nothing_to_tell(read: Read) -> None:
    stamps = ["2024-11-03T01:30:00-04:00", "2024-11-03T01:00:00-05:00", "2024-11-03T01:30:00-05:00"]
    bars = read(HEADER + "".join(map(bar, stamps)), bars=HALF_HOURS)
    assert opens(bars) == utc("2024-11-03 05:30", "2024-11-03 06:00", "2024-11-03 06:30")


def test_offsets_win_over_a_declared_zone_row_by_row(read: Read) -> None:
    text = HEADER + bar("2024-07-01T09:30:00Z") + bar("2024-07-01 09:30:00")
    assert opens(read(text, time_zone=NEW_YORK)) == utc("2024-07-01 09:30", "2024-07-01 13:30")


@pytest.mark.parametrize(
    ("zone", "wall", "expected"),
    [
        ("Europe/London", "2024-07-01 12:00", "2024-07-01 11:00"),
        ("Asia/Kolkata", "2024-07-01 12:00", "2024-07-01 06:30"),
        ("Etc/GMT+5", "2024-07-01 12:00", "2024-07-01 17:00"),
        ("UTC", "2024-07-01 12:00", "2024-07-01 12:00"),
        # Lord Howe's clock moves by half an hour, on 2024-04-07 and 2024-10-06.
        ("Australia/Lord_Howe", "2024-07-01 12:00", "2024-07-01 01:30"),
        ("Australia/Lord_Howe", "2024-12-01 12:00", "2024-12-01 01:00"),
    ],
)
def test_zones_of_the_world(zone: str, wall: str, expected: str) -> None:
    local = to_utc(zone, np.array([ns(wall)]))
    assert (local.first.tolist(), local.second.tolist(), local.nonexistent.tolist()) == ([ns(expected)], [ns(expected)], [False])


@given(
    st.integers(0, ns("2199-12-31") // 10**9), st.sampled_from([NEW_YORK, "Europe/London", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Tehran"])
)
def test_what_a_clock_shows_leads_back_to_the_instant(second: int, zone: str) -> None:
    utc_ns = np.array([second * 10**9])
    local = to_utc(zone, to_wall(zone, utc_ns))
    assert utc_ns[0] in (local.first[0], local.second[0])
    assert not local.nonexistent[0]
