"""(l) A year of minutes to five-minute bars."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from nautilus_trader.model.data import Bar, BarType
from nautilus_trader.model.objects import Price, Quantity
from nautilus_trader.persistence.catalog import ParquetDataCatalog

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
_FIVE_MINUTES = 300_000_000_000
_DIFFERS = "most of ours is writing files; the peer writes one, checks nothing, and stamps bars by the clock of UTC"
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
    script_s = best_of(2, lambda: _by_script(catalog.root, folder / "theirs"))
    what = f"the same from {len(answers)} session files to as many, checked, with the ledger"
    yield Line(what, whole_s, "a script: catalog.query, pandas resample, a Bar object a row, one write_data", script_s, note=_DIFFERS)


def _by_script(root: Path, into: Path) -> None:
    shutil.rmtree(into, ignore_errors=True)
    finer = ParquetDataCatalog(root).query(Bar, identifiers=[SERIES.bar_type])
    rows = [(bar.ts_event, *map(float, (bar.open, bar.high, bar.low, bar.close, bar.volume))) for bar in finer]
    frame = pd.DataFrame(rows, columns=["ts_event", *_RULES]).set_index("ts_event")
    frame.index = pd.to_datetime(frame.index, unit="ns", utc=True)
    coarser = frame.resample("5min").agg(_RULES).dropna()
    kind = BarType.from_str(_FIVE.bar_type)
    opens = pd.DatetimeIndex(coarser.index).as_unit("ns").astype("int64").tolist()
    made = [
        Bar(kind, *(Price(price, 2) for price in prices), Quantity(volume, 0), opened, opened + _FIVE_MINUTES)
        for opened, (*prices, volume) in zip(opens, coarser.itertuples(index=False), strict=True)
    ]
    ParquetDataCatalog(into).write_data(made)
