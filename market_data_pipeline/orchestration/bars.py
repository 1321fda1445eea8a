"""The bars asset of a universe and bar spec: one partition a session and instrument, whole ranges in one run."""

# No `from __future__ import annotations`: Dagster reads the annotations of assets as they are.

import datetime as dt
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING

import dagster as dg

from market_data_pipeline.catalog import Catalog, SessionRow
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.errors import SessionNotInSource
from market_data_pipeline.domain.source import SessionFailure, SourceNews
from market_data_pipeline.ingest.instruments import stored_or_defined
from market_data_pipeline.ingest.load import LoadEvent, LoadReport, Planned, Refetch, Stored, load
from market_data_pipeline.orchestration.beta import beta_parameters
from market_data_pipeline.orchestration.checks import check_specs, evaluate
from market_data_pipeline.orchestration.failures import one_clear_message
from market_data_pipeline.orchestration.materializations import Materializations
from market_data_pipeline.orchestration.metadata import BAR_COLUMNS, picture_of_closes, session_metadata
from market_data_pipeline.orchestration.partitions import UniversePartitions, asked_sessions
from market_data_pipeline.orchestration.resources import CatalogResource
from market_data_pipeline.orchestration.sources import source_of
from market_data_pipeline.watchlist import Watchlist

if TYPE_CHECKING:
    from dagster._core.definitions.metadata import RawMetadataValue

_SECONDS_BETWEEN_LINES = 2.0
# A picture of each session is for a person who made a few of them, not for a backfill of years.
_PICTURES_AT_MOST = 3


class BarsConfig(dg.Config):
    """How to materialise bars.

    Attributes:
        refetch: Ask again for sessions that are stored whole, and put the answer in their place.
        wait_s: Seconds to wait for another process that writes the same series.
    """

    refetch: bool = False
    wait_s: float = 60.0


def bars_key(name: str, spec: str) -> dg.AssetKey:
    """Return the asset key of a universe's bars: `us_equities/bars_1_minute_last`."""
    return dg.AssetKey([name, f"bars_{spec.lower().replace('-', '_')}"])


def bars_asset(watchlist: Watchlist, partitions: UniversePartitions, spec: str) -> dg.AssetsDefinition:
    """Make the bars asset of a universe and bar spec."""
    key = bars_key(partitions.name, spec)
    universe = partitions.universe
    with beta_parameters():

        @dg.asset(
            key=key,
            partitions_def=partitions.bars(spec),
            deps=[dg.AssetKey([partitions.name, "instruments"])],
            check_specs=check_specs(key),
            output_required=False,
            backfill_policy=dg.BackfillPolicy.single_run(),
            group_name=partitions.name,
            kinds={"parquet", "nautilus", "csv"},
            owners=["team:market-data"],
            description=(
                f"Bars {spec} of {len(universe.instruments)} instruments by the calendar {universe.calendar}, from {universe.source.csv}. "
                "One partition is one session of one instrument. What is stored whole is not asked for again; a range of sessions is one run, "
                "and each session is stored, and shown here, as soon as it is whole."
            ),
            metadata={"dagster/column_schema": BAR_COLUMNS, "bar_spec": spec, "calendar": universe.calendar},
        )
        def bars(context: dg.AssetExecutionContext, config: BarsConfig, catalog: CatalogResource) -> Iterator[dg.AssetCheckResult]:
            with one_clear_message():
                asked = asked_sessions(context, partitions, spec)
                run = _BarsRun(context, config, catalog.open(), watchlist, partitions, spec, sum(map(len, asked.values())))
                for instrument, sessions in asked.items():
                    run.load(instrument, sessions)
                yield from evaluate(run.catalog, partitions, spec, asked)
                run.fail_if_incomplete()

    return bars


