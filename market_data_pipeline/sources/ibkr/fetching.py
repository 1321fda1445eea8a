"""One fetch in the gateway's event loop: requests go out ahead of each other, answers come in order, doubtful ones are asked for again."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from market_data_pipeline.domain.coverage import SessionAnswer
from market_data_pipeline.domain.errors import RequestTimedOut, SourceError, SourceUnavailable
from market_data_pipeline.domain.pacing_budget import RuleUse
from market_data_pipeline.domain.planning import PlannedRequest, halved, plan_requests
from market_data_pipeline.domain.request_sizes import RequestSizes, bar_seconds
from market_data_pipeline.domain.sessions import date_of
from market_data_pipeline.domain.source import Asked, NewsKind, SessionFailure, SourceNews
from market_data_pipeline.domain.words import agreeing, count
from market_data_pipeline.sources.ibkr.asking import Asker, Tries
from market_data_pipeline.sources.ibkr.bars import RawBars, raw_bars
from market_data_pipeline.sources.ibkr.codes import NothingThere
from market_data_pipeline.sources.ibkr.judging import Doubt, Judge, Seen
from market_data_pipeline.sources.ibkr.news import News
from market_data_pipeline.sources.ibkr.questions import BarQuestion, head_ns_of, head_question
from market_data_pipeline.sources.ibkr.settings import ExcessDecimals, Hours

if TYPE_CHECKING:
    from ib_async.contract import Contract

Told = SessionAnswer | SessionFailure | SourceNews

_ASKINGS = 4  # a session that says something else each time is not believed
_ROUNDS_OF_SILENCE = 2  # of all that are under way at once
_ANSWERS_SEEN = 20  # of which the usual time between two is taken


@dataclass(frozen=True)
class Request:
    """What a fetch asks for, beside the sessions.

    Attributes:
        contract: The contract, with its conId.
        what: What the bars are made of, as IBKR writes it.
        hours: Which hours.
        sizes: How much one request may ask for.
        decimals: What to do with values that need more decimals than the instrument has.
        magnifier: IBKR's price magnifier of the contract.
        head_ns: From when on there is data, UTC nanoseconds, if that is known.
    """

    contract: Contract
    what: str
    hours: Hours
    sizes: RequestSizes
    decimals: ExcessDecimals
    magnifier: int
    head_ns: int | None = None


class Fetch:
    """Answers sessions of one series, oldest first.

    Args:
        asker: Asks the gateway.
        asked: The sessions.
        request: How to ask for them.
        tell: Called with each answer, failure and piece of news, in the event loop.
    """

    def __init__(self, asker: Asker, asked: Asked, request: Request, tell: Callable[[Told], None]) -> None:
        self._asker, self._asked, self._request, self._tell = asker, asked, request, tell
        self._partitions = asked.partitions
        self._judge = Judge(asked.partitions, asked.precision, request.hours, request.magnifier, request.decimals, asked.usual_share)
        self._news = News(tell, self._seconds_left)
        self._head_ns = request.head_ns
        self._head_asked = request.head_ns is not None
        self._now_ns = 0
        self._plan: list[PlannedRequest] = []
        self._done = 0
        self._use: RuleUse | None = None
        self._looked_at = time.monotonic()
        self._between = deque[float](maxlen=_ANSWERS_SEEN)
        self._rounded = 0
        self._silent_in_a_row = 0

    async def run(self) -> None:
        """Ask for everything, and tell an answer or a failure of each session.

        Raises:
            SourceUnavailable: If the gateway is gone for good; what was told before stands.
        """
        # Bars that close later than this are never taken, even where an answer comes so much later that it has them.
        self._now_ns = await (await self._asker.link(self._news)).gateway_time_ns()
        self._plan = plan_requests(self._partitions, self._asked.sessions, self._request.sizes, self._now_ns, self._request.hours)
        await self._look_at_pacing()
        waiting = deque(sorted(set(self._asked.sessions)))
        last = {date: number for number, request in enumerate(self._plan) for date in request.sessions}
        under_way: deque[asyncio.Task[RawBars]] = deque()
        parts: list[RawBars] = []
        failed: dict[dt.date, str] = {}
        try:
            for number, request in enumerate(self._plan):
                while len(under_way) < self._asker.settings.in_flight and number + len(under_way) < len(self._plan):
                    under_way.append(asyncio.ensure_future(self._raw(self._plan[number + len(under_way)])))
                try:
                    parts.append(await under_way.popleft())
                    self._silent_in_a_row = 0
                except SourceUnavailable:
                    raise
                except SourceError as error:
                    failed |= dict.fromkeys(request.sessions, str(error))
                    self._give_up_if_dead(error)
                self._done += 1
                ready = [date for date in request.sessions if last[date] == number]
                if ready:
                    await self._finish(ready, RawBars.joined(parts), failed, waiting)
                    parts.clear()
                await self._look_at_pacing()
            self._tell_idle(waiting, None)
        finally:
            for task in under_way:
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)
        if self._rounded:
            self._news.tell(
                NewsKind.NOTE,
                f"{count(self._rounded, 'bar')} had more decimals than the instrument and {agreeing(self._rounded, 'was', 'were')} rounded.",
            )

    def _give_up_if_dead(self, error: SourceError) -> None:
        """Stop where nobody answers any more: what is left would fail too, one time limit after the other, for hours.

        Raises:
            SourceUnavailable: If many requests in a row got no answer, however often they were asked.
        """
        self._silent_in_a_row = self._silent_in_a_row + 1 if isinstance(error, RequestTimedOut) else 0
        if self._silent_in_a_row >= _ROUNDS_OF_SILENCE * self._asker.settings.in_flight:
            raise SourceUnavailable(
                f"{self._silent_in_a_row} requests in a row got no answer, however often they were asked: the gateway at "
                f"{self._asker.settings.place} is connected, and its data service is not. Look at it with: mdp ibkr status. "
                "The same command later asks only for what is missing."
            ) from error

    async def _raw(self, request: PlannedRequest) -> RawBars:
        """Return the bars of one planned request; none if the gateway said so, or if there can be none."""
        if self._head_ns is not None and request.end_ns <= self._head_ns:
            return RawBars.none()
        try:
            bars = await self._bars(request, Tries(self._asker.settings))
        except NothingThere:
            return RawBars.none()
        return bars

    async def _bars(self, request: PlannedRequest, tries: Tries) -> RawBars:
        """Return the bars that one request was for; what times out is asked for in halves.

        Raises:
            NothingThere: If the gateway says so, once.
            SourceError: If asking again does not help.
        """
        question = self._question(request)
        try:
            bars = await self._asker.answer(question.question, self._news, tries, (RequestTimedOut,))
        except RequestTimedOut as error:
            parts = halved(request, self._partitions)
            await tries.again(error, self._news)
            found = []
            for part in parts:
                try:
                    found.append(await self._bars(part, tries.part()))
                except NothingThere:
                    continue
            return RawBars.joined(found)
        return raw_bars(bars, self._asked.series.spec).opened_in(request.start_ns, request.end_ns)

    def _question(self, request: PlannedRequest) -> BarQuestion:
        first, last = request.sessions[0], request.sessions[-1]
        dates = str(first) if first == last else f"{first} to {last}"
        series = self._asked.series
        return BarQuestion(
            self._request.contract,
            series.spec,
            self._request.what,
            self._request.hours,
            request.end_ns,
            request.duration,
            f"{series.instrument_id} {series.spec} {dates}",
        )

    async def _finish(self, dates: Sequence[dt.date], raw: RawBars, failed: dict[dt.date, str], waiting: deque[dt.date]) -> None:
        """Judge sessions of which everything has been asked, ask again where there is doubt, and tell them."""
        positions = {self._position(date): date for date in dates if date not in failed}
        seen = self._judge.see(raw, positions, self._now_ns)
        verdicts = await self._settle(seen)
        for date in dates:
            self._tell_idle(waiting, date)
            waiting.popleft()
            if date in failed:
                self._tell(SessionFailure(date, failed.pop(date)))
                continue
            position = self._position(date)
            verdict = verdicts[position]
            if isinstance(verdict, SessionFailure):
                self._tell(verdict)
                continue
            self._rounded += verdict.rounded
            self._tell(self._judge.answer(position, verdict, self._now_ns, before_head=self._is_before_head(position)))

    async def _settle(self, seen: dict[int, Seen]) -> dict[int, Seen | SessionFailure]:
        """Return what is to be believed of each partition: a clean answer, or one that was given twice; see `Judge.times_to_say` for three."""
        verdicts: dict[int, Seen | SessionFailure] = {position: one for position, one in seen.items() if one.doubt is None}
        doubtful = {position: one for position, one in seen.items() if one.doubt is not None}
        if doubtful and all(one.doubt is Doubt.SILENT for one in seen.values()):
            await self._look_at_head()
        for position in [position for position in doubtful if self._is_before_head(position)]:
            verdicts[position] = doubtful.pop(position)
        said = dict.fromkeys(doubtful, 1)
        for _ in range(_ASKINGS - 1):
            if not doubtful:
                break
            try:
                again = await self._ask_again(doubtful)
            except SourceUnavailable:
                raise
            except SourceError as error:
                return verdicts | {p: SessionFailure(self._date(p), f"{one.reason}; asked again: {error}") for p, one in doubtful.items()}
            for position, one in again.items():
                said[position] = said[position] + 1 if one.agrees_with(doubtful[position]) else 1
                if one.doubt is None or said[position] >= self._judge.times_to_say(one):
                    self._judge.confirm(one)
                    verdicts[position] = one
                    del doubtful[position]
                else:
                    doubtful[position] = one
        for position, one in doubtful.items():
            reason = f"IBKR gave {_ASKINGS} different answers, the last with {one.reason}. Run this again later."
            verdicts[position] = SessionFailure(self._date(position), reason)
        return verdicts

    async def _ask_again(self, doubtful: dict[int, Seen]) -> dict[int, Seen]:
        dates = [self._date(position) for position in sorted(doubtful)]
        reasons = ", ".join(sorted({one.reason for one in doubtful.values()}))
        span = str(dates[0]) if len(dates) == 1 else f"{dates[0]} to {dates[-1]} ({len(dates)} sessions)"
        self._news.tell(NewsKind.NOTE, f"{self._asked.series} {span}: {reasons}. Asking again before it is believed.")
        plan = plan_requests(self._partitions, dates, self._request.sizes, self._now_ns, self._request.hours)
        raw = RawBars.joined([await self._raw(request) for request in plan])
        return self._judge.see(raw, doubtful, self._now_ns)

    async def _look_at_head(self) -> None:
        """Ask, once, from when on there is data, when a request has brought nothing: before that, silence needs no second asking."""
        if self._head_asked:
            return
        self._head_asked = True
        request, series = self._request, self._asked.series
        question = head_question(request.contract, request.what, request.hours, f"Earliest {request.what} of {series.instrument_id}")
        try:
            self._head_ns = head_ns_of(await self._asker.answer(question, self._news), question.what)
        except SourceUnavailable:
            raise
        except SourceError as error:
            self._news.tell(NewsKind.NOTE, f"From when on IBKR has data is not known: {error}")
            return
        head = dt.datetime.fromtimestamp(self._head_ns / 1e9, dt.UTC).date()
        if self._is_before_head(self._position(self._asked.sessions[0])):
            self._news.tell(NewsKind.NOTE, f"IBKR has {request.what} of {series.instrument_id} from {head} on; sessions before are not asked for.")

    def _is_before_head(self, position: int) -> bool:
        return self._head_ns is not None and int(self._partitions.ends[position]) <= self._head_ns

    def _tell_idle(self, waiting: deque[dt.date], until: dt.date | None) -> None:
        """Tell the sessions before `until` that need no request: none of their bars has closed yet."""
        while waiting and waiting[0] != until:
            position = self._position(waiting.popleft())
            nothing = self._judge.see(RawBars.none(), [position], self._now_ns)[position]
            self._tell(self._judge.answer(position, nothing, self._now_ns))

    def _position(self, date: dt.date) -> int:
        position = self._partitions.index_of(date)
        assert position is not None  # planning has refused all others
        return position

    def _date(self, position: int) -> dt.date:
        return date_of(self._partitions.days[position])

    async def _look_at_pacing(self) -> None:
        """Note when the requests that are left may go, by all that anybody asked until now, and how long the newest answer took to come."""
        now = time.monotonic()
        if self._use is not None:
            self._between.append(now - self._looked_at)
        self._looked_at = now
        self._use = await self._asker.permits.use_for(bar_seconds(self._asked.series.spec))

    def _seconds_left(self) -> float | None:
        """Estimate the rest: answers as they came of late, but no sooner than pacing lets the last request go.

        By the median, because one wait of minutes for the rate says nothing of the next answer.
        """
        if self._use is None:
            return None
        unasked = len(self._plan) - self._news.requests
        goes_in = self._use.seconds_until(unasked) - (time.monotonic() - self._looked_at) if unasked > 0 else 0.0
        usually = median(self._between) if self._between else 0.0
        return max(goes_in, usually * (len(self._plan) - self._done))
