"""Bars of a day and longer are labelled with a session: which one, by how they are stamped."""

from __future__ import annotations

import pytest

from market_data_pipeline.domain.errors import BadRows, QuestionUnanswered
from market_data_pipeline_tests.instants import NEW_YORK, ns
from market_data_pipeline_tests.sources.csv.conftest import Read
from market_data_pipeline_tests.sources.csv.rows import HEADER, bar, closes, opens

AAPL = "AAPL.NASDAQ-1-DAY-LAST"
EURUSD = "EUR/USD.IDEALPRO-1-DAY-MID"


@pytest.mark.parametrize(
    ("bars", "stamp", "zone", "text", "session"),
    [
        (AAPL, None, None, "2024-01-05", "2024-01-05"),
        (AAPL, None, None, "20240105", "2024-01-05"),
        (AAPL, "open", None, "2024-01-05 00:00:00", "2024-01-05"),
        (AAPL, "open", None, "2024-01-05 00:00:00-05:00", "2024-01-05"),
        (AAPL, "open", NEW_YORK, "2024-01-05 09:30:00", "2024-01-05"),
        # Midnight in New York as the instant it is: 05:00 UTC lies in the window (Thursday 20:00, Friday 20:00] New York.
        (AAPL, "open", None, "2024-01-05T05:00:00Z", "2024-01-05"),
        (AAPL, "open", None, "1704412800", "2024-01-05"),
        (AAPL, "open", NEW_YORK, "1704430800", "2024-01-05"),
        (AAPL, "close", None, "2024-01-05T16:00:00-05:00", "2024-01-05"),
        (AAPL, "close", None, "2024-01-05 16:00:00", "2024-01-05"),
        (AAPL, "close", None, "2024-01-06 00:00:00", "2024-01-05"),
        (AAPL, "close", None, "2024-01-05T23:59:59.999999999Z", "2024-01-05"),
        (AAPL, "close", None, "2024-01-05", "2024-01-05"),
        # The currencies' Friday opens on Thursday 17:15 New York and ends on Friday 17:00; the Monday opens on Sunday.
        (EURUSD, "open", None, "2024-01-04T17:15:00-05:00", "2024-01-05"),
        (EURUSD, "open", None, "2024-01-04T17:00:00-05:00", "2024-01-05"),
        (EURUSD, "open", NEW_YORK, "2024-01-07 17:15:00", "2024-01-08"),
        (EURUSD, "close", None, "2024-01-05T17:00:00-05:00", "2024-01-05"),
        (EURUSD, "close", None, "2024-01-05T18:59:59.999999999-05:00", "2024-01-05"),
        # A week is stored under its last session; 2024-03-29 was Good Friday.
        ("AAPL.NASDAQ-1-WEEK-LAST", "open", None, "2024-01-01", "2024-01-05"),
        ("AAPL.NASDAQ-1-WEEK-LAST", "open", None, "2023-12-31", "2024-01-05"),
        ("AAPL.NASDAQ-1-WEEK-LAST", None, None, "2024-03-29", "2024-03-28"),
        ("AAPL.NASDAQ-1-WEEK-LAST", "close", None, "2024-01-06 00:00", "2024-01-05"),
        # 2024-06-30 was a Sunday, 2024-09-01 too.
        ("AAPL.NASDAQ-1-MONTH-LAST", None, None, "2024-06-30", "2024-06-28"),
        ("AAPL.NASDAQ-1-MONTH-LAST", "open", None, "2024-09-01", "2024-09-30"),
    ],
)
def test_the_label_of_a_day_bar(read: Read, bars: str, stamp: str | None, zone: str | None, text: str, session: str) -> None:
    found = read(HEADER + bar(text), bars=bars, stamp=stamp, time_zone=zone)
    assert [str(date) for date in found.sessions] == [session]
    assert opens(found) == [ns(session)]
    assert closes(found) == [ns(session) + 86_400 * 10**9 - 1]


@pytest.mark.parametrize(
    ("bars", "text", "said"),
    [
        (EURUSD, "2024-01-01", "no session of the FX calendar"),
        (AAPL, "2025-01-09", "no session of the NYSE calendar"),
        (AAPL, "2024-01-06", "no session of the NYSE calendar"),
        (AAPL, "2190-01-05", "outside the NYSE calendar"),
    ],
)
def test_a_bar_on_a_closed_day_is_bad(read: Read, bars: str, text: str, said: str) -> None:
    with pytest.raises(BadRows, match=f"line 2, timestamp '{text}': {said}"):
        read(HEADER + bar(text), bars=bars, stamp=None)


def test_two_bars_of_one_day_are_a_repeated_stamp(read: Read) -> None:
    with pytest.raises(BadRows, match=r"line 3, timestamp '2024-01-05 00:00': repeated time stamp \(see line 2\)"):
        read(HEADER + bar("2024-01-05") + bar("2024-01-05 00:00"), bars=AAPL, stamp="open")


def test_days_stamped_with_a_time_need_to_know_which_end(read: Read) -> None:
    with pytest.raises(QuestionUnanswered, match="pass --stamp open or --stamp close"):
        read(HEADER + bar("2024-01-05 16:00"), bars=AAPL, stamp=None)


def test_days_that_open_at_a_time_need_a_zone_to_find_their_session(read: Read) -> None:
    with pytest.raises(QuestionUnanswered, match=r"times such as '2024-01-04 17:15' carry no UTC offset.*: pass --timezone"):
        read(HEADER + bar("2024-01-04 17:15"), bars=EURUSD)


def test_a_midnight_that_dst_skips_still_labels_its_day(read: Read) -> None:
    """In Havana 2024-03-10 began at 01:00."""
    found = read(HEADER + bar("2024-03-10 00:00"), bars="BTC/USDT.BINANCE-1-DAY-LAST", time_zone="America/Havana")
    assert [str(date) for date in found.sessions] == ["2024-03-10"]
