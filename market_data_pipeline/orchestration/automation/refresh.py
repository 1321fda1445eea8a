"""Availability, backtests and derived bars are made again when their bars change: only those affected, and once a load has ended.

A sensor and no automation condition: every backtest depends on all bars (`AllPartitionMapping`), so a condition would make all of them again for
each new session, and it cannot know the range of a spec. It would also see each tick of a long load as news of its own.

What has changed is read from the ledger, so what `mdp` stores and what vanishes counts too. A series counts as changed once two ticks in a row
saw the same of it and no run loads it. Whether something stands on other bars than it shows is then a comparison: of the state of the bars that its
newest materialisation names with the state that they are in. So an event that comes twice, or a restart in between, launches nothing twice.
"""

# No `from __future__ import annotations`: Dagster reads the annotations of sensors as they are.

import hashlib
import json
import re
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import dagster as dg

from market_data_pipeline.catalog import Availability, Catalog
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.errors import MarketDataError
from market_data_pipeline.orchestration.automation.derivations import derivations, marks_of_declarations, pairs_of
from market_data_pipeline.orchestration.automation.places import Places
from market_data_pipeline.orchestration.automation.runs_under_way import bars_assets, held_series, runs_under_way
from market_data_pipeline.orchestration.availability import availability_state
from market_data_pipeline.orchestration.backtests import FROM_SPEC, SPECS, backtest_state, spec_names
from market_data_pipeline.orchestration.job_names import job_of
from market_data_pipeline.orchestration.jobs import backtest_jobs
from market_data_pipeline.orchestration.partitions import PARTITION_TAG, range_tags, unbroken
from market_data_pipeline.orchestration.state import STATE
from market_data_pipeline.orchestration.universe import UniverseParts
from market_data_pipeline.watchlist import Watchlist

if TYPE_CHECKING:
    from market_data_pipeline.backtest import BacktestSpec

_BACKTEST = "backtest"
_TICK_S = 30
_BUDGET_S = 15.0
# A load that never comes to rest (a broken backfill) holds nothing back for longer.
_WAIT_AT_MOST_S = 3_600.0
_SPEC_NAME = re.compile(r"[A-Za-z0-9][\w.-]*", re.ASCII)
# A run whose worker was killed is started again by the daemon; one that failed for a reason is not.
_RETRIES = {"dagster/max_retries": "2"}


@dataclass(frozen=True)
class Seen:
    """What a tick leaves for the next.

    Attributes:
        marks: Of each stored series, what the ledger and the watchlist said of it.
        waiting: Series that changed and were not acted on yet, with the time (seconds since 1970) of the first change.
    """

    marks: Mapping[str, str] = field(default_factory=dict)
    waiting: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def parse(cls, cursor: str | None) -> "Seen":
        """Read a cursor; one that cannot be read counts as the first tick, which costs comparisons and launches nothing needless."""
        try:
            content = json.loads(cursor or "{}")
            return cls(
                {str(name): str(mark) for name, mark in content.get("marks", {}).items()},
                {str(name): float(since) for name, since in content.get("waiting", {}).items()},
            )
        except (ValueError, AttributeError, TypeError):
            return cls()

    def to_cursor(self) -> str:
        """Return the cursor."""
        return json.dumps({"marks": dict(self.marks), "waiting": dict(self.waiting)}, separators=(",", ":"))


def mark_of(available: Availability) -> str:
    """Return a short text that differs when anything of a series was stored, replaced or removed."""
    facts = (
        available.rows,
        available.bytes,
        available.updated_at_ns,
        available.complete,
        available.empty,
        available.partial,
        available.first_session,
    )
    return hashlib.blake2b(repr(facts).encode(), digest_size=4).hexdigest()


def look(seen: Seen, marks: Mapping[str, str], held: Collection[str], now_s: float) -> tuple[list[str], Seen]:
    """Return the series to act on now, and what to remember.

    Args:
        seen: What the last tick left.
        marks: What the ledger says of each series now.
        held: Series that a run loads.
        now_s: The time, seconds since 1970.
    """
    moved = {name for name in {*marks, *seen.marks} if marks.get(name) != seen.marks.get(name)}
    waiting = {**seen.waiting, **{name: now_s for name in moved if name not in seen.waiting}}
    ready = [name for name, since in waiting.items() if (name not in moved and name not in held) or now_s - since > _WAIT_AT_MOST_S]
    return sorted(ready), Seen(dict(marks), {name: since for name, since in waiting.items() if name not in ready})


