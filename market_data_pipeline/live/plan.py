"""The dry run of a warm-up: what is stored of what is needed, what would be asked, whether it will be enough, and how long it takes without."""

from __future__ import annotations

import datetime as dt
import time
from dataclasses import dataclass

from market_data_pipeline.calendars import partitions_of
from market_data_pipeline.catalog import Catalog
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.coverage import Convention
from market_data_pipeline.domain.errors import MarketDataError
from market_data_pipeline.domain.request_sizes import bar_seconds
from market_data_pipeline.domain.sessions import date_of
from market_data_pipeline.domain.source import Asked, Precision, RequestPlan
from market_data_pipeline.live.history import OpenGateway
from market_data_pipeline.live.need import Need, WarmUpSettings, WarmUpSource
from market_data_pipeline.live.reach import Hole, Schedule, Situation
from market_data_pipeline.live.stored import hours_of, readable, require_live_bars, situation_of
from market_data_pipeline.live.words import HoleWords, lookback_words
from market_data_pipeline.sources.ibkr import Hours, IbkrGateway, IbkrSource

_NOTHING = RequestPlan(0, 0.0, 0)


@dataclass(frozen=True)
class WarmUpPlan:
    """What a warm-up of one series would do at a moment.

    Attributes:
        series: The series.
        hours: Which hours its bars have.
        needed: Bars without which an indicator is not initialised.
        wanted: Bars that would be brought.
        now_ns: The moment, UTC nanoseconds: by the gateway's clock where it would be asked and could be.
        sessions: Sessions that hold the newest bars wanted, oldest first.
        stored: Bars that can be used without asking anybody, at most `wanted`.
        missing: Sessions that would be asked for, oldest first.
        request_plan: What asking takes.
        expected: Bars that there will be then, at most `wanted`; of sessions that are not stored as many as usual.
        natural_ns: When the last of `needed` bars from now on closes, UTC nanoseconds; None where that lies beyond the calendar's years.
        natural_s: Seconds of trading that they take; None for bars of a day and longer, which are counted in sessions.
        reasons: Why there will be fewer than wanted, each with the way out.
    """

    series: Series
    hours: Hours
    needed: int
    wanted: int
    now_ns: int
    sessions: tuple[dt.date, ...]
    stored: int
    missing: tuple[dt.date, ...]
    request_plan: RequestPlan
    expected: int
    natural_ns: int | None
    natural_s: int | None
    reasons: tuple[str, ...]

    @property
    def enough_stored(self) -> bool:
        """True where the catalog alone initialises every indicator."""
        return self.stored >= self.needed

    @property
    def enough(self) -> bool:
        """True where every indicator will be initialised."""
        return self.expected >= self.needed


def plan_warm_up(
    catalog: Catalog | None,
    open_gateway: OpenGateway | None,
    need: Need,
    settings: WarmUpSettings,
    *,
    now_ns: int | None = None,
    hours: Hours | None = None,
) -> WarmUpPlan:
    """Find out what a warm-up would do. Asks for no bars; where some would be asked for, the gateway is asked for its clock.

    Args:
        catalog: What is stored; None where nothing is.
        open_gateway: Returns the gateway; None where nobody may be asked.
        need: The series, and how many bars.
        settings: What the warm-up may do.
        now_ns: What counts as now, UTC nanoseconds; by default the gateway's clock where it would be asked, else ours.
        hours: Which hours; None is as stored, else what is usual.

    Raises:
        InvalidBarType: If Interactive Brokers is allowed, and has no such bars.
        InvalidInstrumentId: Likewise.
        UnknownVenue: If no calendar is known for the venue.
        ConflictingBars: If the series is stored with other hours than asked for.
        ConfigurationError: If the request sizes or pacing rules are configured wrong.
    """
    gateway = open_gateway() if open_gateway is not None and settings.may_ask(WarmUpSource.IBKR) else None
    if gateway is not None:
        require_live_bars(need.series)
    stored = readable(catalog, settings)
    schedule = Schedule(partitions_of(need.series), hours_of(stored, need.series, hours))
    ahead_ns = gateway.clock_ahead_ns if gateway is not None else 0
    found = _Found.of(stored, need, settings, schedule, time.time_ns() + ahead_ns if now_ns is None else now_ns)
    down = ""
    if gateway is not None and found.broken and now_ns is None:
        try:
            found = _Found.of(stored, need, settings, schedule, gateway.now_ns())
        except MarketDataError as error:
            down = str(error)
    return _planned(found, need, settings, gateway, down)


def _planned(found: _Found, need: Need, settings: WarmUpSettings, gateway: IbkrGateway | None, down: str) -> WarmUpPlan:
    """Return what would be done; `down` says why the gateway could not be asked, and is empty where it could."""
    schedule, now_ns = found.situation.schedule, found.situation.now_ns
    series, partitions, asks = need.series, schedule.partitions, gateway is not None and not down
    missing = tuple(date_of(partitions.days[position]) for position in found.broken) if gateway is not None else ()
    request_plan = _NOTHING
    if gateway is not None and missing:
        request_plan = IbkrSource(gateway, series, hours=schedule.hours).plan(Asked(series, partitions, Precision(0, 0), missing))
    expected = min(found.bars, found.wanted) if asks else found.stored
    reasons = [down] if down else []
    if found.hole is not None and not asks:
        reasons.append(str(HoleWords(partitions, found.hole, series, asks=gateway is not None, stored=found.convention)))
    elif found.is_limited:
        reasons.append(lookback_words(settings.lookback_sessions, expected))
    return WarmUpPlan(
        series=series,
        hours=schedule.hours,
        needed=need.bars,
        wanted=found.wanted,
        now_ns=now_ns,
        sessions=tuple(date_of(partitions.days[position]) for position in found.positions),
        stored=found.stored,
        missing=missing,
        request_plan=request_plan,
        expected=expected,
        natural_ns=schedule.nth_close_after(now_ns, need.bars),
        natural_s=None if series.spec.is_daily_or_longer else need.bars * bar_seconds(series.spec),
        reasons=tuple(reasons) if expected < found.wanted else (),
    )


@dataclass(frozen=True)
class _Found:
    """What a moment's situation says."""

    situation: Situation
    positions: range
    wanted: int
    bars: int
    is_limited: bool
    hole: Hole | None
    convention: Convention | None

    @classmethod
    def of(cls, catalog: Catalog | None, need: Need, settings: WarmUpSettings, schedule: Schedule, now_ns: int) -> _Found:
        situation = situation_of(catalog, need.series, schedule, settings.lookback_sessions, now_ns)
        wanted = need.wanted(settings.buffer)
        reach = situation.reach(wanted, settings.lookback_sessions)
        convention = None if catalog is None else catalog.convention(need.series)
        return cls(situation, reach.positions, wanted, reach.bars, reach.is_limited, situation.hole(reach.positions), convention)

    @property
    def broken(self) -> list[int]:
        """Sessions that leave a hole."""
        return self.situation.broken(self.positions)

    @property
    def stored(self) -> int:
        """Bars that can be used as they are."""
        first = self.positions.start if self.hole is None else self.hole.positions.stop
        return min(self.wanted, self.situation.at_hand(range(first, self.positions.stop)))
