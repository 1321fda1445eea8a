"""The gateway on its socket: who may connect, the handshake, each client's messages, restarts."""

from __future__ import annotations

import asyncio
import re
import time

from market_data_pipeline.domain.errors import SourceUnavailable
from market_data_pipeline.gateway_simulator import answers, notices
from market_data_pipeline.gateway_simulator.client import Client
from market_data_pipeline.gateway_simulator.gateway import Gateway
from market_data_pipeline.gateway_simulator.messages import Ask
from market_data_pipeline.gateway_simulator.scenario import Action, Kind
from market_data_pipeline.gateway_simulator.service import Service
from market_data_pipeline.gateway_simulator.wire import PREFIX, Fields, MalformedFrame, frame, read_frame

SERVER_VERSION = 178
"""The newest version whose messages are all text: protobuf begins at 201."""

MOST_CLIENTS = 32
_MOST_CONNECTIONS = 256
_SECONDS_TO_START = 60.0
_WARNINGS_BEFORE_DROP = 3
_VERSIONS = re.compile(rb"v(\d{1,6})(?:\.\.(\d{1,6}))?( .*)?", re.DOTALL)


class GatewayServer:
    """Listens and serves.

    Args:
        gateway: What is served.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._server: asyncio.Server | None = None
        self._connections: dict[Client, asyncio.Task[None]] = {}

    @property
    def host(self) -> str:
        """Where it listens."""
        return self._gateway.settings.host

    @property
    def port(self) -> int:
        """Where it listens; known once it does."""
        return self._gateway.port

    async def open(self) -> None:
        """Listen.

        Raises:
            SourceUnavailable: If the port cannot be had.
        """
        try:
            self._server = await asyncio.start_server(self._accept, self.host, self._gateway.port)
        except OSError as error:
            raise SourceUnavailable(
                f"Nothing can listen on {self.host}:{self._gateway.port}: {error.strerror or error}. "
                "Is a gateway or another simulator running there? Take another port: mdp ibkr simulate --port 4102, or any free one: --port 0."
            ) from None
        self._gateway.port = int(self._server.sockets[0].getsockname()[1])

    async def run(self) -> None:
        """Go away and come back whenever that is wanted, until cancelled."""
        while True:
            seconds = await self._gateway.restarts.get()
            self._gateway.statistics.noted(f"The gateway restarts: away for {seconds:g} s.")
            await self._leave()
            await asyncio.sleep(seconds)
            await self.open()
            self._gateway.statistics.noted("The gateway is back.")

    async def close(self) -> None:
        """Drop all clients and listen no more."""
        await self._leave()
        self._gateway.close()

    async def _leave(self) -> None:
        if self._server is not None:
            self._server.close()
        tasks = list(self._connections.values())
        for client, task in list(self._connections.items()):
            client.abort()
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._server is not None:
            await self._server.wait_closed()
            self._server = None

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = Client(reader, writer, self._gateway.watch.messages())
        task = asyncio.current_task()
        assert task is not None
        if len(self._connections) >= _MOST_CONNECTIONS:
            self._gateway.statistics.connection("refused full")
            client.abort()
            return
        self._connections[client] = task
        self._gateway.statistics.connection("accepted")
        try:
            await self._converse(client)
        except (asyncio.IncompleteReadError, OSError):
            pass  # it left
        except TimeoutError:
            self._gateway.statistics.noted(f"{client.name}: did not start within {_SECONDS_TO_START:g} s; closed.")
        except MalformedFrame as error:
            self._gateway.statistics.malformed(f"{client.name}: sent {error}; closed.")
        except asyncio.CancelledError:
            pass  # the gateway goes away, and asyncio's streams would log it
        except Exception as error:  # noqa: BLE001 - a fault of the simulator costs one connection, not the gateway
            self._gateway.statistics.noted(f"{client.name}: failed: {type(error).__name__}: {error}; closed.")
        finally:
            self._forget(client)

    def _forget(self, client: Client) -> None:
        del self._connections[client]
        client.cancel_all()
        if client.id is not None and self._gateway.clients.get(client.id) is client:
            del self._gateway.clients[client.id]
            self._gateway.statistics.disconnected(client.id)
        client.close()

    async def _converse(self, client: Client) -> None:
        async with asyncio.timeout(_SECONDS_TO_START) as patience:
            if not await self._greet(client) or not await self._start(client):
                return
            patience.reschedule(None)
        service = Service(self._gateway, client)
        while True:
            payload = await read_frame(client.reader)
            if await self._is_too_fast(client):
                continue
            await service.take(Fields.of(payload))

    async def _greet(self, client: Client) -> bool:
        """Shake hands; return whether the client is to go on."""
        fault = self._gateway.scenario.draw(Kind.CONNECT, self._gateway.clock.now())
        if fault is not None:
            self._gateway.statistics.fault(fault.do)
            if fault.do is Action.DROP_BEFORE:
                return False
            if fault.do is Action.RESTART:
                self._gateway.restarts.put_nowait(fault.lasts_s)
            if fault.do is Action.LOGIN_SCREEN:
                await client.reader.read()  # until it leaves
                return False
            if fault.do is Action.GARBAGE:
                await client.write(self._gateway.scenario.random.randbytes(64))
            await asyncio.sleep(fault.lasts_s if fault.do is Action.SLOW else 0)
        if await client.reader.readexactly(len(PREFIX)) != PREFIX:
            raise MalformedFrame("no API prefix")
        versions = _VERSIONS.fullmatch(await read_frame(client.reader))
        if versions is None:
            raise MalformedFrame("no range of versions")
        lowest, highest = int(versions[1]), int(versions[2] or versions[1])
        if lowest > SERVER_VERSION:
            self._gateway.statistics.noted(f"{client.name}: needs server version {lowest}, and this gateway speaks {SERVER_VERSION}; closed.")
            return False
        moment = self._gateway.clock.now()
        await client.write(frame(min(SERVER_VERSION, highest), f"{moment:%Y%m%d %H:%M:%S} UTC"))
        return True

    async def _start(self, client: Client) -> bool:
        """Take the client's id; return whether it may stay."""
        fields = Fields.of(await read_frame(client.reader))
        if fields.number() != Ask.START_API:
            raise MalformedFrame("a message before START_API")
        fields.skip()
        number = fields.number()
        gateway = self._gateway
        fault = gateway.scenario.draw(Kind.START, gateway.clock.now(), client=number)
        if fault is not None:
            gateway.statistics.fault(fault.do)
            if fault.do is Action.SILENCE:
                await client.reader.read()
                return False
            if fault.do is Action.DROP_BEFORE:
                return False
            if fault.do is Action.RESTART:
                gateway.restarts.put_nowait(fault.lasts_s)
            await asyncio.sleep(fault.lasts_s if fault.do is Action.SLOW else 0)
        refusal = self._refusal(number) if fault is None else notices.ID_IN_USE if fault.do is Action.IN_USE else fault.notice
        if refusal is not None:
            await client.write(refusal.framed(notices.NO_REQUEST, {"port": self.port}))
            if refusal.then is not notices.Then.ANSWER:
                gateway.statistics.connection(f"refused {refusal.code}")
                gateway.statistics.noted(f"{client.peer}: client id {number} refused: {refusal.text}")
                return False
        client.id = number
        gateway.clients[number] = client
        gateway.statistics.connected(number)
        farms = [notice.framed(notices.NO_REQUEST) for notice in notices.FARMS_OK]
        await client.write(b"".join([answers.accounts(gateway.settings.account), answers.next_valid_id(), *farms]))
        return True

    def _refusal(self, number: int) -> notices.Notice | None:
        if number in self._gateway.clients:
            return notices.ID_IN_USE
        return notices.TOO_MANY_CLIENTS if len(self._gateway.clients) >= MOST_CLIENTS else None

    async def _is_too_fast(self, client: Client) -> bool:
        """Count a message; return whether it is one too many and must be passed over."""
        breach = client.rate.arrived(time.monotonic_ns())
        if breach is None:
            return False
        gateway = self._gateway
        gateway.statistics.broken([breach], client.id)
        if not gateway.settings.limits.enforced:
            return False
        client.warnings += 1
        text = f"Max rate of messages per second has been exceeded:max={breach.limit} rec={breach.counted} ({client.warnings})"
        await client.write(notices.error(notices.NO_REQUEST, 100, text))
        if client.warnings >= _WARNINGS_BEFORE_DROP:
            gateway.statistics.noted(f"{client.name}: too many messages a second, for the third time; closed.")
            client.close()
            raise ConnectionAbortedError
        return True
