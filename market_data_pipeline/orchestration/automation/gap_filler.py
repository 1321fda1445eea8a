"""The gap filler: every five minutes, whatever the ledger says is missing and may be asked for now is asked for, and nothing else."""

# No `from __future__ import annotations`: Dagster reads the annotations of sensors as they are.

import datetime as dt
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import dagster as dg

# `dagster` exports no names for them.
from dagster._core.events import JobFailureData, RunFailureReason
from dagster._core.execution.plan.objects import StepFailureData

from market_data_pipeline.catalog import Catalog
from market_data_pipeline.domain.bar_types import NANOSECONDS
from market_data_pipeline.domain.errors import MarketDataError
from market_data_pipeline.domain.sessions import Partitions
from market_data_pipeline.domain.source import Asked, Precision
from market_data_pipeline.orchestration.automation.current_watchlist import current_watchlist
from market_data_pipeline.orchestration.automation.fill_memory import FillMemory, Launched
from market_data_pipeline.orchestration.automation.gaps_to_fill import Fill, Gap, Patience, Room, Step, utc, what_to_fill
from market_data_pipeline.orchestration.automation.launchable import beyond, launchable
from market_data_pipeline.orchestration.automation.places import Places
from market_data_pipeline.orchestration.automation.runs_under_way import REQUESTS_TAG, RULE_TAG, UNFINISHED, bars_assets, runs_under_way
from market_data_pipeline.orchestration.bars import bars_key
from market_data_pipeline.orchestration.partitions import range_tags
from market_data_pipeline.orchestration.universe import UniverseParts
from market_data_pipeline.watchlist import Universe, Watchlist

if TYPE_CHECKING:
    from market_data_pipeline.domain.pacing import PacingProfile
    from market_data_pipeline.sources.ibkr import IbkrGateway

SENSOR = "gap_filler"
RUN_TAG = "market_data/gap_filler"
TICK = dt.timedelta(minutes=5)
PATIENCE = Patience()
_CONNECT_WITHIN_S = 1.0
# Sessions of one series that are planned in one tick: far more than any budget lets go.
_SESSIONS_AT_ONCE = 1_000
# One run for gaps with so few stored sessions between them: these are read in the ledger, not asked for.
_SESSIONS_BRIDGED = 10
# What stops a run and says nothing about the sessions it was to bring.
_NOT_ABOUT_THE_SESSION = ("SourceUnavailable", "PacingRefused", "SourceBusy", "SeriesLocked")
_STOPPED = (RunFailureReason.UNEXPECTED_TERMINATION, RunFailureReason.START_TIMEOUT)
_NOBODY_THERE = "SourceUnavailable"
_RUN_APPEARS_WITHIN = dt.timedelta(minutes=10)
_FILE_RESTS_S = 10.0


