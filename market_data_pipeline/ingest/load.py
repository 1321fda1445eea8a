"""Fill sessions of a series from a source: only what is not there, each session stored as soon as it is whole."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Collection, Generator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from statistics import median
from typing import TYPE_CHECKING

from market_data_pipeline.calendars import partitions_of
from market_data_pipeline.catalog import Catalog, SessionRow
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.coverage import Coverage, SessionAnswer
from market_data_pipeline.domain.errors import BrokenBars, InvalidDate
from market_data_pipeline.domain.sessions import date_of
from market_data_pipeline.domain.source import Asked, BarSource, Precision, RequestPlan, SessionFailure, SourceNews
from market_data_pipeline.domain.words import agreeing, count
from market_data_pipeline.ingest.modes import Span

if TYPE_CHECKING:
    from market_data_pipeline.catalog.writer import SeriesWriter

_NEIGHBOURS = 5


class Refetch(Enum):
    """Whether sessions that are stored whole are asked for again."""

    NO = "no"
    YES = "yes"


@dataclass(frozen=True)
class Planned:
    """What a load is about to do.

    Attributes:
        series: The series.
        cached: Sessions asked for that are stored whole already, oldest first.
        plan: What asking for the others takes.
    """

    series: Series
    cached: tuple[SessionRow, ...]
    plan: RequestPlan


@dataclass(frozen=True)
class Stored:
    """A session that has just been stored, and how far the load is."""

    row: SessionRow
    done: int
    of: int
    seconds_left: float


LoadEvent = Planned | Stored | SessionFailure | SourceNews


@dataclass(frozen=True)
class LoadReport:
    """What a load did.

    Attributes:
        series: The series.
        asked: Sessions asked for.
        cached_before: Of those, stored whole before.
        gaps_analyzed: Ranges of sessions that were to be filled.
        segments_fetched: Sessions that the source answered.
        requests_made: Requests, or files read.
        fetched_bars: Bars stored.
        failed_segments: Sessions that could not be had, with the reason.
        quarantined: Bad files found on the way and moved away, for a person.
        seconds: Time taken.
        partial: Sessions of which a part was stored: still trading, or answered in part.
        empty: Sessions stored whole, now or before, in which nothing was traded.
    """

    series: Series
    asked: int
    cached_before: int
    gaps_analyzed: int
    segments_fetched: int
    requests_made: int
    fetched_bars: int
    failed_segments: tuple[SessionFailure, ...]
    quarantined: tuple[str, ...] = field(default=())
    seconds: float = 0.0
    partial: tuple[dt.date, ...] = field(default=())
    empty: tuple[dt.date, ...] = field(default=())

    @property
    def whole(self) -> int:
        """Number of sessions that are stored whole, now or before."""
        return self.cached_before + self.segments_fetched - len(self.partial)


def load(
    catalog: Catalog,
    source: BarSource,
    series: Series,
    precision: Precision,
    sessions: Sequence[dt.date],
    *,
    refetch: Refetch = Refetch.NO,
    again: Collection[dt.date] = (),
    near: Collection[SessionRow] = (),
    wait_s: float = 10.0,
    now_ns: int | None = None,
) -> Generator[LoadEvent, None, LoadReport]:
    """Fill `sessions` of `series` from `source`, telling what happens as it happens.

    Stopping the generator at any moment leaves the catalog as it was or some sessions further.

    Args:
        catalog: Where to store.
        source: Whom to ask.
        series: What to load.
        precision: Decimals of the instrument.
        sessions: Dates of sessions; each must be a session of the series' calendar, and over or running.
        refetch: Whether to ask again for what is stored whole.
        again: Sessions that are asked for again in any case, because what is stored of them is out of date.
        near: Sessions that are stored elsewhere, beside those of the catalog: they say how busy the instrument is.
        wait_s: Seconds to wait for another process that writes the series.
        now_ns: What counts as now, UTC nanoseconds; by default the clock.

    Yields:
        One `Planned`, then `Stored` or `SessionFailure` for each session that was not cached, oldest first, and the source's news between them.

    Returns:
        The report.

    Raises:
        InvalidDate: If a date is no session, or lies in the future.
        SourceError: If the source cannot go on; what was stored before stands.
        CatalogError: If storing fails.
    """
    started = time.monotonic()
    partitions = partitions_of(series)
    wanted = sorted(set(sessions))
    now = time.time_ns() if now_ns is None else now_ns
    _refuse_future(series, wanted, now)
    stored_bars = answered = requests = gaps = 0
    failures: list[SessionFailure] = []
    partial: list[dt.date] = []
    with catalog.writer(series, precision, source.provenance, wait_s) as writer:
        before = {row.session: row for row in catalog.sessions(series)}
        whole = {date: row for date, row in before.items() if not row.coverage.is_gap}
        missing = wanted if refetch is Refetch.YES else [date for date in wanted if date not in whole or date in again]
        asked = Asked(series, partitions, precision, missing, _usual_share([*before.values(), *near], missing))
        asked_for = set(missing)
        cached = tuple(whole[date] for date in wanted if date not in asked_for)
        empty = [row.session for row in cached if row.coverage is Coverage.EMPTY]
        plan = source.plan(asked) if missing else RequestPlan(0, 0.0, 0)
        yield Planned(series, cached, plan)
        if missing:
            requests = plan.requests
            gaps = _count_runs([index for date in missing if (index := partitions.index_of(date)) is not None])
            silent = dict.fromkeys(missing)
            number = 0
            for answer in source.fetch(asked):
                if isinstance(answer, SourceNews):
                    requests = answer.requests
                    yield answer
                    continue
                number += 1
                silent.pop(answer.session, None)
                if _is_nothing_yet(answer) and partitions.window(answer.session)[1] > now:
                    continue  # a session that has begun, and none of its bars has closed
                outcome = answer if isinstance(answer, SessionFailure) else _store(writer, answer, before.get(answer.session))
                if isinstance(outcome, SessionFailure):
                    failures.append(outcome)
                    yield outcome
                    continue
                answered += 1
                stored_bars += outcome.rows
                if outcome.coverage is Coverage.PARTIAL:
                    partial.append(outcome.session)
                elif outcome.coverage is Coverage.EMPTY:
                    empty.append(outcome.session)
                per_session = (time.monotonic() - started) / number
                yield Stored(outcome, number, len(missing), per_session * max(len(missing) - number, 0))
            for date in silent:
                failures.append(SessionFailure(date, "the source said nothing about it"))
                yield failures[-1]
        quarantined = tuple(f"{item.file.name}: {item.reason}" for item in writer.quarantined)
    return LoadReport(
        series=series,
        asked=len(wanted),
        cached_before=len(cached),
        gaps_analyzed=gaps,
        segments_fetched=answered,
        requests_made=requests,
        fetched_bars=stored_bars,
        failed_segments=tuple(failures),
        quarantined=quarantined,
        seconds=time.monotonic() - started,
        partial=tuple(partial),
        empty=tuple(sorted(empty)),
    )


def named(series: Series, steps: Generator[LoadEvent, None, LoadReport]) -> Generator[tuple[Series, LoadEvent], None, LoadReport]:
    """Yield the events of a load with the name of its series; return its report."""
    while True:
        try:
            event = next(steps)
        except StopIteration as end:
            report: LoadReport = end.value
            return report
        yield series, event


def stored_span(catalog: Catalog, series: Series) -> Span | None:
    """Return the first and the last stored session of a series; None where nothing is stored."""
    found = catalog.availability(series)
    if found is None or found.first_session is None or found.last_session is None:
        return None
    return Span(found.first_session, found.last_session)


def _store(writer: SeriesWriter, answer: SessionAnswer, before: SessionRow | None) -> SessionRow | SessionFailure:
    """Store an answer, unless it says less than what is stored: nothing is ever lost to a source that answers in part."""
    if _is_nothing_yet(answer):
        return SessionFailure(answer.session, "it is over by our clock, and has not begun by the source's; set the clock that is wrong")
    if before is not None and answer.coverage is not Coverage.COMPLETE and len(answer.bars) < before.rows:
        reason = (
            f"the source answered {count(len(answer.bars), 'bar')} ({answer.coverage}), {before.rows:,} "
            f"{agreeing(before.rows, 'is', 'are')} stored; those were kept"
        )
        return SessionFailure(answer.session, reason)
    try:
        return writer.store(answer)
    except BrokenBars as error:
        return SessionFailure(answer.session, str(error))


def _usual_share(stored: Collection[SessionRow], missing: Sequence[dt.date]) -> float:
    """Return how much of regular hours has bars in the stored sessions around those that are missing."""
    if not missing:
        return 0.0
    near = sorted((row for row in stored if row.expected), key=lambda row: abs((row.session - missing[-1]).days))[:_NEIGHBOURS]
    return median(min(1.0, row.regular / row.expected) for row in near) if near else 0.0


def _is_nothing_yet(answer: SessionAnswer | SessionFailure) -> bool:
    return isinstance(answer, SessionAnswer) and answer.coverage is Coverage.PARTIAL and not len(answer.bars)


def _refuse_future(series: Series, sessions: Sequence[dt.date], now: int) -> None:
    partitions = partitions_of(series)
    for date in sessions:
        start, _ = partitions.window(date)
        if start >= now:
            last = date_of(partitions.days[partitions.closed_until(now) - 1])
            raise InvalidDate(f"The session {date} of {series} lies in the future. The last one that has ended is {last}.")


def _count_runs(positions: Sequence[int]) -> int:
    return sum(1 for before, here in zip([None, *positions], positions, strict=False) if before is None or here != before + 1)
