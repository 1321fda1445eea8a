"""Brings history round by round: look at what is at hand, ask for what would leave a hole, and reach further back where bars are few."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from itertools import takewhile

import numpy as np

from market_data_pipeline.calendars import partitions_of
from market_data_pipeline.catalog import Catalog
from market_data_pipeline.domain.bar_table import BarTable
from market_data_pipeline.domain.coverage import SIMULATED, Coverage, SessionAnswer
from market_data_pipeline.domain.errors import CatalogError, DiskFull, MarketDataError, SeriesLocked, SourceUnavailable, StorageFailed
from market_data_pipeline.domain.sessions import date_of
from market_data_pipeline.domain.source import Asked, Precision, SessionFailure, SourceNews
from market_data_pipeline.ingest.from_broker import Opened, open_series
from market_data_pipeline.ingest.import_csv import Run
from market_data_pipeline.ingest.instruments import Defined, fetch_instrument
from market_data_pipeline.ingest.load import Planned, load
from market_data_pipeline.live.history import History, HistoryEvent, OpenGateway
from market_data_pipeline.live.need import Need, WarmUpSettings, WarmUpSource
from market_data_pipeline.live.reach import Held, Reach, Schedule, Situation
from market_data_pipeline.live.stored import hours_of, readable, require_live_bars, situation_of
from market_data_pipeline.live.words import HoleWords, lookback_words, no_older_words
from market_data_pipeline.sources.ibkr import Hours, IbkrGateway, IbkrSource

_ROUNDS = 6
_BUSY_SHARE = 0.5
# So many sessions without bars in a row are the beginning of the data.
_EMPTY_OF_BUSY, _EMPTY_OF_THIN = 2, 5


def bring(
    catalog: Catalog | None,
    open_gateway: OpenGateway | None,
    need: Need,
    settings: WarmUpSettings,
    *,
    now_ns: int | None = None,
    hours: Hours | None = None,
    wait: Callable[[MarketDataError], bool] = lambda error: False,
) -> Generator[HistoryEvent, None, History]:
    """Bring the newest bars of a series, telling what happens as it happens; see `history.gather`, which waits and tells in words.

    Args:
        catalog: What is stored, and where to store.
        open_gateway: Returns the gateway; None asks nobody.
        need: The series, and how many bars.
        settings: What may be done; its time limit is the caller's business.
        now_ns: What counts as now until a gateway is asked for its clock, UTC nanoseconds; by default our clock.
        hours: Which hours; None is as stored, else what is usual.
        wait: Called when the gateway is down, or the series is being written; true once it is worth another try.

    Yields:
        The events of a load, and errors.

    Returns:
        What was brought.
    """
    asks = open_gateway is not None and settings.may_ask(WarmUpSource.IBKR)
    if asks:
        require_live_bars(need.series)
    bringing = _Bringing(readable(catalog, settings), open_gateway if asks else None, need, settings, now_ns, hours)
    return (yield from bringing.run(wait))


class _Bringing:
    """One warm-up of one series."""

    def __init__(
        self, catalog: Catalog | None, open_gateway: OpenGateway | None, need: Need, settings: WarmUpSettings, now_ns: int | None, hours: Hours | None
    ) -> None:
        self._started = time.monotonic()
        self._catalog, self._open_gateway, self._settings = catalog, open_gateway, settings
        self._series, self._needed, self._wanted = need.series, need.bars, need.wanted(settings.buffer)
        self._partitions = partitions_of(need.series)
        self._hours = hours_of(catalog, need.series, hours)
        self._schedule = Schedule(self._partitions, self._hours)
        self._now_ns = time.time_ns() if now_ns is None else now_ns
        self._stores = settings.store and catalog is not None
        self._opened: Opened | None = None
        self._brought: dict[int, Held] = {}  # asked for just now
        self._answers: dict[int, BarTable] = {}  # their bars, where they are not stored
        self._failed: set[int] = set()
        self._requests = 0
        self._reasons: list[str] = []
        self._precision = Precision(0, 0)
        self._is_all_there_is = False

    def run(self, wait: Callable[[MarketDataError], bool]) -> Generator[HistoryEvent, None, History]:
        """Go round after round until there is enough, or no more can be had."""
        for _ in range(_ROUNDS):
            if self._open_gateway is None or not self._to_ask():
                break
            goes_on = yield from self._patiently(wait)
            if not goes_on:
                break
            if empty := self._oldest_empty():
                self._reasons.append(no_older_words(self._partitions, empty))
                self._is_all_there_is = True
                break
        return self._finished()

    def _situation(self) -> Situation:
        return situation_of(self._catalog, self._series, self._schedule, self._settings.lookback_sessions, self._now_ns, self._brought)

    def _reach(self, situation: Situation) -> Reach:
        return situation.reach(self._wanted, self._settings.lookback_sessions)

    def _to_ask(self) -> list[int]:
        """Return the sessions that would leave a hole; none before one that could not be had, for nothing before it could be used."""
        situation = self._situation()
        positions = self._reach(situation).positions
        first = max((position + 1 for position in self._failed), default=positions.start)
        return situation.broken(range(max(first, positions.start), positions.stop))

    def _oldest_empty(self) -> list[int]:
        """Return the oldest sessions asked for, as long as they are without bars, where they show that there are no older bars; else none."""
        empty = list(takewhile(lambda position: self._brought[position].coverage is Coverage.EMPTY, sorted(self._brought)))
        situation = self._situation()
        if not empty or any(held.bars for position, held in situation.held.items() if position < empty[0]):
            return []
        return empty if len(empty) >= (_EMPTY_OF_BUSY if situation.traded_share() >= _BUSY_SHARE else _EMPTY_OF_THIN) else []

    def _is_enough(self) -> bool:
        """Return whether what is at hand initialises every indicator: then no strategy waits for the bars of the buffer."""
        situation = self._situation()
        positions = self._reach(situation).positions
        hole = situation.hole(positions)
        return situation.at_hand(positions if hole is None else range(hole.positions.stop, positions.stop)) >= self._needed

    def _patiently(self, wait: Callable[[MarketDataError], bool]) -> Generator[HistoryEvent, None, bool]:
        """Ask for what is missing; again while the gateway is down, or another process writes the series, and `wait` says that it is worth it.

        Returns whether another round may follow.
        """
        while True:
            try:
                return (yield from self._ask())
            except (SourceUnavailable, SeriesLocked) as error:
                if not self._is_enough() and wait(error):
                    continue
                self._reasons.append(str(error))
                yield error
            except (StorageFailed, DiskFull) as error:
                yield error
                if self._stores:  # a strategy can be warmed up all the same
                    self._stores, self._opened = False, None
                    continue
                self._reasons.append(str(error))
            except MarketDataError as error:
                self._reasons.append(str(error))
                yield error
            return False

    def _ask(self) -> Generator[HistoryEvent, None, bool]:
        """Ask for what is missing by the gateway's clock; return whether another round may follow.

        Raises:
            SourceError: If the gateway could not give it.
            CatalogError: If it could not be stored, or does not fit what is stored.
        """
        assert self._open_gateway is not None
        gateway = self._open_gateway()
        if not self._brought:  # once the newest session was asked for, its end is the end of the history
            self._now_ns = gateway.now_ns()
        positions = self._to_ask()
        if not positions:
            return True
        opened = self._opened = self._opened or self._open(gateway)
        self._precision = opened.precision
        dates = [date_of(self._partitions.days[position]) for position in positions]
        failures = yield from (self._load(opened, dates) if self._stores else self._fetch(opened, dates))
        failed = {position for position, date in zip(positions, dates, strict=True) if date in failures}
        self._failed |= failed
        self._reasons += [f"{date} could not be had: {reason}" for date, reason in failures.items()]
        self._note_answered([position for position in positions if position not in failed])
        return not failed

    def _open(self, gateway: IbkrGateway) -> Opened:
        """Return the series, ready to be asked for; nothing is stored of it where nothing is to be stored."""
        if self._catalog is None:
            instrument = fetch_instrument(gateway, self._series.instrument_id)
            precision = Precision(instrument.price_precision, instrument.size_precision)
            return Opened(IbkrSource(gateway, self._series, hours=self._hours), Defined(precision, type(instrument).__name__))
        opened = open_series(self._catalog, gateway, self._series, self._hours, Run.STORE if self._stores else Run.DRY)
        stored = self._catalog.convention(self._series)
        if not self._stores:
            # Invented prices are never put beside real ones in memory either; where nothing is stored, whoever is there is meant.
            opened.source.simulated = None if stored is None else stored.adjustment == SIMULATED
        return opened

    def _load(self, opened: Opened, dates: Sequence[dt.date]) -> Generator[HistoryEvent, None, dict[dt.date, str]]:
        """Store the sessions; return why some could not be had."""
        assert self._catalog is not None
        asked = 0
        try:
            with closing(load(self._catalog, opened.source, self._series, opened.precision, dates, now_ns=self._now_ns)) as steps:
                while True:
                    try:
                        event = next(steps)
                    except StopIteration as end:
                        asked = end.value.requests_made
                        return {failure.session: failure.reason for failure in end.value.failed_segments}
                    asked = event.requests if isinstance(event, SourceNews) else asked
                    yield event
        finally:
            self._requests += asked

    def _fetch(self, opened: Opened, dates: Sequence[dt.date]) -> Generator[HistoryEvent, None, dict[dt.date, str]]:
        """Keep the sessions in memory; return why some could not be had."""
        situation = self._situation()
        share = situation.usual_share() if situation.held else 0.0
        asked = Asked(self._series, self._partitions, opened.precision, dates, share)
        plan = opened.source.plan(asked)
        yield Planned(self._series, (), plan)
        failures: dict[dt.date, str] = {}
        requests = plan.requests
        try:
            for answer in opened.source.fetch(asked):
                if isinstance(answer, SourceNews):
                    requests = answer.requests
                    yield answer
                elif isinstance(answer, SessionFailure):
                    failures[answer.session] = answer.reason
                    yield answer
                elif reason := self._keep(answer, situation):
                    failures[answer.session] = reason
                    yield SessionFailure(answer.session, reason)
        finally:
            self._requests += requests
        return failures

    def _keep(self, answer: SessionAnswer, situation: Situation) -> str:
        """Keep an answer, unless it says less than what is stored; return why not."""
        position = self._partitions.index_of(answer.session)
        assert position is not None
        held = situation.held.get(position)
        if held is not None and answer.coverage is not Coverage.COMPLETE and len(answer.bars) < held.bars:
            return f"the source answered {len(answer.bars):,} bars ({answer.coverage}), {held.bars:,} are stored"
        last = int(answer.bars.ts_init[-1]) if len(answer.bars) else None
        self._answers[position] = answer.bars
        self._brought[position] = Held(answer.coverage, len(answer.bars), last, self._now_ns)
        return ""

    def _note_answered(self, positions: Sequence[int]) -> None:
        """Note that sessions were answered up to now: what was not given was not traded."""
        stored = self._situation().held
        for position in positions:
            held = stored.get(position) or Held(Coverage.PARTIAL, 0)
            self._brought[position] = Held(held.coverage, held.bars, held.last_close_ns, self._now_ns)

    # What comes of it

    def _finished(self) -> History:
        situation = self._situation()
        reach = self._reach(situation)
        positions = reach.positions
        if self._is_all_there_is:  # it would reach back into what is known not to be there
            positions = range(max(positions.start, min(self._brought)), positions.stop)
        hole = situation.hole(positions)
        bars, unreadable = self._read(positions if hole is None else range(hole.positions.stop, positions.stop))
        if positions.stop - 1 not in self._brought:  # what was asked for is closed by the gateway's clock, and may be newer than our asking
            bars = bars.take(self._schedule.closed_at(bars) <= self._now_ns)
        bars = bars.slice(max(0, len(bars) - self._wanted), len(bars))
        reasons = [*self._reasons, *unreadable]
        if hole is not None:
            stored = None if self._catalog is None else self._catalog.convention(self._series)
            reasons.append(str(HoleWords(self._partitions, hole, self._series, asks=self._open_gateway is not None, stored=stored)))
        elif reach.is_limited and not self._is_all_there_is:
            reasons.append(lookback_words(self._settings.lookback_sessions, len(bars)))
        from_source = int(np.isin(self._partitions.index_of_close(bars.ts_init), [*self._brought]).sum())
        return History(
            series=self._series,
            wanted=self._wanted,
            needed=self._needed,
            bars=bars,
            until_ns=max(self._now_ns, int(bars.ts_init[-1]) if len(bars) else 0),
            from_catalog=len(bars) - from_source,
            from_source=from_source,
            requests=self._requests,
            seconds=time.monotonic() - self._started,
            reasons=tuple(dict.fromkeys(reasons)) if len(bars) < self._wanted else (),
        )

    def _read(self, positions: range) -> tuple[BarTable, list[str]]:
        """Return the bars of sessions, newest that can be read without a hole, and why not all."""
        precision = None if self._catalog is None else self._catalog.precision(self._series)
        tables: list[BarTable] = []
        reasons: list[str] = []
        if self._catalog is not None and precision is not None and positions:
            tables, reasons = self._stored(positions, precision)
        known = precision or self._precision
        answers = [self._answers[position] for position in sorted(self._answers) if position in positions]
        # A session that was answered in memory stands in place of what is stored of it.
        kept = [table.take(~np.isin(self._partitions.index_of_close(table.ts_init), [*self._answers])) for table in tables]
        bars = BarTable.concatenate([BarTable.empty(known.price, known.size), *kept, *answers])
        return bars.take(np.argsort(bars.ts_init, kind="stable")), reasons

    def _stored(self, positions: range, precision: Precision) -> tuple[list[BarTable], list[str]]:
        """Return what is stored of sessions; where a file cannot be trusted, only of those after it."""
        assert self._catalog is not None
        days = self._partitions.days
        try:
            return [*self._catalog.read(self._series, date_of(days[positions.start]), date_of(days[positions.stop - 1]), precision)], []
        except CatalogError:
            pass
        found: list[BarTable] = []
        for position in reversed(positions):
            try:
                found.append(self._catalog.read_session(self._series, date_of(days[position]), precision))
            except CatalogError as error:
                return found, [str(error)]
        return found, []
