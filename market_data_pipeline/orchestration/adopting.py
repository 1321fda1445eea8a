"""The job `adopt_catalog`: a catalog that another program wrote becomes part of ours, with the report on the page."""

# No `from __future__ import annotations`: Dagster reads the annotations of ops as they are.

import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import dagster as dg
from pydantic import Field

from market_data_pipeline.catalog import Catalog
from market_data_pipeline.domain.errors import ConfigurationError
from market_data_pipeline.domain.words import count
from market_data_pipeline.orchestration.automation.places import Places
from market_data_pipeline.orchestration.brought_in import BroughtIn
from market_data_pipeline.orchestration.failures import one_clear_message
from market_data_pipeline.orchestration.metadata import png
from market_data_pipeline.orchestration.resources import CatalogResource
from market_data_pipeline.watchlist import Watchlist, read_watchlist

if TYPE_CHECKING:
    from dagster._core.definitions.metadata import RawMetadataValue

    from market_data_pipeline.ingest.adopt import AdoptStep
    from market_data_pipeline.ingest.adopt_report import AdoptReport

JOB = "adopt_catalog"
_SECONDS_BETWEEN_LINES = 5.0
_PICTURES_AT_MOST = 3


class AdoptConfig(dg.Config):
    """What the job `adopt_catalog` is asked for."""

    path: str = Field(
        description="Folder of the Nautilus catalog: the one that holds data/bar/, below the project's folder or absolute. It is only read."
    )
    prefer: Literal["newest-file", "oldest-file", "fail"] = Field(
        default="fail", description="Which of two files is believed that have different values for one bar; fail writes nothing then."
    )
    on_conflict: Literal["fail", "skip", "overwrite"] = Field(
        default="fail", description="For sessions that are stored with other bars: fail writes nothing, skip keeps them, overwrite replaces them."
    )
    stamp: Literal["", "open", "close"] = Field(default="", description="Which end of a bar stamps name, where nothing decides it; empty is neither.")
    hours: Literal["", "all", "rth"] = Field(
        default="", description="Which hours the bars were asked for; empty is as a catalog of this project says beside its bars, else all."
    )
    dry_run: bool = Field(default=False, description="Read and check everything, store nothing, and show the report.")
    wait_s: float = Field(default=60.0, description="Seconds to wait for another process that writes the same series.")


def adopt_job(places: Places) -> dg.JobDefinition:
    """Make the job `adopt_catalog`. It fails where something was not adopted, after the report is shown."""

    @dg.op(description="Reads the whole catalog, accounts for each of its rows, and writes clean sessions. The report is this step's metadata.")
    def adopt(context: dg.OpExecutionContext, config: AdoptConfig, catalog: CatalogResource) -> None:
        with one_clear_message():
            from market_data_pipeline.ingest.adopt import refuse_failed

            if not config.path.strip():
                raise ConfigurationError("path: name the folder of the catalog to adopt, the one that holds data/bar/.")
            report = _carry_out(context, config, catalog, read_watchlist(places.watchlist))
            context.log.info(_line(report))
            context.add_output_metadata({**_metadata(report), **_pictures(catalog.open(), report)})
            refuse_failed(report)

    @dg.config_mapping
    def as_options(config: AdoptConfig) -> dg.RunConfig:
        return dg.RunConfig(ops={"adopt": config})

    @dg.job(
        name=JOB,
        config=as_options,
        description=(
            "Take over a catalog that another program wrote with Nautilus. Safe to repeat: what is stored is not written again. "
            'Configuration: {"path": "old-catalog", "dry_run": true}.'
        ),
    )
    def adopt_catalog() -> None:
        adopt()

    return adopt_catalog


def _carry_out(context: dg.OpExecutionContext, config: AdoptConfig, catalog: CatalogResource, watchlist: Watchlist) -> "AdoptReport":
    from market_data_pipeline.ingest.adopt import PreferFile, adopt, adopted
    from market_data_pipeline.ingest.import_csv import OnConflict, Run
    from market_data_pipeline.sources.nautilus.stamps import StampEnd

    hearing = _Hearing(context, watchlist)
    steps = adopt(
        catalog.open(),
        watchlist.project / Path(config.path).expanduser(),
        prefer=PreferFile(config.prefer),
        on_conflict=OnConflict(config.on_conflict),
        stamp=StampEnd(config.stamp) if config.stamp else None,
        hours=config.hours or None,
        run=Run.DRY if config.dry_run else Run.STORE,
        wait_s=config.wait_s,
    )
    # Closed here and not by chance later: a run that is cancelled still brings the ledger up to date.
    with closing(steps):
        try:
            return adopted(steps, hearing.hear)
        finally:
            hearing.shown.tell()


