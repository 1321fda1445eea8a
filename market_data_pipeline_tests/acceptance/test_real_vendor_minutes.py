"""A vendor's AAPL minutes of 2018: split-adjusted, four decimals, extended hours, naive New York time."""

from __future__ import annotations

import csv
import datetime as dt
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from nautilus_trader.model.data import Bar
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from market_data_pipeline.catalog import Catalog
from market_data_pipeline.catalog.instrument_definitions import EquityDefinition, InstrumentDefinitions
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.errors import BadRows
from market_data_pipeline.ingest.import_csv import import_csv
from market_data_pipeline.ingest.instruments import stored_or_defined
from market_data_pipeline.sources.csv import CsvSource

AAPL = Series.parse("AAPL.NASDAQ-1-MINUTE-LAST-EXTERNAL")
NEW_YORK = ZoneInfo("America/New_York")


def store(root: Path, path: Path, decimals: int) -> Catalog:
    definition = EquityDefinition(type="equity", id="AAPL.NASDAQ", currency="USD", price_precision=decimals)
    catalog = Catalog.open(root)
    precision = stored_or_defined(catalog, "AAPL.NASDAQ", lambda: InstrumentDefinitions(instruments=[definition]))
    with CsvSource([path], time_zone="America/New_York", stamp="open") as source:
        for _ in import_csv(catalog, source, AAPL, precision):
            pass
    return catalog


def test_two_decimals_refuse_the_file_and_say_both_ways_out(market_data: Path, tmp_path: Path) -> None:
    with pytest.raises(BadRows, match=r"more decimals than the instrument has \(2 in prices, 0 in sizes\)") as refused:
        store(tmp_path / "catalog", market_data / "vendor-csv" / "AAPL_test_2018.csv", decimals=2)
    assert "38.2565" in str(refused.value)
    assert Catalog.open(tmp_path / "catalog").sessions(AAPL) == []


def test_four_decimals_hold_it_exactly_and_extended_hours_lie_in_their_sessions(market_data: Path, tmp_path: Path) -> None:
    path = market_data / "vendor-csv" / "AAPL_test_2018.csv"
    catalog = store(tmp_path / "catalog", path, decimals=4)
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    opens = [dt.datetime.fromisoformat(row["timestamp"]).replace(tzinfo=NEW_YORK) for row in rows]
    expected = [
        (int(moment.timestamp()) * 10**9, *(Decimal(row[name]) for name in ("open", "high", "low", "close", "volume")))
        for moment, row in zip(opens, rows, strict=True)
    ]
    bars = ParquetDataCatalog(str(catalog.root)).query(Bar, identifiers=[AAPL.bar_type])
    found = [(bar.ts_event, *(Decimal(str(value)) for value in (bar.open, bar.high, bar.low, bar.close, bar.volume))) for bar in bars]
    assert len(found) == 3_235
    assert found == expected

    by_date = {date: sum(1 for moment in opens if moment.date() == date) for date in {moment.date() for moment in opens}}
    assert {row.session: row.rows for row in catalog.sessions(AAPL)} == by_date, "04:00 to 20:00 New York time is one session"
    assert sorted(by_date) == [dt.date(2018, 2, 5), dt.date(2018, 2, 6), dt.date(2018, 2, 7), dt.date(2018, 2, 8)]
