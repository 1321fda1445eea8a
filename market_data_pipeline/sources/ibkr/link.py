"""One connection to a gateway, on ib_async's client.

ib_async's `IB` turns errors and timeouts into empty lists, waits for positions at every start and speaks of orders. This is its protocol
client alone, with a receiver of ours: every request ends in an answer, an error or a timeout. It is read-only: only messages that ask leave
it, by a list of their numbers, so that nothing can place, change or even list an order, whoever gets hold of the client.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Any

from market_data_pipeline.domain.errors import RequestTimedOut, SourceError, SourceRefused, SourceUnavailable
from market_data_pipeline.sources.ibkr.codes import ClientIdInUse, ConnectionLost, Farm
from market_data_pipeline.sources.ibkr.facts import masked, mode_of
from market_data_pipeline.sources.ibkr.questions import Question
from market_data_pipeline.sources.ibkr.receiving import Pending, Receiver, WireLog
from market_data_pipeline.sources.ibkr.settings import AccountMode, IbkrSettings

_PORTS = "IB Gateway listens on 4002 (paper) and 4001 (live), TWS on 7497 (paper) and 7496 (live)"
_START = (
    "Start TWS or: docker compose -f deploy/docker-compose.yml up -d ib-gateway. "
    "Without an account: mdp ibkr simulate. Other place: IB_HOST, IB_PORT."
)
_CLOSING_S = 0.5
# Numbers of messages (`ibapi/message.py`): contracts 9, bars 20 and their end 25, clock 49, start 71, symbols 81, head time stamp 87 and its end 90.
_ASKING = frozenset({"9", "20", "25", "49", "71", "81", "87", "90"})


class Link:
    """One connection. Lives in one event loop; nothing here is shared between threads.

    Attributes:
        client_id: Our id at the gateway.
        accounts: Account numbers, whole: never log or show them but through `facts.masked`.
        connected_at: The gateway's time of connection, in its own words.
    """

    def __init__(self, settings: IbkrSettings, client_id: int) -> None:
        from ib_async.client import Client

        self._settings = settings
        self.connected_at = ""
        self._greeting = b""
        self.client_id = client_id
        self.accounts: tuple[str, ...] = ()
        self._receiver = Receiver()
        client: Any = Client  # it has no types
        self._client = client(self._receiver)
        # The pacing table counts messages for all processes; a second queue here would send what was granted at a time that nobody knows.
        self._client.MaxRequests = 0
        self._client.sendMsg = _only_asking(self._client.sendMsg)
        # Per object, so that another user of ib_async in this process keeps its log.
        self._client._logger = self._client.decoder.logger = WireLog(self._receiver)
        self._client.conn.hasData.error_event += self._receiver.undecodable
        self._client.conn.hasData += self._read_greeting
        self._client.apiStart += self._on_start
        self._clock_turn = asyncio.Lock()
        self.clock_ahead_s = 0.0
        self._latest_ns = 0

    @classmethod
    async def open(cls, settings: IbkrSettings, client_id: int) -> Link:
        """Connect, within the timeout of the settings.

        Raises:
            ClientIdInUse: If another client has the id.
            SourceUnavailable: If there is no gateway, or none that answers; the message says which of the two and what to do.
            SourceRefused: If the gateway is logged in to another kind of account than meant.
        """
        link = cls(settings, client_id)
        try:
            await link._start()
        except BaseException:
            await link.close()
            raise
        return link

    async def _start(self) -> None:
        settings, receiver = self._settings, self._receiver
        connecting = asyncio.ensure_future(self._client.connectAsync(settings.host, settings.port, self.client_id, 0))
        started = receiver.started
        try:
            async with asyncio.timeout(settings.connect_timeout_s):
                await asyncio.wait({connecting, started}, return_when=asyncio.FIRST_COMPLETED)
                if connecting.done():
                    await connecting
                await started
                self.accounts = tuple(self._client.getAccounts())
                await self.gateway_time_ns()
        except TimeoutError:
            raise SourceUnavailable(self._silence()) from None
        except ClientIdInUse:
            raise
        except ConnectionLost as error:
            raise SourceUnavailable(self._hung_up(str(error))) from None
        except UnicodeError:  # what names of hosts are written in refuses it before it is looked up
            raise SourceUnavailable(f"{settings.host!r} is no name of a host. {_PORTS}. Set IB_HOST to a host name or address.") from None
        except OSError as error:
            raise SourceUnavailable(self._unreachable(error)) from None
        finally:
            connecting.cancel()
            await asyncio.wait({connecting})
            for each in (connecting, started):  # looked at, so that asyncio does not complain of them
                if each.done() and not each.cancelled():
                    each.exception()
            started.cancel()
        self._check_mode()

    def _on_start(self, *_: object) -> None:
        if not self._receiver.started.done():
            self._receiver.started.set_result(None)

    def _read_greeting(self, data: bytes) -> None:
        """Keep the gateway's time of connection, which ib_async throws away: the second field of the first frame."""
        if self.connected_at:
            return
        self._greeting += data
        fields = self._greeting[4:].split(b"\0")
        if len(fields) > 2:
            self.connected_at, self._greeting = fields[1].decode(errors="replace"), b""

    def _silence(self) -> str:
        settings = self._settings
        waited = f"within {settings.connect_timeout_s:g} s (IB_TIMEOUT)"
        if not self._client.conn.isConnected():
            return f"Nothing answered at {settings.place} {waited}: no such host on this network, or a firewall drops the packets. {_PORTS}. {_START}"
        return (
            f"{settings.place} accepts connections, but nothing answered as a gateway does {waited}. A gateway that stands at its login screen, "
            "waits for a second factor, or asks to confirm a connection behaves so: look at its window. "
            f"{_PORTS}. Start it again, or set IB_HOST and IB_PORT."
        )

    def _hung_up(self, why: str) -> str:
        said = f" It said: {self._receiver.said}." if self._receiver.said else ""
        return (
            f"{self._settings.place} accepted the connection and ended it before it stood. {why}.{said} "
            "In the gateway's settings (API, Settings) enable socket clients and trust this host; a gateway takes 32 clients at most. "
            f"{_PORTS}. Set IB_HOST and IB_PORT."
        )

    def _unreachable(self, error: OSError) -> str:
        # A name with several addresses fails as a plain OSError that lists all of them.
        if isinstance(error, ConnectionRefusedError) or "Connect call failed" in str(error):
            return f"No IB Gateway listens at {self._settings.place}. {_PORTS}. {_START}"
        return f"{self._settings.place} cannot be reached: {error.strerror or error}. {_PORTS}. {_START}"

    def _check_mode(self) -> None:
        meant, is_mode = self._settings.account_mode, mode_of(self.accounts)
        if meant in (AccountMode.ANY, is_mode):
            return
        found = {AccountMode.LIVE: "a live account", AccountMode.PAPER: "a paper account", AccountMode.ANY: "accounts of both kinds"}[is_mode]
        shown = ", ".join(masked(account) for account in self.accounts)
        raise SourceRefused(
            f"The gateway at {self._settings.place} is logged in to {found} ({shown}), and IB_ACCOUNT_MODE says {meant}. "
            f"{_PORTS}. Set IB_PORT to the gateway that is meant, or IB_ACCOUNT_MODE."
        )

    async def close(self) -> None:
        """Close the socket; requests under way end as lost."""
        self._receiver.lose("The connection was closed")
        with contextlib.suppress(Exception):
            self._client.disconnect()
        deadline = time.monotonic() + _CLOSING_S
        while (transport := self._client.conn.transport) is not None:  # until the loop has closed it
            if time.monotonic() > deadline:
                transport.abort()
            await asyncio.sleep(0.001)

    @property
    def is_up(self) -> bool:
        """True while the socket stands."""
        return self._receiver.lost is None and self._client.isReady()

    @property
    def why_lost(self) -> str:
        """Why the connection is gone."""
        return str(self._receiver.lost or "The connection was lost")

    @property
    def has_broker(self) -> bool:
        """False from a 1100 until 1101 or 1102: the gateway stands, and nothing behind it."""
        return self._receiver.broker_back.is_set()

    async def broker_back(self, timeout_s: float) -> bool:
        """Wait for the broker after a 1100; return whether it is back."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while self.is_up and not self.has_broker:
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._receiver.broker_back.wait(), 0.2)
        return self.is_up and self.has_broker

    @property
    def farms(self) -> dict[str, Farm]:
        """The broker's data farms that the gateway spoke of, and their states."""
        return dict(self._receiver.farms)

    @property
    def server_version(self) -> int:
        """Version of the protocol that the gateway speaks."""
        version: int = self._client.serverVersion()
        return version

    async def ask(self, question: Question, timeout_s: float) -> Any:
        """Send one request and wait for its answer. If the caller is cancelled, the gateway is told that nobody waits any more.

        Raises:
            SourceError: By the code that the gateway answered with.
            RequestTimedOut: If no answer came in time.
            ConnectionLost: If the connection went.
        """
        if not self.is_up:
            raise ConnectionLost(self.why_lost)
        pending, req_id = Pending(question.what, asyncio.get_running_loop().create_future()), self._client.getReqId()
        self._receiver.pending[req_id] = pending
        is_over = False
        try:
            question.send(self._client, req_id)
            async with asyncio.timeout(timeout_s):
                answer = await pending.answer
            is_over = not question.stays_open
        except TimeoutError:
            raise RequestTimedOut(f"{question.what}: no answer within {timeout_s:g} s (IB_REQUEST_TIMEOUT).") from None
        except SourceError:
            is_over = True
            raise
        else:
            return answer
        finally:
            del self._receiver.pending[req_id]
            if pending.answer.done() and not pending.answer.cancelled():
                pending.answer.exception()  # looked at, also where the caller was cancelled in the same moment
            if not is_over:
                self._withdraw(req_id, question.cancel)

    def _withdraw(self, req_id: int, cancel: Callable[[Any, int], None] | None) -> None:
        if cancel is not None and self.is_up:
            with contextlib.suppress(ConnectionError):
                cancel(self._client, req_id)

    async def gateway_time_ns(self) -> int:
        """Ask the gateway for its clock, in nanoseconds since 1970 UTC (whole seconds, rounded down). It never runs back here.

        Raises:
            ConnectionLost: If it does not answer.
        """
        async with self._clock_turn:
            if not self.is_up:
                raise ConnectionLost(self.why_lost)
            self._receiver.clock = asyncio.get_running_loop().create_future()
            self._client.reqCurrentTime()
            try:
                async with asyncio.timeout(self._settings.connect_timeout_s):
                    seconds = await self._receiver.clock
            except TimeoutError:
                self._receiver.lose(f"The gateway is silent: not even its clock answered within {self._settings.connect_timeout_s:g} s")
                raise ConnectionLost(self.why_lost) from None
            finally:
                self._receiver.clock.cancel()
                self._receiver.clock = None
        self.clock_ahead_s = seconds - time.time()
        self._latest_ns = max(self._latest_ns, seconds * 1_000_000_000)
        return self._latest_ns


def _only_asking(send: Callable[[str], None]) -> Callable[[str], None]:
    """Return a sender that lets only messages out that ask for something.

    Raises:
        SourceRefused: Nothing of the message was sent.
    """

    def sending(message: str) -> None:
        number = message.partition("\0")[0]
        if number not in _ASKING:
            raise SourceRefused(
                f"Message {number} of the TWS API was not sent: this connection only reads (messages {', '.join(sorted(_ASKING, key=int))})."
            )
        send(message)

    return sending
