"""Catalogs that Nautilus wrote, and then somebody damaged: every row is accounted for, and what is stored is what was there."""

from __future__ import annotations

import datetime as dt
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from market_data_pipeline.catalog import Catalog
from market_data_pipeline.domain.bar_table import BarTable
from market_data_pipeline.domain.bar_types import DAY_NS, Series
from market_data_pipeline.domain.coverage import Convention, Provenance
from market_data_pipeline.domain.errors import CatalogError, ConflictingBars, StorageFailed, UsageError
from market_data_pipeline.domain.source import Precision
from market_data_pipeline.ingest.adopt import PreferFile, adopt, adopted, refuse_failed
from market_data_pipeline.ingest.adopt_markdown import to_markdown
from market_data_pipeline.ingest.adopt_report import AdoptReport, Ending, Kept, SeriesReport
from market_data_pipeline.ingest.import_csv import OnConflict, Run
from market_data_pipeline.sources.nautilus.stamps import StampEnd
from market_data_pipeline_tests import tally
from market_data_pipeline_tests.catalog.bar_making import (
    AAPL,
    EURUSD,
    FRIDAY,
    MINUTE,
    MONDAY,
    TUESDAY,
    WEDNESDAY,
    WEEK,
    all_bars,
    answer,
    coverages,
    nautilus_reads,
    regular,
    store,
    walk,
)
from market_data_pipeline_tests.sources.nautilus.foreign import by_nautilus, equity, restamped, state_of, to_eight_bytes, with_close, with_rows

DAYS = Series.parse("AAPL.NASDAQ-1-DAY-LAST-EXTERNAL")


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """Where the foreign catalog goes."""
    return tmp_path / "old"


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    """Ours, of which nothing exists yet."""
    return Catalog.open(tmp_path / "catalog")


def run(catalog: Catalog, old: Path, prefer: PreferFile = PreferFile.FAIL, **more: object) -> AdoptReport:
    report = adopted(adopt(catalog, old, prefer=prefer, **more), lambda step: None)  # type: ignore[arg-type]
    assert report.closes, to_markdown(report)
    return report


def only(report: AdoptReport) -> SeriesReport:
    (one,) = report.series
    return one


def parts(one: SeriesReport) -> dict[str, int]:
    return {name: number for name, number in one.parts.items() if number}


def week() -> BarTable:
    """Five sessions of 390 minutes."""
    return BarTable.concatenate([regular(AAPL, date) for date in WEEK])


def days(count: int = 20) -> BarTable:
    """Day bars of the 20 NYSE sessions from 2 to 31 January 2024 without the last (NYSE holiday calendar 2024), as Nautilus stamps them."""
    dates = [dt.date(2024, 1, 2) + dt.timedelta(days=i) for i in range(29)]
    open_days = [date for date in dates if date.weekday() < 5 and date != dt.date(2024, 1, 15)][:count]
    starts = np.array([(date - dt.date(1970, 1, 1)).days * DAY_NS for date in open_days], dtype=np.int64)
    return walk(starts, DAY_NS - 1)


def test_a_clean_catalog_is_taken_over_bar_by_bar(catalog: Catalog, old: Path) -> None:
    by_nautilus(old, week())
    equity(old)
    report = run(catalog, old)
    assert parts(only(report)) == {"written": 1950}
    assert (only(report).complete, only(report).partial, only(report).missing) == (5, 0, ())
    assert all_bars(catalog).fingerprint() == week().fingerprint()
    assert nautilus_reads(catalog.root) == (1950, 1950, True)
    assert catalog.instruments.ids() == ["AAPL.NASDAQ"]
    assert report.orphans == ()


def test_adopting_again_writes_nothing(catalog: Catalog, old: Path) -> None:
    by_nautilus(old, week())
    run(catalog, old)
    before = {name: state for name, state in state_of(catalog.root / "data").items() if name.endswith(".parquet")}
    again = run(catalog, old)
    assert parts(only(again)) == {"stored before": 1950}
    assert {name: state for name, state in state_of(catalog.root / "data").items() if name.endswith(".parquet")} == before


def test_a_dry_run_makes_nothing_and_tells_the_same(catalog: Catalog, old: Path) -> None:
    by_nautilus(old, week())
    report = run(catalog, old, run=Run.DRY)
    assert (report.ending, parts(only(report))) == (Ending.DRY, {"written": 1950})
    assert not catalog.root.exists()


