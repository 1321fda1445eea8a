"""Questions to the person at the terminal: sessions that are stored with other bars, and what a file does not tell."""

from __future__ import annotations

import sys

from market_data_pipeline.cli.output import note
from market_data_pipeline.cli.words import count
from market_data_pipeline.domain.errors import QuestionUnanswered
from market_data_pipeline.ingest.import_csv import Conflict, Decide, OnConflict, Prefer, nobody_to_ask
from market_data_pipeline.sources.csv import Question

_SHOWN = 10
_NO_MERGE = "not here: values differ; start again with --prefer stored or --prefer file"
_CHOICES = {
    OnConflict.SKIP: "keep what is stored",
    OnConflict.OVERWRITE: "take the file's bars instead",
    OnConflict.MERGE: "take the bars of both",
    OnConflict.FAIL: "change nothing and stop",
}


def asker(prefer: Prefer | None) -> Decide:
    """Return who decides about conflicts: the person at the terminal, or nobody."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return nobody_to_ask
    return lambda conflicts: _ask(conflicts, prefer)


def ask_about_file(question: Question) -> str | None:
    """Return what the person at the terminal answers to a question about a file, or None if nobody is there or nothing is said."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return None
    note(f"{question.text[0].upper()}{question.text[1:]}.")
    for number, choice in enumerate(question.choices, start=1):
        note(f"  {number}  {choice}")
    sys.stderr.write(f"What is it? [{'a number, or ' if question.choices else ''}the value of {question.option}] ")
    sys.stderr.flush()
    given = sys.stdin.readline().strip()
    if given.isdigit() and 1 <= int(given) <= len(question.choices):
        return question.choices[int(given) - 1]
    return given or None


def _ask(conflicts: tuple[Conflict, ...], prefer: Prefer | None) -> OnConflict:
    """Ask until one of the choices is given.

    Raises:
        QuestionUnanswered: If the input ends.
    """
    choices = _choices(conflicts, prefer)
    note(_told(conflicts))
    for choice, meaning in _CHOICES.items():
        note(f"  {choice[0]}  {choice:<10} {meaning if choice in choices else _NO_MERGE}")
    while True:
        sys.stderr.write(f"What shall be done with them? [{'/'.join(choice[0] for choice in choices)}] ")
        sys.stderr.flush()
        line = sys.stdin.readline()
        if not line:
            note("")
            raise QuestionUnanswered("No answer was given; nothing was written. Say it with --on-conflict skip, overwrite, merge or fail.")
        given = line.strip().lower()
        found = next((choice for choice in choices if given in (choice[0], str(choice))), None)
        if found is not None:
            return found
        note(f"{given[:40]!r} is none of these. Type {', '.join(choice[0] for choice in choices)}, or Ctrl-C to leave all as it is.")


def _choices(conflicts: tuple[Conflict, ...], prefer: Prefer | None) -> list[OnConflict]:
    """Return what can be chosen: a merge of different values needs a rule which to take, and that is an option of the command."""
    torn = any(conflict.different for conflict in conflicts)
    return [choice for choice in _CHOICES if choice is not OnConflict.MERGE or prefer is not None or not torn]


def _told(conflicts: tuple[Conflict, ...]) -> str:
    noun = conflicts[0].noun
    lines = [f"{count(len(conflicts), 'session')} of the {noun} {'is' if len(conflicts) == 1 else 'are'} stored with other bars:"]
    lines += [
        f"  {one.session}: {count(one.stored_rows, 'bar')} stored, {one.file_rows:,} in the {noun}; {one.different:,} that both have differ in value"
        for one in conflicts[:_SHOWN]
    ]
    if len(conflicts) > _SHOWN:
        lines.append(f"  … and {count(len(conflicts) - _SHOWN, 'more session')}")
    return "\n".join(lines)
