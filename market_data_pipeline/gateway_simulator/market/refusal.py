"""What a gateway says when it does not answer, worded as Interactive Brokers words it: clients match these texts."""

from __future__ import annotations

_HMDS = "Historical Market Data Service error message:"


class Refusal(Exception):
    """A request that is refused, as an error message (4) carries it.

    Attributes:
        code: IBKR's error code.
        text: Its text.
    """

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code
        self.text = text


def unknown_contract() -> Refusal:
    """No contract fits."""
    return Refusal(200, "No security definition has been found for the request")


def ambiguous_contract(symbol: str) -> Refusal:
    """Several contracts fit where one is needed."""
    return Refusal(200, f"The contract description specified for {symbol} is ambiguous.")


def invalid_request(cause: str) -> Refusal:
    """A field of the request cannot be meant. IBKR's two letters name a field of the Java client; they change from version to version."""
    return Refusal(321, f"Error validating request.-'bN' : cause - {cause}")


def no_data(subject: str) -> Refusal:
    """Nothing is there: `AAPL@SMART Trades`."""
    return Refusal(162, f"{_HMDS}HMDS query returned no data: {subject}")


def not_recorded(subject: str) -> Refusal:
    """The broker never has such data: `EUR/CASH@IDEALPRO Last 60`."""
    return Refusal(162, f"{_HMDS}No historical market data for {subject}")


def invalid_end() -> Refusal:
    """An endDateTime that cannot be read."""
    return Refusal(
        10314,
        "End Date/Time: The date, time, or time-zone entered is invalid. The correct format is yyyymmdd hh:mm:ss xx/xxxx "
        "where yyyymmdd and xx/xxxx are optional. E.g.: 20031126 15:59:00 US/Eastern  Note that there is a space between the date and time, "
        "and between the time and time-zone.  If no date is specified, current date is assumed. If no time-zone is specified, local time-zone "
        "is assumed(deprecated).  You can also provide yyyymmddd-hh:mm:ss time is in UTC. Note that there is a dash between the date and time "
        "in UTC notation.",
    )


def end_of_continuous_future() -> Refusal:
    """An endDateTime for a CONTFUT."""
    return Refusal(10339, "Setting end date/time for continuous future security type is not allowed.")


def wrong_trades(expected: str, given: str) -> Refusal:
    """Crypto trades are asked for as AGGTRADES, and nothing else is."""
    return Refusal(10299, f"Expected what to show is {expected}, please use that instead of {given}.")
