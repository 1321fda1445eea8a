"""Bars of a foreign catalog, and the adoption of one."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np

from market_data_pipeline.catalog import Catalog
from market_data_pipeline.domain.bar_table import BarTable
from market_data_pipeline.domain.bar_types import DAY_NS, Series
from market_data_pipeline.ingest.adopt import PreferFile, adopt, adopted
from market_data_pipeline.ingest.adopt_markdown import to_markdown
from market_data_pipeline.ingest.adopt_report import AdoptReport, SeriesReport
from market_data_pipeline_tests.catalog.bar_making import (
    AAPL,
    WEEK,
    regular,
    walk,
)

DAYS = Series.parse("AAPL.NASDAQ-1-DAY-LAST-EXTERNAL")


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


def only_of(report: AdoptReport, series: Series) -> SeriesReport:
    (one,) = [one for one in report.series if one.series == series]
    return one
