"""A calendar override closes or opens a date beside stored sessions: files keep their names, and a ledger made anew calls no session other.

In 2024, 7 February was a Wednesday and 10 February a Saturday; 12 February a Monday. Windows of sessions meet, so either moves the start of the next.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pytest

from market_data_pipeline.calendars import partitions_of
from market_data_pipeline.calendars.overrides import VARIABLE
from market_data_pipeline.catalog import Catalog
from market_data_pipeline.catalog.compaction import Direction, compact
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.coverage import Coverage, SessionAnswer
from market_data_pipeline.domain.sessions import day_number
from market_data_pipeline_tests.catalog.bar_making import (
    AAPL,
    EURUSD,
    MONDAY,
    THURSDAY,
    WEDNESDAY,
    WEEK,
    answer,
    coverages,
    empty,
    morning,
    rebuilt,
    store,
    walk,
)
from market_data_pipeline_tests.catalog.months import LATER, february, joined, short

DAY_NS = 86_400_000_000_000
SATURDAY, NEXT_MONDAY = dt.date(2024, 2, 10), dt.date(2024, 2, 12)


@pytest.fixture
def overrides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "overrides.yaml"
    monkeypatch.setenv(VARIABLE, str(file))
    return file


def close(overrides: Path, date: dt.date, calendar: str = "NYSE") -> None:
    overrides.write_text(f"calendars:\n  {calendar}:\n    closed:\n      {date}: an example\n")


def open_on(overrides: Path, date: dt.date) -> None:
    overrides.write_text(f'calendars:\n  NYSE:\n    sessions:\n      {date}: {{open: "09:30", close: "16:00", reason: an example}}\n')


def agrees(catalog: Catalog, series: Series = AAPL) -> Catalog:
    """Make sure that neither a verification nor a ledger made anew changes what is known; return the catalog with that ledger."""
    said = coverages(catalog, series)
    assert [one.kind for one in catalog.verify([series]).problems] == ["orphan bars"]  # none is defined here
    assert coverages(catalog, series) == said
    again = rebuilt(catalog)
    assert coverages(again, series) == said
    return again


def a_day(series: Series, date: dt.date) -> SessionAnswer:
    """Return a day bar, from midnight to midnight UTC."""
    return answer(series, date, walk(np.array([day_number(date) * DAY_NS], dtype=np.int64), DAY_NS - 1))


@pytest.mark.parametrize("series", [AAPL, Series.parse("AAPL.NASDAQ-1-DAY-LAST-EXTERNAL")], ids=str)
def test_the_session_after_a_date_that_was_closed_stays_whole(catalog: Catalog, overrides: Path, series: Series) -> None:
    """Minutes have a hole, which a ledger made anew could take for a part."""
    store(catalog, *(short(date) if series is AAPL else a_day(series, date) for date in WEEK if date != WEDNESDAY), series=series)
    close(overrides, WEDNESDAY)
    assert THURSDAY in partitions_of(series).dates_between(MONDAY, THURSDAY)
    assert WEDNESDAY not in partitions_of(series).dates_between(MONDAY, THURSDAY)
    again = agrees(catalog, series)
    assert [coverage for _, coverage, _ in coverages(again, series)] == ["complete"] * 4
    overrides.unlink()
    assert agrees(again, series).coverage(series, WEDNESDAY, WEDNESDAY) == {WEDNESDAY: Coverage.MISSING}


def test_a_currency_s_session_after_a_closed_date_stays_whole(catalog: Catalog, overrides: Path) -> None:
    store(catalog, *(answer(EURUSD, date) for date in WEEK if date != WEDNESDAY), series=EURUSD)
    close(overrides, WEDNESDAY, "FX")
    assert [coverage for _, coverage, _ in coverages(agrees(catalog, EURUSD), EURUSD)] == ["complete"] * 4


def test_a_part_of_a_session_after_a_closed_date_stays_a_part(catalog: Catalog, overrides: Path) -> None:
    store(catalog, morning(AAPL, THURSDAY))
    close(overrides, WEDNESDAY)
    assert coverages(agrees(catalog)) == [("2024-02-08", "partial", 100)]


def test_an_opened_date_is_missing_until_it_is_stored_and_the_session_after_it_stays_what_it_was(catalog: Catalog, overrides: Path) -> None:
    for nobody_traded in (False, True):
        store(catalog, answer(AAPL, WEEK[4]), empty(AAPL, NEXT_MONDAY) if nobody_traded else short(NEXT_MONDAY))
        open_on(overrides, SATURDAY)
        again = agrees(catalog)
        assert again.coverage(AAPL, SATURDAY, NEXT_MONDAY) == {
            SATURDAY: Coverage.MISSING,
            NEXT_MONDAY: Coverage.EMPTY if nobody_traded else Coverage.COMPLETE,
        }
        overrides.unlink()
        catalog = agrees(again)


def test_an_opened_date_takes_its_place_beside_the_session_after_it(catalog: Catalog, overrides: Path) -> None:
    store(catalog, answer(AAPL, WEEK[4]), answer(AAPL, NEXT_MONDAY))
    open_on(overrides, SATURDAY)
    store(catalog, answer(AAPL, SATURDAY))
    assert [*agrees(catalog).coverage(AAPL, WEEK[4], NEXT_MONDAY).values()] == [Coverage.COMPLETE] * 3


def test_a_date_opened_in_a_month_file_is_missing_there_and_not_empty(tmp_path: Path, overrides: Path) -> None:
    """A compaction called the month whole when that date was no session: nobody has ever asked for it."""
    catalog = february(tmp_path / "months")
    joined(catalog)
    open_on(overrides, SATURDAY)
    again = agrees(catalog)
    assert again.coverage(AAPL, SATURDAY, SATURDAY) == {SATURDAY: Coverage.MISSING}
    done = compact(again, AAPL, Direction.UNDO, LATER, quiet_s=0)
    assert done is not None
    assert [one.why for one in done.left] == ["1 session is missing"]
    store(again, short(SATURDAY))
    assert agrees(again).coverage(AAPL, SATURDAY, SATURDAY) == {SATURDAY: Coverage.COMPLETE}


def test_a_month_file_after_a_closed_date_stays_whole(tmp_path: Path, overrides: Path) -> None:
    """The session before the month, 31 January, was never stored."""
    catalog = february(tmp_path / "months")
    joined(catalog)
    close(overrides, dt.date(2024, 1, 31))
    again = agrees(catalog)
    assert {coverage for _, coverage, _ in coverages(again)} == {"complete", "empty"}
