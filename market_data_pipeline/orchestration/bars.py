"""The bars asset of a universe and bar spec: one partition a session and instrument, whole ranges in one run."""

# No `from __future__ import annotations`: Dagster reads the annotations of assets as they are.

import datetime as dt
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import groupby
from typing import TYPE_CHECKING

import dagster as dg
import numpy as np
from pydantic import Field

from market_data_pipeline.catalog import Catalog, SessionRow
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.errors import MarketDataError, SessionNotInSource, SourceUnavailable
from market_data_pipeline.domain.source import NewsKind, Precision, SessionFailure, SourceNews
from market_data_pipeline.domain.words import agreeing, count
from market_data_pipeline.ingest.load import LoadEvent, LoadReport, Planned, Refetch, Stored, load
from market_data_pipeline.orchestration.beta import beta_parameters
from market_data_pipeline.orchestration.broker import IbkrResource
from market_data_pipeline.orchestration.checks import check_specs, evaluate
from market_data_pipeline.orchestration.failures import one_clear_message
from market_data_pipeline.orchestration.job_names import bars_name
from market_data_pipeline.orchestration.materializations import Materializations, RunContext
from market_data_pipeline.orchestration.metadata import BAR_COLUMNS, picture_of_closes, session_metadata
from market_data_pipeline.orchestration.partitions import UniversePartitions, asked_sessions
from market_data_pipeline.orchestration.resources import CatalogResource
from market_data_pipeline.orchestration.sources import source_of
from market_data_pipeline.watchlist import Universe, Watchlist

if TYPE_CHECKING:
    from dagster._core.definitions.metadata import RawMetadataValue

    from market_data_pipeline.sources.ibkr import IbkrGateway

_SECONDS_BETWEEN_LINES = 2.0
_SECONDS_WORTH_TELLING = 60
_WAIT_WORTH_TELLING = 5.0
# A picture of each session is for a person who made a few of them, not for a backfill of years.
_PICTURES_AT_MOST = 3
_REASONS_SHOWN = 5
_FAILURES_SHOWN = 500


class BarsConfig(dg.Config):
    """How to materialise bars."""

    refetch: bool = Field(default=False, description="Ask again for sessions that are stored whole, and put the answer in their place.")
    wait_s: float = Field(default=60.0, description="Seconds to wait for another process that writes the same series.")


def bars_key(name: str, spec: str) -> dg.AssetKey:
    """Return the asset key of a universe's bars: `us_equities/bars_1_minute_last`."""
    return dg.AssetKey([name, bars_name(spec)])


def bars_key_of(watchlist: Watchlist, series: Series) -> dg.AssetKey | None:
    """Return the asset key of the first universe that has a series, or None."""
    spec = str(series.spec)
    wanted = (name for name, universe in watchlist.universes.items() if series.instrument_id in universe.instruments and spec in universe.bars)
    name = next(wanted, None)
    return None if name is None else bars_key(name, spec)


def session_materialization(key: dg.AssetKey, series: Series, row: SessionRow, more: "Mapping[str, RawMetadataValue]") -> dg.AssetMaterialization:
    """Return what the page shows of a stored session."""
    partition = dg.MultiPartitionKey({"date": str(row.session), "instrument": series.instrument_id})
    said = f"{series.instrument_id} {row.session}: {count(row.rows, 'bar')}, {row.coverage}."
    return dg.AssetMaterialization(asset_key=key, partition=partition, description=said, metadata={**session_metadata(row), **more})


def hear(context: RunContext, shown: Materializations, series: Series, news: SourceNews) -> None:
    """Log what a person who waits should know: not each request, and no wait that is over before it is read."""
    if news.wait_s >= _SECONDS_BETWEEN_LINES:
        shown.tell()
    shown.tell_in_time()
    if news.kind is NewsKind.ASKED or (news.kind is NewsKind.WAITING and news.wait_s < _WAIT_WORTH_TELLING):
        return
    left = f" About {news.seconds_left:.0f} s left." if news.seconds_left else ""
    context.log.info(f"{series}: {news.message}{left}")


