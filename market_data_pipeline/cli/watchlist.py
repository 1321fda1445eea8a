"""`mdp watchlist`: what is wanted, from where."""

from __future__ import annotations

from typing import Annotated

import typer

from market_data_pipeline.cli.options import CatalogOption, ConfigOption, JsonOption, Place

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="The watchlist: which instruments are wanted, from where.")

UniverseArgument = Annotated[str, typer.Argument(metavar="UNIVERSE", help="For example us_equities.")]
InstrumentIds = Annotated[list[str], typer.Argument(metavar="ID…", help="Instrument ids, for example NVDA.NASDAQ.")]


@app.command(short_help="Add instruments to a universe.")
def add(
    context: typer.Context,
    universe: UniverseArgument,
    ids: InstrumentIds,
    as_json: JsonOption = False,
    catalog: CatalogOption = None,
    config: ConfigOption = None,
) -> None:
    """Add instruments to a universe of the watchlist. Comments, order and everything else in the file stay as they are.

    The file is replaced only if it is right afterwards. Nothing is fetched here: the sensors of a running Dagster see it.

    \b
    Examples:
      mdp watchlist add us_equities_ibkr NVDA.NASDAQ AMD.NASDAQ
    """  # noqa: D301 - \b keeps the lines below it as they are
    from market_data_pipeline.cli.output import say, show_json
    from market_data_pipeline.cli.rendering import watchlists as look
    from market_data_pipeline.cli.watchlist_file import WatchlistOnDisk

    edited = WatchlistOnDisk(Place.of(context, catalog, config).config).add(universe, ids)
    if as_json:
        show_json(look.edited_to_json(edited, "added", "there_before"))
    else:
        say(look.added_lines(edited))


@app.command(short_help="Remove instruments from a universe; their data stays.")
def remove(
    context: typer.Context,
    universe: UniverseArgument,
    ids: InstrumentIds,
    as_json: JsonOption = False,
    catalog: CatalogOption = None,
    config: ConfigOption = None,
) -> None:
    """Remove instruments from a universe of the watchlist. What is stored of them stays.

    \b
    Examples:
      mdp watchlist remove us_equities_ibkr AMD.NASDAQ
    """  # noqa: D301 - \b keeps the lines below it as they are
    from market_data_pipeline.cli.output import say, show_json
    from market_data_pipeline.cli.rendering import watchlists as look
    from market_data_pipeline.cli.watchlist_file import WatchlistOnDisk

    edited = WatchlistOnDisk(Place.of(context, catalog, config).config).remove(universe, ids)
    if as_json:
        show_json(look.edited_to_json(edited, "removed", "not_there"))
    else:
        say(look.removed_lines(edited))


@app.command("list")
def list_(context: typer.Context, as_json: JsonOption = False, catalog: CatalogOption = None, config: ConfigOption = None) -> None:
    """List the universes of the watchlist and their instruments."""
    from market_data_pipeline.cli.output import show_json, show_table
    from market_data_pipeline.cli.rendering import watchlists as look
    from market_data_pipeline.cli.watchlist_file import WatchlistOnDisk

    watchlist = WatchlistOnDisk(Place.of(context, catalog, config).config).read()
    if as_json:
        universes = [look.to_json(name, universe) for name, universe in watchlist.universes.items()]
        show_json({"config": str(watchlist.path), "universes": universes})
    else:
        show_table(look.HEADERS, (look.row(name, universe) for name, universe in watchlist.universes.items()))


@app.command(short_help="Say every mistake in the watchlist, with its line.")
def validate(context: typer.Context, as_json: JsonOption = False, catalog: CatalogOption = None, config: ConfigOption = None) -> None:
    """Say every mistake in the watchlist and in the definitions that it names, each with file and line. Exit code 1 if there is one.

    What is no mistake, but keeps an instrument from being loaded (a file that is not there yet), is said on the side.

    \b
    Examples:
      mdp watchlist validate
      mdp watchlist validate --config other.yaml && ./dev up
    """  # noqa: D301 - \b keeps the lines below it as they are
    from market_data_pipeline.cli.output import note, say, show_json
    from market_data_pipeline.cli.rendering import watchlists as look
    from market_data_pipeline.cli.watchlist_file import WatchlistOnDisk, remarks

    file = WatchlistOnDisk(Place.of(context, catalog, config).config)
    mistakes = file.mistakes()
    known = [] if mistakes else remarks(file.read())
    if as_json:
        show_json({"config": str(file.path), "valid": not mistakes, "mistakes": mistakes, "remarks": known})
    else:
        for remark in known:
            note(remark)
        say(look.mistakes_lines(mistakes) if mistakes else f"{file.path} is right: {', '.join(file.read().universes)}.")
    if mistakes:
        raise typer.Exit(1)
