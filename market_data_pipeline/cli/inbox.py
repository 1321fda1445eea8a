"""`mdp inbox`: files that lie in the inbox, as the page's sensor takes them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from market_data_pipeline.cli.options import CatalogOption, ConfigOption, JsonOption, Place

if TYPE_CHECKING:
    from market_data_pipeline.catalog import Catalog
    from market_data_pipeline.cli.output import Json
    from market_data_pipeline.ingest.inbox import FileDone, Inbox
    from market_data_pipeline.ingest.inbox_look import Looked

INBOX_VARIABLE = "MDP_INBOX"
DEFAULT_INBOX = Path("data/inbox")

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Files put into a folder to be imported.")


@app.callback()
def _group() -> None:
    """Keep `run` a command of its own name while it is the only one."""


@app.command(short_help="Import the complete files of the inbox.")
def run(
    context: typer.Context,
    inbox: Annotated[Path | None, typer.Option("--inbox", metavar="PATH", help="The folder.  [env: MDP_INBOX; default: data/inbox]")] = None,
    rules: Annotated[
        Path | None, typer.Option("--rules", metavar="YAML", help="What its files hold.  [default: inbox.yaml beside the watchlist]")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read and check everything; store and move nothing.")] = False,
    as_json: JsonOption = False,
    catalog: CatalogOption = None,
    config: ConfigOption = None,
) -> None:
    """Import the files of the inbox: good ones go to done/, bad ones to rejected/ with a report beside them.

    A file is complete when nobody writes it and it has not changed for some seconds. What it holds is said by rules in inbox.yaml,
    or by FILE.yaml beside it. A content is never imported twice.

    Exit code 1 if a file was rejected or could not be imported now, else 0.

    \b
    Examples:
      mdp inbox run --dry-run
      mdp inbox run
    """  # noqa: D301 - \b keeps the lines below it as they are
    import time

    from market_data_pipeline.cli.output import say, show_json
    from market_data_pipeline.ingest.import_csv import Run
    from market_data_pipeline.ingest.inbox_look import look_into
    from market_data_pipeline.ingest.inbox_rules import read_rules

    place = Place.of(context, catalog, config)
    folder = inbox or Path(os.environ.get(INBOX_VARIABLE) or DEFAULT_INBOX)
    known = read_rules(rules or (place.config or Path("config/watchlist.yaml")).with_name("inbox.yaml"))
    looked = look_into(folder, known.rests_s, time.time_ns())
    with place.opened() as stored:
        done = _take_in(stored, _inbox(folder, known, place, stored), looked, Run.DRY if dry_run else Run.STORE)
    if as_json:
        waiting: list[Json] = [{"file": one.name, "why": one.why} for one in looked.waiting]
        show_json({"catalog": str(place.root), "inbox": str(folder), "files": [_to_json(one) for one in done], "waiting": waiting})
    else:
        say(_lines(folder, done, looked))
    if any(one.error is not None for one in done):
        raise typer.Exit(1)


def _inbox(folder: Path, rules: object, place: Place, catalog: Catalog) -> Inbox:
    from market_data_pipeline.ingest.definitions import Definitions
    from market_data_pipeline.ingest.inbox import Inbox
    from market_data_pipeline.ingest.inbox_rules import InboxRules

    assert isinstance(rules, InboxRules)
    definitions = Definitions.of(place.config, None)
    ids = (*definitions.ids, *catalog.instruments.ids())
    config = place.config
    project = config.absolute().parent.parent if config is not None and config.absolute().parent.name == "config" else Path.cwd()
    return Inbox(folder, rules, lambda: definitions.content, ids, project)


def _take_in(catalog: Catalog, inbox: Inbox, looked: Looked, run: object) -> list[FileDone]:
    from market_data_pipeline.ingest.import_csv import Run
    from market_data_pipeline.ingest.inbox import FileDone, take_in

    assert isinstance(run, Run)
    return [event for event in take_in(catalog, inbox, looked.ready, run) if isinstance(event, FileDone)]


def _lines(folder: Path, done: list[FileDone], looked: Looked) -> list[str]:
    from market_data_pipeline.cli.words import count

    lines = []
    for one in done:
        holds = f": {one.series}" if one.series is not None else ""
        report = one.report
        if report is not None:
            holds += f", {count(report.bars_written, 'bar')} in {count(report.stored + report.replaced + report.merged, 'session')}"
            holds += f", {count(report.unchanged + report.skipped, 'session')} as before" if report.unchanged + report.skipped else ""
        lines.append(f"{one.what}  {one.name}{holds}")
        lines += _recognised(one)
        if one.error is not None:
            lines.append(f"  {str(one.error).splitlines()[0]}")
        if one.rejected and one.moved_to is not None:
            lines.append(f"  see {one.moved_to}.report.txt")
    lines += [f"waiting  {one.name}: {one.why}" for one in looked.waiting]
    return lines or [f"Nothing lies in {folder}."]


def _recognised(one: FileDone) -> list[str]:
    """Return what a file was taken for and the evidence in a line, and a line for each doubt."""
    verdict = None if one.report is None else one.report.read_as
    if verdict is None:
        return []
    return [f"  read as {verdict}: {'; '.join(verdict.evidence)}", *(f"  but {line}" for line in verdict.warnings)]


def _to_json(one: FileDone) -> dict[str, Json]:
    from market_data_pipeline.cli.endings import error_to_json
    from market_data_pipeline.cli.rendering.verdicts import verdict_to_json

    report = one.report
    sessions: dict[str, Json] = {}
    if report is not None:
        sessions = {name: getattr(report, name) for name in ("stored", "replaced", "merged", "skipped", "unchanged")}
    return {
        "file": one.name,
        "what": one.what,
        "series": one.series.bar_type if one.series is not None else None,
        "moved_to": str(one.moved_to) if one.moved_to is not None else None,
        "bars_written": report.bars_written if report is not None else 0,
        "sessions": sessions,
        "read_as": None if report is None or report.read_as is None else verdict_to_json(report.read_as),
        "problem": error_to_json(one.error) if one.error is not None else None,
    }
