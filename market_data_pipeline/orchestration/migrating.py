"""The job `migrate_postgres`: a table of PostgreSQL into the catalog, with the reconciliation as metadata."""

# No `from __future__ import annotations`: Dagster reads the annotations of ops as they are.

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import dagster as dg
from pydantic import Field

from market_data_pipeline.domain.errors import NotReconciled
from market_data_pipeline.domain.sessions import parse_date_ends
from market_data_pipeline.orchestration.brought_in import BroughtIn
from market_data_pipeline.orchestration.failures import one_clear_message
from market_data_pipeline.orchestration.resources import CatalogResource
from market_data_pipeline.watchlist import Watchlist, read_watchlist

if TYPE_CHECKING:
    from dagster._core.definitions.metadata import RawMetadataValue

    from market_data_pipeline.ingest.migrate import MigrationStep
    from market_data_pipeline.ingest.migrate_postgres import Migrated, Migration
    from market_data_pipeline.ingest.migration_report import MigrationReport

JOB = "migrate_postgres"
_SECONDS_BETWEEN_LINES = 10.0


class MigratePostgres(dg.Config):
    """What the job `migrate_postgres` is asked for. The database's URL is no part of it: the page shows configurations to everybody."""

    url_variable: str = Field(
        default="MDP_POSTGRES_URL",
        description="Name of the environment variable that holds the database's URL; where it is empty, PGHOST, PGUSER … and ~/.pgpass are used.",
    )
    table: str = Field(default="market_data", description="Table or view, also SCHEMA.NAME.")
    venue: str = Field(default="", description="Venue of symbols that the map does not name, for example NASDAQ.")
    map: str = Field(default="", description="Path of a YAML: symbols: {AAPL: AAPL.NASDAQ, OLD: null}; null leaves a symbol out.")
    instrument: str = Field(default="", description="The one instrument of a table that has no symbols.")
    bar: str = Field(default="1-MINUTE-LAST", description="Bar spec of the table's bars.")
    stamp: Literal["open", "close"] = Field(default="open", description="Which end of a bar its time names: open or close.")
    time_zone: str = Field(default="", description="IANA zone of times without one, and of the dates of day bars.")
    columns: str = Field(default="", description="FIELD=COLUMN pairs, for example time=ts,open=o; fields not named keep their names.")
    adjustment: Literal["raw", "split", "split+dividend"] = Field(
        default="raw", description="What was done to the prices: raw, split or split+dividend. Kept with the bars."
    )
    symbols: list[str] = Field(default=[], description="The only symbols wanted; none is all.")
    start: str = Field(default="", description="First session, YYYY-MM-DD, inclusive; empty is the table's first.")
    end: str = Field(default="", description="Last session, YYYY-MM-DD, inclusive; empty is the table's last.")
    on_conflict: Literal["fail", "skip", "overwrite", "merge"] = Field(
        default="fail", description="For sessions that are stored with other bars; fail writes nothing, and nobody can be asked here."
    )
    prefer: Literal["", "stored", "table"] = Field(
        default="", description="Whose value a merge takes where both have one bar with different values; empty refuses such a merge."
    )
    skip_bad_rows: bool = Field(default=False, description="Store the good rows; the bad ones go to a rejects file of the catalog.")
    accept_holes: bool = Field(default=False, description="Take long stretches without bars for thin trading.")
    mark_deprecated: bool = Field(default=False, description="When all is reconciled, write into the table's comment where it went.")
    dry_run: bool = Field(default=False, description="Read and check everything, store nothing.")
    wait_s: float = Field(default=60.0, description="Seconds to wait for another process that writes the same series.")


def migration_of(config: MigratePostgres) -> "Migration":
    """Return what a configuration means.

    Raises:
        InvalidDate: If a date is none, or the range runs backwards.
    """
    from market_data_pipeline.domain.coverage import Convention
    from market_data_pipeline.ingest.import_csv import OnConflict, Prefer, Run
    from market_data_pipeline.ingest.migrate_postgres import Migration

    first, last = parse_date_ends(config.start or None, config.end or None)
    return Migration(
        url=os.environ.get(config.url_variable) or "",
        table=config.table,
        venue=config.venue or None,
        map_file=Path(config.map) if config.map else None,
        instrument=config.instrument or None,
        bar=config.bar,
        stamp=config.stamp,
        time_zone=config.time_zone or None,
        columns=config.columns,
        convention=Convention(adjustment=config.adjustment),
        symbols=tuple(config.symbols),
        start=first,
        end=last,
        on_conflict=OnConflict(config.on_conflict),
        prefer={"stored": Prefer.STORED, "table": Prefer.FILE}.get(config.prefer),
        skip_bad_rows=config.skip_bad_rows,
        accept_holes=config.accept_holes,
        mark_deprecated=config.mark_deprecated,
        wait_s=config.wait_s,
        run=Run.DRY if config.dry_run else Run.STORE,
    )


