from __future__ import annotations

from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market_data_pipeline.tabular.numbers import NumberFault, parse_numbers

FITS = 2**63 - 1


def one(text: str, decimals: int = 2, decimal_mark: str = ".") -> int | str:
    numbers = parse_numbers(pa.array([text]), decimals, decimal_mark)
    fault = NumberFault.NONE if numbers.faults is None else NumberFault(int(numbers.faults[0]))
    return int(numbers.mantissas[0]) if fault is NumberFault.NONE else fault.name


@pytest.mark.parametrize(
    ("text", "mantissa"),
    [
        ("185.42", 18542),
        ("185.4", 18540),
        ("185", 18500),
        ("185.", 18500),
        (".5", 50),
        ("+1.5", 150),
        ("-37.63", -3763),
        ("185.420000", 18542),
        ("0.00", 0),
        ("00012.50", 1250),
        ("1e3", 100000),
        ("1.5E-1", 15),
        ("12345e-2", 12345),
        ("1000000e-4", 10000),
        (" 7.25 ", 725),
        # 0.07 * 100 is 7.000000000000001 as a float.
        ("0.07", 7),
        ("92233720368547758.07", FITS),
        ("0" * 45 + "1.25", 125),
        ("1.25" + "0" * 45, 125),
    ],
)
def test_a_number_is_taken_exactly(text: str, mantissa: int) -> None:
    assert one(text) == mantissa


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "EMPTY"),
        ("  ", "EMPTY"),
        ("185.425", "TOO_PRECISE"),
        ("1e-3", "TOO_PRECISE"),
        ("0." + "0" * 60 + "1", "TOO_PRECISE"),
        ("92233720368547758.08", "TOO_LARGE"),
        # Arrow's own cast wraps 39 digits around in silence.
        ("9" * 39, "TOO_LARGE"),
        ("1e40", "TOO_LARGE"),
        ("1e999", "TOO_LARGE"),
        *((text, "NOT_A_NUMBER") for text in ("abc", "nan", "inf", "-", ".", "1,5", "1.2.3", "--1", "0x1", "1_0", "1e", "1e9999", "1 2", "١", "$5")),
    ],
)
def test_what_is_no_number_of_that_precision_is_named_so(text: str, fault: str) -> None:
    assert one(text) == fault


def test_the_good_rows_of_a_column_with_bad_ones_are_exact() -> None:
    numbers = parse_numbers(pa.array(["1.25", "x", "1.255", " 2 ", "1e1", ""]), 2)
    assert numbers.mantissas.tolist() == [125, 0, 0, 200, 1000, 0]
    assert numbers.faults is not None
    assert [NumberFault(int(f)).name for f in numbers.faults] == ["NONE", "NOT_A_NUMBER", "TOO_PRECISE", "NONE", "NONE", "EMPTY"]
    assert numbers.decimals_needed == 3


@pytest.mark.parametrize(("text", "found"), [("1234,5", 123450), ("7", 700), ("1.234,5", "NOT_A_NUMBER"), ("1.5", "NOT_A_NUMBER")])
def test_a_decimal_comma_is_read_where_it_is_declared(text: str, found: int | str) -> None:
    assert one(text, decimal_mark=",") == found


def test_a_slice_of_an_array_is_read_from_its_own_start() -> None:
    assert parse_numbers(pa.array(["1", "2", "3", "4"]).slice(2), 0).mantissas.tolist() == [3, 4]


@given(st.lists(st.decimals(min_value=Decimal(-92233720368), max_value=Decimal(92233720368), places=8), min_size=1, max_size=20))
def test_every_decimal_that_fits_comes_back_as_it_was_written(values: list[Decimal]) -> None:
    """8 decimals below 9.2e10: at most 63 bits. Written plainly, and as Python writes it (with an exponent where it is small)."""
    whole = [int(value.scaleb(8)) for value in values]
    for texts in ([f"{value:f}" for value in values], [str(value) for value in values]):
        numbers = parse_numbers(pa.array(texts), 8)
        assert numbers.faults is None
        assert numbers.mantissas.tolist() == whole
