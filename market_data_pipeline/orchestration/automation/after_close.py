"""After the close: a schedule for each universe that follows its calendar.

Its crons are the clock times at which the sessions of its calendar have ended and settled: 13:15 and 16:15 New York for regular hours of NYSE. On
most days one of them is wrong (16:15 on an early close, both on a holiday), so each tick looks at the calendar and does nothing unless a session is
due.
"""

# No `from __future__ import annotations`: Dagster reads the annotations of schedules as they are.

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import dagster as dg

from market_data_pipeline.calendars.endings import ends_as_fetched
from market_data_pipeline.catalog import Catalog
from market_data_pipeline.domain.bar_table import Int64s
from market_data_pipeline.domain.bar_types import NANOSECONDS, Series
from market_data_pipeline.domain.sessions import Partitions, date_of
from market_data_pipeline.orchestration.automation.due_times import MINUTE_NS, Due, DueTimes
from market_data_pipeline.orchestration.automation.launchable import RELOAD, launchable
from market_data_pipeline.orchestration.bars import bars_key
from market_data_pipeline.orchestration.failures import one_clear_message
from market_data_pipeline.orchestration.job_names import asking_jobs
from market_data_pipeline.orchestration.partitions import UniversePartitions, range_tags, unbroken
from market_data_pipeline.orchestration.resources import CatalogResource
from market_data_pipeline.orchestration.universe import UniverseParts
from market_data_pipeline.watchlist import Universe, Watchlist, read_watchlist

SESSIONS_BEFORE = 5
"""How many sessions before the newest are looked at, and loaded again where they are partial or missing."""

SESSION_TAG = "market_data/session"


