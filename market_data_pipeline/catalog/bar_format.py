"""Nautilus' Parquet format for bars (catalog v1), in one module: v2 will change it.

Prices and sizes are whole numbers at a fixed scale, little-endian two's complement: 16 bytes and 16 decimals today, 8 bytes
and 9 decimals in files of older and of Windows builds. Arrow's decimal128 has the same memory layout, so Arrow does the exact
scaling and refuses what does not fit.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from market_data_pipeline.catalog.layout import TEMPORARY_PREFIX
from market_data_pipeline.catalog.row_groups import SORTED_BY_CLOSE, ends_of_groups, groups_between
from market_data_pipeline.domain.bar_table import COLUMNS, PRICE_COLUMNS, VALUE_COLUMNS, BarTable, Int64s
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.errors import CorruptFile, PrecisionMismatch, UsageError
from market_data_pipeline.domain.sessions import Partitions
from market_data_pipeline.domain.source import Precision

FIXED_DECIMALS = 16
LEGACY_DECIMALS = 9
# PRICE_MAX and QUANTITY_MAX of nautilus_trader.model.objects: at a value beyond them, and at a negative size, the reader aborts the process.
PRICE_LIMIT = 17_014_118_346_046
SIZE_LIMIT = 34_028_236_692_093
LEGACY_PRICES = "8-byte prices of an older Nautilus, on which a 16-byte build aborts"
OUT_OF_ORDER = "rows are out of order, or one bar stands in it twice"
_RAW = pa.binary(16)
_WIDE = pa.decimal128(38, FIXED_DECIMALS)
_ENCODING = {"ts_event": "DELTA_BINARY_PACKED", "ts_init": "DELTA_BINARY_PACKED"}
# Below this a mantissa is exact as a float, and so is what is computed from it here.
_EXACT = 2**51


@lru_cache(maxsize=64)
def schema_of(series: Series, precision: Precision) -> pa.Schema:
    """Return the schema that `ParquetDataCatalog.write_data` gives bars of this series, metadata included."""
    fields = [pa.field(name, _RAW, nullable=False) for name in VALUE_COLUMNS]
    fields += [pa.field(name, pa.uint64(), nullable=False) for name in ("ts_event", "ts_init")]
    metadata = {
        "bar_type": series.bar_type,
        "instrument_id": series.instrument_id,
        "price_precision": str(precision.price),
        "size_precision": str(precision.size),
    }
    return pa.schema(fields, metadata=metadata)


def refused_by_nautilus(bars: BarTable) -> str | None:
    """Return why Nautilus could not hold these bars, or None if it can."""
    price, size = bars.price_precision, bars.size_precision
    if not (0 <= price <= FIXED_DECIMALS and 0 <= size <= FIXED_DECIMALS):
        return f"{price} price and {size} size decimals; Nautilus has 0 to {FIXED_DECIMALS}"
    if not len(bars):
        return None
    if max(int(bars.column(name).max()) for name in PRICE_COLUMNS) > PRICE_LIMIT * 10**price:
        return f"a price above {PRICE_LIMIT:,}, the highest in Nautilus"
    if min(int(bars.column(name).min()) for name in PRICE_COLUMNS) < -PRICE_LIMIT * 10**price:
        return f"a price below {-PRICE_LIMIT:,}, the lowest in Nautilus"
    if int(bars.volume.min()) < 0 or int(bars.volume.max()) > SIZE_LIMIT * 10**size:
        return f"a volume that is negative or above {SIZE_LIMIT:,}, which Nautilus does not hold"
    if min(int(bars.ts_event.min()), int(bars.ts_init.min())) < 0:
        return "a time stamp before 1970"
    return None


def _encode_columns(bars: BarTable) -> list[pa.Array]:
    values = np.stack([bars.column(name) for name in VALUE_COLUMNS])
    decimals = [bars.price_precision] * len(PRICE_COLUMNS) + [bars.size_precision]
    words = np.empty((*values.shape, 2), dtype="<i8")
    if not values.size or (int(values.min()) > -_EXACT and int(values.max()) < _EXACT):
        scales = np.array([[10 ** (FIXED_DECIMALS - places)] for places in decimals], dtype=np.int64)
        # 128-bit products in 64-bit steps: the low word wraps, and the high one is what a float says is left over, exact in this range.
        np.multiply(values, scales, out=words[..., 0])
        words[..., 1] = np.rint((values.astype(np.float64) * scales - words[..., 0].astype("<u8")) / 2.0**64)
        return [pa.FixedSizeBinaryArray.from_buffers(_RAW, len(column), [None, pa.py_buffer(column)]) for column in words]
    words[..., 0], words[..., 1] = values, values >> 63
    result = []
    for column, places in zip(words, decimals, strict=True):
        exact = pa.Decimal128Array.from_buffers(pa.decimal128(38, places), len(column), [None, pa.py_buffer(column)])
        wide = exact.cast(_WIDE)
        result.append(pa.FixedSizeBinaryArray.from_buffers(_RAW, len(wide), [None, wide.buffers()[1]], offset=wide.offset))
    return result


def encode(bars: BarTable, series: Series) -> pa.Table:
    """Return bars in Nautilus' schema, without rounding.

    Raises:
        PrecisionMismatch: If Nautilus cannot hold a value or its decimals.
    """
    if (reason := refused_by_nautilus(bars)) is not None:
        raise PrecisionMismatch(f"{series}: {reason}.")
    return encode_checked(bars, series)


def encode_checked(bars: BarTable, series: Series) -> pa.Table:
    """Return bars that `refused_by_nautilus` has nothing against, in Nautilus' schema."""
    arrays = _encode_columns(bars)
    arrays += [pa.array(stamps.view(np.uint64)) for stamps in (bars.ts_event, bars.ts_init)]
    return pa.table(arrays, schema=schema_of(series, Precision(bars.price_precision, bars.size_precision)))


