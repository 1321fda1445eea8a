"""Catalogs as other programs leave them: written by Nautilus itself, and then damaged."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from nautilus_trader.model.currencies import USD
from nautilus_trader.model.identifiers import InstrumentId, Symbol
from nautilus_trader.model.instruments import Equity
from nautilus_trader.model.objects import Price, Quantity
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from market_data_pipeline.domain.bar_table import BarTable
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline_tests.catalog.bar_making import AAPL
from market_data_pipeline_tests.catalog.test_bar_format import nautilus_bars

Values = dict[str, tuple[int, int]]


def by_nautilus(root: Path, bars: BarTable, series: Series = AAPL, name: str | None = None) -> Path:
    """Let Nautilus write bars as one more file, whether they overlap or not; return it, renamed if a name is given."""
    before = {path for path in root.rglob("*.parquet") if path.is_file()}
    root.mkdir(parents=True, exist_ok=True)
    catalog = ParquetDataCatalog(root)
    shelf = {path: path.rename(path.with_name(path.name + ".aside")) for path in before}  # it would skip a file of the same name
    catalog.write_data(nautilus_bars(bars, series), skip_disjoint_check=True)
    (file,) = {path for path in root.rglob("*.parquet") if path.is_file()}
    for path, aside in shelf.items():
        if path == file:
            file = file.rename(file.with_name(f"other-{len(before)}.parquet"))
        aside.rename(path)
    return file if name is None else file.rename(file.with_name(name))


def equity(root: Path, instrument_id: str = "AAPL.NASDAQ", decimals: int = 2) -> None:
    """Let Nautilus write the definition of a share."""
    one = Equity(
        instrument_id=InstrumentId.from_str(instrument_id),
        raw_symbol=Symbol(instrument_id.rpartition(".")[0]),
        currency=USD,
        price_precision=decimals,
        price_increment=Price.from_str(f"{10**-decimals:.{decimals}f}"),
        lot_size=Quantity.from_int(1),
        ts_event=0,
        ts_init=0,
    )
    root.mkdir(parents=True, exist_ok=True)
    ParquetDataCatalog(root).write_data([one])


def to_eight_bytes(path: Path) -> None:
    """Write a file as an older or a Windows build would: 8-byte values at 9 decimals, by integer arithmetic alone."""
    table = pq.read_table(path)
    narrow = []
    for name in table.column_names[:5]:
        values = [int.from_bytes(raw, "little", signed=True) // 10**7 for raw in table.column(name).to_pylist()]
        narrow.append(pa.array([value.to_bytes(8, "little", signed=True) for value in values], type=pa.binary(8)))
    columns = [*narrow, table.column("ts_event"), table.column("ts_init")]
    fields = [pa.field(name, column.type, nullable=False) for name, column in zip(table.column_names, columns, strict=True)]
    pq.write_table(pa.table(columns, schema=pa.schema(fields, metadata=table.schema.metadata)), path)


def restamped(path: Path, event_ns: int = 0, init_ns: int = 0) -> None:
    """Move all stamps of a file by nanoseconds."""
    table = pq.read_table(path)
    for name, by in (("ts_event", event_ns), ("ts_init", init_ns)):
        i = table.schema.get_field_index(name)
        moved = pa.array((table.column(name).to_numpy().astype(np.int64) + by).astype(np.uint64))
        table = table.set_column(i, table.schema.field(i), moved)
    pq.write_table(table, path)


def with_rows(path: Path, rows: Sequence[int]) -> None:
    """Write a file anew with these of its rows, in this order."""
    table = pq.read_table(path)
    pq.write_table(table.take(list(rows)), path)


def with_close(bars: BarTable, row: int, close: int) -> BarTable:
    """Return bars of which one closes at another price, inside its low and high."""
    closes, highs, lows = bars.close.copy(), bars.high.copy(), bars.low.copy()
    closes[row], highs[row], lows[row] = close, max(close, int(highs[row])), min(close, int(lows[row]))
    return replace(bars, close=closes, high=highs, low=lows)


def state_of(root: Path) -> dict[str, tuple[str, int, int]]:
    """Return a hash, the change time and the mode of all that lies in a folder."""
    return {
        str(path.relative_to(root)): (
            hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "",
            path.stat().st_mtime_ns,
            path.stat().st_mode,
        )
        for path in sorted([root, *root.rglob("*")])
    }
