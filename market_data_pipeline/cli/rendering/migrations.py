"""How `mdp migrate` ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from market_data_pipeline.catalog.instruments import Outcome
from market_data_pipeline.cli.migrating import Done
from market_data_pipeline.cli.output import Json, paint, say, show_table
from market_data_pipeline.cli.rendering.definitions import change_line, change_to_json
from market_data_pipeline.cli.words import count, duration, listed, size
from market_data_pipeline.ingest import migration_report
from market_data_pipeline.ingest.migration_report import SymbolReport

HEADERS = ("SYMBOL", "INSTRUMENT", "ROWS", "BARS", "BAD", "SESSIONS", "EQUAL BEFORE", "DIFFERENT", "OUTCOME")
_NUMBERS = ("ROWS", "BARS", "BAD", "SESSIONS", "EQUAL BEFORE", "DIFFERENT")
_SHOWN = 10
_ROWS = 60


def show(done: Done, command: Callable[..., str]) -> None:
    """Print the summary that a person wants; `command` writes a command to type next."""
    report = done.report
    head = "Dry run, nothing was stored; it would be: " if report.dry_run else ""
    rate = f", {report.rows / report.seconds:,.0f} rows/s" if report.seconds and report.bars_written else ""
    say(
        f"{head}{paint(report.table, 'bold')} of {report.database}: {count(report.rows, 'row')}, {count(len(report.symbols), 'symbol')}, "
        f"{count(report.bars_written, 'bar')} written in {duration(report.seconds)}{rate}, at most {size(report.peak_memory)} of memory"
    )
    worst_first = sorted(report.symbols, key=lambda one: one.is_whole)
    show_table(HEADERS, map(_row, worst_first[:_ROWS]), _NUMBERS)
    if len(worst_first) > _ROWS:
        say(f"… and {count(len(worst_first) - _ROWS, 'more symbol')}, in the report")
    for one in report.symbols:
        say_lines = _remarks(one)
        if say_lines:
            say(say_lines)
    for change in done.definitions:
        if change.outcome is not Outcome.UNCHANGED:
            say(f"  definition of {change_line(change)}")
    for note in done.migrated.notes:
        say(f"  {paint('note', 'yellow')}: {note}")
    for symbol, rows in report.left_out.items():
        say(f"  left out: {symbol if symbol is not None else 'rows without a symbol'} ({count(rows, 'row')})")
    say(paint(report.verdict, "green" if report.is_proven else "yellow" if report.dry_run and not report.refused else "red"))
    if report.comment is not None:
        say(f"  the table's comment says now: {report.comment.splitlines()[0]}")
    if done.migrated.not_marked is not None:
        say(f"  {paint('not marked', 'yellow')}: {done.migrated.not_marked}")
    if done.migrated.file is not None:
        say(f"  report: {done.migrated.file}")
    say(f"  next: {'the same command without --dry-run' if report.dry_run else command('check')}")


def _row(one: SymbolReport) -> tuple[str, ...]:
    outcome = "refused" if one.refused is not None else "equal" if one.is_whole else "DIFFERS" if one.is_reconciled else "read"
    numbers = (one.rows, one.bars_compared or one.bars_written, one.rows_bad, one.sessions, one.equal_before, len(one.differences))
    return (one.symbol or "-", one.series.instrument_id, *(f"{number:,}" for number in numbers), outcome)


def _remarks(one: SymbolReport) -> list[str]:
    text = []
    name = one.symbol or one.series.instrument_id
    if one.refused is not None:
        text.append(f"{paint('refused', 'red')} {name}: {one.refused}")
    text += [f"{paint('differs', 'red')} {name} {difference}" for difference in one.differences[:_SHOWN]]
    if len(one.differences) > _SHOWN:
        text.append(f"  … and {count(len(one.differences) - _SHOWN, 'more session')} of {name}, in the report")
    if one.imported is not None:
        if one.rows_bad:
            kept = f"; they are in {one.imported.rejects_file}" if one.imported.rejects_file else ""
            text.append(f"  {paint(count(one.rows_bad, 'bad row'), 'yellow')} of {name} left out{kept}")
        if one.imported.partial:
            text.append(f"  {name}: {count(len(one.imported.partial), 'partial session')}: {listed(one.imported.partial, 5)}")
        text += [f"  {paint('note', 'yellow')} {name}: {warning}" for warning in one.imported.warnings]
        text += [f"  {paint('bad file of the catalog', 'red')} moved to quarantine: {item}" for item in one.imported.quarantined]
    return text


def to_json(done: Done) -> dict[str, Json]:
    """Return the report for programs."""
    content = cast("dict[str, Json]", migration_report.to_json(done.report))
    return {
        **content,
        "report": None if done.migrated.file is None else str(done.migrated.file),
        "not_marked": done.migrated.not_marked,
        "notes": list(done.migrated.notes),
        "definitions": [change_to_json(change) for change in done.definitions],
    }
