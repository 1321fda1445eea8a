"""How `mdp calendar check` looks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from market_data_pipeline.calendars.overrides import overrides_file
from market_data_pipeline.cli.output import Json, paint
from market_data_pipeline.cli.words import count, iso
from market_data_pipeline.domain.calendar_differences import Differs, TradingHours
from market_data_pipeline.ingest.calendar_check import CalendarCheck, words_of

_LISTED = 20
_WORDS = {Differs.ONLY_OURS: "only our calendar has a session", Differs.ONLY_THEIRS: "only the broker has a session", Differs.HOURS: "other hours"}


def lines(check: CalendarCheck, file: Path | None, command: Callable[..., str]) -> list[str]:
    """Return what a person wants to know; `file` is where the differences were written, if they were."""
    zone = check.calendar.time_zone
    head = f"{paint(check.instrument_id, 'bold')}: calendar {check.calendar.name} against IBKR, {check.hours} hours, {check.start} to {check.end}"
    sessions = f"{check.ours:,} and {count(check.theirs, 'session')}"
    if not check.found:
        return [f"{head}: {paint('the same', 'green')}, {sessions}"]
    text = [f"{head}: {paint(count(len(check.found), 'difference'), 'red')}, {sessions}; times are of {zone}"]
    for one in check.found[:_LISTED]:
        ours, theirs = (words_of(hours, one.date, zone) for hours in (one.ours, one.theirs))
        text.append(f"  {one.date}: {_WORDS[one.kind]}: ours {ours}, the broker {theirs}")
    if len(check.found) > _LISTED:
        text.append(f"  … and {count(len(check.found) - _LISTED, 'more difference')}; --json lists all")
    if file is not None:
        text.append(f"  written to {file}: calendars follow the broker on these dates from now on")
        return (
            [*text, f"  {paint('note', 'yellow')}: this is the simulator's, and invented: take it out again before real data"]
            if check.simulated
            else text
        )
    text.append("  If the broker is right, let calendars follow it on these dates:")
    dates = "--start", str(check.start), "--end", str(check.end)
    text.append(f"    {command('calendar', 'check', check.instrument_id, *dates, '--write')}")
    text.append(f"  It writes {overrides_file()}, where you may also write what is right by hand.")
    return text


def to_json(check: CalendarCheck, file: Path | None) -> dict[str, Json]:
    """Return the comparison for programs; dates are inclusive, times UTC."""
    zone = check.calendar.time_zone
    return {
        "instrument_id": check.instrument_id,
        "calendar": check.calendar.name,
        "time_zone": zone,
        "hours": str(check.hours),
        "start": str(check.start),
        "end": str(check.end),
        "sessions": {"ours": check.ours, "broker": check.theirs},
        "same": not check.found,
        "differences": [
            {
                "date": str(one.date),
                "kind": str(one.kind),
                "ours": _hours_to_json(one.ours),
                "broker": _hours_to_json(one.theirs),
                "in_words": f"ours {words_of(one.ours, one.date, zone)}, the broker {words_of(one.theirs, one.date, zone)}",
            }
            for one in check.found
        ],
        "written_to": None if file is None else str(file),
    }


def _hours_to_json(hours: TradingHours | None) -> Json:
    return None if hours is None else {"open": iso(hours.open_ns), "close": iso(hours.close_ns)}
