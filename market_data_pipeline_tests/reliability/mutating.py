"""Damages bytes and text by a seed: what a disk, an editor, a hurried person or somebody who means harm makes of a file."""

from __future__ import annotations

import random
from collections.abc import Iterator

NASTY = (
    "",
    " ",
    "\0",
    "null",
    "~",
    "NO",
    "[]",
    "{}",
    "-1",
    "0",
    "1e999",
    "nan",
    ".inf",
    "9" * 400,
    "99999999999999999999",
    "0x10",
    "1:30",
    "2024-02-30",
    "0000-00-00",
    "9999-12-31",
    "0001-01-01",
    "2024-13-01T99:99:99Z",
    "../../../outside",
    "/etc/passwd",
    "~/x",
    "C:\\x",
    "a/b",
    "..",
    ".",
    "A" * 5_000,
    "é中\u202e",
    "\ud800",
    "'; DROP TABLE market_data; --",
    "$(touch outside)",
    "{instrument}",
    "{0.__class__}",
    "%s%n",
    "*",
    "&a [*a]",
    "!!python/object/apply:os.system [true]",
    "!!int x",
    "!!binary x",
    "!!timestamp x",
    "!!set {a, b}",
    "<<: 1",
    "[" * 3_000,
    "{a: " * 300,
    "\ufeff",
    "AAPL.NASDAQ",
    "1-MINUTE-LAST",
    "0-MINUTE-LAST",
    "99999999999-MINUTE-LAST",
    "EUR/USD.IDEALPRO",
)
"""Words that have broken programs before."""


def as_bytes(word: str) -> bytes:
    """Return a word as a file may hold it, half a character of two included."""
    return word.encode("utf-8", "surrogatepass")


def damaged(rng: random.Random, content: bytes) -> bytes:
    """Return content with one to four wounds."""
    for _ in range(rng.choice((1, 1, 2, 4))):
        content = rng.choice(_WOUNDS)(rng, content)
    return content


def _place(rng: random.Random, content: bytes) -> tuple[int, int]:
    start = rng.randrange(len(content) + 1)
    return start, min(len(content), start + rng.choice((1, 1, 2, 8, 64, 1_000)))


def _flipped(rng: random.Random, content: bytes) -> bytes:
    if not content:
        return content
    at = rng.randrange(len(content))
    return content[:at] + bytes([content[at] ^ (1 << rng.randrange(8))]) + content[at + 1 :]


def _cut(rng: random.Random, content: bytes) -> bytes:
    return content[: rng.randrange(len(content) + 1)]


def _without(rng: random.Random, content: bytes) -> bytes:
    start, stop = _place(rng, content)
    return content[:start] + content[stop:]


def _twice(rng: random.Random, content: bytes) -> bytes:
    start, stop = _place(rng, content)
    return content[:stop] + content[start:stop] * rng.choice((1, 2, 50)) + content[stop:]


def _noise(rng: random.Random, content: bytes) -> bytes:
    start, stop = _place(rng, content)
    return content[:start] + rng.randbytes(stop - start) + content[stop:]


def _zeros(rng: random.Random, content: bytes) -> bytes:
    start, stop = _place(rng, content)
    return content[:start] + bytes(stop - start) + content[stop:]


def _elsewhere(rng: random.Random, content: bytes) -> bytes:
    (start, stop), (other, _) = _place(rng, content), _place(rng, content)
    return content[:other] + content[start:stop] + content[other:]


def _nasty(rng: random.Random, content: bytes) -> bytes:
    start, stop = _place(rng, content)
    return content[:start] + as_bytes(rng.choice(NASTY)) + content[rng.choice((start, stop)) :]


def _nasty_value(rng: random.Random, content: bytes) -> bytes:
    """Put a word in place of a whole value: what stands between a colon, comma or bracket and the next."""
    ends = [i for i, byte in enumerate(content) if byte in b':,[]{}\n"']
    if len(ends) < 2:
        return content
    at = rng.randrange(len(ends) - 1)
    return content[: ends[at] + 1] + b" " + as_bytes(rng.choice(NASTY)) + content[ends[at + 1] :]


def _lines_moved(rng: random.Random, content: bytes) -> bytes:
    lines = content.splitlines(keepends=True)
    rng.shuffle(lines)
    return b"".join(lines)


def _other_ends(rng: random.Random, content: bytes) -> bytes:
    return content.replace(b"\n", rng.choice((b"\r", b"\r\n", b"\n\n", b"", b"\n\r\n")))


def _other_encoding(rng: random.Random, content: bytes) -> bytes:
    text = content.decode("utf-8", "replace")
    return text.encode(rng.choice(("utf-16", "utf-16-le", "utf-8-sig", "utf-32")), "replace")


_WOUNDS = (
    _flipped,
    _flipped,
    _cut,
    _without,
    _twice,
    _noise,
    _zeros,
    _elsewhere,
    _nasty,
    _nasty_value,
    _nasty_value,
    _nasty_value,
    _lines_moved,
    _other_ends,
    _other_encoding,
)


def many_damaged(seed: str, content: bytes, count: int) -> Iterator[bytes]:
    """Yield damaged copies, the same for the same seed."""
    for number in range(count):
        yield damaged(random.Random(f"{seed} {number}"), content)
