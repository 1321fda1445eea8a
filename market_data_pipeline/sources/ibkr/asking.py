"""Asks a gateway: with leave from the pacing table, over a connection that is made again when it is lost, and again when asking again helps."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from market_data_pipeline.domain.errors import PacingRefused, RequestTimedOut, SourceBusy, SourceError, SourceUnavailable
from market_data_pipeline.domain.source import NewsKind
from market_data_pipeline.pacing import PacingTable
from market_data_pipeline.sources.ibkr.codes import ConnectionLost, Farm
from market_data_pipeline.sources.ibkr.connecting import Connector
from market_data_pipeline.sources.ibkr.link import Link
from market_data_pipeline.sources.ibkr.news import News, in_words
from market_data_pipeline.sources.ibkr.permits import Permits
from market_data_pipeline.sources.ibkr.questions import Question
from market_data_pipeline.sources.ibkr.settings import IbkrSettings

PACING_PAUSE_S = 60.0  # "pacing violation: wait at least 60 s"
_FARM_PATIENCE_S = 10.0
_SILENCE_TOLD_S = 10.0  # a person who sees nothing for longer takes a program for dead
_FARM_LOOK_S = 0.2


class Tries:
    """How often a question, or the parts it was taken apart into, may be asked again."""

    def __init__(self, settings: IbkrSettings, used: int = 0) -> None:
        self._settings = settings
        self._used = used

    def wait_for(self, error: SourceError) -> float:
        """Use one retry up and return the seconds to wait before it, already scaled.

        Raises:
            SourceError: `error` itself, if asking again does not help or was done often enough.
        """
        if not error.retryable or self._used >= self._settings.retries:
            raise error
        self._used += 1
        wait_s = self._settings.retry_wait_s(self._used)
        return self._settings.scaled(max(wait_s, PACING_PAUSE_S) if isinstance(error, PacingRefused) else wait_s)

    def announce(self, error: SourceError, wait_s: float) -> str:
        """Return the line that tells of a wait: `IBKR rate limit reached. Retrying in 60 seconds (attempt 2/3)`."""
        cause = "IBKR rate limit reached." if isinstance(error, PacingRefused) else str(error)
        return f"{cause} Retrying in {in_words(wait_s)} (attempt {self._used}/{self._settings.retries})"

    def part(self) -> Tries:
        """Return the tries of a part: as many as are left of the whole."""
        return Tries(self._settings, self._used)

    async def again(self, error: SourceError, news: News) -> None:
        """Wait before asking again, and tell it.

        Raises:
            SourceError: `error` itself, if there is nothing to wait for.
        """
        wait_s = self.wait_for(error)
        news.tell(NewsKind.RETRYING, self.announce(error, wait_s), wait_s)
        await asyncio.sleep(wait_s)


class Asker:
    """Asks one gateway. Lives in one event loop."""

    def __init__(self, settings: IbkrSettings, permits: Permits) -> None:
        self.settings = settings
        self.permits = permits
        self._connector = Connector(settings)
        self._patient_with: frozenset[str] = frozenset()

    async def close(self) -> None:
        """Close the connection."""
        await self._connector.close()

    @property
    def clock_ahead_ns(self) -> int:
        """Nanoseconds by which the gateway's clock is ahead of ours; 0 if that is not known."""
        return self._connector.clock_ahead_ns

    async def link(self, news: News) -> Link:
        """Return the connection, made now if it is not there."""
        return await self._connector.link(news)

    async def answer(self, question: Question, news: News, tries: Tries | None = None, passed_on: tuple[type[SourceError], ...] = ()) -> Any:
        """Ask until there is an answer, or asking again does not help.

        Args:
            question: What to ask.
            news: Told what is being done.
            tries: How often it may be asked again; None for as often as the settings say.
            passed_on: Errors that the caller deals with.

        Raises:
            SourceError: What the last try ended with; a connection that went on every try is `SourceBusy`, because the gateway is there.
            SourceUnavailable: If the gateway is gone for good.
        """
        tries = tries or Tries(self.settings)
        while True:
            try:
                return await self.once(question, news)
            except ConnectionLost as error:
                lost = SourceBusy(f"{question.what}: the connection went while it was under way ({error}).")
                tries.wait_for(lost)  # the wait itself is that for the connection
            except SourceUnavailable:
                raise  # the connector has tried for as long as trying helps
            except SourceError as error:
                if isinstance(error, passed_on):
                    raise
                if isinstance(error, PacingRefused):
                    self.permits.refused(self.settings.scaled(PACING_PAUSE_S))
                await tries.again(error, news)

    async def once(self, question: Question, news: News) -> Any:
        """Ask once.

        Raises:
            ConnectionLost: If the connection went meanwhile.
            SourceError: By what the gateway answered.
        """
        link = await self._connector.link(news)
        await self._be_patient_with_farms(link, news)
        grant = await self.permits.grant(question.paced, news, question.what)
        if not link.is_up:
            self.permits.report(PacingTable.withdraw, grant)
            raise ConnectionLost(link.why_lost)
        if question.paced.kind == "history":
            news.asked(question.what)

        def send(client: Any, req_id: int) -> None:
            question.send(client, req_id)
            self.permits.report(PacingTable.sent, grant)

        end = PacingTable.answered
        patience = asyncio.get_running_loop().call_later(
            min(_SILENCE_TOLD_S, self.settings.request_timeout_s / 2), self._tell_silence, question, news
        )
        try:
            return await link.ask(replace(question, send=send), self.settings.request_timeout_s)
        except RequestTimedOut:
            end = PacingTable.release
            await link.gateway_time_ns()  # a gateway that is silent altogether is a lost connection, and says so here
            raise
        except (ConnectionLost, asyncio.CancelledError):
            end = PacingTable.release
            raise
        finally:
            patience.cancel()
            self.permits.report(end, grant)

    def _tell_silence(self, question: Question, news: News) -> None:
        most = in_words(self.settings.request_timeout_s)
        news.tell(NewsKind.NOTE, f"{question.what}: no answer yet. Waiting up to {most} for it (IB_REQUEST_TIMEOUT)")

    async def _be_patient_with_farms(self, link: Link, news: News) -> None:
        """Give a data farm that is down a moment to come back (2103, 2105, 2110, 2157); some stay down all night, so only once each."""
        down = _down(link)
        if not down or down <= self._patient_with:
            self._patient_with &= down
            return
        self._patient_with = down
        patience_s = self.settings.scaled(_FARM_PATIENCE_S)
        news.tell(NewsKind.NOTE, f"The gateway says that {', '.join(sorted(down))} is down. Waiting up to {in_words(patience_s)} for it.", patience_s)
        for _ in range(round(patience_s / _FARM_LOOK_S)):
            if not link.is_up or not _down(link):
                return
            await asyncio.sleep(_FARM_LOOK_S)


def _down(link: Link) -> frozenset[str]:
    return frozenset(name for name, state in link.farms.items() if state is Farm.DOWN)
