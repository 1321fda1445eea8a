"""`mdp catalog repair`: mend what is safe, and say what needs a decision."""

from __future__ import annotations

from typing import Annotated

import typer

from market_data_pipeline.cli.options import CatalogOption, ConfigOption, InstrumentsOption, JsonOption, Place


def repair(
    context: typer.Context,
    instruments: InstrumentsOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be mended, change nothing.")] = False,
    as_json: JsonOption = False,
    catalog: CatalogOption = None,
    config: ConfigOption = None,
) -> None:
    """Mend a catalog: bad files go to quarantine, and whole ones that only stand in Nautilus' way come back in order.

    Rows twice with the same values, rows out of order, files that overlap or are oddly named, a ledger that disagrees, definitions that the
    file of definitions or ISO currency codes tell, temporary files of processes that were killed: mended. Two values for one bar, lost files,
    other definitions: told, with the command. Nothing is deleted but temporary files.

    Exit code 1 if something needs a decision, else 0.

    \b
    Examples:
      mdp catalog repair --dry-run
      mdp catalog repair
    """  # noqa: D301 - \b keeps the lines below it as they are
    from market_data_pipeline.cli.output import say, show_json, show_table
    from market_data_pipeline.cli.progress import verifying
    from market_data_pipeline.cli.rendering import repairing as look
    from market_data_pipeline.ingest.definitions import Definitions
    from market_data_pipeline.ingest.import_csv import Run
    from market_data_pipeline.ingest.repair import needs_decision
    from market_data_pipeline.ingest.repair import repair as carry_out

    place = Place.of(context, catalog, config)
    with place.opened() as stored, verifying() as progress:
        given = Run.DRY if dry_run else Run.STORE
        report = carry_out(stored, lambda: Definitions.of(place.config, instruments).content, run=given, progress=progress)
    if as_json:
        show_json({"catalog": str(place.root), **look.to_json(report)})
    else:
        if rows := look.rows(report):
            show_table(look.HEADERS, rows)
        say(look.verdict(report))
    if needs_decision(report):
        raise typer.Exit(1)
