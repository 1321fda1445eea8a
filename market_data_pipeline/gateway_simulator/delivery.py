"""How an answer goes out: whole and in order, or as a fault has it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from market_data_pipeline.gateway_simulator.answers import Row
from market_data_pipeline.gateway_simulator.client import Client
from market_data_pipeline.gateway_simulator.market import Lost, Other, Rescheduled, Revised, Rewrite, Split
from market_data_pipeline.gateway_simulator.scenario import Action, Fault
from market_data_pipeline.gateway_simulator.wire import framed

_GARBAGE_BYTES = 64


@dataclass(frozen=True)
class Answer:
    """An answer ready for the socket.

    Attributes:
        frames: Its messages.
        said: What it is, in a word for statistics: `bars`, `error 162`.
        rows: How many bars, contracts or sessions it holds.
        is_error: Whether it is an error message.
        until_ns: The gateway's time that it tells everything until, where something goes on after it.
    """

    frames: tuple[bytes, ...]
    said: str
    rows: int = 0
    is_error: bool = False
    until_ns: int = 0


def changed_rows(rows: Sequence[Row], fault: Fault | None, chance: random.Random) -> Sequence[Row]:
    """Return the bars of an answer as a fault leaves them."""
    if fault is None:
        return rows
    if fault.do is Action.EMPTY:
        return []
    if fault.do is Action.TRUNCATED:
        return rows[: int(len(rows) * fault.share)]
    if fault.do is Action.DUPLICATES:
        return [row for place, row in enumerate(rows) for _ in range(2 if place % 3 == 0 else 1)]
    if fault.do is Action.DISORDER:
        shuffled = list(rows)
        chance.shuffle(shuffled)
        # A shuffle of two may change nothing.
        return shuffled if shuffled != list(rows) else shuffled[::-1]
    return rows


def rewrite_of(fault: Fault | None, seed: int) -> Rewrite | None:
    """Return what a fault does to the history itself; None where it leaves that as it was."""
    if fault is None:
        return None
    match fault.do:
        case Action.LOST:
            return Lost(fault.sessions)
        case Action.REVISED:
            return Revised(fault.sessions, seed)
        case Action.SPLIT:
            return Split(fault.ratio or 1.0, fault.before)
    return None


def rescheduled_by(fault: Fault | None) -> Rescheduled | None:
    """Return what a fault does to sessions; None where it leaves them as they are."""
    how = {Action.CLOSED: Other.CLOSED, Action.OPENED: Other.OPENED, Action.EARLY_CLOSE: Other.EARLY}
    return Rescheduled(fault.sessions, how[fault.do]) if fault is not None and fault.do in how else None


def stale_id(client: Client, request_id: int) -> int:
    """Return the id of another request of this client, one that has ended if there is one."""
    ended = [one for one in client.answered if one != request_id and one not in client.open]
    return ended[-1] if ended else request_id + 100_000


async def deliver(client: Client, answer: Answer, fault: Fault | None, chance: random.Random) -> None:
    """Write an answer, or what a fault makes of it."""
    whole = b"".join(answer.frames)
    if fault is None or fault.do not in _WAYS:
        await client.write(whole)
    else:
        await _WAYS[fault.do](client, answer, whole, fault, chance)


async def _drop_middle(client: Client, _: Answer, whole: bytes, fault: Fault, __: random.Random) -> None:
    await client.write(whole[: int(len(whole) * fault.share)])
    client.close()


async def _drop_after(client: Client, _: Answer, whole: bytes, __: Fault, ___: random.Random) -> None:
    await client.write(whole)
    client.close()


async def _half_frame(client: Client, answer: Answer, _: bytes, fault: Fault, __: random.Random) -> None:
    first = answer.frames[0] if answer.frames else b""
    await client.write(first[: max(1, int(len(first) * fault.share))])


async def _garbage(client: Client, _: Answer, __: bytes, ___: Fault, chance: random.Random) -> None:
    await client.write(chance.randbytes(_GARBAGE_BYTES))


async def _garbage_frame(client: Client, _: Answer, __: bytes, ___: Fault, chance: random.Random) -> None:
    await client.write(framed(chance.randbytes(_GARBAGE_BYTES)))


async def _one_byte(client: Client, _: Answer, whole: bytes, __: Fault, ___: random.Random) -> None:
    await client.write_byte_by_byte(whole)


_WAYS = {
    Action.DROP_MIDDLE: _drop_middle,
    Action.DROP_AFTER: _drop_after,
    Action.HALF_FRAME: _half_frame,
    Action.GARBAGE: _garbage,
    Action.GARBAGE_FRAME: _garbage_frame,
    Action.ONE_BYTE: _one_byte,
}
