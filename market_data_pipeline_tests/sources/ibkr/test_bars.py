from __future__ import annotations

import numpy as np
import pytest
from ib_async.objects import BarData

from market_data_pipeline.calendars import partitions_of
from market_data_pipeline.domain.bar_types import BarSpec, Series
from market_data_pipeline.domain.errors import SourceBusy
from market_data_pipeline.domain.sessions import date_of
from market_data_pipeline.domain.source import Precision
from market_data_pipeline.sources.ibkr.bars import RawBars, exact, place, raw_bars
from market_data_pipeline.sources.ibkr.settings import Hours
from market_data_pipeline_tests.sources.ibkr.raw_making import MINUTE_NS, raw, utc_ns

MINUTES = BarSpec.parse("1-MINUTE-LAST")
DAYS = BarSpec.parse("1-DAY-LAST")
DAY_END = 86_400_000_000_000 - 1


def values(*prices: float, volume: float = 0.0) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    return np.array([[price, price, price, price, volume] for price in prices])


def test_a_price_is_the_decimal_that_it_is_the_nearest_float_of() -> None:
    found = exact(values(185.42, 0.07, 1.1, 4_503_599_627_370.25), Precision(2, 0))
    assert found.values[:, 0].tolist() == [18542, 7, 110, 450_359_962_737_025]
    assert not found.excess.any()


def test_a_value_that_needs_more_decimals_is_told_and_rounded() -> None:
    found = exact(values(185.425, 185.42), Precision(2, 0))
    assert found.excess.tolist() == [True, False]
    assert found.values[:, 0].tolist() == [18542, 18542]


def test_the_noise_of_halving_a_price_is_no_decimal() -> None:
    """(1.08562 + 1.08563) / 2, and its neighbours among the floats."""
    middle = (1.08562 + 1.08563) / 2
    found = exact(values(middle, np.nextafter(middle, 0), np.nextafter(middle, 2)), Precision(6, 0))
    assert found.values[:, 0].tolist() == [1_085_625] * 3
    assert not found.excess.any()


def test_every_price_of_two_decimals_is_exact() -> None:
    cents = np.arange(1, 200_000, dtype=np.int64)
    prices = np.repeat((cents / 100)[:, None], 4, axis=1)
    found = exact(np.column_stack([prices, np.zeros(len(cents))]), Precision(2, 0))
    assert np.array_equal(found.values[:, 0], cents)
    assert not found.excess.any()


def test_a_volume_of_minus_one_is_none() -> None:
    assert exact(values(1.0, volume=-1.0), Precision(2, 0)).values[0, 4] == 0


def test_a_volume_keeps_the_decimals_of_the_instrument() -> None:
    assert exact(values(1.0, volume=0.12345678), Precision(2, 8)).values[0, 4] == 12_345_678
    assert exact(values(1.0, volume=0.5), Precision(2, 0)).excess.tolist() == [True]


def test_pence_become_pounds_by_the_price_magnifier() -> None:
    found = exact(values(123.4, 7.05), Precision(4, 0), magnifier=100)
    assert found.values[:, 0].tolist() == [12_340, 705]
    assert not found.excess.any()


def test_a_number_too_large_to_be_exact_is_not_taken() -> None:
    assert exact(values(1e17), Precision(2, 0)).excess.tolist() == [True]


def test_stamps_are_seconds_for_minutes_and_dates_for_days() -> None:
    minute = raw_bars([BarData(date="1704465000", open=1, high=2, low=0.5, close=1.5, volume=3)], MINUTES)  # type: ignore[arg-type]
    assert minute.opens_ns.tolist() == [utc_ns("2024-01-05T14:30")]
    assert minute.values.tolist() == [[1, 2, 0.5, 1.5, 3]]
    day = raw_bars([BarData(date="20240229"), BarData(date="19991231")], DAYS)  # type: ignore[arg-type]
    assert day.opens_ns.tolist() == [utc_ns("2024-02-29"), utc_ns("1999-12-31")]


@pytest.mark.parametrize(("stamp", "spec"), [("20240105 09:30:00", MINUTES), ("yesterday", DAYS), ("20241305", DAYS), ("9" * 30, MINUTES)])
def test_a_stamp_that_cannot_be_read_may_be_asked_for_again(stamp: str, spec: BarSpec) -> None:
    with pytest.raises(SourceBusy):
        raw_bars([BarData(date=stamp)], spec)  # type: ignore[arg-type]


def test_a_value_that_is_no_number_may_be_asked_for_again() -> None:
    with pytest.raises(SourceBusy):
        raw_bars([BarData(date="1704465000", open=float("nan"))], MINUTES)  # type: ignore[arg-type]


