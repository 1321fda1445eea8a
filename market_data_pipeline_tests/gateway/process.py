"""Start `mdp ibkr simulate` on a free port, wait until it listens, and end it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PATIENCE_S = 60.0
_COMMAND = (sys.executable, "-m", "market_data_pipeline.cli", "ibkr", "simulate")


@dataclass(frozen=True)
class RunningGateway:
    """A gateway that listens.

    Attributes:
        host: Where.
        port: Where.
        stats_port: Of its statistics.
        process: Its process.
        folder: Where its files are: `stats.json`, `output.txt`.
    """

    host: str
    port: int
    stats_port: int
    process: subprocess.Popen[str]
    folder: Path

    def statistics(self) -> dict[str, Any]:
        """Return its statistics as they are now; after its end, those that it left."""
        if self.process.poll() is not None:
            text = (self.folder / "stats.json").read_text(encoding="utf-8")
        else:
            with urllib.request.urlopen(f"http://{self.host}:{self.stats_port}/", timeout=10) as answer:
                text = answer.read().decode()
        content: dict[str, Any] = json.loads(text)
        return content

    def output(self) -> str:
        """Return what it has written to its terminal."""
        return (self.folder / "output.txt").read_text(encoding="utf-8")

    def stop(self) -> int:
        """End it as a person would; return its exit code."""
        self.process.terminate()
        return self.process.wait(_PATIENCE_S)


@contextmanager
def start_gateway(folder: Path, *flags: str, environment: Mapping[str, str] | None = None, takes_orders: bool = False) -> Iterator[RunningGateway]:
    """Run a simulated gateway until the block ends, and make sure that nobody has sent it an order: nothing of this project ever may.

    Args:
        folder: Where its files go; made if it is not there.
        flags: Of `mdp ibkr simulate`; latency is 0 if not given. `--port` may be given too.
        environment: Variables beside those of this process.
        takes_orders: For tests of the simulator itself, which send it some.
    """
    folder.mkdir(parents=True, exist_ok=True)
    ready = folder / "ready.json"
    ready.unlink(missing_ok=True)
    usual = ["--port", "0", "--latency", "0", "--stats-port", "0", "--stats", str(folder / "stats.json"), "--ready-file", str(ready)]
    with (folder / "output.txt").open("w", encoding="utf-8") as output:
        process = subprocess.Popen(
            [*_COMMAND, *usual, *flags],
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            env={**os.environ, **(environment or {})},
        )
    try:
        where = _wait_for(ready, process, folder)
        yield RunningGateway(where["host"], where["port"], where["stats_port"], process, folder)
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(_PATIENCE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    if not takes_orders and (folder / "stats.json").exists():
        attempted = json.loads((folder / "stats.json").read_text(encoding="utf-8"))["orders_attempted"]
        assert attempted == 0, f"{attempted} orders were sent"


def _wait_for(ready: Path, process: subprocess.Popen[str], folder: Path) -> dict[str, Any]:
    until = time.monotonic() + _PATIENCE_S
    while not ready.exists():
        said = (folder / "output.txt").read_text(encoding="utf-8")
        assert process.poll() is None, f"the gateway ended with {process.returncode}: {said}"
        assert time.monotonic() < until, f"the gateway did not listen within {_PATIENCE_S} s: {said}"
        time.sleep(0.02)
    content: dict[str, Any] = json.loads(ready.read_text(encoding="utf-8"))
    return content
