"""The inbox: what a person puts into data/inbox/ is imported, and shown at the bars that it holds."""

# No `from __future__ import annotations`: Dagster reads the annotations of ops and sensors as they are.

import json
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from market_data_pipeline.catalog import Catalog
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.words import count
from market_data_pipeline.orchestration.automation.places import Places
from market_data_pipeline.orchestration.automation.runs_under_way import UNFINISHED
from market_data_pipeline.orchestration.brought_in import BroughtIn, as_table
from market_data_pipeline.orchestration.failures import one_clear_message
from market_data_pipeline.orchestration.resources import CatalogResource
from market_data_pipeline.watchlist import Watchlist, read_watchlist

if TYPE_CHECKING:
    from market_data_pipeline.ingest.import_csv import Imported
    from market_data_pipeline.ingest.inbox import FileDone, Inbox
    from market_data_pipeline.ingest.inbox_look import Looked
    from market_data_pipeline.ingest.inbox_rules import InboxRules

SENSOR, JOB = "inbox", "inbox_import"
_SECONDS_BETWEEN_TICKS = 30
_WAITING_SHOWN = 3


class InboxConfig(dg.Config):
    """Which files to import.

    Attributes:
        files: Their names in the inbox; none is every file that is complete.
    """

    files: list[str] = Field(default_factory=list, description="Names of files in the inbox; none is every file that is complete.")


def rules_path(places: Places) -> Path:
    """Return where the rules of the inbox are: beside the watchlist."""
    return places.watchlist.with_name("inbox.yaml")


def inbox_job(places: Places) -> dg.JobDefinition:
    """Make the job `inbox_import`. It fails where a file was rejected, after all of them were dealt with."""

    @dg.op(description="Imports files of the inbox; each that is good goes to done/, each that is bad to rejected/ with a report beside it.")
    def import_files(context: dg.OpExecutionContext, config: InboxConfig, catalog: CatalogResource) -> None:
        with one_clear_message():
            from market_data_pipeline.ingest.inbox import refuse_rejected, take_in

            watchlist, store = read_watchlist(places.watchlist), catalog.open()
            rules = _rules(places)
            names = config.files or _look(places, rules, time.time_ns(), None).ready
            if not names:
                context.log.info(f"No complete file lies in {places.inbox}.")
            shown = BroughtIn(context, watchlist)
            try:
                done = list(_shown(context, shown, take_in(store, _inbox(places, rules, watchlist, store), names)))
            finally:
                shown.tell()
            context.add_output_metadata({"files": _table(done), "rejected": sum(one.rejected for one in done)})
            refuse_rejected(done)

    @dg.job(
        name=JOB, description=f"Import files of {places.inbox.name}/: all that are complete, or those that the configuration names. Safe to repeat."
    )
    def inbox_import() -> None:
        import_files()

    return inbox_import


