"""Reading bars back: equal values, only the files of the range, also while a writer is at work."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nautilus_trader.model.data import Bar
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from market_data_pipeline.catalog import Catalog
from market_data_pipeline.catalog.reading import to_nautilus
from market_data_pipeline.domain.bar_table import BarTable
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.errors import CorruptFile
from market_data_pipeline.domain.source import Precision
from market_data_pipeline_tests.catalog.bar_making import (
    AAPL,
    EURUSD,
    MINUTE,
    MONDAY,
    THURSDAY,
    TUESDAY,
    WEDNESDAY,
    WEEK,
    all_bars,
    answer,
    bars_equal,
    decimals,
    empty,
    files_of,
    morning,
    put_wide,
    regular,
    store,
)
from market_data_pipeline_tests.instants import NEW_YORK, ns

EXPECTED = BarTable.concatenate([regular(AAPL, date) for date in WEEK])


def test_nautilus_reads_what_we_read(week: Catalog) -> None:
    theirs = ParquetDataCatalog(week.root).query(Bar, identifiers=[AAPL.bar_type])
    ours = [bar for chunk in week.bars(AAPL) for bar in chunk]
    assert ours == theirs
    assert bars_equal(theirs, EXPECTED)
    assert all_bars(week).fingerprint() == EXPECTED.fingerprint()


def test_bars_of_all_kinds_are_read_by_nautilus(catalog: Catalog) -> None:
    for series, precision in (
        (AAPL, Precision(4, 0)),
        (EURUSD, Precision(5, 2)),
        (Series.parse("BTCUSDT.BINANCE-1-HOUR-LAST-EXTERNAL"), Precision(8, 8)),
        (Series.parse("AAPL.NASDAQ-5-MINUTE-BID-EXTERNAL"), Precision(0, 0)),
    ):
        bars = regular(series, TUESDAY, precision=precision)
        store(catalog, answer(series, TUESDAY, bars), series=series, precision=precision)
        found = ParquetDataCatalog(catalog.root).query(Bar, identifiers=[series.bar_type])
        assert bars_equal(found, bars)
        assert [bar for chunk in catalog.bars(series) for bar in chunk] == found
    assert len(ParquetDataCatalog(catalog.root).list_data_types()) == 1


def test_day_bars_lie_under_their_date(catalog: Catalog) -> None:
    """A day bar opens at 00:00 UTC and closes at 23:59:59.999999999 UTC of its date (FACTS 3)."""
    days = Series.parse("AAPL.NASDAQ-1-DAY-LAST-EXTERNAL")
    start = ns("2024-02-06 00:00")
    column = np.array([18_500], dtype=np.int64)
    bars = BarTable(column, column, column, column, column, np.array([start]), np.array([start + 86_400_000_000_000 - 1]), 2, 0)
    store(catalog, answer(days, TUESDAY, bars), series=days)
    (file,) = files_of(catalog, days)
    assert file.name == "2024-02-06T00-00-00-000000000Z_2024-02-06T23-59-59-999999999Z.parquet"
    assert catalog.read_session(days, TUESDAY).fingerprint() == bars.fingerprint()


@given(st.integers(-2, 6), st.integers(-2, 6))
def test_a_range_of_dates_is_what_it_says(tmp_path_factory: pytest.TempPathFactory, first: int, last: int) -> None:
    root = tmp_path_factory.getbasetemp() / "range"
    catalog = Catalog.open(root)
    if not root.exists():
        store(catalog, *(answer(AAPL, date) for date in WEEK))
    start, end = MONDAY + dt.timedelta(first), MONDAY + dt.timedelta(last)
    tables = [*catalog.read(AAPL, start, end)]
    expected = [regular(AAPL, date) for date in WEEK if start <= date <= end]
    assert [table.fingerprint() for table in tables] == [table.fingerprint() for table in expected]


def test_only_the_files_of_the_range_are_opened(week: Catalog) -> None:
    for file in files_of(week)[2:]:
        file.write_bytes(b"torn")
    assert [len(table) for table in week.read(AAPL, MONDAY, TUESDAY)] == [390, 390]
    with pytest.raises(CorruptFile, match=r"2024-02-07T01-00-00-000000001Z.*not a readable Parquet file.*Run `mdp catalog verify`"):
        [*week.read(AAPL, MONDAY, WEDNESDAY)]


def test_files_are_opened_as_they_are_needed(catalog: Catalog) -> None:
    """Memory stays bounded: the second batch is not read before the first is used."""
    dates = [date for date in (MONDAY + dt.timedelta(days) for days in range(140)) if date.weekday() < 5][:90]
    holidays = {dt.date(2024, 2, 19), dt.date(2024, 3, 29), dt.date(2024, 5, 27)}
    store(catalog, *(answer(AAPL, date) for date in dates if date not in holidays))
    files_of(catalog)[-1].write_bytes(b"torn")
    tables = catalog.read(AAPL)
    assert len(next(tables)) == 390
    with pytest.raises(CorruptFile):
        list(tables)


def test_arrow_is_exact_and_known_to_duckdb(week: Catalog) -> None:
    table = pa.Table.from_batches(week.arrow(AAPL, TUESDAY, WEDNESDAY))
    assert table.schema.field("ts_init").type == pa.timestamp("ns", "UTC")
    assert table.schema.field("close").type == pa.decimal128(38, 2)
    expected = BarTable.concatenate([regular(AAPL, TUESDAY), regular(AAPL, WEDNESDAY)])
    assert table.column("close").to_pylist() == [Decimal(text) for text in decimals(expected.close, 2)]
    found = duckdb.from_arrow(table).aggregate("count(*), sum(volume), max(high), min(epoch_ns(ts_event)), max(epoch_ns(ts_init))").fetchall()
    assert found == [
        (
            780,
            int(expected.volume.sum()),
            Decimal(int(expected.high.max())) / 100,
            ns("2024-02-06 09:30", NEW_YORK),
            ns("2024-02-07 16:00", NEW_YORK),
        )
    ]


def test_bars_come_in_chunks(week: Catalog) -> None:
    assert [len(chunk) for chunk in week.bars(AAPL, chunk=700)] == [780, 780, 390]
    assert [len(chunk) for chunk in week.bars(AAPL, TUESDAY, TUESDAY)] == [390]


@given(st.integers(0, 16), st.lists(st.integers(-(2**62), 2**62), min_size=1, max_size=5))
def test_bars_are_equal_to_the_last_decimal(precision: int, mantissas: list[int]) -> None:
    """Also beyond what a float holds."""
    top = 17_014_118_346_046 * 10**precision
    prices = np.array([max(-top, min(top, value)) for value in mantissas], dtype=np.int64)
    opens = np.arange(len(prices), dtype=np.int64) * MINUTE
    bars = BarTable(prices, prices, prices, prices, np.abs(prices) // 2, opens, opens + MINUTE, precision, precision)
    assert bars_equal(to_nautilus(bars, AAPL), bars)


def test_an_empty_session_has_no_bars(catalog: Catalog) -> None:
    store(catalog, answer(AAPL, MONDAY), empty(AAPL, TUESDAY), morning(AAPL, WEDNESDAY))
    assert len(catalog.read_session(AAPL, TUESDAY)) == 0
    assert [len(table) for table in catalog.read(AAPL)] == [390, 100]
    assert len(catalog.read_session(AAPL, THURSDAY)) == 0


def test_one_session_of_a_file_of_several(catalog: Catalog) -> None:
    put_wide(catalog, EXPECTED)
    assert catalog.read_session(AAPL, WEDNESDAY).fingerprint() == regular(AAPL, WEDNESDAY).fingerprint()
    assert all_bars(catalog).fingerprint() == EXPECTED.fingerprint()


def test_a_foreign_name_stops_reading_as_it_stops_nautilus(week: Catalog) -> None:
    (week.layout.series_folder(AAPL) / "backup.parquet").write_bytes(b"")
    with pytest.raises(CorruptFile, match=r"backup\.parquet: its name is no pair of time stamps.*mdp catalog verify"):
        week.read_session(AAPL, MONDAY)


def test_files_that_speak_of_the_same_time_are_not_read_twice(week: Catalog) -> None:
    put_wide(week, regular(AAPL, TUESDAY).slice(10, 20))
    with pytest.raises(CorruptFile, match="covers the same time as the file before it, so bars would come twice"):
        [*week.read(AAPL)]
    assert len(week.read_session(AAPL, MONDAY)) == 390


def test_a_file_that_holds_other_time_than_its_name_says_is_refused(week: Catalog) -> None:
    monday, tuesday = files_of(week)[:2]
    os.replace(tuesday, monday)
    with pytest.raises(CorruptFile, match="holds bars"):
        [*week.read(AAPL)]


def test_a_name_without_a_file_is_told(week: Catalog) -> None:
    file = files_of(week)[1]
    file.unlink()
    file.symlink_to(week.root / "gone")
    with pytest.raises(CorruptFile, match="is listed, but there is no such file"):
        [*week.read(AAPL)]


def test_a_file_that_is_replaced_while_it_is_read_is_looked_for_again(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    """The listing named a partial session; before it is opened a writer has put the whole one in its place, under another name."""
    store(catalog, answer(AAPL, MONDAY), morning(AAPL, TUESDAY), answer(AAPL, WEDNESDAY))
    read = Path.read_bytes

    def race(path: Path) -> bytes:
        if path == files_of(catalog)[1]:
            monkeypatch.setattr(Path, "read_bytes", read)
            store(catalog, answer(AAPL, TUESDAY))
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", race)
    assert [len(table) for table in catalog.read(AAPL)] == [390, 390, 390]


_REPLACING = """
import sys, datetime as dt
from market_data_pipeline.catalog import Catalog
from market_data_pipeline_tests.catalog.bar_making import AAPL, TUESDAY, THURSDAY, answer, morning, writing
print("started", flush=True)
with writing(Catalog.open(sys.argv[1])) as writer:
    for number in range(60):
        for date in (TUESDAY, THURSDAY):
            writer.store(morning(AAPL, date, 50 + number) if number % 2 else answer(AAPL, date))
"""


def test_a_reader_beside_a_writer_sees_whole_sessions(week: Catalog) -> None:
    """Each session is what it was or what it will be, never a mixture, and never an error."""
    process = subprocess.Popen([sys.executable, "-c", _REPLACING, str(week.root)], stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])
    assert process.stdout is not None
    process.stdout.readline()
    rounds = 0
    while process.poll() is None:
        rounds += 1
        for table in week.read(AAPL):
            date = dt.datetime.fromtimestamp(int(table.ts_event[0]) / 1e9, dt.UTC).date()
            whole = regular(AAPL, date)
            assert table.fingerprint() == whole.slice(0, len(table)).fingerprint()
            assert len(table) == 390 or date in (TUESDAY, THURSDAY)
        found = week.availability(AAPL)
        assert found is not None
        assert found.stored == 5
    process.stdout.close()
    assert process.returncode == 0
    assert rounds > 1
    assert len(all_bars(week)) == 3 * 390 + 2 * 109
