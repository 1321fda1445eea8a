"""Keeps one connection: makes it when it is first needed, and again when it was lost."""

from __future__ import annotations

import asyncio
import time
from itertools import chain, repeat

from market_data_pipeline.domain.bar_types import NANOSECONDS
from market_data_pipeline.domain.errors import SourceUnavailable
from market_data_pipeline.domain.source import NewsKind
from market_data_pipeline.sources.ibkr.client_ids import ClientId, lease
from market_data_pipeline.sources.ibkr.codes import ClientIdInUse
from market_data_pipeline.sources.ibkr.link import Link
from market_data_pipeline.sources.ibkr.news import News, in_words
from market_data_pipeline.sources.ibkr.settings import IbkrSettings

_BACKOFF_S = (1.0, 2.0, 5.0, 10.0, 20.0)
_SLOWEST_S = 30.0


class Connector:
    """The connection of one gateway object. Lives in one event loop.

    The first connection is made or refused at once. One that stood before is tried again for `IbkrSettings.reconnect_s`: a nightly restart
    takes some minutes.
    """

    def __init__(self, settings: IbkrSettings) -> None:
        self._settings = settings
        self._turn = asyncio.Lock()
        self._link: Link | None = None
        self._client_id: ClientId | None = None
        self._stood = False

    @property
    def clock_ahead_ns(self) -> int:
        """Nanoseconds by which the gateway's clock is ahead of ours; 0 if that is not known."""
        return 0 if self._link is None else round(self._link.clock_ahead_s * NANOSECONDS)

    async def link(self, news: News) -> Link:
        """Return a connection that stands and has a broker behind it.

        Raises:
            SourceUnavailable: If there is none, and waiting would not help or has not helped.
            SourceRefused: If the gateway is logged in to another kind of account than meant.
        """
        async with self._turn:
            if self._link is not None and self._link.is_up and self._link.has_broker:
                return self._link
            if not self._stood:
                self._link = await self._connect()
                self._stood = True
                return self._link
            return await self._again(news)

    async def _again(self, news: News) -> Link:
        total_s = self._settings.scaled(self._settings.reconnect_s)
        deadline = time.monotonic() + total_s
        lost_link = self._link
        if lost_link is not None and lost_link.is_up:
            news.tell(
                NewsKind.RECONNECTING, f"The gateway has lost its connection to IBKR. Waiting up to {in_words(total_s)} until it is back.", total_s
            )
            if await lost_link.broker_back(total_s):
                news.tell(NewsKind.NOTE, "The gateway has its connection to IBKR again.")
                return lost_link
        why = lost_link.why_lost if lost_link is not None else "The connection was lost"
        await self._drop()
        for wait_s in map(self._settings.scaled, chain(_BACKOFF_S, repeat(_SLOWEST_S))):
            news.tell(NewsKind.RECONNECTING, f"{why}. Reconnecting to {self._settings.place} in {in_words(wait_s)}.", wait_s)
            await asyncio.sleep(wait_s)
            try:
                self._link = await self._connect()
            except SourceUnavailable as error:
                if time.monotonic() >= deadline:
                    raise SourceUnavailable(f"The connection to {self._settings.place} was lost and did not come back: {error}") from error
                why = "The gateway does not answer yet"
                continue
            news.tell(NewsKind.NOTE, f"Connected to {self._settings.place} again.")
            return self._link
        raise AssertionError("unreachable: the waits never end")

    async def _connect(self) -> Link:
        refused: set[int] = set()
        while True:
            if self._client_id is None:
                self._client_id = lease(self._settings, refused)
            try:
                return await Link.open(self._settings, self._client_id.number)
            except ClientIdInUse:
                # A program that is none of ours, or our own connection of a moment ago.
                refused.add(self._client_id.number)
                self._give_back_id()
            except BaseException:
                self._give_back_id()
                raise

    def _give_back_id(self) -> None:
        if self._client_id is not None:
            self._client_id.release()
            self._client_id = None

    async def _drop(self) -> None:
        if self._link is not None:
            await self._link.close()
            self._link = None

    async def close(self) -> None:
        """Close the connection and free the client id."""
        await self._drop()
        self._give_back_id()