def inbox_sensor(places: Places, job: dg.JobDefinition, *, clock: Callable[[], int] = time.time_ns) -> dg.SensorDefinition:
    """Make the sensor that launches the import of complete files. Stopped by default: it moves a user's files.

    Args:
        places: Where inbox and rules are.
        job: The job of `inbox_job`.
        clock: Returns now in nanoseconds since 1970 UTC.
    """

    @dg.sensor(
        name=SENSOR,
        job=job,
        minimum_interval_seconds=_SECONDS_BETWEEN_TICKS,
        default_status=dg.DefaultSensorStatus.STOPPED,
        description=(
            "Imports files that are put into the inbox, once they are complete: nobody writes them and they have not changed since the tick before. "
            "What they hold is said by inbox.yaml beside the watchlist, or by FILE.yaml beside FILE."
        ),
    )
    def inbox(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        with one_clear_message():
            looked = _look(places, _rules(places), clock(), _sizes_of(context.cursor))
        cursor = json.dumps(looked.sizes, separators=(",", ":"))
        if context.instance.get_runs_count(dg.RunsFilter(job_name=JOB, statuses=UNFINISHED)):
            return dg.SensorResult(skip_reason="An import is under way; what lies there then is next.", cursor=cursor)
        if not looked.ready:
            return dg.SensorResult(skip_reason=_why_nothing(places, looked), cursor=cursor)
        config = dg.RunConfig(ops={"import_files": InboxConfig(files=list(looked.ready))})
        # The same files in the same state are one event, however often they are seen; after a try that failed they are another.
        return dg.SensorResult(run_requests=[dg.RunRequest(run_key=looked.key, run_config=config)], cursor=cursor)

    return inbox


def _why_nothing(places: Places, looked: "Looked") -> str:
    if not looked.waiting:
        return f"Nothing lies in {places.inbox}."
    named = "; ".join(f"{one.name}: {one.why}" for one in looked.waiting[:_WAITING_SHOWN])
    return f"No complete file: {named}{' …' if len(looked.waiting) > _WAITING_SHOWN else ''}."


def _rules(places: Places) -> "InboxRules":
    from market_data_pipeline.ingest.inbox_rules import read_rules

    return read_rules(rules_path(places))


def _look(places: Places, rules: "InboxRules", now_ns: int, before: dict[str, tuple[int, int]] | None) -> "Looked":
    from market_data_pipeline.ingest.inbox_look import look_into

    return look_into(places.inbox, rules.rests_s, now_ns, before)


def _sizes_of(cursor: str | None) -> dict[str, tuple[int, int]]:
    try:
        return {str(name): (int(size), int(mtime)) for name, (size, mtime) in json.loads(cursor or "{}").items()}
    except (ValueError, TypeError, AttributeError):
        return {}


def _inbox(places: Places, rules: "InboxRules", watchlist: Watchlist, catalog: Catalog) -> "Inbox":
    from market_data_pipeline.ingest.inbox import Inbox

    wanted = (instrument for universe in watchlist.universes.values() for instrument in universe.instruments)
    return Inbox(places.inbox, rules, lambda: watchlist.definitions, (*catalog.instruments.ids(), *wanted), watchlist.project)


def _shown(context: dg.OpExecutionContext, shown: BroughtIn, events: "Iterable[tuple[Series, Imported] | FileDone]") -> "Iterator[FileDone]":
    """Show each session at its bars, where a universe has them, and yield how each file ended."""
    from market_data_pipeline.ingest.inbox import FileDone

    for event in events:
        if isinstance(event, FileDone):
            shown.tell()
            context.log.info(_line(event))
            yield event
            continue
        series, imported = event
        if imported.row is not None:
            shown.add(series, imported.row, f"{imported.what} from the inbox")


def _line(done: "FileDone") -> str:
    holds = f" ({done.series})" if done.series is not None else ""
    report = done.report
    numbers = ""
    if report is not None:
        sessions = report.stored + report.replaced + report.merged
        as_before = report.unchanged + report.skipped
        numbers = f": {count(report.bars_written, 'bar')} of {count(sessions, 'session')} written, {count(as_before, 'session')} as before"
        numbers += f"; read as {report.read_as}"
    why = f": {done.error}" if done.error is not None else ""
    where = f"; it lies in {done.moved_to} now" if done.moved_to is not None else ""
    return f"{done.name}{holds}: {done.what}{numbers}{why}{where}"


def _table(done: "list[FileDone]") -> dg.TableMetadataValue:
    rows: list[dict[str, str | int]] = [
        {
            "file": one.name,
            "holds": str(one.series or ""),
            "what": one.what,
            "bars": one.report.bars_written if one.report else 0,
            "sessions": one.report.stored + one.report.replaced + one.report.merged if one.report else 0,
            "why": str(one.error).splitlines()[0] if one.error else "",
            "lies_in": str(one.moved_to or ""),
        }
        for one in done
    ]
    return as_table(rows, ("file", "holds", "what", "bars", "sessions", "why", "lies_in"))
