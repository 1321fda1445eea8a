"""`mdp instruments`: definitions of instruments in the catalog."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from market_data_pipeline.cli.options import (
    CatalogOption,
    ClientIdOption,
    ConfigOption,
    HostOption,
    InstrumentsOption,
    JsonOption,
    Place,
    PortOption,
)

if TYPE_CHECKING:
    from market_data_pipeline.ingest.instruments import Refreshed

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
    from market_data_pipeline.cli.definitions import define_instruments
    from market_data_pipeline.cli.output import say, show_json
    from market_data_pipeline.cli.rendering import definitions as look
    from market_data_pipeline.ingest.definitions import Definitions

    place = Place.of(context, catalog, config)
    with place.opened() as stored:
        changes = define_instruments(stored, Definitions.of(place.config, instruments), ids or [])
    if as_json:
        show_json({"catalog": str(place.root), "instruments": [look.change_to_json(one) for one in changes]})
    else:
        say(look.change_line(one) for one in changes)


@app.command(short_help="Fetch definitions from Interactive Brokers again.")
def refresh(
    context: typer.Context,
    ids: Annotated[list[str] | None, typer.Argument(metavar="ID", help="Which to fetch; all that are stored if none.")] = None,
    as_json: JsonOption = False,
    host: HostOption = None,
    port: PortOption = None,
    client_id: ClientIdOption = None,
    catalog: CatalogOption = None,
    config: ConfigOption = None,
) -> None:
    """Fetch definitions from Interactive Brokers again and say what changed; the definitions before are kept as versions.

    Exit code 1 if one could not be had; the others are stored.

    \b
    Examples:
      mdp instruments refresh
      mdp instruments refresh AAPL.NASDAQ EUR/USD.IDEALPRO
    """  # noqa: D301 - \b keeps the lines below it as they are
    from market_data_pipeline.cli.broker import gateway_settings
    from market_data_pipeline.cli.fetching import fetch_definitions
    from market_data_pipeline.domain.bar_types import parse_instrument_id

    place = Place.of(context, catalog, config)
    wanted = [parse_instrument_id(one) for one in ids or []]
    with place.opened() as stored:
        done = fetch_definitions(stored, gateway_settings(host, port, client_id), wanted or stored.instruments.ids())
    _tell_fetched(place, done, f"No instrument is defined in {place.root} yet. Fetch one: {place.command('instruments', 'refresh', 'ID')}", as_json)


@app.command(short_help="Give definitions to stored bars that have none.")
def backfill(
    context: typer.Context,
    instruments: Annotated[Path | None, typer.Option("--instruments", metavar="YAML", help="Take them from this file, and ask nobody.")] = None,
    as_json: JsonOption = False,
    host: HostOption = None,
    port: PortOption = None,
    client_id: ClientIdOption = None,
    catalog: CatalogOption = None,
    config: ConfigOption = None,
) -> None:
    """Give definitions to all stored bars that have none: from Interactive Brokers, or from a YAML file. Asks nobody where all have one.

    Exit code 1 if one could not be had; the others are stored.

    \b
    Examples:
      mdp instruments backfill
      mdp instruments backfill --instruments instruments.yaml
    """  # noqa: D301 - \b keeps the lines below it as they are
    from market_data_pipeline.cli.broker import gateway_settings
    from market_data_pipeline.cli.definitions import define_each
    from market_data_pipeline.cli.fetching import fetch_definitions
    from market_data_pipeline.ingest.definitions import Definitions
    from market_data_pipeline.ingest.instruments import instruments_without_definition

    place = Place.of(context, catalog, config)
    with place.opened() as stored:
        missing = instruments_without_definition(stored)
        if instruments is not None:
            done = define_each(stored, Definitions.of(place.config, instruments), missing)
        else:
            done = fetch_definitions(stored, gateway_settings(host, port, client_id), missing)
    _tell_fetched(place, done, f"Every instrument with bars in {place.root} has a definition.", as_json)


def _tell_fetched(place: Place, done: Sequence[Refreshed], nothing: str, as_json: bool) -> None:
    from market_data_pipeline.cli.output import say, show_json
    from market_data_pipeline.cli.rendering import definitions as look

    if as_json:
        show_json({"catalog": str(place.root), "instruments": [look.refreshed_to_json(one) for one in done]})
    else:
        say([look.refreshed_line(one) for one in done] or nothing)
    if any(one.error is not None for one in done):
        raise typer.Exit(1)
