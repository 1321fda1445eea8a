"""A bounded look into files: head, middle and end, for what changes far from the head (DST, weekends) must be seen too."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from market_data_pipeline.sources.csv.columns import positions_of, split_line
from market_data_pipeline.sources.csv.layout import CsvLayout
from market_data_pipeline.sources.csv.lines import is_gzip_or_utf16, is_utf8, read_blocks, text_size

# Enough for ten years of hours or two of minutes in one piece; what is larger is looked at in pieces.
BUDGET_BYTES = 16 << 20
_LEAST_BYTES = 256 << 10
_PIECES = 24


@dataclass(frozen=True)
class Sample:
    """Rows of some files of one shape, in the order of files and lines; columns as text.

    Attributes:
        times: Time stamps; date and time of day joined by one space.
        values: Field (open, high, low, close, volume, symbol) to its column; what the layout lacks is absent.
        whole: True where every row of every file is here.
        breaks: Positions at which rows do not follow on the row before: another file, or a piece further on.
    """

    times: pa.Array
    values: dict[str, pa.Array]
    whole: bool
    breaks: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.times)

    def filtered(self, keep: npt.NDArray[np.bool_]) -> Sample:
        """Return the rows where `keep` is True."""
        mask = pa.array(keep)
        kept_before = np.concatenate(([0], np.cumsum(keep)))
        breaks = tuple(int(kept_before[i]) for i in self.breaks)
        return Sample(self.times.filter(mask), {name: column.filter(mask) for name, column in self.values.items()}, self.whole, breaks)


def sample_of(paths: Sequence[Path], layout: CsvLayout, delimiter: str, budget: int = BUDGET_BYTES) -> Sample:
    """Return a sample of files that one layout describes.

    Args:
        paths: The files.
        layout: Says which columns to read.
        delimiter: The character between fields.
        budget: Bytes of text to look at, in all files together (256 KB of each at least).

    Raises:
        SourceError: If a file cannot be read.
        ConfigurationError: If the layout does not fit.
    """
    each = max(budget // len(paths), _LEAST_BYTES)
    tables: list[pa.Table] = []
    whole = True
    breaks: list[int] = []
    rows = 0
    for path in paths:
        for text, is_all in _pieces(path, each):
            whole &= is_all
            table = _table(path, text, layout, delimiter)
            if table is not None and table.num_rows:
                breaks.append(rows)
                rows += table.num_rows
                tables.append(table)
    names = ["time", *(field for field in layout.columns if field not in ("time", "clock"))]
    if not tables:
        empty = pa.array([], pa.string())
        return Sample(empty, dict.fromkeys(names[1:], empty), whole, ())
    together = pa.concat_tables(tables)
    columns = {name: together.column(name).combine_chunks() for name in together.column_names}
    return Sample(columns.pop("time"), columns, whole, tuple(breaks[1:]))


def _pieces(path: Path, budget: int) -> Iterator[tuple[bytes, bool]]:
    """Yield pieces of whole lines, and whether the pieces so far are all of the file."""
    size = text_size(path)
    if size <= budget or is_gzip_or_utf16(path):
        # Compressed text can only be read from its start: more of it is taken, and what lies behind is not seen.
        taken, most = 0, budget if size <= budget else 4 * budget
        texts: list[bytes] = []
        for block in read_blocks(path, block_bytes=min(1 << 20, most)):
            texts.append(block.text)
            taken += len(block.text)
            if taken >= most:
                yield b"".join(texts), False
                return
        yield b"".join(texts), True
        return
    length = budget // _PIECES
    starts = np.linspace(0, size - length, _PIECES).astype(np.int64)
    with path.open("rb") as file:
        for start in starts:
            file.seek(int(start))
            text = file.read(length).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
            first = 0 if start == 0 else text.find(b"\n") + 1
            last = len(text) if start == starts[-1] else text.rfind(b"\n") + 1
            yield text[first:last], False


def _table(path: Path, text: bytes, layout: CsvLayout, delimiter: str) -> pa.Table | None:
    """Return the columns of a layout out of a piece of text; lines that are no rows are left out. The first piece has the header."""
    lines = text.split(b"\n", 12)
    first = next((line for line in lines[layout.preamble :] if line.strip()), b"").decode("utf-8", "replace")
    width = _width(path, layout, delimiter)
    if not first or not width or not is_utf8(text):
        return None
    names = [f"f{i}" for i in range(width)]
    try:
        table = pacsv.read_csv(
            pa.BufferReader(text if text.endswith(b"\n") else text + b"\n"),
            pacsv.ReadOptions(use_threads=False, column_names=names, block_size=len(text) + 2),
            pacsv.ParseOptions(delimiter=delimiter, invalid_row_handler=lambda _: "skip"),
            pacsv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False),
        )
    except pa.ArrowInvalid:
        return None
    header = _header(path, layout)
    positions = positions_of(path, layout, split_line(header, delimiter), delimiter)
    column = {field: table.column(at).combine_chunks() for field, at in positions.items()}
    time = pc.utf8_trim_whitespace(column.pop("time"))
    if "clock" in column:
        time = pc.binary_join_element_wise(time, pc.utf8_trim_whitespace(column.pop("clock")), " ")
    found = pa.table({"time": time, **column})
    if layout.header and text.lstrip().startswith(header.strip().encode()[:40]):
        return found.slice(1)
    if layout.header and layout.preamble and found.num_rows and not any(c.isdigit() for c in str(found.column("open")[0])):
        return found.slice(1)
    return found


def _header(path: Path, layout: CsvLayout) -> str:
    from market_data_pipeline.sources.csv.columns import head_of

    return head_of(path).lines[layout.preamble][1]


def _width(path: Path, layout: CsvLayout, delimiter: str) -> int:
    return len(split_line(_header(path, layout), delimiter))
