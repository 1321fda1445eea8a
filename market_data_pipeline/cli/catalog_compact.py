"""`mdp catalog compact`: one file a month instead of one a session, and back."""

from __future__ import annotations

from typing import Annotated

import typer

from market_data_pipeline.cli.options import BarOption, CatalogOption, ConfigOption, IdsArgument, JsonOption, Place


def compact(
    context: typer.Context,
    ids: IdsArgument = None,
    bar: BarOption = None,
    undo: Annotated[bool, typer.Option("--undo", help="Give each session a file of its own again.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, change nothing.")] = False,
    as_json: JsonOption = False,
    catalog: CatalogOption = None,
    config: ConfigOption = None,
) -> None:
    """Join the session files of months that are over into one file each, and those of years of day bars. Bars stay as they are, to the bit.

    A month is joined when each of its sessions is complete or empty; others are left and told. Coverage and fingerprints do not change, a session
    can be replaced as before, and --undo brings session files back. Nobody is disturbed: a series that another process writes, or that
    Nautilus reads right now, is passed over.

    Exit code 1 if a series was passed over, else 0.

    \b
    Examples:
      mdp catalog compact --dry-run
      mdp catalog compact
      mdp catalog compact AAPL.NASDAQ --bar 1-MINUTE-LAST --undo
    """  # noqa: D301 - \b keeps the lines below it as they are
    from market_data_pipeline.catalog.compaction import Direction
    from market_data_pipeline.cli.next_step import how_to_start
    from market_data_pipeline.cli.output import say, show_json, show_table
    from market_data_pipeline.cli.progress import compacting
    from market_data_pipeline.cli.rendering import compaction as look
    from market_data_pipeline.cli.series_check import Wanted, find_series
    from market_data_pipeline.ingest.compact import compact_series, reported
    from market_data_pipeline.ingest.import_csv import Run

    wanted = Wanted.parse(ids, bar, None, None)
    place = Place.of(context, catalog, config)
    direction, run = Direction.UNDO if undo else Direction.JOIN, Run.DRY if dry_run else Run.STORE
    with place.opened() as stored, compacting() as hear:
        series = [one.series for one in find_series(stored, wanted)]
        report = reported(compact_series(stored, series, direction, run=run), direction, run, hear)
    if as_json:
        show_json({"catalog": str(place.root), **look.to_json(report)})
    elif not series:
        say(how_to_start(place))
    else:
        if rows := look.rows(report):
            show_table(look.HEADERS, rows, look.NUMBERS)
        say([*look.left(report), *look.passed_over(report), look.verdict(report)])
    if report.passed_over:
        raise typer.Exit(1)
