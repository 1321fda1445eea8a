"""A gateway of Interactive Brokers, for callers that know nothing of event loops.

    with IbkrGateway() as gateway:
        gateway.server_facts()
        gateway.contract_details(contract_of("AAPL.NASDAQ"))

It connects when it is first asked, is read-only, and can be interrupted at any moment: whatever interrupts a call (Ctrl-C, Dagster's cancellation)
cancels the request at the gateway too.
"""

from __future__ import annotations

import hashlib
import queue
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any

from market_data_pipeline.domain.pacing import PacingProfile
from market_data_pipeline.domain.pacing_budget import Budget
from market_data_pipeline.domain.source import SourceNews
from market_data_pipeline.sources.ibkr.asking import Asker, Tries
from market_data_pipeline.sources.ibkr.background import BackgroundLoop
from market_data_pipeline.sources.ibkr.bars import RawBars, raw_bars
from market_data_pipeline.sources.ibkr.codes import NothingThere
from market_data_pipeline.sources.ibkr.facts import ServerFacts, is_simulated, masked, mode_of
from market_data_pipeline.sources.ibkr.news import News
from market_data_pipeline.sources.ibkr.permits import Permits
from market_data_pipeline.sources.ibkr.questions import BarQuestion, Question, details_question, head_ns_of, head_question, matching_question
from market_data_pipeline.sources.ibkr.settings import Hours, IbkrSettings

if TYPE_CHECKING:
    from ib_async.contract import Contract, ContractDescription, ContractDetails

Listener = Callable[[SourceNews], None]


# Windows cannot interrupt a wait without an end.
_GLANCE_S = 0.25


class _End:
    """Says that nothing more will be told."""


_END = _End()


