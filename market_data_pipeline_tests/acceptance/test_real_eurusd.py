"""The whole way on a trader's own files: CSV, catalog, availability, backtest, and Nautilus' own tools on the same catalog."""

from __future__ import annotations

import csv
import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from nautilus_trader.model.data import Bar
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from market_data_pipeline.backtest import BacktestSpec, run_backtest
from market_data_pipeline.calendars import partitions_of
from market_data_pipeline.catalog import Catalog
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.coverage import Coverage
from market_data_pipeline.ingest.import_csv import ImportReport, import_csv
from market_data_pipeline.ingest.instruments import stored_or_defined
from market_data_pipeline.sources.csv import CsvSource

MINUTES = Series.parse("EUR/USD.IDEALPRO-15-MINUTE-MID-EXTERNAL")
DAYS = Series.parse("EUR/USD.IDEALPRO-1-DAY-MID-EXTERNAL")
FILES = {
    MINUTES: "EUR-USD_EUR_USD_IDEALPRO_15_MINUTE_MID_EXTERNAL.csv",
    DAYS: "EUR-USD_EUR_USD_IDEALPRO_1_DAY_MID_EXTERNAL.csv",
}


def do_import(catalog: Catalog, path: Path, series: Series) -> ImportReport:
    with CsvSource([path], stamp="close") as source:
        steps = import_csv(catalog, source, series, stored_or_defined(catalog, series.instrument_id, lambda: None))
        while True:
            try:
                next(steps)
            except StopIteration as end:
                report: ImportReport = end.value
                return report


@pytest.fixture(scope="module")
def catalog(market_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """Both files, imported into one catalog."""
    catalog = Catalog.open(tmp_path_factory.mktemp("eurusd") / "catalog")
    for series, name in FILES.items():
        do_import(catalog, market_data / "ibkr-csv" / name, series)
    return catalog


def rows_of(path: Path) -> Iterator[tuple[int, tuple[Decimal, ...]]]:
    """Read a file without our code: the close in UTC nanoseconds, and the values."""
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            text, fraction = row["timestamp"], 0
            if "." in text:
                text = text[: text.index(".")] + text[-6:]
                fraction = 999_999_999
            moment = dt.datetime.fromisoformat(text)
            values = tuple(Decimal(row[name]) for name in ("open", "high", "low", "close", "volume"))
            yield int(moment.timestamp()) * 1_000_000_000 + fraction, values


@pytest.mark.parametrize(("series", "count"), [(MINUTES, 45_238), (DAYS, 478)])
def test_every_value_of_the_file_is_what_nautilus_reads_from_the_catalog(market_data: Path, catalog: Catalog, series: Series, count: int) -> None:
    expected = list(rows_of(market_data / "ibkr-csv" / FILES[series]))
    bars = ParquetDataCatalog(str(catalog.root)).query(Bar, identifiers=[series.bar_type])
    found = [(bar.ts_init, tuple(Decimal(str(value)) for value in (bar.open, bar.high, bar.low, bar.close, bar.volume))) for bar in bars]
    assert len(found) == count
    assert found == expected


def test_duckdb_counts_the_same_bars(catalog: Catalog) -> None:
    pattern = catalog.layout.series_folder(MINUTES) / "*.parquet"
    rows = duckdb.connect().execute("select count(*), count(distinct ts_init) from read_parquet(?)", [str(pattern)]).fetchall()
    assert rows == [(45_238, 45_238)]


def test_sessions_are_those_of_the_fx_calendar_and_holes_are_seen(catalog: Catalog) -> None:
    """No session on 2024-01-01, 2024-12-25 and 2025-01-01; and three holes of the file itself (New York time).

    No bar from 16:00 on 2023-12-29, none from midnight on 2025-10-27, and the file ends at midnight of 2025-10-30.
    """
    coverage = catalog.coverage(MINUTES, dt.date(2023, 12, 28), dt.date(2025, 10, 30))
    assert len(coverage) == 478
    assert not {dt.date(2024, 1, 1), dt.date(2024, 12, 25), dt.date(2025, 1, 1)} & set(coverage)
    partial = [date for date, found in coverage.items() if found is not Coverage.COMPLETE]
    assert partial == [dt.date(2023, 12, 29), dt.date(2025, 10, 27), dt.date(2025, 10, 30)]


def test_weeks_with_a_change_of_clocks_have_all_their_bars(catalog: Catalog) -> None:
    """95 bars a session (17:15 to 17:00 New York time) before, in and after 2024-03-10 and 2024-11-03."""
    for sunday in (dt.date(2024, 3, 10), dt.date(2024, 11, 3)):
        rows = catalog.sessions(MINUTES, sunday - dt.timedelta(days=6), sunday + dt.timedelta(days=5))
        assert [row.rows for row in rows] == [95] * 10


def test_nautilus_sees_no_gap_over_weekends_and_holidays_of_2024(catalog: Catalog) -> None:
    partitions = partitions_of(MINUTES)
    start, _ = partitions.window(dt.date(2024, 1, 2))
    _, end = partitions.window(dt.date(2024, 12, 31))
    nautilus = ParquetDataCatalog(str(catalog.root))
    assert nautilus.get_missing_intervals_for_request(start + 1, end, Bar, MINUTES.bar_type) == []


def test_importing_again_changes_nothing(market_data: Path, catalog: Catalog) -> None:
    before = catalog.sessions(MINUTES)
    report = do_import(catalog, market_data / "ibkr-csv" / FILES[MINUTES], MINUTES)
    assert (report.bars_written, report.unchanged) == (0, 478)
    assert catalog.sessions(MINUTES) == before


def spec() -> BacktestSpec:
    return BacktestSpec.of(
        {
            "name": "sma_2024",
            "series": [MINUTES.bar_type],
            "start": "2024-01-02",
            "end": "2024-12-31",
            "starting_balances": ["1000000 USD"],
            "strategy": {"config": {"fast_period": 40, "slow_period": 260, "trade_size": "100000"}},
        }
    )


def test_a_backtest_over_2024_runs_and_is_the_same_twice(catalog: Catalog, tmp_path: Path) -> None:
    first, second = (run_backtest(catalog, spec(), tmp_path / name).result for name in ("a", "b"))
    assert first.passport["bars_fingerprint"] == second.passport["bars_fingerprint"]
    assert first.statistics == second.statistics
