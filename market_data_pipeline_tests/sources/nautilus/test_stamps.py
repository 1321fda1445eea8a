"""Stamps of other programs: understood right, or not at all."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market_data_pipeline.calendars import partitions_of
from market_data_pipeline.domain.bar_types import DAY_NS, Series
from market_data_pipeline.sources.nautilus.stamps import StampEnd, Stamps, read_stamps
from market_data_pipeline_tests.catalog.bar_making import regular

# A week with a change of clocks in New York (10 March 2024), and one on each side of it.
SUNDAY = dt.date(2024, 3, 10)
_SERIES = ["AAPL.NASDAQ-1-MINUTE-LAST", "AAPL.NASDAQ-15-MINUTE-LAST", "EUR/USD.IDEALPRO-15-MINUTE-MID", "ESM4.CME-5-MINUTE-LAST"]
_SERIES += ["BTC/USDT.BINANCE-15-MINUTE-LAST"]
_MOVES = {"both the open": (0, -1), "both the close": (1, 0)}


def opens_of(series: Series, sessions: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    dates = partitions_of(series).dates_between(SUNDAY - dt.timedelta(days=10), SUNDAY + dt.timedelta(days=10))[:sessions]
    return np.concatenate([regular(series, date).ts_event for date in dates])


def read(series: Series, opens: np.ndarray[tuple[int], np.dtype[np.int64]], move: tuple[int, int], told: StampEnd | None = None) -> Stamps:
    length = series.spec.length_ns
    return read_stamps(opens + move[0] * length, opens + length + move[1] * length, partitions_of(series), told)


@pytest.mark.parametrize("name", _SERIES)
@pytest.mark.parametrize("move", list(_MOVES))
@settings(max_examples=30)
@given(sessions=st.integers(1, 12), share=st.sampled_from([1.0, 0.9, 0.5, 0.1]), seed=st.integers(0, 10_000))
def test_bars_are_never_dated_wrong_whatever_is_absent(name: str, move: str, sessions: int, share: float, seed: int) -> None:
    series = Series.parse(f"{name}-EXTERNAL")
    opens = opens_of(series, sessions)
    opens = opens[np.random.default_rng(seed).random(len(opens)) < share]
    if not len(opens):
        return
    found = read(series, opens, _MOVES[move])
    assert np.array_equal(found.closes[found.known], (opens + series.spec.length_ns)[found.known])
    assert found.known.all() or (found.refused and not found.known.any())


@pytest.mark.parametrize(("name", "decided"), [(name, "CME" not in name and "BINANCE" not in name) for name in _SERIES])
@pytest.mark.parametrize("move", list(_MOVES))
def test_two_weeks_of_whole_sessions_decide_where_a_venue_closes_at_all(name: str, decided: bool, move: str) -> None:
    """Coins trade around the clock: no opening and no closing tells the two readings apart."""
    series = Series.parse(f"{name}-EXTERNAL")
    found = read(series, opens_of(series, 10), _MOVES[move])
    if "BINANCE" in name:
        assert not found.known.any()
        end = StampEnd.OPEN if move == "both the open" else StampEnd.CLOSE
        assert np.array_equal(read(series, opens_of(series, 10), _MOVES[move], end).closes, opens_of(series, 10) + series.spec.length_ns)
    elif decided:
        assert found.known.all(), found.refused


def test_stamps_of_nautilus_own_adapter_are_left_alone() -> None:
    series = Series.parse("AAPL.NASDAQ-1-MINUTE-LAST-EXTERNAL")
    found = read(series, opens_of(series, 3), (0, 0))
    assert (found.restamped, found.notes, found.refused, bool(found.known.all())) == (0, (), None, True)


@pytest.mark.parametrize("shift_days", [0, 1])
@given(count=st.integers(1, 15), first=st.integers(0, 40))
def test_day_bars_are_never_dated_wrong(shift_days: int, count: int, first: int) -> None:
    """Both stamps at midnight of the date, or of the next: right where a weekend tells, else refused."""
    partitions = partitions_of(Series.parse("AAPL.NASDAQ-1-DAY-LAST-EXTERNAL"))
    dates = partitions.days[partitions.days > 19_700][first : first + count]
    stamps = (dates + shift_days) * DAY_NS
    found = read_stamps(stamps, stamps, partitions)
    assert np.array_equal(found.closes[found.known], ((dates + 1) * DAY_NS - 1)[found.known])
    if count >= 6:
        assert found.known.all(), found.refused
