"""The job `compact`: session files of closed months become one file each, and its weekly schedule."""

# No `from __future__ import annotations`: Dagster reads the annotations of ops as they are.

import time
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from market_data_pipeline.orchestration.failures import one_clear_message
from market_data_pipeline.orchestration.resources import CatalogResource
from market_data_pipeline.orchestration.weekly import weekly_schedule

if TYPE_CHECKING:
    from dagster._core.definitions.metadata import RawMetadataValue

    from market_data_pipeline.catalog.compaction import Compacted
    from market_data_pipeline.ingest.compact import CompactionReport, CompactionStep

JOB, SCHEDULE = "compact", "weekly_compaction"
_SUNDAY_MORNING = "0 6 * * 0"
_SECONDS_BETWEEN_LINES = 10.0


class CompactConfig(dg.Config):
    """What the job `compact` is asked for."""

    series: list[str] = Field(default_factory=list, description="Bar types, for example AAPL.NASDAQ-1-MINUTE-LAST-EXTERNAL; none is all.")
    undo: bool = Field(default=False, description="Give each session a file of its own again.")
    dry_run: bool = Field(default=False, description="Say what would be done, change nothing.")
    wait_s: float = Field(default=10.0, description="Seconds to wait for another process that writes a series; then it is passed over.")


def compact_job() -> dg.JobDefinition:
    """Make the job `compact`. A series that is written or read is passed over; the run fails where one is damaged or the file system refuses."""

    @dg.op(description="Joins the session files of months that are over, series by series; values, coverage and fingerprints stay as they are.")
    def join_files(context: dg.OpExecutionContext, config: CompactConfig, catalog: CatalogResource) -> None:
        with one_clear_message():
            from market_data_pipeline.catalog.compaction import Direction
            from market_data_pipeline.domain.bar_types import Series
            from market_data_pipeline.ingest.compact import compact_series, refuse_failed, reported
            from market_data_pipeline.ingest.import_csv import Run

            store = catalog.open()
            series = [Series.parse(name) for name in config.series] or store.series()
            direction, run = Direction.UNDO if config.undo else Direction.JOIN, Run.DRY if config.dry_run else Run.STORE
            hearing = _Hearing(context)
            report = reported(compact_series(store, series, direction, run=run, wait_s=config.wait_s), direction, run, hearing.hear)
            context.add_output_metadata(metadata_of(report))
            refuse_failed(report)

    @dg.config_mapping
    def as_options(config: CompactConfig) -> dg.RunConfig:
        return dg.RunConfig(ops={"join_files": config})

    @dg.job(
        name=JOB,
        config=as_options,
        description=(
            "Join the session files of months that are over into one file each, and those of years of day bars: Nautilus reads them several times "
            "faster. Safe to repeat, and to undo. Runs that write or read a series are left in peace: it is passed over and told."
        ),
    )
    def compact() -> None:
        join_files()

    return compact


def compaction_schedule(job: dg.JobDefinition) -> dg.ScheduleDefinition:
    """Make the schedule `weekly_compaction`. Stopped by default: it replaces files, and whose programs read them is not known here."""
    return weekly_schedule(
        SCHEDULE, job, _SUNDAY_MORNING, "UTC", "Every Sunday at 06:00 UTC, when the venues of shares, futures and currencies are closed."
    )


class _Hearing:
    """Logs what is passed over, and now and then how far the compaction is."""

    def __init__(self, context: dg.OpExecutionContext) -> None:
        self._context = context
        self._spoke_at = time.monotonic()

    def hear(self, step: "CompactionStep") -> None:
        now = time.monotonic()
        if step.passed_over is not None:
            self._context.log.warning(f"Passed over: {step.passed_over}")
        elif step.done is not None and step.done.periods:
            self._context.log.info(f"{step.series}: {step.done.files_before:,} files, now {step.done.files_after:,}.")
        elif now - self._spoke_at > _SECONDS_BETWEEN_LINES:
            self._spoke_at = now
            self._context.log.info(f"{step.number:,} of {step.of:,} series looked at; at {step.series}.")


def metadata_of(report: "CompactionReport") -> "dict[str, RawMetadataValue]":
    """Return a report as the page shows it."""
    found: dict[str, RawMetadataValue] = {
        "summary": _summary(report),
        "files_before": sum(one.files_before for one in report.series),
        "files_after": sum(one.files_after for one in report.series),
        "bytes_before": sum(one.bytes_before for one in report.series),
        "bytes_after": sum(one.bytes_after for one in report.series),
        "seconds": round(report.seconds, 1),
        "passed_over": "; ".join(str(error) for _, error in report.passed_over) or "none",
        "series": _table(report.series),
    }
    return found


def _summary(report: "CompactionReport") -> str:
    passed = f"; {len(report.passed_over)} series passed over" if report.passed_over else ""
    sessions = sum(one.sessions for one in report.changed)
    if not sessions:
        return f"{len(report.series)} series: nothing to do{passed}."
    verb = "would get other files" if report.dry_run else "got other files"
    return f"{sessions:,} sessions of {len(report.changed)} series {verb}{passed}."


def _table(series: "tuple[Compacted, ...]") -> dg.TableMetadataValue:
    records = [
        dg.TableRecord(
            {
                "series": one.series.bar_type,
                "sessions": one.sessions,
                "files before": one.files_before,
                "files after": one.files_after,
                "left as it is": "; ".join(f"{what.what}: {what.why}" for what in one.left[-5:]),
            }
        )
        for one in series
    ]
    kinds = {"series": "string", "left as it is": "string"}
    names = ("series", "sessions", "files before", "files after", "left as it is")
    return dg.MetadataValue.table(records, dg.TableSchema([dg.TableColumn(name, kinds.get(name, "int")) for name in names]))
