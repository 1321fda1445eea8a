"""How `mdp catalog repair` looks."""

from __future__ import annotations

from market_data_pipeline.cli.output import Json, paint
from market_data_pipeline.cli.words import count, size
from market_data_pipeline.ingest.repair import RepairReport, needs_decision

HEADERS = ("", "WHERE", "WHAT", "WHAT WAS DONE, OR IS TO DO")
_DONE_BY_VERIFYING = ("bad file", "ledger drift", "ledger damaged")


def rows(report: RepairReport) -> list[tuple[str, ...]]:
    """Return the lines of the table: what was mended, then what needs a decision."""
    open_ones = needs_decision(report)
    found = [one for one in report.verified.problems if one.kind in _DONE_BY_VERIFYING and one not in open_ones]
    done = "would be mended" if report.dry_run else "mended"
    return [
        *((done, one.subject, one.detail, one.action) for one in found),
        *((done, one.subject, one.what, "") for one in report.mended),
        *(("to decide", one.subject, one.detail, one.action) for one in open_ones),
    ]


def verdict(report: RepairReport) -> str:
    """Return how it ended, in a line."""
    verified, open_ones = report.verified, len(needs_decision(report))
    read = f"{count(verified.series, 'series', 'series')}, {count(verified.files, 'file')}, {size(verified.bytes)} read"
    mended = len(rows(report)) - open_ones
    if not mended and not open_ones:
        return f"{read}: {paint('all is well', 'green')}"
    parts = [f"{count(mended, 'thing')} {'would be ' if report.dry_run else ''}mended"]
    if open_ones:
        parts.append(paint(f"{count(open_ones, 'thing')} to decide", "red"))
    return f"{read}: {', '.join(parts)}"


def to_json(report: RepairReport) -> dict[str, Json]:
    """Return the report for programs."""
    open_ones = needs_decision(report)
    return {
        "dry_run": report.dry_run,
        "mended": [{"subject": row[1], "what": row[2], "action": row[3]} for row in rows(report) if row[0] != "to decide"],
        "to_decide": [{"kind": one.kind, "subject": one.subject, "detail": one.detail, "action": one.action} for one in open_ones],
    }
