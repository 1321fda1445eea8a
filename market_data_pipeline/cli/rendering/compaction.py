"""How `mdp catalog compact` looks."""

from __future__ import annotations

from market_data_pipeline.catalog.compaction import Compacted, Direction
from market_data_pipeline.cli.output import Json, paint
from market_data_pipeline.cli.words import count, duration, listed, size
from market_data_pipeline.ingest.compact import CompactionReport

HEADERS = ("SERIES", "SESSIONS", "FILES", "NOW", "BYTES", "NOW")
NUMBERS = HEADERS[1:]


def rows(report: CompactionReport) -> list[tuple[str, ...]]:
    """Return the lines of the table: the series of which files were, or would be, rewritten."""
    return [
        (
            str(one.series),
            f"{one.sessions:,}",
            f"{one.files_before:,}",
            f"{one.files_after:,}",
            size(one.bytes_before),
            "?" if report.dry_run else size(one.bytes_after),
        )
        for one in report.changed
    ]


def left(report: CompactionReport) -> list[str]:
    """Return what stays as it is, and why, a line a series."""
    return [f"left: {one.series}: {listed([f'{what.what} ({what.why})' for what in one.left], 4)}" for one in report.series if one.left]


def passed_over(report: CompactionReport) -> list[str]:
    """Return the series that could not be had, and why."""
    return [f"{paint('passed over:', 'yellow')} {error}" for _, error in report.passed_over]


def verdict(report: CompactionReport) -> str:
    """Return how it ended, in a line."""
    looked_at = count(len(report.series), "series", "series")
    if not report.changed:
        return f"{looked_at}, {count(_files(report, before=True), 'file')}: nothing to {_verb(report)}"
    done = count(sum(one.sessions for one in report.changed), "session")
    files = f"{_files(report, before=True):,} files {'would become' if report.dry_run else 'became'} {_files(report, before=False):,}"
    if report.dry_run:
        return f"{looked_at}: {done} would be {_participle(report)}: {files}"
    before, after = (sum(sizes) for sizes in zip(*((one.bytes_before, one.bytes_after) for one in report.series), strict=True))
    return f"{looked_at}: {done} {_participle(report)}: {files}, {size(before)} became {size(after)}, in {duration(report.seconds)}"


def to_json(report: CompactionReport) -> dict[str, Json]:
    """Return the report for programs."""
    return {
        "direction": report.direction.value,
        "dry_run": report.dry_run,
        "files_before": _files(report, before=True),
        "files_after": _files(report, before=False),
        "bytes_before": sum(one.bytes_before for one in report.series),
        "bytes_after": None if report.dry_run else sum(one.bytes_after for one in report.series),
        "seconds": round(report.seconds, 3),
        "series": [_series_to_json(one, report) for one in report.series],
        "passed_over": [
            {"bar_type": series.bar_type, "error": type(error).__name__, "message": str(error), "retryable": error.retryable}
            for series, error in report.passed_over
        ],
    }


def _series_to_json(one: Compacted, report: CompactionReport) -> dict[str, Json]:
    return {
        "bar_type": one.series.bar_type,
        "rewritten": one.periods,
        "sessions": one.sessions,
        "files_before": one.files_before,
        "files_after": one.files_after,
        "bytes_before": one.bytes_before,
        "bytes_after": None if report.dry_run else one.bytes_after,
        "left": [{"what": what.what, "why": what.why} for what in one.left],
    }


def _files(report: CompactionReport, *, before: bool) -> int:
    return sum(one.files_before if before else one.files_after for one in report.series)


def _verb(report: CompactionReport) -> str:
    return "join" if report.direction is Direction.JOIN else "take apart"


def _participle(report: CompactionReport) -> str:
    return "joined" if report.direction is Direction.JOIN else "taken apart"
