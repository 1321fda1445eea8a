"""Catalogs to look at, made of real bars in real files."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path

import numpy as np

from market_data_pipeline.calendars import partitions_of
from market_data_pipeline.catalog import Catalog
from market_data_pipeline.domain.bar_table import BarTable
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.coverage import Convention, Coverage, Provenance, SessionAnswer
from market_data_pipeline.domain.quality import measure
from market_data_pipeline.domain.source import Precision
from market_data_pipeline_tests.instants import ns

AAPL = "AAPL.NASDAQ"
MINUTES = Series.of(AAPL, "1-MINUTE-LAST")
NEW_YORK = "America/New_York"


def minutes(date: str, first: str = "09:30", count: int = 390, price: int = 18_500) -> BarTable:
    """Return minute bars from a New York time on, at 185.00, 185.01 and so on."""
    opens = ns(f"{date} {first}", NEW_YORK) + np.arange(count, dtype=np.int64) * 60_000_000_000
    prices = price + np.arange(count, dtype=np.int64)
    return BarTable(prices, prices + 2, prices - 2, prices + 1, np.full(count, 100, dtype=np.int64), opens, opens + 60_000_000_000, 2, 0)


def store(
    root: Path, answers: Iterable[tuple[str, BarTable, Coverage]], series: Series = MINUTES, source: str = "csv", adjustment: str = "raw"
) -> Catalog:
    """Store sessions and return the catalog."""
    catalog = Catalog.open(root)
    partitions = partitions_of(series)
    with catalog.writer(series, Precision(2, 0), Provenance(source, "made for a test", Convention("all", adjustment))) as writer:
        for date, bars, coverage in answers:
            session = dt.date.fromisoformat(date)
            position = partitions.index_of(session)
            assert position is not None
            writer.store(SessionAnswer(session, bars, coverage, measure(bars, partitions, position)))
    catalog.ledger.close()
    return catalog


def stored_sessions(root: Path, series: Series = MINUTES) -> list[str]:
    """Return the dates of the sessions that are stored."""
    catalog = Catalog.open(root)
    dates = [str(row.session) for row in catalog.sessions(series)]
    catalog.ledger.close()
    return dates


def store_whole(root: Path, dates: Iterable[str], series: Series = MINUTES) -> Catalog:
    """Store whole sessions of 390 minutes."""
    return store(root, [(date, minutes(date), Coverage.COMPLETE) for date in dates], series)


def write_csv(path: Path, dates: Iterable[str], count: int = 390, price: str = "185.00") -> Path:
    """Write minute bars as a vendor does: New York opens without an offset, comma, a header."""
    lines = ["timestamp,open,high,low,close,volume"]
    for date in dates:
        start = dt.datetime.fromisoformat(f"{date} 09:30")
        for i in range(count):
            opened = Decimal(price) + Decimal(i) / 100
            prices = ",".join(str(opened + Decimal(step)) for step in ("0", "0.02", "-0.02", "0.01"))
            lines.append(f"{start + dt.timedelta(minutes=i)},{prices},100")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


AAPL_YAML = """instruments:
  - id: AAPL.NASDAQ
    type: equity
    currency: USD
    price_precision: 2
"""


def bars_stored(root: Path, series: Series = MINUTES) -> int:
    catalog = Catalog.open(root)
    rows = sum(row.rows for row in catalog.sessions(series))
    catalog.ledger.close()
    return rows
