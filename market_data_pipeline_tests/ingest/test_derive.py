"""Deriving from stored bars: what is made, what is not and why, what is made anew, and what the ledger says of it."""

from __future__ import annotations

import datetime as dt

import pytest

from market_data_pipeline.catalog import Catalog
from market_data_pipeline.catalog.derived import stale_sessions
from market_data_pipeline.domain.bar_table import BarTable
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.coverage import Convention, Coverage, Provenance
from market_data_pipeline.domain.errors import ConflictingBars, InvalidBarType, InvalidDate, NotStored, UsageError
from market_data_pipeline.ingest.derive import DeriveOrder, derive, finer_stored, to_derive
from market_data_pipeline.ingest.import_csv import Run
from market_data_pipeline.ingest.load import Refetch
from market_data_pipeline.ingest.modes import Mode, Reach
from market_data_pipeline_tests.catalog.bar_making import (
    AAPL,
    CENTS,
    FRIDAY,
    MONDAY,
    THURSDAY,
    TUESDAY,
    WEDNESDAY,
    WEEK,
    answer,
    empty,
    morning,
    regular,
    store,
)
from market_data_pipeline_tests.ingest.deriving import derived

FIVE = Series.of("AAPL.NASDAQ", "5-MINUTE-LAST")
DAY = Series.of("AAPL.NASDAQ", "1-DAY-LAST")
ALL = Reach(Mode.FULL)
ORDER = DeriveOrder(FIVE, AAPL, ALL)


def test_a_week_of_minutes_becomes_78_bars_a_session_with_every_share_counted(week: Catalog) -> None:
    report = derived(week, ORDER)
    assert (report.segments_fetched, report.requests_made, report.fetched_bars, report.cached_before) == (5, 0, 5 * 78, 0)
    rows = week.sessions(FIVE)
    assert [(row.session, row.coverage, row.source, row.expected, row.regular) for row in rows] == [
        (date, Coverage.COMPLETE, "derived", 78, 78) for date in WEEK
    ]
    finer = {row.session: row.fingerprint for row in week.sessions(AAPL)}
    assert [row.asked for row in rows] == [f"5-MINUTE-LAST from 1-MINUTE-LAST (fingerprint {finer[date]})" for date in WEEK]
    minutes, bars = (BarTable.concatenate([*week.read(series)]) for series in (AAPL, FIVE))
    assert (bars.volume.sum(), bars.high.max(), bars.low.min()) == (minutes.volume.sum(), minutes.high.max(), minutes.low.min())


def test_the_same_again_derives_nothing(week: Catalog) -> None:
    derived(week, ORDER)
    again = derived(week, ORDER)
    assert (again.segments_fetched, again.cached_before, again.fetched_bars) == (0, 5, 0)


def test_only_whole_sessions_are_taken_and_the_others_are_named_with_the_command(catalog: Catalog) -> None:
    store(catalog, answer(AAPL, MONDAY), morning(AAPL, TUESDAY), empty(AAPL, WEDNESDAY), answer(AAPL, FRIDAY))
    report = derived(catalog, ORDER)
    assert [(failure.session, failure.reason.partition(";")[0]) for failure in report.failed_segments] == [
        (TUESDAY, "its 1-MINUTE-LAST session is partial"),
        (THURSDAY, "its 1-MINUTE-LAST session is missing"),
    ]
    assert "mdp load AAPL.NASDAQ 1-MINUTE-LAST --mode full --start 2024-02-06 --end 2024-02-06" in report.failed_segments[0].reason
    coverage = catalog.coverage(FIVE, MONDAY, FRIDAY)
    assert [str(one) for one in coverage.values()] == ["complete", "missing", "empty", "missing", "complete"]


