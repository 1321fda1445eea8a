"""What is stored, what is empty, partial and missing: by hand, against the NYSE calendar of 2024."""

from __future__ import annotations

import datetime as dt

import pytest

from market_data_pipeline.catalog import Catalog
from market_data_pipeline.domain.coverage import Coverage
from market_data_pipeline.domain.sessions import SessionRange
from market_data_pipeline_tests.catalog.bar_making import (
    AAPL,
    EURUSD,
    FRIDAY,
    MONDAY,
    THURSDAY,
    TUESDAY,
    WEDNESDAY,
    all_bars,
    answer,
    empty,
    files_of,
    morning,
    store,
)
from market_data_pipeline_tests.instants import NEW_YORK, ns


def day(text: str) -> dt.date:
    return dt.date.fromisoformat(text)


def test_the_example_of_the_first_quarter_of_2024(catalog: Catalog) -> None:
    """61 sessions from 2 January to 28 March (NYSE 2024: closed 15 January, 19 February, 29 March), three of them not there."""
    from market_data_pipeline.calendars import calendar_of_venue

    calendar = calendar_of_venue("NASDAQ")
    from market_data_pipeline.domain.sessions import date_of

    dates = [date_of(number) for number in calendar.days_between(day("2024-01-02"), day("2024-03-28"))]
    assert len(dates) == 61
    store(catalog, *(answer(AAPL, date) for date in dates if date not in (MONDAY, TUESDAY, WEDNESDAY)))
    found = catalog.availability(AAPL)
    assert found is not None
    assert (found.first_session, found.last_session) == (day("2024-01-02"), day("2024-03-28"))
    assert (found.complete, found.empty, found.partial, found.missing, found.stored) == (58, 0, 0, 3, 58)
    assert found.gaps == (SessionRange(MONDAY, WEDNESDAY, 3),)
    assert str(found.gaps[0]) == "2024-02-05 to 2024-02-07 (3 sessions)"
    assert found.rows == 58 * 390
    assert found.bytes == sum(file.stat().st_size for file in files_of(catalog))
    assert (found.first_open_ns, found.last_close_ns) == (ns("2024-01-02 09:30", NEW_YORK), ns("2024-03-28 16:00", NEW_YORK))
    assert found.updated_at_ns == max(row.stored_at_ns for row in catalog.sessions(AAPL))
    assert found.bad_files == ()
    assert catalog.availabilities() == [found]


def test_an_empty_session_is_no_gap_and_a_partial_one_is(catalog: Catalog) -> None:
    store(catalog, answer(AAPL, MONDAY), empty(AAPL, TUESDAY), morning(AAPL, THURSDAY))
    found = catalog.availability(AAPL)
    assert found is not None
    assert (found.complete, found.empty, found.partial, found.missing) == (1, 1, 1, 1)
    assert found.gaps == (SessionRange(WEDNESDAY, THURSDAY, 2),)
    assert list(catalog.coverage(AAPL, MONDAY, FRIDAY).values()) == [
        Coverage.COMPLETE,
        Coverage.EMPTY,
        Coverage.MISSING,
        Coverage.PARTIAL,
        Coverage.MISSING,
    ]


def test_gaps_of_a_range_look_beyond_what_is_stored(catalog: Catalog) -> None:
    store(catalog, answer(AAPL, TUESDAY))
    assert catalog.gaps(AAPL, MONDAY, WEDNESDAY) == (SessionRange(MONDAY, MONDAY, 1), SessionRange(WEDNESDAY, WEDNESDAY, 1))
    assert catalog.gaps(AAPL, day("2024-02-10"), day("2024-02-11")) == ()  # a weekend
    assert catalog.gaps(AAPL, FRIDAY, MONDAY) == ()


def test_sessions_that_are_not_over_are_no_gaps(catalog: Catalog) -> None:
    """NYSE venues end post-market at 20:00 New York."""
    before, after = ns("2024-02-06 19:59:59", NEW_YORK), ns("2024-02-06 20:00", NEW_YORK)
    assert catalog.gaps(AAPL, MONDAY, FRIDAY, before) == (SessionRange(MONDAY, MONDAY, 1),)
    assert catalog.gaps(AAPL, MONDAY, FRIDAY, after) == (SessionRange(MONDAY, TUESDAY, 2),)
    assert catalog.gaps(AAPL, WEDNESDAY, FRIDAY, before) == ()
    assert catalog.gaps(AAPL, day("2124-01-03"), day("2124-01-05")) == ()


def test_nautilus_finds_no_gap_over_weekends_and_holidays(catalog: Catalog) -> None:
    """NYSE 2024: 18 January is a Thursday, 15 January a holiday. The whole time from the first window's start is claimed."""
    from nautilus_trader.model.data import Bar
    from nautilus_trader.persistence.catalog import ParquetDataCatalog

    store(catalog, *(answer(AAPL, day(f"2024-01-{number:02}")) for number in (11, 12, 16, 17, 18)))
    theirs = ParquetDataCatalog(catalog.root)
    start, end = ns("2024-01-11 04:00", NEW_YORK), ns("2024-01-18 20:00", NEW_YORK)
    assert theirs.get_missing_intervals_for_request(start, end, Bar, AAPL.bar_type) == []
    assert theirs.get_missing_intervals_for_request(start, end + 1, Bar, AAPL.bar_type) == [(end + 1, end + 1)]


