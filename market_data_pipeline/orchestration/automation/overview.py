"""The morning in facts: is everything there, what is missing and why, what is being done about it, what failed, how did the strategies do.

Reads the ledger and Dagster's own records; opens no bar file and asks no broker.
"""

# No `from __future__ import annotations`: kept the same in all modules that touch Dagster's decorated functions.

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import dagster as dg

# `dagster` exports no names for them.
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.scheduler.instigation import TickStatus

from market_data_pipeline.catalog import Catalog
from market_data_pipeline.domain.bar_types import NANOSECONDS, Series
from market_data_pipeline.domain.errors import MarketDataError
from market_data_pipeline.domain.sessions import SessionRange
from market_data_pipeline.domain.words import count
from market_data_pipeline.orchestration.automation.gaps_to_fill import Running
from market_data_pipeline.orchestration.automation.places import Places
from market_data_pipeline.orchestration.automation.runs_under_way import UNFINISHED, runs_under_way
from market_data_pipeline.orchestration.backtests import FROM_SPEC, backtest_state, spec_names
from market_data_pipeline.orchestration.bars import bars_key
from market_data_pipeline.orchestration.mending import load_command, why
from market_data_pipeline.orchestration.partitions import PARTITION_TAG, RANGE_END_TAG, RANGE_START_TAG
from market_data_pipeline.orchestration.state import STATE
from market_data_pipeline.orchestration.universe import UniverseParts

if TYPE_CHECKING:
    from dagster._core.scheduler.instigation import InstigatorTick

GAP_FILLER = "gap_filler"
_FAILURES_FOR = dt.timedelta(hours=24)
_ROWS_AT_MOST = 50
_WORDS_AT_MOST = 300


@dataclass(frozen=True)
class SeriesState:
    """How a series of a universe stands.

    Attributes:
        universe: The universe's name.
        series: The series.
        wanted: Sessions of the universe up to the newest that has ended and settled.
        newest: That session; None where none has.
        gaps: Those that are neither complete nor empty, as ranges, oldest first.
        is_stored: Whether anything of it is stored.
    """

    universe: str
    series: Series
    wanted: int
    newest: dt.date | None
    gaps: tuple[SessionRange, ...]
    is_stored: bool

    @property
    def missing(self) -> int:
        """Sessions in its gaps."""
        return sum(gap.sessions for gap in self.gaps)


@dataclass(frozen=True)
class GapRow:
    """A gap, why it is one, and what is being done about it."""

    series: str
    gap: SessionRange
    why: str
    done_about_it: str
    command: str


@dataclass(frozen=True)
class RunRow:
    """A run, what it is about, and what is to be said of it."""

    run_id: str
    job: str
    about: str
    state: str
    said: str


@dataclass(frozen=True)
class Switch:
    """A sensor or schedule: whether it is on, and what its last tick said."""

    name: str
    is_on: bool
    last_tick: str
    said: str


@dataclass(frozen=True)
class BacktestRow:
    """A backtest spec: how it did, and whether it stands on the bars that are stored now."""

    name: str
    made: str
    did: str
    state: str


@dataclass(frozen=True)
class Overview:
    """Everything that the page says first."""

    series: tuple[SeriesState, ...]
    gaps: tuple[GapRow, ...]
    under_way: tuple[RunRow, ...]
    failed: tuple[RunRow, ...]
    switches: tuple[Switch, ...]
    backtests: tuple[BacktestRow, ...]

    @property
    def headline(self) -> str:
        """The whole in a few sentences."""
        return " ".join([_bars_said(self.series, self.gap_filler_is_on), *_runs_said(self.under_way, self.failed), _backtests_said(self.backtests)])

    @property
    def gap_filler_is_on(self) -> bool:
        """Whether gaps of the broker are filled without a hand."""
        return any(one.name == GAP_FILLER and one.is_on for one in self.switches)


