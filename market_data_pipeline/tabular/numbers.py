"""Numbers as text, turned into whole numbers of the last decimal: exactly, or not at all."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from enum import IntEnum

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from market_data_pipeline.domain.bar_table import Int64s

Codes = npt.NDArray[np.uint8]

# Arrow's decimal128 has 38 digits and wraps around silently beyond.
_SAFE_LENGTH = 37
_PLAIN = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)$"
_EXPONENT = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)[eE][+-]?[0-9]{1,3}$"


class NumberFault(IntEnum):
    """Why a text is not taken as a number; 0 is none."""

    NONE = 0
    EMPTY = 1
    NOT_A_NUMBER = 2
    TOO_PRECISE = 3
    TOO_LARGE = 4


@dataclass(frozen=True)
class Numbers:
    """A column of numbers.

    Attributes:
        mantissas: Shape (n,), int64, units of 10**-decimals; 0 where there is a fault.
        faults: Shape (n,), uint8 of `NumberFault`; None if there are none.
        decimals_needed: Decimals of the most precise number among the `TOO_PRECISE`; 0 if there is none.
    """

    mantissas: Int64s
    faults: Codes | None = None
    decimals_needed: int = 0


def without_marks(column: pa.Array, marks: str) -> pa.Array:
    """Return numbers without their currency sign, and without commas (blanks, apostrophes) that part thousands; other texts as they are.

    `1,234.56` and `$187.15` lose their marks. `1,23` and `1.234,56` keep them, and are no numbers then.
    """
    signs = "".join(mark for mark in marks if mark in "$€£")
    if signs:
        column = pc.replace_substring_regex(column, f"^\\s*([+-]?)[{signs}]\\s*", r"\1")
    for mark in marks:
        if mark in signs or not pc.any(pc.match_substring(column, mark)).as_py():
            continue
        grouped = pc.match_substring_regex(column, rf"^\s*[+-]?[0-9]{{1,3}}(?:{re.escape(mark)}[0-9]{{3}})+(?:\.[0-9]*)?\s*$")
        column = pc.if_else(grouped, pc.replace_substring(column, mark, ""), column)
    return column


def parse_scaled(column: pa.Array, decimals: int, written_decimals: int) -> Numbers:
    """Parse whole numbers of 10**-written_decimals exactly at `decimals`: 187150000000 of 1e-9 is 187.15."""
    whole = parse_numbers(column, 0)
    values, faults = whole.mantissas, np.zeros(len(column), dtype=np.uint8) if whole.faults is None else whole.faults.copy()
    if decimals >= written_decimals:
        shifted = values * 10 ** (decimals - written_decimals)
        faults[(faults == NumberFault.NONE) & (shifted // 10 ** (decimals - written_decimals) != values)] = NumberFault.TOO_LARGE
        most = 0
    else:
        shifted, rest = np.divmod(values, 10 ** (written_decimals - decimals))
        beyond = (faults == NumberFault.NONE) & (rest != 0)
        faults[beyond] = NumberFault.TOO_PRECISE
        most = max((_decimals_of(int(value), written_decimals) for value in np.unique(values[beyond])[:1000]), default=0)
    shifted = np.where(faults == NumberFault.NONE, shifted, 0)
    return Numbers(shifted, faults if faults.any() else None, most)


def _decimals_of(value: int, written: int) -> int:
    while written and value % 10 == 0:
        value, written = value // 10, written - 1
    return written


def parse_numbers(column: pa.Array, decimals: int, decimal_mark: str = ".") -> Numbers:
    """Parse a string column exactly at `decimals`. Zeros beyond are fine, and so are exponents where the value fits."""
    if decimal_mark != ".":
        # A point is then no part of a number; thousands separators are refused in both styles.
        column = pc.replace_substring(pc.replace_substring(column, ".", "?"), decimal_mark, ".")
    if len(column) and pc.max(pc.binary_length(column)).as_py() <= _SAFE_LENGTH:
        try:
            cast = column.cast(pa.decimal128(38, decimals))
        except pa.ArrowInvalid:
            pass
        else:
            values, fits = _int64(cast)
            if fits.all():
                return Numbers(values)
    return _parse_with_faults(column, decimals)


def _int64(column: pa.Array) -> tuple[Int64s, npt.NDArray[np.bool_]]:
    """Return the low halves of a decimal128 array, and where they are the whole value."""
    halves = np.frombuffer(column.buffers()[1], dtype=np.int64).reshape(-1, 2)[column.offset : column.offset + len(column)]
    low, high = halves[:, 0].copy(), halves[:, 1]
    return low, high == low >> 63


def _parse_with_faults(column: pa.Array, decimals: int) -> Numbers:
    text = pc.utf8_trim_whitespace(column)
    length = pc.binary_length(text)
    faults = np.full(len(text), NumberFault.NOT_A_NUMBER, dtype=np.uint8)
    faults[_mask(pc.equal(length, 0))] = NumberFault.EMPTY
    plain = _mask(pc.match_substring_regex(text, _PLAIN))
    point = pc.find_substring(text, ".")
    # "1.50" needs one decimal. Zeros are cut only behind a point: 100 stays 100.
    cut = pc.if_else(pc.equal(point, -1), text, pc.utf8_rtrim(text, "0"))
    needed = np.where(_mask(pc.equal(point, -1)), 0, np.asarray(pc.binary_length(cut)) - np.asarray(point) - 1)
    short = np.asarray(length) <= _SAFE_LENGTH
    faults[plain] = np.where(needed[plain] > decimals, NumberFault.TOO_PRECISE, NumberFault.NONE)
    most = int(needed[plain].max(initial=0)) if (needed[plain] > decimals).any() else 0

    values = np.zeros(len(text), dtype=np.int64)
    fine = np.flatnonzero(plain & short & (faults == NumberFault.NONE))
    low, fits = _int64(text.take(pa.array(fine)).cast(pa.decimal128(38, decimals)))
    values[fine] = np.where(fits, low, 0)
    faults[fine[~fits]] = NumberFault.TOO_LARGE
    rare = (plain & ~short & (faults == NumberFault.NONE)) | _mask(pc.match_substring_regex(text, _EXPONENT))
    for row in np.flatnonzero(rare):
        values[row], faults[row], decimals_of_row = _parse_one(text[int(row)].as_py(), decimals)
        most = max(most, decimals_of_row)
    return Numbers(values, faults if faults.any() else None, most)


def _parse_one(text: str, decimals: int) -> tuple[int, NumberFault, int]:
    """Return mantissa, fault and the decimals needed where there are too many."""
    sign, digits, exponent = Decimal(text).as_tuple()
    assert isinstance(exponent, int)  # the patterns let no NaN and no infinity through
    whole = int("".join(map(str, digits)))
    while whole and whole % 10 == 0:
        whole, exponent = whole // 10, exponent + 1
    shift = exponent + decimals
    if not whole:
        return 0, NumberFault.NONE, 0
    if shift < 0:
        return 0, NumberFault.TOO_PRECISE, -exponent
    if shift > 19 or whole * 10**shift >= 1 << 63:
        return 0, NumberFault.TOO_LARGE, 0
    return (-1 if sign else 1) * whole * 10**shift, NumberFault.NONE, 0


def _mask(column: pa.Array) -> npt.NDArray[np.bool_]:
    return np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.bool_)
