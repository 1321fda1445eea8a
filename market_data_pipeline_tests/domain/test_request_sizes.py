from __future__ import annotations

import numpy as np
import pytest

from market_data_pipeline.domain.bar_types import BarSpec
from market_data_pipeline.domain.errors import ConfigurationError
from market_data_pipeline.domain.request_sizes import DOCUMENTED, OBSERVED, Duration, RequestSizes, bar_seconds
from market_data_pipeline_tests.instants import ns


@pytest.mark.parametrize(
    ("spec", "documented", "observed"),
    [
        ("1-SECOND-LAST", "1800 S", "1800 S"),
        ("5-SECOND-LAST", "7200 S", "7200 S"),
        ("10-SECOND-LAST", "7200 S", "7200 S"),
        ("30-SECOND-LAST", "28800 S", "28800 S"),
        ("1-MINUTE-LAST", "1 D", "10 D"),
        ("3-MINUTE-LAST", "1 D", "10 D"),
        ("5-MINUTE-LAST", "1 W", "150 D"),
        ("10-MINUTE-LAST", "1 W", "150 D"),
        ("20-MINUTE-LAST", "2 W", "1 Y"),
        ("30-MINUTE-LAST", "1 M", "1 Y"),
        ("8-HOUR-LAST", "1 M", "2 Y"),
        ("1-DAY-LAST", "1 Y", "20 Y"),
        ("1-WEEK-LAST", "2 Y", "20 Y"),
        ("1-MONTH-LAST", "1 Y", "20 Y"),
    ],
)
def test_a_size_between_two_takes_the_next_finer_one(spec: str, documented: str, observed: str) -> None:
    assert str(DOCUMENTED.longest(BarSpec.parse(spec))) == documented
    assert str(OBSERVED.longest(BarSpec.parse(spec))) == observed


def test_a_table_can_be_configured() -> None:
    sizes = RequestSizes.from_mapping({"1 min": "3 D", "30 secs": "3600 S"})
    assert str(sizes.longest(BarSpec.parse("1-DAY-LAST"))) == "3 D"
    assert str(sizes.longest(BarSpec.parse("30-SECOND-LAST"))) == "3600 S"
    assert RequestSizes.named("observed") is OBSERVED
    with pytest.raises(ConfigurationError, match="list no bars as short as 5-SECOND-LAST"):
        sizes.longest(BarSpec.parse("5-SECOND-LAST"))


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"1 minute": "1 D"}, "'1 minute' is no bar size"),
        ({"1 min": "1 day"}, "'1 day' is no duration"),
        ({"1 min": "0 D"}, "'0 D' is no duration"),
        ({"30 secs": "45 S"}, "no whole number of bars"),
        ({"1 min": "90000 S"}, "within a day"),
        ({"1 day": "86400 S"}, "within a day"),
        ({}, "is empty"),
    ],
)
def test_a_table_that_cannot_be_meant_is_refused(mapping: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        RequestSizes.from_mapping(mapping)


def test_an_unknown_name_lists_those_that_are() -> None:
    with pytest.raises(ConfigurationError, match=r"IB_REQUEST_SIZES: 'big' is not known\. Write documented or observed"):
        RequestSizes.named("big")


@pytest.mark.parametrize(
    ("duration", "end", "start"),
    [
        ("1800 S", "2024-01-05 21:00", "2024-01-05 20:30"),
        ("2 W", "2024-01-05 21:00", "2023-12-22 21:00"),
        ("1 M", "2024-03-31 21:00", "2024-02-29 21:00"),
        ("1 M", "2024-01-15 00:00", "2023-12-15 00:00"),
        ("13 M", "2024-01-31 00:00", "2022-12-31 00:00"),
        ("1 Y", "2024-02-29 12:00", "2023-02-28 12:00"),
        ("20 Y", "2024-01-05 12:00", "2004-01-05 12:00"),
    ],
)
def test_a_duration_reaches_back_as_calendars_reckon(duration: str, end: str, start: str) -> None:
    assert Duration.parse(duration).before(np.array([ns(end)])).tolist() == [ns(start)]


def test_trading_days_are_no_calendar_time() -> None:
    with pytest.raises(ValueError, match="trading days"):
        Duration.parse("5 D").before(np.array([0]))


def test_bars_have_a_length_in_seconds() -> None:
    assert [bar_seconds(BarSpec.parse(text)) for text in ("5-SECOND-LAST", "1-MINUTE-MID", "2-HOUR-BID", "1-DAY-ASK", "1-MONTH-LAST")] == [
        5,
        60,
        7_200,
        86_400,
        2_592_000,
    ]
