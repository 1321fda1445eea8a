"""How `mdp load --derive` ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from market_data_pipeline.cli.deriving import plan_words
from market_data_pipeline.cli.endings import error_to_json
from market_data_pipeline.cli.output import Json, paint
from market_data_pipeline.cli.rendering.checks import title
from market_data_pipeline.cli.rendering.loads import report_lines, report_to_json
from market_data_pipeline.cli.words import count
from market_data_pipeline.domain.sessions import SessionRange
from market_data_pipeline.ingest.derive import Derivation, DerivePlan


def lines(done: Sequence[Derivation], command: Callable[..., str]) -> list[str]:
    """Return the summary that a person wants; `command` writes a command to type next."""
    text = [line for outcome in done for line in _outcome(outcome)]
    dry = [outcome.plan for outcome in done if outcome.report is None and outcome.plan is not None and outcome.error is None]
    if any(plan.missing for plan in dry):
        text.append("  next: the same command without --dry-run")
    if any(outcome.failed for outcome in done):
        text.append("  next: load what the messages say, then the same command; it derives only what is missing")
    stored = [outcome.order.series for outcome in done if outcome.report is not None]
    if stored:
        ids = dict.fromkeys(series.instrument_id for series in stored)
        text.append(f"  {'then' if any(outcome.failed for outcome in done) else 'next'}: {command('check', *ids, '--bar', str(stored[0].spec))}")
    return text


def _outcome(outcome: Derivation) -> list[str]:
    name = paint(title(outcome.order.series), "bold")
    if outcome.error is not None or outcome.plan is None:
        return [f"{name}: {paint('failed', 'red')}: {outcome.error}"]
    if outcome.report is None:
        return [f"Dry run, nothing was stored; it would be: {name}: {_span(outcome.plan)}", f"  {plan_words(outcome.plan)}"]
    report = outcome.report
    if report.failed_segments:
        verdict = paint(f"{count(len(report.failed_segments), 'session')} could not be derived", "red")
    else:
        verdict = paint("all stored" if report.segments_fetched else "all stored before", "green")
    return [f"{name}: derived from {outcome.order.finer.spec}, {_span(outcome.plan)}, {verdict}", *report_lines(report)]


def _span(plan: DerivePlan) -> str:
    if not plan.sessions:
        return f"{plan.hours} hours, no session of the range"
    return f"{plan.hours} hours, {SessionRange(plan.sessions[0], plan.sessions[-1], len(plan.sessions))}"


def to_json(done: Sequence[Derivation]) -> dict[str, Json]:
    """Return the outcome for programs, with the fields of `mdp load --json`; dates are inclusive."""
    return {
        "dry_run": all(outcome.report is None and outcome.error is None for outcome in done),
        "failed": any(outcome.failed for outcome in done),
        "series": [_to_json(outcome) for outcome in done],
        "not_found": [],
    }


def _to_json(outcome: Derivation) -> Json:
    plan = outcome.plan
    return {
        "series": outcome.order.series.bar_type,
        "derived_from": outcome.order.finer.bar_type,
        "mode": None if plan is None else str(plan.mode),
        "hours": None if plan is None else plan.hours,
        "first_session": str(plan.sessions[0]) if plan is not None and plan.sessions else None,
        "last_session": str(plan.sessions[-1]) if plan is not None and plan.sessions else None,
        "sessions": None if plan is None else len(plan.sessions),
        "plan": None if plan is None else {"sessions": len(plan.missing), "stale": [str(date) for date in plan.stale], "requests": 0},
        **report_to_json(outcome.report),
        "error": None if outcome.error is None else error_to_json(outcome.error),
    }
