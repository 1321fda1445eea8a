"""Derive coarser bars from finer ones that are stored: no request, only complete sessions, and anew where the finer ones were replaced."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass

from market_data_pipeline.calendars import partitions_of
from market_data_pipeline.calendars.endings import over_at
from market_data_pipeline.catalog import Catalog
from market_data_pipeline.catalog.derived import DERIVED, fingerprints, sessions_of, stale_sessions
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.errors import InvalidBarType, MarketDataError, NotStored, UsageError
from market_data_pipeline.domain.sessions import Partitions
from market_data_pipeline.domain.source import Asked, Precision, RequestPlan
from market_data_pipeline.ingest.import_csv import Run
from market_data_pipeline.ingest.load import LoadEvent, LoadReport, Refetch, load, named, stored_span
from market_data_pipeline.ingest.modes import Mode, Reach, Span, sessions_to_ask
from market_data_pipeline.sources.derived import DerivedSource


@dataclass(frozen=True)
class OpenedDerived:
    """A coarser series, ready to be derived.

    Attributes:
        source: Makes its sessions.
        precision: Decimals of the finer series, and so of this one.
        hours: The hours of the finer series: `rth` or `all`.
        stale: Stored sessions whose finer bars were replaced since.
    """

    source: DerivedSource
    precision: Precision
    hours: str
    stale: frozenset[dt.date]


def open_derived(catalog: Catalog, series: Series, finer: Series) -> OpenedDerived:
    """Return a coarser series that can be derived; decimals, hours and adjustment are those of the finer one.

    Raises:
        InvalidBarType: If the one cannot be made of the other.
        NotStored: If nothing of the finer series is stored.
        ConflictingBars: If the coarser series is stored under another convention.
        PrecisionMismatch: If it is stored with other decimals.
    """
    if reason := series.spec.why_not_from(finer.spec):
        raise InvalidBarType(f"{series.spec} cannot be derived from {finer.spec}: {reason}.")
    precision, convention = catalog.precision(finer), catalog.convention(finer)
    if precision is None or convention is None:
        raise NotStored(
            f"{series} is derived from {finer}, of which nothing is stored in {catalog.root}. Load that first: "
            f"mdp load {finer.instrument_id} {finer.spec}, or mdp import-csv FILE --instrument {finer.instrument_id} --bar {finer.spec}"
        )
    catalog.require_same(series, precision, convention)
    stale = frozenset(one.session for one in stale_sessions(catalog, series) if one.finer == finer.spec)
    return OpenedDerived(DerivedSource(catalog, series, finer, precision, convention), precision, convention.hours, stale)


def finer_stored(catalog: Catalog, series: Series) -> Series:
    """Return the stored series that bars are derived from, where nobody said which.

    Raises:
        NotStored: If none is stored of which they can be made.
        UsageError: If there are several.
    """
    of_instrument = [one for one in catalog.series() if one.instrument_id == series.instrument_id]
    found = [one for one in of_instrument if not series.spec.why_not_from(one.spec) and not _is_derived(catalog, one)]
    if not found:
        stored = ", ".join(str(one.spec) for one in of_instrument) or "nothing"
        raise NotStored(f"No bars are stored of which {series} can be made; of {series.instrument_id} {stored} is stored.")
    if len(found) > 1:
        raise UsageError(f"{series} can be made of several series. Say which: {' or '.join(f'--from {one.spec}' for one in found)}")
    return found[0]


def _is_derived(catalog: Catalog, series: Series) -> bool:
    stored = catalog.availability(series)
    last = stored.last_session if stored is not None else None
    return last is not None and any(row.source == DERIVED for row in catalog.sessions(series, last, last))


def to_derive(catalog: Catalog, series: Series, finer: Series, start: dt.date, end: dt.date, now_ns: int | None = None) -> list[tuple[dt.date, str]]:
    """Return the sessions dated in [start, end] that can be derived now and are missing, partial or stale, with the finer bars' fingerprint.

    From the ledger alone. Sessions whose finer ones are not whole are not named: their time has not come.
    """
    gaps = [date for gap in catalog.gaps(series, start, end, now_ns) for date in partitions_of(series).dates_between(gap.first, gap.last)]
    stale = [one.session for one in stale_sessions(catalog, series, start, end) if one.finer == finer.spec]
    return [*fingerprints(catalog, series, finer, sorted({*gaps, *stale}))]


@dataclass(frozen=True)
class DeriveOrder:
    """What is to be derived.

    Attributes:
        series: The coarser series.
        finer: What it is made of.
        reach: From where to where.
        refetch: Whether sessions that are stored whole are derived again.
    """

    series: Series
    finer: Series
    reach: Reach
    refetch: Refetch = Refetch.NO


@dataclass(frozen=True)
class DerivePlan:
    """What deriving a series is about to do.

    Attributes:
        order: What was asked for.
        mode: The mode that is meant; full where nothing is stored.
        hours: The hours of the bars.
        sessions: Dates it is about, oldest first, those that are stored whole included.
        missing: Those of them that will be derived.
        stale: Those of `missing` that are stored, and whose finer bars were replaced since.
        plan: What it takes.
    """

    order: DeriveOrder
    mode: Mode
    hours: str
    sessions: tuple[dt.date, ...]
    missing: tuple[dt.date, ...]
    stale: tuple[dt.date, ...]
    plan: RequestPlan


@dataclass(frozen=True)
class Derivation:
    """How deriving a series ended: with a report (none on a dry run), or with an error."""

    order: DeriveOrder
    plan: DerivePlan | None = None
    report: LoadReport | None = None
    error: MarketDataError | None = None

    @property
    def failed(self) -> bool:
        """True where the series or one of its sessions could not be had."""
        return self.error is not None or (self.report is not None and bool(self.report.failed_segments))


DeriveEvent = DerivePlan | LoadEvent | MarketDataError


def derive(
    catalog: Catalog, orders: Sequence[DeriveOrder], *, run: Run = Run.STORE, now_ns: int | None = None, wait_s: float = 10.0
) -> Generator[tuple[Series, DeriveEvent], None, tuple[Derivation, ...]]:
    """Derive series one after the other, telling what happens as it happens. One that fails does not stop the others.

    Args:
        catalog: Where the finer bars are, and the coarser ones go.
        orders: What to derive.
        run: Store, or tell only.
        now_ns: What counts as now, UTC nanoseconds; by default the clock.
        wait_s: Seconds to wait for another process that writes a series.

    Yields:
        (series, event): one `DerivePlan` each, then the events of `load`; an error where a series fails.

    Returns:
        How each ended, in the order in which they were given.
    """
    done = []
    for order in orders:
        plan: DerivePlan | None = None
        try:
            opened = open_derived(catalog, order.series, order.finer)
            plan = _plan(catalog, order, opened, time.time_ns() if now_ns is None else now_ns)
            yield order.series, plan
            report = None
            if run is Run.STORE:
                steps = load(
                    catalog,
                    opened.source,
                    order.series,
                    opened.precision,
                    plan.sessions,
                    refetch=order.refetch,
                    again=opened.stale,
                    wait_s=wait_s,
                    now_ns=now_ns,
                )
                with closing(steps):
                    report = yield from named(order.series, steps)
            done.append(Derivation(order, plan, report))
        except MarketDataError as error:
            done.append(Derivation(order, plan, error=error))
            yield order.series, error
    return tuple(done)


def _plan(catalog: Catalog, order: DeriveOrder, opened: OpenedDerived, now_ns: int) -> DerivePlan:
    partitions = partitions_of(order.series)
    stored = stored_span(catalog, order.series)
    finer = stored_span(catalog, order.finer)
    assert finer is not None  # it is open
    over = over_at(partitions, opened.hours, now_ns)
    # Where nobody says from and to where, it is from and to where there are finer bars; else what they lack is told.
    first, last = _within(partitions, partitions_of(order.finer), finer)
    newest = over - 1 if order.reach.end is not None else min(over - 1, last)
    head_ns = int(partitions.starts[min(first, len(partitions) - 1)]) + 1 if order.reach.start is None else None
    sessions = sessions_to_ask(partitions, stored, order.reach, newest=newest, head_ns=head_ns, depth=lambda position: position)
    coverage = catalog.coverage(order.series, sessions[0], sessions[-1]) if sessions else {}
    missing = [date for date in sessions if order.refetch is Refetch.YES or coverage[date].is_gap or date in opened.stale]
    plan = opened.source.plan(Asked(order.series, partitions, opened.precision, missing)) if missing else RequestPlan(0, 0.0, 0)
    stale = tuple(date for date in missing if date in opened.stale)
    return DerivePlan(order, order.reach.effective(stored), opened.hours, tuple(sessions), tuple(missing), stale, plan)


def _within(coarser: Partitions, finer: Partitions, span: Span) -> tuple[int, int]:
    """Return the first and the last position whose sessions all lie in a span of finer ones: a week that begins before it does not."""
    first, last = (coarser.positions_between(date, dt.date.max).start for date in (span.first, span.last))
    last = min(last, len(coarser) - 1)
    if first < len(coarser) and sessions_of(coarser, finer, first)[0] < span.first:
        first += 1
    if sessions_of(coarser, finer, last)[-1] > span.last:
        last -= 1
    return first, last
