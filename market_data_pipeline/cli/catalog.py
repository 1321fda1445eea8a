"""`mdp catalog`: care of the Parquet catalog."""

from __future__ import annotations

from typing import Annotated

import typer

from market_data_pipeline.cli.catalog_adopt import adopt
from market_data_pipeline.cli.catalog_compact import compact
from market_data_pipeline.cli.catalog_export import export
from market_data_pipeline.cli.catalog_repair import repair
from market_data_pipeline.cli.options import BarOption, CatalogOption, ConfigOption, IdsArgument, JsonOption, Place

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Care of the Parquet catalog.")


@app.command(short_help="Read every bar file and move bad ones away.")
def verify(
    context: typer.Context,
    ids: IdsArgument = None,
    bar: BarOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Report bad files and leave them where they are.")] = False,
    as_json: JsonOption = False,
    catalog: CatalogOption = None,
    config: ConfigOption = None,
) -> None:
    """Read every bar file to the last byte; move bad ones to quarantine and bring the ledger into agreement.

    Also tells bars without an instrument, instruments without bars, and decimals of bars and instrument that differ. Use --dry-run first on a
    catalog that another tool has written: files that overlap are bad files too. What is moved away and whole comes back, in order, with:
    mdp catalog repair

    Exit code 1 if bad files were found or a series could not be verified, else 0.

    \b
    Examples:
      mdp catalog verify
      mdp catalog verify AAPL.NASDAQ --json
    """  # noqa: D301 - \b keeps the lines below it as they are
    from market_data_pipeline.catalog.reconcile import BadFiles
    from market_data_pipeline.cli.next_step import how_to_start
    from market_data_pipeline.cli.output import say, show_json, show_table
    from market_data_pipeline.cli.progress import verifying
    from market_data_pipeline.cli.rendering import verification as look
    from market_data_pipeline.cli.series_check import Wanted, find_series

    wanted = Wanted.parse(ids, bar, None, None)
    place = Place.of(context, catalog, config)
    with place.opened() as stored, verifying() as progress:
        # Series without one readable file are in nobody's list of series: only a verification of all finds them.
        series = [one for one in stored.known_series() if wanted.means(one)] if ids or bar else None
        if series == []:
            find_series(stored, wanted)  # says what is stored instead
        report = stored.verify(series, progress, BadFiles.LEAVE if dry_run else BadFiles.QUARANTINE)
    if as_json:
        show_json({"catalog": str(place.root), **look.to_json(report)})
    elif not report.series and not report.problems:
        say(how_to_start(place))
    else:
        if report.problems:
            show_table(look.HEADERS, map(look.row, report.problems))
        said = [look.verdict(report), *look.remarks(report)]
        say([*said, *place.remark([*said, *(cell for problem in report.problems for cell in look.row(problem))])])
    if look.failed(report):
        raise typer.Exit(1)


app.command("repair", short_help="Mend what is safe to mend; say what needs a decision.")(repair)
app.command("adopt", short_help="Take over a catalog that another program wrote.")(adopt)
app.command("export", short_help="Write stored bars to CSV, Parquet or Arrow files.")(export)
app.command("compact", short_help="Join the session files of closed months, or take them apart again.")(compact)
