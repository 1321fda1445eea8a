"""Catalogs that Nautilus wrote, and then somebody damaged: every row is accounted for, and what is stored is what was there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from market_data_pipeline.catalog import Catalog
from market_data_pipeline.domain.bar_table import BarTable
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.coverage import Provenance
from market_data_pipeline.domain.errors import CatalogError, ConflictingBars, StorageFailed, UsageError
from market_data_pipeline.domain.source import Precision
from market_data_pipeline.ingest.adopt import PreferFile, refuse_failed
from market_data_pipeline.ingest.adopt_markdown import to_markdown
from market_data_pipeline.ingest.adopt_report import Ending
from market_data_pipeline.ingest.import_csv import OnConflict, Run
from market_data_pipeline_tests import tally
from market_data_pipeline_tests.catalog.bar_making import (
    AAPL,
    EURUSD,
    FRIDAY,
    MONDAY,
    TUESDAY,
    WEDNESDAY,
    WEEK,
    all_bars,
    answer,
    nautilus_reads,
    regular,
    store,
)
from market_data_pipeline_tests.ingest.adopting import DAYS, days, only, only_of, parts, run, week
from market_data_pipeline_tests.sources.nautilus.foreign import by_nautilus, equity, state_of, with_close, with_rows


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
