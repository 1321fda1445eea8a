from __future__ import annotations

import datetime as dt

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market_data_pipeline.sources.csv.time_forms import form_named, form_of, is_time_form
from market_data_pipeline.sources.csv.times import TimeFault, parse_times
from market_data_pipeline_tests.instants import ns

HOUR = 3_600_000_000_000


def one(text: str, form: str) -> int | str:
    stamps = parse_times(pa.array([text]), form_named(form))
    return int(stamps.wall_ns[0]) if not stamps.faults[0] else TimeFault(int(stamps.faults[0])).name


@pytest.mark.parametrize(
    ("form", "text", "wall", "nanoseconds"),
    [
        ("iso", "2024-01-02", "2024-01-02 00:00", 0),
        ("iso", "2024-01-02T09:30", "2024-01-02 09:30", 0),
        ("iso", "2024-01-02 09:30:15", "2024-01-02 09:30:15", 0),
        ("iso", "2024-01-02T09:30:15.5Z", "2024-01-02 09:30:15", 500_000_000),
        ("iso", "2024-02-29T23:59:59.999999999-05:00", "2024-02-29 23:59:59", 999_999_999),
        ("iso", " 2024-01-02 09:30:00+0530 ", "2024-01-02 09:30", 0),
        ("epoch-s", "1704187800", "2024-01-02 09:30", 0),
        ("epoch-s", "1704187800.000000001", "2024-01-02 09:30", 1),
        ("epoch-ms", "1704187800123", "2024-01-02 09:30", 123_000_000),
        ("epoch-us", "1704187800123456", "2024-01-02 09:30", 123_456_000),
        ("epoch-ns", "1704187800123456789", "2024-01-02 09:30", 123_456_789),
        ("YYYYMMDD HH:MM:SS", "20240102 09:30:15", "2024-01-02 09:30:15", 0),
        ("YYYYMMDD HHMMSS", "20240102 093015", "2024-01-02 09:30:15", 0),
        ("YYYYMMDD", "20240102", "2024-01-02 00:00", 0),
        ("YYYY.MM.DD HH:MM", "2024.01.02 09:30", "2024-01-02 09:30", 0),
        ("MM/DD/YYYY HH:MM", "01/02/2024 09:30", "2024-01-02 09:30", 0),
        ("MM/DD/YYYY HH:MM", "1/2/2024 9:30", "2024-01-02 09:30", 0),
        ("DD/MM/YYYY HH:MM", "2/1/2024 9:30", "2024-01-02 09:30", 0),
        ("YYYYMMDD HH:MM:SS US/Eastern", "20240102 09:30:15 US/Eastern", "2024-01-02 09:30:15", 0),
        ("%d.%m.%y %H:%M", "02.01.24 09:30", "2024-01-02 09:30", 0),
        ("%d.%m.%y", "02.01.99", "1999-01-02 00:00", 0),
        ("%b %d %Y %I:%M %p", "Jan 2 2024 12:05 AM", "2024-01-02 00:05", 0),
        ("%b %d %Y %I:%M %p", "JAN 2 2024 12:05 pm", "2024-01-02 12:05", 0),
        ("%Y%m%d%H%M%S.%f", "20240102093015.25", "2024-01-02 09:30:15", 250_000_000),
    ],
)
def test_a_time_is_read_as_its_form_says(form: str, text: str, wall: str, nanoseconds: int) -> None:
    assert one(text, form) == ns(wall) + nanoseconds


@pytest.mark.parametrize(
    ("form", "text", "fault"),
    [
        ("iso", "", "EMPTY"),
        ("iso", "  ", "EMPTY"),
        ("iso", "yesterday", "NOT_A_TIME"),
        ("iso", "2024-13-01", "NOT_A_TIME"),
        ("iso", "2024-02-30", "NOT_A_TIME"),
        ("iso", "2023-02-29", "NOT_A_TIME"),
        ("iso", "2024-00-10", "NOT_A_TIME"),
        ("iso", "2024-01-02T24:00", "NOT_A_TIME"),
        ("iso", "2024-01-02T09:60", "NOT_A_TIME"),
        ("iso", "2024-01-02T09:30+25:00", "NOT_A_TIME"),
        ("iso", "2024-1-2", "NOT_A_TIME"),
        ("iso", "20240102 09:30", "NOT_A_TIME"),
        ("iso", "1969-12-31", "ABSURD"),
        ("iso", "2200-01-01", "ABSURD"),
        ("iso", "1970-01-01T00:00+01:00", "ABSURD"),
        ("epoch-s", "-1", "ABSURD"),
        ("epoch-s", "1704187800123", "ABSURD"),
        ("epoch-s", "12:30", "NOT_A_TIME"),
        ("epoch-ns", "1.5", "NOT_A_TIME"),
        ("MM/DD/YYYY", "13/01/2024", "NOT_A_TIME"),
        ("%b %d %Y", "Foo 02 2024", "NOT_A_TIME"),
        ("%I:%M %p %Y-%m-%d", "13:00 PM 2024-01-02", "NOT_A_TIME"),
    ],
)
def test_what_is_no_time_of_the_form_is_named_so(form: str, text: str, fault: str) -> None:
    assert one(text, form) == fault


