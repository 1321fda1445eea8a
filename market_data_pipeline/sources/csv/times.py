"""A column of time stamps as written, turned into nanoseconds: by the shape of its texts, whole columns at once."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from market_data_pipeline.domain.bar_table import Int64s
from market_data_pipeline.domain.bar_types import DAY_NS, NANOSECONDS
from market_data_pipeline.sources.csv.time_forms import EpochForm, TextForm, TimeForm
from market_data_pipeline.tabular.numbers import Codes, NumberFault, parse_numbers

Bools = npt.NDArray[np.bool_]
Bytes = npt.NDArray[np.uint8]

FIRST_YEAR, LAST_YEAR = 1970, 2199
_MONTHS = np.arange(f"{FIRST_YEAR}-01", f"{LAST_YEAR + 1}-02", dtype="datetime64[M]").astype("datetime64[D]").astype(np.int64)
END_NS = int(_MONTHS[-1]) * DAY_NS
_NAMES = {name: i + 1 for i, name in enumerate(("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"))}


class TimeFault(IntEnum):
    """Why a text is not taken as a time; 0 is none."""

    NONE = 0
    EMPTY = 1
    NOT_A_TIME = 2
    ABSURD = 3


@dataclass(frozen=True)
class Stamps:
    """Time stamps as they were written; arrays of shape (n,).

    Attributes:
        wall_ns: int64 nanoseconds since 1970 of the clock that the text shows; an epoch shows UTC.
        offset_ns: int64 nanoseconds that this clock is ahead of UTC; 0 where the text does not say.
        has_offset: True where the text says its offset (and for epochs).
        has_clock: True where the text has a time of day.
        faults: uint8 of `TimeFault`; wall_ns is 0 there.
    """

    wall_ns: Int64s
    offset_ns: Int64s
    has_offset: Bools
    has_clock: Bools
    faults: Codes


def parse_times(column: pa.Array, form: TimeForm) -> Stamps:
    """Parse a string column of time stamps, all of one form."""
    return _parse_epochs(column, form) if isinstance(form, EpochForm) else _parse_texts(column, form)


def _parse_epochs(column: pa.Array, form: EpochForm) -> Stamps:
    numbers = parse_numbers(column, form.decimals)
    n = len(column)
    faults = np.zeros(n, dtype=np.uint8)
    if numbers.faults is not None:
        faults[numbers.faults != NumberFault.NONE] = TimeFault.NOT_A_TIME
        faults[numbers.faults == NumberFault.EMPTY] = TimeFault.EMPTY
        faults[numbers.faults == NumberFault.TOO_LARGE] = TimeFault.ABSURD
    absurd = (numbers.mantissas < 0) | (numbers.mantissas >= END_NS)
    faults[absurd] = TimeFault.ABSURD
    wall = np.where(faults == TimeFault.NONE, numbers.mantissas, 0)
    return Stamps(wall, np.zeros(n, dtype=np.int64), np.ones(n, dtype=np.bool_), np.ones(n, dtype=np.bool_), faults)


@dataclass(frozen=True)
class _Template:
    """Where the parts stand in texts of one shape: spans by group name, and the bytes between them."""

    width: int
    parts: dict[str, tuple[int, int]]
    fixed: tuple[tuple[int, int], ...]


def _template_of(expression: re.Pattern[str], text: str) -> _Template | None:
    match = expression.fullmatch(text)
    if match is None:
        return None
    # Z is checked like any other fixed byte.
    parts = {name: match.span(name) for name, value in match.groupdict().items() if value is not None}
    taken = {i for name, (start, stop) in parts.items() if name != "zulu" for i in range(start, stop)}
    return _Template(len(text), parts, tuple((i, ord(c)) for i, c in enumerate(text) if i not in taken))


class _Texts:
    """The bytes of a string array, row by row."""

    def __init__(self, column: pa.Array) -> None:
        _, offsets, data = column.buffers()
        ends = np.frombuffer(offsets, dtype=np.int32)[column.offset : column.offset + len(column) + 1]
        self.starts = ends[:-1].astype(np.int64)
        self.lengths = np.diff(ends)
        self.bytes = np.frombuffer(data, dtype=np.uint8) if data is not None else np.empty(0, dtype=np.uint8)

    def columns(self, rows: Int64s, width: int) -> Bytes:
        """Return the bytes of rows that are `width` long, transposed: shape (width, rows), each position in one piece of memory."""
        if len(rows) == len(self.starts):
            first = int(self.starts[0])
            matrix = self.bytes[first : first + len(rows) * width].reshape(-1, width)
        else:
            matrix = self.bytes[self.starts[rows][:, None] + np.arange(width)]
        return np.ascontiguousarray(matrix.T)


def _parse_texts(column: pa.Array, form: TextForm) -> Stamps:
    n = len(column)
    expression = form.expression
    result = Stamps(
        np.zeros(n, dtype=np.int64),
        np.zeros(n, dtype=np.int64),
        np.zeros(n, dtype=np.bool_),
        np.zeros(n, dtype=np.bool_),
        np.full(n, TimeFault.NOT_A_TIME, dtype=np.uint8),
    )
    texts = _Texts(column)
    left = np.arange(n, dtype=np.int64)
    filtered = False
    # Rows of one shape are parsed together. A well kept file has one shape, some have a few.
    while len(left):
        template = _template_of(expression, column[int(left[0])].as_py())
        if template is None:
            if filtered:  # Arrow's and Python's expressions agree, so this row is an oddity of its own
                left = left[1:]
                continue
            filtered = True
            column = pc.utf8_trim_whitespace(column)
            texts = _Texts(column)
            result.faults[left[texts.lengths[left] == 0]] = TimeFault.EMPTY
            could_be = pc.match_substring_regex(column, f"^(?:{form.pattern})$").to_numpy(zero_copy_only=False)
            left = left[could_be[left]]
            continue
        same = texts.lengths[left] == template.width
        rows = left if same.all() else left[same]
        fits = _parse_shape(texts.columns(rows, template.width), template, rows, result)
        left = np.concatenate((left[~same], rows[~fits])) if not (same.all() and fits.all()) else left[:0]
        left.sort()
    return result


def _parse_shape(columns: Bytes, template: _Template, rows: Int64s, result: Stamps) -> Bools:
    """Write the rows of one shape into `result` and return which rows had it."""
    fits = np.ones(len(rows), dtype=np.bool_)
    for position, byte in template.fixed:
        fits &= columns[position] == byte
    part: dict[str, Int64s] = {}
    for name, (start, stop) in template.parts.items():
        if name not in ("zulu", "sign", "b", "p"):
            part[name] = _digits(columns[start:stop], fits)
    right = fits.copy()
    day = _day_numbers(part, columns, template, right)
    absurd = day < 0
    nanos = _nanoseconds_of_day(part, columns, template, right)
    offset = _offsets(part, columns, template, right)
    wall = np.maximum(day, 0) * DAY_NS + nanos
    utc = wall - offset
    absurd |= (utc < 0) | (utc >= END_NS)

    good = right & ~absurd
    took = rows[fits]
    result.faults[took] = np.where(right, np.where(absurd, TimeFault.ABSURD, TimeFault.NONE), TimeFault.NOT_A_TIME)[fits]
    result.wall_ns[took] = np.where(good, wall, 0)[fits]
    result.offset_ns[took] = np.where(good, offset, 0)[fits]
    result.has_offset[took] = "zulu" in template.parts or "zh" in template.parts
    result.has_clock[took] = "H" in template.parts or "I" in template.parts
    return fits


def _digits(columns: Bytes, fits: Bools) -> Int64s:
    value = np.zeros(columns.shape[1], dtype=np.int32)
    for column in columns:
        digit = column - np.uint8(48)
        np.logical_and(fits, digit <= 9, out=fits)
        value *= 10
        value += digit
    return value.astype(np.int64)


def _day_numbers(part: dict[str, Int64s], columns: Bytes, template: _Template, right: Bools) -> Int64s:
    """Return days since 1970; -1 where the year is absurd. Clears `right` where the date does not exist."""
    year = part["Y"] if "Y" in part else part["y"] + np.where(part["y"] < 70, 2000, 1900)
    month = part["m"] if "m" in part else _month_of_name(columns[slice(*template.parts["b"])])
    right &= (month >= 1) & (month <= 12) & (part["d"] >= 1) & (part["d"] <= 31)
    index = (year - FIRST_YEAR) * 12 + month - 1
    known = (year >= FIRST_YEAR) & (year <= LAST_YEAR)
    index = np.where(known & right, index, 0)
    right &= ~known | (part["d"] <= _MONTHS[index + 1] - _MONTHS[index])
    return np.where(known, _MONTHS[index] + part["d"] - 1, -1)


def _month_of_name(columns: Bytes) -> Int64s:
    # | 32 makes ASCII letters small.
    letters = np.ascontiguousarray((columns | 32).T).view("S3").ravel()
    names, where = np.unique(letters, return_inverse=True)
    months = np.array([_NAMES.get(name.decode("ascii", "replace"), 0) for name in names], dtype=np.int64)
    return months[where]


def _nanoseconds_of_day(part: dict[str, Int64s], columns: Bytes, template: _Template, right: Bools) -> Int64s | int:
    if "H" not in part and "I" not in part:
        return 0
    if "H" in part:
        hour = part["H"]
    else:
        right &= (part["I"] >= 1) & (part["I"] <= 12)
        hour = part["I"] % 12 + 12 * ((columns[template.parts["p"][0]] | 32) == ord("p"))
    right &= hour <= 23
    seconds = hour * 3_600
    for name, unit in (("M", 60), ("S", 1)):
        if name in part:
            right &= part[name] <= 59
            seconds += part[name] * unit
    nanos = seconds * NANOSECONDS
    if "f" in part:
        start, stop = template.parts["f"]
        nanos += part["f"] * 10 ** (9 - (stop - start))
    return nanos


def _offsets(part: dict[str, Int64s], columns: Bytes, template: _Template, right: Bools) -> Int64s | int:
    if "zh" not in part:
        return 0
    sign = columns[template.parts["sign"][0]]
    right &= (sign == ord("+")) | (sign == ord("-"))
    minutes = part["zh"] * 60
    if "zm" in part:
        right &= part["zm"] <= 59
        minutes = minutes + part["zm"]
    right &= minutes <= 18 * 60
    return np.where(sign == ord("-"), -minutes, minutes) * 60 * NANOSECONDS
