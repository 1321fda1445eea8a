from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nautilus_trader.model.data import BarType
from nautilus_trader.model.identifiers import InstrumentId

from market_data_pipeline.domain.bar_types import Aggregation, BarSpec, PriceType, Series, parse_instrument_id, path_name, venue_of
from market_data_pipeline.domain.errors import InvalidBarType, InvalidInstrumentId

IDS = ["AAPL.NASDAQ", "BRK.B.NYSE", "EUR/USD.IDEALPRO", "^SPX.CBOE", "ESZ6.CME", "BTC-USD.COINBASE", "BTCUSDT-PERP.BINANCE", "ES M6.CME", "A.B"]

INJURIOUS = [
    *("", "AAPL", ".NASDAQ", "AAPL.", "AAPL.nasdaq", "../etc.NASDAQ", "A/../B.X", "A/B/C.X", "/A.X", "A/.X", "A|B.X", "A,B.X", "A\\B.X", "A*.X"),
    *("A...X", "A..X", "A .X", " A.X", "A\n.X", "A.X\n", "A\x00.X", "Ä.X"),
]


@pytest.mark.parametrize("text", IDS)
def test_an_instrument_id_is_read_as_nautilus_reads_it(text: str) -> None:
    assert parse_instrument_id(text) == text == str(InstrumentId.from_str(text))
    assert venue_of(text) == str(InstrumentId.from_str(text).venue)


@pytest.mark.parametrize(
    "text",
    INJURIOUS,
)
def test_what_could_leave_the_catalog_or_split_a_key_is_no_instrument_id(text: str) -> None:
    with pytest.raises(InvalidInstrumentId, match=re.escape(repr(text)) + " is not an instrument id. Write SYMBOL.VENUE"):
        parse_instrument_id(text)


@given(st.text(alphabet="AZaz09.^=&+_:- /|\\\n", max_size=12).map(lambda symbol: f"{symbol}.X"))
def test_every_id_that_is_taken_is_one_safe_folder_name_and_nautilus_takes_it(text: str) -> None:
    try:
        parse_instrument_id(text)
    except InvalidInstrumentId:
        return
    assert str(InstrumentId.from_str(text)) == text
    assert path_name(text).strip(" .") == path_name(text)
    assert not set(path_name(text)) & set("/\\|\n")
    assert ".." not in text
    bar_type = f"{text}-1-MINUTE-LAST-EXTERNAL"
    assert str(BarType.from_str(bar_type).instrument_id) == text
    assert Series.parse(bar_type).instrument_id == text


@pytest.mark.parametrize(
    ("text", "length_s"),
    [("1-SECOND-LAST", 1), ("5-SECOND-BID", 5), ("1-MINUTE-LAST", 60), ("15-MINUTE-MID", 900), ("1-HOUR-ASK", 3_600), ("4-HOUR-LAST", 14_400)],
)
def test_a_spec_shorter_than_a_day_has_a_length(text: str, length_s: int) -> None:
    spec = BarSpec.parse(text)
    assert str(spec) == text
    assert spec.length_ns == length_s * 10**9
    assert not spec.is_daily_or_longer


@pytest.mark.parametrize("text", ["1-DAY-LAST", "1-WEEK-MID", "1-MONTH-BID"])
def test_a_spec_of_a_day_or_longer_is_stamped_by_date(text: str) -> None:
    spec = BarSpec.parse(text)
    assert spec.is_daily_or_longer
    with pytest.raises(ValueError, match="has no fixed length"):
        _ = spec.length_ns


def test_case_and_spaces_around_are_forgiven() -> None:
    assert BarSpec.parse(" 1-minute-last ") == BarSpec(1, Aggregation.MINUTE, PriceType.LAST)
    assert str(BarSpec.parse("01-MINUTE-LAST")) == "1-MINUTE-LAST"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "MINUTE",
        "1-MINUTE",
        "1-MIN-LAST",
        "1-MINUTE-LAST-EXTERNAL",
        "-1-MINUTE-LAST",
        "+1-MINUTE-LAST",
        "1.5-HOUR-LAST",
        "²-DAY-MID",
        "1-YEAR-LAST",
    ],
)
def test_what_is_no_spec_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(InvalidBarType, match=r"is not a bar spec\. Write STEP-UNIT-PRICE, for example 1-MINUTE-LAST"):
        BarSpec.parse(text)


