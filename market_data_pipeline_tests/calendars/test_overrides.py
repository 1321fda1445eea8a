"""Overrides of calendars: what a file says counts at once, and a file that is wrong says where.

In May 2024 NYSE was closed on Monday 27 (Memorial Day); 2024-07-03 closed at 13:00 (NYSE holiday calendar 2024).
"""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from market_data_pipeline.calendars import calendar_named, partitions_of, published_calendar_of_venue
from market_data_pipeline.calendars.overrides import VARIABLE, CalendarOverrides, SessionTimes, overrides_file
from market_data_pipeline.calendars.overrides_file import read_overrides, write_overrides
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.errors import ConfigurationError
from market_data_pipeline_tests.instants import NEW_YORK, ns

MINUTES = Series.of("AAPL.NASDAQ", "1-MINUTE-LAST")
WEEK = dt.date(2024, 5, 27), dt.date(2024, 5, 31)
HOLIDAY, THURSDAY, FRIDAY = dt.date(2024, 5, 27), dt.date(2024, 5, 30), dt.date(2024, 5, 31)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "calendar_overrides.yaml"
    monkeypatch.setenv(VARIABLE, str(path))
    return path


def hours(date: dt.date, name: str = "NYSE") -> tuple[int, int]:
    calendar = calendar_named(name)
    at = calendar.index_of(date)
    assert at is not None
    return int(calendar.open_ns[at]), int(calendar.close_ns[at])


def test_without_a_file_calendars_are_as_published_and_the_same_object(file: Path) -> None:
    assert calendar_named("NYSE") is published_calendar_of_venue("NASDAQ")
    assert partitions_of(MINUTES) is partitions_of(MINUTES)


def test_what_is_written_counts_at_once_and_what_is_taken_out_no_more(file: Path) -> None:
    before = partitions_of(MINUTES).dates_between(*WEEK)
    assert THURSDAY in before
    file.write_text("calendars:\n  NYSE:\n    closed:\n      2024-05-30: an example\n")
    assert partitions_of(MINUTES).dates_between(*WEEK) == [date for date in before if date != THURSDAY]
    assert THURSDAY in calendar_named("NYSE").closed_days(*WEEK)
    assert partitions_of(MINUTES) is partitions_of(MINUTES)
    file.write_text("calendars: {}\n")
    assert partitions_of(MINUTES).dates_between(*WEEK) == before
    file.unlink()
    assert calendar_named("NYSE") is published_calendar_of_venue("NASDAQ")


def test_windows_tile_time_whatever_is_closed_or_opened(file: Path) -> None:
    """Bars of a closed date belong to the next session; the window of an opened one ends four hours after its close, as its neighbours' do."""
    file.write_text(
        "calendars:\n  NYSE:\n    closed:\n      2024-05-30: an example\n    sessions:\n"
        '      2024-05-27: {open: "09:30", close: "13:00", reason: an example}\n'
    )
    partitions = partitions_of(MINUTES)
    assert np.array_equal(partitions.starts[1:], partitions.ends[:-1])
    assert partitions.window(FRIDAY)[0] == partitions.window(dt.date(2024, 5, 29))[1]
    assert hours(HOLIDAY) == (ns("2024-05-27 09:30", NEW_YORK), ns("2024-05-27 13:00", NEW_YORK))
    assert partitions.window(HOLIDAY)[1] == ns("2024-05-27 17:00", NEW_YORK)


def test_other_hours_change_the_regular_session_and_nothing_around_it(file: Path) -> None:
    window = partitions_of(MINUTES).window(THURSDAY)
    file.write_text('calendars:\n  NYSE:\n    sessions:\n      2024-05-30: {open: "10:00", close: "12:30", reason: an example}\n')
    assert hours(THURSDAY) == (ns("2024-05-30 10:00", NEW_YORK), ns("2024-05-30 12:30", NEW_YORK))
    assert partitions_of(MINUTES).window(THURSDAY) == window


def test_an_open_that_is_not_before_the_close_is_one_of_the_day_before(file: Path) -> None:
    file.write_text('calendars:\n  FX:\n    sessions:\n      2024-05-31: {open: "19:00", close: "17:00", reason: an example}\n')
    assert hours(FRIDAY, "FX") == (ns("2024-05-30 19:00", NEW_YORK), ns("2024-05-31 17:00", NEW_YORK))


def test_other_calendars_are_as_published(file: Path) -> None:
    file.write_text("calendars:\n  NYSE:\n    closed:\n      2024-05-30: an example\n")
    assert calendar_named("CME") is published_calendar_of_venue("CME")
    assert published_calendar_of_venue("NASDAQ").index_of(THURSDAY) is not None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("calendars:\n  XNYS:\n    closed: {2024-05-30: x}\n", "'XNYS' is no calendar. Write one of NYSE"),
        ("calendars:\n  NYSE:\n    closed:\n      2024-05-30: ''\n", "line 4"),
        ("calendars:\n  NYSE:\n    closed:\n      thursday: x\n", "line 4"),
        ("calendars:\n  NYSE:\n    sessions:\n      2024-05-30: {open: '09:30', close: 13:00, reason: x}\n", "Write it quoted"),
        ("calendars:\n  NYSE:\n    sessions:\n      2024-05-30: {open: '9:30', close: '13:00', reason: x}\n", "is no time of day"),
        ("calendars:\n  NYSE:\n    sessions:\n      2024-05-30: {open: '09:30', close: '13:00'}\n", "reason"),
        ("calendars:\n  NYSE:\n    open:\n      2024-05-30: x\n", "is no key known here"),
        ("calendars:\n  NYSE:\n    closed: {1980-05-30: x}\n", "lies before 1990-01-08"),
        (
            "calendars:\n  NYSE:\n    closed: {2024-05-30: x}\n    sessions: {2024-05-30: {open: '09:30', close: '13:00', reason: x}}\n",
            "2024-05-30 is both closed and a session",
        ),
    ],
)
def test_a_mistake_is_told_with_its_place(file: Path, text: str, message: str) -> None:
    file.write_text(text)
    with pytest.raises(ConfigurationError) as refused:
        calendar_named("NYSE")
    assert str(file) in str(refused.value)
    assert message in str(refused.value)


def test_what_is_written_is_read_as_it_was(file: Path) -> None:
    times = SessionTimes(dt.time(9, 30), dt.time(13), 'the day before: "Independence"')
    written = {"NYSE": CalendarOverrides({THURSDAY: "an example"}, {dt.date(2024, 7, 3): times}), "FX": CalendarOverrides({}, {})}
    write_overrides(file, written)
    read = read_overrides(file)
    assert read == {"NYSE": written["NYSE"]}
    write_overrides(file, {})
    assert read_overrides(file) == {}
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_the_file_of_this_folder_counts_where_none_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "calendar_overrides.yaml").write_text("calendars:\n  NYSE:\n    closed:\n      2024-05-30: an example\n")
    assert overrides_file() == tmp_path / "config" / "calendar_overrides.yaml"
    assert calendar_named("NYSE").index_of(THURSDAY) is None


def test_a_project_without_the_file_pays_nothing_for_it(tmp_path: Path) -> None:
    """Neither pydantic nor YAML is imported by whoever only asks for a calendar."""
    code = (
        "import sys; from market_data_pipeline.calendars import calendar_named; calendar_named('FX'); print({'pydantic', 'yaml'} & set(sys.modules))"
    )
    environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, env=environment, check=True)
    assert done.stdout.strip() == "set()"