def test_minutes_without_a_trade_are_no_hole(catalog: Catalog) -> None:
    bars = regular(AAPL, MONDAY)
    kept = bars.take((bars.ts_event // 60_000_000_000) % 10 < 2)  # two minutes of every ten
    store(catalog, answer(AAPL, MONDAY, kept))
    derived(catalog, ORDER)
    (row,) = catalog.sessions(FIVE)
    assert (row.coverage, row.rows) == (Coverage.COMPLETE, 39)


def test_a_session_whose_minutes_were_replaced_is_stale_and_made_anew_and_no_other(week: Catalog) -> None:
    derived(week, ORDER)
    assert stale_sessions(week, FIVE) == []
    store(week, answer(AAPL, WEDNESDAY, seed=5))
    assert [(one.session, str(one.finer)) for one in stale_sessions(week, FIVE)] == [(WEDNESDAY, "1-MINUTE-LAST")]
    assert [session for session, _ in to_derive(week, FIVE, AAPL, MONDAY, FRIDAY)] == [WEDNESDAY]
    report = derived(week, ORDER)
    assert (report.segments_fetched, report.cached_before) == (1, 4)
    assert stale_sessions(week, FIVE) == []
    bars, minutes = week.read_session(FIVE, WEDNESDAY), week.read_session(AAPL, WEDNESDAY)
    assert (bars.open[0], bars.close[-1], bars.volume.sum()) == (minutes.open[0], minutes.close[-1], minutes.volume.sum())


def test_a_session_whose_minutes_are_gone_or_in_part_is_not_stale(week: Catalog) -> None:
    """Nothing better can be made of it; what was derived stays."""
    derived(week, ORDER)
    folder = week.layout.series_folder(AAPL)
    next(folder.glob("2024-02-07*")).unlink()
    assert stale_sessions(week, FIVE) == []
    assert len(week.sessions(FIVE)) == 5


def test_bars_that_a_source_gave_are_not_replaced_by_derived_ones(week: Catalog) -> None:
    store(week, answer(FIVE, TUESDAY, seed=9), series=FIVE)
    before = week.read_session(FIVE, TUESDAY).fingerprint()
    assert derived(week, ORDER).cached_before == 1
    assert week.read_session(FIVE, TUESDAY).fingerprint() == before
    derived(week, DeriveOrder(FIVE, AAPL, ALL, Refetch.YES))
    assert week.read_session(FIVE, TUESDAY).fingerprint() != before


def test_derived_bars_inherit_the_convention_and_are_never_mixed_with_another(catalog: Catalog) -> None:
    convention = Convention("rth", "split")
    with catalog.writer(AAPL, CENTS, Provenance("test", "by hand", convention)) as writer:
        writer.store(answer(AAPL, MONDAY))
    derived(catalog, ORDER)
    assert catalog.convention(FIVE) == convention
    store(catalog, answer(DAY, MONDAY, BarTable.concatenate([_day(catalog)])), series=DAY)
    with pytest.raises(ConflictingBars, match="never mixed"):
        derived(catalog, DeriveOrder(DAY, AAPL, ALL))


def _day(catalog: Catalog) -> BarTable:
    bars = catalog.read_session(AAPL, MONDAY).slice(0, 1)
    start = int(dt.datetime(2024, 2, 5, tzinfo=dt.UTC).timestamp()) * 10**9
    bars.ts_event[:], bars.ts_init[:] = start, start + 86_400 * 10**9 - 1
    return bars


def test_a_week_of_sessions_is_made_when_all_of_them_are_whole(catalog: Catalog) -> None:
    weekly = Series.of("AAPL.NASDAQ", "1-WEEK-LAST")
    store(catalog, *(answer(AAPL, date) for date in WEEK[:4]))
    order = DeriveOrder(weekly, AAPL, Reach(Mode.FULL, MONDAY, FRIDAY))
    (failure,) = derived(catalog, order).failed_segments
    assert failure.reason.startswith("of its 5 1-MINUTE-LAST sessions 1 are not whole (2024-02-09 (1 session)); load that first: mdp load")
    store(catalog, answer(AAPL, FRIDAY))
    derived(catalog, order)
    bars = catalog.read_session(weekly, FRIDAY)
    minutes = BarTable.concatenate([*catalog.read(AAPL)])
    assert (len(bars), bars.open[0], bars.close[0], bars.volume[0]) == (1, minutes.open[0], minutes.close[-1], minutes.volume.sum())
    store(catalog, answer(AAPL, TUESDAY, seed=3))
    assert [one.session for one in stale_sessions(catalog, weekly)] == [FRIDAY]


def test_a_chain_of_derivations_follows_its_first_link(week: Catalog) -> None:
    derived(week, ORDER)
    derived(week, DeriveOrder(DAY, FIVE, ALL))
    store(week, answer(AAPL, MONDAY, seed=7))
    assert not stale_sessions(week, DAY)  # its own finer bars are still the old ones
    derived(week, ORDER)
    assert [one.session for one in stale_sessions(week, DAY)] == [MONDAY]
    derived(week, DeriveOrder(DAY, FIVE, ALL))
    assert week.read_session(DAY, MONDAY).volume.tolist() == [int(week.read_session(AAPL, MONDAY).volume.sum())]


def test_one_torn_file_of_minutes_costs_its_session_and_no_other(week: Catalog) -> None:
    file = next(week.layout.series_folder(AAPL).glob("2024-02-07*"))
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0xFF
    file.write_bytes(content)
    report = derived(week, ORDER)
    assert [failure.session for failure in report.failed_segments] == [WEDNESDAY]
    assert report.segments_fetched == 4


def test_a_dry_run_tells_the_plan_and_stores_nothing(week: Catalog) -> None:
    work = derive(week, [ORDER], run=Run.DRY)
    (_, plan) = next(work)
    assert not isinstance(plan, Exception)
    assert [*work] == []
    assert week.availability(FIVE) is None


@pytest.mark.parametrize(
    ("order", "error", "message"),
    [
        (DeriveOrder(Series.of("AAPL.NASDAQ", "5-MINUTE-MID"), AAPL, ALL), InvalidBarType, "MID prices cannot be made of LAST prices"),
        (DeriveOrder(AAPL, FIVE, ALL), InvalidBarType, "5-MINUTE-LAST is not finer than 1-MINUTE-LAST"),
        (DeriveOrder(DAY, FIVE, ALL), NotStored, "of which nothing is stored .* mdp load AAPL.NASDAQ 5-MINUTE-LAST"),
        (DeriveOrder(FIVE, AAPL, Reach(Mode.FULL, dt.date(2199, 1, 1))), InvalidDate, "2199-01-01"),
    ],
)
def test_what_cannot_be_meant_is_refused(week: Catalog, order: DeriveOrder, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        derived(week, order)


def test_where_nobody_says_the_only_series_that_fits_is_meant(week: Catalog) -> None:
    assert finer_stored(week, FIVE) == AAPL
    derived(week, ORDER)
    assert finer_stored(week, DAY) == AAPL  # derived ones are not asked
    store(week, answer(Series.of("AAPL.NASDAQ", "15-MINUTE-LAST"), MONDAY), series=Series.of("AAPL.NASDAQ", "15-MINUTE-LAST"))
    with pytest.raises(UsageError, match="Say which: --from 1-MINUTE-LAST or --from 15-MINUTE-LAST"):
        finer_stored(week, DAY)
    with pytest.raises(NotStored, match="nothing is stored"):
        finer_stored(week, Series.of("MSFT.NASDAQ", "1-DAY-LAST"))
