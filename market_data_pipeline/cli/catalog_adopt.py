"""`mdp catalog adopt`: take over a catalog that another program wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from market_data_pipeline.cli.options import CatalogOption, ConfigOption, JsonOption, Place

# A test holds these against the enums of the use case, which are too heavy to import for `--help`.
Preference = Literal["newest-file", "oldest-file", "fail"]
Conflicts = Literal["fail", "skip", "overwrite"]


def adopt(
    context: typer.Context,
    source: Annotated[Path, typer.Argument(metavar="PATH", help="Folder of the Nautilus catalog: the one that holds data/bar/. It is only read.")],
    prefer: Annotated[Preference, typer.Option("--prefer", help="Which of two files is believed that have different values for one bar.")] = "fail",
    on_conflict: Annotated[Conflicts, typer.Option("--on-conflict", help="For sessions that are stored with other bars.")] = "fail",
    stamp: Annotated[Literal["open", "close"] | None, typer.Option("--stamp", help="Which end of a bar stamps name, where nothing decides.")] = None,
    hours: Annotated[Literal["all", "rth"] | None, typer.Option("--hours", help="Which hours the bars were asked for.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read and check everything, store nothing.")] = False,
    as_json: JsonOption = False,
    catalog: CatalogOption = None,
    config: ConfigOption = None,
) -> None:
    """Take over a Nautilus catalog (v1, any build): read whatever is wrong with it, and write clean sessions. The source is never touched.

    Prices of 8 and 16 bytes, old file names, files that overlap, rows twice or out of order, wrong instruments, bad files: each row is
    accounted for, in the report that stays in reports/ of the catalog. Adopting again changes nothing, and goes on where it was stopped.

    Exit code 1 if a series could not be adopted; 3 if files contradict each other and nobody said which to believe: then nothing is written.

    \b
    Examples:
      mdp catalog adopt ~/old-catalog --dry-run
      mdp catalog adopt ~/old-catalog
      mdp catalog adopt ~/old-catalog --prefer newest-file --catalog data/adopted
    """  # noqa: D301 - \b keeps the lines below it as they are
    from market_data_pipeline.cli.adopting import carry_out
    from market_data_pipeline.cli.output import say, show_json, show_table
    from market_data_pipeline.cli.rendering import adoption as look
    from market_data_pipeline.domain.errors import QuestionUnanswered
    from market_data_pipeline.ingest.adopt import PreferFile
    from market_data_pipeline.ingest.adopt_report import Ending
    from market_data_pipeline.ingest.import_csv import OnConflict, Run
    from market_data_pipeline.sources.nautilus.stamps import StampEnd

    place = Place.of(context, catalog, config)
    report = carry_out(
        place,
        source,
        prefer=PreferFile(prefer),
        on_conflict=OnConflict(on_conflict),
        stamp=StampEnd(stamp) if stamp else None,
        hours=hours,
        run=Run.DRY if dry_run else Run.STORE,
    )
    if as_json:
        show_json(look.to_json(report))
    else:
        if report.series:
            show_table(look.SERIES_HEADERS, look.series_rows(report), look.SERIES_NUMBERS)
        if report.instruments:
            say()
            show_table(look.INSTRUMENT_HEADERS, look.instrument_rows(report))
        say(["", *look.lines(report, place.command)])
    if report.ending is Ending.CONFLICTS or look.would_conflict(report):
        raise typer.Exit(QuestionUnanswered.exit_code)
    if report.failed:
        raise typer.Exit(1)
