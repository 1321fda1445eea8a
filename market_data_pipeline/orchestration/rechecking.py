"""The job `recheck`, and its weekly schedule: the broker is asked again for the newest stored sessions, and what changed is noted and stored."""

# No `from __future__ import annotations`: Dagster reads the annotations of ops as they are.

import warnings
from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from market_data_pipeline.domain.bar_types import BarSpec, Series
from market_data_pipeline.domain.errors import ConfigurationError, MarketDataError, NotStored, SessionNotInSource, SourceUnavailable
from market_data_pipeline.domain.source import SourceNews
from market_data_pipeline.domain.words import count
from market_data_pipeline.orchestration.bars import bars_key, hear, session_materialization
from market_data_pipeline.orchestration.broker import IbkrResource
from market_data_pipeline.orchestration.failures import one_clear_message
from market_data_pipeline.orchestration.materializations import Materializations
from market_data_pipeline.orchestration.partitions import UniversePartitions
from market_data_pipeline.orchestration.resources import CatalogResource
from market_data_pipeline.orchestration.revised import evaluate_revised, is_asked_of_the_broker
from market_data_pipeline.orchestration.weekly import weekly_schedule

if TYPE_CHECKING:
    from market_data_pipeline.catalog import Catalog
    from market_data_pipeline.ingest.recheck import RecheckReport
    from market_data_pipeline.sources.ibkr import IbkrGateway

JOB = "recheck"
SCHEDULE = "weekly_recheck"
# Saturday noon in New York: stocks and currencies rest, and the week's corrections are in.
_WEEKLY, _ZONE = "0 12 * * 6", "America/New_York"


class Recheck(dg.Config):
    """What the job `recheck` is asked for."""

    sessions: int = Field(default=5, ge=1, le=500, description="How many of the newest whole sessions of each series are asked for again.")
    universes: list[str] = Field(default=[], description="Names of universes; none is all whose bars come from the broker.")
    instruments: list[str] = Field(default=[], description="Instrument ids; none is all of these universes.")
    bars: list[str] = Field(default=[], description="Bar specs, for example 1-DAY-LAST; none is all of these universes.")


def orders_of(universes: Sequence[UniversePartitions], config: Recheck) -> list[tuple[UniversePartitions, str, Series]]:
    """Return the series that a configuration means, with universe and bar spec.

    Raises:
        ConfigurationError: If it names something that no universe of the broker has, or means no series.
    """
    asking = [one for one in universes if any(is_asked_of_the_broker(one, spec) for spec in one.universe.bars)]
    names = [one.name for one in asking]
    if unknown := sorted(set(config.universes) - set(names)):
        raise ConfigurationError(f"universes: {', '.join(unknown)} asks no broker. Those that do: {', '.join(names) or 'none'}.")
    specs = {str(BarSpec.parse(text)) for text in config.bars}
    found = [
        (one, spec, series)
        for one in asking
        if not config.universes or one.name in config.universes
        for spec in one.universe.bars
        if is_asked_of_the_broker(one, spec) and (not specs or spec in specs)
        for series in one.universe.series(spec)
        if not config.instruments or series.instrument_id in config.instruments
    ]
    if config.instruments or config.bars:
        missing = sorted(set(config.instruments) - {series.instrument_id for _, _, series in found}) + sorted(specs - {spec for _, spec, _ in found})
        if missing:
            raise ConfigurationError(f"No universe that asks the broker has {', '.join(missing)}. Correct the configuration, or the watchlist.")
    return found


def recheck_job(universes: Sequence[UniversePartitions]) -> dg.JobDefinition:
    """Make the job `recheck`."""

    @dg.op(description="Asks again for the newest stored sessions of each series, notes what changed, and stores it.")
    def rechecked(context: dg.OpExecutionContext, config: Recheck, catalog: CatalogResource, ibkr: IbkrResource) -> None:
        with one_clear_message(), ibkr.for_run() as gateway:
            orders, store, failures = orders_of(universes, config), catalog.open(), list[str]()
            if not orders:
                context.log.info("No universe of the watchlist asks the broker.")
                return
            for partitions, spec, series in orders:
                try:
                    failures += _one(context, store, gateway(), partitions, spec, series, config.sessions)
                except NotStored as nothing:
                    context.log.info(str(nothing))
                except SourceUnavailable:
                    raise
                except MarketDataError as error:
                    context.log.warning(f"{series}: {error}")
                    failures.append(f"{series}: {error}")
            for partitions, spec in dict.fromkeys((one, spec) for one, spec, _ in orders):
                _tell(context, partitions, spec, evaluate_revised(store, partitions, spec))
            if failures:
                raise SessionNotInSource("; ".join(failures[:5]) + (f" … and {len(failures) - 5} more." if len(failures) > 5 else ""))

    @dg.job(
        name=JOB,
        description=(
            "Asks the broker again for the newest stored sessions and compares bar by bar: corrected bars are stored, their old values noted; where "
            'a split divided all prices nothing is stored, and the check revised warns. Configuration: {"sessions": 5, "universes": ["us_equities"]}.'
        ),
        config=dg.RunConfig(ops={"rechecked": Recheck()}),
    )
    def recheck() -> None:
        rechecked()

    return recheck


def recheck_schedule(job: dg.JobDefinition) -> dg.ScheduleDefinition:
    """Make the schedule `weekly_recheck`, off by default: it needs a broker."""
    return weekly_schedule(
        SCHEDULE,
        job,
        _WEEKLY,
        _ZONE,
        "Asks again for the five newest stored sessions of each series of the broker, on Saturdays at noon in New York.",
    )


def _one(
    context: dg.OpExecutionContext, store: "Catalog", gateway: "IbkrGateway", partitions: UniversePartitions, spec: str, series: Series, sessions: int
) -> list[str]:
    """Recheck one series; return what failed of it, in words."""
    from market_data_pipeline.ingest.recheck import RecheckOrder, recheck

    shown = Materializations(context)
    steps = recheck(store, gateway, RecheckOrder(series, sessions), wait_s=60)
    with closing(steps):
        while True:
            try:
                event = next(steps)
            except StopIteration as end:
                report: RecheckReport = end.value
                break
            if isinstance(event, SourceNews):
                hear(context, shown, series, event)
    bars = sum(one.bars for one in report.sessions)
    what = f": {count(bars, 'bar')} in {count(len(report.sessions), 'session')}" if bars else ""
    context.log.info(f"{series}: {count(report.compared, 'session')} compared, {report.found}{what}.")
    if report.file is not None:
        changed = {one.session for one in report.sessions}
        for row in store.sessions(series, min(changed), max(changed)):
            if row.session in changed:
                shown.add(session_materialization(bars_key(partitions.name, spec), series, row, {"outcome": "revised"}))
        shown.tell()
    return [f"{series} {failure.session}: {failure.reason}" for failure in report.failed]


def _tell(context: dg.OpExecutionContext, partitions: UniversePartitions, spec: str, result: dg.AssetCheckResult) -> None:
    """Record the check. Dagster's storage uses a deprecated function where a check was not planned, which no op can do."""
    evaluation = dg.AssetCheckEvaluation(
        asset_key=bars_key(partitions.name, spec),
        check_name=str(result.check_name),
        passed=result.passed,
        severity=result.severity,
        metadata=result.metadata,
        description=result.description,
        blocking=False,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.log_event(evaluation)  # type: ignore[arg-type]  # it takes them; its type is older
