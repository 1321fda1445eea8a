"""Codes and their classes: "TWS API Message Codes" of Interactive Brokers; texts as its gateways send them."""

from __future__ import annotations

import pytest

from market_data_pipeline.domain.errors import ContractAmbiguous, ContractUnknown, PacingRefused, SourceBusy, SourceError, SourceRefused
from market_data_pipeline.sources.ibkr.codes import ConnectionLost, Farm, NothingThere, error_of, farm_of, is_broker_back

SERVICE = "Historical Market Data Service error message:"


@pytest.mark.parametrize(
    ("code", "text", "expected"),
    [
        (200, "No security definition has been found for the request", ContractUnknown),
        (200, "The contract description specified for ES is ambiguous.", ContractAmbiguous),
        (321, "Error validating request.-'bW' : cause - Invalid step", SourceRefused),
        (354, "Requested market data is not subscribed", SourceRefused),
        (10314, "End Date/Time: the date, time, or time-zone entered is invalid", SourceRefused),
        (430, "The fundamentals data for the security specified is not available", SourceRefused),
        (503, "The TWS is out of date and must be upgraded.", SourceRefused),
        (162, SERVICE + "No market data permissions for NYSE STK", SourceRefused),
        (162, SERVICE + "HMDS query returned no data: AAPL@SMART Trades", NothingThere),
        (162, SERVICE + "Historical data request pacing violation", PacingRefused),
        (162, SERVICE + "API historical data query cancelled: 5", SourceBusy),
        (162, SERVICE + "Trading TWS session is connected from a different IP address", SourceBusy),
        (420, "Invalid Real-time Query: Historical data request pacing violation", PacingRefused),
        (165, "Historical Market Data Service query message:HMDS server disconnect occurred", SourceBusy),
        (322, "Error processing request", SourceBusy),
        (366, "No historical data query found for ticker id", SourceBusy),
        (100, "Max rate of messages per second has been exceeded", SourceBusy),
        (10197, "No market data during competing live session", SourceBusy),
        (1100, "Connectivity between IB and Trader Workstation has been lost.", ConnectionLost),
        (1300, "TWS socket port has been reset and this connection is being dropped.", ConnectionLost),
        (502, "Couldn't connect to TWS.", ConnectionLost),
        (504, "Not connected", ConnectionLost),
    ],
)
def test_a_code_and_its_text_make_one_class_of_error(code: int, text: str, expected: type[SourceError]) -> None:
    error = error_of(code, text, "AAPL 2024-01-05")
    assert type(error) is expected
    assert f"(error {code})" in str(error)
    assert str(error).startswith("AAPL 2024-01-05: IBKR says: ")


@pytest.mark.parametrize("code", [1101, 1102, 2103, 2104, 2105, 2106, 2107, 2108, 2110, 2157, 2158, 2174, 10167])
def test_news_of_farms_and_warnings_end_no_request(code: int) -> None:
    assert error_of(code, "Market data farm connection is OK:usfarm", "x") is None


@pytest.mark.parametrize(
    ("what", "command"),
    [
        ("ES.CME 1-MINUTE-LAST 2024-01-05", "mdp ibkr discover ES"),
        ("EUR/USD.IDEALPRO 1-DAY-MID 2024-01-05", "mdp ibkr discover EUR/USD"),
        ("Contract BRK B STK SMART/NYSE USD", "mdp ibkr discover 'BRK B'"),
        ("Earliest TRADES of AAPL STK SMART USD", "mdp ibkr discover AAPL"),
    ],
)
def test_the_command_that_looks_a_symbol_up_names_it(what: str, command: str) -> None:
    for text in ("No security definition has been found for the request", "The contract description specified is ambiguous."):
        assert str(error_of(200, text, what)).endswith(command)


def test_an_unknown_code_is_final_and_points_to_the_guide() -> None:
    error = error_of(12345, "Something new.", "AAPL")
    assert isinstance(error, SourceRefused)
    assert not error.retryable
    assert str(error) == "AAPL: IBKR says: Something new (error 12345). What error 12345 means and what helps: docs/ibkr.md"


def test_an_unknown_text_of_the_historical_service_is_final() -> None:
    error = error_of(162, SERVICE + "invalid multi-leg combination", "AAPL")
    assert type(error) is SourceRefused
    assert "docs/ibkr.md" in str(error)


def test_only_what_asking_again_can_mend_says_so() -> None:
    retryable = {code: error.retryable for code in (100, 165, 200, 321, 354, 1100, 10197) if (error := error_of(code, "", "x")) is not None}
    assert retryable == {100: True, 165: True, 200: False, 321: False, 354: False, 1100: True, 10197: True}


def test_a_farm_is_named_after_the_colon() -> None:
    assert farm_of(2106, "HMDS data farm connection is OK:ushmds") == ("ushmds", Farm.UP)
    assert farm_of(2103, "Market data farm connection is broken:usfarm.nj") == ("usfarm.nj", Farm.DOWN)
    assert farm_of(2107, "HMDS data farm connection is inactive but should be available upon demand.:euhmds") == ("euhmds", Farm.ASLEEP)
    assert farm_of(200, "No security definition") is None


def test_the_broker_is_back_with_1101_and_with_1102() -> None:
    assert [code for code in (1100, 1101, 1102, 2104) if is_broker_back(code)] == [1101, 1102]
