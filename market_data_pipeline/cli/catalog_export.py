"""`mdp catalog export`: bars out of the catalog, into files for pandas, polars and DuckDB."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from market_data_pipeline.cli.options import BarOption, CatalogOption, ConfigOption, EndOption, JsonOption, Place, StartOption

# A test holds these against the enums of the use case, which are too heavy to import for `--help`.
Formats = Literal["csv", "parquet", "arrow"]
Stamps = Literal["open", "close", "both"]
NumberTypes = Literal["decimal", "float"]


def export(
    context: typer.Context,
    what: Annotated[list[str] | None, typer.Argument(metavar="[ID]... [SPEC]", help="Instrument ids or bar types, and a bar spec.")] = None,
    form: Annotated[Formats | None, typer.Option("--format", help="By the ending of --out if not given, else csv.")] = None,
    out: Annotated[
        str | None,
        typer.Option("--out", metavar="FILE|DIR|-", help="File, folder of one file a series, or stdout.  [default: a file named by the bars]"),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All series that are stored, into the folder --out.")] = False,
    universe: Annotated[str | None, typer.Option("--universe", metavar="NAME", help="The series of a universe of the watchlist.")] = None,
    bar: BarOption = None,
    start: StartOption = None,
    end: EndOption = None,
    timezone: Annotated[str, typer.Option("--timezone", metavar="TZ", help="Zone of the times; the instants are the same.")] = "UTC",
    stamp: Annotated[Stamps, typer.Option("--stamp", help="Which end of a bar its time names.")] = "open",
    columns: Annotated[
        str | None, typer.Option("--columns", metavar="A,B", help="Which, in which order: time, open, high, low, close, volume, session.")
    ] = None,
    numbers: Annotated[NumberTypes | None, typer.Option("--numbers", help="Parquet and Arrow: exact decimals (the default), or floats.")] = None,
    describe: Annotated[bool, typer.Option("--describe", help="Also write FILE.json: what its times and prices are, and what is missing.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Write nothing, exit code 1, where a session is missing or partial.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that are there.")] = False,
    as_json: JsonOption = False,
    catalog: CatalogOption = None,
    config: ConfigOption = None,
) -> None:
    """Write stored bars to files that pandas, polars and DuckDB read, exact to the last decimal.

    Each file appears whole or not at all. Sessions that are missing are told, and never passed over in silence.

    \b
    Examples:
      mdp catalog export AAPL.NASDAQ 1-MINUTE-LAST --out aapl.parquet --numbers float
      mdp catalog export AAPL.NASDAQ 1-MINUTE-LAST --format csv --timezone America/New_York --start 2024-01-02 --end 2024-01-31
      mdp catalog export EUR/USD.IDEALPRO 15-MINUTE-MID --stamp close --format arrow --out - | python plot.py
      mdp catalog export --all --format parquet --out exported/
    """  # noqa: D301 - \b keeps the lines below it as they are
    from market_data_pipeline.cli.exporting import Asked, carry_out
    from market_data_pipeline.cli.output import note, say, show_json
    from market_data_pipeline.cli.rendering import exports as look

    place = Place.of(context, catalog, config)
    asked = Asked.parse(what or [], bar, start, end, every=every, universe=universe, out=out, form=form)
    names = tuple(name.strip() for name in columns.split(",")) if columns else ()
    done = carry_out(place, asked, asked.how(stamp, timezone, numbers, names), strict=strict, overwrite=overwrite, describe=describe, as_json=as_json)
    if as_json:
        show_json({"catalog": str(place.root), **look.to_json(done)})
    elif asked.to_pipe:
        note("\n".join(look.lines(done, place)))
    else:
        say(look.lines(done, place))
