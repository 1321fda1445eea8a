from __future__ import annotations

import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from market_data_pipeline.domain.errors import SourceUnavailable
from market_data_pipeline.live import await_gateway
from market_data_pipeline.sources.ibkr import IbkrSettings
from market_data_pipeline_tests.gateway import start_gateway


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def test_a_gateway_that_comes_up_later_is_found(tmp_path: Path) -> None:
    port, heard = _free_port(), list[str]()
    waiting = threading.Event()

    def tell(line: str) -> None:
        heard.append(line)
        waiting.set()

    found: list[int] = []
    settings = IbkrSettings.from_environment(port=port)
    thread = threading.Thread(target=lambda: found.append(await_gateway(settings, 120, tell).port))
    thread.start()
    assert waiting.wait(60)
    with start_gateway(tmp_path, "--port", str(port)):
        thread.join(60)
    assert found == [port]
    assert len(heard) == 1
    assert f"No IB Gateway listens at 127.0.0.1:{port}" in heard[0]


def test_one_that_never_answers_is_an_error_that_says_what_to_do() -> None:
    settings = IbkrSettings.from_environment(port=_free_port())
    with pytest.raises(SourceUnavailable, match="Without an account: mdp ibkr simulate"):
        await_gateway(settings, 0, lambda line: None)


def test_what_is_waited_for_is_said_at_once_also_into_a_pipe() -> None:
    port = _free_port()
    program = (
        "from market_data_pipeline.live import await_gateway; from market_data_pipeline.sources.ibkr import IbkrSettings; "
        f"await_gateway(IbkrSettings.from_environment(port={port}), 600)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as waiting:
        try:
            assert waiting.stdout is not None
            assert waiting.stdout.readline().startswith(f"No IB Gateway listens at 127.0.0.1:{port}")
            assert waiting.poll() is None
        finally:
            waiting.kill()
