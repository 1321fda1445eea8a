"""Real day bars of EUR/USD from Interactive Brokers, and those derived from the real 15-minute bars of the same trader."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np

from market_data_pipeline.catalog import Catalog
from market_data_pipeline.domain.bar_table import PRICE_COLUMNS, BarTable
from market_data_pipeline.ingest.derive import DeriveOrder
from market_data_pipeline.ingest.modes import Mode, Reach
from market_data_pipeline_tests.acceptance.test_real_eurusd import DAYS, FILES, MINUTES, do_import
from market_data_pipeline_tests.ingest.deriving import derived


def test_derived_days_are_those_that_the_broker_gave_price_by_price(market_data: Path, tmp_path: Path) -> None:
    """478 day bars; the 15-minute bars of three sessions are not whole in the file, and of those no day is made."""
    made, given = Catalog.open(tmp_path / "made"), Catalog.open(tmp_path / "given")
    do_import(made, market_data / "ibkr-csv" / FILES[MINUTES], MINUTES)
    do_import(given, market_data / "ibkr-csv" / FILES[DAYS], DAYS)
    report = derived(made, DeriveOrder(DAYS, MINUTES, Reach(Mode.FULL)))
    partial = [dt.date(2023, 12, 29), dt.date(2025, 10, 27), dt.date(2025, 10, 30)]
    assert [failure.session for failure in report.failed_segments] == partial
    ours, theirs = (BarTable.concatenate([*catalog.read(DAYS)]) for catalog in (made, given))
    assert (len(ours), len(theirs)) == (475, 478)
    theirs = theirs.take(np.isin(theirs.ts_event, ours.ts_event))
    for name in (*PRICE_COLUMNS, "ts_event", "ts_init"):
        assert ours.column(name).tolist() == theirs.column(name).tolist(), name