def _decode_column(column: pa.ChunkedArray, decimals: int) -> Int64s:
    raw = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
    if not len(raw):
        return np.empty(0, dtype=np.int64)
    if raw.type != _RAW:
        return _decode_legacy(raw, decimals)
    words = np.frombuffer(raw.buffers()[1], dtype="<i8").reshape(-1, 2)[raw.offset : raw.offset + len(raw)]
    low, high = np.ascontiguousarray(words[:, 0]), words[:, 1].astype(np.float64)
    scale = 10 ** (FIXED_DECIMALS - decimals)
    near = np.rint((high * 2.0**64 + low.view("<u8")) / scale)
    if float(np.abs(near).max()) < _EXACT:
        values: Int64s = near.astype(np.int64)
        # Equal in the low 64 bits and near as floats: equal. Anything else is left to Arrow, which says what is wrong.
        if np.array_equal(values * scale, low):
            return values
    wide = pa.Decimal128Array.from_buffers(_WIDE, len(raw), [None, raw.buffers()[1]], offset=raw.offset)
    exact = wide.cast(pa.decimal128(38, decimals))  # refuses to round
    words = np.frombuffer(exact.buffers()[1], dtype="<i8").reshape(-1, 2)[exact.offset : exact.offset + len(exact)]
    exact_values: Int64s = np.ascontiguousarray(words[:, 0])
    if not np.array_equal(words[:, 1], exact_values >> 63):
        raise pa.ArrowInvalid("a value does not fit 64 bits")
    return exact_values


def _decode_legacy(raw: pa.Array, decimals: int) -> Int64s:
    legacy = np.frombuffer(raw.buffers()[1], dtype="<i8")[raw.offset : raw.offset + len(raw)]
    if decimals > LEGACY_DECIMALS:
        raise pa.ArrowInvalid(f"8-byte values hold {LEGACY_DECIMALS} decimals, not {decimals}")
    values: Int64s
    values, rest = np.divmod(legacy, 10 ** (LEGACY_DECIMALS - decimals))
    if rest.any():
        raise pa.ArrowInvalid("Rescaling would cause data loss")
    return values


