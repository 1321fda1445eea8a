"""History for the warm-up of one series: from the Parquet catalog, and what it lacks from Interactive Brokers.

    history = gather(catalog, lambda: gateway, Need(series, 260), WarmUpSettings())
    history.enough, len(history.bars), history.reasons

Nothing is changed that is stored whole, and nobody is asked where nothing is missing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from market_data_pipeline.catalog import Catalog
from market_data_pipeline.domain.bar_table import BarTable
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.errors import MarketDataError, SourceError
from market_data_pipeline.domain.source import NewsKind, SessionFailure, SourceNews
from market_data_pipeline.ingest.load import LoadEvent, Planned
from market_data_pipeline.live.need import Need, WarmUpSettings
from market_data_pipeline.sources.ibkr import Hours, IbkrGateway

if TYPE_CHECKING:
    from nautilus_trader.model.data import Bar

OpenGateway = Callable[[], IbkrGateway]
HistoryEvent = LoadEvent | MarketDataError

_RETRIES_S = (1.0, 2.0, 5.0, 10.0)


@dataclass(frozen=True, eq=False)
class History:
    """What was brought for one series.

    Attributes:
        series: The series.
        wanted: Bars that were to be brought: what is needed, and a buffer.
        needed: Bars without which an indicator is not initialised.
        bars: The newest closed bars, at most `wanted`, closes rising strictly; no forming bar, and no hole up to `until_ns`. None where nothing
            can be used.
        until_ns: Closes up to here are all in `bars`, as far as anybody knows, UTC nanoseconds, inclusive: the gateway's clock where it was asked.
        from_catalog: How many of them were stored before.
        from_source: How many were asked for just now.
        requests: Requests for bars that were made.
        seconds: Time that it took.
        reasons: Why there are fewer than wanted, each with the way out; none where there are as many.
    """

    series: Series
    wanted: int
    needed: int
    bars: BarTable
    until_ns: int
    from_catalog: int = 0
    from_source: int = 0
    requests: int = 0
    seconds: float = 0.0
    reasons: tuple[str, ...] = ()

    @property
    def enough(self) -> bool:
        """True where every indicator can be initialised."""
        return len(self.bars) >= self.needed

    def nautilus_bars(self) -> list[Bar]:
        """Return the bars as Nautilus' own objects, oldest first, equal to the last decimal."""
        from market_data_pipeline.catalog.reading import to_nautilus

        return to_nautilus(self.bars, self.series)


class GivenUp(SourceError):
    """The time for a warm-up is over, or nobody wants it any more."""


def gather(
    catalog: Catalog | None,
    open_gateway: OpenGateway | None,
    need: Need,
    settings: WarmUpSettings,
    *,
    now_ns: int | None = None,
    hours: Hours | None = None,
    tell: Callable[[str], None] = lambda message: None,
    stop: threading.Event | None = None,
    asked_s: float | None = None,
) -> History:
    """Bring the newest bars of a series: from the catalog, and from Interactive Brokers only what is not stored whole.

    Nobody is asked, and nothing connected, where the catalog is whole up to the last bar that has closed. While the gateway is down, or another
    process writes the series, it is tried again until the time limit is over. What could not be had is told in the history's reasons.

    Args:
        catalog: What is stored, and where answers are stored if the settings say so. Without one, nothing is read and nothing written.
        open_gateway: Returns the gateway, when it is first needed and again after it was down; whoever gave it closes it. None asks nobody.
        need: The series, and how many bars.
        settings: What may be done. Without the source `catalog`, nothing is read there and nothing stored.
        now_ns: What counts as now until a gateway is asked for its clock, UTC nanoseconds; by default our clock.
        hours: Which hours; None is as stored, else regular hours of stocks and all hours of others.
        tell: Called with one line for a person whenever something is waited for or goes wrong.
        stop: Ends it early, with what there is.
        asked_s: When the time limit began, in seconds of the monotonic clock; None for now. Once it is over, only the catalog is looked at.

    Raises:
        InvalidBarType: If Interactive Brokers is allowed, and has no such bars.
        InvalidInstrumentId: Likewise.
        UnknownVenue: If no calendar is known for the venue.
        ConflictingBars: If the series is stored with other hours than asked for.
    """
    from market_data_pipeline.live.bringing import bring

    over_s = (time.monotonic() if asked_s is None else asked_s) + settings.time_limit_s
    stopped = stop or threading.Event()

    told = ""

    def hear(message: str) -> None:
        nonlocal told
        told = message
        tell(message)

    def look() -> None:
        if stopped.is_set():
            raise GivenUp("The warm-up was stopped before its end.")
        if time.monotonic() >= over_s:
            last = f" The last that was told: {told.rstrip('.')}." if told else ""
            limit = f"The time limit of {settings.time_limit_s:g} s is over."
            raise GivenUp(f"{limit}{last} Give more with time_limit_s, or load before: {need.load_command}")

    tried = 0

    def wait(error: MarketDataError) -> bool:
        nonlocal tried
        wait_s = min(_RETRIES_S[min(tried, len(_RETRIES_S) - 1)], over_s - time.monotonic())
        tried += 1
        if wait_s <= 0 or stopped.is_set():
            return False
        left_s = over_s - time.monotonic()
        hear(f"{need.series}: {error} Trying again in {wait_s:.0f} s, for {left_s:.0f} s more.")
        return not stopped.wait(wait_s)

    with ExitStack() as watching:
        watched: set[int] = set()

        def opened() -> IbkrGateway:
            assert open_gateway is not None
            gateway = open_gateway()
            if id(gateway) not in watched:
                watched.add(id(gateway))
                watching.enter_context(gateway.watched(look))
            return gateway

        steps = bring(catalog, opened if open_gateway is not None else None, need, settings, now_ns=now_ns, hours=hours, wait=wait)
        return _drained(steps, lambda event: _tell(need.series, event, hear))


def _drained(steps: Generator[HistoryEvent, None, History], hear: Callable[[HistoryEvent], None]) -> History:
    with closing(steps):
        while True:
            try:
                hear(next(steps))
            except StopIteration as end:
                history: History = end.value
                return history


def _tell(series: Series, event: HistoryEvent, tell: Callable[[str], None]) -> None:
    match event:
        case Planned():
            if event.plan.requests:
                tell(f"{series}: asking IBKR for {event.plan.sessions:,} sessions in {event.plan.requests:,} requests.")
        case SessionFailure():
            tell(f"{series}: {event.session} could not be had: {event.reason}")
        case SourceNews():
            if event.kind is not NewsKind.ASKED:
                tell(f"{series}: {event.message}")
        case MarketDataError():
            tell(f"{series}: {event}")
