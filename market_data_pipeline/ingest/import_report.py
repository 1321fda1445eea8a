"""What an import did, as a page of Markdown."""

from __future__ import annotations

from market_data_pipeline.domain.words import count
from market_data_pipeline.ingest.import_csv import ImportReport
from market_data_pipeline.ingest.import_files import Done

OUTCOMES = ("stored", "replaced", "merged", "skipped", "unchanged")
_LISTED = 20


def markdown(done: Done) -> str:
    """Return the report of an import: what was read and written, what is not whole, and what somebody should know."""
    report = done.report
    lines = [f"# {'Dry run of the import' if report.dry_run else 'Import'} of {report.series}", "", _verdict(report), ""]
    lines += ["| | |", "|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in _facts(done)]
    if report.read_as is not None:
        lines += ["", "## Read as", "", *(f"- {line}" for line in read_as(report))]
    if done.gaps:
        lines += ["", "## Not whole", "", "| first | last | sessions |", "|---|---|---|"]
        lines += [f"| {gap.first} | {gap.last} | {gap.sessions:,} |" for gap in done.gaps[:_LISTED]]
        lines += [f"| … | | {len(done.gaps) - _LISTED:,} more |"] if len(done.gaps) > _LISTED else []
    remarks = [*report.warnings, *(f"A bad file of the catalog was moved to quarantine: {item}" for item in report.quarantined)]
    if remarks:
        lines += ["", "## To know", "", *(f"- {remark}" for remark in remarks)]
    return "\n".join(lines) + "\n"


def read_as(report: ImportReport) -> list[str]:
    """Return what the files were taken for and why, a line for each piece of evidence."""
    verdict = report.read_as
    if verdict is None:
        return []
    excluded, warnings = (f"not {line}" for line in verdict.excluded), (f"but {line}" for line in verdict.warnings)
    return [f"layout {verdict}", *verdict.evidence, *excluded, *warnings]


def _verdict(report: ImportReport) -> str:
    sessions = sum(int(getattr(report, outcome)) for outcome in OUTCOMES)
    if not sessions:
        return "No session is in the files."
    would = "would be " if report.dry_run else ""
    return (
        f"{count(report.bars_written, 'bar')} {would}written, of {count(report.rows_read, 'row')} read; "
        f"{count(sessions, 'session')}, {report.first_session} to {report.last_session}."
    )


def _facts(done: Done) -> list[tuple[str, str]]:
    report = done.report
    facts = [("files", ", ".join(report.files[:_LISTED])), ("rows read", f"{report.rows_read:,}"), ("bad rows left out", f"{report.rows_bad:,}")]
    facts += [(f"sessions {outcome}", f"{int(getattr(report, outcome)):,}") for outcome in OUTCOMES]
    facts += [("sessions in part", f"{len(report.partial):,}")]
    if done.definition is not None:
        facts.append(("definition", f"{done.definition.instrument_id}: {done.definition.outcome}"))
    if report.rejects_file is not None:
        facts.append(("bad rows are in", report.rejects_file))
    return [*facts, ("seconds", f"{report.seconds:.1f}")]