def decode(table: pa.Table, precision: Precision) -> BarTable:
    """Return bars from Nautilus' schema, of 16-byte or 8-byte values.

    Raises:
        PrecisionMismatch: If a value needs more decimals than `precision` says, or more than 64 bits.
    """
    try:
        opens, high, low, close = (_decode_column(table.column(name), precision.price) for name in PRICE_COLUMNS)
        volume = _decode_column(table.column("volume"), precision.size)
    except pa.ArrowInvalid as error:
        raise PrecisionMismatch(f"a stored value does not fit {precision.price} price and {precision.size} size decimals: {error}") from None
    ts_event, ts_init = (table.column(name).to_numpy().astype(np.int64) for name in ("ts_event", "ts_init"))
    return BarTable(opens, high, low, close, volume, ts_event, ts_init, precision.price, precision.size)


def write_atomically(folder: Path, name: str, content: pa.Buffer | bytes) -> os.stat_result:
    """Put a file in place whole or not at all: temporary name, fsync, rename. The caller syncs the folder.

    The temporary name does not end in `.parquet`, so that no reader of the catalog takes it for bars.
    """
    temporary = folder / f"{TEMPORARY_PREFIX}{os.getpid()}-{secrets.token_hex(4)}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        try:
            view = memoryview(content)
            while view:
                view = view[os.write(descriptor, view) :]
            os.fsync(descriptor)
            stat = os.fstat(descriptor)
        finally:
            os.close(descriptor)
        os.replace(temporary, folder / name)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return stat


def clear_leftovers(folder: Path) -> None:
    """Remove temporary files of a writer that was killed. Only while holding the lock under which files of the folder are written."""
    for path in folder.glob(f"{TEMPORARY_PREFIX}*"):
        path.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make renames in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def to_parquet(table: pa.Table) -> pa.Buffer:
    """Return a Parquet file: snappy, delta-packed stamps (27 bytes a bar, in files of a session), a checksum for each page.

    zstd with dictionaries would take 18 bytes, and three times the time to write and to read files of this size.
    No statistics: files of a session are chosen by name, and a wrong bound in a damaged footer would hide bars from a reader.
    """
    sink = pa.BufferOutputStream()
    pq.write_table(
        table,
        sink,
        compression="snappy",
        use_dictionary=False,
        column_encoding=_ENCODING,
        write_page_checksum=True,
        write_statistics=False,
    )
    return sink.getvalue()


def to_parquet_of_sessions(bars: BarTable, series: Series, partitions: Partitions) -> pa.Buffer:
    """Return a Parquet file of many whole sessions: as `to_parquet`, in row groups of some sessions each, with bounds of their closes.

    21 bytes a bar for months of a share's minutes. See `row_groups` for what it declares, and how its bounds are doubted.
    """
    table, sink, begun = encode_checked(bars, series), pa.BufferOutputStream(), 0
    with pq.ParquetWriter(
        sink,
        table.schema,
        compression="snappy",
        use_dictionary=False,
        column_encoding=_ENCODING,
        write_page_checksum=True,
        write_statistics=["ts_init"],
        sorting_columns=SORTED_BY_CLOSE,
    ) as writer:
        for end in [*ends_of_groups(bars, partitions)] or [0]:
            writer.write_table(table.slice(begun, end - begun), row_group_size=max(1, end - begun))
            begun = end
    return sink.getvalue()


def content_hash(content: bytes | pa.Buffer) -> str:
    """Return 32 hex digits of a file's bytes. Arrow forgives damage in headers on which Nautilus aborts; this does not."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def read_content(path: Path) -> bytes:
    """Return a file's bytes, all at once: nothing can be cut short or replaced while they are decoded, and it takes half the time.

    Raises:
        CorruptFile: If it cannot be read.
        FileNotFoundError: If it is gone.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise CorruptFile(f"{path}: cannot be read ({error.strerror})") from None


def table_in(content: bytes, path: Path, series: Series, precision: Precision | None = None, closes: tuple[int, int] | None = None) -> pa.Table:
    """Decode a bar file to its last page; check checksums, columns, types and metadata, but no value.

    Args:
        content: The file's bytes.
        path: The file, for messages.
        series: The series it must belong to.
        precision: The precision it must have; None takes the file's own word.
        closes: Leave out row groups without a close in (after, until], UTC nanoseconds; None reads all.

    Raises:
        CorruptFile: With the reason: no Parquet, broken pages, another schema, another series or precision, 8-byte values.
    """
    try:
        file = pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=True)
        groups = None if closes is None else groups_between(file.metadata, *closes)
        table = file.read(use_threads=False) if groups is None else file.read_row_groups(groups, use_threads=False)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise CorruptFile(f"{path}: not a readable Parquet file ({_first_line(error)})") from None
    expected = schema_of(series, precision or _precision_in(table.schema, path))
    if not table.schema.equals(expected, check_metadata=True):
        raise CorruptFile(f"{path}: {_schema_difference(table.schema, expected)}")
    if any(column.null_count for column in table.columns):
        raise CorruptFile(f"{path}: holds empty values")
    return table


