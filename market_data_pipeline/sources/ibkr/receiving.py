"""Receives what a gateway sends: each message ends in a request's answer, its error, or a note."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from market_data_pipeline.domain.errors import SourceUnavailable
from market_data_pipeline.sources.ibkr.codes import ClientIdInUse, ConnectionLost, Farm, Scope, error_of, farm_of, is_broker_back, meaning_of

if TYPE_CHECKING:
    from ib_async.contract import ContractDescription, ContractDetails
    from ib_async.objects import BarData, HistoricalSession

logger = logging.getLogger(__name__)

_ACCOUNTS_MESSAGE = "<<< 15,"  # as ib_async logs it
_TOO_MANY_MESSAGES = 100  # names no request: one of the last second was thrown away, and nobody says which
_TOO_MANY_WITHIN_S = 2.0
_LONGEST_TEXT = 1_000  # no gateway says more, and all of it is shown


@dataclass
class Pending:
    """A request under way: what is known of its answer so far."""

    what: str
    answer: asyncio.Future[Any]
    parts: list[Any] = field(default_factory=list)
    sent_at: float = field(default_factory=time.monotonic)

    @property
    def is_recent(self) -> bool:
        """True for one of those of which a gateway may just have said that they were too many."""
        return time.monotonic() - self.sent_at < _TOO_MANY_WITHIN_S

    def fail(self, code: int, text: str) -> None:
        """End it with the error that a message means."""
        error = error_of(code, text, self.what)
        if error is not None and not self.answer.done():
            self.answer.set_exception(error)


class Receiver:
    """What ib_async's decoder calls for each message of a gateway; the method names are those of the TWS API."""

    def __init__(self) -> None:
        self.pending: dict[int, Pending] = {}
        self.started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.lost: ConnectionLost | None = None
        self.farms: dict[str, Farm] = {}
        self.broker_back = asyncio.Event()
        self.broker_back.set()
        self.clock: asyncio.Future[int] | None = None
        self.said = ""

    def fail_all(self, error: Callable[[], SourceUnavailable]) -> None:
        """End every request under way."""
        for each in list(self.pending.values()):
            if not each.answer.done():
                each.answer.set_exception(error())
        if self.clock and not self.clock.done():
            self.clock.set_exception(error())
        if not self.started.done():
            self.started.set_exception(error())

    def lose(self, why: str) -> None:
        """Give the connection up."""
        if self.lost is None:
            self.lost = ConnectionLost(why)
        self.fail_all(lambda: ConnectionLost(why))

    def undecodable(self, *_: object) -> None:
        """Give the connection up: after a message that cannot be read, nobody knows where the next one begins."""
        self.lose("The gateway sent something that is no message of the TWS API")

    def _end(self, req_id: int, result: Any) -> None:
        each = self.pending.get(req_id)
        if each and not each.answer.done():
            each.answer.set_result(result)

    # From here on: called by ib_async.

    def connectAck(self) -> None:  # noqa: N802
        """The handshake is done."""

    def setEventsDone(self) -> None:  # noqa: N802
        """The socket is closed."""
        self.lose("The gateway closed the connection")

    def connectionClosed(self) -> None:  # noqa: N802
        """The socket is closed, after it was ready."""
        self.lose("The gateway closed the connection")

    def error(self, req_id: int, code: int, text: str, _: str) -> None:
        """Read any message that is not an answer: errors, warnings and news of the farms."""
        text = text[:_LONGEST_TEXT]
        meaning = meaning_of(code, text)
        each = self.pending.get(req_id)
        logger.debug("message %s for request %s: %s", code, req_id, text)
        if (farm := farm_of(code, text)) is not None:
            self.farms[farm[0]] = farm[1]
        if is_broker_back(code):
            self.broker_back.set()
        elif meaning.scope is Scope.CONNECTION:
            self._connection_error(code, text)
        elif meaning.scope is Scope.REQUEST and each:
            each.fail(code, text)
        elif meaning.scope is Scope.REQUEST and req_id < 0:
            self.said = f"{text} (error {code})"
            logger.warning("IBKR says: %s", self.said)
            if code == _TOO_MANY_MESSAGES:
                for one in [one for one in self.pending.values() if one.is_recent]:
                    one.fail(code, text)

    def _connection_error(self, code: int, text: str) -> None:
        if code == 1100:
            self.broker_back.clear()
            self.fail_all(lambda: ConnectionLost("The gateway has lost its connection to IBKR (error 1100)"))
        elif meaning_of(code, text).error is ClientIdInUse:
            if not self.started.done():
                self.started.set_exception(ClientIdInUse(text))
        else:
            self.lose(f"The gateway ends the connection: {text} (error {code})")

    def contractDetails(self, req_id: int, details: ContractDetails) -> None:  # noqa: N802
        """Take one contract of an answer."""
        if req_id in self.pending:
            self.pending[req_id].parts.append(details)

    bondContractDetails = contractDetails  # noqa: N815

    def contractDetailsEnd(self, req_id: int) -> None:  # noqa: N802
        """End an answer about contracts."""
        if req_id in self.pending:
            self._end(req_id, self.pending[req_id].parts)

    def historicalData(self, req_id: int, bar: BarData) -> None:  # noqa: N802
        """Take one bar of an answer."""
        if req_id in self.pending:
            self.pending[req_id].parts.append(bar)

    def historicalDataEnd(self, req_id: int, _start: str, _end: str) -> None:  # noqa: N802
        """End an answer of bars."""
        if req_id in self.pending:
            self._end(req_id, self.pending[req_id].parts)

    def historicalSchedule(self, req_id: int, _start: str, _end: str, zone: str, sessions: list[HistoricalSession]) -> None:  # noqa: N802
        """Take the sessions of a contract."""
        self._end(req_id, (zone, sessions))

    def headTimestamp(self, req_id: int, text: str) -> None:  # noqa: N802
        """Take a head time stamp."""
        self._end(req_id, text)

    def symbolSamples(self, req_id: int, found: list[ContractDescription]) -> None:  # noqa: N802
        """Take the symbols that match a text."""
        self._end(req_id, found)

    def currentTime(self, seconds: int) -> None:  # noqa: N802
        """Take the gateway's clock."""
        if self.clock and not self.clock.done():
            self.clock.set_result(seconds)


class WireLog(logging.Logger):
    """The log of ib_async's client for one connection: what it calls an error is told by our own messages."""

    def __init__(self, receiver: Receiver) -> None:
        super().__init__(logger.name, logging.DEBUG)
        self.parent = logger
        self._receiver = receiver

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802 - logging's name
        """Let everything through that debugging lets through, and what could not be decoded."""
        return level >= logging.ERROR or logger.isEnabledFor(logging.DEBUG)

    def handle(self, record: logging.LogRecord) -> None:
        """Write at the level of debugging, and hear of messages that could not be decoded. The account numbers are never written."""
        if record.exc_info:
            self._receiver.undecodable()
        if record.getMessage().startswith(_ACCOUNTS_MESSAGE):
            return
        if logger.isEnabledFor(logging.DEBUG):
            record.levelno, record.levelname = logging.DEBUG, "DEBUG"
            logger.handle(record)
