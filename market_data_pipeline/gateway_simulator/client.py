"""One client's connection: what can be written to it, and which of its requests are open."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque

from market_data_pipeline.gateway_simulator.limits import MessageRate

_PIECE = 256
_SECONDS_TO_FLUSH = 5.0


class Client:
    """One connection.

    Args:
        reader: Its socket, to read.
        writer: Its socket, to write.
        rate: Measures its messages.

    Attributes:
        id: The client id that it gave; None before.
        open: Its requests without an end, by their id.
        answered: Ids of its last requests that ended.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, rate: MessageRate) -> None:
        self.reader = reader
        self.rate = rate
        self.id: int | None = None
        self.open: dict[int, asyncio.Task[None]] = {}
        self.answered: deque[int] = deque(maxlen=8)
        self.warnings = 0
        self._writer = writer
        # A frame that goes out byte by byte must not be broken by another one.
        self._one_at_a_time = asyncio.Lock()

    @property
    def peer(self) -> str:
        """Where it comes from."""
        host, port, *_ = self._writer.get_extra_info("peername") or ("?", 0)
        return f"{host}:{port}"

    @property
    def name(self) -> str:
        """How lines about it begin."""
        return f"client {self.id}" if self.id is not None else self.peer

    async def write(self, data: bytes) -> None:
        """Write frames, and wait while the client is slow to take them. A client that left is no error: its reader finds out."""
        async with self._one_at_a_time:
            await self._write(data)

    async def write_byte_by_byte(self, data: bytes) -> None:
        """Write frames so that each byte is a packet of its own."""
        async with self._one_at_a_time:
            for start in range(0, len(data), _PIECE):
                for place in range(start, min(start + _PIECE, len(data))):
                    await self._write(data[place : place + 1])
                await asyncio.sleep(0)

    async def _write(self, data: bytes) -> None:
        with contextlib.suppress(OSError):
            self._writer.write(data)
            await self._writer.drain()

    def close(self) -> None:
        """End the connection once what was written is gone, and soon in any case: some clients never read."""
        with contextlib.suppress(OSError):
            self._writer.close()
        asyncio.get_running_loop().call_later(_SECONDS_TO_FLUSH, self.abort)

    def abort(self) -> None:
        """End the connection now."""
        self._writer.transport.abort()

    def cancel_all(self) -> None:
        """End all that is open."""
        for task in list(self.open.values()):
            task.cancel()
