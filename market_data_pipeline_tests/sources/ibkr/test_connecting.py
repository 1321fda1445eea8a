"""Connections that cannot be made: each ends in one message that says what to do, within the timeout."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from market_data_pipeline.domain.errors import SourceRefused, SourceUnavailable
from market_data_pipeline.sources.ibkr import AccountMode, IbkrGateway, IbkrSettings, contract_of
from market_data_pipeline_tests.gateway import start_gateway
from market_data_pipeline_tests.sources.ibkr.asking import NOW, settings_for, simulated

Connecting = Callable[..., float]


@pytest.fixture
def refused(tmp_path: Path) -> Connecting:
    """Connects, expects to be refused, and returns the seconds that it took."""

    def connect(port: int, message: str, error: type[Exception] = SourceUnavailable, **changes: Any) -> float:
        settings = IbkrSettings(
            port=port, state=tmp_path / "state", pacing_db=str(tmp_path / "pacing.sqlite"), **{"connect_timeout_s": 1.0, **changes}
        )
        started = time.monotonic()
        with IbkrGateway(settings) as gateway, pytest.raises(error, match=message):
            gateway.server_facts()
        return time.monotonic() - started

    return connect


@contextmanager
def listener(backlog: int = 5) -> Iterator[socket.socket]:
    with closing(socket.create_server(("127.0.0.1", 0), backlog=backlog)) as server:
        yield server


def port_of(server: socket.socket) -> int:
    port: int = server.getsockname()[1]
    return port


def test_nothing_listening_is_said_at_once(refused: Connecting) -> None:
    with listener() as server:
        free = port_of(server)
    assert refused(free, rf"No IB Gateway listens at 127.0.0.1:{free}. .*4002 \(paper\) and 4001 \(live\).*docker compose.*mdp ibkr simulate") < 1


def test_a_name_with_several_addresses_is_refused_in_the_same_words(refused: Connecting) -> None:
    with listener() as server:
        free = port_of(server)
    refused(free, f"No IB Gateway listens at localhost:{free}", host="localhost")


def test_an_unknown_host_is_named(refused: Connecting) -> None:
    refused(4002, "gateway.invalid:4002 cannot be reached", host="gateway.invalid")


@pytest.mark.parametrize("host", ["gate..way", "g" * 70])
def test_what_cannot_be_a_name_of_a_host_is_told(refused: Connecting, host: str) -> None:
    refused(4002, rf"'{host}' is no name of a host\. .*Set IB_HOST", host=host)


def test_a_black_hole_ends_within_the_timeout(refused: Connecting) -> None:
    """A full backlog drops the packets of whoever comes next."""
    with listener(backlog=0) as server:
        crowd = [socket.socket() for _ in range(4)]
        for each in crowd:
            each.setblocking(False)
            each.connect_ex(server.getsockname())
        assert 0.9 < refused(port_of(server), r"Nothing answered at .* within 1 s \(IB_TIMEOUT\).*firewall") < 2
        for each in crowd:
            each.close()


def test_a_login_screen_that_accepts_and_says_nothing_ends_within_the_timeout(refused: Connecting) -> None:
    with listener() as server:
        assert 0.9 < refused(port_of(server), "accepts connections, but nothing answered as a gateway does within 1 s .*login screen") < 2


def _answering(server: socket.socket, data: bytes) -> None:
    try:
        client, _ = server.accept()
    except OSError:
        return
    with client:
        client.recv(100)
        client.sendall(data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "accepted the connection and ended it before it stood.*trust this host"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "accepted the connection and ended it before it stood"),
        (b"\0\0\0\6ab\0cd\0", "sent something that is no message of the TWS API"),
    ],
)
def test_what_is_no_gateway_is_recognised_at_once(refused: Connecting, data: bytes, message: str) -> None:
    with listener() as server:
        thread = threading.Thread(target=_answering, args=(server, data))
        thread.start()
        assert refused(port_of(server), message) < 1
        thread.join()


def test_a_client_id_in_use_costs_no_time_and_the_next_one_is_taken(tmp_path: Path) -> None:
    with simulated(tmp_path, "--fault", "start:1-2=in-use") as (_, gateway):
        started = time.monotonic()
        assert gateway.server_facts().client_id == 42
        assert time.monotonic() - started < 1


def test_a_range_that_other_programs_use_up_says_what_to_do(tmp_path: Path, refused: Connecting) -> None:
    with start_gateway(tmp_path / "gateway", "--now", NOW, "--fault", "start:1-3=in-use") as process:
        refused(process.port, r"All 3 client ids from 40 to 42 are in use at .* \(3 of them by other programs\)", client_ids=3)


def test_a_live_account_is_refused_where_a_paper_account_is_meant(tmp_path: Path, refused: Connecting) -> None:
    with start_gateway(tmp_path / "gateway", "--now", NOW, "--account", "U7654321") as process:
        refused(
            process.port,
            r"logged in to a live account \(••••••21\), and IB_ACCOUNT_MODE says paper",
            SourceRefused,
            account_mode=AccountMode.PAPER,
        )
        assert process.statistics()["connections"]["now"] == 0


def test_a_gateway_tells_of_itself_and_hides_its_account(tmp_path: Path) -> None:
    with simulated(tmp_path) as (process, gateway):
        facts = gateway.server_facts()
    assert (facts.port, facts.client_id, facts.server_version, facts.mode) == (process.port, 40, 178, AccountMode.PAPER)
    assert facts.accounts == ("••••••••45",)
    assert facts.simulated
    assert facts.connected_at.startswith("20240603 20:30:0")
    assert set(facts.farms.values()) == {"up"}


def test_logs_of_every_level_hide_the_account(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), simulated(tmp_path) as (_, gateway):
        gateway.server_facts()
    assert "DUSIM12345" not in caplog.text


def test_no_connection_is_made_before_the_first_question(tmp_path: Path) -> None:
    with start_gateway(tmp_path / "gateway", "--now", NOW) as process, IbkrGateway(settings_for(process, tmp_path)) as gateway:
        assert gateway.budget().left() == 60
        assert "accepted" not in process.statistics()["connections"]


def test_closing_frees_socket_thread_and_client_id(tmp_path: Path) -> None:
    before = threading.active_count()
    with start_gateway(tmp_path / "gateway", "--now", NOW) as process:
        settings = settings_for(process, tmp_path)
        for _ in range(3):
            with IbkrGateway(settings) as gateway:
                assert gateway.server_facts().client_id == 40
        assert threading.active_count() == before
        until = time.monotonic() + 5
        while process.statistics()["connections"]["now"] and time.monotonic() < until:
            time.sleep(0.01)
        assert process.statistics()["connections"]["now"] == 0
        with pytest.raises(RuntimeError, match="closed"):
            gateway.now_ns()


def test_another_event_loop_of_the_process_is_not_disturbed(tmp_path: Path) -> None:
    async def work(gateway: IbkrGateway) -> tuple[int, int]:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0.001)

        ticking = asyncio.create_task(tick())
        details = await asyncio.to_thread(
            lambda: [gateway.contract_details(contract_of(f"{name}.NASDAQ")) for name in ("AAPL", "MSFT", "NVDA", "TSLA")]
        )
        gateway.now_ns()  # even where a caller blocks its own loop
        ticking.cancel()
        return len(details), ticks

    with simulated(tmp_path) as (_, gateway):
        for _ in range(2):
            found, ticks = asyncio.run(work(gateway))
            assert found == 4
            assert ticks > 1