def check_bars(bars: BarTable, path: Path) -> None:
    """Make sure that Nautilus can hold the bars of a file, and gets them once and in order.

    Raises:
        CorruptFile: If not.
    """
    if (reason := refused_by_nautilus(bars)) is not None:
        raise CorruptFile(f"{path}: holds {reason}")
    if not bars.is_ordered():
        raise CorruptFile(f"{path}: {OUT_OF_ORDER}")


def bars_in(content: bytes, path: Path, series: Series, precision: Precision | None = None) -> BarTable:
    """Decode a bar file and check everything that would stop or abort Nautilus, or mislead it.

    Raises:
        CorruptFile: As `table_in`; also for values of more decimals than the metadata says or beyond Nautilus' limits, and rows out of
            order or twice.
    """
    table = table_in(content, path, series, precision)
    try:
        bars = decode(table, _precision_in(table.schema, path))
    except PrecisionMismatch as error:
        raise CorruptFile(f"{path}: {error}") from None
    check_bars(bars, path)
    return bars


def described_by(path: Path) -> tuple[Series, Precision] | None:
    """Return the series and precision that a file's own metadata names, or None if it names none that is stored here."""
    try:
        schema = pq.read_schema(path)
        return Series.parse((schema.metadata or {})[b"bar_type"].decode()), _precision_in(schema, path)
    except (pa.ArrowException, OSError, KeyError, ValueError, UsageError, CorruptFile):  # `read_bar_file` says what is wrong with it
        return None


def holds_legacy_prices(paths: Iterable[Path]) -> bool:
    """Return whether every file that can be read has 8-byte prices, and there is one: a whole legacy series is no damage to move away.

    Opens files until one says no: of any other series that is the first.
    """
    is_legacy = False
    for path in paths:
        try:
            is_legacy = pq.read_schema(path).field("open").type == pa.binary(8)
        except (pa.ArrowException, OSError, KeyError):
            continue
        if not is_legacy:
            return False
    return is_legacy


def _precision_in(schema: pa.Schema, path: Path) -> Precision:
    metadata = schema.metadata or {}
    try:
        precision = Precision(int(metadata[b"price_precision"]), int(metadata[b"size_precision"]))
    except (KeyError, ValueError):
        raise CorruptFile(f"{path}: its metadata names no price and size precision, so it is no Nautilus bar file") from None
    if not (0 <= precision.price <= FIXED_DECIMALS and 0 <= precision.size <= FIXED_DECIMALS):
        raise CorruptFile(
            f"{path}: its metadata names {precision.price} price and {precision.size} size decimals; Nautilus has 0 to {FIXED_DECIMALS}"
        )
    return precision


def _schema_difference(found: pa.Schema, expected: pa.Schema) -> str:
    if list(found.names) != list(COLUMNS):
        return f"wrong columns {found.names}, expected {list(COLUMNS)}"
    if any(found.field(name).type == pa.binary(8) for name in VALUE_COLUMNS):
        return LEGACY_PRICES
    for name in COLUMNS:
        if not found.field(name).equals(expected.field(name)):
            return f"column {name} is {found.field(name)}, expected {expected.field(name)}"
    ours, theirs = expected.metadata or {}, found.metadata or {}
    different = [_text(key) for key in ours if ours[key] != theirs.get(key)]
    pairs = ", ".join(f"{key} {_text(theirs.get(key.encode(), b'(none)'))}, expected {_text(ours[key.encode()])}" for key in different)
    return f"metadata differs: {pairs}" if pairs else f"unexpected metadata {sorted(_text(key) for key in theirs if key not in ours)}"


def _text(found: bytes) -> str:
    return found.decode(errors="replace")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