class IbkrGateway:
    """A gateway. Use as a context manager: closing frees the socket, the thread, the client id and the pacing table.

    Args:
        settings: How to reach and ask it; None for the environment's.
        listener: Told what is being done where a question has no listener of its own.
    """

    def __init__(self, settings: IbkrSettings | None = None, listener: Listener | None = None) -> None:
        self.settings = IbkrSettings.from_environment() if settings is None else settings
        self._listener = listener
        self._permits = Permits(self.settings)
        self._starting = threading.Lock()
        self._loop: BackgroundLoop | None = None
        self._asker: Asker | None = None
        self._closed = False
        self._watch = threading.local()

    def __enter__(self) -> IbkrGateway:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Free everything. Requests under way are cancelled; the gateway gives no more answers."""
        if self._closed:
            return
        self._closed = True
        if self._loop is not None:
            if self._asker is not None:
                self._loop.cancel_all()
                self._loop.run(self._asker.close())
            self._loop.close()
            self._loop = self._asker = None
        self._permits.close()

    @property
    def profile(self) -> PacingProfile:
        """The pacing rules that requests follow.

        Raises:
            ConfigurationError: If IB_PACING names none.
        """
        return self._permits.profile

    def budget(self) -> Budget:
        """Return what is left of the account's requests, and when the next may go. Needs no connection."""
        return self._permits.budget()

    def contract_details(self, contract: Contract, listener: Listener | None = None) -> list[ContractDetails]:
        """Return every contract that fits a description.

        Raises:
            ContractUnknown: If none does.
            SourceError: If the gateway cannot be asked, or refuses.
        """
        found: list[ContractDetails] = self.ask(details_question(contract, f"Contract {_described(contract)}"), listener)
        return found

    def matching(self, pattern: str, listener: Listener | None = None) -> list[ContractDescription]:
        """Return stocks whose symbol or name begins with a text. IBKR allows one such search a second.

        Raises:
            SourceError: If the gateway cannot be asked, or refuses.
        """
        found: list[ContractDescription] = self.ask(matching_question(pattern), listener)
        return found

    def historical_bars(self, asked: BarQuestion, listener: Listener | None = None) -> RawBars:
        """Return the bars of one request as the gateway gave them, unchecked; none only if it said twice that there are none.

        Raises:
            SourceError: If the gateway cannot be asked, or refuses.
        """
        return self.run(lambda asker: ask_bars(asker, asked, News(listener), Tries(self.settings)))

    def head_time_stamp(self, contract: Contract, what: str, hours: Hours, listener: Listener | None = None) -> int | None:
        """Return the earliest time that has data, UTC nanoseconds; None if there are none. Counts as a request for bars.

        Raises:
            SourceError: If the gateway cannot be asked, or refuses.
        """
        question = head_question(contract, what, hours, f"Earliest {what} of {_described(contract)}")
        try:
            text: str = self.ask(question, listener)
        except NothingThere:
            return None
        return head_ns_of(text, question.what)

    def now_ns(self) -> int:
        """Return the gateway's clock, UTC nanoseconds in whole seconds. It may be far from ours: a simulator runs on its own."""
        return self.run(_gateway_time)

    @property
    def clock_ahead_ns(self) -> int:
        """Nanoseconds by which the gateway's clock was ahead of ours when it was last asked; 0 if it never was. Asks nobody."""
        return 0 if self._asker is None else self._asker.clock_ahead_ns

    def login(self) -> str:
        """Return what tells one login from another, a digest of its account numbers; connects if need be.

        On one port stands now a simulator, now a paper account: what the one told is not true of the other.

        Raises:
            SourceUnavailable: If the gateway cannot be reached; the message says what to do.
        """
        return self.run(_login)

    def is_simulated(self) -> bool:
        """Return whether this is the gateway simulator, whose prices are invented; connects if need be.

        Raises:
            SourceUnavailable: If the gateway cannot be reached; the message says what to do.
        """
        return self.run(self._is_simulated)

    def server_facts(self) -> ServerFacts:
        """Return what the gateway says of itself; connects if need be.

        Raises:
            SourceUnavailable: If it cannot be reached; the message says what to do.
        """
        return self.run(self._facts)

    async def _is_simulated(self, asker: Asker) -> bool:
        return is_simulated((await asker.link(News(self._listener))).accounts)

    async def _facts(self, asker: Asker) -> ServerFacts:
        link = await asker.link(News())
        await link.gateway_time_ns()
        return ServerFacts(
            self.settings.host,
            self.settings.port,
            link.client_id,
            link.server_version,
            link.connected_at,
            tuple(masked(account) for account in link.accounts),
            mode_of(link.accounts),
            {name: state.value for name, state in link.farms.items()},
            round(link.clock_ahead_s, 3),
            is_simulated(link.accounts),
        )

    def ask(self, question: Question, listener: Listener | None = None) -> Any:
        """Ask one question until there is an answer, or asking again does not help.

        Raises:
            SourceError: What the last try ended with.
        """
        return self.run(lambda asker: asker.answer(question, News(listener or self._listener)))

    @contextmanager
    def watched(self, look: Callable[[], None]) -> Iterator[None]:
        """Call `look` some times a second while this thread waits for the gateway: what it raises ends the wait, and cancels what is under way.

        For waits that must end though nobody sits at a keyboard: pacing may hold a request back for minutes, a gateway may be gone for longer.
        """
        before, self._watch.look = self._look, look
        try:
            yield
        finally:
            self._watch.look = before

    @property
    def _look(self) -> Callable[[], None] | None:
        look: Callable[[], None] | None = getattr(self._watch, "look", None)
        return look

    def run[T](self, work: Callable[[Asker], Coroutine[Any, Any, T]]) -> T:
        """Run something that asks in the gateway's own event loop, and wait for it. An interrupt cancels it."""
        loop, asker = self._started()
        return loop.run(work(asker), self._look)

    def stream[T](self, work: Callable[[Asker, Callable[[T], None]], Coroutine[Any, Any, None]]) -> Iterator[T]:
        """Run something that tells one thing after the other, and yield them as they come. Stopping the generator cancels the work.

        Raises:
            SourceError: What the work ended with, after everything that was told before.
        """
        loop, asker = self._started()
        told: queue.SimpleQueue[T | _End] = queue.SimpleQueue()
        future = loop.start(work(asker, told.put))
        future.add_done_callback(lambda _: told.put(_END))
        try:
            while not isinstance(item := _next(told, self._look), _End):
                yield item
            future.result()
        finally:
            future.cancel()

    def _started(self) -> tuple[BackgroundLoop, Asker]:
        with self._starting:
            if self._closed:
                raise RuntimeError("the gateway is closed")
            if self._loop is None or self._asker is None:
                self._loop = BackgroundLoop("ibkr gateway")
                self._asker = self._loop.run(self._make_asker())
            return self._loop, self._asker

    async def _make_asker(self) -> Asker:
        return Asker(self.settings, self._permits)


def _next[T](told: queue.SimpleQueue[T], look: Callable[[], None] | None) -> T:
    while True:
        if look is not None:
            look()
        try:
            return told.get(timeout=_GLANCE_S)
        except queue.Empty:
            continue


async def ask_bars(asker: Asker, asked: BarQuestion, news: News, tries: Tries) -> RawBars:
    """Return the bars of one request; none only if the gateway said twice that there are none.

    The pacing table holds the second asking back until the pause between identical requests is over.

    Raises:
        SourceError: If asking again does not help.
    """
    for _ in range(2):
        try:
            bars = await asker.answer(asked.question, news, tries)
        except NothingThere:
            continue
        if bars:
            return raw_bars(bars, asked.spec)
    return RawBars.none()


async def _login(asker: Asker) -> str:
    accounts = sorted((await asker.link(News())).accounts)
    return hashlib.blake2b("\0".join(accounts).encode(), digest_size=8).hexdigest()


async def _gateway_time(asker: Asker) -> int:
    return await (await asker.link(News())).gateway_time_ns()


def _described(contract: Contract) -> str:
    """Return a contract in a few words: `AAPL STK SMART/NASDAQ USD`."""
    exchange = f"{contract.exchange}/{contract.primaryExchange}" if contract.primaryExchange else contract.exchange
    name = contract.localSymbol or contract.symbol or f"conId {contract.conId}"
    return " ".join(word for word in (name, contract.secType, contract.lastTradeDateOrContractMonth, exchange, contract.currency) if word)