@pytest.mark.parametrize("unit", ["SECOND", "MINUTE", "HOUR"])
def test_steps_below_a_day_are_those_of_nautilus(unit: str) -> None:
    for step in range(125):
        assert _takes(f"{step}-{unit}-LAST") == _nautilus_takes(f"{step}-{unit}-LAST"), step


@pytest.mark.parametrize("unit", ["DAY", "WEEK", "MONTH"])
def test_of_days_and_longer_only_single_ones_are_taken(unit: str) -> None:
    """Nautilus would parse 2-DAY; here every second session would look missing."""
    assert _takes(f"1-{unit}-LAST")
    assert _nautilus_takes(f"1-{unit}-LAST")
    assert not any(_takes(f"{step}-{unit}-LAST") for step in (0, *range(2, 30)))


def _takes(spec: str) -> bool:
    try:
        BarSpec.parse(spec)
    except InvalidBarType:
        return False
    return True


def _nautilus_takes(spec: str) -> bool:
    try:
        return str(BarType.from_str(f"A.B-{spec}-EXTERNAL")) == f"A.B-{spec}-EXTERNAL"
    except ValueError:
        return False


@pytest.mark.parametrize(
    ("text", "instead"),
    [("60-MINUTE-LAST", "1-HOUR-LAST"), ("240-MINUTE-MID", "4-HOUR-MID"), ("120-SECOND-BID", "2-MINUTE-BID"), ("24-HOUR-LAST", "1-DAY-LAST")],
)
def test_a_length_of_another_name_is_refused_with_that_name(text: str, instead: str) -> None:
    with pytest.raises(InvalidBarType, match=rf"there are no bars of .* Write {instead}\."):
        BarSpec.parse(text)


def test_a_length_without_another_name_is_refused_with_the_steps() -> None:
    with pytest.raises(
        InvalidBarType, match=r"'7-MINUTE-LAST': there are no bars of 7 MINUTE. Steps of MINUTE: 1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30\.$"
    ):
        BarSpec.parse("7-MINUTE-LAST")


@pytest.mark.parametrize("instrument_id", IDS)
@pytest.mark.parametrize("spec", ["1-MINUTE-LAST", "15-MINUTE-MID", "1-DAY-BID", "1-MONTH-ASK", "5-SECOND-LAST"])
def test_a_series_is_nautilus_bar_type(instrument_id: str, spec: str) -> None:
    series = Series.of(instrument_id, spec)
    bar_type = BarType.from_str(series.bar_type)
    assert str(bar_type) == str(series) == series.bar_type
    assert str(bar_type.instrument_id) == series.instrument_id
    assert str(bar_type.spec) == str(series.spec)
    assert str(bar_type.instrument_id.venue) == series.venue
    assert Series.parse(series.bar_type) == series


def test_the_folder_drops_the_slash_as_nautilus_does() -> None:
    assert Series.parse("EUR/USD.IDEALPRO-15-MINUTE-MID-EXTERNAL").folder == "EURUSD.IDEALPRO-15-MINUTE-MID-EXTERNAL"


@pytest.mark.parametrize("text", ["", "AAPL.NASDAQ", "AAPL.NASDAQ-1-MINUTE-LAST", "AAPL.NASDAQ-1-MINUTE-LAST-NEITHER", "1-MINUTE-LAST-EXTERNAL"])
def test_what_is_no_external_bar_type_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(InvalidBarType, match=r"is not a bar type\. Write ID-STEP-UNIT-PRICE-EXTERNAL, for example AAPL"):
        Series.parse(text)


def test_series_sort_by_instrument_and_spec() -> None:
    texts = ["MSFT.NASDAQ-1-DAY-LAST-EXTERNAL", "AAPL.NASDAQ-5-MINUTE-LAST-EXTERNAL", "AAPL.NASDAQ-1-MINUTE-LAST-EXTERNAL"]
    assert [str(series) for series in sorted(map(Series.parse, texts))] == texts[::-1]