def test_bars_are_brought_in_order_and_close_their_length_after_they_open() -> None:
    partitions = partitions_of(Series.parse("AAPL.NASDAQ-1-MINUTE-LAST-EXTERNAL"))
    first = utc_ns("2024-01-05T14:30")
    placed = place(raw([first + MINUTE_NS, first]), partitions, Hours.RTH)
    assert placed.ts_event.tolist() == [first, first + MINUTE_NS]
    assert placed.ts_init.tolist() == [first + MINUTE_NS, first + 2 * MINUTE_NS]
    assert {str(date_of(partitions.days[at])) for at in placed.positions} == {"2024-01-05"}


def test_an_hour_bar_never_closes_after_its_session() -> None:
    """An early close at 13:00 New York (18:00 UTC), 2023-11-24: the bar that opens at 17:30 UTC is half an hour long."""
    partitions = partitions_of(Series.parse("AAPL.NASDAQ-1-HOUR-LAST-EXTERNAL"))
    placed = place(raw([utc_ns("2023-11-24T16:30"), utc_ns("2023-11-24T17:30")]), partitions, Hours.RTH)
    assert placed.ts_init.tolist() == [utc_ns("2023-11-24T17:30"), utc_ns("2023-11-24T18:00")]


def test_the_fx_bar_that_opens_on_thursday_evening_belongs_to_friday() -> None:
    partitions = partitions_of(Series.parse("EUR/USD.IDEALPRO-15-MINUTE-MID-EXTERNAL"))
    placed = place(raw([utc_ns("2024-01-04T22:15")]), partitions, Hours.ALL)
    assert str(date_of(partitions.days[placed.positions[0]])) == "2024-01-05"


def test_a_day_bar_is_stamped_by_its_date() -> None:
    partitions = partitions_of(Series.parse("AAPL.NASDAQ-1-DAY-LAST-EXTERNAL"))
    placed = place(raw([utc_ns("2024-01-05")]), partitions, Hours.RTH)
    assert (placed.ts_event[0], placed.ts_init[0]) == (utc_ns("2024-01-05"), utc_ns("2024-01-05") + DAY_END)


def test_a_day_bar_of_no_session_has_no_place() -> None:
    """2024-01-06 was a Saturday."""
    partitions = partitions_of(Series.parse("AAPL.NASDAQ-1-DAY-LAST-EXTERNAL"))
    assert place(raw([utc_ns("2024-01-06")]), partitions, Hours.RTH).positions.tolist() == [-1]


@pytest.mark.parametrize("label", ["2024-01-15", "2024-01-16", "2024-01-19"])
def test_a_week_is_kept_under_its_last_session_whichever_day_labels_it(label: str) -> None:
    """The week of Monday 2024-01-15 (Martin Luther King Day, no session) ended on Friday the 19th."""
    partitions = partitions_of(Series.parse("AAPL.NASDAQ-1-WEEK-LAST-EXTERNAL"))
    placed = place(raw([utc_ns(label)]), partitions, Hours.RTH)
    assert placed.ts_init.tolist() == [utc_ns("2024-01-19") + DAY_END]


@pytest.mark.parametrize("label", ["2024-03-01", "2024-03-28"])
def test_a_month_is_kept_under_its_last_session_whichever_day_labels_it(label: str) -> None:
    """2024-03-29 was Good Friday: the last session of March was Thursday the 28th."""
    partitions = partitions_of(Series.parse("AAPL.NASDAQ-1-MONTH-LAST-EXTERNAL"))
    assert place(raw([utc_ns(label)]), partitions, Hours.RTH).ts_init.tolist() == [utc_ns("2024-03-28") + DAY_END]


def test_bars_before_and_after_all_sessions_have_no_place() -> None:
    partitions = partitions_of(Series.parse("AAPL.NASDAQ-1-MINUTE-LAST-EXTERNAL"))
    assert place(raw([utc_ns("1980-01-02T15:00"), utc_ns("2090-01-02T15:00")]), partitions, Hours.ALL).positions.tolist() == [-1, -1]


def test_no_bars_stay_no_bars() -> None:
    partitions = partitions_of(Series.parse("AAPL.NASDAQ-1-MINUTE-LAST-EXTERNAL"))
    assert len(place(RawBars.joined([]), partitions, Hours.RTH).bars) == 0
    assert len(raw_bars([], DAYS)) == 0
    assert exact(RawBars.none().values, Precision(2, 0)).values.shape == (0, 5)