def test_the_source_is_never_touched_and_may_be_read_only(catalog: Catalog, old: Path) -> None:
    file = by_nautilus(old, week())
    by_nautilus(old, regular(AAPL, TUESDAY), name="part-0.parquet")
    equity(old)
    file.with_name("torn.parquet").write_bytes(file.read_bytes()[:-50])
    for path in sorted(old.rglob("*"), reverse=True):
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = state_of(old)
    try:
        report = run(catalog, old)
        assert parts(only(report)) == {"written": 1950, "duplicates": 390}
        run(catalog, old, PreferFile.NEWEST)
        assert state_of(old) == before
    finally:
        for path in old.rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)


def test_eight_byte_prices_and_an_old_file_name_are_read(catalog: Catalog, old: Path) -> None:
    to_eight_bytes(by_nautilus(old, regular(EURUSD, MONDAY, precision=Precision(5, 2)), EURUSD, "part-0.parquet"))
    report = run(catalog, old)
    assert (only(report).price_bytes, only(report).series) == ((8,), EURUSD)
    assert all_bars(catalog, EURUSD).fingerprint() == regular(EURUSD, MONDAY, precision=Precision(5, 2)).fingerprint()
    assert nautilus_reads(catalog.root) == (95, 95, True)


def test_rows_twice_out_of_order_and_in_two_files_come_once(catalog: Catalog, old: Path) -> None:
    """100 rows twice in a file that runs backwards, and a second file with all 390 of one of its sessions."""
    file = by_nautilus(old, week())
    with_rows(file, [*range(1949, -1, -1), *range(100)])
    by_nautilus(old, regular(AAPL, TUESDAY))
    one = only(run(catalog, old))
    assert (one.read, one.duplicates_inside, one.duplicates_across, one.written) == (2440, 100, 390, 1950)
    assert all_bars(catalog).fingerprint() == week().fingerprint()