class _BarsRun:
    """One run of a bars asset: what it was asked, said and could not have."""

    def __init__(
        self,
        context: dg.AssetExecutionContext,
        config: BarsConfig,
        catalog: Catalog,
        watchlist: Watchlist,
        partitions: UniversePartitions,
        spec: str,
        sessions: int,
    ) -> None:
        self._context, self._config, self.catalog, self._watchlist = context, config, catalog, watchlist
        self._partitions, self._spec, self._sessions = partitions, spec, sessions
        self._failures: list[tuple[str, SessionFailure]] = []
        self._shown = Materializations(context)
        self._said_at = 0.0

    def load(self, instrument: str, sessions: Sequence[dt.date]) -> None:
        """Fill the sessions of one instrument and show each as it is stored."""
        series = Series.of(instrument, self._spec)
        precision = stored_or_defined(self.catalog, instrument, lambda: self._watchlist.definitions)
        refetch = Refetch.YES if self._config.refetch else Refetch.NO
        with source_of(self._watchlist, self._partitions.universe, series, self.catalog) as source:
            steps = load(self.catalog, source, series, precision, sessions, refetch=refetch, wait_s=self._config.wait_s)
            # Closed here and not by chance later: a run that is cancelled still brings the ledger up to date.
            with closing(steps):
                try:
                    report = self._follow(series, steps)
                finally:
                    self._shown.tell()
        self._context.log.info(
            f"{series}: {report.segments_fetched} sessions stored with {report.fetched_bars:,} bars, {report.cached_before} were stored before, "
            f"{len(report.failed_segments)} could not be had, in {report.seconds:.1f} s."
        )
        for line in report.quarantined:
            self._context.log.warning(f"{series}: a bad file was moved to quarantine: {line}")

    def _follow(self, series: Series, steps: Generator[LoadEvent, None, LoadReport]) -> LoadReport:
        while True:
            try:
                self._tell(series, next(steps))
            except StopIteration as end:
                report: LoadReport = end.value
                return report

    def _tell(self, series: Series, event: LoadEvent) -> None:
        if isinstance(event, Planned):
            self._context.log.info(
                f"{series}: {event.plan.sessions} sessions to get with {event.plan.requests} requests; {len(event.cached)} are stored whole already."
            )
            for row in event.cached:
                self._show(series, row, {"outcome": "stored before"})
        elif isinstance(event, Stored):
            self._show(series, event.row, {"outcome": "stored now"})
            if time.monotonic() - self._said_at > _SECONDS_BETWEEN_LINES:
                self._said_at = time.monotonic()
                self._context.log.info(
                    f"{series}: {event.done} of {event.of} sessions ({event.done / event.of:.0%}), about {event.seconds_left:.0f} s left; "
                    f"{event.row.session} has {event.row.rows:,} bars, {event.row.coverage}."
                )
        elif isinstance(event, SourceNews):
            self._shown.tell()
            self._context.log.info(f"{series}: {event.message}")
        else:
            self._failures.append((series.instrument_id, event))

    def _show(self, series: Series, row: SessionRow, more: Mapping[str, str]) -> None:
        picture: dict[str, RawMetadataValue] = {}
        if self._sessions <= _PICTURES_AT_MOST and row.rows:
            picture = {"closes": picture_of_closes(self.catalog, series, row.session)}
        self._shown.add(
            dg.AssetMaterialization(
                asset_key=bars_key(self._partitions.name, self._spec),
                partition=dg.MultiPartitionKey({"date": str(row.session), "instrument": series.instrument_id}),
                metadata={**session_metadata(row), **more, **picture},
            )
        )

    def fail_if_incomplete(self) -> None:
        """Fail the run where sessions could not be had; what was stored stays, and is shown.

        Raises:
            SessionNotInSource: With the first few sessions and their reasons.
        """
        if not self._failures:
            return
        lines = [f"{instrument} {failure.session}: {failure.reason}" for instrument, failure in self._failures[:5]]
        more = f" … and {len(self._failures) - 5} more." if len(self._failures) > 5 else ""
        stored = self._sessions - len(self._failures)
        raise SessionNotInSource(
            f"{len(self._failures)} of {self._sessions} sessions could not be had; {stored} are stored and stay. {'; '.join(lines)}{more} "
            "Mend the source and materialise the missing partitions again: only they are asked for."
        )
