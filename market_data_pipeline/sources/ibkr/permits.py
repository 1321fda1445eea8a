"""Leave to ask, from the table that all processes of an account share, for a caller that lives in an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import TYPE_CHECKING

from market_data_pipeline.domain.pacing import Grant, PacingProfile, Wait
from market_data_pipeline.domain.pacing_budget import Budget, RuleUse
from market_data_pipeline.domain.pacing_windows import PacedRequest
from market_data_pipeline.domain.source import NewsKind
from market_data_pipeline.pacing import PacingTable, read_profile
from market_data_pipeline.sources.ibkr.news import News, in_words
from market_data_pipeline.sources.ibkr.settings import IbkrSettings

if TYPE_CHECKING:
    from concurrent.futures import Future

# A process that dies frees its place: look again at least this often.
_LOOK_S = 5.0


class Permits:
    """The pacing table behind a thread of its own: a database that is slow, or locked for a moment, never holds up the event loop."""

    def __init__(self, settings: IbkrSettings) -> None:
        self._settings = settings
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ibkr pacing")

    @cached_property
    def profile(self) -> PacingProfile:
        """The rules.

        Raises:
            ConfigurationError: If IB_PACING names none.
        """
        return read_profile(self._settings.pacing)

    @cached_property
    def _table(self) -> PacingTable:
        return PacingTable.open(self._settings.pacing_db, self.profile)

    def _budget(self) -> Budget:
        return self._table.budget()

    def budget(self) -> Budget:
        """Return what is left of the account's requests. Blocks for a moment; not for the event loop."""
        return self._thread.submit(self._budget).result()

    async def use_for(self, bar_seconds: int) -> RuleUse:
        """Return how much is used of the rule that counts requests for bars of a length."""
        budget = await asyncio.wrap_future(self._later(self._budget))
        return budget.use_for(bar_seconds)

    async def grant(self, request: PacedRequest, news: News, what: str) -> Grant:
        """Wait until a request may go, telling each wait."""
        told = 0.0
        while True:
            leave = await self._try(request)
            if isinstance(leave, Grant):
                return leave
            if leave.seconds > told:
                news.tell(
                    NewsKind.WAITING, f"{what}: waiting {in_words(round(leave.seconds))} for IBKR's pacing rules: {leave.reason}.", leave.seconds
                )
            wait_s = min(leave.seconds, _LOOK_S)
            told = leave.seconds
            try:
                await asyncio.sleep(wait_s)
            except asyncio.CancelledError:
                self._later(lambda: self._table.give_up(request))
                raise

    async def _try(self, request: PacedRequest) -> Grant | Wait:
        asked = self._later(lambda: self._table.try_acquire(request))
        try:
            return await asyncio.wrap_future(asked)
        except asyncio.CancelledError:
            # The table may have said yes in this moment.
            self._later(lambda: self._take_back(asked, request))
            raise

    def _take_back(self, asked: Future[Grant | Wait], request: PacedRequest) -> None:
        if asked.cancelled():
            return
        leave = asked.result()
        if isinstance(leave, Grant):
            self._table.withdraw(leave)
        else:
            self._table.give_up(request)

    def report(self, what_became: Callable[[PacingTable, Grant], None], grant: Grant) -> None:
        """Tell the table what became of a granted request. Does not wait; what is told first is told first."""
        self._later(lambda: what_became(self._table, grant))

    def refused(self, seconds: float) -> None:
        """Tell all processes of the account that the broker refused a request as too fast."""
        self._later(lambda: self._table.refused(seconds))

    def _later[T](self, work: Callable[[], T]) -> Future[T]:
        return self._thread.submit(work)

    def close(self) -> None:
        """Do what is still to be told, and let go of the table."""
        if "_table" in self.__dict__:
            self._later(self._table.close)
        self._thread.shutdown(wait=True)