def test_shapes_may_change_from_row_to_row() -> None:
    texts = ["2024-01-02T09:30:00-05:00", "x", "2024-07-02 09:30Z", "", "2024-01-02T09:30:00+05:30", "2024-01-02", "2024-01-02T09:30:00.25-05:00"]
    stamps = parse_times(pa.array(texts), form_named("iso"))
    assert stamps.faults.tolist() == [0, TimeFault.NOT_A_TIME, 0, TimeFault.EMPTY, 0, 0, 0]
    assert stamps.offset_ns.tolist() == [-5 * HOUR, 0, 0, 0, 5 * HOUR + HOUR // 2, 0, -5 * HOUR]
    assert stamps.has_offset.tolist() == [True, False, True, False, True, False, True]
    assert stamps.has_clock.tolist() == [True, False, True, False, True, False, True]


def test_a_column_of_rubbish_is_told_in_one_go() -> None:
    """20,000 different bad texts; were each tried on all the others, this would take minutes."""
    stamps = parse_times(pa.array([f"no time {i}" for i in range(20_000)]), form_named("iso"))
    assert (stamps.faults == TimeFault.NOT_A_TIME).all()


@given(st.lists(st.datetimes(dt.datetime(1970, 1, 2), dt.datetime(2199, 12, 30)), min_size=1, max_size=20), st.integers(-14 * 60, 14 * 60))  # noqa: DTZ001
def test_iso_times_come_back_as_python_writes_them(moments: list[dt.datetime], offset_minutes: int) -> None:
    zone = dt.timezone(dt.timedelta(minutes=offset_minutes))
    aware = [moment.replace(tzinfo=zone) for moment in moments]
    stamps = parse_times(pa.array([moment.isoformat() for moment in aware]), form_named("iso"))
    epoch = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    expected = [(moment - epoch) // dt.timedelta(microseconds=1) * 1_000 for moment in aware]
    assert not stamps.faults.any()
    assert (stamps.wall_ns - stamps.offset_ns).tolist() == expected


@pytest.mark.parametrize(
    ("example", "form"),
    [
        ("2024-01-02 09:30:00-05:00", "iso"),
        ("20240102", "YYYYMMDD"),
        ("20240102 093000", "YYYYMMDD HHMMSS"),
        ("20240102  09:30:00", "YYYYMMDD  HH:MM:SS"),
        ("2024.01.02 09:30", "YYYY.MM.DD HH:MM"),
        ("1704187800", "epoch-s"),
        ("1704187800.5", "epoch-s"),
        ("1704187800123", "epoch-ms"),
        ("1704187800123456", "epoch-us"),
        ("1704187800123456789", "epoch-ns"),
        ("01/02/2024", None),
        ("02.01.2024 09:30", None),
        ("tomorrow", None),
    ],
)
def test_auto_takes_only_what_one_reading_fits(example: str, form: str | None) -> None:
    found = form_of("auto", example)
    assert (None if found is None else found.name) == form


@pytest.mark.parametrize("text", ["iso", "auto", "epoch", "epoch-ms", "YYYYMMDD", "%Y-%m-%d", "DD.MM.YY"])
def test_time_forms_that_can_be_declared(text: str) -> None:
    assert is_time_form(text)


@pytest.mark.parametrize("text", ["", "HH:MM", "YYYY-MM", "%Y-%m-%d %Q", "%Y-%m-%d %Y", "epoch-min", "YYYY-DD HH:MM", "%Y-%m-%d %I:%M"])
def test_time_forms_that_lack_a_date_or_say_it_twice_cannot(text: str) -> None:
    assert not is_time_form(text)