def migrate_postgres_job(watchlist_file: Path) -> dg.JobDefinition:
    """Make the job `migrate_postgres`."""

    @dg.op(description="Migrates the table, shows each session at its asset, and reports the reconciliation of both sides.")
    def migrate_table(context: dg.OpExecutionContext, config: MigratePostgres, catalog: CatalogResource) -> dg.Output[list[str]]:
        with one_clear_message():
            from market_data_pipeline.domain.source import Precision
            from market_data_pipeline.ingest.import_csv import Run
            from market_data_pipeline.ingest.instruments import stored_or_defined
            from market_data_pipeline.ingest.migrate_postgres import migrate_postgres

            migration, watchlist, store = migration_of(config), read_watchlist(watchlist_file), catalog.open()

            def define(instrument_id: str) -> Precision:
                if migration.run is Run.DRY and store.instruments.definition(instrument_id) is None:
                    from market_data_pipeline.catalog.instrument_definitions import define as defined

                    instrument = defined(instrument_id, watchlist.definitions)
                    return Precision(instrument.price_precision, instrument.size_precision)
                return stored_or_defined(store, instrument_id, lambda: watchlist.definitions)

            page = _Page(context, watchlist)
            try:
                done = migrate_postgres(store, migration, define, tell=page.hear, busy=context.log.info)
            finally:
                page.shown.tell()
            return dg.Output(_failures(done), metadata=metadata_of(done))

    @dg.op(description="Fails where symbols were refused, or the catalog differs from the table.")
    def reconciled(failures: list[str]) -> None:
        with one_clear_message():
            if failures:
                raise NotReconciled("\n".join(failures))

    @dg.config_mapping
    def of_the_table(config: MigratePostgres) -> dg.RunConfig:
        return dg.RunConfig(ops={"migrate_table": config})

    @dg.job(
        name=JOB,
        config=of_the_table,
        description=(
            "Bring a table of PostgreSQL into the catalog, read only, and prove that every row arrived. The URL comes from the environment. "
            'Configuration: {"table": "market_data", "venue": "NASDAQ", "dry_run": true}. Safe to repeat: what is stored equal is not read again.'
        ),
    )
    def job() -> None:
        reconciled(migrate_table())

    return job


class _Page:
    """What the page shows while a migration runs: sessions at their assets, and a line in the log now and then."""

    def __init__(self, context: dg.OpExecutionContext, watchlist: Watchlist) -> None:
        self._context = context
        self.shown = BroughtIn(context, watchlist)
        self._spoke_at = self._started = time.monotonic()

    def hear(self, step: "MigrationStep") -> None:
        """Tell of a step."""
        if step.session is not None and step.session.row is not None:
            self.shown.add(step.series, step.session.row, "migrated")
        self.shown.tell_in_time()
        now = time.monotonic()
        if step.report is not None and step.report.refused is not None:
            self._context.log.warning(f"{step.symbol} was refused: {step.report.refused}")
        elif now - self._spoke_at >= _SECONDS_BETWEEN_LINES:
            self._spoke_at = now
            left = (now - self._started) / max(1, step.done) * (step.total - step.done)
            self._context.log.info(
                f"{step.what} {step.symbol} ({step.number} of {step.of}): {step.done:,} of {step.total:,} rows, about {left:,.0f} s left"
            )


def _failures(done: "Migrated") -> list[str]:
    report = done.report
    if report.is_proven or (report.dry_run and not report.refused):
        return []
    lines = [report.verdict, *(f"{one.symbol}: {one.refused}" for one in report.refused)]
    return lines + [f"{one.symbol} {difference}" for one in report.symbols for difference in one.differences[:5]]


def metadata_of(done: "Migrated") -> "dict[str, RawMetadataValue]":
    """Return a report as the page shows it: Markdown, numbers and a table."""
    from market_data_pipeline.ingest.migration_report import to_markdown

    report = done.report
    found: dict[str, RawMetadataValue] = {
        "verdict": report.verdict,
        "report": dg.MetadataValue.md(to_markdown(report)),
        "rows": report.rows,
        "bars_written": report.bars_written,
        "rows_bad": report.rows_bad,
        "symbols": len(report.symbols),
        "symbols_refused": len(report.refused),
        "differences": report.differences,
        "peak_memory_mb": round(report.peak_memory / 1e6),
        "seconds": round(report.seconds, 1),
        "by_symbol": _table(report),
    }
    if done.file is not None:
        found["file"] = dg.MetadataValue.path(str(done.file))
    if report.comment is not None or done.not_marked is not None:
        found["mark"] = report.comment or done.not_marked or ""
    return found


def _table(report: "MigrationReport") -> dg.TableMetadataValue:
    records = [
        dg.TableRecord(
            {
                "symbol": one.symbol,
                "series": one.series.bar_type,
                "rows": one.rows,
                "bars": one.bars_compared,
                "bad rows": one.rows_bad,
                "sessions": one.sessions,
                "different": len(one.differences),
                "outcome": "refused" if one.refused else "equal" if one.is_whole else "read" if report.dry_run else "differs",
            }
        )
        for one in report.symbols
    ]
    kinds = {"symbol": "string", "series": "string", "outcome": "string"}
    names = ("symbol", "series", "rows", "bars", "bad rows", "sessions", "different", "outcome")
    return dg.MetadataValue.table(records, dg.TableSchema([dg.TableColumn(name, kinds.get(name, "int")) for name in names]))