def look(instance: dg.DagsterInstance, catalog: Catalog, parts: Sequence[UniverseParts], places: Places, now_ns: int) -> Overview:
    """Gather what there is to say.

    Args:
        instance: Knows runs, ticks and what the page shows.
        catalog: Knows what is stored.
        parts: The universes.
        places: Where backtest specs are.
        now_ns: Now, nanoseconds since 1970 UTC.
    """
    switches = tuple(_switches(instance))
    series = tuple(_series(catalog, parts, now_ns))
    running = runs_under_way(instance, parts)
    is_on = any(one.name == GAP_FILLER and one.is_on for one in switches)
    said = next((one.said for one in switches if one.name == GAP_FILLER), "")
    of_parts = {one.partitions.name: one for one in parts}
    gaps = [
        GapRow(
            str(state.series),
            gap,
            why(catalog, state.series, gap),
            _done_about_derived(of_parts[state.universe], state.series)
            or done_about(gap, bars_key(state.universe, str(state.series.spec)).to_user_string(), state.series, running, is_on, said),
            load_command(of_parts[state.universe].partitions, state.series, gap),
        )
        for state, gap in _newest_gaps(series)
    ]
    return Overview(
        series, tuple(gaps), tuple(_under_way(instance)), tuple(_failed(instance, now_ns)), switches, tuple(_backtests(instance, catalog, places))
    )


def _series(catalog: Catalog, parts: Sequence[UniverseParts], now_ns: int) -> Iterator[SeriesState]:
    stored = set(catalog.series())
    for one in parts:
        universe = one.partitions.universe
        for spec in universe.bars:
            newest = universe.last_session(spec, now_ns - universe.settling_minutes * 60 * NANOSECONDS)
            wanted = len(universe.partitions(spec).positions_between(universe.start, newest)) if newest is not None else 0
            for series in universe.series(spec):
                gaps = catalog.gaps(series, universe.start, newest, now_ns, universe.fetched_hours) if newest is not None else ()
                yield SeriesState(one.partitions.name, series, wanted, newest, gaps, series in stored)


def _newest_gaps(series: Sequence[SeriesState]) -> list[tuple[SeriesState, SessionRange]]:
    found = [(state, gap) for state in series if state.is_stored for gap in state.gaps]
    return sorted(found, key=lambda one: (one[1].last, str(one[0].series)), reverse=True)[:_ROWS_AT_MOST]


def _done_about_derived(parts: UniverseParts, series: Series) -> str:
    """Return what is done about a gap of derived bars; empty for bars that a source is asked for."""
    finer = parts.partitions.universe.derived.get(str(series.spec))
    return f"the sensor refresh derives it once its {finer} session is whole" if finer else ""


def done_about(gap: SessionRange, asset: str, series: Series, running: Sequence[Running], gap_filler_is_on: bool, gap_filler_said: str) -> str:
    """Return in words what is being done about a gap."""
    if any(run.is_about(asset, series.instrument_id, session) for run in running for session in (gap.first, gap.last)):
        return "a run is loading it"
    if not gap_filler_is_on:
        return "nothing: the sensor gap_filler is off. Switch it on under Automation, or use the command"
    return f"gap_filler looks every 5 minutes; last: {gap_filler_said or 'no tick yet'}"


def _under_way(instance: dg.DagsterInstance) -> Iterator[RunRow]:
    for run in instance.get_runs(dg.RunsFilter(statuses=UNFINISHED), limit=_ROWS_AT_MOST):
        yield RunRow(run.run_id, run.job_name, about(run.tags), run.status.value.lower(), "")


def _failed(instance: dg.DagsterInstance, now_ns: int) -> Iterator[RunRow]:
    since = dt.datetime.fromtimestamp(now_ns / NANOSECONDS, dt.UTC) - _FAILURES_FOR
    for run in instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE], updated_after=since), limit=_ROWS_AT_MOST):
        yield RunRow(run.run_id, run.job_name, about(run.tags), "failed", _reason(instance, run.run_id))


def about(tags: Mapping[str, str]) -> str:
    """Return the partition or range that a run's tags name."""
    ends = [tags[tag] for tag in (RANGE_START_TAG, RANGE_END_TAG) if tag in tags]
    return tags.get(PARTITION_TAG) or " to ".join(ends)


def _reason(instance: dg.DagsterInstance, run_id: str) -> str:
    """Return the innermost reason that a run gave for its failure."""
    for entry in instance.all_logs(run_id, of_type={dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.RUN_FAILURE}):
        data = entry.dagster_event.event_specific_data if entry.dagster_event is not None else None
        error = getattr(data, "error", None)
        while error is not None and error.cause is not None:
            error = error.cause
        if error is not None:
            return str(error.message).strip()[:_WORDS_AT_MOST]
        if entry.dagster_event is not None and entry.dagster_event.message:
            return entry.dagster_event.message.strip()[:_WORDS_AT_MOST]
    return "no reason is known"


