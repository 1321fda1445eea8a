"""How `mdp revisions` looks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from market_data_pipeline.catalog.revisions import ChangedValue, Revision, RevisionKind, Suspicion, changed_values
from market_data_pipeline.cli.output import Json, paint
from market_data_pipeline.cli.rendering.checks import title
from market_data_pipeline.cli.rendering.rechecks import rebase_to_json, rebase_words, revised_to_json, session_lines
from market_data_pipeline.cli.words import count, iso, utc
from market_data_pipeline.domain.bar_types import Series


@dataclass(frozen=True)
class Noted:
    """What is noted of one series.

    Attributes:
        series: The series.
        revisions: Its revisions, oldest first.
        suspicion: What is suspected, and not decided.
    """

    series: Series
    revisions: tuple[Revision, ...]
    suspicion: Suspicion | None


def lines(noted: Noted, examples: int, command: Callable[..., str]) -> list[str]:
    """Return what is noted of a series, the newest revision first."""
    series = noted.series
    text = [f"{paint(title(series), 'bold')}: {count(len(noted.revisions), 'revision')}"]
    if noted.suspicion is not None:
        what = rebase_words(noted.suspicion.rebases)
        text.append(f"  {paint('suspected', 'red')} {utc(noted.suspicion.found_at_ns)}: {what}; nothing of it is stored. If it was a split:")
        text.append(f"    {command('load', series.instrument_id, str(series.spec), '--rebase')}")
    for one in reversed(noted.revisions):
        text += [f"  {utc(one.found_at_ns)}, from {one.source}: {_what(one)}"]
        if one.kind is RevisionKind.CHANGED:
            text += [f"  {line}" for line in session_lines(one.sessions)]
        text += [f"      {_value(value)}" for value in changed_values(one, examples)]
    return text


def _what(one: Revision) -> str:
    if one.kind is RevisionKind.REBASED:
        return f"rebased: {rebase_words(one.rebases)}"
    return f"{count(one.bars, 'bar')} in {count(len(one.sessions), 'session')}, prices by {one.largest:.2%} at most"


def _value(value: ChangedValue) -> str:
    where = f"{utc(value.ts_event_ns)} {value.column}"
    if value.old is None:
        return f"{where}: new, {value.new}"
    return f"{where}: {value.old} -> {value.new if value.new is not None else 'gone'}"


def nothing(command: Callable[..., str]) -> list[str]:
    """Return what to say where nothing is noted."""
    return [
        "No stored bar was found changed.",
        f"  look again at the newest sessions of a series: {command('load', 'ID', 'SPEC', '--recheck', '5')}",
    ]


def to_json(noted: Noted, examples: int) -> Json:
    """Return what is noted of a series, for programs, oldest first."""
    suspicion = noted.suspicion
    return {
        "series": noted.series.bar_type,
        "suspected": None
        if suspicion is None
        else {"found_at": iso(suspicion.found_at_ns), "rebases": [rebase_to_json(one) for one in suspicion.rebases]},
        "revisions": [
            {
                "kind": str(one.kind),
                "found_at": iso(one.found_at_ns),
                "source": one.source,
                "bars": one.bars,
                "largest_relative_change": one.largest,
                "rebases": [rebase_to_json(rebase) for rebase in one.rebases],
                "sessions": [revised_to_json(session) for session in one.sessions],
                "examples": [_value_to_json(value) for value in changed_values(one, examples)],
                "file": str(one.file),
            }
            for one in noted.revisions
        ],
    }


def _value_to_json(value: ChangedValue) -> Json:
    return {
        "session": str(value.session),
        "ts_event": iso(value.ts_event_ns),
        "column": value.column,
        "old": value.old,
        "new": value.new,
    }
