"""How `mdp load --recheck` and `--rebase` look."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from market_data_pipeline.catalog.revisions import RevisedSession
from market_data_pipeline.cli.endings import error_to_json
from market_data_pipeline.cli.output import Json, paint
from market_data_pipeline.cli.rechecking import Rechecked
from market_data_pipeline.cli.rendering.checks import title
from market_data_pipeline.cli.rendering.plans import plan_words
from market_data_pipeline.cli.words import count, duration
from market_data_pipeline.domain.revisions import Rebase
from market_data_pipeline.domain.sessions import SessionRange
from market_data_pipeline.ingest.recheck import Found, RecheckReport

_LISTED = 5


def lines(done: Sequence[Rechecked], command: Callable[..., str]) -> list[str]:
    """Return what a person wants to know; `command` writes a command to type next."""
    text: list[str] = []
    for one in done:
        if one.report is not None:
            text += _report(one.report, command)
        elif one.error is not None:
            text.append(f"{paint(one.name, 'bold')}: {paint('failed', 'red')}: {one.error}")
    return text


def _report(report: RecheckReport, command: Callable[..., str]) -> list[str]:
    name = paint(title(report.series), "bold")
    sessions = report.prepared.sessions
    span = SessionRange(sessions[0], sessions[-1], len(sessions))
    if report.found is None:
        return [f"Dry run, nothing was asked for; it would be: {name}: {span}", f"  {plan_words(report.prepared)}"]
    verdict, more = _verdict(report, command)
    text = [f"{name}: {span} asked for again, {verdict}"]
    text.append(f"  {count(report.compared, 'session')} compared, requests_made {report.requests:,}; took {duration(report.seconds)}")
    text += more
    text += [f"  {paint('failed', 'red')} {failure.session}: {failure.reason}" for failure in report.failed[:_LISTED]]
    if len(report.failed) > _LISTED:
        text.append(f"  … and {count(len(report.failed) - _LISTED, 'more failed session')}; --json lists all")
    return text


def _verdict(report: RecheckReport, command: Callable[..., str]) -> tuple[str, list[str]]:
    series = report.series
    show = f"  next: {command('revisions', series.instrument_id, str(series.spec))}"
    match report.found:
        case Found.UNCHANGED:
            return (paint("nothing changed in what came", "yellow") if report.failed else paint("nothing changed", "green")), []
        case Found.REVISED:
            noted = "old and new values are noted" if report.file is not None else "they were noted before"
            return paint(f"{_changed(report)}; the new ones are stored, {noted}", "yellow"), [*session_lines(report.sessions), show]
        case Found.REBASED:
            return paint(f"{rebase_words(report.rebases)}; the whole series is on the new base, the old values are noted", "green"), [show]
        case Found.REBASE_SUSPECTED:
            again = command("load", series.instrument_id, str(series.spec), "--rebase")
            return paint(f"{rebase_words(report.rebases)}: nothing was stored", "red"), [
                "  A series of which one part is on the new base and the other on the old is of no use, so none of this was stored.",
                "  If it was a split, put the whole series on the new base; the old values are noted:",
                f"    {again}",
            ]
        case _:
            return paint("nothing could be compared; the catalog is as it was", "red"), []


def _changed(report: RecheckReport) -> str:
    bars = sum(one.bars for one in report.sessions)
    return f"{count(bars, 'bar')} in {count(len(report.sessions), 'session')} changed"


def rebase_words(rebases: Sequence[Rebase]) -> str:
    """Return `prices by 1/4 from 2024-05-20 to 2024-06-03 (10 sessions): split 4:1`."""
    return "; ".join(f"prices by {one.factor} in {SessionRange(one.first, one.last, one.sessions)}: {one.name}" for one in rebases)


def session_lines(sessions: Sequence[RevisedSession]) -> list[str]:
    """Return a line for each of some sessions."""
    text = [f"  {one.session}: {revised_words(one)}" for one in sessions[:_LISTED]]
    return text + ([f"  … and {count(len(sessions) - _LISTED, 'more session')}"] if len(sessions) > _LISTED else [])


def revised_words(one: RevisedSession) -> str:
    """Return `31 bars changed, by 0.02 % at most; 1 gone`."""
    parts = [f"{count(one.changed, 'bar')} changed, prices by {one.largest:.2%} at most"] if one.changed else []
    parts += [f"{number:,} {word}" for number, word in ((one.added, "new"), (one.gone, "gone")) if number]
    return "; ".join(parts)


def to_json(done: Sequence[Rechecked]) -> dict[str, Json]:
    """Return the outcome for programs."""
    return {"needs_somebody": any(one.needs_somebody for one in done), "series": [_to_json(one) for one in done]}


def _to_json(one: Rechecked) -> Json:
    report = one.report
    if report is None:
        return {"name": one.name, "error": None if one.error is None else error_to_json(one.error)}
    return {
        "name": one.name,
        "series": report.series.bar_type,
        "dry_run": report.found is None,
        "found": None if report.found is None else str(report.found),
        "asked_again": [str(date) for date in report.prepared.sessions],
        "requests": report.prepared.plan.requests,
        "requests_made": report.requests,
        "compared": report.compared,
        "revised": [revised_to_json(session) for session in report.sessions],
        "rebases": [rebase_to_json(rebase) for rebase in report.rebases],
        "failed_segments": [{"session": str(failure.session), "reason": failure.reason} for failure in report.failed],
        "noted_in": None if report.file is None else str(report.file),
        "error": None,
    }


def revised_to_json(one: RevisedSession) -> dict[str, Json]:
    """Return what changed in a session, for programs."""
    return {
        "session": str(one.session),
        "changed": one.changed,
        "new": one.added,
        "gone": one.gone,
        "largest_relative_change": one.largest,
        "fingerprint_before": one.before,
        "fingerprint_after": one.after,
    }


def rebase_to_json(one: Rebase) -> dict[str, Json]:
    """Return a re-basing for programs."""
    return {
        "name": one.name,
        "prices_times": one.factor,
        "first": str(one.first),
        "last": str(one.last),
        "sessions": one.sessions,
        "volume_is_inverse": one.volume_is_inverse,
    }
