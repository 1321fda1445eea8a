"""Clients that send what no client should: the gateway lives, closes that connection with a line, and serves the others."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from market_data_pipeline_tests import tally
from market_data_pipeline_tests.gateway import RunningGateway
from market_data_pipeline_tests.gateway_simulator.ib_async_client import run, session

_SOME = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
_WORDS = st.one_of(
    st.integers(-(1 << 70), 1 << 70).map(str),
    st.sampled_from(
        ["", "0", "1", "AAPL", "STK", "SMART", "USD", "BAG", "TRADES", "1 min", "1 D", "2", "20240603-20:00:00", "SCHEDULE", "nan", "-1"]
    ),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20),
)


@contextmanager
def connection(gateway: RunningGateway, started_as: int | None = None) -> Iterator[socket.socket]:
    """A plain socket to the gateway; of a started client if an id is given."""
    with socket.create_connection((gateway.host, gateway.port), timeout=5) as plain:
        if started_as is not None:
            plain.sendall(b"API\0" + _framed(b"v100..178"))
            _read_frame(plain)
            plain.sendall(_message("71", "2", str(started_as), ""))
            _read_frame(plain)
        yield plain


def _framed(payload: bytes) -> bytes:
    return struct.pack(">I", len(payload)) + payload


def _message(*fields: str) -> bytes:
    return _framed("".join(f"{field}\0" for field in fields).encode("utf-8", "surrogatepass"))


def _read_frame(plain: socket.socket) -> bytes:
    (length,) = struct.unpack(">I", _read(plain, 4))
    return _read(plain, length)


def _read(plain: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        piece = plain.recv(count - len(data))
        assert piece, "the gateway closed the connection"
        data += piece
    return data


def _until_closed(plain: socket.socket) -> bytes:
    data = b""
    try:
        while piece := plain.recv(65_536):
            data += piece
    except ConnectionResetError:
        pass
    return data


def _serves(gateway: RunningGateway) -> bool:
    async def go() -> int:
        async with session(gateway, 1000) as opened:
            return len(await opened.bars(duration="600 S", end="20240603-15:00:00"))

    return run(go()) == 10


@_SOME
@given(st.binary(min_size=1, max_size=200))
def test_any_bytes_instead_of_a_handshake(gateway: RunningGateway, data: bytes) -> None:
    with connection(gateway) as plain:
        plain.sendall(data)
        plain.shutdown(socket.SHUT_WR)
        _until_closed(plain)
    assert gateway.process.poll() is None
    tally.count("fuzz cases")


@_SOME
@given(st.lists(st.binary(max_size=60), min_size=1, max_size=5))
def test_any_frames_instead_of_a_start(gateway: RunningGateway, payloads: list[bytes]) -> None:
    with connection(gateway) as plain:
        plain.sendall(b"API\0" + _framed(b"v100..223") + b"".join(map(_framed, payloads)))
        plain.shutdown(socket.SHUT_WR)
        _until_closed(plain)
    assert gateway.process.poll() is None
    tally.count("fuzz cases")


_NUMBERS = st.one_of(st.sampled_from([*range(1, 110), 0, -1, 999]).map(str), _WORDS)


@_SOME
@given(st.lists(st.tuples(_NUMBERS, st.lists(_WORDS, max_size=24)), min_size=1, max_size=6))
def test_any_messages_of_a_started_client(gateway: RunningGateway, messages: list[tuple[str, list[str]]]) -> None:
    with connection(gateway, 2000) as plain:
        plain.sendall(b"".join(_message(number, *fields) for number, fields in messages))
        plain.shutdown(socket.SHUT_WR)
        _until_closed(plain)
    assert gateway.process.poll() is None
    tally.count("fuzz cases")


@_SOME
@given(st.lists(_WORDS, min_size=20, max_size=20), st.sampled_from(["20", "87", "96", "50", "9", "81"]))
def test_any_fields_where_a_request_for_data_has_them(gateway: RunningGateway, fields: list[str], number: str) -> None:
    with connection(gateway, 2001) as plain:
        plain.sendall(_message(number, *fields) + _message("49", "1"))
        plain.shutdown(socket.SHUT_WR)
        _until_closed(plain)
    assert gateway.process.poll() is None
    tally.count("fuzz cases")


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"API\0" + b"\xff\xff\xff\xff",
        b"API\0" + b"\x00\x00\x00\x00",
        b"API\0" + _framed(b"v300..400"),
        b"API\0" + _framed(b"version 178"),
        b"API\0" + _framed(b"v100..178") + _message("49", "1"),
        b"API\0" + _framed(b"v100..178") + _message("71", "2", "seven", ""),
        b"API\0" + _framed(b"v100..178") + _framed(b"71\x002"),
    ],
    ids=["http", "long", "empty", "too-new", "no-version", "no-start", "no-number", "no-end"],
)
def test_what_is_no_beginning_is_closed(gateway: RunningGateway, data: bytes) -> None:
    with connection(gateway) as plain:
        plain.sendall(data)
        _until_closed(plain)
    assert _serves(gateway)


@pytest.mark.parametrize(
    "data", [_message("20", "1", "AAPL"), _message("nonsense"), b"\x7f\xff\xff\xff", _framed(b"49")], ids=["short", "word", "long", "no-end"]
)
def test_a_malformed_message_ends_its_client_and_no_other(gateway: RunningGateway, data: bytes) -> None:
    malformed = gateway.statistics()["malformed"]
    with connection(gateway, 2002) as other, connection(gateway, 2003) as plain:
        plain.sendall(data)
        _until_closed(plain)
        other.sendall(_message("49", "1"))
        while not _read_frame(other).startswith(b"49\0"):
            pass
    assert gateway.statistics()["malformed"] == malformed + 1
    assert "client 2003: sent" in gateway.output()


def test_a_message_that_nobody_knows_is_an_error(gateway: RunningGateway) -> None:
    with connection(gateway, 2004) as plain:
        plain.sendall(_message("777", "1", "2"))
        frames = [_read_frame(plain) for _ in range(5)]
    assert frames[-1].split(b"\0")[:5] == [b"4", b"2", b"-1", b"505", b"Fatal Error: Unknown message id: 777"]


def test_half_a_message_harms_nobody(gateway: RunningGateway) -> None:
    with connection(gateway, 2005) as plain:
        plain.sendall(_message("49", "1")[:-2])
        assert _serves(gateway)


def test_a_client_that_never_reads_harms_nobody(gateway: RunningGateway) -> None:
    with connection(gateway, 2006) as plain:
        contract = ["0", "AAPL", "STK", "", "", "", "", "SMART", "", "USD", "", ""]
        for request in range(1, 40):
            end = f"20240603-20:{request:02}:00"
            plain.sendall(_message("20", str(request), *contract, "0", end, "1 min", "20 D", "1", "TRADES", "2", "0", ""))
        assert _serves(gateway)


def test_after_all_that_the_gateway_serves_and_has_never_failed(gateway: RunningGateway) -> None:
    assert _serves(gateway)
    assert "Traceback" not in gateway.output()
    assert "exception" not in gateway.output().lower()
    assert " failed: " not in gateway.output()
    assert gateway.stop() == 0
    assert gateway.statistics()["connections"]["now"] == 0