def bars_asset(watchlist: Watchlist, partitions: UniversePartitions, spec: str) -> dg.AssetsDefinition:
    """Make the bars asset of a universe and bar spec."""
    key = bars_key(partitions.name, spec)
    universe = partitions.universe
    finer = universe.derived.get(spec)
    origin = f"derived from {finer}" if finer else f"from {universe.files.csv if universe.files is not None else 'Interactive Brokers'}"
    upstream = dg.AssetDep(bars_key(partitions.name, finer), partition_mapping=_mapping(universe, spec, finer)) if finer else None
    with beta_parameters():

        @dg.asset(
            key=key,
            partitions_def=partitions.bars(spec),
            deps=[dg.AssetKey([partitions.name, "instruments"]), *([upstream] if upstream else [])],
            check_specs=check_specs(key, partitions, spec),
            output_required=False,
            backfill_policy=dg.BackfillPolicy.single_run(),
            group_name=partitions.name,
            kinds={"parquet", "nautilus", *([] if finer else ["csv" if universe.files else "ibkr"])},
            owners=["team:market-data"],
            description=(
                f"Bars {spec} of {len(universe.instruments)} instruments by the calendar {universe.calendar}, {origin}. "
                "One partition is one session of one instrument. What is stored whole is not asked for again; a range of sessions is one run, "
                "and each session is stored, and shown here, as soon as it is whole."
            ),
            metadata={"dagster/column_schema": BAR_COLUMNS, "bar_spec": spec, "calendar": universe.calendar},
        )
        def bars(
            context: dg.AssetExecutionContext, config: BarsConfig, catalog: CatalogResource, ibkr: IbkrResource
        ) -> Iterator[dg.AssetCheckResult]:
            with one_clear_message(), ibkr.for_run() as gateway:
                asked = asked_sessions(context, partitions, spec)
                run = BarsRun(context, config, catalog.open(), gateway, watchlist, partitions, spec, sum(map(len, asked.values())))
                try:
                    for instrument, sessions in asked.items():
                        run.load_or_note(instrument, sessions, alone=len(asked) == 1)
                finally:
                    run.tell_result()
                yield from evaluate(run.catalog, partitions, spec, asked)
                run.fail_if_incomplete()

    return bars


def _mapping(universe: Universe, spec: str, finer: str) -> dg.PartitionMapping:
    """Return which finer partitions a derived one is made of: the same session, or those of its week or month, which Dagster need not know."""
    same = np.array_equal(universe.partitions(spec).days, universe.partitions(finer).days)
    return dg.IdentityPartitionMapping() if same else dg.AllPartitionMapping()


