"""`mdp migrate`: bars that lie in a database, into the catalog."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from market_data_pipeline.cli.options import CatalogOption, ConfigOption, EndOption, InstrumentsOption, JsonOption, Place, StartOption

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Bring bars from a database.")

Conflicts = Literal["ask", "skip", "overwrite", "merge", "fail"]


@app.callback()
def _group() -> None:
    """Keep `postgres` a command of its own name while it is the only one."""


@app.command(short_help="Bring a table of PostgreSQL into the catalog.")
def postgres(
    context: typer.Context,
    url: Annotated[
        str | None, typer.Argument(metavar="[URL]", help="postgresql://USER@HOST:5432/DATABASE.  [env: MDP_POSTGRES_URL, PGHOST, …, ~/.pgpass]")
    ] = None,
    table: Annotated[str, typer.Option("--table", metavar="NAME", help="Table or view, also SCHEMA.NAME.")] = "market_data",
    venue: Annotated[str | None, typer.Option("--venue", metavar="VENUE", help="Venue of symbols that the map does not name: NASDAQ.")] = None,
    map_file: Annotated[Path | None, typer.Option("--map", metavar="YAML", help="symbols: {AAPL: AAPL.NASDAQ, OLD: null}; null leaves out.")] = None,
    instrument: Annotated[str | None, typer.Option("--instrument", metavar="ID", help="The table has no symbols and holds this one.")] = None,
    bar: Annotated[str, typer.Option("--bar", metavar="SPEC", help="What bars the table holds.")] = "1-MINUTE-LAST",
    stamp: Annotated[Literal["open", "close"], typer.Option("--stamp", help="Which end of a bar its time names.")] = "open",
    timezone: Annotated[str | None, typer.Option("--timezone", metavar="TZ", help="Zone of times without one, and of the dates of day bars.")] = None,
    columns: Annotated[str, typer.Option("--columns", metavar="FIELD=COLUMN,…", help="time=ts,open=o,…; fields not named keep their names.")] = "",
    adjustment: Annotated[
        Literal["raw", "split", "split+dividend"], typer.Option("--adjustment", help="What was done to the prices; kept with the bars.")
    ] = "raw",
    symbols: Annotated[str, typer.Option("--symbols", metavar="A,B,…", help="Only these symbols.")] = "",
    start: StartOption = None,
    end: EndOption = None,
    on_conflict: Annotated[Conflicts, typer.Option("--on-conflict", help="For sessions that are stored with other bars.")] = "ask",
    prefer: Annotated[Literal["stored", "table"] | None, typer.Option("--prefer", help="Whose value a merge takes.")] = None,
    skip_bad_rows: Annotated[bool, typer.Option("--skip-bad-rows", help="Store the good rows; the bad go to a rejects file.")] = False,
    accept_holes: Annotated[bool, typer.Option("--accept-holes", help="Take long stretches without bars for thin trading.")] = False,
    mark_deprecated: Annotated[
        bool,
        typer.Option("--mark-deprecated", help="When all is reconciled, write into the table's comment where it went."),
    ] = False,
    instruments: InstrumentsOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read and check everything, store nothing.")] = False,
    as_json: JsonOption = False,
    catalog: CatalogOption = None,
    config: ConfigOption = None,
) -> None:
    """Store the bars of a PostgreSQL table, symbol by symbol, and prove that they arrived.

    The database is only read. Afterwards counts, sums and every value of each session are compared between the server and the stored files; a
    difference is an error. The same command goes on after an interruption.

    Keep passwords out of the command line: PGPASSWORD, ~/.pgpass or MDP_POSTGRES_URL.

    \b
    Examples:
      mdp migrate postgres postgresql://reader@db/prices --venue NASDAQ --dry-run
      mdp migrate postgres --table history.bars --map symbols.yaml --columns time=ts,open=o,high=h,low=l,close=c,volume=v
      mdp migrate postgres --venue NASDAQ --symbols AAPL,MSFT --start 2020-01-01 --mark-deprecated
    """  # noqa: D301 - \b keeps the lines below it as they are
    from market_data_pipeline.cli.migrating import Asked, carry_out
    from market_data_pipeline.cli.output import show_json
    from market_data_pipeline.cli.rendering import migrations as look
    from market_data_pipeline.domain.coverage import Convention
    from market_data_pipeline.domain.sessions import parse_date_ends
    from market_data_pipeline.ingest.import_csv import OnConflict, Prefer, Run
    from market_data_pipeline.ingest.migrate_postgres import Migration

    first, last = parse_date_ends(start, end)
    place = Place.of(context, catalog, config)
    migration = Migration(
        url=url,
        table=table,
        venue=venue,
        map_file=map_file,
        instrument=instrument,
        bar=bar,
        stamp=stamp,
        time_zone=timezone,
        columns=columns,
        convention=Convention(adjustment=adjustment),
        symbols=tuple(filter(None, (one.strip() for one in symbols.split(",")))),
        start=first,
        end=last,
        on_conflict=OnConflict(on_conflict),
        prefer={"stored": Prefer.STORED, "table": Prefer.FILE}.get(prefer or ""),
        skip_bad_rows=skip_bad_rows,
        accept_holes=accept_holes,
        mark_deprecated=mark_deprecated,
        run=Run.DRY if dry_run else Run.STORE,
    )
    done = carry_out(place, Asked(migration, instruments))
    if as_json:
        show_json(look.to_json(done))
    else:
        look.show(done, place.command)
    if done.report.exit_code:
        raise typer.Exit(done.report.exit_code)
