"""The statistics for programs: a JSON file that is always whole, and a JSON endpoint."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import tempfile
import threading
from pathlib import Path
from typing import Any

from market_data_pipeline.gateway_simulator.statistics import Statistics

SECONDS_BETWEEN_WRITES = 0.5
_LONGEST_REQUEST = 16_384
_PATIENCE_S = 10.0


def write_json(file: Path, content: object) -> None:
    """Write a JSON file so that a reader sees the old one or the new one, never half of it.

    Raises:
        OSError: If it cannot be written.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    number, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(number, "w", encoding="utf-8") as stream:
            json.dump(content, stream)
        os.replace(name, file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


class StatisticsFile:
    """Keeps a file as new as the statistics, at most twice a second."""

    def __init__(self, statistics: Statistics, file: Path) -> None:
        self._statistics = statistics
        self.path = file
        self._taken = self._written = -1
        self._failed = False
        self._lock = threading.Lock()

    async def keep(self) -> None:
        """Write whenever something changed, until cancelled; then once more."""
        try:
            while True:
                await asyncio.sleep(SECONDS_BETWEEN_WRITES)
                if self._taken != self._statistics.changes:
                    # The disk is waited for in a thread: the sockets have to be read when something arrives.
                    await asyncio.to_thread(self._write, *self._snapshot())
        finally:
            self.write()

    def write(self) -> None:
        """Write, if something changed."""
        if self._taken != self._statistics.changes:
            self._write(*self._snapshot())

    def _snapshot(self) -> tuple[int, dict[str, Any]]:
        self._taken = self._statistics.changes
        return self._taken, self._statistics.to_json()

    def _write(self, number: int, content: dict[str, Any]) -> None:
        with self._lock:
            if number < self._written:
                return  # a later one was faster
            try:
                write_json(self.path, content)
            except OSError as error:
                if not self._failed:
                    self._failed = True
                    self._statistics.noted(f"{self.path} cannot be written: {error.strerror}.")
            self._written = number


class StatisticsEndpoint:
    """Answers GET / with the statistics as JSON (HTTP/1.1, one request per connection)."""

    def __init__(self, statistics: Statistics) -> None:
        self._statistics = statistics
        self._server: asyncio.Server | None = None

    async def open(self, host: str, port: int) -> int:
        """Listen; return the port.

        Raises:
            OSError: If the port is taken.
        """
        self._server = await asyncio.start_server(self._answer, host, port, limit=_LONGEST_REQUEST)
        return int(self._server.sockets[0].getsockname()[1])

    def close(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError):
            async with asyncio.timeout(_PATIENCE_S):
                head = await reader.readuntil(b"\r\n\r\n")
                method, target, *_ = [*head.split(b"\r\n", 1)[0].split(b" "), b"", b""]
                found = method == b"GET" and target.split(b"?")[0] == b"/"
                body = json.dumps(self._statistics.to_json() if found else {"error": "GET / answers"}).encode()
                status = "200 OK" if found else "404 Not Found"
                head_lines = (f"HTTP/1.1 {status}", "Content-Type: application/json", f"Content-Length: {len(body)}", "Connection: close", "", "")
                writer.write("\r\n".join(head_lines).encode())
                writer.write(body)
                await writer.drain()
        writer.close()
