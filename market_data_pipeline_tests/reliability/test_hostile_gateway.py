"""A gateway that sends anything: our client answers or refuses in one message, within its time, and what is stored is sound.

What the simulator makes of clients that send anything: `gateway_simulator/test_hostile.py`.
"""

from __future__ import annotations

import random
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from market_data_pipeline.catalog import Catalog
from market_data_pipeline.catalog.reconcile import BadFiles
from market_data_pipeline_tests.cli.conftest import HASTE
from market_data_pipeline_tests.gateway import RunningGateway, start_gateway
from market_data_pipeline_tests.reliability.crash_harness import Crashing
from market_data_pipeline_tests.reliability.fuzzing import Fuzz
from market_data_pipeline_tests.reliability.mutating import damaged

LOAD = ["load", "AAPL.NASDAQ", "1-MINUTE-LAST", "--start", "2024-02-05", "--end", "2024-02-06", "--hours", "rth"]
Serve = Callable[[socket.socket], None]


@contextmanager
def serving(serve: Serve) -> Iterator[int]:
    """Let a function serve each connection in a thread of its own; yield the port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            with suppress(OSError):
                while True:
                    threading.Thread(target=served, args=(server.accept()[0],), daemon=True).start()

        def served(client: socket.socket) -> None:
            with suppress(OSError), client:
                serve(client)

        threading.Thread(target=accept, daemon=True).start()
        yield server.getsockname()[1]
        with suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    folder = tmp_path / "prepared"
    folder.mkdir()
    (tmp_path / "haste.yaml").write_text(HASTE)
    return folder


def against(port: int, crashing: Crashing, prepared: Path) -> Fuzz:
    """Return what runs commands that find this server where a gateway should be, with short patience."""
    environment = {
        "MDP_CATALOG": "catalog",
        "IB_PORT": str(port),
        "IB_PACING": str(prepared.with_name("haste.yaml")),
        "IB_WAIT_SCALE": "0",
        "IB_TIMEOUT": "1",
        "IB_REQUEST_TIMEOUT": "1",
        "IB_RETRIES": "1",
        "IB_RECONNECT": "1",
    }
    return Fuzz(crashing, prepared, environment)


def framed(payload: bytes) -> bytes:
    return struct.pack(">I", len(payload)) + payload


_HELLO = framed(b"178\x0020240301 22:00:00 GMT\x00")
_START = framed(b"15\x001\x00DU1234567\x00") + framed(b"9\x001\x001\x00")


def _forever(piece: bytes) -> Serve:
    def serve(client: socket.socket) -> None:
        while True:
            client.sendall(piece)

    return serve


def _after_hello(data: bytes, *, then_close: bool = True) -> Serve:
    def serve(client: socket.socket) -> None:
        client.recv(65_536)
        client.sendall(_HELLO)
        client.recv(65_536)
        client.sendall(data)
        while not then_close and client.recv(65_536):
            pass

    return serve


def _after_start(piece: bytes) -> Serve:
    def serve(client: socket.socket) -> None:
        client.recv(65_536)
        client.sendall(_HELLO)
        client.recv(65_536)
        client.sendall(_START)
        while client.recv(65_536):
            client.sendall(framed(b"49\x001\x001709330400\x00") + piece)

    return serve


SERVERS: dict[str, Serve] = {
    "closes": lambda client: None,
    "http": lambda client: client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    "zeros-for-ever": _forever(bytes(65_536)),
    "letters-for-ever": _forever(b"A" * 65_536),
    "frames-for-ever": _forever(framed(b"x" * 1_000) * 60),
    "longest-frame": _after_hello(b"\xff\xff\xff\xff" + b"x" * 100_000, then_close=False),
    "empty-frames": _after_hello(framed(b"") * 1_000),
    "half-hello": lambda client: client.sendall(_HELLO[:9]),
    "no-version": lambda client: client.sendall(framed(b"x\x00y\x00")),
    "huge-version": lambda client: client.sendall(framed(b"9" * 5_000 + b"\x00y\x00")),
    "protobuf": _after_hello(framed(b"\x00\x00\x00\xc9\x08\x01\x12\x03abc")),
    "no-utf-8": _after_hello(_START + framed(b"4\x002\x00-1\x002104\x00\xff\xfe\xfd\x00\x00")),
    "unknown-message": _after_start(framed(b"777\x001\x00") * 10),
    "short-bars": _after_start(framed(b"17\x001\x00")),
    "many-bars-claimed": _after_start(framed(b"17\x001\x00a\x00b\x002000000000\x00")),
    "nan-bars": _after_start(framed(b"17\x001\x00a\x00b\x001\x001707143400\x00nan\x00inf\x00-1\x001e400\x00x\x00\x00\x00")),
    "errors-for-everybody": _after_start(framed(b"4\x002\x00-1\x00504\x00" + b"x" * 100_000 + b"\x00\x00")),
    "clock-before-1970": _after_hello(_START + framed(b"49\x001\x00-99999999999999999999\x00"), then_close=False),
    "clock-of-the-end": _after_hello(_START + framed(b"49\x001\x0099999999999999999999\x00"), then_close=False),
}


@pytest.mark.parametrize("server", SERVERS)
def test_what_is_no_gateway_is_refused_in_one_message(prepared: Path, crashing: Crashing, server: str) -> None:
    with serving(SERVERS[server]) as port:
        fuzz = against(port, crashing, prepared)
        ended = fuzz.run(LOAD)
    assert ended.code != 0, ended.said
    assert len(ended.said) < 10_000


def damaging(gateway: RunningGateway, rng: random.Random) -> Serve:
    """Stand before a gateway, and damage one piece of what it sends on each connection: of its greeting, its contracts or its bars."""

    def serve(client: socket.socket) -> None:
        with socket.create_connection((gateway.host, gateway.port)) as real:
            threading.Thread(target=hand_on, args=(client, real), daemon=True).start()
            # Two sessions of 390 bars are about 40 kB; half of the damage meets what comes before.
            left = rng.choice((rng.randrange(4_000), rng.randrange(60_000)))
            while piece := real.recv(rng.choice((16, 512, 65_536))):
                is_hit = 0 <= left < len(piece)
                left -= len(piece)
                client.sendall(damaged(rng, piece) if is_hit else piece)

    def hand_on(client: socket.socket, real: socket.socket) -> None:
        with suppress(OSError):
            while piece := client.recv(65_536):
                real.sendall(piece)
            real.shutdown(socket.SHUT_WR)

    return serve


@pytest.mark.parametrize("count", [pytest.param(6, id="few"), pytest.param(250, id="many", marks=[pytest.mark.slow, pytest.mark.timeout(3_600)])])
def test_answers_that_are_damaged_on_their_way(prepared: Path, crashing: Crashing, tmp_path: Path, count: int) -> None:
    """A wire has no checksum, so a digit may change unseen; but whatever is stored is a bar by every rule, and a sound catalog."""
    stored = 0
    with start_gateway(tmp_path / "gateway", "--no-pacing", "--now", "2024-03-01T22:00Z") as gateway:
        for number in range(count):
            with serving(damaging(gateway, random.Random(f"gateway {number}"))) as port:
                fuzz = against(port, crashing, prepared)
                ended = fuzz.run(LOAD)
            if (fuzz.folder / "catalog").exists():
                catalog = Catalog.open(fuzz.folder / "catalog")
                problems = [one for one in catalog.verify(bad_files=BadFiles.LEAVE).problems if one.kind != "orphan bars"]
                catalog.ledger.close()
                assert problems == [], (number, ended.said)
            stored += ended.code == 0
    # Damage is neither so rare nor so heavy that nothing is tried.
    assert 0 < stored < count
