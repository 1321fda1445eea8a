"""What a repair mends, what it leaves for a person to decide, and that it loses nothing."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from market_data_pipeline.catalog import Catalog
from market_data_pipeline.catalog.instrument_definitions import InstrumentDefinitions, define
from market_data_pipeline.domain.bar_table import BarTable
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.ingest.import_csv import Run
from market_data_pipeline.ingest.repair import RepairReport, needs_decision, repair
from market_data_pipeline_tests.catalog.bar_making import (
    AAPL,
    CENTS,
    EURUSD,
    FRIDAY,
    MONDAY,
    TUESDAY,
    WEDNESDAY,
    WEEK,
    all_bars,
    answer,
    coverages,
    files_of,
    nautilus_reads,
    put_wide,
    rebuilt,
    regular,
    store,
    store_week,
)
from market_data_pipeline_tests.sources.nautilus.foreign import by_nautilus, state_of, to_eight_bytes, with_close, with_rows

AAPL_ONLY = InstrumentDefinitions.model_validate({"instruments": [{"id": "AAPL.NASDAQ", "type": "equity", "currency": "USD", "price_precision": 2}]})


@pytest.fixture
def week(tmp_path: Path) -> Catalog:
    """Five whole sessions of AAPL."""
    return store_week(tmp_path / "catalog")


def mend(catalog: Catalog, run: Run = Run.STORE) -> RepairReport:
    return repair(catalog, lambda: AAPL_ONLY, run=run)


def whole() -> str:
    return BarTable.concatenate([regular(AAPL, date) for date in WEEK]).fingerprint()


def backwards(catalog: Catalog) -> None:
    with_rows(files_of(catalog)[1], range(389, -1, -1))


def rows_twice(catalog: Catalog) -> None:
    with_rows(files_of(catalog)[1], [*range(390), *range(40, 90)])


def of_eight_bytes(catalog: Catalog) -> None:
    to_eight_bytes(files_of(catalog)[1])


def oddly_named(catalog: Catalog) -> None:
    files_of(catalog)[1].rename(files_of(catalog)[1].with_name("part-0.parquet"))


def overlapping(catalog: Catalog) -> None:
    put_wide(catalog, regular(AAPL, TUESDAY).slice(0, 50))


def in_two_overlapping_halves(catalog: Catalog) -> None:
    """Neither holds all of the session: it is whole again only from both."""
    files_of(catalog)[1].unlink()
    put_wide(catalog, regular(AAPL, TUESDAY).slice(0, 200))
    put_wide(catalog, regular(AAPL, TUESDAY).slice(150, 390))


DAMAGES = [backwards, rows_twice, of_eight_bytes, oddly_named, overlapping, in_two_overlapping_halves]


@pytest.mark.parametrize("damage", DAMAGES)
def test_whole_files_that_stand_in_the_way_come_back_in_order(week: Catalog, damage: object) -> None:
    damage(week)  # type: ignore[operator]
    report = mend(week)
    assert needs_decision(report) == []
    assert report.mended
    assert all_bars(week).fingerprint() == whole()
    assert nautilus_reads(week.root) == (1950, 1950, True)
    again = mend(week)
    assert (again.mended, again.verified.problems) == ((), ())


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_verification_before_takes_nothing_from_a_repair(week: Catalog, damage: object) -> None:
    damage(week)  # type: ignore[operator]
    (problem, *_) = [one for one in week.verify().problems if one.kind == "bad file"]
    assert "mdp catalog repair" in problem.action
    mend(week)
    assert all_bars(week).fingerprint() == whole()


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_dry_run_changes_no_file(week: Catalog, damage: object) -> None:
    damage(week)  # type: ignore[operator]
    before = state_of(week.root / "data")
    report = mend(week, Run.DRY)
    assert report.dry_run
    assert any(one.kind == "bad file" for one in report.verified.problems)
    assert state_of(week.root / "data") == before
    assert not week.layout.quarantine.exists()


def test_two_values_for_one_bar_are_left_to_a_person(week: Catalog) -> None:
    put_wide(week, with_close(regular(AAPL, TUESDAY), 7, 20_000).slice(0, 50))
    report = mend(week)
    (decision,) = needs_decision(report)
    assert "on 2024-02-06 1 bar with other values in the catalog" in decision.detail
    assert "mdp import-csv" in decision.action
    assert all_bars(week).fingerprint() == whole()
    assert list(week.layout.quarantine.rglob("*.quarantined"))


def test_a_file_that_contradicts_itself_is_left_to_a_person(week: Catalog) -> None:
    file = files_of(week)[1]
    other = with_close(regular(AAPL, TUESDAY), 7, 20_000).slice(7, 8)
    extra = put_wide(week, other)
    pq.write_table(pa.concat_tables([pq.ParquetFile(path).read() for path in (file, extra)]), file)
    extra.unlink()
    report = mend(week)
    (decision,) = needs_decision(report)
    assert "1 row in it with other values than another row for the same bar" in decision.detail
    assert [session for session, _, _ in coverages(week)] == ["2024-02-05", "2024-02-07", "2024-02-08", "2024-02-09"]


def test_a_lost_file_is_told_with_the_command(week: Catalog) -> None:
    files_of(week)[1].write_bytes(b"")
    (lost,) = needs_decision(mend(week))
    assert "load again: 2024-02-06" in lost.action


def test_what_was_imported_since_is_not_undone(week: Catalog) -> None:
    """Tuesday went to quarantine out of order; somebody imported a corrected one since."""
    backwards(week)
    week.verify()
    corrected = with_close(regular(AAPL, TUESDAY), 7, 20_000)
    store(week, answer(AAPL, TUESDAY, corrected))
    (decision,) = needs_decision(mend(week))
    assert "other values in the catalog" in decision.detail
    assert week.read_session(AAPL, TUESDAY).fingerprint() == corrected.fingerprint()


def test_a_repair_that_was_killed_half_way_goes_on(week: Catalog) -> None:
    """The file lies in quarantine, and nothing was stored of it yet."""
    oddly_named(week)
    week.verify()
    assert len(coverages(week)) == 4
    report = mend(week)
    assert [one.subject for one in report.mended if "rows were put in order" in one.what] == [f"data/bar/{AAPL.folder}/part-0.parquet"]
    assert all_bars(week).fingerprint() == whole()


def test_a_ledger_that_is_gone_or_disagrees_is_mended(week: Catalog) -> None:
    before = coverages(week)
    found = rebuilt(week)
    mend(found)
    assert coverages(found) == before
    found.ledger.close()
    (found.root / "ledger.sqlite").write_bytes(b"no database at all")
    mended = Catalog.open(found.root)
    report = mend(mended)
    assert [one.kind for one in report.verified.problems if one.kind == "ledger damaged"] == ["ledger damaged"]
    assert coverages(mended) == before


def test_definitions_that_are_known_are_stored_and_others_asked_for(week: Catalog) -> None:
    unknown = Series.parse("XYZ.NASDAQ-1-MINUTE-LAST-EXTERNAL")
    store(week, answer(unknown, MONDAY), series=unknown)
    report = mend(week)
    assert [one.subject for one in report.mended] == ["AAPL.NASDAQ"]
    (decision,) = needs_decision(report)
    assert (decision.kind, decision.subject) == ("orphan bars", "XYZ.NASDAQ")
    assert "mdp instruments backfill" in decision.action
    assert week.instruments.ids() == ["AAPL.NASDAQ"]


def test_decimals_of_bars_and_instrument_that_differ_are_told(week: Catalog) -> None:
    fine = {"instruments": [{"id": "AAPL.NASDAQ", "type": "equity", "currency": "USD", "price_precision": 4}]}
    definition = InstrumentDefinitions.model_validate(fine).instruments[0].instrument()
    week.instruments.put(definition, "test")
    (problem,) = week.verify().problems
    assert problem.kind == "precision mismatch"
    assert "its bars have 2 price and 0 size decimals, the definition 4 and 0" in problem.detail
    assert [one.kind for one in needs_decision(mend(week))] == ["precision mismatch"]


def test_instruments_without_bars_are_no_fault(week: Catalog) -> None:
    week.instruments.put(AAPL_ONLY.instruments[0].instrument(), "test")
    week.instruments.put(define("USD/JPY.IDEALPRO"), "test")
    found = week.verify()
    assert (found.problems, found.without_bars) == ((), ("USD/JPY.IDEALPRO",))


def test_temporary_files_of_the_dead_go_and_those_of_the_living_stay(week: Catalog) -> None:
    folder = week.layout.series_folder(AAPL)
    old, fresh = folder / ".writing-1-dead", week.root / "data" / ".writing-2-alive"
    for path in (old, fresh):
        path.write_bytes(b"x")
    spool = week.layout.spool
    spool.mkdir()
    (spool / "columns").write_bytes(b"x")
    os.utime(spool / "columns", (0, 0))
    mend(week)
    assert not old.exists()  # the series' lock was held, so nobody writes there
    assert fresh.exists()
    assert not (spool / "columns").exists()


def test_a_series_of_eight_bytes_is_left_with_the_command_that_adopts_it(tmp_path: Path) -> None:
    catalog = Catalog.open(tmp_path / "catalog")
    to_eight_bytes(by_nautilus(catalog.root, regular(EURUSD, MONDAY), EURUSD))
    store(catalog, answer(AAPL, WEDNESDAY), answer(AAPL, FRIDAY), precision=CENTS)
    legacy = next(one for one in needs_decision(mend(catalog)) if one.kind == "legacy prices")
    assert "mdp catalog adopt" in legacy.action
    shutil.rmtree(catalog.root / "data" / "bar" / EURUSD.folder)