@lru_cache(maxsize=64)
def due_ns(partitions: Partitions, hours: str, settling_s: int) -> Int64s:
    """Return when each partition is due: its end as fetched and the settling time, in whole minutes; UTC nanoseconds, shape (n,)."""
    due = ends_as_fetched(partitions, hours) + settling_s * NANOSECONDS
    return -(-due // MINUTE_NS) * MINUTE_NS


def due_of(partitions: Partitions, hours: str, settling_s: int) -> DueTimes:
    """Return when each session of a calendar and bar spec is due.

    Args:
        partitions: The sessions.
        hours: `rth`, or `all` with pre-market and post-market hours.
        settling_s: How long after the end of a session its bars are final.
    """
    return DueTimes(partitions.days, due_ns(partitions, hours, settling_s), partitions.calendar.time_zone)


def session_to_load(partitions: Partitions, hours: str, tick_ns: int, settling_s: int) -> dt.date | None:
    """Return the session that is due in the minute of a tick, UTC nanoseconds, or None. Every session is due in exactly one minute."""
    return due_of(partitions, hours, settling_s).session_at(tick_ns)


def why_nothing_is_due(partitions: Partitions, hours: str, tick_ns: int, settling_s: int) -> str:
    """Return in words what lies around a tick at which no session is due."""
    before, after = due_of(partitions, hours, settling_s).around(tick_ns)
    ended = "No session has ended yet" if before is None else f"No session of {partitions.calendar.name} has ended since {_loaded(before)}"
    return f"{ended}, the last one that its calendar knows." if after is None else f"{ended}; the next one is {_loaded(after)}."


def _loaded(due: Due) -> str:
    return f"{due.session} (loaded from {due.at:%Y-%m-%d %H:%M %Z})"


def first_to_load(catalog: Catalog, universe: Universe, spec: str, session: dt.date) -> dt.date | None:
    """Return the oldest of a session and the `SESSIONS_BEFORE` before it that some instrument has not whole; None if all have all.

    Args:
        catalog: Knows what is stored.
        universe: The instruments, and the first session wanted.
        spec: The bar spec.
        session: The session that has just ended.
    """
    partitions = universe.partitions(spec)
    newest = partitions.index_of(session)
    assert newest is not None
    oldest = max(universe.start, date_of(partitions.days[max(newest - SESSIONS_BEFORE, 0)]))
    lacking = (
        date
        for instrument in universe.instruments
        for date, coverage in catalog.coverage(Series.of(instrument, spec), oldest, session).items()
        if coverage.is_gap
    )
    return min(lacking, default=None)


@dataclass(frozen=True)
class AfterClose:
    """What a schedule loads: the bar specs of one bars job.

    Attributes:
        partitions: The universe as it was loaded.
        job: The job's name.
        specs: Its bar specs.
    """

    partitions: UniversePartitions
    job: str
    specs: tuple[str, ...]

    @property
    def name(self) -> str:
        """The schedule's name: `us_equities_after_close`."""
        return f"{self.job.removesuffix('_bars')}_after_close"

    def requests(self, watchlist: Watchlist, catalog: Catalog, instance: dg.DagsterInstance, tick_ns: int) -> tuple[list[dg.RunRequest], list[str]]:
        """Return a ranged run for each bars asset with a session that is due, and in words why there are no more.

        Args:
            watchlist: As it is written now.
            catalog: Knows what is stored.
            instance: Knows which instruments are partitions; those that are not yet become some.
            tick_ns: When the tick was due, UTC nanoseconds.
        """
        written = watchlist.universes.get(self.partitions.name)
        if written is None:
            return [], [f"{self.partitions.name} is no longer in {watchlist.path}."]
        universe = launchable(written, self.partitions.universe)
        requests: list[dg.RunRequest] = []
        reasons: list[str] = []
        for spec in self.specs:
            if spec not in universe.bars or spec in universe.derived:
                reasons.append(f"{spec} is no longer asked for in {watchlist.path}.")
                continue
            settling_s = universe.settling_minutes * 60
            partitions = universe.partitions(spec)
            session = session_to_load(partitions, universe.fetched_hours, tick_ns, settling_s)
            if session is None:
                reasons.append(f"{spec}: {why_nothing_is_due(partitions, universe.fetched_hours, tick_ns, settling_s)}")
            elif reason := _why_not_wanted(watchlist, written, spec, session) or _why_not_launchable(universe, session):
                reasons.append(f"{spec}: {reason}")
            elif (first := first_to_load(catalog, universe, spec, session)) is None:
                reasons.append(f"{spec}: {session} and the {SESSIONS_BEFORE} sessions before it are stored whole.")
            else:
                requests += self._runs(universe, instance, spec, first, session)
        return requests, reasons

    def _runs(self, universe: Universe, instance: dg.DagsterInstance, spec: str, first: dt.date, session: dt.date) -> list[dg.RunRequest]:
        UniversePartitions.of(self.partitions.name, universe).register(instance)
        registered = instance.get_dynamic_partitions(f"{self.partitions.name}_instruments")
        return [
            dg.RunRequest(
                run_key=f"{self.name}/{spec}/{session}/{first_id}",
                tags={**range_tags(f"{first}|{first_id}", f"{session}|{last_id}"), SESSION_TAG: str(session)},
                asset_selection=[bars_key(self.partitions.name, spec)],
            )
            for first_id, last_id in unbroken(registered, universe.instruments)
        ]


def _why_not_wanted(watchlist: Watchlist, universe: Universe, spec: str, session: dt.date) -> str:
    if session < universe.start:
        return f"{session} lies before its start, {universe.start}."
    if universe.end is not None and session > universe.end:
        return f"{session} lies after its end, {universe.end}."
    if universe.files is not None and not any(universe.files.paths(watchlist.project, series) for series in universe.series(spec)):
        return f"there is no file {universe.files.csv} below {watchlist.project} yet."
    return ""


def _why_not_launchable(universe: Universe, session: dt.date) -> str:
    outside = session < universe.start or (universe.end is not None and session > universe.end)
    return f"{session} is new in the watchlist: {RELOAD}." if outside else ""


def after_close_schedules(watchlist: Watchlist, parts: Sequence[UniverseParts]) -> list[dg.ScheduleDefinition]:
    """Make a schedule `<universe>_after_close` for each universe; one more where weeks or months have a job of their own.

    Each waits `settling_minutes` of its universe, then launches one ranged run a bars asset: the session that has just ended, and those of the
    `SESSIONS_BEFORE` before it that are partial or missing. A session is launched once, however often its tick comes. They are off until
    somebody switches them on: they need a broker, or files.
    """
    return [
        _schedule(watchlist, AfterClose(one.partitions, job, tuple(specs))) for one in parts for job, specs in asking_jobs(one.partitions).items()
    ]


def _schedule(watchlist: Watchlist, after: AfterClose) -> dg.ScheduleDefinition:
    universe = after.partitions.universe
    settling_s = universe.settling_minutes * 60
    zone = universe.partitions(after.specs[0]).calendar.time_zone
    ticks = set[str]().union(*(due_of(universe.partitions(spec), universe.fetched_hours, settling_s).crons() for spec in after.specs))

    @dg.schedule(
        name=after.name,
        job_name=after.job,
        cron_schedule=sorted(ticks),
        execution_timezone=zone,
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description=(
            f"Loads each session of {after.partitions.name} ({', '.join(after.specs)}; calendar {universe.calendar}, {universe.fetched_hours} hours) "
            f"{universe.settling_minutes} minutes after its end, early closes and holidays included, and what of the {SESSIONS_BEFORE} sessions "
            "before is partial or missing. A tick at which no session is due says which is next."
        ),
    )
    def after_close(context: dg.ScheduleEvaluationContext, catalog: CatalogResource) -> list[dg.RunRequest] | dg.SkipReason:
        with one_clear_message():
            tick_ns = round(context.scheduled_execution_time.timestamp()) * NANOSECONDS
            requests, reasons = after.requests(read_watchlist(watchlist.path), catalog.open(), context.instance, tick_ns)
        return requests or dg.SkipReason(" ".join(reasons))

    return after_close