def test_bad_files_are_told_and_their_rows_counted(catalog: Catalog, old: Path) -> None:
    """A torn file has no footer to count; a file of another table has one of two rows; flipped bytes in a page leave the footer."""
    good = by_nautilus(old, week())
    good.with_name("torn.parquet").write_bytes(good.read_bytes()[:-50])
    good.with_name("empty.parquet").write_bytes(b"")
    pq.write_table(pa.table({"price": [1.0, 2.0]}), good.with_name("prices.parquet"))
    table = pq.read_table(good).slice(0, 390)
    pq.write_table(table, good.with_name("flipped.parquet"), compression="zstd", write_page_checksum=True)
    content = bytearray(good.with_name("flipped.parquet").read_bytes())
    content[len(content) // 3] ^= 0xFF
    good.with_name("flipped.parquet").write_bytes(bytes(content))
    one = only(run(catalog, old))
    assert {Path(bad.name).name: bad.rows for bad in one.bad_files} == {
        "torn.parquet": None,
        "empty.parquet": None,
        "prices.parquet": 2,
        "flipped.parquet": 390,
    }
    assert parts(one) == {"written": 1950, "rows in bad files": 392}


def test_a_file_of_another_series_is_refused_in_a_folder(catalog: Catalog, old: Path) -> None:
    good = by_nautilus(old, week())
    other = by_nautilus(old, regular(AAPL, MONDAY), Series.parse("MSFT.NASDAQ-1-MINUTE-LAST-EXTERNAL"))
    other.rename(good.with_name(other.name))
    one = only(run(catalog, old))
    assert parts(one) == {"written": 1950, "rows in bad files": 390}
    assert "MSFT.NASDAQ-1-MINUTE-LAST-EXTERNAL" in one.bad_files[0].reason


def test_files_that_contradict_each_other_stop_everything(catalog: Catalog, old: Path) -> None:
    by_nautilus(old, week())
    by_nautilus(old, with_close(regular(AAPL, TUESDAY), 7, 20_000))
    by_nautilus(old, regular(EURUSD, MONDAY, precision=Precision(5, 2)), EURUSD)
    report = run(catalog, old)
    assert report.ending is Ending.CONFLICTS
    assert not list(catalog.root.rglob("*.parquet"))
    minutes = next(one for one in report.series if one.series == AAPL)
    assert parts(minutes) == {"not written": 1950, "duplicates": 389, "conflicts dropped": 1}
    told = to_markdown(report)
    assert "close 200.00" in told
    assert all(file.name in told for file in (old / "data" / "bar" / AAPL.folder).iterdir() if file.name.startswith("2024-02-06"))
    with pytest.raises(ConflictingBars, match="--prefer newest-file"):
        refuse_failed(report)


@pytest.mark.parametrize(("prefer", "close"), [(PreferFile.NEWEST, 20_000), (PreferFile.OLDEST, None)])
def test_the_preferred_file_wins_whatever_was_copied_last(catalog: Catalog, old: Path, prefer: PreferFile, close: int | None) -> None:
    """The file of Friday ends later than that of Tuesday, by its name; it was changed before it."""
    late = with_close(BarTable.concatenate([regular(AAPL, TUESDAY), regular(AAPL, FRIDAY)]), 7, 20_000)
    newer = by_nautilus(old, late)
    older = by_nautilus(old, regular(AAPL, TUESDAY))
    os.utime(newer, ns=(1_000, 1_000))
    os.utime(older, ns=(2_000, 2_000))
    one = only(run(catalog, old, prefer))
    assert parts(one) == {"written": 780, "duplicates": 389, "conflicts dropped": 1}
    stored = catalog.read_session(AAPL, TUESDAY)
    assert int(stored.close[7]) == (close or int(regular(AAPL, TUESDAY).close[7]))
    (example,) = one.examples
    assert {example.kept_file.name, example.other_file.name} == {newer.name, older.name}
    assert example.kept_file.name == (newer if prefer is PreferFile.NEWEST else older).name


def with_two_more_decimals(bars: BarTable) -> BarTable:
    """Return bars of cents as bars of hundredths of a cent."""
    return replace(bars, open=bars.open * 100, high=bars.high * 100, low=bars.low * 100, close=bars.close * 100, price_precision=4)


def test_precisions_that_differ_become_the_highest(catalog: Catalog, old: Path) -> None:
    fine = regular(AAPL, TUESDAY)
    fine = with_two_more_decimals(fine)
    by_nautilus(old, regular(AAPL, MONDAY))
    by_nautilus(old, with_close(fine, 0, int(fine.close[0]) + 1))
    one = only(run(catalog, old))
    assert (one.precision, one.written) == (Precision(4, 0), 780)
    assert int(catalog.read_session(AAPL, MONDAY).close[0]) == int(regular(AAPL, MONDAY).close[0]) * 100


def test_the_decimals_of_the_instrument_are_taken_where_every_value_is_exact_in_them(catalog: Catalog, old: Path) -> None:
    padded = regular(AAPL, MONDAY)
    padded = with_two_more_decimals(padded)
    by_nautilus(old, padded)
    equity(old)
    report = run(catalog, old)
    assert only(report).precision == Precision(2, 0)
    assert all_bars(catalog).fingerprint() == regular(AAPL, MONDAY).fingerprint()
    assert report.instruments[0].what is Kept.STORED


def test_an_instrument_whose_decimals_do_not_hold_its_bars_is_refused(catalog: Catalog, old: Path) -> None:
    fine = replace(regular(AAPL, MONDAY), price_precision=4)
    by_nautilus(old, fine)
    equity(old)
    report = run(catalog, old)
    assert [(one.what, one.instrument_id) for one in report.instruments] == [(Kept.MISSING, "AAPL.NASDAQ"), (Kept.REFUSED, "AAPL.NASDAQ")]
    assert catalog.instruments.ids() == []


@pytest.mark.parametrize(
    ("move", "end"),
    [((0, -MINUTE), "open"), ((MINUTE, 0), "close"), ((0, 7_000_000_000), "open"), ((0, -1), "nanosecond")],
    ids=["both the open", "both the close", "arrival", "one nanosecond early"],
)
def test_other_stamps_are_understood_by_evidence(catalog: Catalog, old: Path, move: tuple[int, int], end: str) -> None:
    restamped(by_nautilus(old, week()), *move)
    one = only(run(catalog, old))
    assert (one.written, one.restamped) == (1950, 1950)
    assert end in one.notes[0]
    assert all_bars(catalog).fingerprint() == week().fingerprint()


def test_stamps_that_nothing_decides_are_refused_until_somebody_says(catalog: Catalog, old: Path) -> None:
    """An hour in the middle of one day meets neither an opening nor a closing."""
    noon = regular(AAPL, MONDAY).slice(150, 210)
    restamped(by_nautilus(old, noon), 0, -MINUTE)
    one = only(run(catalog, old))
    assert parts(one) == {"rows that break a rule": 60}
    assert "--stamp open or --stamp close" in one.left_out[0].reason
    assert parts(only(run(catalog, old, stamp=StampEnd.OPEN))) == {"written": 60}
    assert all_bars(catalog).fingerprint() == noon.fingerprint()


@pytest.mark.parametrize(
    ("event", "init"),
    [(0, 1), (DAY_NS, 1), (21 * 3_600 * 10**9, 21 * 3_600 * 10**9 - DAY_NS + 1), (0, -DAY_NS + 1)],
    ids=["midnight to midnight", "both the next midnight", "both 16:00 New York", "both midnight of the date"],
)
def test_day_bars_are_dated_by_evidence(catalog: Catalog, old: Path, event: int, init: int) -> None:
    restamped(by_nautilus(old, days(), DAYS), event, init)
    one = only(run(catalog, old))
    assert (one.written, one.restamped) == (20, 20), one.left_out
    assert all_bars(catalog, DAYS).fingerprint() == days().fingerprint()


def test_day_bars_that_could_be_of_two_dates_are_refused(catalog: Catalog, old: Path) -> None:
    """Stamps at midnight of Wednesday and Thursday: days of those dates, or of the days that ended then."""
    restamped(by_nautilus(old, days().slice(1, 3), DAYS), 0, -DAY_NS + 1)
    assert parts(only(run(catalog, old))) == {"rows that break a rule": 2}


def test_rows_that_break_a_rule_are_named_and_their_session_is_not_whole(catalog: Catalog, old: Path) -> None:
    """A bar whose close lies above its high, and day bars of a Saturday."""
    bars = week()
    closes = bars.close.copy()
    closes[400] = int(bars.high[400]) + 5
    by_nautilus(old, bars)
    (file,) = old.rglob("*.parquet")
    table = pq.read_table(file)
    raw = [(int(value) * 10**14).to_bytes(16, "little") for value in closes]
    pq.write_table(table.set_column(3, table.schema.field(3), pa.array(raw, type=pa.binary(16))), file)
    saturday = days().slice(0, 2)
    shifted = replace(saturday, ts_event=saturday.ts_event + 4 * DAY_NS, ts_init=saturday.ts_init + 4 * DAY_NS)  # 6 and 7 January 2024
    by_nautilus(old, BarTable.concatenate([days().slice(0, 4), shifted]), DAYS)
    report = run(catalog, old)
    minutes, daily = sorted(report.series, key=lambda one: one.title, reverse=True)
    if minutes.series == DAYS:
        minutes, daily = daily, minutes
    assert parts(minutes) == {"written": 1949, "rows that break a rule": 1}
    assert minutes.partial_sessions == (TUESDAY,)
    assert parts(daily) == {"written": 4, "rows that break a rule": 2}
    assert "no session of the NYSE calendar" in daily.left_out[0].reason


def test_series_that_cannot_be_stored_are_told_with_their_rows(catalog: Catalog, old: Path) -> None:
    by_nautilus(old, regular(AAPL, MONDAY), Series.parse("AAPL.NASDAQ-1-MINUTE-LAST-EXTERNAL"))
    (file,) = old.rglob("*.parquet")
    table = pq.read_table(file)
    strange = "AAPL.NOWHERE-1-MINUTE-LAST-EXTERNAL"
    target = old / "data" / "bar" / strange
    target.mkdir()
    metadata = {**table.schema.metadata, b"bar_type": strange.encode(), b"instrument_id": b"AAPL.NOWHERE"}
    pq.write_table(table.replace_schema_metadata(metadata), target / file.name)
    (old / "data" / "quote_tick" / "AAPL.NASDAQ").mkdir(parents=True)
    (old / "data" / "quote_tick" / "AAPL.NASDAQ" / "ticks.parquet").write_bytes(b"x")
    report = run(catalog, old)
    other = next(one for one in report.series if one.series is None)
    assert "No trading calendar is known for the venue 'NOWHERE'" in (other.failed or "")
    assert parts(other) == {"rows in bad files": 390}
    assert [(one.where, one.files) for one in report.not_adopted] == [("data/quote_tick", 1)]
    assert report.failed
    assert len(all_bars(catalog)) == 390


def test_holes_are_partial_and_absent_sessions_missing(catalog: Catalog, old: Path) -> None:
    """Monday without 10:30 to 11:30, and no Tuesday."""
    monday = regular(AAPL, MONDAY)
    by_nautilus(old, BarTable.concatenate([monday.slice(0, 60), monday.slice(120, 390), regular(AAPL, WEDNESDAY)]))
    one = only(run(catalog, old))
    assert (one.complete, one.partial_sessions, [str(gap) for gap in one.missing]) == (1, (MONDAY,), ["2024-02-06 (1 session)"])
    assert coverages(catalog) == [("2024-02-05", "partial", 330), ("2024-02-07", "complete", 390)]


def test_what_is_stored_otherwise_is_kept_unless_somebody_says(catalog: Catalog, old: Path) -> None:
    store(catalog, answer(AAPL, MONDAY, seed=9), answer(AAPL, TUESDAY))
    by_nautilus(old, week())
    before = all_bars(catalog).fingerprint()
    stopped = run(catalog, old)
    assert (stopped.ending, all_bars(catalog).fingerprint()) == (Ending.CONFLICTS, before)
    assert [(two.session, two.stored_rows, two.source_rows) for two in only(stopped).stored_conflicts] == [(MONDAY, 390, 390)]
    kept = only(run(catalog, old, on_conflict=OnConflict.SKIP))
    assert parts(kept) == {"written": 3 * 390, "stored before": 390, "kept as stored": 390}
    over = only(run(catalog, old, on_conflict=OnConflict.OVERWRITE))
    assert parts(over) == {"written": 390, "stored before": 4 * 390}
    assert all_bars(catalog).fingerprint() == week().fingerprint()


def test_wrong_instruments_are_refused_with_the_reason(catalog: Catalog, old: Path) -> None:
    for instrument_id in ("EUR-USD.IDEALPRO", "SPY.SMART", "AAPL.NASDAQ"):
        equity(old, instrument_id)
    broken = old / "data" / "equity" / "MSFT.NASDAQ"
    broken.mkdir()
    (broken / "definition.parquet").write_bytes(b"PAR1 and nothing more")
    by_nautilus(old, week())
    report = run(catalog, old)
    said = {one.instrument_id: (one.what, one.why) for one in report.instruments}
    assert said["EUR-USD.IDEALPRO"][0] is Kept.REFUSED
    assert "the pair is EUR/USD.IDEALPRO" in said["EUR-USD.IDEALPRO"][1]
    assert said["SPY.SMART"][0] is Kept.REFUSED
    assert "no exchange" in said["SPY.SMART"][1]
    assert said["MSFT.NASDAQ"][0] is Kept.REFUSED
    assert catalog.instruments.ids() == ["AAPL.NASDAQ"]


def test_the_same_place_and_no_catalog_are_usage_errors(catalog: Catalog, old: Path, tmp_path: Path) -> None:
    store(catalog, answer(AAPL, MONDAY))
    with pytest.raises(UsageError, match="mdp catalog repair"):
        run(catalog, catalog.root)
    with pytest.raises(UsageError, match="no folder data"):
        run(catalog, tmp_path)
    with pytest.raises(UsageError, match="is no folder"):
        run(catalog, old)


_STOPPED = """
import sys
from pathlib import Path
from market_data_pipeline.catalog import Catalog
from market_data_pipeline.ingest.adopt import adopt, adopted
def hear(step):
    if step.session is not None:
        print(step.session[1].session, flush=True)
adopted(adopt(Catalog.open(sys.argv[1]), Path(sys.argv[2])), hear)
"""


def test_an_adoption_that_is_killed_goes_on_where_it_was(catalog: Catalog, old: Path) -> None:
    by_nautilus(old, week())
    process = subprocess.Popen([sys.executable, "-c", _STOPPED, str(catalog.root), str(old)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline().strip() == str(MONDAY)
    process.send_signal(signal.SIGKILL)
    tally.count("kills")
    process.wait()
    process.stdout.close()
    one = only(run(catalog, old))
    assert one.stored_before >= 390
    assert one.written + one.stored_before == 1950
    assert all_bars(catalog).fingerprint() == week().fingerprint()


def test_files_that_share_no_session_are_gone_through_in_groups(catalog: Catalog, old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Groups of one file, none of which stays decoded: what bounds the memory of a long series. No row is lost between them."""
    monkeypatch.setattr("market_data_pipeline.sources.nautilus.series._BATCH_ROWS", 300)
    monkeypatch.setattr("market_data_pipeline.sources.nautilus.series._KEPT_ROWS", 0)
    folder = by_nautilus(old, regular(AAPL, MONDAY)).parent
    for date in WEEK[1:]:
        by_nautilus(old, regular(AAPL, date))
    assert len(list(folder.iterdir())) == 5
    by_nautilus(old, regular(AAPL, TUESDAY).slice(0, 50))
    assert parts(only(run(catalog, old))) == {"written": 1950, "duplicates": 50}
    assert all_bars(catalog).fingerprint() == week().fingerprint()


def test_old_folders_and_files_in_none_belong_to_their_series(catalog: Catalog, old: Path) -> None:
    """One folder of a bar type, one as of 2022, one of an instrument that holds two series, and a file in no folder."""
    file = by_nautilus(old, regular(AAPL, MONDAY))
    places = [("bar.parquet", f"bar_type={AAPL.folder}"), ("bar", "AAPL.NASDAQ"), ("bar", ".")]
    for date, place in zip((TUESDAY, WEDNESDAY, FRIDAY), places, strict=True):
        target = (old / "data").joinpath(*place)
        target.mkdir(parents=True, exist_ok=True)
        by_nautilus(old, regular(AAPL, date)).rename(target / "part-0.parquet")
    day = by_nautilus(old, days(), DAYS)
    day.rename(old / "data" / "bar" / "AAPL.NASDAQ" / "part-1.parquet")
    day.parent.rmdir()
    file.parent.rename(old / "elsewhere")
    (old / "data" / "bar" / AAPL.folder).symlink_to(old / "elsewhere", target_is_directory=True)
    report = run(catalog, old)
    assert {one.series: one.written for one in report.series} == {AAPL: 4 * 390, DAYS: 20}


def test_bars_of_regular_hours_are_noticed_and_stored_as_such_if_somebody_says(catalog: Catalog, old: Path) -> None:
    by_nautilus(old, week())
    told = only(run(catalog, old, run=Run.DRY))
    assert "adopt it with --hours rth" in told.notes[0]
    assert only(run(catalog, old, hours="rth")).notes == ()
    assert catalog.convention(AAPL) == Convention("rth", "raw")


def test_our_own_catalog_keeps_its_convention(catalog: Catalog, tmp_path: Path) -> None:
    ours = Catalog.open(tmp_path / "ours")
    with ours.writer(AAPL, Precision(2, 0), Provenance("test", "by hand", Convention("rth", "split"))) as writer:
        writer.store(answer(AAPL, MONDAY))
    assert parts(only(run(catalog, ours.root))) == {"written": 390}
    assert catalog.convention(AAPL) == Convention("rth", "split")


def test_a_series_that_another_process_writes_fails_alone(catalog: Catalog, old: Path) -> None:
    by_nautilus(old, week())
    by_nautilus(old, days(), DAYS)
    store(catalog, answer(AAPL, MONDAY))
    with catalog.writer(AAPL, Precision(2, 0), Provenance("test", "by hand")):
        report = run(catalog, old, wait_s=0.2)
    failed = {one.series: one.failed for one in report.series if one.failed}
    assert list(failed) == [AAPL]
    assert "Another process is writing" in (failed[AAPL] or "")
    assert (report.failed, len(all_bars(catalog, DAYS)), len(all_bars(catalog))) == (True, 20, 390)
    with pytest.raises(CatalogError, match="1 series could not be adopted; the others were"):
        refuse_failed(report)
    assert parts(only_of(run(catalog, old), AAPL)) == {"written": 4 * 390, "stored before": 390}


def only_of(report: AdoptReport, series: Series) -> SeriesReport:
    (one,) = [one for one in report.series if one.series == series]
    return one


def test_a_folder_that_cannot_be_listed_stops_everything(catalog: Catalog, old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What lies there would be lost in silence. A user who is root can list any folder, so the system's answer is made."""
    by_nautilus(old, week())
    real = os.scandir

    def scandir(path: str | Path) -> object:
        if str(path).endswith(AAPL.folder):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(StorageFailed, match="cannot be listed: Permission denied"):
        run(catalog, old)
