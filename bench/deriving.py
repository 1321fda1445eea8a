"""(l) A year of minutes to five-minute bars."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from bench.lines import Line, best_of, faster
from bench.made import SERIES, YEAR, joined, sessions, stored
from market_data_pipeline.calendars import partitions_of
from market_data_pipeline.calendars.grids import grid_of
from market_data_pipeline.domain.aggregation import aggregate
from market_data_pipeline.domain.bar_table import BarTable
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.ingest.derive import DeriveOrder, derive
from market_data_pipeline.ingest.load import Refetch
from market_data_pipeline.ingest.modes import Mode, Reach

_FIVE = Series.of(SERIES.instrument_id, "5-MINUTE-LAST")
_RULES = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}


def measure(folder: Path) -> Iterator[Line]:
    """Compare the aggregation with pandas' resample on the same bars, and tell what the whole way costs, files and ledger included."""
    answers = sessions(*YEAR)
    bars = joined(answers)
    finer, coarser = partitions_of(SERIES), partitions_of(_FIVE)
    grid = grid_of(coarser.calendar, "rth")
    frame = pd.DataFrame({name: bars.column(name) for name in _RULES}, index=pd.to_datetime(bars.ts_event, unit="ns", utc=True))

    def ours() -> BarTable:
        return aggregate(bars, finer, coarser, grid, "rth")

    def theirs() -> pd.DataFrame:
        return frame.resample("5min").agg(_RULES).dropna()

    made, resampled = ours(), theirs()
    if not all(np.array_equal(made.column(name), resampled[name].to_numpy(dtype=np.int64)) for name in _RULES):
        raise AssertionError("the bars differ")
    work = f"{len(bars):,} minutes to {len(made):,} bars of five minutes, in memory"
    yield faster(work, best_of(7, ours), "pandas resample, on the clock of UTC", best_of(7, theirs), 1.0)
    catalog = stored(folder / "catalog", answers)
    order = DeriveOrder(_FIVE, SERIES, Reach(Mode.FULL), Refetch.YES)
    whole_s = best_of(3, lambda: [*derive(catalog, [order])])
    yield Line(f"the same from {len(answers)} session files to as many, checked, with the ledger", whole_s, note="most of it is writing files")
