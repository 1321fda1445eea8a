"""The lines of a text file in blocks, with their true numbers: plain or gzip, UTF-8 or UTF-16, any line ending."""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from market_data_pipeline.domain.errors import SourceRefused, SourceUnavailable

BLOCK_BYTES = 1 << 22
_LONGEST_LINE = 1 << 20
_GZIP = b"\x1f\x8b"
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True)
class Block:
    r"""Whole lines of a file.

    Attributes:
        first_line: Number of the first line, counted from 1 in the file.
        text: UTF-8 bytes (unchecked); every line ends with one `\n`, the last one too.
    """

    first_line: int
    text: bytes


def byte_size(path: Path) -> int:
    """Return the bytes of a file on disk.

    Raises:
        SourceUnavailable: If there is no such file.
        SourceRefused: If it is a folder or empty.
    """
    try:
        if path.is_dir():
            raise SourceRefused(f"{path} is a folder. Name the CSV files in it, for example {path}/*.csv.")
        size = path.stat().st_size
    except OSError as error:
        raise SourceUnavailable(f"The file {path} cannot be read: {error.strerror}. Check the path, then run this again.") from None
    if not size:
        raise SourceRefused(f"The file {path} is empty.")
    return size


# What is saved or sent as .csv and is something else, by how it begins.
_OTHER_FILES = (
    (b"PK\x03\x04", "an Excel workbook or another zip archive", "Save the sheet as CSV, or unpack the archive"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook", "Save the sheet as CSV"),
    (b"PAR1", "a Parquet file", "A Nautilus catalog is read with mdp catalog adopt"),
    (b"%PDF", "a PDF", "Get the data as CSV"),
)


def refuse_other_files(path: Path) -> None:
    """Refuse what is no text: a workbook, an archive, a web page, bytes.

    Raises:
        SourceRefused: Saying what it is and what to do.
        SourceUnavailable: If the file cannot be opened.
    """
    start = next(read_blocks(path, block_bytes=1 << 12)).text[: 1 << 12] if not _is_plain(path) else _first_bytes(path)
    for magic, what, way in _OTHER_FILES:
        if start.startswith(magic):
            raise SourceRefused(f"{path} is {what}, not a CSV file. {way}.")
    if start.startswith(_UTF16):
        return
    text = start.removeprefix(codecs.BOM_UTF8).lstrip().lower()
    if text.startswith((b"<!doctype", b"<html", b"<?xml")):
        raise SourceRefused(f"{path} is a web page, not a CSV file (it begins {text[:40].decode('utf-8', 'replace')!r}). Get the file again.")
    if text.startswith((b"{", b"[")):
        raise SourceRefused(f"{path} is JSON, not a CSV file (it begins {text[:40].decode('utf-8', 'replace')!r}). Get the data as CSV.")
    if b"\0" in start.partition(b"\n")[0]:
        raise SourceRefused(f"{path} holds bytes that are no text, so it is no CSV file. Get the file again.")


def is_gzip_or_utf16(path: Path) -> bool:
    """Return whether a file's text can only be read from its start."""
    return _first_bytes(path, 2) in (_GZIP, *_UTF16)


def _is_plain(path: Path) -> bool:
    return _first_bytes(path, 2) != _GZIP


def _first_bytes(path: Path, count: int = 1 << 12) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(count)
    except OSError as error:
        raise SourceUnavailable(f"The file {path} cannot be read: {error.strerror or error}.") from None


def is_utf8(text: bytes) -> bool:
    """Return whether text is UTF-8. Arrow refuses what is not, and writes a traceback to the terminal where that is a row of too many fields."""
    if text.isascii():
        return True
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def text_size(path: Path) -> int:
    """Return the bytes of a file's text; for gzip what its last member says of itself, or five times the file, whichever is more."""
    size = byte_size(path)
    with path.open("rb") as file:
        if file.read(2) != _GZIP:
            return size
        file.seek(max(0, size - 4))
        return max(5 * size, int.from_bytes(file.read(4), "little"))


def read_blocks(path: Path, progress: Callable[[int], None] | None = None, block_bytes: int = BLOCK_BYTES) -> Iterator[Block]:
    """Yield a file's lines in blocks of about `block_bytes`, telling `progress` how many bytes of the file were taken.

    Raises:
        SourceUnavailable: If the file cannot be opened.
        SourceRefused: If it is a broken gzip file, or a line is longer than a megabyte.
    """
    try:
        with path.open("rb") as file:
            yield from _blocks(path, file, progress, block_bytes)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise SourceRefused(f"{path} is a broken gzip file ({error}). Nothing was written. Get the file again.") from None
    except UnicodeDecodeError as error:
        raise SourceRefused(f"{path} begins as UTF-16 text and does not go on so ({error.reason}). Save it as UTF-8.") from None
    except OSError as error:
        raise SourceUnavailable(f"The file {path} cannot be read: {error.strerror or error}.") from None


def _blocks(path: Path, file: BinaryIO, progress: Callable[[int], None] | None, block_bytes: int) -> Iterator[Block]:
    line = 1
    rest = b""
    for piece in _pieces(file, block_bytes):
        if progress is not None:
            progress(file.tell())
        rest += piece
        cut = _last_line_end(rest)
        if not cut:
            if len(rest) > max(_LONGEST_LINE, block_bytes):
                raise SourceRefused(f"{path}, line {line} is longer than {_LONGEST_LINE:,} bytes: this is no CSV file of bars.")
            continue
        text, rest = _unix(rest[:cut]), rest[cut:]
        yield Block(line, text)
        line += text.count(b"\n")
    if rest:
        # The last line of many files has no end.
        text = _unix(rest)
        yield Block(line, text if text.endswith(b"\n") else text + b"\n")


def _pieces(file: BinaryIO, block_bytes: int) -> Iterator[bytes]:
    """Yield the text as UTF-8 bytes, without a byte order mark."""
    start = file.read(2)
    file.seek(0)
    source: BinaryIO | gzip.GzipFile = gzip.GzipFile(fileobj=file) if start == _GZIP else file
    first = _read(source, block_bytes)
    if first.startswith(_UTF16):
        decoder = codecs.getincrementaldecoder("utf-16")()
        while first:
            yield decoder.decode(first).encode()
            first = _read(source, block_bytes)
        decoder.decode(b"", final=True)
        return
    first = first.removeprefix(codecs.BOM_UTF8)
    while first:
        yield first
        first = _read(source, block_bytes)


def _read(source: BinaryIO | gzip.GzipFile, size: int) -> bytes:
    # GzipFile.read gives what one inflated buffer holds; blocks should be full, and the last read empty.
    buffer = io.BytesIO()
    while size > 0 and (piece := source.read(size)):
        buffer.write(piece)
        size -= len(piece)
    return buffer.getvalue()


def _last_line_end(text: bytes) -> int:
    """Return where the last whole line ends; 0 if there is none."""
    end = text.rfind(b"\n") + 1
    # Old Mac files have \r alone. A \r at the very end may be half of a \r\n.
    return end or text.rfind(b"\r", 0, -1) + 1


def _unix(text: bytes) -> bytes:
    if b"\r" not in text:
        return text
    return text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
