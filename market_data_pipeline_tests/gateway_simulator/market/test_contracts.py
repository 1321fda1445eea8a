"""Which contracts a description fits."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path

import pytest

from market_data_pipeline.domain.errors import ConfigurationError
from market_data_pipeline.gateway_simulator.market import ContractQuery, Market, Refusal
from market_data_pipeline_tests.gateway_simulator.market.asking import AAPL, E_MINI, EURUSD, FRIDAY_NOON, LATER, request, rows
from market_data_pipeline_tests.instants import ns

FUTURES = ContractQuery(symbol="ES", sec_type="FUT", exchange="CME", currency="USD")
CRUDE = ContractQuery(symbol="CL", sec_type="FUT", exchange="NYMEX", currency="USD")


def ids(market: Market, query: ContractQuery, now_ns: int = FRIDAY_NOON) -> list[str]:
    return [contract.instrument_id for contract in market.contracts(query, now_ns)]


def refusal(market: Market, query: ContractQuery) -> tuple[int, str]:
    with pytest.raises(Refusal) as refused:
        market.contract(query, FRIDAY_NOON)
    return refused.value.code, refused.value.text


@pytest.mark.parametrize(
    ("symbol", "instrument_id", "con_id"),
    [
        ("AAPL", "AAPL.NASDAQ", 265598),
        ("MSFT", "MSFT.NASDAQ", 272093),
        ("GOOGL", "GOOGL.NASDAQ", 208813719),
        ("AMZN", "AMZN.NASDAQ", 3691937),
        ("NVDA", "NVDA.NASDAQ", 4815747),
        ("TSLA", "TSLA.NASDAQ", 76792991),
        ("META", "META.NASDAQ", 107113386),
        ("RBLX", "RBLX.NYSE", None),
        ("SPY", "SPY.ARCA", 756733),
        ("QQQ", "QQQ.NASDAQ", 320227571),
        ("BRK B", "BRK-B.NYSE", 72063691),
        ("ES", "ES.NYSE", None),
        ("IBM", "IBM.NYSE", 8314),
    ],
)
def test_stocks_are_found_on_smart(market: Market, symbol: str, instrument_id: str, con_id: int | None) -> None:
    contract = market.contract(ContractQuery(symbol=symbol, sec_type="STK", exchange="SMART", currency="USD"), FRIDAY_NOON)
    assert contract.instrument_id == instrument_id
    assert con_id is None or contract.con_id == con_id


def test_a_number_is_enough_and_goes_before_other_fields(market: Market) -> None:
    assert ids(market, ContractQuery(con_id=12087792)) == ["EUR/USD.IDEALPRO"]
    assert ids(market, ContractQuery(con_id=12087792, symbol="GBP", exchange="IDEALPRO")) == ["EUR/USD.IDEALPRO"]


def test_island_and_nasdaq_are_one_exchange(market: Market) -> None:
    on_nasdaq = market.contracts(replace(AAPL, exchange="NASDAQ"), FRIDAY_NOON)
    assert market.contracts(replace(AAPL, exchange="ISLAND"), FRIDAY_NOON) == on_nasdaq
    assert ids(market, replace(AAPL, primary_exchange="ISLAND")) == ids(market, replace(AAPL, primary_exchange="NASDAQ")) == ["AAPL.NASDAQ"]
    assert market.contract(replace(AAPL, exchange="ISLAND"), FRIDAY_NOON).exchange == "NASDAQ"
    assert rows(market, request(replace(AAPL, exchange="ISLAND"), "1 day", "5 D")) == rows(market, request(AAPL, "1 day", "5 D"))


def test_an_isin_finds_a_stock_and_one_stock_has_none(market: Market) -> None:
    apple = ContractQuery(sec_id_type="ISIN", sec_id="US0378331005", exchange="SMART")
    assert ids(market, apple) == ["AAPL.NASDAQ"]
    assert dict(market.contract(AAPL, FRIDAY_NOON).security_ids) == {"ISIN": "US0378331005"}
    assert market.contract(ContractQuery(symbol="THIN", sec_type="STK"), FRIDAY_NOON).security_ids == ()


def test_isins_have_their_check_digit(market: Market) -> None:
    """ISO 6166: letters become two digits, every second digit from the right is doubled, and the digits sum to a multiple of ten."""
    for pattern in ("A", "B", "I", "O", "S", "T", "E"):
        for contract in market.matching(pattern, FRIDAY_NOON):
            for _, isin in contract.security_ids:
                digits = "".join(str(int(letter, 36)) for letter in isin)
                doubled = [int(digit) * (2 if i % 2 else 1) for i, digit in enumerate(reversed(digits))]
                assert sum(number // 10 + number % 10 for number in doubled) % 10 == 0, isin


def test_two_listings_of_a_symbol_are_ambiguous_until_an_exchange_is_named(market: Market) -> None:
    both = ContractQuery(symbol="DUO", sec_type="STK", exchange="SMART", currency="USD")
    assert sorted(ids(market, both)) == ["DUO.NASDAQ", "DUO.NYSE"]
    assert refusal(market, both) == (200, "The contract description specified for DUO is ambiguous.")
    assert ids(market, replace(both, primary_exchange="NYSE")) == ["DUO.NYSE"]
    with pytest.raises(Refusal, match=r"200: The contract description specified for DUO is ambiguous\."):
        market.history(request(both, "1 day", "1 D"), FRIDAY_NOON)


@pytest.mark.parametrize(
    "query",
    [
        replace(AAPL, symbol="NOSUCH"),
        replace(AAPL, sec_type="CASH"),
        replace(AAPL, currency="EUR"),
        replace(AAPL, exchange="IDEALPRO"),
        replace(AAPL, primary_exchange="NYSE"),
        replace(AAPL, sec_type="OPT"),
        ContractQuery(con_id=1),
        ContractQuery(sec_type="STK", exchange="SMART"),
        replace(E_MINI, expiry="202412"),
        ContractQuery(sec_id_type="ISIN", sec_id="US0000000000"),
    ],
)
def test_what_fits_nothing_is_refused_with_200(market: Market, query: ContractQuery) -> None:
    assert refusal(market, query) == (200, "No security definition has been found for the request")


def test_a_security_type_must_be_named(market: Market) -> None:
    for kind in ("", "STOCK"):
        assert refusal(market, replace(AAPL, sec_type=kind)) == (321, "Error validating request.-'bN' : cause - Please enter a valid security type")


def test_es_is_a_stock_a_future_and_a_continuous_future(market: Market) -> None:
    assert ids(market, ContractQuery(symbol="ES", sec_type="STK", exchange="SMART", currency="USD")) == ["ES.NYSE"]
    assert ids(market, FUTURES) == ["ESM4.CME", "ESU4.CME", "ESZ4.CME", "ESH5.CME", "ESM5.CME", "ESU5.CME"]
    assert ids(market, replace(FUTURES, sec_type="CONTFUT")) == ["ES.CME"]
    assert len(ids(market, replace(FUTURES, sec_type="FUT+CONTFUT"))) == 7


def test_futures_are_last_traded_on_the_days_that_the_exchange_published(market: Market) -> None:
    """CME Group's calendars: index futures on third Fridays; 2026-06-19 is a holiday. Crude oil for 2024 and early 2025."""
    index = {c.local_symbol: c.expiry for c in market.contracts(FUTURES, ns("2026-06-01 12:00"))}
    assert (index["ESM6"], index["ESU6"], index["ESZ6"]) == ("20260618", "20260918", "20261218")
    crude = {c.local_symbol: c.expiry for c in market.contracts(replace(CRUDE, include_expired=True), ns("2024-12-30 12:00"))}
    published = {"CLG4": "20240122", "CLH4": "20240220", "CLJ4": "20240320", "CLK4": "20240422", "CLF5": "20241219", "CLG5": "20250121"}
    assert crude.items() >= published.items()


