"""Nothing of this project can send an order: the connection lets only questions out, and no path was ever seen to try.

That no test of the whole project has sent one, `start_gateway` makes sure of whenever a simulated gateway ends: Dagster's jobs, sensors and
the live node included.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from market_data_pipeline.domain.errors import SourceRefused
from market_data_pipeline.sources.ibkr import IbkrSettings
from market_data_pipeline.sources.ibkr.link import Link
from market_data_pipeline_tests.cli.conftest import HASTE
from market_data_pipeline_tests.gateway import RunningGateway, start_gateway
from market_data_pipeline_tests.reliability.crash_harness import Crashing
from market_data_pipeline_tests.reliability.fuzzing import Fuzz

# `ibapi/message.py`: 3 places, 4 cancels, 19 replaces advisors' settings, 21 exercises options, 58 cancels all.
ORDERS = {3, 4, 19, 21, 58}
QUESTIONS = {9, 20, 25, 49, 71, 81, 87, 90}


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[RunningGateway]:
    with start_gateway(tmp_path / "gateway", "--no-pacing", "--now", "2024-03-01T22:00Z") as running:
        yield running


def with_link(gateway: RunningGateway, folder: Path, use: Callable[[Any], None]) -> None:
    """Open one of our connections, and hand its client to somebody who means harm."""

    async def go() -> None:
        link = await Link.open(IbkrSettings(host=gateway.host, port=gateway.port, state=folder / "state"), 40)
        try:
            use(link._client)
            await link.gateway_time_ns()  # the connection stands, and the gateway has read what was sent before
        finally:
            await link.close()

    asyncio.run(go())


def _harmful() -> dict[str, Callable[[Any], None]]:
    from ib_async.contract import Stock
    from ib_async.order import MarketOrder

    share = Stock("AAPL", "SMART", "USD")
    return {
        "place": lambda client: client.placeOrder(1, share, MarketOrder("BUY", 100)),
        "cancel": lambda client: client.cancelOrder(1, ""),
        "cancel-all": lambda client: client.reqGlobalCancel(),
        "exercise": lambda client: client.exerciseOptions(1, share, 1, 1, "", 0),
        "advisors": lambda client: client.replaceFA(1, 1, "<xml/>"),
        "list-orders": lambda client: client.reqAllOpenOrders(),
        "by-hand": lambda client: client.send(3, 1, "AAPL"),
        "raw": lambda client: client.sendMsg("3\x001\x00AAPL\x00"),
        "first-field-empty": lambda client: client.sendMsg("\x003\x00"),
        "spaces": lambda client: client.sendMsg(" 3\x001\x00"),
    }


@pytest.mark.parametrize("how", _harmful())
def test_our_connection_lets_no_order_out(gateway: RunningGateway, tmp_path: Path, how: str) -> None:
    def use(client: Any) -> None:
        with pytest.raises(SourceRefused, match="was not sent: this connection only reads"):
            _harmful()[how](client)

    with_link(gateway, tmp_path, use)
    statistics = gateway.statistics()
    assert (statistics["orders_attempted"], statistics["malformed"]) == (0, 0)


class Listening:
    """Stands between a client and a gateway, and counts the numbers of the client's messages."""

    def __init__(self, server: socket.socket, port: int) -> None:
        self.numbers: Counter[int] = Counter()
        self.port: int = server.getsockname()[1]
        self._server, self._to = server, port
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._server.accept()
                gateway = socket.create_connection(("127.0.0.1", self._to))
                threading.Thread(target=self._pass, args=(gateway, client, None), daemon=True).start()
                threading.Thread(target=self._pass, args=(client, gateway, self._note), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, note: Callable[[bytes], bytes] | None) -> None:
        rest = b""
        with suppress(OSError):
            while piece := source.recv(65_536):
                target.sendall(piece)
                if note is not None:
                    rest = note(rest + piece)
        for each in (source, target):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _note(self, data: bytes) -> bytes:
        """Count the whole messages in data; return what is left."""
        if data.startswith(b"API\0"):
            length = struct.unpack(">I", data[4:8])[0] if len(data) >= 8 else 1 << 30
            data = data[8 + length :] if len(data) >= 8 + length else data
            if data.startswith(b"API\0"):
                return data
        while len(data) >= 4 and len(data) >= 4 + (length := struct.unpack(">I", data[:4])[0]):
            self.numbers[int(data[4 : 4 + length].split(b"\0")[0])] += 1
            data = data[4 + length :]
        return data


@contextmanager
def listening_before(gateway: RunningGateway) -> Iterator[Listening]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield Listening(server, gateway.port)


COMMANDS = (
    ["ibkr", "status"],
    ["ibkr", "health"],
    ["ibkr", "discover", "AAPL"],
    ["load", "AAPL.NASDAQ", "1-MINUTE-LAST", "--start", "2024-02-05", "--end", "2024-02-06"],
    ["load", "AAPL.NASDAQ", "1-MINUTE-LAST", "--mode", "tail"],
    ["load", "EURUSD", "15-MINUTE-MID", "--start", "2024-02-05", "--end", "2024-02-06"],
    ["instruments", "refresh"],
    ["instruments", "backfill"],
    ["ibkr", "ranges"],
    ["warmup", "AAPL.NASDAQ", "1-MINUTE-LAST", "--bars", "500", "--load"],
    ["ibkr", "cleanup"],
)


def test_every_command_only_asks(gateway: RunningGateway, tmp_path: Path, crashing: Crashing) -> None:
    """Seen on the wire, command by command, in one catalog."""
    prepared = tmp_path / "prepared"
    prepared.mkdir()
    (tmp_path / "haste.yaml").write_text(HASTE)
    with listening_before(gateway) as wire:
        environment = {"MDP_CATALOG": "catalog", "IB_PORT": str(wire.port), "IB_PACING": str(tmp_path / "haste.yaml"), "IB_WAIT_SCALE": "0"}
        fuzz = Fuzz(crashing, prepared, environment)
        fuzz.run(COMMANDS[0])
        for command in COMMANDS[1:]:
            ended = fuzz.again(command)
            assert ended.code == 0, (command, ended.said)
    assert set(wire.numbers) <= QUESTIONS
    assert not ORDERS & set(wire.numbers)
    # Questions of each kind were seen, so the wire was really listened to.
    assert {9, 20, 49, 71} <= set(wire.numbers)
    assert gateway.statistics()["orders_attempted"] == 0
