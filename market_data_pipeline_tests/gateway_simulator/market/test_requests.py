"""What a request means, and what is refused: ends, durations, limits, formats."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market_data_pipeline.gateway_simulator.market import DOCUMENTED, ContractQuery, HistoryRequest, Market, Refusal
from market_data_pipeline_tests.gateway_simulator.market.asking import AAPL, BTC, EURUSD, FRIDAY_NOON, LATER, SPX, THIN, merged, request, rows, stamps
from market_data_pipeline_tests.instants import NEW_YORK, ns

MARKET = Market.standard()


def refusal(market: Market, question: HistoryRequest, now_ns: int = LATER) -> tuple[int, str]:
    with pytest.raises(Refusal) as refused:
        market.history(question, now_ns)
    return refused.value.code, refused.value.text


# The end


@pytest.mark.parametrize(
    "end",
    [
        "20240612-16:00:00",
        "20240612 16:00:00 UTC",
        "20240612 12:00:00 US/Eastern",
        "20240612  12:00:00 America/New_York",
        "20240612 11:00:00 US/Central",
        "20240612 12:00:00",  # without a zone: New York's
    ],
)
def test_every_form_of_an_end_means_the_same_moment(market: Market, end: str) -> None:
    found = stamps(market, request(AAPL, "1 min", "1 D", end))
    assert (len(found), found[-1]) == (150, ns("2024-06-12 11:59", NEW_YORK))


def test_an_end_without_a_date_is_today(market: Market) -> None:
    assert stamps(market, request(AAPL, "1 min", "1 D", "10:00:00"), FRIDAY_NOON)[-1] == ns("2024-06-14 09:59", NEW_YORK)


@pytest.mark.parametrize(
    "end",
    ["2024-06-12 12:00:00", "20240612", "20240612 12:00", "20240230 12:00:00", "20240612 25:00:00", "20240612 12:00:00 Mars/Phobos", "yesterday",
     "20240612-12:00:00 UTC", "20240612 12:00:00 US", "20240612 12:00:00 ../UTC"],
)  # fmt: skip
def test_an_end_that_cannot_be_read_is_refused_with_10314(market: Market, end: str) -> None:
    code, text = refusal(market, request(AAPL, "1 min", "1 D", end))
    assert code == 10314
    assert text.startswith("End Date/Time: The date, time, or time-zone entered is invalid.")


def test_an_end_in_the_future_is_now(market: Market) -> None:
    now = market.history(request(AAPL, "1 min", "1 D"), FRIDAY_NOON)
    assert market.history(request(AAPL, "1 min", "1 D", "20300101-00:00:00"), FRIDAY_NOON) == now


def test_a_bar_that_begins_at_the_end_is_not_in_the_answer(market: Market) -> None:
    assert stamps(market, request(AAPL, "1 min", "1 D", "20240612 10:00:00 US/Eastern"))[-1] == ns("2024-06-12 09:59", NEW_YORK)
    assert stamps(market, request(AAPL, "1 min", "1 D", "20240612 10:00:01 US/Eastern"))[-1] == ns("2024-06-12 10:00", NEW_YORK)


def test_a_bar_that_the_end_cuts_is_whole_if_it_is_over(market: Market) -> None:
    cut = rows(market, request(AAPL, "5 mins", "1 D", "20240612 10:02:00 US/Eastern"))[-1]
    whole = rows(market, request(AAPL, "5 mins", "1 D", "20240612 16:00:00 US/Eastern"))[6]
    assert cut == whole


# Now


def test_the_forming_bar_is_in_an_answer_that_ends_now(market: Market) -> None:
    now = ns("2024-06-14 12:03:20", NEW_YORK)
    minutes = rows(market, request(AAPL, "5 mins", "1 D"), now)
    seconds = rows(market, request(AAPL, "1 secs", "200 S"), now)
    assert int(minutes[-1].date) * 10**9 == ns("2024-06-14 12:00", NEW_YORK)
    assert replace(minutes[-1], wap=merged(seconds).wap) == merged(seconds)
    later = rows(market, request(AAPL, "5 mins", "1 D"), ns("2024-06-14 12:05", NEW_YORK))[-1]
    assert later.date == minutes[-1].date
    assert later.volume > minutes[-1].volume


@pytest.mark.parametrize("size", ["1 day", "1W", "1 month"])
def test_a_forming_day_week_or_month_is_in_the_answer(market: Market, size: str) -> None:
    """2024-06-14 was a Friday; the last session of June 2024 was Friday the 28th."""
    morning, noon = (rows(market, request(AAPL, size, "1 M"), ns(f"2024-06-14 {clock}", NEW_YORK))[-1] for clock in ("10:00", "12:00"))
    assert morning.date == noon.date == ("20240628" if size == "1 month" else "20240614")
    assert morning.volume < noon.volume
    assert morning.open == noon.open


def test_nothing_of_the_future_is_told(market: Market) -> None:
    for now in (ns("2024-06-14 12:00:00", NEW_YORK), ns("2024-06-14 12:00:30", NEW_YORK), ns("2024-06-15 03:00", NEW_YORK)):
        assert all(stamp < now for stamp in stamps(market, request(EURUSD, "1 min", "1 D", what="BID", rth=False), now))
    assert stamps(market, request(AAPL, "1 min", "1 D"), ns("2024-06-14 09:30:00", NEW_YORK))[-1] == ns("2024-06-13 15:59", NEW_YORK)


# Durations


@pytest.mark.parametrize(
    ("duration", "end", "first", "sessions"),
    [
        ("1 D", "20240614 16:00:00", "2024-06-14", 1),
        ("5 D", "20240614 16:00:00", "2024-06-10", 5),
        ("5 D", "20240616 12:00:00", "2024-06-10", 5),  # a Sunday: counted from Friday
        ("5 D", "20240614 08:00:00", "2024-06-07", 5),  # before the open: counted from Thursday
        ("20 D", "20240614 16:00:00", "2024-05-17", 20),  # 10 in June, 4 in the week of Memorial Day, 5, 1
        ("1 W", "20240614 16:00:00", "2024-06-10", 5),
        ("1 W", "20240612 16:00:00", "2024-06-06", 5),
        ("2 W", "20240614 16:00:00", "2024-06-03", 10),
        ("1 M", "20240331 16:00:00", "2024-03-01", 20),  # a month before the 31st of March is the 29th of February
        ("1 M", "20240614 16:00:00", "2024-05-15", 22),  # 3 + 5, 4 after Memorial Day, 10 in June
        ("1 Y", "20241231 16:00:00", "2024-01-02", 252),
        ("2 Y", "20241231 16:00:00", "2023-01-03", 502),
    ],
)
def test_days_are_sessions_and_longer_durations_are_calendar_time(market: Market, duration: str, end: str, first: str, sessions: int) -> None:
    found = rows(market, request(AAPL, "1 day", duration, f"{end} US/Eastern"))
    assert (found[0].date, len(found)) == (first.replace("-", ""), sessions)


def test_seconds_are_seconds_of_trading(market: Market) -> None:
    """Half an hour up to 09:40 is ten minutes of Wednesday and the last twenty of Tuesday; 86400 S are 3.7 sessions of regular hours."""
    found = stamps(market, request(AAPL, "1 min", "1800 S", "20240612 09:40:00 US/Eastern"))
    assert (found[0], found[19], found[20], len(found)) == (
        ns("2024-06-11 15:40", NEW_YORK),
        ns("2024-06-11 15:59", NEW_YORK),
        ns("2024-06-12 09:30", NEW_YORK),
        30,
    )
    hours = stamps(market, request(AAPL, "1 hour", "86400 S", "20240914 00:00:00 US/Eastern"))
    assert hours[0] == ns("2024-09-10 11:00", NEW_YORK)


def test_seconds_bring_the_bar_in_which_they_begin_whole(market: Market) -> None:
    found = rows(market, request(AAPL, "5 mins", "600 S", "20240612 10:07:00 US/Eastern"))
    whole = rows(market, request(AAPL, "5 mins", "1 D", "20240612 16:00:00 US/Eastern"))
    assert found == whole[5:8]


@pytest.mark.parametrize("duration", ["", "5", "D", "5D", "0 D", "-1 D", "1.5 D", "5 X", "5 d", "1 D 2", "9999999 D"])
def test_a_duration_that_cannot_be_read_is_refused(market: Market, duration: str) -> None:
    code, text = refusal(market, request(AAPL, "1 day", duration))
    assert code == 321
    assert "duration string" in text


@pytest.mark.parametrize(
    ("duration", "cause"),
    [
        ("366 D", "Historical data requests for durations longer than 365 days must be made in years."),
        ("86401 S", "Historical data requests for durations longer than 86400 seconds must be made in days."),
    ],
)
def test_a_duration_too_long_for_its_unit_is_refused_in_ibkrs_words(market: Market, duration: str, cause: str) -> None:
    assert refusal(market, request(AAPL, "1 day", duration)) == (321, f"Error validating request.-'bN' : cause - {cause}")


@pytest.mark.parametrize(
    ("size", "most", "too_much"),
    [("1 secs", "1800 S", "1801 S"), ("30 secs", "28800 S", "1 D"), ("1 min", "1 D", "2 D"), ("5 mins", "1 W", "6 D"), ("10 mins", "5 D", "2 W"),
     ("15 mins", "2 W", "1 M"), ("30 mins", "22 D", "2 M"), ("1 hour", "1 M", "1 Y"), ("1 day", "1 Y", "2 Y"),
     ("1W", "2 Y", "3 Y"), ("1 month", "1 Y", "2 Y")],
)  # fmt: skip
def test_the_documented_limits_hold_where_they_are_asked_for(size: str, most: str, too_much: str) -> None:
    strict = Market.standard(limits=DOCUMENTED)
    question = request(AAPL, size, most, what="MIDPOINT")
    assert rows(strict, question, FRIDAY_NOON)
    code, text = refusal(strict, replace(question, duration=too_much), FRIDAY_NOON)
    assert code == 321
    assert "Historical data request for greater than" in text
    assert text.endswith("rejected.")


def test_a_week_of_coins_is_seven_days() -> None:
    question = request(BTC, "5 mins", "7 D", what="MIDPOINT", rth=False)
    assert len(rows(Market.standard(limits=DOCUMENTED), question, ns("2024-06-15 00:00"))) == 7 * 288


@pytest.mark.parametrize(
    ("size", "most", "too_much"),
    [("1 secs", "2000 S", "2001 S"), ("1 min", "1 M", "2 M"), ("5 mins", "150 D", "2 Y"), ("1 hour", "3 Y", "4 Y"), ("1 day", "20 Y", "21 Y")],
)
def test_what_traders_see_answered_is_answered_by_default(market: Market, size: str, most: str, too_much: str) -> None:
    assert rows(market, request(AAPL, size, most, what="MIDPOINT"))
    assert refusal(market, request(AAPL, size, too_much, what="MIDPOINT"))[0] == 321


def test_bars_of_seconds_are_kept_for_half_a_year_where_the_documented_limits_hold() -> None:
    strict = Market.standard(limits=DOCUMENTED)
    assert rows(strict, request(AAPL, "5 secs", "60 S", "20240301 12:00:00 US/Eastern"), FRIDAY_NOON)
    assert refusal(strict, request(AAPL, "5 secs", "60 S", "20231101 12:00:00 US/Eastern"), FRIDAY_NOON)[0] == 162
    assert rows(strict, request(AAPL, "1 min", "60 S", "20231101 12:00:00 US/Eastern"), FRIDAY_NOON)


# What cannot be meant


def test_an_unknown_bar_size_is_refused_with_the_legal_ones(market: Market) -> None:
    for size in ("7 mins", "1 min ago", "60", "", "2 days"):
        code, text = refusal(market, request(AAPL, size, "1 D"))
        assert code == 321
        assert "Historical data bar size setting is invalid. Legal ones are: 1 secs, 5 secs," in text


def test_an_unknown_what_to_show_is_refused(market: Market) -> None:
    expected = (321, "Error validating request.-'bN' : cause - What to show field is missing or incorrect.")
    assert refusal(market, request(AAPL, "1 min", "1 D", what="PRICES")) == expected
    assert refusal(market, request(AAPL, "1 min", "1 D", what="")) == expected


@pytest.mark.parametrize(
    ("query", "what", "size", "subject"),
    [
        (EURUSD, "TRADES", "1 min", "EUR/CASH@IDEALPRO Last 60"),
        (EURUSD, "TRADES", "1 day", "EUR/CASH@IDEALPRO Last 1d"),
        (EURUSD, "ADJUSTED_LAST", "5 mins", "EUR/CASH@IDEALPRO AdjLast 300"),
        (AAPL, "YIELD_BID", "1 day", "AAPL/STK@SMART BidYield 1d"),
        (AAPL, "HISTORICAL_VOLATILITY", "1 day", "AAPL/STK@SMART HistoricalVolatility 1d"),
        (SPX, "MIDPOINT", "1 hour", "SPX/IND@CBOE Midpoint 3600"),
    ],
)
def test_what_a_contract_never_has_is_refused_with_162(market: Market, query: ContractQuery, what: str, size: str, subject: str) -> None:
    text = f"Historical Market Data Service error message:No historical market data for {subject}"
    assert refusal(market, request(query, size, "1 D", what=what)) == (162, text)


def test_trades_of_coins_have_a_name_of_their_own(market: Market) -> None:
    text = "Expected what to show is AGGTRADES, please use that instead of TRADES."
    assert refusal(market, request(BTC, "1 min", "1 D")) == (10299, text)
    assert refusal(market, request(AAPL, "1 min", "1 D", what="AGGTRADES"))[0] == 10299


@pytest.mark.parametrize(
    ("question", "subject"),
    [
        (request(AAPL, "1 day", "1 Y", "19800601-00:00:00"), "AAPL@SMART Trades"),
        (request(AAPL, "1 day", "1 M", "20030101-00:00:00", what="BID"), "AAPL@SMART Bid"),
        (request(EURUSD, "1 min", "1 D", "20050301-00:00:00", what="MIDPOINT"), "EUR.USD@IDEALPRO Midpoint"),
        (request(THIN, "1 secs", "60 S", "20240612 19:00:00 US/Eastern", rth=False), "THIN@SMART Trades"),
        (request(replace(AAPL, exchange="ISLAND"), "1 day", "1 Y", "19700101-00:00:00"), "AAPL@NASDAQ Trades"),
    ],
)
def test_where_nothing_is_there_162_says_so(market: Market, question: HistoryRequest, subject: str) -> None:
    assert refusal(market, question) == (162, f"Historical Market Data Service error message:HMDS query returned no data: {subject}")


def test_an_answer_begins_with_the_listing(market: Market) -> None:
    """Roblox was listed on 2021-03-10 (NYSE)."""
    roblox = ContractQuery(symbol="RBLX", sec_type="STK", exchange="SMART", currency="USD")
    assert rows(market, request(roblox, "1 day", "1 Y", "20210601 16:00:00 US/Eastern"))[0].date == "20210310"


def test_some_combinations_are_refused(market: Market) -> None:
    continuous = ContractQuery(symbol="ES", sec_type="CONTFUT", exchange="CME")
    assert refusal(market, request(continuous, "1 day", "5 D", "20240612-12:00:00"))[0] == 10339
    assert rows(market, request(continuous, "1 day", "5 D"))
    assert refusal(market, request(AAPL, "1 day", "5 D", "20240612-12:00:00", what="ADJUSTED_LAST"))[0] == 321
    assert refusal(market, request(AAPL, "1 min", "1 D", "20240612-12:00:00", live=True))[0] == 321
    assert refusal(market, request(AAPL, "1 secs", "60 S", live=True))[0] == 321
    assert refusal(market, request(AAPL, "1 min", "1 D", format_date=0)) == (
        321,
        "Error validating request.-'bN' : cause - Date formatting selection of 0 rejected.",
    )


# How it is told


def test_stamps_are_local_texts_or_seconds_and_days_are_dates(market: Market) -> None:
    end = "20240612 16:00:00 US/Eastern"
    assert rows(market, request(AAPL, "1 min", "1 D", end, format_date=1))[0].date == "20240612 09:30:00 US/Eastern"
    assert rows(market, request(AAPL, "1 min", "1 D", end, format_date=2))[0].date == str(ns("2024-06-12 09:30", NEW_YORK) // 10**9)
    assert {rows(market, request(AAPL, "1 day", "1 D", end, format_date=form))[0].date for form in (1, 2)} == {"20240612"}
    assert rows(market, request(SPX, "1 min", "1 D", end, format_date=1))[0].date == "20240612 08:30:00 US/Central"


def test_the_header_tells_where_the_request_begins_and_ends(market: Market) -> None:
    answer = market.history(request(AAPL, "1 min", "2 D", "20240612-16:00:00"), LATER)
    assert (answer.start, answer.end) == ("20240611 09:30:00 US/Eastern", "20240612 12:00:00 US/Eastern")


def test_numbers_are_written_without_trailing_zeros(market: Market) -> None:
    for row in market.history(request(AAPL, "1 min", "5 D"), FRIDAY_NOON).rows:
        for text in row[1:6]:
            assert "e" not in text
            assert text == text.strip()
            assert "." not in text or not text.endswith(("0", "."))


CONTRACTS = st.sampled_from([AAPL, EURUSD, BTC, SPX, THIN, ContractQuery(symbol="CL", sec_type="CONTFUT")])
DESCRIPTIONS = st.builds(ContractQuery, con_id=st.integers(0, 2**31), symbol=st.text(max_size=4), sec_type=st.sampled_from(["", "STK", "FUT", "?"]))
ENDS = st.sampled_from(["", "00010101 00:00:00 Asia/Tokyo", "19700101-00:00:00", "20240310 02:30:00 US/Eastern", "99991231-23:59:59"])
SIZES = st.sampled_from(["1 secs", "1 min", "1 hour", "1 day", "1W", "1M"])
SHOWN = st.sampled_from(["TRADES", "MIDPOINT", "BID_ASK", "AGGTRADES", "SCHEDULE"])
MOMENTS = st.sampled_from([0, ns("1989-12-31 12:00"), ns("1999-06-01 12:00"), FRIDAY_NOON, LATER, ns("2040-01-01 12:00")])
QUESTIONS = st.builds(
    HistoryRequest,
    contract=CONTRACTS | DESCRIPTIONS,
    end=ENDS | st.text(max_size=20),
    bar_size=SIZES | st.text(max_size=8),
    duration=st.from_regex(r"\A[0-9]{1,4} [SDWMY]\Z") | st.text(max_size=8),
    use_rth=st.booleans(),
    what=SHOWN | st.text(max_size=8),
    format_date=st.integers(0, 3),
    keep_up_to_date=st.booleans(),
)


@given(QUESTIONS, MOMENTS)
@settings(max_examples=300)
def test_whatever_is_asked_is_answered_or_refused(question: HistoryRequest, now_ns: int) -> None:
    for ask in (MARKET.history, MARKET.current_bar, MARKET.schedule):
        refused: list[int] = []
        try:
            ask(question, now_ns)
        except Refusal as refusal:
            refused.append(refusal.code)
        assert set(refused) <= {162, 200, 321, 10299, 10314, 10339}
