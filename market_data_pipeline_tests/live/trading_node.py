"""Start a trading node in a process of its own, follow what it tells, and end it.

with start_gateway(tmp_path / "gateway", "--now", "2024-06-03T14:00Z", "--speed", "60") as gateway:
    settings = NodeSettings(gateway.host, gateway.port, ("AAPL.NASDAQ",), (recorder("AAPL.NASDAQ-1-MINUTE-LAST-EXTERNAL"),))
    with start_node(tmp_path / "node", settings) as node:
        bars = node.wait_for("bar", 10)
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from market_data_pipeline_tests.live import journal

_PATIENCE_S = 60.0
_PROGRAM = "market_data_pipeline_tests.live.node_program"
_STRATEGIES = "market_data_pipeline_tests.live.strategies"


def recorder(*bar_types: str, tag: str = "000", params: Mapping[str, object] | None = None, subscribe: bool = True) -> dict[str, Any]:
    """Return the configuration of a strategy that records the bars of these types.

    It is called `Recorder-TAG`.
    """
    config = {"order_id_tag": tag, "bar_types": list(bar_types), "params": dict(params or {}) or None, "subscribe": subscribe}
    return strategy(f"{_STRATEGIES}:Recorder", f"{_STRATEGIES}:RecorderConfig", config)


def strategy(strategy_path: str, config_path: str, config: Mapping[str, object]) -> dict[str, Any]:
    """Return the configuration of any strategy: `module:Class`, `module:ConfigClass`, and its fields as JSON."""
    return {"strategy_path": strategy_path, "config_path": config_path, "config": dict(config)}


@dataclass(frozen=True)
class NodeSettings:
    """What kind of node to start. All of it can be written as JSON.

    Attributes:
        host: Of the gateway.
        port: Of the gateway.
        instruments: Ids that the Interactive Brokers client loads; each of their venues gets a sandbox account of 1,000,000 USD.
        strategies: See `recorder` and `strategy`.
        client_id: Of the connection.
        use_rth: Whether bars of regular hours only are asked for.
        revised_bars: Whether the client sends every change of a bar that is forming.
        connection_timeout_s: Seconds that the node waits for its clients.
        stop_after_bars: The node stops by itself when so many bars of each of these types were published; empty waits for `stop`.
        prepare: `module:function`, called with the built node and `prepare_settings` before it runs; what it returns is closed once the node
            has stopped. Or None.
        prepare_settings: For `prepare`: catalog, settings of a warm-up, whatever it knows.
        data_engine: Fields of Nautilus' LiveDataEngineConfig.
        log_level: Of Nautilus' log, which is in `RunningNode.output`.
    """

    host: str
    port: int
    instruments: tuple[str, ...]
    strategies: tuple[Mapping[str, Any], ...]
    client_id: int = 21
    use_rth: bool = True
    revised_bars: bool = False
    connection_timeout_s: int = 30
    stop_after_bars: Mapping[str, int] = field(default_factory=dict)
    prepare: str | None = None
    prepare_settings: Mapping[str, Any] = field(default_factory=dict)
    data_engine: Mapping[str, Any] = field(default_factory=dict)
    log_level: str = "INFO"


@dataclass(frozen=True)
class RunningNode:
    """A node's process.

    Attributes:
        process: The process.
        folder: Where its files are: `node.json`, `journal.jsonl`, `output.txt`.
    """

    process: subprocess.Popen[str]
    folder: Path

    def lines(self, *kinds: str) -> list[dict[str, Any]]:
        """Return what it has told so far, of these kinds only if any are given."""
        path = self.folder / "journal.jsonl"
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        whole = [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]
        return [line for line in whole if not kinds or line["kind"] in kinds]

    def output(self) -> str:
        """Return what it wrote to its terminal: Nautilus' log."""
        return (self.folder / "output.txt").read_text(encoding="utf-8")

    def wait_for(self, kind: str, count: int = 1, within_s: float = _PATIENCE_S, **facts: object) -> list[dict[str, Any]]:
        """Wait until it has told so many lines of a kind, with these facts; return all of them."""

        def found() -> list[dict[str, Any]]:
            return [line for line in self.lines(kind) if all(line.get(name) == value for name, value in facts.items())]

        self.wait_until(lambda: len(found()) >= count, f"{count} x {kind} {facts}", within_s)
        return found()

    def wait_until(self, condition: Callable[[], bool], what: str, within_s: float = _PATIENCE_S) -> None:
        """Wait until a condition holds.

        Raises:
            AssertionError: If the process ends before, or time is up; with the end of its output.
        """
        until = time.monotonic() + within_s
        while not condition():
            ended = self.process.poll()
            if ended is not None and not condition():
                raise AssertionError(f"the node ended with {ended} before {what}: {self._tail()}")
            assert time.monotonic() < until, f"no {what} within {within_s} s: {self._tail()}"
            time.sleep(0.05)

    def stop(self) -> int:
        """End it as a person would, with Ctrl-C; return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        return self.process.wait(_PATIENCE_S)

    def kill(self) -> None:
        """End it as a loss of power would."""
        self.process.kill()
        self.process.wait()

    def _tail(self) -> str:
        return self.output()[-4_000:]


@contextmanager
def start_node(folder: Path, settings: NodeSettings, *, environment: Mapping[str, str] | None = None) -> Iterator[RunningNode]:
    """Run a trading node until the block ends; then it is killed if it still runs.

    Args:
        folder: Where its files go; made if it is not there. A node started again in it goes on in the same journal.
        settings: What node.
        environment: Variables beside those of this process.
    """
    folder.mkdir(parents=True, exist_ok=True)
    configuration = folder / "node.json"
    configuration.write_text(json.dumps(asdict(settings)), encoding="utf-8")
    with (folder / "output.txt").open("a", encoding="utf-8") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", _PROGRAM, str(configuration)],
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            env={**os.environ, journal.PATH_VARIABLE: str(folder / "journal.jsonl"), **(environment or {})},
        )
    node = RunningNode(process, folder)
    try:
        yield node
    finally:
        if process.poll() is None:
            node.kill()