def _switches(instance: dg.DagsterInstance) -> Iterator[Switch]:
    """Yield sensors and schedules that were ever on, by name; one that nobody switched on has no state, and an instance without a home has none."""
    if instance.schedule_storage is None:
        return
    states = [
        *instance.all_instigator_state(instigator_type=InstigatorType.SENSOR),
        *instance.all_instigator_state(instigator_type=InstigatorType.SCHEDULE),
    ]
    for state in sorted(states, key=lambda one: one.instigator_name):
        # The newest may be under way, this one's own among them.
        ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=2)
        tick = next((one for one in ticks if one.status is not TickStatus.STARTED), None)
        at = "" if tick is None else f"{dt.datetime.fromtimestamp(tick.timestamp, dt.UTC):%Y-%m-%d %H:%M} UTC"
        yield Switch(state.instigator_name, state.is_running, at, "" if tick is None else _said(tick))


def _said(tick: "InstigatorTick") -> str:
    if tick.status is TickStatus.FAILURE and tick.error is not None:
        return f"failed: {tick.error.message.strip()[:_WORDS_AT_MOST]}"
    if tick.run_ids:
        return f"launched {len(tick.run_ids)} run{'' if len(tick.run_ids) == 1 else 's'}"
    return (tick.skip_reason or "")[:_WORDS_AT_MOST]


def _backtests(instance: dg.DagsterInstance, catalog: Catalog, places: Places) -> Iterator[BacktestRow]:
    from market_data_pipeline.backtest import BacktestSpec

    for name in spec_names(places.specs):
        try:
            spec = BacktestSpec.read(places.specs / f"{name}.yaml")
        except MarketDataError as error:
            yield BacktestRow(name, "", "", f"its spec is wrong: {error}"[:_WORDS_AT_MOST])
            continue
        records = instance.fetch_materializations(dg.AssetRecordsFilter(asset_key=FROM_SPEC, asset_partitions=[name]), limit=1).records
        materialization = records[0].asset_materialization if records else None
        missing = sum(gap.sessions for series in spec.all_series for gap in catalog.gaps(series, spec.start, spec.end))
        waits = f"waits for {missing} missing session{'' if missing == 1 else 's'}" if missing and not spec.allow_gaps else ""
        if materialization is None:
            yield BacktestRow(name, "", "", waits or "not run yet")
            continue
        made = f"{dt.datetime.fromtimestamp(records[0].timestamp, dt.UTC):%Y-%m-%d %H:%M} UTC"
        shown = {key: materialization.metadata[key].value for key in ("summary", STATE) if key in materialization.metadata}
        is_current = shown.get(STATE) == backtest_state(catalog, spec)
        yield BacktestRow(
            name, made, str(shown.get("summary", "")), "up to date" if is_current else waits or "its bars have changed since; it runs again by itself"
        )


def _bars_said(series: Sequence[SeriesState], gap_filler_is_on: bool) -> str:
    stored = [one for one in series if one.is_stored]
    behind = [one for one in stored if one.gaps]
    parts = []
    if behind:
        missing = sum(one.missing for one in behind)
        parts.append(
            f"{len(behind)} of {len(stored)} series {'has' if len(behind) == 1 else 'have'} gaps: {count(missing, 'session')} missing or partial."
        )
        if not gap_filler_is_on:
            parts.append("The sensor gap_filler is off.")
    elif stored:
        parts.append(f"All {len(stored)} stored series are complete up to their newest session.")
    if new := len(series) - len(stored):
        parts.append(f"Of {count(new, 'series', 'series')} nothing is stored yet.")
    return " ".join(parts) or "The watchlist names no series."


def _runs_said(under_way: Sequence[RunRow], failed: Sequence[RunRow]) -> Iterator[str]:
    if under_way:
        yield f"{count(len(under_way), 'run')} under way."
    yield (
        f"{count(len(failed), 'run')} failed in the last 24 hours, the newest: {failed[0].said}" if failed else "No run failed in the last 24 hours."
    )


def _backtests_said(backtests: Sequence[BacktestRow]) -> str:
    if not backtests:
        return "There are no backtest specs."
    current = sum(one.state == "up to date" for one in backtests)
    return f"{current} of {count(len(backtests), 'backtest')} up to date."