class BarsRun:
    """One run of a bars asset: what it was asked, said and could not have."""

    def __init__(
        self,
        context: RunContext,
        config: BarsConfig,
        catalog: Catalog,
        gateway: "Callable[[], IbkrGateway]",
        watchlist: Watchlist,
        partitions: UniversePartitions,
        spec: str,
        sessions: int,
    ) -> None:
        self._context, self._config, self.catalog, self._gateway, self._watchlist = context, config, catalog, gateway, watchlist
        self._partitions, self._spec, self._sessions = partitions, spec, sessions
        self._failures: list[tuple[str, SessionFailure]] = []
        self._reports: list[LoadReport] = []
        self._shown = Materializations(context)
        self._said_at, self._began, self._bars, self._stored = 0.0, time.monotonic(), 0, 0

    def load_or_note(self, instrument: str, sessions: Sequence[dt.date], *, alone: bool) -> None:
        """Fill the sessions of one instrument; where it cannot be had, others go on.

        Raises:
            MarketDataError: If it is the only one of the run, or nobody is there to ask for the others either.
        """
        try:
            self._load(instrument, sessions)
        except MarketDataError as error:
            nobody_there = isinstance(error, SourceUnavailable) and self._partitions.universe.files is None
            if alone or nobody_there:
                raise
            self._context.log.warning(f"{instrument}: {error}")
            self._failures += [(instrument, SessionFailure(session, str(error))) for session in sessions]

    def _load(self, instrument: str, sessions: Sequence[dt.date]) -> None:
        """Fill the sessions of one instrument and show each as it is stored."""
        series = Series.of(instrument, self._spec)
        refetch = Refetch.YES if self._config.refetch else Refetch.NO
        with source_of(self._watchlist, self._partitions.universe, series, self.catalog, self._gateway) as opened:
            steps = load(
                self.catalog, opened.source, series, opened.precision, sessions, refetch=refetch, again=opened.stale, wait_s=self._config.wait_s
            )
            # Closed here and not by chance later: a run that is cancelled still brings the ledger up to date.
            with closing(steps):
                try:
                    report = self._follow(series, steps, opened.precision)
                except dg.DagsterExecutionInterruptedError:
                    stored = count(self._stored, "session")
                    self._context.log.info(f"{series}: stopped. What was stored in this run stays: {stored}. The same again asks only for the rest.")
                    raise
                finally:
                    self._shown.tell()
        self._reports.append(report)
        self._context.log.info(
            f"{series}: {count(report.segments_fetched, 'session')} stored with {count(report.fetched_bars, 'bar')}, "
            f"{report.cached_before:,} {agreeing(report.cached_before, 'was', 'were')} stored before, "
            f"{len(report.failed_segments)} could not be had, in {report.seconds:.1f} s."
        )
        for line in report.quarantined:
            self._context.log.warning(f"{series}: a bad file was moved to quarantine: {line}")

    def _follow(self, series: Series, steps: Generator[LoadEvent, None, LoadReport], precision: Precision) -> LoadReport:
        while True:
            try:
                self._tell(series, next(steps), precision)
            except StopIteration as end:
                report: LoadReport = end.value
                return report

    def _tell(self, series: Series, event: LoadEvent, precision: Precision) -> None:
        if isinstance(event, Planned):
            takes = f", at most about {event.plan.seconds / 60:.0f} min at IBKR's rate" if event.plan.seconds >= _SECONDS_WORTH_TELLING else ""
            self._context.log.info(
                f"{series}: {count(event.plan.sessions, 'session')} to get with {count(event.plan.requests, 'request')}{takes}; "
                f"stored whole already: {len(event.cached)}."
            )
            for row in event.cached:
                self._show(series, row, {"outcome": "stored before"}, precision)
        elif isinstance(event, Stored):
            self._bars += event.row.rows
            self._stored += 1
            self._show(series, event.row, {"outcome": "stored now"}, precision)
            if time.monotonic() - self._said_at > _SECONDS_BETWEEN_LINES:
                self._said_at = time.monotonic()
                rate = self._bars / max(self._said_at - self._began, 0.001)
                self._context.log.info(
                    f"{series}: {event.done} of {event.of} sessions ({event.done / event.of:.0%}), {rate:,.0f} bars/s, "
                    f"about {event.seconds_left:.0f} s left; {event.row.session} has {count(event.row.rows, 'bar')}, {event.row.coverage}."
                )
        elif isinstance(event, SourceNews):
            hear(self._context, self._shown, series, event)
        else:
            self._failures.append((series.instrument_id, event))

    def _show(self, series: Series, row: SessionRow, more: Mapping[str, str], precision: Precision) -> None:
        picture: dict[str, RawMetadataValue] = {}
        if self._sessions <= _PICTURES_AT_MOST and row.rows:
            picture = {"closes": picture_of_closes(self.catalog, series, row.session, precision)}
        key = bars_key(self._partitions.name, self._spec)
        self._shown.add(session_materialization(key, series, row, {**more, **picture}))

    def result(self) -> "dict[str, RawMetadataValue]":
        """Return the fields of the result of this run's loads, as `mdp load --json` names them."""
        names = ("fetched_bars", "gaps_analyzed", "segments_fetched", "requests_made", "cached_before")
        return {name: sum(getattr(report, name) for report in self._reports) for name in names} | {"failed_segments": self._failed_segments()}

    def _failed_segments(self) -> dg.TableMetadataValue:
        records = [
            dg.TableRecord({"instrument": instrument, "session": str(failure.session), "reason": failure.reason})
            for instrument, failure in self._failures[:_FAILURES_SHOWN]
        ]
        return dg.MetadataValue.table(records, schema=dg.TableSchema([dg.TableColumn(name) for name in ("instrument", "session", "reason")]))

    def tell_result(self) -> None:
        """Show the result beside the sessions, on the page of the bars and in the events of the run."""
        key = bars_key(self._partitions.name, self._spec)
        self._context.log_event(dg.AssetObservation(asset_key=key, description="What this run asked for and stored.", metadata=self.result()))

    @property
    def failed(self) -> int:
        """How many sessions could not be had."""
        return len(self._failures)

    def fail_if_incomplete(self) -> None:
        """Fail the run where sessions could not be had; what was stored stays, and is shown.

        Raises:
            SessionNotInSource: With the first few sessions and their reasons.
        """
        if not self._failures:
            return
        lines = []
        for (instrument, reason), group in groupby(self._failures, key=lambda one: (one[0], one[1].reason)):
            sessions = [failure.session for _, failure in group]
            when = f"{sessions[0]}" if len(sessions) == 1 else f"{sessions[0]} to {sessions[-1]} ({len(sessions)} sessions)"
            lines.append(f"{instrument} {when}: {reason}")
        more = f" … and {len(lines) - _REASONS_SHOWN} more." if len(lines) > _REASONS_SHOWN else ""
        stored = self._sessions - len(self._failures)
        reasons = "; ".join(lines[:_REASONS_SHOWN]) + more
        raise SessionNotInSource(
            f"{len(self._failures)} of {count(self._sessions, 'session')} could not be had; {stored} "
            f"{agreeing(stored, 'is stored and stays', 'are stored and stay')}. {reasons} "
            "Mend the source and materialise the missing partitions again: only they are asked for."
        )
