from __future__ import annotations

import datetime as dt

import pytest

from market_data_pipeline.calendars import CALENDAR_NAMES, VENUES, calendar_name_of_venue, calendar_named, calendar_of_venue
from market_data_pipeline.domain.errors import UnknownVenue


@pytest.mark.parametrize("venue", ["NASDAQ", "NYSE", "ARCA", "AMEX", "BATS", "IEX", "SMART", "ISLAND"])
def test_us_stock_venues_keep_new_york_hours(venue: str) -> None:
    calendar = calendar_of_venue(venue)
    assert calendar.name == "NYSE"
    assert calendar.time_zone == "America/New_York"


def test_iex_was_closed_when_stock_exchanges_were() -> None:
    """A library's calendar of that very name has both days open."""
    for closed in (dt.date(2024, 12, 25), dt.date(2025, 1, 9)):
        assert calendar_of_venue("IEX").index_of(closed) is None


@pytest.mark.parametrize(
    ("venue", "name"),
    [("CME", "CME"), ("CBOT", "CBOT"), ("NYMEX", "NYMEX"), ("COMEX", "COMEX"), ("CBOE", "CBOE"), ("IDEALPRO", "FX")]
    + [(venue, "CRYPTO") for venue in ("PAXOS", "ZEROHASH", "BINANCE", "COINBASE", "KRAKEN", "BITSTAMP", "BYBIT", "OKX", "BITFINEX", "CRYPTO")],
)
def test_each_venue_keeps_its_calendar(venue: str, name: str) -> None:
    assert calendar_name_of_venue(venue) == name
    assert calendar_of_venue(venue) is calendar_named(name)


def test_every_venue_has_a_calendar_of_its_name() -> None:
    assert set(VENUES.values()) == set(CALENDAR_NAMES) == {"NYSE", "CME", "CBOT", "NYMEX", "COMEX", "CBOE", "FX", "CRYPTO"}
    for name in CALENDAR_NAMES:
        assert calendar_named(name).name == name


@pytest.mark.parametrize("venue", ["OSE", "TASE", "LSE", "nasdaq", "", "XNYS "])
def test_an_unknown_venue_is_refused_with_the_known_ones(venue: str) -> None:
    with pytest.raises(UnknownVenue) as refused:
        calendar_of_venue(venue)
    assert repr(venue) in str(refused.value)
    assert "NYSE: NASDAQ, NYSE, ARCA" in str(refused.value)
    assert "FX: IDEALPRO" in str(refused.value)


def test_a_venue_given_as_calendar_is_refused_with_the_calendar_it_keeps() -> None:
    with pytest.raises(UnknownVenue, match=r"'NASDAQ' is no calendar. Write one of NYSE, CME, .*The venue NASDAQ keeps the calendar NYSE\."):
        calendar_named("NASDAQ")
    with pytest.raises(UnknownVenue, match=r"'CME Globex Equity' is no calendar. Write one of NYSE, CME, [^.]*\.$"):
        calendar_named("CME Globex Equity")