def test_expired_futures_are_found_for_two_years_where_they_are_asked_for(market: Market) -> None:
    assert "ESH4.CME" not in ids(market, FUTURES)
    past = ids(market, replace(FUTURES, include_expired=True))
    assert past[0] == "ESM2.CME"
    assert "ESH4.CME" in past
    assert "ESH2.CME" not in past
    question = request(ContractQuery(local_symbol="ESH4", sec_type="FUT", exchange="CME", include_expired=True), "1 day", "2 Y", rth=False)
    assert rows(market, question, FRIDAY_NOON)[-1].date == "20240315"


def test_a_future_is_chosen_by_month_date_or_local_symbol(market: Market) -> None:
    for query in (replace(FUTURES, expiry="202409"), replace(FUTURES, expiry="20240920"), replace(FUTURES, local_symbol="ESU4", symbol="")):
        assert ids(market, query) == ["ESU4.CME"]
    july = market.contract(replace(CRUDE, expiry="202408"), FRIDAY_NOON)
    assert (july.local_symbol, july.contract_month, july.expiry) == ("CLQ4", "202408", "20240722")


def test_a_future_keeps_its_number_and_the_continuous_one_follows_the_nearest(market: Market) -> None:
    june, july = ns("2024-06-14 12:00"), ns("2024-07-14 12:00")
    by_number = market.contract(ContractQuery(con_id=market.contract(E_MINI, june).con_id, exchange="CME"), july)
    assert by_number.local_symbol == "ESU4"
    continuous = replace(FUTURES, sec_type="CONTFUT")
    assert [market.contract(continuous, now).local_symbol for now in (june, july)] == ["ESM4", "ESU4"]
    assert market.contract(continuous, june).con_id == market.contract(continuous, july).con_id


