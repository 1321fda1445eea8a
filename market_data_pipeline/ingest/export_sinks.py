"""Where exported bars go: a CSV, Parquet or Arrow file that appears whole or not at all, or a pipe."""

from __future__ import annotations

import errno
import gzip
import io
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO, Protocol

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv

from market_data_pipeline.domain.bar_table import BarTable
from market_data_pipeline.domain.errors import DiskFull, StorageFailed, UsageError
from market_data_pipeline.domain.sessions import Partitions
from market_data_pipeline.ingest.export_columns import Columns

# One row group, or one record batch: what readers take at once. 5 MB of columns.
ROWS_AT_ONCE = 100_000


class Format(StrEnum):
    """What an exported file is."""

    CSV = "csv"
    PARQUET = "parquet"
    ARROW = "arrow"


class Existing(StrEnum):
    """What to do where a file of the name is there already."""

    REFUSE = "refuse"
    REPLACE = "replace"


class Encoder(Protocol):
    """Writes bars to an open file."""

    def write(self, bars: BarTable) -> None:
        """Write bars, which come in order."""

    def close(self) -> None:
        """Write what ends the file."""


class _Counted(io.RawIOBase):
    """A pipe that knows how many bytes went in: Parquet and Arrow ask where they are, and a pipe cannot tell."""

    def __init__(self, pipe: BinaryIO) -> None:
        self._pipe = pipe
        self._written = 0

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        view = memoryview(data)  # type: ignore[arg-type]  # whatever Arrow hands over is a buffer
        self._pipe.write(view)
        self._written += view.nbytes
        return view.nbytes

    def tell(self) -> int:
        return self._written

    def flush(self) -> None:
        self._pipe.flush()

    def close(self) -> None:
        """Leave the pipe open: it is not ours."""


# What an encoder writes to.
type _Sink = BinaryIO | gzip.GzipFile | _Counted


class _CsvEncoder:
    """Text, exact to the last decimal. A CSV file has no place for metadata."""

    def __init__(self, sink: _Sink, columns: Columns, partitions: Partitions) -> None:
        self._columns, self._partitions = columns, partitions
        schema = pa.schema([pa.field(name, pa.string()) for name in columns.names])
        # No text of ours needs a quote.
        self._writer = csv.CSVWriter(sink, schema, write_options=csv.WriteOptions(quoting_style="none", quoting_header="none"))

    def write(self, bars: BarTable) -> None:
        self._writer.write_batch(self._columns.text(bars, self._partitions))

    def close(self) -> None:
        self._writer.close()


class _ArrowEncoder:
    """Arrow's file format, which can be mapped into memory; into a pipe its stream format, which needs no end to be read."""

    def __init__(self, sink: _Sink, columns: Columns, partitions: Partitions, metadata: dict[str, str], *, piped: bool) -> None:
        self._columns, self._partitions, self._schema = columns, partitions, columns.schema(metadata)
        self._writer = (pa.ipc.new_stream if piped else pa.ipc.new_file)(sink, self._schema)

    def write(self, bars: BarTable) -> None:
        self._writer.write_batch(self._columns.arrow(bars, self._partitions, self._schema))

    def close(self) -> None:
        self._writer.close()


class _ParquetEncoder:
    """One row group for each piece, with statistics by which a reader skips those outside a range of time, and checksums of pages."""

    def __init__(self, sink: _Sink, columns: Columns, partitions: Partitions, metadata: dict[str, str]) -> None:
        self._columns, self._partitions, self._schema = columns, partitions, columns.schema(metadata)
        self._writer = pq.ParquetWriter(sink, self._schema, compression="zstd", write_page_checksum=True)

    def write(self, bars: BarTable) -> None:
        self._writer.write_batch(self._columns.arrow(bars, self._partitions, self._schema))

    def close(self) -> None:
        self._writer.close()


class _Told:
    """An encoder whose errors say which file could not be written."""

    def __init__(self, encoder: Encoder, path: Path) -> None:
        self._encoder, self._path = encoder, path

    def write(self, bars: BarTable) -> None:
        with _writing(self._path):
            self._encoder.write(bars)

    def close(self) -> None:
        with _writing(self._path):
            self._encoder.close()


@contextmanager
def encoder_into_pipe(
    pipe: BinaryIO, form: Format, columns: Columns, partitions: Partitions, metadata: dict[str, str]
) -> Iterator[tuple[Encoder, _Counted]]:
    """Lend an encoder into a pipe, and what counts its bytes."""
    counted = _Counted(pipe)
    with _ended(_encoder(counted, form, columns, partitions, metadata, piped=True)) as encoder:
        yield encoder, counted
    counted.flush()


@contextmanager
def encoder_into_file(
    path: Path, form: Format, columns: Columns, partitions: Partitions, metadata: dict[str, str], existing: Existing
) -> Iterator[Encoder]:
    """Lend an encoder into a file that appears under its name when it is whole, and else leaves nothing.

    Args:
        path: The file; its folder is made. `.gz` is compressed.
        form: What it is.
        columns: Its columns.
        partitions: Of the series.
        metadata: What the file says of itself, where its format can.
        existing: What to do where a file of that name appeared meanwhile.

    Raises:
        UsageError: If there is such a file and it may not be replaced.
        DiskFull: If there is no room for it.
        StorageFailed: If it cannot be written.
    """
    temporary = path.parent / f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp"
    try:
        with _writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            file = temporary.open("xb")
        with file:
            # The same bars make the same bytes: no time of writing in the header.
            zipped = gzip.GzipFile(path.name.removesuffix(".gz"), "wb", fileobj=file, mtime=0) if path.suffix == ".gz" else None
            with _ended(_Told(_encoder(file if zipped is None else zipped, form, columns, partitions, metadata, piped=False), path)) as encoder:
                yield encoder
            with _writing(path):
                if zipped is not None:
                    zipped.close()
                file.flush()
                os.fsync(file.fileno())
        if existing is Existing.REFUSE:
            refuse_existing([path])
        with _writing(path):
            os.replace(temporary, path)
    finally:
        with suppress(OSError):  # where its folder is none, nothing is there either
            temporary.unlink()


@contextmanager
def _ended(encoder: Encoder) -> Iterator[Encoder]:
    """Lend an encoder, and end it: also where what it wrote is thrown away, as it would else end itself later and complain."""
    try:
        yield encoder
    except BaseException:
        with suppress(OSError, ValueError, StorageFailed, DiskFull, pa.ArrowException):
            encoder.close()
        raise
    encoder.close()


def _encoder(sink: _Sink, form: Format, columns: Columns, partitions: Partitions, metadata: dict[str, str], *, piped: bool) -> Encoder:
    if form is Format.CSV:
        return _CsvEncoder(sink, columns, partitions)
    if form is Format.ARROW:
        return _ArrowEncoder(sink, columns, partitions, metadata, piped=piped)
    return _ParquetEncoder(sink, columns, partitions, metadata)


def refuse_existing(paths: list[Path]) -> None:
    """Refuse to write over files.

    Raises:
        UsageError: With the first few that are there.
    """
    there = [path for path in paths if path.exists()]
    if there:
        named = ", ".join(map(str, there[:3])) + (f" and {len(there) - 3:,} more" if len(there) > 3 else "")
        raise UsageError(f"{named} {'is' if len(there) == 1 else 'are'} there already. Nothing was written. Give another --out, or --overwrite.")


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(f"{path}: the disk is full. Nothing of the file was kept. Free some room, or give another --out.") from error
        raise StorageFailed(f"{path} cannot be written: {error.strerror or error}. Nothing of it was kept.") from error
