"""The job `load_instrument`: the whole chain for one instrument and range, in one run: definition, sessions, availability, and a backtest.

One asset job cannot mix partitions, so this job is made of ops. They call what the assets call, and show each session at its asset.
"""

# No `from __future__ import annotations`: Dagster reads the annotations of ops as they are.

import datetime as dt
import warnings
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from market_data_pipeline.domain.bar_types import BarSpec, Series
from market_data_pipeline.domain.errors import ConfigurationError, InvalidDate, InvalidPartition, MarketDataError, SessionNotInSource
from market_data_pipeline.domain.sessions import parse_date
from market_data_pipeline.orchestration.availability import describe
from market_data_pipeline.orchestration.backtests import FROM_SPEC, SPECS, run_spec, spec_names
from market_data_pipeline.orchestration.bars import BarsConfig, BarsRun
from market_data_pipeline.orchestration.broker import IbkrResource
from market_data_pipeline.orchestration.checks import evaluate
from market_data_pipeline.orchestration.failures import one_clear_message
from market_data_pipeline.orchestration.instruments import defined, definer
from market_data_pipeline.orchestration.partitions import UniversePartitions, register
from market_data_pipeline.orchestration.resources import BacktestResults, CatalogResource
from market_data_pipeline.watchlist import Watchlist

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dagster._core.definitions.metadata import RawMetadataValue

    from market_data_pipeline.orchestration.materializations import RunContext


JOB = "load_instrument"


class LoadInstrument(dg.Config):
    """What the job `load_instrument` is asked for."""

    instrument: str = Field(description="Instrument id of the watchlist, for example AAPL.NASDAQ.")
    universe: str = Field(default="", description="Its universe; empty is the only one that has it.")
    bars: list[str] = Field(default=[], description="Bar specs, for example 1-MINUTE-LAST; none is all of the universe.")
    start: str = Field(default="", description="First session, YYYY-MM-DD, inclusive; empty is the universe's start.")
    end: str = Field(default="", description="Last session, YYYY-MM-DD, inclusive; empty is the newest that has ended.")
    refetch: bool = Field(default=False, description="Ask again for sessions that are stored whole.")
    backtest: str = Field(default="", description="Name of a spec in backtests/ to run afterwards; empty runs none.")


@dataclass(frozen=True)
class Chain:
    """What a `LoadInstrument` means.

    Attributes:
        partitions: The universe.
        instrument: Instrument id.
        sessions: Sessions of each bar spec, oldest first.
        backtest: Name of a spec, or None.
    """

    partitions: UniversePartitions
    instrument: str
    sessions: dict[str, list[dt.date]]
    backtest: str | None


def chain_of(universes: Sequence[UniversePartitions], specs: Sequence[str], config: LoadInstrument) -> Chain:
    """Return what a configuration means.

    Raises:
        ConfigurationError: If it names no universe, bar spec or backtest that there is.
        InvalidPartition: If the universe does not have the instrument, or no session lies between the dates.
        InvalidDate: If a date is none, or the range runs backwards.
    """
    partitions = _universe_of(universes, config)
    universe = partitions.universe
    if config.backtest and config.backtest not in specs:
        raise ConfigurationError(f"backtest: there is no spec {config.backtest!r} in backtests/. There are: {', '.join(specs) or 'none'}.")
    wanted = sorted([str(BarSpec.parse(text)) for text in config.bars] or universe.bars, key=universe.order_of)
    if unknown := [spec for spec in wanted if spec not in universe.bars]:
        raise ConfigurationError(f"bars: {partitions.name} has no {', '.join(unknown)}. It has {', '.join(universe.bars)}.")
    first = parse_date(config.start) if config.start else universe.start
    last = parse_date(config.end) if config.end else dt.date.max
    if last < first:
        raise InvalidDate(f"The range runs backwards: start {first} lies after end {last}.")
    sessions = {spec: _sessions(partitions, spec, first, last) for spec in wanted}
    if not any(sessions.values()):
        held = f"{universe.start} to {universe.last_session(wanted[0]) or 'none yet'}"
        raise InvalidPartition(f"No session of {partitions.name} lies between {first} and {config.end or 'now'}. It holds sessions from {held}.")
    return Chain(partitions, config.instrument, {spec: dates for spec, dates in sessions.items() if dates}, config.backtest or None)


def _sessions(partitions: UniversePartitions, spec: str, first: dt.date, last: dt.date) -> list[dt.date]:
    newest = partitions.universe.last_session(spec)
    if newest is None:
        return []
    return partitions.universe.partitions(spec).dates_between(max(first, partitions.universe.start), min(last, newest))


def _universe_of(universes: Sequence[UniversePartitions], config: LoadInstrument) -> UniversePartitions:
    names = ", ".join(partitions.name for partitions in universes)
    if config.universe and not any(partitions.name == config.universe for partitions in universes):
        raise ConfigurationError(f"universe: the watchlist has no {config.universe!r}. It has {names}.")
    candidates = [partitions for partitions in universes if config.universe in ("", partitions.name)]
    having = [partitions for partitions in candidates if config.instrument in partitions.universe.instruments]
    if not having:
        where = f"the universe {config.universe}" if config.universe else f"the universes {names}"
        raise InvalidPartition(
            f"{config.instrument!r} is no instrument of {where}. Add it to the watchlist (mdp watchlist add), or correct the configuration."
        )
    if len(having) > 1:
        raise ConfigurationError(f"{config.instrument} is in several universes: {', '.join(one.name for one in having)}. Say which: universe.")
    return having[0]


