"""How `mdp load` tells its plan, and how it ends."""

from __future__ import annotations

from collections.abc import Callable

from market_data_pipeline.catalog.instruments import Outcome as Stored
from market_data_pipeline.cli.endings import error_to_json
from market_data_pipeline.cli.loading import Done
from market_data_pipeline.cli.output import Json, paint
from market_data_pipeline.cli.rendering.checks import title
from market_data_pipeline.cli.rendering.definitions import change_line, change_to_json
from market_data_pipeline.cli.rendering.plans import plan_to_json, plan_words, together_words
from market_data_pipeline.cli.words import count, duration, listed
from market_data_pipeline.domain.pacing_budget import Budget
from market_data_pipeline.domain.sessions import SessionRange
from market_data_pipeline.domain.source import SessionFailure
from market_data_pipeline.ingest.from_broker import Outcome, Prepared
from market_data_pipeline.ingest.import_csv import Run
from market_data_pipeline.ingest.load import LoadReport

_LISTED = 5
_NUMBERS = ("cached_before", "gaps_analyzed", "segments_fetched", "requests_made", "fetched_bars")


def lines(done: Done, command: Callable[..., str], budget: Callable[[], Budget]) -> list[str]:
    """Return the summary that a person wants.

    Args:
        done: What a load did.
        command: Writes a command to type next.
        budget: Says what pacing still allows; called for a dry run that has something to ask for.
    """
    asking = [outcome.told.plan for outcome in done.outcomes if done.run is Run.DRY and outcome.prepared is not None and outcome.told.missing]
    left = budget() if asking else None
    text = [line for outcome in done.outcomes for line in _outcome(outcome, left)]
    text += [f"{paint(name, 'bold')}: {paint('failed', 'red')}: {error}" for name, error in done.not_found]
    if len(done.outcomes) + len(done.not_found) > 1:
        text.append(_sum(done))
    if left is not None:
        text.append(f"  {together_words(asking, left)}")
    return [*text, *_next(done, command)]


def _outcome(outcome: Outcome, budget: Budget | None) -> list[str]:
    name = paint(title(outcome.series), "bold")
    if outcome.report is not None and outcome.prepared is not None:
        return [f"{name}: {_span(outcome.prepared)}, {_verdict(outcome)}", *_report(outcome.prepared, outcome.report)]
    if outcome.error is not None:
        return [f"{name}: {paint('failed', 'red')}: {outcome.error}"]
    assert outcome.prepared is not None
    return [f"Dry run, nothing was stored; it would be: {name}: {_span(outcome.prepared)}", f"  {plan_words(outcome.prepared, budget)}"]


def _span(prepared: Prepared) -> str:
    """Return `full, rth hours, 2024-01-02 to 2024-01-31 (21 sessions)`."""
    what = f"{prepared.mode}, {prepared.source.hours} hours"
    if not prepared.sessions:
        return f"{what}, no session of the range"
    return f"{what}, {SessionRange(prepared.sessions[0], prepared.sessions[-1], len(prepared.sessions))}"


def _verdict(outcome: Outcome) -> str:
    report = outcome.report
    assert report is not None
    if report.failed_segments:
        return paint(f"{count(len(report.failed_segments), 'session')} could not be had", "red")
    empty = f", {len(report.empty):,} of them without bars" if report.empty else ""
    if report.partial or report.whole < report.asked:
        parts = [f"{report.whole:,} whole{empty}"]
        if report.partial:
            parts.append(f"{len(report.partial):,} partial ({listed(report.partial, _LISTED)})")
        if begun := report.asked - report.whole - len(report.partial):
            parts.append(f"{begun:,} without a closed bar yet")
        return paint(", ".join(parts), "yellow")
    return paint("all stored" if report.segments_fetched else "all stored before", "green") + empty


def _report(prepared: Prepared, report: LoadReport) -> list[str]:
    change = prepared.instrument.change
    defined = [f"  definition of {change_line(change)}"] if change is not None and change.outcome is not Stored.UNCHANGED else []
    numbers, *others = report_lines(report)
    return [numbers, *defined, *others]