class _Hearing:
    """Shows each stored session at its bars, and logs how far the adoption is."""

    def __init__(self, context: dg.OpExecutionContext, watchlist: Watchlist) -> None:
        self._context = context
        self.shown = BroughtIn(context, watchlist)
        self._said_at = self._began = time.monotonic()
        self._doing = ""

    def hear(self, step: "AdoptStep") -> None:
        if step.session is not None:
            series, row, what = step.session
            self.shown.add(series, row, f"{what} by an adoption")
        now = time.monotonic()
        if step.doing != self._doing:
            self._doing, self._began, self._said_at = step.doing, now, now
            self._context.log.info(f"{step.doing} begins: {step.of / 1e3:,.0f} kB.")
        elif now - self._said_at > _SECONDS_BETWEEN_LINES and step.done:
            self._said_at = now
            spent = now - self._began
            left = spent / step.done * (step.of - step.done)
            self._context.log.info(
                f"{step.doing}: {step.done / step.of:.0%}, {step.rows / spent:,.0f} rows/s, about {left:.0f} s left; at {step.series}."
            )


def _line(report: "AdoptReport") -> str:
    parts = ", ".join(f"{number:,} {name}" for name, number in report.total.parts.items() if number) or "nothing"
    return f"{count(report.total.read, 'bar')} read: {parts}. The sum {'closes' if report.closes else 'DOES NOT CLOSE'}. Ending: {report.ending}."


def _metadata(report: "AdoptReport") -> "dict[str, RawMetadataValue]":
    from market_data_pipeline.ingest.adopt_markdown import to_markdown

    total = report.total
    numbers: dict[str, RawMetadataValue] = {name.replace(" ", "_"): number for name, number in total.parts.items()}
    return {
        "report": dg.MetadataValue.md(to_markdown(report)),
        "ending": str(report.ending),
        "sum_closes": report.closes,
        "bars_read": total.read,
        **numbers,
        "sessions_complete": total.complete,
        "sessions_partial": total.partial,
        "sessions_missing": total.missing_sessions,
        "series": _series_table(report),
        "instruments": _instrument_table(report),
        "instruments_missing": ", ".join(report.orphans) or "none",
        **({"report_file": dg.MetadataValue.path(str(report.report_file))} if report.report_file is not None else {}),
    }


def _pictures(catalog: Catalog, report: "AdoptReport") -> "dict[str, RawMetadataValue]":
    """Return calendars of what stands of the first series now: which sessions are whole, in part, or missing."""
    from market_data_pipeline.charts.coverage import coverage_png
    from market_data_pipeline.ingest.adopt_report import Ending

    pictures: dict[str, RawMetadataValue] = {}
    for one in report.series:
        if report.ending is Ending.DONE and one.series and one.first_session and one.last_session and len(pictures) < _PICTURES_AT_MOST:
            coverage = catalog.coverage(one.series, one.first_session, one.last_session)
            pictures[f"coverage of {one.series.instrument_id} {one.series.spec}"] = png(coverage_png(one.series, coverage), one.title)
    return pictures


def _series_table(report: "AdoptReport") -> dg.TableMetadataValue:
    names = list(report.total.parts)
    records = [
        dg.TableRecord(
            {
                "series": one.title,
                "bars_read": one.read,
                **{name.replace(" ", "_"): number for name, number in one.parts.items()},
                "closes": "yes" if one.closes else "no",
                "failed": one.failed or "",
            }
        )
        for one in report.series
    ]
    numbers = [dg.TableColumn(name.replace(" ", "_"), "int") for name in ("bars read", *names)]
    columns = [dg.TableColumn("series"), *numbers, dg.TableColumn("closes"), dg.TableColumn("failed")]
    return dg.MetadataValue.table(records, schema=dg.TableSchema(columns=columns))


def _instrument_table(report: "AdoptReport") -> dg.TableMetadataValue:
    columns = [dg.TableColumn(name) for name in ("instrument", "kind", "definition", "why")]
    records = [
        dg.TableRecord({"instrument": one.instrument_id, "kind": one.kind, "definition": str(one.what), "why": one.why}) for one in report.instruments
    ]
    return dg.MetadataValue.table(records, schema=dg.TableSchema(columns=columns))