def load_instrument_job(watchlist: Watchlist, universes: Sequence[UniversePartitions], specs: Path) -> dg.JobDefinition:
    """Make the job `load_instrument`."""

    def meant(config: LoadInstrument) -> Chain:
        return chain_of(universes, spec_names(specs), config)

    @dg.op(description="Stores the instrument's definition. Says first whether all that was asked for can be meant.")
    def definition(context: dg.OpExecutionContext, config: LoadInstrument, catalog: CatalogResource, ibkr: IbkrResource) -> str:
        with one_clear_message(), ibkr.for_run() as gateway:
            chain = meant(config)
            chain.partitions.register(context.instance)
            store = catalog.open()
            facts = defined(context, store, definer(store, watchlist, chain.partitions, gateway), chain.instrument)
            context.log_event(_shown([chain.partitions.name, "instruments"], chain.instrument, facts))
            return facts["outcome"]

    @dg.op(description="Stores the sessions that are not stored whole. What cannot be had is told at the end; what is stored stays.")
    def sessions(
        context: dg.OpExecutionContext, config: LoadInstrument, catalog: CatalogResource, ibkr: IbkrResource, definition: str
    ) -> dg.Output[list[str]]:
        with one_clear_message(), ibkr.for_run() as gateway:
            chain = meant(config)
            store, results = catalog.open(), []
            failures: list[str] = []
            for spec, dates in chain.sessions.items():
                run = BarsRun(context, BarsConfig(refetch=config.refetch), store, gateway, watchlist, chain.partitions, spec, len(dates))
                with _noted(context, failures):
                    run.load_or_note(chain.instrument, dates, alone=True)
                run.tell_result()
                results.append((Series.of(chain.instrument, spec), run.result()))
                for check in evaluate(store, chain.partitions, spec, {chain.instrument: dates}):
                    _tell(context, _evaluation(check, chain.partitions, spec))
                with _noted(context, failures):
                    run.fail_if_incomplete()
            return dg.Output(failures, metadata=_sum(results))

    @dg.op(description="Says what is stored of the instrument now, and what is missing.")
    def availability(context: dg.OpExecutionContext, config: LoadInstrument, catalog: CatalogResource, sessions: list[str]) -> list[str]:
        with one_clear_message():
            chain = meant(config)
            facts = describe(catalog.open(), chain.partitions, chain.instrument)
            context.log_event(_shown([chain.partitions.name, "availability"], chain.instrument, facts))
            return sessions

    @dg.op(description="Fails where sessions could not be had; else runs the backtest, if one is named.")
    def outcome(
        context: dg.OpExecutionContext, config: LoadInstrument, catalog: CatalogResource, results: BacktestResults, availability: list[str]
    ) -> None:
        with one_clear_message():
            if availability:
                raise SessionNotInSource("\n".join(availability))
            chain = meant(config)
            if chain.backtest is None:
                context.log.info("No backtest was asked for.")
                return
            from market_data_pipeline.backtest import BacktestSpec

            register(context.instance, SPECS, [chain.backtest])
            facts = run_spec(context, catalog.open(), BacktestSpec.read(specs / f"{chain.backtest}.yaml"), results, watchlist)
            context.log_event(_shown(FROM_SPEC.path, chain.backtest, facts))

    @dg.config_mapping
    def same_for_all(config: LoadInstrument) -> dg.RunConfig:
        return dg.RunConfig(ops=dict.fromkeys(("definition", "sessions", "availability", "outcome"), config))

    @dg.job(
        name=JOB,
        config=same_for_all,
        description=(
            "The whole chain for one instrument and range, in one run: its definition, its sessions, its availability, and a backtest if one is "
            'named. Configuration: {"instrument": "AAPL.NASDAQ", "start": "2024-01-02", "end": "2024-01-31"}.'
        ),
    )
    def load_instrument() -> None:
        outcome(availability(sessions(definition())))

    return load_instrument


@contextmanager
def _noted(context: "RunContext", failures: list[str]) -> "Iterator[None]":
    """Note an error that is meant for a person, and go on."""
    try:
        yield
    except MarketDataError as error:
        context.log.warning(str(error))
        failures.append(str(error))


def _tell(context: dg.OpExecutionContext, evaluation: dg.AssetCheckEvaluation) -> None:
    """Record a check. Dagster's storage uses a deprecated function where a check was not planned, which no op can do."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.log_event(evaluation)  # type: ignore[arg-type]  # it takes them; its type is older


def _shown(key: Sequence[str], partition: str, metadata: dict[str, Any]) -> dg.AssetMaterialization:
    return dg.AssetMaterialization(asset_key=dg.AssetKey(list(key)), partition=partition, metadata=metadata)


def _evaluation(check: dg.AssetCheckResult, partitions: UniversePartitions, spec: str) -> dg.AssetCheckEvaluation:
    from market_data_pipeline.orchestration.bars import bars_key
    from market_data_pipeline.orchestration.checks import blocking_specs

    key = bars_key(partitions.name, spec)
    name = str(check.check_name)
    return dg.AssetCheckEvaluation(
        asset_key=key,
        check_name=name,
        passed=check.passed,
        severity=check.severity,
        metadata=check.metadata,
        description=check.description,
        blocking=any(one.name == name for one in blocking_specs(key)),
    )


def _sum(results: "Sequence[tuple[Series, dict[str, RawMetadataValue]]]") -> "dict[str, RawMetadataValue]":
    """Return the fields of a load's result over all series; failed segments of each under its own name where there are several."""
    total: dict[str, RawMetadataValue] = {}
    for series, fields in results:
        for name, value in fields.items():
            before = total.get(name)
            if before is None:
                total[name] = value
            elif isinstance(value, int) and isinstance(before, int):
                total[name] = before + value
            else:
                total[f"{name} of {series}"] = value
    return total
