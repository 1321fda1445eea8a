"""How `mdp catalog verify` looks."""

from __future__ import annotations

from market_data_pipeline.catalog.verify import Problem, VerifyReport
from market_data_pipeline.cli.output import Json, paint
from market_data_pipeline.cli.words import count, listed, size

HEADERS = ("PROBLEM", "WHERE", "WHAT", "WHAT WAS DONE, OR IS TO DO")

# The others were mended on the way, or harm no bar.
_FAILURES = frozenset({"file gone", "bad file", "locked", "not stored"})


def failed(report: VerifyReport) -> bool:
    """Return whether bars were lost, with bad files or with files that are gone, or could not be verified."""
    return any(problem.kind in _FAILURES for problem in report.problems)


def row(problem: Problem) -> tuple[str, ...]:
    """Return a problem as a line of the table."""
    return problem.kind, problem.subject, problem.detail, problem.action


def verdict(report: VerifyReport) -> str:
    """Return what was read and how it is, in a line."""
    read = f"{count(report.series, 'series', 'series')}, {count(report.files, 'file')}, {size(report.bytes)} read"
    if not report.problems:
        return f"{read}: {paint('all is well', 'green')}"
    return f"{read}: {paint(count(len(report.problems), 'problem'), 'red' if failed(report) else 'yellow')}"


def remarks(report: VerifyReport) -> list[str]:
    """Return what is no fault and good to know."""
    if not report.without_bars:
        return []
    return [f"note: {count(len(report.without_bars), 'instrument')} without bars: {listed(report.without_bars, 5)}"]


def to_json(report: VerifyReport) -> dict[str, Json]:
    """Return the report for programs."""
    return {
        "series": report.series,
        "files": report.files,
        "bytes": report.bytes,
        "ok": not failed(report),
        "problems": [
            {"kind": problem.kind, "subject": problem.subject, "detail": problem.detail, "action": problem.action} for problem in report.problems
        ],
        "instruments_without_bars": list(report.without_bars),
    }
