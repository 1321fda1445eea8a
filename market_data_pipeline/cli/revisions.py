"""`mdp revisions`: what the broker changed in bars that were stored. Asks nobody."""

from __future__ import annotations

from typing import Annotated

import typer

from market_data_pipeline.cli.options import CatalogOption, ConfigOption, JsonOption, Place


def revisions(
    context: typer.Context,
    instrument: Annotated[str | None, typer.Argument(metavar="ID", help="Instrument id or bar type; all if none.")] = None,
    bar: Annotated[str | None, typer.Argument(metavar="SPEC", help="Only bars of this spec, for example 1-MINUTE-LAST.")] = None,
    examples: Annotated[int, typer.Option("--examples", metavar="N", min=0, max=10_000, help="Values to show of each revision.")] = 3,
    as_json: JsonOption = False,
    catalog: CatalogOption = None,
    config: ConfigOption = None,
) -> None:
    """Say which stored bars a later look at the broker found changed: when, which sessions, how many bars, by how much at most.

    `mdp load ID SPEC --recheck N` looks, and notes what it finds. Old and new values lie in revisions/ of the catalog, one Parquet file a recheck.

    Exit code 1 if nothing is stored of the ID, or while a split is suspected that nobody has decided on.

    \b
    Examples:
      mdp revisions
      mdp revisions AAPL.NASDAQ 1-MINUTE-LAST --examples 20
      mdp revisions --json | jq '.series[].revisions[].largest_relative_change'
    """  # noqa: D301 - \b keeps the lines below it as they are
    from market_data_pipeline.catalog.revisions import RevisionFiles
    from market_data_pipeline.cli.output import say, show_json
    from market_data_pipeline.cli.rendering import revisions as look
    from market_data_pipeline.cli.series_check import Wanted, find_series

    wanted = Wanted.parse([instrument] if instrument is not None else None, bar, None, None)
    place = Place.of(context, catalog, config)
    with place.opened() as stored:
        find_series(stored, wanted)  # refuses what nothing is stored of
        files = RevisionFiles(stored)
        noted = [look.Noted(series, tuple(files.of(series)), files.suspicion(series)) for series in files.series() if wanted.means(series)]
        if as_json:
            show_json({"catalog": str(place.root), "series": [look.to_json(one, examples) for one in noted]})
        else:
            say([line for one in noted for line in look.lines(one, examples, place.command)] or look.nothing(place.command))
    if any(one.suspicion is not None for one in noted):
        raise typer.Exit(1)
