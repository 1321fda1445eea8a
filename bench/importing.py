"""(b) A million rows of CSV to the catalog, every rule checked."""

from __future__ import annotations

import datetime as dt
import shutil
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pacsv
from nautilus_trader.model.data import Bar, BarType
from nautilus_trader.model.objects import Price, Quantity
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from bench.lines import Line, best_of, faster
from bench.made import CENTS, SERIES, joined, sessions
from bench.writing import write_data_by_session
from market_data_pipeline.calendars import partitions_of
from market_data_pipeline.catalog import Catalog
from market_data_pipeline.catalog.reading import to_arrow
from market_data_pipeline.domain.bar_table import BarTable
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.ingest.import_csv import import_csv
from market_data_pipeline.sources.csv import CsvSource

_ROWS = 1_000_000


def measure(folder: Path) -> Iterator[Line]:
    """Compare `mdp import-csv`'s work with what a script does: read_csv, a Bar a row, one `write_data`."""
    answers = sessions(dt.date(2013, 1, 2), LAST_DAY)
    sizes = np.cumsum([len(answer.bars) for answer in answers])
    answers = answers[: int(np.searchsorted(sizes, _ROWS)) + 1]
    bars = joined(answers)
    file = folder / "million.csv"
    write_csv(file, bars)

    def ours() -> None:
        shutil.rmtree(folder / "ours", ignore_errors=True)
        with CsvSource([file], time_zone="UTC", stamp="open", spool_dir=folder) as source:
            for _ in import_csv(Catalog.open(folder / "ours"), source, SERIES, CENTS):
                pass

    ours_s = best_of(2, ours)
    if sum(map(len, Catalog.open(folder / "ours").read(SERIES))) != len(bars):
        raise AssertionError("bars are missing")
    work = f"{len(bars):,} CSV rows ({file.stat().st_size / 1e6:.0f} MB) to {len(answers):,} session files, every rule checked"
    # Profiled: a third of ours is putting a file a session in place durably (open, fsync, rename), a tenth is parsing.
    note = "not the same result: one file, nothing checked, no fsync"
    started = time.perf_counter()
    objects = bars_of(file)
    made_s = time.perf_counter() - started
    ParquetDataCatalog(folder / "theirs").write_data(objects)
    script_s = time.perf_counter() - started
    yield faster(work, ours_s, "pandas.read_csv, a Bar object a row, one write_data", script_s, 10, note)
    bounds = np.cumsum([0, *(len(answer.bars) for answer in answers)]).tolist()
    pieces = [objects[start:stop] for start, stop in pairwise(bounds)]
    written_s, how = write_data_by_session(folder / "by-session", pieces, [partitions_of(SERIES).window(one.session) for one in answers])
    yield faster(work, ours_s, "the same with a write_data a session", made_s + written_s, 10, f"the same files, nothing checked; {how}")


LAST_DAY = dt.date(2023, 12, 29)


def write_csv(file: Path, bars: BarTable) -> None:
    """Write bars as `timestamp,open,high,low,close,volume`, stamped with their opens, UTC."""
    table = pa.Table.from_batches([to_arrow(bars)])
    stamps = table.column("ts_event").cast(pa.timestamp("s", "UTC")).cast(pa.timestamp("s"))
    pacsv.write_csv(table.select(["open", "high", "low", "close", "volume"]).add_column(0, "timestamp", stamps), file)


def bars_of(file: Path, series: Series = SERIES) -> list[Bar]:
    """Return the file's rows as bars, the way Nautilus' own examples build them: exact prices from text."""
    frame = pd.read_csv(file, dtype=str)
    kind = BarType.from_str(series.bar_type)
    opens = pd.to_datetime(frame["timestamp"]).dt.as_unit("ns").to_numpy().astype(np.int64)
    closes = opens + series.spec.length_ns
    prices = (frame[name] for name in ("open", "high", "low", "close"))
    rows = zip(*prices, frame["volume"], opens.tolist(), closes.tolist(), strict=True)
    return [
        Bar(kind, Price.from_str(o), Price.from_str(h), Price.from_str(low), Price.from_str(c), Quantity.from_str(v), opened, closed)
        for o, h, low, c, v, opened, closed in rows
    ]