def report_lines(report: LoadReport) -> list[str]:
    """Return the numbers of a load, and what was partial, failed or moved away."""
    numbers = ", ".join(f"{name} {getattr(report, name):,}" for name in _NUMBERS)
    text = [f"  {numbers}, failed_segments {len(report.failed_segments):,}; took {duration(report.seconds)}"]
    if report.partial:
        text.append(f"  {paint('partial', 'yellow')}: still trading, or answered in part; the next load asks again")
    text += [f"  {paint('failed', 'red')} {failure.session}: {failure.reason}" for failure in report.failed_segments[:_LISTED]]
    if len(report.failed_segments) > _LISTED:
        text.append(f"  … and {count(len(report.failed_segments) - _LISTED, 'more failed session')}; --json lists all")
    return text + [f"  {paint('bad file of the catalog', 'red')} moved to quarantine: {item}" for item in report.quarantined]


def _sum(done: Done) -> str:
    failed = sum(outcome.failed for outcome in done.outcomes) + len(done.not_found)
    verdict = paint(f"{failed:,} with failures", "red") if failed else paint("all well", "green")
    return f"{count(len(done.outcomes) + len(done.not_found), 'series', 'series')}, {verdict}"


def _next(done: Done, command: Callable[..., str]) -> list[str]:
    if done.run is Run.DRY:
        asks = any(outcome.prepared is not None and outcome.prepared.missing for outcome in done.outcomes)
        return ["  next: the same command without --dry-run"] if asks else []
    text = []
    if done.failed:
        text.append("  next: mend what the messages say, then the same command; it asks only for what is missing")
    stored = [outcome.series for outcome in done.outcomes if outcome.report is not None]
    if stored:
        ids = dict.fromkeys(series.instrument_id for series in stored)
        text.append(f"  {'then' if done.failed else 'next'}: {command('check', *ids, '--bar', str(stored[0].spec))}")
    return text


def to_json(done: Done) -> dict[str, Json]:
    """Return the outcome for programs; dates are inclusive."""
    return {
        "dry_run": done.run is Run.DRY,
        "failed": done.failed,
        "series": [_outcome_to_json(outcome) for outcome in done.outcomes],
        "not_found": [{"name": name, **error_to_json(error)} for name, error in done.not_found],
    }


def _outcome_to_json(outcome: Outcome) -> Json:
    prepared, report, error = outcome.prepared, outcome.report, outcome.error
    return {
        "series": outcome.series.bar_type,
        "mode": None if prepared is None else str(prepared.mode),
        "hours": None if prepared is None else str(prepared.source.hours),
        "first_session": str(prepared.sessions[0]) if prepared is not None and prepared.sessions else None,
        "last_session": str(prepared.sessions[-1]) if prepared is not None and prepared.sessions else None,
        "sessions": None if prepared is None else len(prepared.sessions),
        "plan": None if prepared is None else plan_to_json(prepared),
        "definition": change_to_json(prepared.instrument.change) if prepared is not None and prepared.instrument.change is not None else None,
        **report_to_json(report),
        "error": None if error is None else error_to_json(error),
    }


def report_to_json(report: LoadReport | None) -> dict[str, Json]:
    """Return the fields of a report; without one, as far as they can be said."""
    if report is None:
        return {"failed_segments": [], "partial_sessions": [], "empty_sessions": [], "quarantined": [], "seconds": None}
    return {
        **{name: getattr(report, name) for name in _NUMBERS},
        "failed_segments": [_failure_to_json(failure) for failure in report.failed_segments],
        "partial_sessions": [str(date) for date in report.partial],
        "empty_sessions": [str(date) for date in report.empty],
        "quarantined": list(report.quarantined),
        "seconds": round(report.seconds, 3),
    }


def _failure_to_json(failure: SessionFailure) -> Json:
    return {"session": str(failure.session), "reason": failure.reason}
