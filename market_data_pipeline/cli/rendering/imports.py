"""How `mdp import-csv` ends."""

from __future__ import annotations

import sys
from collections.abc import Callable

from market_data_pipeline.catalog.instruments import Outcome
from market_data_pipeline.cli.output import Json, paint
from market_data_pipeline.cli.rendering.checks import range_to_json, session_evidence, session_to_json, title
from market_data_pipeline.cli.rendering.definitions import change_line, change_to_json
from market_data_pipeline.cli.rendering.verdicts import verdict_lines, verdict_to_json
from market_data_pipeline.cli.words import count, duration, listed
from market_data_pipeline.ingest.import_csv import ImportReport
from market_data_pipeline.ingest.import_files import Done

_LISTED = 5
_KINDS = ("stored", "replaced", "merged", "skipped", "unchanged")


def lines(done: Done, command: Callable[..., str]) -> list[str]:
    """Return the summary that a person wants; `command` writes a command to type next."""
    report, series = done.report, done.report.series
    rate = f", {report.rows_read / report.seconds:,.0f} rows/s" if report.seconds else ""
    head = "Dry run, nothing was stored; it would be: " if report.dry_run else ""
    written = f"{count(report.bars_written, 'bar')} {'would be ' if report.dry_run else ''}written"
    text = [
        f"{head}{paint(title(series), 'bold')}: {_sessions(report)}",
        f"  {written}, {count(report.rows_read, 'row')} read from {listed(report.files, 3)} in {duration(report.seconds)}{rate}",
    ]
    # At a terminal the evidence was shown before anything was stored.
    shown = 1 if sys.stderr.isatty() and not report.dry_run else None
    if report.read_as is not None:
        text += [f"  {line}" for line in verdict_lines(report.read_as)[:shown]]
    text += _remarks(done)
    text += [f"  {paint('note', 'yellow')}: {warning}" for warning in report.warnings]
    text += [f"  {paint('bad file of the catalog', 'red')} moved to quarantine: {item}" for item in report.quarantined]
    return [*text, f"  next: {_next(done, command)}"]


def _sessions(report: ImportReport) -> str:
    """Return `61 sessions stored (2024-01-02 to 2024-03-28)`, or `5 sessions (…): 3 stored, 2 unchanged`."""
    kinds = [(kind, number) for kind in _KINDS if (number := int(getattr(report, kind)))]
    total = count(sum(number for _, number in kinds), "session")
    span = f"({report.first_session} to {report.last_session})"
    if len(kinds) == 1:
        return f"{total} {kinds[0][0]} {span}"
    return f"{total} {span}: {', '.join(f'{number:,} {kind}' for kind, number in kinds)}" if kinds else "no session in the files"


def _remarks(done: Done) -> list[str]:
    report, text = done.report, []
    if done.definition is not None and done.definition.outcome is not Outcome.UNCHANGED:
        text.append(f"  definition of {change_line(done.definition)}")
    if report.rows_bad:
        kept = f"; they are in {report.rejects_file}" if report.rejects_file else ""
        text.append(f"  {paint(count(report.rows_bad, 'bad row'), 'yellow')} left out{kept}")
    if report.partial and report.dry_run:
        text.append(f"  {count(len(report.partial), 'session')} would be partial: {listed(report.partial, _LISTED)}")
    text += [f"  {paint('partial', 'yellow')} {session_evidence(row)}" for row in done.partial[:_LISTED]]
    if len(done.partial) > _LISTED:
        text.append(f"  … and {count(len(done.partial) - _LISTED, 'more partial session')}")
    if done.gaps:
        text.append(f"  {paint(count(len(done.gaps), 'gap'), 'yellow')} inside: {listed(done.gaps, _LISTED)}")
    return text


def _next(done: Done, command: Callable[..., str]) -> str:
    report, series = done.report, done.report.series
    if report.dry_run:
        return "the same command without --dry-run"
    return command("check", series.instrument_id, "--bar", str(series.spec))


def to_json(done: Done) -> dict[str, Json]:
    """Return the report for programs."""
    report = done.report
    return {
        "series": report.series.bar_type,
        "dry_run": report.dry_run,
        "files": list(report.files),
        "read_as": None if report.read_as is None else verdict_to_json(report.read_as),
        "rows_read": report.rows_read,
        "rows_bad": report.rows_bad,
        "rejects_file": report.rejects_file,
        "bars_written": report.bars_written,
        "sessions": {kind: getattr(report, kind) for kind in _KINDS} | {"partial": len(report.partial)},
        "first_session": str(report.first_session) if report.first_session else None,
        "last_session": str(report.last_session) if report.last_session else None,
        "partial_sessions": [session_to_json(row) for row in done.partial] or [{"session": str(date)} for date in report.partial],
        "gaps": [range_to_json(gap) for gap in done.gaps],
        "definition": change_to_json(done.definition) if done.definition is not None else None,
        "warnings": list(report.warnings),
        "quarantined": list(report.quarantined),
        "seconds": round(report.seconds, 3),
    }
