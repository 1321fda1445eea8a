"""The official client, unmodified, against a gateway in a process of its own."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from ibapi.client import EClient
from ibapi.contract import Contract
from ibapi.wrapper import EWrapper

from market_data_pipeline_tests.gateway import RunningGateway

PATIENCE_S = 10.0
_CLIENT_IDS = itertools.count(50)


class Client(EWrapper, EClient):
    """Notes what it is told."""

    def __init__(self) -> None:
        EClient.__init__(self, self)
        self.told: dict[str, list[Any]] = {}
        self._came = threading.Condition()

    def _note(self, what: str, *values: Any) -> None:
        with self._came:
            self.told.setdefault(what, []).append(values)
            self._came.notify_all()

    def wait_for(self, what: str) -> list[Any]:
        """Return what was told of a kind, once something was."""
        with self._came:
            assert self._came.wait_for(lambda: what in self.told, PATIENCE_S), f"{what} did not come: {self.told}"
            return self.told[what]

    def nextValidId(self, order_id: int) -> None:  # noqa: N802
        self._note("next id", order_id)

    def managedAccounts(self, accounts: str) -> None:  # noqa: N802
        self._note("accounts", accounts)

    def error(self, request_id: int, time: int, code: int, text: str, rejected: str = "") -> None:
        self._note(f"error of {request_id}", code, text)

    def contractDetails(self, request_id: int, details: Any) -> None:  # noqa: N802
        self._note("details", details)

    def contractDetailsEnd(self, request_id: int) -> None:  # noqa: N802
        self._note("details end", request_id)

    def historicalData(self, request_id: int, bar: Any) -> None:  # noqa: N802
        self._note("bar", bar)

    def historicalDataEnd(self, request_id: int, start: str, end: str) -> None:  # noqa: N802
        self._note("bars end", start, end)

    def headTimestamp(self, request_id: int, head: str) -> None:  # noqa: N802
        self._note("head", head)

    def symbolSamples(self, request_id: int, symbols: Any) -> None:  # noqa: N802
        self._note("symbols", symbols)

    def historicalSchedule(self, request_id: int, start: str, end: str, zone: str, sessions: Any) -> None:  # noqa: N802
        self._note("schedule", zone, sessions)


@pytest.fixture
def client(gateway: RunningGateway) -> Iterator[Client]:
    """A started client."""
    client = Client()
    # Its socket is gone only a moment after disconnect(): the next test takes another id.
    client.connect(gateway.host, gateway.port, next(_CLIENT_IDS))
    reader = threading.Thread(target=client.run)
    reader.start()
    client.wait_for("next id")
    yield client
    client.disconnect()
    reader.join(PATIENCE_S)


def apple() -> Contract:
    contract = Contract()
    contract.symbol, contract.secType, contract.exchange, contract.currency = "AAPL", "STK", "SMART", "USD"
    return contract


def test_it_shakes_hands_in_text(client: Client) -> None:
    assert client.serverVersion() == 178
    assert client.wait_for("accounts") == [("DUSIM12345",)]


def test_it_learns_of_a_contract(client: Client) -> None:
    client.reqContractDetails(7, apple())
    assert client.wait_for("details end") == [(7,)]
    ((details,),) = client.told["details"]
    assert (details.contract.conId, details.longName, details.contract.primaryExchange) == (265598, "APPLE INC", "NASDAQ")
    assert (details.minTick, details.stockType, details.secIdList[0].value) == (0.01, "COMMON", "US0378331005")


def test_it_gets_bars(client: Client) -> None:
    client.reqHistoricalData(8, apple(), "20240603-20:00:00", "1 D", "1 hour", "TRADES", 1, 2, False, [])
    client.wait_for("bars end")
    bars = [bar for (bar,) in client.told["bar"]]
    assert [int(bar.date) % 86_400 // 60 for bar in bars] == [13 * 60 + 30, *range(14 * 60, 20 * 60, 60)]
    assert all(bar.low <= bar.open <= bar.high and bar.volume > 0 for bar in bars)


def test_it_gets_heads_symbols_and_schedules(client: Client) -> None:
    client.reqHeadTimeStamp(1, apple(), "TRADES", 1, 1)
    client.reqMatchingSymbols(2, "AAPL")
    client.reqHistoricalData(3, apple(), "", "2 D", "1 day", "SCHEDULE", 1, 1, False, [])
    assert client.wait_for("head")[0][0].startswith("19")
    assert client.wait_for("symbols")[0][0][0].contract.symbol == "AAPL"
    zone, sessions = client.wait_for("schedule")[0]
    assert (zone, [one.refDate for one in sessions]) == ("US/Eastern", ["20240531", "20240603"])


def test_it_is_told_an_error(client: Client) -> None:
    unknown = apple()
    unknown.symbol = "NOSUCH"
    client.reqContractDetails(10, unknown)
    client.wait_for("error of 10")
    assert client.told["error of 10"] == [(200, "No security definition has been found for the request")]
