"""Which column of a file is what: a layout laid over a file's first lines, and the questions that only a user can answer."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pyarrow as pa

from market_data_pipeline.domain.bar_types import DAY_NS, BarSpec
from market_data_pipeline.domain.errors import ConfigurationError, QuestionUnanswered, SourceRefused, UsageError
from market_data_pipeline.sources.csv.known_layouts import LAYOUTS
from market_data_pipeline.sources.csv.layout import DELIMITERS, OPTIONAL, CsvLayout, Prices, Stamp
from market_data_pipeline.sources.csv.lines import byte_size, read_blocks, refuse_other_files
from market_data_pipeline.sources.csv.time_forms import TimeForm, form_of
from market_data_pipeline.sources.csv.times import parse_times

_HEAD_LINES = 50


@dataclass(frozen=True)
class FileColumns:
    """How one file is read: the layout with nothing left open.

    Attributes:
        path: The file.
        layout: The layout, with what the user declared.
        delimiter: The character between fields.
        width: Columns of every row.
        positions: Field (time, clock, open, high, low, close, volume) to column, from 0.
        form: The form of the time stamps.
        first_data_line: Number of the first line behind the header.
        line_bytes: Mean bytes of a line, to estimate how many there are.
        symbol: The symbol whose rows are taken; None where there is but one.
        prices: Which of a file's prices are taken.
    """

    path: Path
    layout: CsvLayout
    delimiter: str
    width: int
    positions: dict[str, int]
    form: TimeForm
    first_data_line: int
    line_bytes: float
    symbol: str | None = None
    prices: Prices = Prices.AS_WRITTEN


@dataclass(frozen=True)
class Head:
    """The first lines of a file: (number, text) without blank ones, and the mean bytes of a line."""

    lines: list[tuple[int, str]]
    line_bytes: float


def head_of(path: Path) -> Head:
    """Return the first lines of a file.

    Raises:
        SourceError: If it cannot be read, is no text or holds no rows.
    """
    byte_size(path)
    refuse_other_files(path)
    # Two, because a last line without an end is a block of its own.
    blocks = islice(read_blocks(path, block_bytes=1 << 16), 2)
    text = b"".join(block.text for block in blocks).decode("utf-8", "replace").split("\n")[:-1]
    lines = [(i + 1, line) for i, line in enumerate(text[:_HEAD_LINES]) if line.strip()]
    if not lines:
        raise SourceRefused(f"{path} holds no rows.")
    size = sum(len(line) + 1 for line in text)
    return Head(lines, size / len(text))


def split_line(text: str, delimiter: str) -> list[str]:
    """Return the fields of one line, quotes taken off."""
    try:
        return next(csv.reader([text], delimiter=delimiter), [])
    except csv.Error:
        return text.split(delimiter)


def columns_of(path: Path, layout: CsvLayout, spec: BarSpec) -> FileColumns:
    """Lay a layout over a file.

    Raises:
        ConfigurationError: If a column of the layout is not in the file.
        QuestionUnanswered: If time zone, stamp convention or time form is neither written in the file nor declared.
        UsageError: If the file holds dates and the bars have a time of day.
        SourceRefused: If the file has no rows.
    """
    head = head_of(path)
    lines = head.lines[layout.preamble :]
    if not lines:
        raise SourceRefused(f"{path} holds no rows.")
    first = lines[0][1]
    numbered = [column for column in layout.columns.values() if isinstance(column, int)]
    delimiter = find_delimiter(layout.delimiter, first, max(numbered, default=5 if layout.volume is None else 6))
    names = split_line(first, delimiter)
    positions = positions_of(path, layout, names, delimiter)
    if layout.header and len(lines) < 2:
        raise SourceRefused(f"{path} has a header and no rows.")
    rows = lines[1:] if layout.header else lines
    example, form = _example(layout, [example_time(split_line(text, delimiter), positions) for _, text in rows])
    if form is None:
        raise QuestionUnanswered(
            f"{path.name}, line {rows[0][0]}: the time {example!r} can be read in more than one way, or in none. "
            "Say how times are written: --layout FILE.yaml with time_form, for example 'DD/MM/YYYY HH:MM'."
        )
    _ask(path, layout, example, form, spec)
    first_data = lines[0][0] + 1 if layout.header else (lines[0][0] if layout.preamble else 1)
    return FileColumns(path, layout, delimiter, len(names), positions, form, first_data, head.line_bytes)


def _example(layout: CsvLayout, examples: list[str]) -> tuple[str, TimeForm | None]:
    """Return the first stamp that can be read, and the form that reads it; the first row of a file may be a bad one."""
    for example in examples:
        form = form_of(layout.time_form, example)
        if form is not None and not parse_times(pa.array([example]), form).faults[0]:
            return example, form
    # Nothing fits a form that was declared: let each row say so.
    return examples[0], form_of(layout.time_form, examples[0])


def delimiter_of(path: Path, layout: CsvLayout) -> str:
    """Return the character between the fields of a file that is read by a layout."""
    first = head_of(path).lines[layout.preamble :][:1]
    numbered = [column for column in layout.columns.values() if isinstance(column, int)]
    return find_delimiter(layout.delimiter, first[0][1] if first else "", max(numbered, default=5 if layout.volume is None else 6))


def example_time(fields: list[str], positions: dict[str, int]) -> str:
    """Return the time stamp of a row; date and time joined by one space where they stand in two columns."""
    wanted = [positions[field] for field in ("time", "clock") if field in positions]
    return " ".join(fields[i].strip() for i in wanted if i < len(fields))


def find_delimiter(declared: str | None, line: str, least: int) -> str:
    """Return the character between fields: the declared one, or the first that parts a line into enough of them."""
    if declared is not None:
        return declared
    # A comma may be a decimal mark, so it is tried last.
    candidates = [DELIMITERS[name] for name in ("tab", "semicolon", "pipe", "comma")]
    enough = [c for c in candidates if len(split_line(line, c)) >= least]
    return enough[0] if enough else max(candidates, key=line.count)


def positions_of(path: Path, layout: CsvLayout, names: list[str], delimiter: str) -> dict[str, int]:
    """Return field to column, from 0.

    Raises:
        ConfigurationError: If a column of the layout is not in the file, or twice.
    """
    lowered = [name.strip().lower() for name in names]
    positions = {}
    for field, column in layout.columns.items():
        if isinstance(column, int):
            if column > len(names):
                raise ConfigurationError(f"{path.name} has {len(names)} columns (split by {delimiter!r}), but {field} is said to be column {column}.")
            positions[field] = column - 1
            continue
        key = column.strip().lower()
        if lowered.count(key) > 1:
            raise ConfigurationError(f"{path.name} has {lowered.count(key)} columns called {column!r}. Number the columns in the layout, from 1.")
        if key in lowered:
            positions[field] = lowered.index(key)
        elif not (field in OPTIONAL and layout.name in LAYOUTS):  # known exporters leave volume out where there is none
            raise ConfigurationError(
                f"{path.name} has no column {column!r} for {field}; its header (split by {delimiter!r}) is {', '.join(map(repr, names))[:200]}. "
                f"Pass another --layout: {', '.join(LAYOUTS)}, or FILE.yaml."
            )
    return positions


def _ask(path: Path, layout: CsvLayout, example: str, form: TimeForm, spec: BarSpec) -> None:
    """Raise what has to be asked before the file can be read, all of it in one message."""
    stamp = parse_times(pa.array([example]), form)
    if stamp.faults[0]:
        return
    if not stamp.has_clock[0]:
        if not spec.is_daily_or_longer:
            raise UsageError(
                f"{path.name} holds dates without a time of day ({example!r}), and {spec} bars have one. Pass --bar 1-DAY-{spec.price_type}."
            )
        return
    questions = []
    # A day bar at 00:00 is labelled by its date as it stands, and so is one stamped at its close.
    dated = spec.is_daily_or_longer and (layout.stamp is not Stamp.OPEN or stamp.wall_ns[0] % DAY_NS == 0)
    if not (stamp.has_offset[0] or layout.time_zone or dated):
        questions.append(f"times such as {example!r} carry no UTC offset: pass --timezone, for example America/New_York or UTC")
    if layout.stamp is None:
        questions.append("it does not say which end of a bar its stamps name: pass --stamp open or --stamp close")
    if questions:
        raise QuestionUnanswered(f"{path.name}: {'; and '.join(questions)}. Or pass --layout with a layout that knows: {', '.join(LAYOUTS)}.")
