"""A whole migration from PostgreSQL: connect, map, migrate, write the report, and mark the table if that was asked for and is true."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from market_data_pipeline.domain.bar_types import BarSpec, parse_instrument_id
from market_data_pipeline.domain.coverage import Convention
from market_data_pipeline.domain.errors import ConfigurationError, SourceRefused, UsageError
from market_data_pipeline.domain.words import agreeing, count
from market_data_pipeline.ingest.import_csv import Decide, OnConflict, Prefer, Run, nobody_to_ask
from market_data_pipeline.ingest.migrate import Define, MigrationRules, Tell, migrate
from market_data_pipeline.ingest.migration_report import MigrationReport, write_reports
from market_data_pipeline.ingest.symbol_map import SymbolMap
from market_data_pipeline.sources.postgres import ColumnNames, Reading, Stamp, connect, mark_deprecated

if TYPE_CHECKING:
    from market_data_pipeline.catalog import Catalog
    from market_data_pipeline.sources.postgres import BarsTable, Database, SymbolRows


@dataclass(frozen=True)
class Migration:
    """What is to be migrated, and how.

    Attributes:
        url: Where the database is; None leaves it to MDP_POSTGRES_URL and PG* variables.
        table: Table or view, also SCHEMA.NAME.
        venue: Venue of symbols that the map does not name.
        map_file: YAML of symbols and instrument ids.
        instrument: The one instrument of a table that has no symbols.
        bar: Bar spec.
        stamp: `open` or `close`: which end of a bar its time names.
        time_zone: IANA zone of times without one.
        columns: `FIELD=COLUMN,…`.
        convention: Under which convention the bars were made.
        symbols: The only symbols wanted; empty for all.
        start: First session; None is the table's first.
        end: Last session, inclusive.
        on_conflict: What to do with sessions stored with other bars.
        prefer: Whose value a merge takes.
        skip_bad_rows: Store the good rows, list the bad ones.
        accept_holes: Take long stretches without bars for thin trading.
        mark_deprecated: Say in the table's comment where it went, if everything is reconciled.
        run: Store, or tell only.
        wait_s: Seconds to wait for another process that writes the same series.
    """

    url: str | None = field(default=None, repr=False)
    table: str = "market_data"
    venue: str | None = None
    map_file: Path | None = None
    instrument: str | None = None
    bar: str = "1-MINUTE-LAST"
    stamp: str = "open"
    time_zone: str | None = None
    columns: str = ""
    convention: Convention = field(default_factory=Convention)
    symbols: tuple[str, ...] = ()
    start: dt.date | None = None
    end: dt.date | None = None
    on_conflict: OnConflict = OnConflict.ASK
    prefer: Prefer | None = None
    skip_bad_rows: bool = False
    accept_holes: bool = False
    mark_deprecated: bool = False
    run: Run = Run.STORE
    wait_s: float = 10.0


@dataclass(frozen=True)
class Migrated:
    """What a migration did.

    Attributes:
        report: The report.
        file: Where it lies as Markdown (with a JSON file beside it); None on a dry run.
        not_marked: Why the table was not marked though that was asked for; None if it was, or was not asked for.
        notes: What a person should know before.
    """

    report: MigrationReport
    file: Path | None
    not_marked: str | None
    notes: tuple[str, ...]


def migrate_postgres(
    catalog: Catalog,
    asked: Migration,
    define: Define,
    *,
    decide: Decide = nobody_to_ask,
    tell: Tell = lambda _: None,
    busy: Callable[[str], None] = lambda _: None,
) -> Migrated:
    """Migrate a table.

    Args:
        catalog: Where to store.
        asked: What.
        define: Returns the decimals of an instrument, and stores its definition where that is to be stored.
        decide: Asks a person about conflicts.
        tell: Called as it goes on.
        busy: Called with what is being done before that.

    Raises:
        UsageError: If what was asked for cannot be meant.
        QuestionUnanswered: If symbols have no instrument.
        SourceError: If the database cannot be read.
        CatalogError: If storing fails; what was stored stands.
    """
    reading = _reading_of(asked)
    columns = ColumnNames.parse(asked.columns) if asked.columns else ColumnNames()
    if asked.instrument is not None:
        columns = replace(columns, symbol=None)
    symbols = SymbolMap.read(asked.map_file, asked.venue, asked.symbols)
    with connect(asked.url) as database:
        table = database.table(asked.table, reading, columns)
        busy(f"Counting the rows of {table.name}")
        counted = table.symbols()
        if not sum(one.rows for one in counted):
            raise UsageError(f"{table.name} holds no rows.")
        ids = _ids(asked, symbols, counted)
        rules = MigrationRules(
            asked.on_conflict, asked.prefer, decide, asked.run, asked.start, asked.end, asked.skip_bad_rows, asked.accept_holes, asked.wait_s
        )
        report = migrate(catalog, table, ids, counted, define, rules, tell)
        not_marked = None
        if asked.mark_deprecated:
            report, not_marked = _mark(database, table, report, counted)
        file = write_reports(report, catalog.root / "reports") if asked.run is Run.STORE else None
        return Migrated(report, file, not_marked, _notes(table))


def _reading_of(asked: Migration) -> Reading:
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    if asked.time_zone is not None:
        try:
            ZoneInfo(asked.time_zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise UsageError(f"{asked.time_zone!r} is no time zone. Write an IANA name, for example America/New_York or UTC.") from None
    return Reading(BarSpec.parse(asked.bar), Stamp(asked.stamp), asked.time_zone, asked.convention)


def _ids(asked: Migration, symbols: SymbolMap, counted: list[SymbolRows]) -> dict[str, str]:
    if asked.instrument is not None:
        if asked.map_file is not None or asked.venue is not None or asked.symbols:
            raise UsageError("--instrument says that the table holds one instrument: leave out --map, --venue and --symbols.")
        return {"": parse_instrument_id(asked.instrument)}
    ids = symbols.laid_over(one.symbol for one in counted if one.symbol is not None)
    if not ids:
        raise ConfigurationError("Every symbol is mapped to null, so there is nothing to migrate.")
    return ids


def _mark(database: Database, table: BarsTable, report: MigrationReport, counted: list[SymbolRows]) -> tuple[MigrationReport, str | None]:
    """Mark the table if every row of it is accounted for; else say why not."""
    reasons = []
    if report.dry_run:
        reasons.append("this was a dry run")
    elif not report.is_proven:
        reasons.append("not everything was reconciled")
    if report.left_out:
        reasons.append(f"rows were left out ({', '.join(str(symbol) for symbol in list(report.left_out)[:3])})")
    if report.first or report.last:
        reasons.append("only some dates were asked for")
    if reasons:
        return report, f"{table.name} was not marked as deprecated: {'; '.join(reasons)}."
    bad = f", {count(report.rows_bad, 'bad row')} in its rejects folder" if report.rows_bad else ""
    text = (
        f"DEPRECATED: the {count(report.rows, 'row')} of this table {agreeing(report.rows, 'was', 'were')} migrated on "
        f"{report.started:%Y-%m-%d} to the Parquet catalog {report.catalog} "
        f"({report.spec}, {count(len(report.symbols), 'symbol')}{bad}) and reconciled session by session. Read them there."
    )
    try:
        mark = mark_deprecated(database, table, text, sum(one.rows for one in counted))
    except SourceRefused as error:
        return report, str(error)
    return replace(report, comment=mark.comment), None


def _notes(table: BarsTable) -> tuple[str, ...]:
    if table.shape.kind == "TABLE" and not table.shape.indexed:
        names = ", ".join(one for one in (table.shape.columns.symbol, table.shape.columns.time) if one is not None)
        return (f"{table.name} has no index that begins with ({names}): the server read the whole table for each symbol, and sorted it.",)
    return ()
