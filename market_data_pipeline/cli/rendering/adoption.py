"""How `mdp catalog adopt` ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from market_data_pipeline.cli.output import Json, paint
from market_data_pipeline.cli.rendering.checks import range_to_json
from market_data_pipeline.cli.words import count, duration, iso, listed
from market_data_pipeline.domain.source import Precision
from market_data_pipeline.ingest.adopt import conflict_message
from market_data_pipeline.ingest.adopt_markdown import conflict_text, values_of
from market_data_pipeline.ingest.adopt_report import AdoptReport, Ending, InstrumentReport, SeriesReport
from market_data_pipeline.sources.nautilus import BarConflict

SERIES_HEADERS = ("SERIES", "READ", "WRITTEN", "AS BEFORE", "DUPLICATES", "CONFLICTS", "BAD ROWS", "NOT WRITTEN", "COMPLETE", "PARTIAL", "MISSING")
SERIES_NUMBERS = SERIES_HEADERS[1:]
INSTRUMENT_HEADERS = ("INSTRUMENT", "KIND", "DEFINITION", "WHY")
_LISTED = 5


def series_rows(report: AdoptReport) -> Iterator[tuple[str, ...]]:
    """Yield a line of the table for each series, and one for all."""
    for one in [*report.series, *([report.total] if len(report.series) > 1 else [])]:
        sessions = (f"{number:,}" for number in (one.complete, one.partial, one.missing_sessions))
        as_before, bad = one.stored_before + one.kept_stored, one.bad_rows + one.left_out_rows
        rows = (f"{number:,}" for number in (one.read, one.written, as_before, one.duplicates, one.conflicts, bad, one.not_written))
        yield one.title if one in report.series else "all", *rows, *sessions


def instrument_rows(report: AdoptReport) -> Iterator[tuple[str, ...]]:
    """Yield a line of the table for each instrument."""
    return ((one.instrument_id, one.kind, str(one.what), one.why) for one in report.instruments)


def would_conflict(report: AdoptReport) -> bool:
    """Return whether a dry run found what would stop an adoption."""
    if report.ending is not Ending.DRY:
        return False
    between = report.prefer.startswith("none") and any(one.conflicts for one in report.series)
    return between or any(one.not_written for one in report.series if one.failed is None)


def lines(report: AdoptReport, command: Callable[..., str]) -> list[str]:
    """Return the summary below the tables; `command` writes a command to type next."""
    total = report.total
    head = {Ending.DONE: "", Ending.DRY: "Dry run, nothing was stored. ", Ending.CONFLICTS: paint("Nothing was written. ", "red")}[report.ending]
    closes = paint("the sum closes", "green") if report.closes else paint("THE SUM DOES NOT CLOSE", "red")
    parts = ", ".join(f"{number:,} {name}" for name, number in total.parts.items() if number) or "nothing"
    read = f"{count(total.read, 'bar')} read from {count(total.files, 'file')} of {count(len(report.series), 'series', 'series')}"
    written = f" and {count(total.recount.written_rows, 'bar')} written" if total.recount.written_rows is not None else ""
    again = f"counted again by the footers of the files, {count(total.recount.source_rows, 'row')} in the source{written}"
    text = [f"{head}{read} in {duration(report.seconds)}: {parts}", f"  {closes}: {again}"]
    for one in report.series:
        text += _series_lines(one)
    text += [f"  not adopted: {one.where}, {count(one.files, 'file')}: {one.reason}" for one in report.not_adopted]
    if report.ending is Ending.CONFLICTS:
        text.append(f"  {conflict_message(report)}")
    elif would_conflict(report):
        text.append("  files or stored sessions contradict each other: without --prefer, or --on-conflict, nothing would be written")
    if report.report_file is not None:
        text.append(f"  report: {report.report_file}")
    return [*text, *(f"  next: {one}" for one in _next(report, command))]


def _series_lines(one: SeriesReport) -> list[str]:
    text = []
    if one.failed is not None:
        text.append(f"  {one.title}: {paint('not adopted', 'red')}: {one.failed}")
    if one.duplicates:
        text.append(f"  {one.title}: {one.duplicates_inside:,} duplicate rows stand in one file, {one.duplicates_across:,} in two")
    text += [f"  {one.title}: {paint('note', 'yellow')}: {note}" for note in one.notes[:_LISTED]]
    if one.partial_sessions:
        text.append(f"  {one.title}: {paint('partial', 'yellow')}: {listed(one.partial_sessions, _LISTED)}")
    if one.missing:
        text.append(f"  {one.title}: {paint('missing', 'yellow')} inside: {listed(one.missing, _LISTED)}")
    for bad in one.bad_files[:_LISTED]:
        rows = count(bad.rows, "row") if bad.rows is not None else "an unknown number of rows"
        text.append(f"  {paint('bad file', 'red')}: {bad.name} ({rows}): {bad.reason}")
    if len(one.bad_files) > _LISTED:
        text.append(f"  … and {count(len(one.bad_files) - _LISTED, 'more bad file')}")
    text += [f"  {paint('left out', 'yellow')}: {left.path.name}: {count(left.rows, 'row')}: {left.reason} ({left.example})" for left in one.left_out]
    text += [f"  {paint('conflict', 'red')}: {conflict_text(two)}" for two in one.examples[:_LISTED]]
    if one.conflicts > _LISTED:
        text.append(f"  … {one.conflicts - _LISTED:,} more conflicts")
    stored = [f"{two.session} ({two.stored_rows:,} stored, {two.source_rows:,} here, {two.different:,} differ)" for two in one.stored_conflicts]
    if stored:
        text.append(f"  {paint('stored otherwise', 'red')}: {listed(stored, _LISTED)}")
    return text


def _next(report: AdoptReport, command: Callable[..., str]) -> list[str]:
    if report.ending is Ending.DRY:
        return ["the same command without --dry-run"]
    text = []
    if report.orphans:
        text.append(f"{command('instruments', 'backfill')}   (from Interactive Brokers, or with --instruments YAML)")
    if any(one.bad_files for one in report.series):
        text.append(f"the same command, when the bad files have been put right; {command('check')} says what is missing")
    return text or [command("check")]


def to_json(report: AdoptReport) -> dict[str, Json]:
    """Return the report for programs."""
    return {
        "source": str(report.source),
        "catalog": str(report.catalog),
        "ending": str(report.ending),
        "prefer": report.prefer,
        "closes": report.closes,
        "total": {"bars_read": report.total.read, **_parts(report.total)},
        "series": [_series_to_json(one) for one in report.series],
        "instruments": [_instrument_to_json(one) for one in report.instruments],
        "orphans": list(report.orphans),
        "not_adopted": [{"folder": one.where, "files": one.files, "reason": one.reason} for one in report.not_adopted],
        "seconds": round(report.seconds, 3),
        "report_file": str(report.report_file) if report.report_file else None,
    }


def _parts(one: SeriesReport) -> dict[str, Json]:
    return {name.replace(" ", "_"): number for name, number in one.parts.items()}


def _series_to_json(one: SeriesReport) -> Json:
    return {
        "series": one.title,
        "folder": one.name,
        "failed": one.failed,
        "files": one.files,
        "price_bytes": list(one.price_bytes),
        "precision": _precision(one.precision),
        "precisions": [_precision(found) for found in one.precisions],
        "bars_read": one.read,
        **_parts(one),
        "duplicates_inside_files": one.duplicates_inside,
        "duplicates_across_files": one.duplicates_across,
        "restamped": one.restamped,
        "closes": one.closes,
        "recount": {"source_rows": one.recount.source_rows, "written_rows": one.recount.written_rows},
        "sessions": {name: getattr(one, name) for name in ("stored", "replaced", "unchanged", "skipped", "complete", "partial")}
        | {"missing": one.missing_sessions},
        "first_session": str(one.first_session) if one.first_session else None,
        "last_session": str(one.last_session) if one.last_session else None,
        "partial_sessions": [str(date) for date in one.partial_sessions],
        "missing": [range_to_json(gap) for gap in one.missing],
        "bad_files": [{"file": bad.name, "rows": bad.rows, "reason": bad.reason} for bad in one.bad_files],
        "left_out": [{"file": left.path.name, "rows": left.rows, "reason": left.reason, "example": left.example} for left in one.left_out],
        "conflict_examples": [_conflict_to_json(two) for two in one.examples],
        "stored_otherwise": [
            {"session": str(two.session), "stored_bars": two.stored_rows, "source_bars": two.source_rows, "different": two.different}
            for two in one.stored_conflicts
        ],
        "notes": list(one.notes),
    }


def _precision(found: Precision | None) -> Json:
    return {"price": found.price, "size": found.size} if found is not None else None


def _conflict_to_json(two: BarConflict) -> Json:
    return {
        "ts_event": iso(two.ts_event),
        "kept": values_of(two.kept),
        "kept_file": two.kept_file.name,
        "other": values_of(two.other),
        "other_file": two.other_file.name,
    }


def _instrument_to_json(one: InstrumentReport) -> Json:
    return {"id": one.instrument_id, "kind": one.kind, "definition": str(one.what), "why": one.why, "older_versions": one.older}
