"""Frames of the TWS API text protocol: a length, then fields that each end in NUL.

Source of the format: WIRE notes of the protocol at server version 178; `ibapi/comm.py`; `ib_async/client.py`.
"""

from __future__ import annotations

import asyncio
import struct

PREFIX = b"API\0"
# The longest message of a client is an order of a few kB; a length beyond this is no length.
LONGEST_FRAME = 1 << 20
_LENGTH = struct.Struct(">I")


class MalformedFrame(Exception):
    """A client sent what is no frame, or a message without a field that it must have."""


def frame(*fields: object) -> bytes:
    """Return a message as it goes over the socket.

    Booleans become 1 and 0. Text beyond ASCII is escaped, as gateways of version 153 and later do for names.
    """
    return framed("".join(f"{int(field) if isinstance(field, bool) else field}\0" for field in fields).encode("ascii", "backslashreplace"))


def framed(payload: bytes) -> bytes:
    """Return a payload with its length before it."""
    return _LENGTH.pack(len(payload)) + payload


async def read_frame(reader: asyncio.StreamReader) -> bytes:
    """Return the payload of the next frame.

    Raises:
        MalformedFrame: If the length cannot be one.
        asyncio.IncompleteReadError: If the client left.
    """
    (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
    if not 0 < length <= LONGEST_FRAME:
        raise MalformedFrame(f"a frame of {length:,} bytes")
    return await reader.readexactly(length)


class Fields:
    """The fields of one message, read from left to right."""

    def __init__(self, fields: list[str]) -> None:
        self._fields = fields
        self._next = 0

    @classmethod
    def of(cls, payload: bytes) -> Fields:
        """Return the fields of a payload.

        Raises:
            MalformedFrame: If the last field has no end.
        """
        *fields, rest = payload.decode("utf-8", "backslashreplace").split("\0")
        if rest or not fields:
            raise MalformedFrame(f"a message whose last field has no end: {payload[:40]!r}")
        return cls(fields)

    def text(self) -> str:
        """Return the next field.

        Raises:
            MalformedFrame: If there is none.
        """
        if self._next >= len(self._fields):
            raise MalformedFrame(f"a message that ends after {len(self._fields)} fields: {self._fields[:4]}")
        self._next += 1
        return self._fields[self._next - 1]

    def number(self) -> int:
        """Return the next field as an integer; an empty one is 0.

        Raises:
            MalformedFrame: If it is none, or needs more than 64 bits.
        """
        text = self.text()
        try:
            number = int(text or 0)
        except ValueError:
            raise MalformedFrame(f"{text[:40]!r} where a number must stand") from None
        if not -(1 << 63) <= number < 1 << 63:
            raise MalformedFrame(f"the number {text[:40]}")
        return number

    def flag(self) -> bool:
        """Return the next field as a truth value; some clients write words instead of 1 and 0."""
        return self.text().lower() in {"1", "true"}

    def skip(self, count: int = 1) -> None:
        """Pass over fields."""
        for _ in range(count):
            self.text()

    def skip_groups(self, count: int, width: int) -> None:
        """Pass over `count` groups of `width` fields.

        Raises:
            MalformedFrame: If they are not there.
        """
        if not 0 <= count * width <= len(self._fields) - self._next:
            raise MalformedFrame(f"{count:,} groups that are not there")
        self._next += count * width
