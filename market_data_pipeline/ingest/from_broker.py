"""Load series from Interactive Brokers: the instrument first, then the sessions that a mode reaches and the catalog does not have."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass

from market_data_pipeline.calendars import calendar_name_of_venue, partitions_of
from market_data_pipeline.catalog import Catalog
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.coverage import SIMULATED
from market_data_pipeline.domain.errors import ConflictingBars, MarketDataError, SessionNotInSource, SourceUnavailable
from market_data_pipeline.domain.planning import reach_of_one_request
from market_data_pipeline.domain.request_sizes import RequestSizes
from market_data_pipeline.domain.source import Asked, Precision, RequestPlan
from market_data_pipeline.ingest.import_csv import Run
from market_data_pipeline.ingest.instruments import Defined, stored_or_fetched
from market_data_pipeline.ingest.load import LoadEvent, LoadReport, Refetch, load, stored_span
from market_data_pipeline.ingest.modes import Mode, Reach, Span, newest_with_bars, sessions_to_ask
from market_data_pipeline.sources.ibkr import Hours, IbkrGateway, IbkrSource
from market_data_pipeline.sources.ibkr.heads import Heads


@dataclass(frozen=True)
class Opened:
    """A series of the broker, ready to be loaded into a catalog: its instrument is defined, and nothing that is stored clashes with it.

    Attributes:
        source: Whom to ask.
        instrument: Its decimals, and what became of its definition.
    """

    source: IbkrSource
    instrument: Defined

    @property
    def precision(self) -> Precision:
        """Decimals of the instrument."""
        return self.instrument.precision


def open_series(catalog: Catalog, gateway: IbkrGateway, series: Series, hours: Hours | None = None, run: Run = Run.STORE) -> Opened:
    """Return a series of the broker after storing its instrument's definition, where none is stored: no bar comes before its instrument.

    Args:
        catalog: Where the bars go.
        gateway: Only asked for a definition that is not stored.
        series: The series.
        hours: Which hours; None is as stored, else regular hours for stocks and all hours for others.
        run: A dry run stores no definition.

    Raises:
        UnknownVenue: If no calendar is known for the venue.
        InvalidBarType: If the broker has no such bars.
        ConflictingBars: If the series is stored under another convention.
        PrecisionMismatch: If the instrument and the stored bars have different decimals.
        SourceError: If the gateway had to be asked and could not answer.
    """
    calendar_name_of_venue(series.venue)  # a venue that nobody knows is told before the broker is asked
    source = IbkrSource(gateway, series, hours=_hours(catalog, series, hours))
    source.simulated = _is_simulated(catalog, gateway, series, run)
    instrument = stored_or_fetched(catalog, gateway, series.instrument_id, run)
    catalog.require_same(series, instrument.precision, source.provenance.convention)
    return Opened(source, instrument)


@dataclass(frozen=True)
class Order:
    """What is to be loaded of one series.

    Attributes:
        series: The series.
        reach: From where to where.
        hours: Which hours; None is as stored, else regular hours for stocks and all hours for others.
        refetch: Whether sessions that are stored whole are asked for again.
    """

    series: Series
    reach: Reach
    hours: Hours | None = None
    refetch: Refetch = Refetch.NO


@dataclass(frozen=True)
class Prepared:
    """What loading a series is about to do; no bar has been asked for.

    Attributes:
        order: What was asked for.
        mode: The mode that is meant; full where nothing is stored.
        source: Whom to ask.
        instrument: Its decimals, and what became of its definition.
        sessions: Dates the load is about, oldest first, those that are stored whole included.
        missing: Those of them that will be asked for.
        plan: What asking takes.
        now_ns: What counted as now, UTC nanoseconds: the broker's clock, where it has to be asked.
    """

    order: Order
    mode: Mode
    source: IbkrSource
    instrument: Defined
    sessions: tuple[dt.date, ...]
    missing: tuple[dt.date, ...]
    plan: RequestPlan
    now_ns: int

    @property
    def series(self) -> Series:
        """The series."""
        return self.order.series


@dataclass(frozen=True)
class Outcome:
    """How loading a series ended: with a report (none on a dry run), or with an error.

    Attributes:
        series: The series.
        prepared: What was about to be done; None where it did not come to that.
        report: What was done.
        error: Why nothing, or not everything, was done.
    """

    series: Series
    prepared: Prepared | None = None
    report: LoadReport | None = None
    error: MarketDataError | None = None

    @property
    def told(self) -> Prepared:
        """What was about to be done, where it came to that."""
        assert self.prepared is not None
        return self.prepared

    @property
    def failed(self) -> bool:
        """True where the series or one of its sessions could not be had."""
        return self.error is not None or (self.report is not None and bool(self.report.failed_segments))


BrokerEvent = Prepared | LoadEvent | MarketDataError


def load_from_broker(
    catalog: Catalog, gateway: IbkrGateway, orders: Sequence[Order], *, run: Run = Run.STORE, now_ns: int | None = None, wait_s: float = 10.0
) -> Generator[tuple[Series, BrokerEvent], None, tuple[Outcome, ...]]:
    """Load series one after the other, telling what happens as it happens. All are prepared, and so can be told, before the first request for bars.

    One that fails does not stop the others; a gateway that does not answer stops all that are left.

    Args:
        catalog: Where to store.
        gateway: Whom to ask; it need not be there where nothing has to be asked.
        orders: What to load.
        run: Store, or tell only: a dry run asks for no bars.
        now_ns: What counts as now, UTC nanoseconds; by default the broker's clock where it has to be asked, else ours.
        wait_s: Seconds to wait for another process that writes a series.

    Yields:
        (series, event): one `Prepared` each, then the events of `load`; an error where a series fails.

    Returns:
        How each ended, in the order in which they were given.

    Raises:
        SourceUnavailable: If the gateway did not answer before anything was done.
    """
    outcomes: dict[Series, Outcome] = {}
    for order in orders:
        outcome = outcomes[order.series] = _prepared(catalog, gateway, order, run, now_ns)
        if isinstance(outcome.error, SourceUnavailable):
            raise outcome.error
        yield order.series, outcome.error or outcome.told
    gone: SourceUnavailable | None = None
    for prepared in [outcome.prepared for outcome in outcomes.values() if outcome.prepared is not None and run is Run.STORE]:
        if gone is not None and prepared.missing:
            outcomes[prepared.series] = Outcome(prepared.series, prepared, error=gone)
            continue
        try:
            report = yield from _loaded(catalog, prepared, wait_s)
            outcomes[prepared.series] = Outcome(prepared.series, prepared, report)
        except MarketDataError as error:
            gone = error if isinstance(error, SourceUnavailable) else gone
            outcomes[prepared.series] = Outcome(prepared.series, prepared, error=error)
            yield prepared.series, error
    return tuple(outcomes.values())


def prepare(catalog: Catalog, gateway: IbkrGateway, order: Order, *, run: Run = Run.STORE, now_ns: int | None = None) -> Prepared:
    """Find out what loading a series takes, and store the instrument's definition first: no bar comes before its instrument.

    Args:
        catalog: Where it will be stored.
        gateway: Asked for a definition that is not stored, and for the head time stamp where a mode needs it; else for nothing.
        order: What is to be loaded.
        run: A dry run stores no definition.
        now_ns: What counts as now, UTC nanoseconds; by default the broker's clock where it has to be asked, else ours.

    Raises:
        UnknownVenue: If no calendar is known for the venue.
        InvalidDate: If the range has no session that can be asked for.
        ConflictingBars: If the series is stored under another convention.
        PrecisionMismatch: If the instrument and the stored bars have different decimals.
        SourceError: If the gateway had to be asked and could not answer.
    """
    opened = open_series(catalog, gateway, order.series, order.hours, run)
    stored = stored_span(catalog, order.series)
    if order.reach.needs_head(stored):
        opened, head_ns = _opened_at_head(gateway, order.series, opened)
    else:
        head_ns = None
    sizes = RequestSizes.named(gateway.settings.request_sizes)
    now = time.time_ns() + gateway.clock_ahead_ns if now_ns is None else now_ns
    sessions, missing = _sessions(catalog, order, opened.source.hours, stored, head_ns, sizes, now)
    if missing and run is Run.STORE and now_ns is None:
        # The broker has to be asked, so its clock says what has closed: ours may be wrong, and a simulator's runs on its own.
        now = gateway.now_ns()
        sessions, missing = _sessions(catalog, order, opened.source.hours, stored, head_ns, sizes, now)
    asked = Asked(order.series, partitions_of(order.series), opened.precision, missing)
    plan = opened.source.plan(asked) if missing else RequestPlan(0, 0.0, 0)
    return Prepared(order, order.reach.effective(stored), opened.source, opened.instrument, tuple(sessions), tuple(missing), plan, now)


def _opened_at_head(gateway: IbkrGateway, series: Series, opened: Opened) -> tuple[Opened, int]:
    """Return a series that knows from when on the broker has data, and when that is, UTC nanoseconds.

    Raises:
        SessionNotInSource: If the broker has none at all.
    """
    source = opened.source
    details = source.details()
    head = Heads(gateway.settings).ask(gateway, details, source.what_to_show, source.hours)
    if head.earliest_ns is None:
        raise SessionNotInSource(
            f"IBKR has no {source.what_to_show} of {series.instrument_id} at all. Name a first session with --start to ask all the same."
        )
    known = IbkrSource(gateway, series, details=details, hours=source.hours, head_ns=head.earliest_ns, simulated=source.simulated)
    return Opened(known, opened.instrument), head.earliest_ns


def _sessions(
    catalog: Catalog, order: Order, hours: Hours, stored: Span | None, head_ns: int | None, sizes: RequestSizes, now_ns: int
) -> tuple[list[dt.date], list[dt.date]]:
    """Return the sessions that a load is about, and those of them that have to be asked for."""
    series, partitions = order.series, partitions_of(order.series)
    sessions = sessions_to_ask(
        partitions,
        stored,
        order.reach,
        newest=newest_with_bars(partitions, hours, now_ns),
        head_ns=head_ns,
        depth=lambda before: reach_of_one_request(partitions, before, sizes, hours),
    )
    if order.refetch is Refetch.YES or not sessions:
        return sessions, sessions
    coverage = catalog.coverage(series, sessions[0], sessions[-1])
    return sessions, [date for date in sessions if coverage[date].is_gap]


def _prepared(catalog: Catalog, gateway: IbkrGateway, order: Order, run: Run, now_ns: int | None) -> Outcome:
    try:
        return Outcome(order.series, prepare(catalog, gateway, order, run=run, now_ns=now_ns))
    except MarketDataError as error:
        return Outcome(order.series, error=error)


def _loaded(catalog: Catalog, prepared: Prepared, wait_s: float) -> Generator[tuple[Series, BrokerEvent], None, LoadReport]:
    """Load one series, and give each event its name."""
    order = prepared.order
    steps = load(
        catalog,
        prepared.source,
        order.series,
        prepared.instrument.precision,
        prepared.sessions,
        refetch=order.refetch,
        wait_s=wait_s,
        now_ns=prepared.now_ns,
    )
    with closing(steps):
        while True:
            try:
                event = next(steps)
            except StopIteration as end:
                report: LoadReport = end.value
                return report
            yield order.series, event


def _is_simulated(catalog: Catalog, gateway: IbkrGateway, series: Series, run: Run) -> bool:
    """Return whether the series holds, or would hold, bars of the simulator. The stored series decides; a dry run of a new one asks nobody."""
    stored = catalog.convention(series)
    if stored is not None:
        return stored.adjustment == SIMULATED
    return run is Run.STORE and gateway.is_simulated()


def _hours(catalog: Catalog, series: Series, asked: Hours | None) -> Hours | None:
    """Return the hours to ask for: those of the stored series, which are never mixed with others; else as asked; None for what is usual.

    Raises:
        ConflictingBars: If others are asked for than are stored.
    """
    stored = catalog.convention(series)
    if stored is None:
        return asked
    hours = Hours(stored.hours)
    if asked not in (None, hours):
        raise ConflictingBars(
            f"{series} is stored with {hours} hours, and {asked} hours are asked for. They are never mixed: ask for {hours} hours, "
            "or use another catalog with --catalog PATH."
        )
    return hours