def shown_by(instance: dg.DagsterInstance, parts: Sequence[UniverseParts]) -> dict[str, list[str]]:
    """Return, by series, the universes on whose pages it is: those that have it, once its instrument is a partition there."""
    found: dict[str, list[str]] = {}
    for one in parts:
        universe = one.partitions.universe
        known = set(instance.get_dynamic_partitions(str(one.partitions.instruments.name)))
        for spec in universe.bars:
            for series in universe.series(spec):
                if series.instrument_id in known:
                    found.setdefault(str(series), []).append(one.partitions.name)
    return found


def _marks(stored: Sequence[Availability], shown: Mapping[str, Sequence[str]], declared: Mapping[str, str]) -> dict[str, str]:
    """Return of each stored series what must be acted on when it changes: its bars, who shows it, and what is derived from it."""
    return {
        str(one.series): "".join((mark_of(one), *(f"@{name}" for name in shown.get(str(one.series), ())), declared.get(str(one.series), "")))
        for one in stored
    }


def affected_specs(specs: "Mapping[str, BacktestSpec]", changed: Collection[Series]) -> list[str]:
    """Return the names of the specs that use one of the series, sorted."""
    return sorted(name for name, spec in specs.items() if not set(changed).isdisjoint(spec.all_series))


def refresh_sensor(watchlist: Watchlist, parts: Sequence[UniverseParts], places: Places) -> dg.SensorDefinition:
    """Make the sensor that keeps availability and backtests up to date."""
    pairs = pairs_of(parts)
    declared = marks_of_declarations(pairs)
    names = {f"{one.partitions.name}_availability" for one in parts} | {job_of(pair.parts.partitions, pair.spec) for pair in pairs}
    jobs = [*(job for one in parts for job in one.jobs if job.name in names), *(job for job in backtest_jobs() if job.name == _BACKTEST)]

    @dg.sensor(
        name="refresh",
        jobs=jobs,
        minimum_interval_seconds=_TICK_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Makes availability, backtests and derived bars again when their bars have changed: only those affected, once a load has ended and the "
            "ledger has been still for a tick. A spec put into backtests/ becomes a partition. Needs no broker, and asks for no bars."
        ),
    )
    def refresh(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        new = _new_specs(context, places)
        added = [SPECS.build_add_request(new)] if new else []
        catalog = Catalog.open(places.catalog)
        try:
            marks = _marks(catalog.availabilities(), shown_by(context.instance, parts), declared)
        except MarketDataError as error:
            return dg.SensorResult(skip_reason=f"The catalog cannot be read: {error}", dynamic_partitions_requests=added)
        held = held_series(runs_under_way(context.instance, parts), bars_assets(parts), marks)
        ready, seen = look(Seen.parse(context.cursor), marks, held, time.time())
        changed = [Series.parse(name) for name in ready]
        derived = derivations(context.instance, catalog, pairs, changed, held, time.monotonic() + _BUDGET_S)
        requests, said, later = _requests(context, catalog, parts, places, changed)
        requests = [*derived.requests, *requests]
        seen = Seen(seen.marks, {**seen.waiting, **{str(series): time.time() for series in (*later, *derived.later)}})
        said += [f"{name} is waited for: it is being loaded, or has just changed" for name in sorted(seen.waiting)[:3]]
        return dg.SensorResult(
            run_requests=requests,
            cursor=seen.to_cursor(),
            skip_reason=None if requests else _sentence(said, len(marks), len(seen.waiting)),
            dynamic_partitions_requests=added,
        )

    return refresh


def _sentence(said: Sequence[str], series: int, waiting: int) -> str:
    if not said:
        return f"Availability, backtests and derived bars are up to date with the bars of {series} series."
    more = f" … and {waiting - 3} more." if waiting > 3 else "."
    return "; ".join(said) + more


def _new_specs(context: dg.SensorEvaluationContext, places: Places) -> list[str]:
    """Return the specs that are no partition yet."""
    known = set(context.instance.get_dynamic_partitions(str(SPECS.name)))
    names = [name for name in spec_names(places.specs) if name not in known]
    for name in names:
        if not _SPEC_NAME.fullmatch(name):
            context.log.warning(f"{places.specs.name}/{name}.yaml is no partition: name it with letters, digits, '.', '_' and '-' only.")
    return [name for name in names if _SPEC_NAME.fullmatch(name)]


def _requests(
    context: dg.SensorEvaluationContext, catalog: Catalog, parts: Sequence[UniverseParts], places: Places, changed: Sequence[Series]
) -> tuple[list[dg.RunRequest], list[str], list[Series]]:
    """Return what to launch, what to say, and the series that there was no time for."""
    if not changed:
        return [], [], []
    give_up = time.monotonic() + _BUDGET_S
    requests: list[dg.RunRequest] = []
    late: set[str] = set()
    out_of_date: dict[str, dict[str, str]] = {}
    for one, instrument in _instruments(parts, changed):
        if time.monotonic() > give_up:
            late.add(instrument)
            continue
        state = availability_state(catalog, one.partitions, instrument)
        if state != _shown(context.instance, one.availability, instrument):
            out_of_date.setdefault(one.partitions.name, {})[instrument] = state
    for one in parts:
        requests += _availability_runs(context.instance, one, out_of_date.get(one.partitions.name, {}))
    backtests, said = _backtests(context, catalog, places, [series for series in changed if series.instrument_id not in late])
    return [*requests, *backtests], said, [series for series in changed if series.instrument_id in late]


def _instruments(parts: Sequence[UniverseParts], changed: Collection[Series]) -> Iterator[tuple[UniverseParts, str]]:
    for one in parts:
        universe = one.partitions.universe
        specs = set(universe.bars)
        touched = {series.instrument_id for series in changed if str(series.spec) in specs}
        for instrument in universe.instruments:
            if instrument in touched:
                yield one, instrument


def _availability_runs(instance: dg.DagsterInstance, one: UniverseParts, states: Mapping[str, str]) -> Iterator[dg.RunRequest]:
    """Yield one run for each unbroken range of instruments that are out of date."""
    registered = list(instance.get_dynamic_partitions(str(one.partitions.instruments.name)))
    job = f"{one.partitions.name}_availability"
    for first, last in unbroken(registered, list(states)):
        inside = registered[registered.index(first) : registered.index(last) + 1]
        key = hashlib.blake2b("".join(f"{name}{states[name]}" for name in inside).encode(), digest_size=8).hexdigest()
        yield dg.RunRequest(run_key=f"{job}:{first}:{last}:{key}", job_name=job, tags={**range_tags(first, last), **_RETRIES})


def _backtests(
    context: dg.SensorEvaluationContext, catalog: Catalog, places: Places, changed: Sequence[Series]
) -> tuple[list[dg.RunRequest], list[str]]:
    """Return a run for each spec that stands on other bars than it shows, and why others have none."""
    requests, said = [], []
    specs = _specs(context, places)
    for name in affected_specs(specs, changed):
        spec = specs[name]
        missing = sum(gap.sessions for series in spec.all_series for gap in catalog.gaps(series, spec.start, spec.end))
        state = backtest_state(catalog, spec)
        if state == _shown(context.instance, FROM_SPEC, name):
            continue
        if missing and not spec.allow_gaps:
            said.append(f"the backtest {name} waits for {missing} missing sessions")
            continue
        requests.append(dg.RunRequest(run_key=f"{_BACKTEST}:{name}:{state}", job_name=_BACKTEST, tags={PARTITION_TAG: name, **_RETRIES}))
    return requests, said


def _specs(context: dg.SensorEvaluationContext, places: Places) -> "dict[str, BacktestSpec]":
    from market_data_pipeline.backtest import BacktestSpec

    found = {}
    for name in spec_names(places.specs):
        if not _SPEC_NAME.fullmatch(name):
            continue
        try:
            found[name] = BacktestSpec.read(places.specs / f"{name}.yaml")
        except MarketDataError as error:
            context.log.warning(f"The backtest {name} is left out: {error}")
    return found


def _shown(instance: dg.DagsterInstance, key: dg.AssetKey, partition: str) -> str | None:
    """Return the state of the bars that the newest materialisation of a partition stands on; None if there is none."""
    records = instance.fetch_materializations(dg.AssetRecordsFilter(asset_key=key, asset_partitions=[partition]), limit=1).records
    materialization = records[0].asset_materialization if records else None
    state = materialization.metadata.get(STATE) if materialization is not None else None
    return str(state.value) if state is not None else None
