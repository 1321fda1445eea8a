"""A request for data from its arrival to its end: what the rules say, what goes wrong, the answer, and what goes on after it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from market_data_pipeline.gateway_simulator import notices
from market_data_pipeline.gateway_simulator.client import Client
from market_data_pipeline.gateway_simulator.delivery import Answer, deliver
from market_data_pipeline.gateway_simulator.gateway import Gateway
from market_data_pipeline.gateway_simulator.limits import Breach
from market_data_pipeline.gateway_simulator.market import ContractQuery, Refusal
from market_data_pipeline.gateway_simulator.notices import Notice, Then
from market_data_pipeline.gateway_simulator.scenario import Action, Fault, Kind
from market_data_pipeline.gateway_simulator.statistics import RequestRecord

_RESTORED = {Action.OUTAGE_LOST: notices.RESTORED_DATA_LOST, Action.OUTAGE_KEPT: notices.RESTORED_DATA_KEPT}


@dataclass(frozen=True)
class Question:
    """A request for data as it arrived.

    Attributes:
        kind: What is asked.
        request_id: The client's number for it.
        asked: What of it statistics tell, by name.
        make: Makes the answer, given what goes wrong with it. May raise Refusal.
        query: The contract it is about, if it is about one.
        follow: What goes on after the answer until somebody cancels it, given the time that the answer tells everything until.
    """

    kind: Kind
    request_id: int
    asked: Mapping[str, object]
    make: Callable[[Fault | None], Awaitable[Answer]]
    query: ContractQuery | None = None
    follow: Callable[[int], Awaitable[None]] | None = None

    @property
    def names(self) -> frozenset[str]:
        """By what a scenario may call its contract."""
        if self.query is None:
            return frozenset()
        return frozenset({self.query.symbol, self.query.local_symbol, str(self.query.con_id or "")} - {""})

    @property
    def label(self) -> str:
        """The contract in words: `AAPL STK SMART`."""
        query = self.query
        if query is None:
            return ""
        name = query.local_symbol or query.symbol or f"contract {query.con_id}"
        return " ".join(part for part in (name, query.sec_type, query.expiry, query.exchange) if part)

    @property
    def values(self) -> dict[str, object]:
        """What the texts of notices say about it."""
        query = self.query or ContractQuery()
        return {"contract": query.symbol, "exchange": query.exchange, "sec_type": query.sec_type, "id": self.request_id}


class Serving:
    """Serves the requests for data of one client.

    Args:
        gateway: What all clients share.
        client: Whose.
    """

    def __init__(self, gateway: Gateway, client: Client) -> None:
        self._gateway = gateway
        self._client = client

    def arrived(self, question: Question, breaches: Callable[[int], Sequence[Breach]], refusal: Notice) -> None:
        """Begin to serve a request that arrived now.

        Args:
            question: What is asked.
            breaches: Says which rules it breaks, given the monotonic time of its arrival.
            refusal: What it is told if rules are enforced.
        """
        gateway, client = self._gateway, self._client
        record = gateway.statistics.asked(question.kind, client.id, question.request_id, question.label, question.asked)
        broken = breaches(record.monotonic_ns)
        gateway.statistics.broken(broken, client.id, record)
        fault = gateway.scenario.draw(question.kind, gateway.clock.now(), question.names, client.id)
        refused = refusal if broken and gateway.settings.limits.enforced else None
        if question.request_id in client.open:
            refused = notices.DUPLICATE_ID
        coroutine = self._serve(question, record, refused, fault)
        if refused is not None:
            gateway.in_background(coroutine)
        else:
            self._open(question, asyncio.create_task(coroutine))

    def cancel(self, request_id: int) -> bool:
        """End a request; return whether it was open."""
        task = self._client.open.get(request_id)
        if task is not None:
            task.cancel()
        return task is not None

    def _open(self, question: Question, task: asyncio.Task[None]) -> None:
        client, statistics = self._client, self._gateway.statistics
        client.open[question.request_id] = task
        statistics.opened(question.kind, 1)

        def ended(_: asyncio.Task[None]) -> None:
            del client.open[question.request_id]
            client.answered.append(question.request_id)
            statistics.opened(question.kind, -1)

        task.add_done_callback(ended)

    async def _serve(self, question: Question, record: RequestRecord, refused: Notice | None, fault: Fault | None) -> None:
        statistics = self._gateway.statistics
        name = fault.do.value if fault is not None and refused is None else ""
        try:
            notice = refused or (fault.notice if fault is not None else None)
            if notice is not None and await self._tell(question, record, notice, name):
                return
            if fault is not None and refused is None and await self._interfere(question, record, fault):
                return
            answer = await self._answer(question, fault)
            await self._gateway.wait_online()
            await deliver(self._client, answer, fault, self._gateway.scenario.random)
            statistics.answered(record, answer.said, answer.rows, name)
            if not answer.is_error:
                await self._go_on(question, answer.until_ns)
        except asyncio.CancelledError:
            statistics.answered(record, "cancelled", fault=name)
            raise
        except Exception as error:  # noqa: BLE001 - a fault of the simulator costs one request, not the gateway
            statistics.answered(record, "failed", fault=name)
            statistics.noted(f"{self._client.name}: request {question.request_id} failed: {type(error).__name__}: {error}")
            await self._client.write(notices.FAILED.framed(question.request_id, {"cause": error}))

    async def _tell(self, question: Question, record: RequestRecord, notice: Notice, name: str) -> bool:
        """Send a notice; return whether the request ends with it."""
        gateway = self._gateway
        values = question.values | {"port": gateway.port, "limit": gateway.settings.limits.open_at_once}
        await self._client.write(notice.framed(question.request_id, values))
        if notice.then is Then.ANSWER:
            return False
        gateway.statistics.answered(record, f"error {notice.code}", fault=name)
        if notice.then is Then.SILENCE:
            await _for_ever()
        if notice.then is Then.DROP:
            self._client.close()
        return True

    async def _interfere(self, question: Question, record: RequestRecord, fault: Fault) -> bool:
        """Do what a fault does before an answer is made; return whether there is to be none."""
        statistics = self._gateway.statistics
        if fault.do is Action.SLOW:
            await asyncio.sleep(fault.lasts_s)
        elif fault.do in _RESTORED:
            self._gateway.lose_connection(fault.lasts_s, _RESTORED[fault.do])
            # It begins before this request could be answered.
            await asyncio.sleep(0)
        elif fault.do is Action.SILENCE:
            statistics.answered(record, "silence", fault=fault.do)
            await _for_ever()
        elif fault.do is Action.DROP_BEFORE:
            statistics.answered(record, "dropped", fault=fault.do)
            self._client.close()
            return True
        elif fault.do is Action.RESTART:
            statistics.answered(record, "restart", fault=fault.do)
            self._gateway.restarts.put_nowait(fault.lasts_s)
            return True
        return False

    async def _answer(self, question: Question, fault: Fault | None) -> Answer:
        await asyncio.sleep(self._gateway.settings.latency_s)
        try:
            return await question.make(fault)
        except Refusal as refusal:
            data = notices.error(question.request_id, refusal.code, refusal.text)
            return Answer((data,), f"error {refusal.code}", is_error=True)

    async def _go_on(self, question: Question, since_ns: int) -> None:
        if question.follow is not None:
            await question.follow(since_ns)
        elif question.kind is Kind.HEAD:
            # It stays open until it is cancelled (TWS API, "Earliest Available Data").
            await _for_ever()


async def _for_ever() -> None:
    await asyncio.get_running_loop().create_future()
