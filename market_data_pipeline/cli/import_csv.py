"""`mdp import-csv`: bars of CSV files into the catalog."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from market_data_pipeline.cli.options import CatalogOption, ConfigOption, InstrumentsOption, JsonOption, Place

# A test holds these against the enums of the use case, which are too heavy to import for `--help`.
Conflicts = Literal["ask", "skip", "overwrite", "merge", "fail"]
Preference = Literal["stored", "file"]


def import_csv(
    context: typer.Context,
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="CSV files, also .gz; several of one series are read as one.")],
    bar: Annotated[str, typer.Option("--bar", metavar="SPEC", help="STEP-UNIT-PRICE, for example 1-MINUTE-LAST or 1-DAY-MID.")],
    instrument: Annotated[
        str | None, typer.Option("--instrument", metavar="ID", help="SYMBOL.VENUE; {symbol}.VENUE where files are named by symbol: AAPL-2024.csv.")
    ] = None,
    layout: Annotated[str, typer.Option("--layout", metavar="NAME", help="auto: told by evidence; a known layout; or a YAML file.")] = "auto",
    timezone: Annotated[str | None, typer.Option("--timezone", metavar="TZ", help="Zone of times without an offset: America/New_York.")] = None,
    stamp: Annotated[Literal["open", "close"] | None, typer.Option("--stamp", help="Which end of a bar its time names.")] = None,
    delimiter: Annotated[str | None, typer.Option("--delimiter", metavar="CHAR", help="Or comma, semicolon, tab, pipe; found if not given.")] = None,
    time_form: Annotated[str | None, typer.Option("--time-form", metavar="FORM", help="How times are written: 'DD/MM/YYYY HH:MM'.")] = None,
    symbol: Annotated[str | None, typer.Option("--symbol", metavar="NAME", help="Whose rows to take, if a column names symbols.")] = None,
    symbols: Annotated[
        list[str] | None, typer.Option("--map", metavar="NAME=ID", help="A symbol of the file and its instrument; repeat it for several.")
    ] = None,
    adjusted: Annotated[bool, typer.Option("--adjusted", help="Store prices scaled to the column of adjusted closes.")] = False,
    on_conflict: Annotated[Conflicts, typer.Option("--on-conflict", help="For sessions that are stored with other bars.")] = "ask",
    prefer: Annotated[Preference | None, typer.Option("--prefer", help="Whose value a merge takes where both have one bar.")] = None,
    skip_bad_rows: Annotated[bool, typer.Option("--skip-bad-rows", help="Store the good rows; the bad go to a rejects file.")] = False,
    accept_holes: Annotated[bool, typer.Option("--accept-holes", help="Take long stretches without bars for thin trading.")] = False,
    instruments: InstrumentsOption = None,
    jobs: Annotated[
        int, typer.Option("--jobs", "-j", metavar="N", min=1, help="Series imported at once, each in a process; nobody is asked then.")
    ] = 1,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read and check everything, store nothing.")] = False,
    as_json: JsonOption = False,
    catalog: CatalogOption = None,
    config: ConfigOption = None,
) -> None:
    """Store the bars of CSV files, session by session, each whole or not at all.

    What a file is (its columns, the form and zone of its times, which end of a bar they name) is told by evidence, shown, and asked for where
    the evidence does not decide. Files are read and checked whole before anything is written. Importing a file again changes nothing.

    \b
    Examples:
      mdp import-csv AAPL.csv --instrument AAPL.NASDAQ --bar 1-MINUTE-LAST
      mdp import-csv AAPL.csv --instrument AAPL.NASDAQ --bar 1-MINUTE-LAST --timezone America/New_York --stamp open
      mdp import-csv many.csv --bar 1-MINUTE-LAST --map AAPL=AAPL.NASDAQ --map IBM=IBM.NYSE
      mdp import-csv prices/*.csv --bar 1-MINUTE-LAST --instrument '{symbol}.NASDAQ' --jobs 4
      mdp import-csv EURUSD.csv --instrument EUR/USD.IDEALPRO --bar 15-MINUTE-MID --layout ibkr-closes
      mdp import-csv 2023.csv 2024.csv --instrument AAPL.NASDAQ --bar 1-DAY-LAST --on-conflict merge --prefer file
    """  # noqa: D301 - \b keeps the lines below it as they are
    from market_data_pipeline.cli.importing import carry_out, wanted_of
    from market_data_pipeline.cli.output import say, show_json
    from market_data_pipeline.cli.rendering import imports as look
    from market_data_pipeline.ingest.import_csv import OnConflict, Prefer, Run
    from market_data_pipeline.ingest.import_files import Rules
    from market_data_pipeline.ingest.import_several import PLACE_OF_SYMBOL, CsvFiles
    from market_data_pipeline.sources.csv.layout import Prices

    place = Place.of(context, catalog, config)
    prices = Prices.ADJUSTED if adjusted else Prices.AS_WRITTEN
    given = CsvFiles(tuple(files), layout, timezone, stamp, delimiter, skip_bad_rows, accept_holes, time_form, symbol, prices)
    wanted = wanted_of(given, instrument, tuple(symbols or ()), bar)
    rules = Rules(OnConflict(on_conflict), Prefer(prefer) if prefer else None, Run.DRY if dry_run else Run.STORE)
    several = bool(symbols) or PLACE_OF_SYMBOL in (instrument or "")
    if several and jobs > 1:
        from market_data_pipeline.cli.importing_several import carry_out_several

        raise typer.Exit(carry_out_several(place, wanted, rules, instruments, jobs, as_json=as_json))
    done = [carry_out(place, one.series, one.files, rules, instruments) for one in wanted]
    if not as_json:
        for one in done:
            say(look.lines(one, place.command))
    elif several:
        show_json({"catalog": str(place.root), "imports": [look.to_json(one) for one in done]})
    else:
        show_json({"catalog": str(place.root), **look.to_json(done[0])})