def gap_filler_sensor(
    watchlist: Watchlist,
    parts: Sequence[UniverseParts],
    places: Places,
    *,
    patience: Patience = PATIENCE,
    clock: Callable[[], int] = time.time_ns,
) -> dg.SensorDefinition:
    """Make the sensor that fills gaps. Stopped by default: it launches runs.

    Args:
        watchlist: As it was loaded.
        parts: The universes whose assets and jobs exist.
        places: Where catalog and watchlist are.
        patience: How often and how much is tried.
        clock: Returns now in nanoseconds since 1970 UTC.
    """
    jobs = {asset.key: asset.job for asset in bars_assets(parts)}
    targets = [job for one in parts for job in one.jobs if job.name in jobs.values()]

    @dg.sensor(
        name=SENSOR,
        jobs=targets,
        minimum_interval_seconds=int(TICK.total_seconds()),
        default_status=dg.DefaultSensorStatus.STOPPED,
        description=(
            "Asks for sessions that the ledger misses, the newest first: no more requests than may go at once, none while the gateway is dead, "
            "none for what a run fetches already, and none for a day after a session failed for good. A universe of files is read again when "
            "one of its files is new. Each tick says why it did nothing."
        ),
    )
    def gap_filler(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        tick = _Tick(context.instance, watchlist, parts, places, jobs, patience, clock())
        requests, said = tick.run(context.cursor)
        if not requests:
            return dg.SensorResult(skip_reason=said, cursor=tick.memory.write())
        context.log.info(said)
        return dg.SensorResult(run_requests=requests, cursor=tick.memory.write())

    return gap_filler


@dataclass
class _Tick:
    """One tick: gathers facts, decides, and says what it did."""

    instance: dg.DagsterInstance
    loaded: Watchlist
    parts: Sequence[UniverseParts]
    places: Places
    jobs: Mapping[str, str]
    patience: Patience
    now_ns: int
    memory: FillMemory = field(init=False)
    reasons: list[str] = field(default_factory=list)

    @property
    def now(self) -> dt.datetime:
        """The time."""
        return dt.datetime.fromtimestamp(self.now_ns / NANOSECONDS, dt.UTC)

    def run(self, cursor: str | None) -> tuple[list[dg.RunRequest], str]:
        """Return the runs to start, and what to tell a person."""
        self.memory = FillMemory.read(cursor, self.now)
        current = current_watchlist(self.loaded, self.places.watchlist)
        if current.mistake:
            self.reasons.append(f"the watchlist cannot be read, going by the one that was loaded ({current.mistake})")
        catalog = Catalog.open(self.places.catalog)
        registered = self._registered(current.watchlist)
        gaps = list(self._missing(catalog, current.watchlist, registered))
        self._look_at_ended_runs([gap for _, gap in gaps])
        total = sum(len(gap.sessions) for _, gap in gaps)
        if not total:
            self.memory.keep([], {})
            return [], self._said("all complete")
        askable = [*self._with_new_files(current.watchlist, gaps), *self._of_broker(gaps)]
        budget: dict[str, Room] = {}
        if any(universe.files is None for universe, _ in askable):
            askable, budget = self._planned(askable)
        order = {f"{asset}|{name}": place for asset, names in registered.items() for place, name in enumerate(names)}
        running = runs_under_way(self.instance, self.parts)
        wanted = [gap for _, gap in askable]
        failures = self.memory.failures_of(wanted)
        decision = what_to_fill(wanted, budget, running, failures, self.now, order=order, patience=self.patience)
        self.reasons += decision.reasons
        requests = [self._request(fill) for fill in decision.fills]
        started = "; ".join(map(str, decision.fills)) if decision.fills else "nothing started"
        return requests, self._said(f"{total:,} session{'' if total == 1 else 's'} missing: {started}")

    def _said(self, first: str) -> str:
        return "; ".join([first, *self.reasons]) + "."

    def _registered(self, watchlist: Watchlist) -> dict[str, Sequence[str]]:
        found: dict[str, Sequence[str]] = {}
        for name, universe in watchlist.universes.items():
            keys = self.instance.get_dynamic_partitions(f"{name}_instruments")
            found |= {bars_key(name, spec).to_user_string(): keys for spec in universe.bars}
        return found

    def _missing(self, catalog: Catalog, watchlist: Watchlist, registered: Mapping[str, Sequence[str]]) -> Iterator[tuple[Universe, Gap]]:
        """Yield the sessions that the ledger misses and that are partitions by now; not yet planned, and as one step."""
        unknown = set()
        for name, written in watchlist.universes.items():
            if name not in self.loaded.universes:
                continue  # it has no job yet; `watchlist_sync` says so
            universe = launchable(written, self.loaded.universes[name])
            if later := beyond(name, written, self.loaded.universes[name]):
                self.reasons.append(later)
            for spec in universe.bars:
                asset, last = bars_key(name, spec).to_user_string(), universe.settled_session(spec, self.now_ns)
                if asset not in self.jobs or last is None or spec in universe.derived:  # the sensor `refresh` derives
                    continue
                partitions = universe.partitions(spec)
                for series in universe.series(spec):
                    if series.instrument_id not in registered[asset]:
                        unknown.add(series.instrument_id)
                        continue
                    ranges = catalog.gaps(series, universe.start, last, self.now_ns, universe.fetched_hours)
                    missing = [date for gap in ranges for date in partitions.dates_between(gap.first, gap.last)]
                    # A file is read whole in any case, and once.
                    groups = [tuple(missing)] if universe.files and missing else _bridged(partitions, missing[-_SESSIONS_AT_ONCE:])
                    for sessions in groups:
                        yield universe, Gap(self.jobs[asset], asset, series, (Step(sessions, 0),))
        if unknown:
            names = ", ".join(sorted(unknown)[:3])
            self.reasons.append(f"{len(unknown)} instruments are no partitions yet ({names}): run the job watchlist_partitions")

    def _look_at_ended_runs(self, gaps: Sequence[Gap]) -> None:
        """Learn from runs that have ended since: what is missing still has failed, and whether the gateway answered."""
        if not self.memory.launched:
            return
        runs = self.instance.get_runs(dg.RunsFilter(tags={RUN_TAG: list(self.memory.launched)}))
        by_key = {run.tags[RUN_TAG]: run for run in runs}
        for key, launched in list(self.memory.launched.items()):
            run = by_key.get(key)
            if run is None:
                if self.now - launched.at > _RUN_APPEARS_WITHIN:
                    del self.memory.launched[key]
                continue
            if run.status in UNFINISHED:
                continue
            del self.memory.launched[key]
            self._learn(run, launched, gaps)

    def _learn(self, run: dg.DagsterRun, launched: Launched, gaps: Sequence[Gap]) -> None:
        if not launched.asks_broker:
            return  # a file is asked again when it is a new one
        error = _error_of(self.instance, run.run_id) if run.status is dg.DagsterRunStatus.FAILURE else ""
        if error is None:
            return  # stopped from outside: neither the sessions nor the gateway had a say in it
        if error == _NOBODY_THERE:
            self.memory.gateway = self.memory.gateway.missed(self.now)
        else:
            self.memory.gateway_answered()
        if error not in _NOT_ABOUT_THE_SESSION:
            self.memory.note_failed(gaps, launched, self.now)

    def _with_new_files(self, watchlist: Watchlist, gaps: Sequence[tuple[Universe, Gap]]) -> list[tuple[Universe, Gap]]:
        """Return the gaps of files that changed since they were last read; only a changed file can bring what it did not have."""
        found, old, fresh = [], set(), set()
        for universe, gap in gaps:
            if universe.files is None:
                continue
            times = [path.stat().st_mtime_ns for path in universe.files.paths(watchlist.project, gap.series)]
            newest = max(times, default=0)
            if newest <= self.memory.files.get(_name(gap), 0):
                old.add(gap.series)
            elif newest > self.now_ns - _FILE_RESTS_S * NANOSECONDS:
                fresh.add(gap.series)
            else:
                found.append((universe, gap))
        for why, series in (("no file newer than the last try", old), ("a file that changed a moment ago", fresh)):
            if series:
                self.reasons.append(f"{why} for {', '.join(map(str, sorted(series)[:3]))}{' …' if len(series) > 3 else ''}")
        return found

    def _of_broker(self, gaps: Sequence[tuple[Universe, Gap]]) -> list[tuple[Universe, Gap]]:
        """Return the gaps of the broker, unless the gateway is dead."""
        found = [(universe, gap) for universe, gap in gaps if universe.files is None]
        if not found:
            return []
        from market_data_pipeline.sources.ibkr import IbkrSettings

        settings = IbkrSettings.from_environment()
        look_at = self.memory.gateway.look_at
        if look_at is not None and self.now < look_at:
            self.reasons.append(f"gateway at {settings.place} did not answer, looking again at {utc(look_at)}")
            return []
        if not _listens(settings.host, settings.port):
            self.memory.gateway = self.memory.gateway.missed(self.now)
            assert self.memory.gateway.look_at is not None
            self.reasons.append(f"gateway at {settings.place} does not answer, looking again at {utc(self.memory.gateway.look_at)}")
            return []
        self.memory.gateway_reachable()
        return found

    def _planned(self, gaps: Sequence[tuple[Universe, Gap]]) -> tuple[list[tuple[Universe, Gap]], dict[str, Room]]:
        """Return the broker's gaps as the requests that they take, and what may be asked."""
        from market_data_pipeline.sources.ibkr import IbkrGateway

        with IbkrGateway() as gateway:
            planned = [(universe, planned_gap(gateway, universe, gap) if universe.files is None else gap) for universe, gap in gaps]
            rooms = rooms_of(gateway, self.now)
        askable = []
        for universe, gap in planned:
            if isinstance(gap, MarketDataError):
                self.reasons.append(str(gap))
            else:
                askable.append((universe, gap))
        return askable, rooms

    def _request(self, fill: Fill) -> dg.RunRequest:
        key = self.memory.launch(fill, self.now)
        if not fill.rule:
            self.memory.files |= {f"{asset}|{name}": self.now_ns for asset in fill.assets for name in fill.instruments}
        tags = {
            **range_tags(f"{fill.first}|{fill.instruments[0]}", f"{fill.last}|{fill.instruments[-1]}"),
            RUN_TAG: key,
            **({REQUESTS_TAG: str(fill.requests), RULE_TAG: fill.rule} if fill.rule else {}),
        }
        keys = [dg.AssetKey(asset.split("/")) for asset in fill.assets]
        return dg.RunRequest(run_key=key, job_name=fill.job, tags=tags, asset_selection=keys)


def _name(gap: Gap) -> str:
    return f"{gap.asset}|{gap.series.instrument_id}"


def _bridged(partitions: Partitions, missing: Sequence[dt.date]) -> Iterator[tuple[dt.date, ...]]:
    """Yield missing sessions in groups that one run is to fill."""
    group: list[dt.date] = []
    last = -1
    for date in missing:
        position = partitions.index_of(date)
        assert position is not None  # the calendar named it
        if group and position - last > _SESSIONS_BRIDGED:
            yield tuple(group)
            group = []
        group.append(date)
        last = position
    if group:
        yield tuple(group)


def planned_gap(gateway: "IbkrGateway", universe: Universe, gap: Gap) -> Gap | MarketDataError:
    """Return a gap with the requests that it takes, or why it cannot be asked for. Asks nobody."""
    from market_data_pipeline.domain.request_sizes import bar_seconds
    from market_data_pipeline.sources.ibkr import Hours, IbkrSource

    try:
        source = IbkrSource(gateway, gap.series, hours=Hours(universe.hours) if universe.hours else None)
        asked = Asked(gap.series, universe.partitions(str(gap.series.spec)), Precision(0, 0), gap.sessions)
        requests: dict[tuple[dt.date, ...], int] = {}
        for request in source.requests(asked):
            requests[request.sessions] = requests.get(request.sessions, 0) + 1
    except MarketDataError as error:
        return error
    steps = tuple(Step(sessions, count) for sessions, count in requests.items())
    return Gap(gap.job, gap.asset, gap.series, steps or gap.steps, rule_of(gateway.profile, bar_seconds(gap.series.spec)))


def rule_of(profile: "PacingProfile", seconds: int) -> str:
    """Return the name of the rule that counts requests for bars of a length."""
    if profile.large is None:
        return "requests"
    return f"requests for bars {'from' if seconds >= profile.large_from_s else 'below'} {profile.large_from_s} s"


def rooms_of(gateway: "IbkrGateway", now: dt.datetime) -> dict[str, Room]:
    """Return what may be asked now, by rule. Needs no connection."""
    budget = gateway.budget()
    rooms = {}
    for use in budget.uses:
        if use.what.startswith("requests"):
            wait_s = max(use.next_s, budget.refused_s)
            left = 0 if budget.refused_s > 0 else max(0, use.left - budget.waiting)
            rooms[use.what] = Room(left, use.limit, now + (dt.timedelta(seconds=wait_s) if wait_s else TICK))
    return rooms


def _listens(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=_CONNECT_WITHIN_S):
            return True
    except OSError:
        return False


def _error_of(instance: dg.DagsterInstance, run_id: str) -> str | None:
    """Return the class of the error that a run ended with; None where it was stopped from outside, as when its process was killed."""
    found = None
    for entry in instance.all_logs(run_id, of_type={dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.RUN_FAILURE}):
        event = entry.dagster_event
        data = event.event_specific_data if event is not None else None
        if isinstance(data, JobFailureData) and data.failure_reason in _STOPPED:
            return None
        if found is None and isinstance(data, (StepFailureData, JobFailureData)) and data.error is not None:
            found = str(data.error.message).partition(":")[0]
    return found
