"""`mdp instruments`: definitions of instruments in the catalog."""

from __future__ import annotations

from typing import Annotated

import typer

from market_data_pipeline.cli.options import CatalogOption, ConfigOption, InstrumentsOption, JsonOption, Place

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Definitions of instruments in the catalog.")


@app.command("list")
def list_(context: typer.Context, as_json: JsonOption = False, catalog: CatalogOption = None, config: ConfigOption = None) -> None:
    """List the instruments that are defined in the catalog."""
    from market_data_pipeline.cli.definitions import stored_instruments
    from market_data_pipeline.cli.output import say, show_json, show_table
    from market_data_pipeline.cli.rendering import definitions as look

    place = Place.of(context, catalog, config)
    with place.opened() as stored:
        found = stored_instruments(stored)
    if as_json:
        show_json({"catalog": str(place.root), "instruments": [look.summary_to_json(one) for one in found]})
    elif found:
        show_table(look.HEADERS, map(look.row, found), look.NUMBERS)
    else:
        say(f"No instrument is defined in {place.root} yet. Define some: {place.command('instruments', 'define', '--instruments', 'YAML')}")


@app.command()
def show(
    context: typer.Context,
    instrument_id: Annotated[str, typer.Argument(metavar="ID", help="For example AAPL.NASDAQ.")],
    versions: Annotated[bool, typer.Option("--versions", help="Also the definitions before this one, and what changed.")] = False,
    as_json: JsonOption = False,
    catalog: CatalogOption = None,
    config: ConfigOption = None,
) -> None:
    """Show one definition, field by field."""
    from market_data_pipeline.cli.output import say, show_json
    from market_data_pipeline.cli.rendering import definitions as look

    with Place.of(context, catalog, config).opened() as stored:
        stored.instruments.precision(instrument_id)  # raises if it is not stored
        definition = stored.instruments.definition(instrument_id) or {}
        known = stored.instruments.versions(instrument_id) if versions else None
    if as_json:
        show_json(look.to_json(instrument_id, definition, known))
    else:
        say(look.lines(instrument_id, definition, known))


@app.command(short_help="Store definitions from a YAML file, or of currency pairs.")
def define(
    context: typer.Context,
    ids: Annotated[list[str] | None, typer.Argument(metavar="ID", help="Which to store; all of the file if none.")] = None,
    instruments: InstrumentsOption = None,
    as_json: JsonOption = False,
    catalog: CatalogOption = None,
    config: ConfigOption = None,
) -> None:
    """Store definitions from a YAML file; pairs of ISO currencies need none. A changed one keeps its versions.

    \b
    Examples:
      mdp instruments define --instruments instruments.yaml
      mdp instruments define EUR/USD.IDEALPRO USD/JPY.IDEALPRO
    """  # noqa: D301 - \b keeps the lines below it as they are
    from market_data_pipeline.cli.definitions import Definitions, define_instruments
    from market_data_pipeline.cli.output import say, show_json
    from market_data_pipeline.cli.rendering import definitions as look

    place = Place.of(context, catalog, config)
    with place.opened() as stored:
        changes = define_instruments(stored, Definitions.of(place, instruments), ids or [])
    if as_json:
        show_json({"catalog": str(place.root), "instruments": [look.change_to_json(one) for one in changes]})
    else:
        say(look.change_line(one) for one in changes)
