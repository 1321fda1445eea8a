"""Errors and notices of the TWS API: their numbers, their texts, and whom they concern.

Source: TWS API documentation, "Message Codes"; texts of 162, 322 and 100 as gateways write them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from market_data_pipeline.gateway_simulator.messages import Say
from market_data_pipeline.gateway_simulator.wire import frame

_VALUE = re.compile(r"\{([a-z_]+)\}")

NO_REQUEST = -1
"""The request id of a notice that belongs to no request."""

_HMDS = "Historical Market Data Service error message:"
_INVALID = "Error validating request.-'bW' : cause - "
_NOT_PROCESSED = "Error processing request.-'bW' : cause - "


class Then(StrEnum):
    """What becomes of a request when a notice was sent on its account."""

    END = "end"
    ANSWER = "answer"
    SILENCE = "silence"
    DROP = "drop"


@dataclass(frozen=True)
class Notice:
    """An error message.

    Attributes:
        code: Its number.
        text: Its text; `{contract}`, `{exchange}`, `{sec_type}`, `{id}`, `{port}`, `{limit}` and `{cause}` stand for values of the request.
        then: What becomes of the request. Only those that end it carry its id.
    """

    code: int
    text: str
    then: Then = Then.END

    def framed(self, request_id: int, values: Mapping[str, object] = MappingProxyType({})) -> bytes:
        """Return the message for one request, as it goes over the socket."""
        text = _VALUE.sub(lambda name: str(values.get(name[1], "")), self.text)
        return error(request_id if self.then is Then.END else NO_REQUEST, self.code, text)


def error(request_id: int, code: int, text: str) -> bytes:
    """Return message 4."""
    return frame(Say.ERROR, 2, request_id, code, text, "")


PACING = Notice(162, f"{_HMDS}Historical data request pacing violation")
NO_DATA = Notice(162, f"{_HMDS}HMDS query returned no data: {{contract}}@{{exchange}} Trades")
NO_PERMISSION = Notice(162, f"{_HMDS}No market data permissions for {{exchange}} {{sec_type}}")
QUERY_CANCELLED = Notice(162, f"{_HMDS}API historical data query cancelled: {{id}}")
UNKNOWN_CONTRACT = Notice(200, "No security definition has been found for the request")
AMBIGUOUS_CONTRACT = Notice(200, "The contract description specified for {contract} is ambiguous.")
TOO_MANY_OPEN = Notice(322, f"{_NOT_PROCESSED}Only {{limit}} simultaneous API historical data requests allowed.")
DUPLICATE_ID = Notice(322, f"{_NOT_PROCESSED}Duplicate ticker ID for API historical data query")
MATCHING_TOO_FAST = Notice(322, f"{_NOT_PROCESSED}Only one request for matching symbols a second is allowed.")
NO_SUCH_QUERY = Notice(366, "No historical data query found for ticker id:{id}")
READ_ONLY = Notice(321, f"{_INVALID}The API interface is currently in Read-Only mode.")
NOT_SUBSCRIBED = Notice(354, "Requested market data is not subscribed. Delayed market data is not available.{contract}")
UNKNOWN_MESSAGE = Notice(505, "Fatal Error: Unknown message id: {id}")
UNREADABLE_MESSAGE = Notice(320, "Server error when reading an API client request: {cause}")
FAILED = Notice(322, f"{_NOT_PROCESSED}the simulator failed: {{cause}}")
ID_IN_USE = Notice(326, "Unable to connect as the client id is already in use. Retry with a unique client id.", Then.DROP)
TOO_MANY_CLIENTS = Notice(320, "Server error when reading an API client request: only 32 API clients may be connected.", Then.DROP)
CONNECTION_LOST = Notice(1100, "Connectivity between IBKR and Trader Workstation has been lost.", Then.SILENCE)
RESTORED_DATA_LOST = Notice(1101, "Connectivity between IBKR and Trader Workstation has been restored - data lost.", Then.ANSWER)
RESTORED_DATA_KEPT = Notice(
    1102,
    "Connectivity between IBKR and Trader Workstation has been restored - data maintained. "
    "All data farms are connected: usfarm; cashfarm; ushmds; secdefnj.",
    Then.ANSWER,
)
FARMS_OK = (
    Notice(2104, "Market data farm connection is OK:usfarm", Then.ANSWER),
    Notice(2106, "HMDS data farm connection is OK:ushmds", Then.ANSWER),
    Notice(2158, "Sec-def data farm connection is OK:secdefnj", Then.ANSWER),
)

_OF_A_REQUEST = (
    Notice(162, f"{_HMDS}Trading TWS session is connected from a different IP address"),
    Notice(165, "Historical Market Data Service query message:HMDS server disconnect occurred.  Attempting reconnection..."),
    UNKNOWN_CONTRACT,
    Notice(321, f"{_INVALID}Invalid step"),
    Notice(322, f"{_NOT_PROCESSED}The historical data query could not be started"),
    NOT_SUBSCRIBED,
    NO_SUCH_QUERY,
    Notice(430, "The fundamentals data for the security specified is not available."),
    Notice(10090, "Part of requested market data is not subscribed. Subscription-independent ticks are still active.{contract}"),
    Notice(10187, "Failed to request historical ticks:No market data permissions for {exchange} {sec_type}"),
    Notice(10197, "No market data during competing live session"),
    Notice(
        10314,
        "End Date/Time: The date, time, or time-zone entered is invalid. The correct format is yyyymmdd hh:mm:ss xx/xxxx "
        "where yyyymmdd and xx/xxxx are optional. E.g.: 20031126 15:59:00 US/Eastern  Note that there is a space between the date and time, "
        "and between the time and time-zone.  If no date is specified, current date is assumed. "
        "If no time-zone is specified, local time-zone is assumed(deprecated).  "
        "You can also provide yyyymmddd-hh:mm:ss time is in UTC. Note that there is a dash between the date and time in UTC notation.",
    ),
)
_OF_THE_CONNECTION = (
    Notice(100, "Max rate of messages per second has been exceeded:max=50 rec=51 (1)", Then.SILENCE),
    ID_IN_USE,
    Notice(502, "Couldn't connect to TWS. Confirm that 'Enable ActiveX and Socket Clients' is enabled.", Then.DROP),
    Notice(503, "The TWS is out of date and must be upgraded.", Then.DROP),
    Notice(504, "Not connected", Then.DROP),
    Notice(507, "Bad Message Length", Then.DROP),
    CONNECTION_LOST,
    RESTORED_DATA_LOST,
    RESTORED_DATA_KEPT,
    Notice(1300, "Socket port has been reset and this connection is being dropped. Please reconnect on the new port - {port}", Then.DROP),
    Notice(2103, "Market data farm connection is broken:usfarm", Then.ANSWER),
    Notice(2105, "HMDS data farm connection is broken:ushmds", Then.ANSWER),
    Notice(2107, "HMDS data farm connection is inactive but should be available upon demand.ushmds", Then.ANSWER),
    Notice(2108, "Market data farm connection is inactive but should be available upon demand.usfarm", Then.ANSWER),
    Notice(2110, "Connectivity between Trader Workstation and server is broken. It will be restored automatically.", Then.ANSWER),
    Notice(2157, "Sec-def data farm connection is broken:secdefnj", Then.ANSWER),
    *FARMS_OK,
)

BY_CODE: Mapping[int, Notice] = MappingProxyType({one.code: one for one in (*_OF_A_REQUEST, *_OF_THE_CONNECTION)})
"""The text of each code that a scenario may send without giving one."""
