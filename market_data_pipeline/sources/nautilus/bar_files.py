"""One bar file of another program, decoded with Arrow: whatever is wrong with it becomes a reason, and never ends the process."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from market_data_pipeline.catalog.bar_format import FIXED_DECIMALS, LEGACY_DECIMALS, decode
from market_data_pipeline.catalog.layout import interval_of
from market_data_pipeline.domain.bar_table import COLUMNS, PRICE_COLUMNS, VALUE_COLUMNS, BarTable
from market_data_pipeline.domain.errors import PrecisionMismatch
from market_data_pipeline.domain.source import Precision

_WIDE = pa.binary(16)
# Nautilus wrote whole numbers before it wrote eight bytes, at the same scale.
_NARROW = (pa.binary(8), pa.int64(), pa.uint64())
_STAMPS = (pa.uint64(), pa.int64())


@dataclass(frozen=True)
class BadBarFile:
    """A file of which no bar can be taken.

    Attributes:
        path: The file.
        rows: Rows by its footer; None where not even that can be read.
        reason: What is wrong with it.
    """

    path: Path
    rows: int | None
    reason: str


@dataclass(frozen=True)
class SoundBarFile:
    """A file whose schema and metadata are those of bars; its values have not been read yet.

    Attributes:
        path: The file.
        rows: Rows by its footer.
        bar_type: The bar type that its metadata names.
        precision: The decimals that its metadata names.
        price_bytes: Bytes of a price: 16, or 8 in files of older and of Windows builds.
        mtime_ns: Change time, nanoseconds since 1970 UTC.
    """

    path: Path
    rows: int
    bar_type: str
    precision: Precision
    price_bytes: int
    mtime_ns: int

    @property
    def age(self) -> tuple[int, int, str]:
        """What tells which of two files is the newer: the end that its name gives, then its change time, then its name."""
        interval = interval_of(self.path.name)
        return interval[1] if interval is not None else 0, self.mtime_ns, str(self.path)


def look_at(path: Path) -> SoundBarFile | BadBarFile:
    """Read a file's footer: schema, metadata and number of rows."""
    rows: int | None = None
    try:
        mtime_ns = path.stat().st_mtime_ns
        footer = pq.read_metadata(path)
        rows = footer.num_rows
        schema = footer.schema.to_arrow_schema()
    except (pa.ArrowException, OSError, ValueError) as error:
        return BadBarFile(path, rows, f"no readable Parquet file ({first_line(error)})")
    reason = _unlike_bars(schema)
    if reason is not None:
        return BadBarFile(path, rows, reason)
    metadata = {key.decode(errors="replace"): value.decode(errors="replace") for key, value in (schema.metadata or {}).items()}
    if "bar_type" not in metadata:
        return BadBarFile(path, rows, "its metadata names no bar type, so nobody knows whose bars these are")
    try:
        precision = Precision(int(metadata["price_precision"]), int(metadata["size_precision"]))
    except (KeyError, ValueError):
        return BadBarFile(path, rows, "its metadata names no price and size precision")
    narrow = schema.field("open").type != _WIDE
    most = LEGACY_DECIMALS if narrow else FIXED_DECIMALS
    if not (0 <= precision.price <= most and 0 <= precision.size <= most):
        return BadBarFile(path, rows, f"its metadata names {precision.price} price and {precision.size} size decimals; such files hold 0 to {most}")
    return SoundBarFile(path, rows, metadata["bar_type"], precision, 8 if narrow else 16, mtime_ns)


def _unlike_bars(schema: pa.Schema) -> str | None:
    """Return why a schema is not that of bars, or None."""
    names = set(schema.names)
    if missing := [name for name in COLUMNS if name not in names]:
        return f"no bars: it lacks the columns {', '.join(missing)}; it has {', '.join(schema.names[:10])}"
    kinds = {schema.field(name).type for name in VALUE_COLUMNS}
    wide = kinds == {_WIDE}
    if not wide and not kinds <= set(_NARROW):
        return f"prices and volumes are {', '.join(sorted(map(str, kinds)))}; Nautilus writes 16 or 8 bytes"
    if any(schema.field(name).type not in _STAMPS for name in ("ts_event", "ts_init")):
        return f"time stamps are {schema.field('ts_event').type} and {schema.field('ts_init').type}, not whole nanoseconds"
    return None


def read(file: SoundBarFile, precision: Precision) -> BarTable | BadBarFile:
    """Decode a file's values and stamps as they stand in it, checking every page that has a checksum.

    Args:
        file: The file.
        precision: The decimals to give them.

    Raises:
        PrecisionMismatch: If a value needs more decimals than `precision`, though not more than the file itself names.
    """
    try:
        with pq.ParquetFile(file.path, memory_map=False, page_checksum_verification=True) as opened:
            table = opened.read(columns=list(COLUMNS), use_threads=False)
    except (pa.ArrowException, OSError, ValueError) as error:
        return BadBarFile(file.path, file.rows, f"its pages cannot be read ({first_line(error)})")
    if any(column.null_count for column in table.columns):
        return BadBarFile(file.path, file.rows, "it holds empty values")
    most = LEGACY_DECIMALS if file.price_bytes == 8 else FIXED_DECIMALS
    within = Precision(min(precision.price, most), min(precision.size, most))
    try:
        return rescaled(decode(table, within), precision)
    except PrecisionMismatch as error:
        try:
            decode(table, file.precision)
        except PrecisionMismatch:
            return BadBarFile(file.path, file.rows, f"{error}, though its metadata promises {file.precision.price} and {file.precision.size}")
        raise


def rescaled(bars: BarTable, precision: Precision) -> BarTable:
    """Return the same bars with more decimals."""
    if (bars.price_precision, bars.size_precision) == (precision.price, precision.size):
        return bars
    price, size = 10 ** (precision.price - bars.price_precision), 10 ** (precision.size - bars.size_precision)
    opens, high, low, close = (bars.column(name) * np.int64(price) for name in PRICE_COLUMNS)
    return BarTable(opens, high, low, close, bars.volume * np.int64(size), bars.ts_event, bars.ts_init, precision.price, precision.size)


def rows_by_footer(path: Path) -> int:
    """Return the rows that a file's footer counts; 0 where it cannot be read."""
    try:
        return int(pq.read_metadata(path).num_rows)
    except (pa.ArrowException, OSError, ValueError):
        return 0


def first_line(error: Exception) -> str:
    """Return the first line of what a library says, without the folders of this machine."""
    text = (str(error).splitlines() or [type(error).__name__])[0][:160]
    return " ".join(word.rpartition(os.sep)[2] if word.startswith((os.sep, f"'{os.sep}")) else word for word in text.split())