def test_nautilus_sees_a_gap_where_a_session_is_partial_or_missing(catalog: Catalog) -> None:
    from nautilus_trader.model.data import Bar
    from nautilus_trader.persistence.catalog import ParquetDataCatalog

    store(catalog, answer(AAPL, MONDAY), morning(AAPL, TUESDAY, bars=90), answer(AAPL, THURSDAY))
    gaps = ParquetDataCatalog(catalog.root).get_missing_intervals_for_request(
        ns("2024-02-05 04:00", NEW_YORK), ns("2024-02-08 20:00", NEW_YORK), Bar, AAPL.bar_type
    )
    # 90 minutes from 09:30 end at 11:00; Thursday's window begins when Wednesday's ends.
    assert gaps == [(ns("2024-02-06 11:00", NEW_YORK) + 1, ns("2024-02-07 20:00", NEW_YORK))]


def test_two_weeks_of_currencies_tile_time_across_a_change_of_clocks(catalog: Catalog) -> None:
    """New York's clocks went forward on 2024-03-10; FX sessions run from 17:15 to 17:00 New York."""
    from nautilus_trader.model.data import Bar
    from nautilus_trader.persistence.catalog import ParquetDataCatalog

    dates = [day(f"2024-03-{number:02}") for number in (7, 8, 11, 12)]
    store(catalog, *(answer(EURUSD, date) for date in dates), series=EURUSD)
    start, end = ns("2024-03-06 17:15", NEW_YORK), ns("2024-03-12 17:00", NEW_YORK)
    assert ParquetDataCatalog(catalog.root).get_missing_intervals_for_request(start, end, Bar, EURUSD.bar_type) == []
    bars = all_bars(catalog, EURUSD)
    assert len(bars) == 4 * 95  # 23 h 45 min in quarters of an hour
    assert bars.ts_event[2 * 95] == ns("2024-03-10 21:15")  # 17:15 in summer time


def test_a_file_that_somebody_removed_is_told_by_whoever_looks_first(week: Catalog, caplog: pytest.LogCaptureFixture) -> None:
    assert week.availability(AAPL) is not None
    first = files_of(week)[1]
    content = first.read_bytes()
    first.unlink()
    with caplog.at_level("WARNING"):
        week.availability(AAPL)
        week.availability(AAPL)
    told = f"{AAPL}: 1 session that was stored is gone with its file: {TUESDAY}. See what fills them: mdp check AAPL.NASDAQ"
    assert [record.getMessage() for record in caplog.records] == [told]
    first.write_bytes(content)
    week.availability(AAPL)
    first.unlink()
    (problem,) = (one for one in Catalog.open(week.root).verify().problems if one.kind == "file gone")
    assert problem.subject == str(AAPL)
    assert problem.detail == f"1 session that was stored is gone with its file: {TUESDAY}"


@pytest.mark.parametrize("moment", ["deleted", "added"])
def test_a_file_that_comes_or_goes_behind_its_back_is_noticed(week: Catalog, moment: str) -> None:
    first = files_of(week)[1]
    content = first.read_bytes()
    assert week.availability(AAPL) is not None
    first.unlink()
    gone = week.availability(AAPL)
    assert gone is not None
    assert gone.gaps == (SessionRange(TUESDAY, TUESDAY, 1),)
    if moment == "added":
        first.write_bytes(content)
        back = Catalog.open(week.root).availability(AAPL)
        assert back is not None
        assert back.gaps == ()


def test_a_series_whose_folder_was_deleted_is_not_stored(week: Catalog) -> None:
    for file in files_of(week):
        file.unlink()
    assert week.availability(AAPL) is None
    assert week.series() == []
    week.layout.series_folder(AAPL).rmdir()
    assert week.availability(AAPL) is None


@pytest.mark.parametrize(
    ("hours", "now", "expected"),
    [
        ("rth", "2024-11-29 12:59", []),
        ("rth", "2024-11-29 13:00", ["2024-11-29"]),
        ("all", "2024-11-29 16:59", []),
        ("all", "2024-11-29 17:00", ["2024-11-29"]),
    ],
)
def test_a_session_can_be_missing_once_the_hours_that_are_wanted_are_over(catalog: Catalog, hours: str, now: str, expected: list[str]) -> None:
    """On Friday 2024-11-29 the NYSE closed at 13:00, late trading ended at 17:00 (NYSE holidays and trading hours 2024)."""
    gaps = catalog.gaps(AAPL, day("2024-11-29"), day("2024-11-29"), ns(now, NEW_YORK), hours)
    assert [str(gap.first) for gap in gaps] == expected
