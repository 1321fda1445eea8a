"""Importing files: every rule for what is stored already, and what a run tells."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from market_data_pipeline.catalog import Catalog
from market_data_pipeline.domain.bar_table import BarTable
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.coverage import Coverage
from market_data_pipeline.domain.errors import BadRows, ConflictingBars, DiskFull, PrecisionMismatch, QuestionUnanswered
from market_data_pipeline.domain.source import Precision
from market_data_pipeline.ingest.import_csv import Conflict, Imported, ImportReport, OnConflict, Prefer, Run, import_csv
from market_data_pipeline.sources.csv import CsvSource
from market_data_pipeline_tests.catalog.bar_making import (
    AAPL,
    CENTS,
    EURUSD,
    MONDAY,
    TUESDAY,
    WEDNESDAY,
    all_bars,
    answer,
    decimals,
    morning,
    regular,
    store,
    what_stands,
)

Importing = Callable[..., tuple[list[Imported], ImportReport]]
M, T, W = (regular(AAPL, date) for date in (MONDAY, TUESDAY, WEDNESDAY))
OTHER = regular(AAPL, TUESDAY, seed=1)


@pytest.fixture
def importing(catalog: Catalog, tmp_path: Path) -> Importing:
    """Write bars as a CSV file and import it."""

    def run(
        *bars: BarTable, text: str | None = None, precision: Precision = CENTS, series: Series = AAPL, **choices: object
    ) -> tuple[list[Imported], ImportReport]:
        file = tmp_path / "bars.csv"
        file.write_text(csv_of(BarTable.concatenate(bars)) if text is None else text)
        events = []
        with CsvSource([file], time_zone="UTC", stamp="open", spool_dir=tmp_path) as source:
            work = import_csv(catalog, source, series, precision, **choices)  # type: ignore[arg-type]
            while True:
                try:
                    events.append(next(work))
                except StopIteration as done:
                    return events, done.value

    return run


def csv_of(bars: BarTable) -> str:
    stamps = [str(stamp.astype("datetime64[ns]").astype("datetime64[s]")).replace("T", " ") for stamp in bars.ts_event]
    prices = [decimals(bars.column(name), bars.price_precision) for name in ("open", "high", "low", "close")]
    rows = [",".join(row) for row in zip(stamps, *prices, decimals(bars.volume, bars.size_precision), strict=True)]
    return "\n".join(["timestamp,open,high,low,close,volume", *rows]) + "\n"


def counts(report: ImportReport) -> dict[str, int]:
    named = {name: getattr(report, name) for name in ("stored", "replaced", "merged", "skipped", "unchanged")}
    return {name: count for name, count in named.items() if count}


def test_a_file_is_imported_and_imported_again(catalog: Catalog, importing: Importing) -> None:
    events, report = importing(M, T, W)
    assert [(event.session, event.what, event.done, event.of) for event in events] == [
        (MONDAY, "stored", 1, 3),
        (TUESDAY, "stored", 2, 3),
        (WEDNESDAY, "stored", 3, 3),
    ]
    assert counts(report) == {"stored": 3}
    assert (report.rows_read, report.rows_bad, report.bars_written, report.files) == (1170, 0, 1170, ("bars.csv",))
    assert (report.first_session, report.last_session, report.partial, report.dry_run) == (MONDAY, WEDNESDAY, (), False)
    assert all_bars(catalog).fingerprint() == BarTable.concatenate([M, T, W]).fingerprint()
    assert [(row.source, row.asked) for row in catalog.sessions(AAPL)] == [("csv", "bars.csv")] * 3
    before = catalog.sessions(AAPL)
    _, report = importing(M, T, W)
    assert counts(report) == {"unchanged": 3}
    assert report.bars_written == 0
    assert catalog.sessions(AAPL) == before


def test_a_dry_run_tells_the_same_and_makes_nothing(catalog: Catalog, importing: Importing) -> None:
    dry, told = importing(M, T, run=Run.DRY)
    assert not catalog.root.exists()
    assert told.dry_run
    assert all(event.row is None for event in dry)
    events, report = importing(M, T)
    assert [(event.session, event.what) for event in dry] == [(event.session, event.what) for event in events]
    assert (counts(told), told.bars_written) == (counts(report), report.bars_written)
    before = what_stands(catalog)
    importing(OTHER, run=Run.DRY, on_conflict=OnConflict.OVERWRITE)
    assert what_stands(catalog) == before


def test_a_dry_run_finds_what_would_stop_the_import(catalog: Catalog, importing: Importing) -> None:
    store(catalog, answer(AAPL, MONDAY))
    with pytest.raises(PrecisionMismatch, match="stored with 2 price and 0 size decimals; the instrument now has 4 and 0"):
        importing(T, precision=Precision(4, 0), run=Run.DRY)
    store(catalog, answer(EURUSD, MONDAY), series=EURUSD)
    plain = Series.parse("EURUSD.IDEALPRO-15-MINUTE-MID-EXTERNAL")
    with pytest.raises(ConflictingBars, match=r"Use the stored id EUR/USD\.IDEALPRO"):
        importing(regular(plain, TUESDAY), series=plain, run=Run.DRY)


@pytest.fixture
def tuesday_stored(catalog: Catalog) -> Catalog:
    store(catalog, answer(AAPL, TUESDAY))
    return catalog


def test_conflicts_are_asked_about(tuesday_stored: Catalog, importing: Importing) -> None:
    asked: list[tuple[Conflict, ...]] = []

    def decide(conflicts: tuple[Conflict, ...]) -> OnConflict:
        asked.append(conflicts)
        return OnConflict.SKIP

    _, report = importing(M, OTHER, decide=decide)
    different = int((~T.same_values(OTHER)).sum())
    assert asked == [(Conflict(TUESDAY, 390, 390, different),)]
    assert counts(report) == {"stored": 1, "skipped": 1}


def test_where_nobody_can_be_asked_nothing_is_written(tuesday_stored: Catalog, importing: Importing) -> None:
    with pytest.raises(QuestionUnanswered, match=r"1 of the file's sessions is stored with other bars: 2024-02-06.*--on-conflict skip"):
        importing(M, OTHER)
    assert [row.session for row in tuesday_stored.sessions(AAPL)] == [TUESDAY]


@pytest.mark.parametrize(
    ("rule", "prefer", "did", "expected"),
    [
        (OnConflict.SKIP, None, "skipped", T),
        (OnConflict.OVERWRITE, None, "replaced", OTHER),
        (OnConflict.MERGE, Prefer.STORED, "merged", T),
        (OnConflict.MERGE, Prefer.FILE, "merged", OTHER),
    ],
)
def test_a_rule_decides(tuesday_stored: Catalog, importing: Importing, rule: OnConflict, prefer: Prefer | None, did: str, expected: BarTable) -> None:
    _, report = importing(M, OTHER, W, on_conflict=rule, prefer=prefer)
    assert counts(report) == {"stored": 2, did: 1}
    assert tuesday_stored.read_session(AAPL, TUESDAY).fingerprint() == expected.fingerprint()


def test_a_conflict_can_stop_the_import(tuesday_stored: Catalog, importing: Importing) -> None:
    with pytest.raises(ConflictingBars, match=r"Nothing was written. Choose --on-conflict skip, overwrite or merge"):
        importing(M, OTHER, on_conflict=OnConflict.FAIL)
    assert [row.session for row in tuesday_stored.sessions(AAPL)] == [TUESDAY]


def test_a_merge_takes_neither_of_two_values(catalog: Catalog, importing: Importing) -> None:
    """One bar differs, by a ten-thousandth: both values are told to the last decimal."""
    fine = Precision(6, 0)
    stored = regular(AAPL, TUESDAY, precision=fine)
    prices = {name: stored.column(name) + 185_421_300 for name in ("open", "high", "low", "close")}
    stored = BarTable(**prices, volume=stored.volume, ts_event=stored.ts_event, ts_init=stored.ts_init, price_precision=6, size_precision=0)
    store(catalog, answer(AAPL, TUESDAY, stored.slice(0, 389)), precision=fine)
    close = stored.close.copy()
    close[5] = stored.low[5]
    new = BarTable(prices["open"], prices["high"], prices["low"], close, stored.volume, stored.ts_event, stored.ts_init, 6, 0)
    one, other = (decimals(table.close[5:6], 6)[0] for table in (stored, new))
    with pytest.raises(ConflictingBars) as raised:
        importing(new.slice(0, 388), precision=fine, on_conflict=OnConflict.MERGE)
    said = str(raised.value)
    assert "1 bar has one value in the catalog and another in the file (2024-02-06). Neither was taken; nothing was written." in said
    assert f"close {one}" in said
    assert f"close {other}" in said
    assert "Choose --prefer stored or --prefer file" in said


def test_a_merge_takes_both_halves(catalog: Catalog, importing: Importing) -> None:
    """The first 250 minutes are stored, the file has the last 200: 60 are in both, and equal."""
    store(catalog, morning(AAPL, TUESDAY, 250))
    with pytest.raises(QuestionUnanswered, match="the catalog holds 250 bars and the file 200; 0 of both differ"):
        importing(T.slice(190, 390))
    _, report = importing(T.slice(190, 390), on_conflict=OnConflict.MERGE)
    assert counts(report) == {"merged": 1}
    assert catalog.read_session(AAPL, TUESDAY).fingerprint() == T.fingerprint()
    assert catalog.sessions(AAPL)[0].coverage is Coverage.COMPLETE


def test_a_merge_that_leaves_a_hole_stays_partial(catalog: Catalog, importing: Importing) -> None:
    store(catalog, morning(AAPL, TUESDAY, 100))
    _, report = importing(T.slice(300, 390), on_conflict=OnConflict.MERGE)
    assert report.partial == (TUESDAY,)
    assert catalog.sessions(AAPL)[0].coverage is Coverage.PARTIAL
    assert len(catalog.read_session(AAPL, TUESDAY)) == 190


@pytest.mark.parametrize("rule", [*OnConflict])
def test_a_session_that_went_on_is_extended_without_a_question(catalog: Catalog, importing: Importing, rule: OnConflict) -> None:
    """Yesterday's file ended at noon; today's has the whole day."""
    importing(M, T.slice(0, 150))
    assert [row.coverage.value for row in catalog.sessions(AAPL)] == ["complete", "partial"]
    _, report = importing(M, T, on_conflict=rule)
    assert counts(report) == {"unchanged": 1, "replaced": 1}
    assert [(row.coverage.value, row.rows) for row in catalog.sessions(AAPL)] == [("complete", 390)] * 2


@pytest.mark.parametrize("rule", [OnConflict.ASK, OnConflict.SKIP, OnConflict.MERGE, OnConflict.FAIL])
def test_a_file_with_less_takes_nothing_away(tuesday_stored: Catalog, importing: Importing, rule: OnConflict) -> None:
    _, report = importing(T.slice(0, 100), on_conflict=rule)
    assert counts(report) == {"unchanged": 1}
    assert tuesday_stored.read_session(AAPL, TUESDAY).fingerprint() == T.fingerprint()


def test_overwrite_takes_a_file_with_less(tuesday_stored: Catalog, importing: Importing) -> None:
    """Somebody has taken wrong bars out of the file."""
    shorter = T.take(np.r_[0:200, 201:390])
    _, report = importing(shorter, on_conflict=OnConflict.OVERWRITE)
    assert counts(report) == {"replaced": 1}
    assert tuesday_stored.read_session(AAPL, TUESDAY).fingerprint() == shorter.fingerprint()


def test_a_whole_session_stays_whole_with_more_bars(catalog: Catalog, importing: Importing) -> None:
    """A source has answered for the whole session; a file with a few more bars of it does not make it partial."""
    thin = T.take(np.arange(0, 390, 40))
    store(catalog, answer(AAPL, TUESDAY, thin))
    more = T.take(np.unique(np.r_[0:390:40, 5, 7]))
    assert counts(importing(more, on_conflict=OnConflict.SKIP)[1]) == {"skipped": 1}
    assert counts(importing(more)[1]) == {"replaced": 1}
    assert [(row.coverage, row.rows) for row in catalog.sessions(AAPL)] == [(Coverage.COMPLETE, 12)]


def test_a_bad_row_stops_everything_before_anything_is_written(catalog: Catalog, importing: Importing) -> None:
    lines = csv_of(M).splitlines()
    lines[7] = lines[7].replace(",", ",x", 1)
    with pytest.raises(BadRows):
        importing(text="\n".join(lines))
    assert not catalog.root.exists()


def test_what_is_wrong_with_the_catalog_is_told_on_the_way(catalog: Catalog, importing: Importing) -> None:
    from market_data_pipeline_tests.catalog.bar_making import files_of

    importing(M, T)
    files_of(catalog)[0].write_bytes(b"torn")
    _, report = importing(M, T)
    assert counts(report) == {"stored": 1, "unchanged": 1}
    assert len(report.quarantined) == 1


def test_bars_while_the_venue_is_shut_are_told(importing: Importing) -> None:
    """03:00 to 03:05 New York: before pre-market, which begins at 04:00."""
    night = M.slice(0, 5)
    early = BarTable(
        night.open,
        night.high,
        night.low,
        night.close,
        night.volume,
        night.ts_event - 390 * 60_000_000_000,
        night.ts_init - 390 * 60_000_000_000,
        2,
        0,
    )
    _, report = importing(early, M)
    assert "5 bars close while NYSE is shut" in report.warnings[0]


def test_a_full_disk_is_told_before_anything_is_written(catalog: Catalog, importing: Importing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("market_data_pipeline.catalog.disk._SPARE", 10**18)
    with pytest.raises(DiskFull, match="Storing 1 session of AAPL"):
        importing(M)
    assert catalog.series() == []


def test_a_real_file_is_stored_value_by_value(catalog: Catalog, market_data: Path, tmp_path: Path) -> None:
    """EUR/USD in days: 478 rows, closes with New York offsets."""
    days = Series.parse("EUR/USD.IDEALPRO-1-DAY-MID-EXTERNAL")
    file = market_data / "ibkr-csv" / "EUR-USD_EUR_USD_IDEALPRO_1_DAY_MID_EXTERNAL.csv"
    with CsvSource([file], stamp="close", spool_dir=tmp_path) as source:
        for _ in import_csv(catalog, source, days, Precision(5, 0)):
            pass
    stored = all_bars(catalog, days)
    rows = [line.split(",") for line in file.read_text().splitlines()[1:]]
    assert len(stored) == len(rows) == 478
    assert [round(float(row[4]) * 100_000) for row in rows] == stored.close.tolist()
    dates = [dt.date.fromisoformat(row[0][:10]) for row in rows]
    assert [row.session for row in catalog.sessions(days)] == dates