def test_trading_hours_of_a_week_are_told_as_ibkr_tells_them(market: Market) -> None:
    """From Friday 2024-06-14; Wednesday the 19th is Juneteenth."""
    stock = market.contract(AAPL, FRIDAY_NOON)
    assert stock.liquid_hours == (
        "20240614:0930-20240614:1600;20240615:CLOSED;20240616:CLOSED;20240617:0930-20240617:1600;"
        "20240618:0930-20240618:1600;20240619:CLOSED;20240620:0930-20240620:1600"
    )
    assert stock.trading_hours.startswith("20240614:0400-20240614:2000;")
    assert market.contract(EURUSD, FRIDAY_NOON).trading_hours.startswith(
        "20240613:1715-20240614:1700;20240615:CLOSED;20240616:1715-20240617:1700;20240617:1715-20240618:1700;"
    )


def test_the_text_of_trading_hours_ends_with_an_open_session(market: Market) -> None:
    for day in range(1, 29):
        contract = market.contract(AAPL, ns(f"2024-12-{day:02} 15:00"))
        assert not contract.trading_hours.endswith("CLOSED")
        assert contract.trading_hours.startswith(f"202412{day:02}:")


def test_matching_symbols_are_stocks_first_and_the_exact_one_before_all(market: Market) -> None:
    assert market.matching("es", LATER)[0].instrument_id == "ES.NYSE"
    assert [c.instrument_id for c in market.matching("apple", LATER)] == ["AAPL.NASDAQ"]
    assert market.matching("S", LATER)[0].symbol == "SPY"
    kinds = [c.sec_type for c in market.matching("S", LATER)]
    assert kinds == sorted(kinds, key=lambda kind: kind != "STK")
    assert market.matching("ZZZZ", LATER) == []
    assert market.matching("  ", LATER) == []


# A file of one's own


OWN = """
stocks:
  - symbol: ACME
    name: ACME CORP
    primary_exchange: NYSE
    listed: 2020-01-02
    price: 55.50
futures:
  - {symbol: MES, name: Micro E-mini, exchange: CME, multiplier: 5, tick: 0.25, months: HMUZ, expiry: third_friday, price: 4780, listed: 2019-05-06}
"""


def test_own_contracts_stand_beside_the_others(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(OWN)
    market = Market.standard(extra=file)
    acme = ContractQuery(symbol="ACME", sec_type="STK", exchange="SMART", currency="USD")
    assert ids(market, acme) == ["ACME.NYSE"]
    assert market.contract(acme, FRIDAY_NOON).con_id == Market.standard(extra=file).contract(acme, LATER).con_id
    assert len(rows(market, request(acme, "1 min", "1 D", "20240612-20:00:00"))) > 300
    assert ids(market, replace(FUTURES, symbol="MES"))[0] == "MESM4.CME"
    assert ids(market, AAPL) == ["AAPL.NASDAQ"]


@pytest.mark.parametrize(
    ("wrong", "line", "says"),
    [
        (OWN.replace("price: 55.50", "price: -1"), 7, r"stocks\[0\]\.price"),
        (OWN.replace("listed: 2020-01-02", "listed: 2020-02-30"), 6, "listed"),
        (OWN.replace("NYSE", "MARS"), 5, "no trading calendar is known for 'MARS'"),
        (OWN.replace("    price: 55.50", "    price: 55.50\n    colour: red"), 8, "colour: is no key known here"),
        (OWN.replace("    name: ACME CORP\n", ""), 3, "name: is missing"),
        (OWN.replace("third_friday", "someday"), 9, "expiry"),
    ],
)
def test_a_wrong_line_of_an_own_file_is_named(tmp_path: Path, wrong: str, line: int, says: str) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(wrong)
    with pytest.raises(ConfigurationError, match=rf"own\.yaml, line {line}: .*{says}"):
        Market.standard(extra=file)


def test_an_own_contract_cannot_take_the_number_of_another(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(OWN.replace("    symbol: ACME", "    symbol: ACME").replace("name: ACME CORP", "name: ACME CORP\n    con_id: 265598"))
    with pytest.raises(ConfigurationError, match=r"own\.yaml: ACME\.NYSE and AAPL\.NASDAQ have one con_id, 265598"):
        Market.standard(extra=file)


def test_a_future_that_is_listed_already_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(OWN.replace("symbol: MES", "symbol: ES"))
    with pytest.raises(ConfigurationError, match="the future ES on CME is listed already"):
        Market.standard(extra=file)


def test_expiries_are_listed_a_while_before_they_are_the_nearest(market: Market) -> None:
    for contract in market.contracts(FUTURES, FRIDAY_NOON):
        assert contract.listed < dt.date(2024, 6, 14) <= (contract.delisted or dt.date.min)
