"""How `mdp check` looks."""

from __future__ import annotations

from collections.abc import Sequence

from market_data_pipeline.catalog import SessionRow
from market_data_pipeline.cli.output import Json, paint
from market_data_pipeline.cli.series_check import SeriesCheck
from market_data_pipeline.cli.words import count, duration, iso, listed, size, utc
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.coverage import SIMULATED, Coverage
from market_data_pipeline.domain.sessions import SessionRange

TABLE_HEADERS = ("INSTRUMENT", "BAR SPEC", "FIRST", "LAST", "SESSIONS", "COMPLETE", "EMPTY", "PARTIAL", "MISSING", "GAPS", "BARS", "SIZE")
TABLE_NUMBERS = TABLE_HEADERS[4:]

_ON_ONE_LINE = 3
_LISTED = 10
# What is usual, all hours and raw prices, is not said.
CONVENTIONS = {"rth": "regular hours", "split": "adjusted for splits", SIMULATED: "SIMULATED prices"}


def title(series: Series) -> str:
    """Return a series' name as a person says it: `AAPL.NASDAQ 1-MINUTE-LAST`."""
    return f"{series.instrument_id} {series.spec}"


def lines(check: SeriesCheck, fill: str, anew: str = "") -> list[str]:
    """Return the answer about one series; `fill` is the command that fills its gaps, `anew` the one that derives stale sessions anew."""
    text = [f"{paint(title(check.series), 'bold')}: {_verdict(check)}", f"  {_content(check)}"]
    if len(check.gaps) > _ON_ONE_LINE:
        text += [f"    {gap}" for gap in check.gaps[:_LISTED]]
        text += _more(len(check.gaps) - _LISTED, "gap")
    text += _evidence("partial", check.partial or (), "the source gave a part of the session")
    text += _evidence("thin", check.thin or (), "complete by its source, with few bars or long stretches without any")
    if check.stale:
        text += [f"  {paint(count(len(check.stale), 'stale session'), 'yellow')} (the finer bars that they were derived from were replaced since):"]
        text += [f"    {one.session}, derived from {one.finer}" for one in check.stale[:_LISTED]]
        text += _more(len(check.stale) - _LISTED, "stale session")
        text.append(f"  derive them anew: {anew}")
    if check.running is not None:
        text.append(f"  {check.running} has not ended and is not judged")
    for name, reason in check.stored.bad_files:
        text.append(f"  {paint('bad file', 'red')} {name}: {reason}")
    return text + _next(check, fill)


def _verdict(check: SeriesCheck) -> str:
    if check.start is None or check.end is None:
        return "no session is stored"
    counts = check.counts
    span = f"{check.start} to {check.end}" if check.start != check.end else f"{check.start}"
    if not check.sessions:
        return f"{span}, no session of its calendar"
    empty = counts.get(Coverage.EMPTY, 0)
    but = f" ({empty:,} of them without bars)" if empty else ""
    if check.is_complete:
        return f"{span}, {count(check.sessions, 'session')}{but}, {paint('complete', 'green')}"
    whole = counts.get(Coverage.COMPLETE, 0) + empty
    gaps = f"{count(len(check.gaps), 'gap')}"
    what = f"{gaps}: {', '.join(map(str, check.gaps))}" if len(check.gaps) <= _ON_ONE_LINE else f"{gaps} of {_sessions_in(check.gaps)}"
    return f"{span}, {whole:,} of {count(check.sessions, 'session')} complete{but}; {paint(what, 'yellow')}"


def _sessions_in(gaps: Sequence[SessionRange]) -> str:
    return count(sum(gap.sessions for gap in gaps), "session")


def _content(check: SeriesCheck) -> str:
    stored = check.stored
    if not stored.stored:
        return "no bars"
    parts = [count(stored.rows, "bar")]
    if stored.first_open_ns is not None and stored.last_close_ns is not None:
        parts.append(f"{utc(stored.first_open_ns)} to {utc(stored.last_close_ns)}")
    parts += [size(stored.bytes), f"stored {utc(stored.updated_at_ns)}"]
    if (check.start, check.end) != (stored.first_session, stored.last_session):
        parts.append(f"all that is stored: {stored.first_session} to {stored.last_session}")
    parts += [CONVENTIONS[one] for one in (stored.convention.hours, stored.convention.adjustment) if one in CONVENTIONS]
    return ", ".join(parts)


def session_evidence(row: SessionRow) -> str:
    """Return how one session looks: `2024-01-05: 312 of 390 bars, longest stretch without a bar 1 h 18 min`."""
    if not row.expected:
        return f"{row.session}: {count(row.rows, 'bar')}"
    absence = f", longest stretch without a bar {duration(row.longest_absence_s)}" if row.longest_absence_s else ""
    return f"{row.session}: {row.regular:,} of {count(row.expected, 'bar')} of regular hours{absence}"


def _evidence(word: str, rows: Sequence[SessionRow], meaning: str) -> list[str]:
    """Return the sessions with the longest stretches without a bar, in order of time."""
    if not rows:
        return []
    shown = sorted(rows, key=lambda row: -row.longest_absence_s)[:_LISTED]
    text = [f"    {session_evidence(row)}" for row in sorted(shown, key=lambda row: row.day)]
    return [f"  {paint(count(len(rows), f'{word} session'), 'yellow')} ({meaning}):", *text, *_more(len(rows) - _LISTED, f"{word} session")]


def _more(number: int, what: str) -> list[str]:
    return [f"    … and {count(number, f'more {what}')}; --json lists all"] if number > 0 else []


def _next(check: SeriesCheck, fill: str) -> list[str]:
    text = []
    if check.gaps:
        text.append(f"  fill it: {fill}")
    if check.partial and not check.is_from_broker:
        text.append("    a file with the whole session completes it; if nothing more was traded, import it again with --accept-holes")
    if check.stored.bad_files:
        text.append("  move bad files away: mdp catalog verify")
    return text


def table_row(check: SeriesCheck) -> tuple[str, ...]:
    """Return one line of the table over many series."""
    stored, counts = check.stored, check.counts
    numbers = (check.sessions, *(counts.get(one, 0) for one in (Coverage.COMPLETE, Coverage.EMPTY, Coverage.PARTIAL, Coverage.MISSING)))
    dates = ("-", "-") if check.start is None or check.end is None else (str(check.start), str(check.end))
    gaps = str(len(check.gaps))
    return (check.series.instrument_id, str(check.series.spec), *dates, *(f"{n:,}" for n in numbers), gaps, f"{stored.rows:,}", size(stored.bytes))


def summary(checks: Sequence[SeriesCheck], detail: str) -> list[str]:
    """Return what stands below the table; `detail` is the command that shows one series."""
    gappy = [check for check in checks if check.gaps]
    bad = sum(len(check.stored.bad_files) for check in checks)
    verdict = f"{len(gappy):,} with gaps: {listed([title(check.series) for check in gappy], 3)}" if gappy else "all complete"
    text = [f"{count(len(checks), 'series', 'series')}, {verdict}"]
    if gappy:
        text.append(f"details and what fills a gap: {detail}")
    if bad:
        text.append(f"{paint(count(bad, 'bad file'), 'red')}; move them away: mdp catalog verify")
    return text


def to_json(check: SeriesCheck, fill: str) -> Json:
    """Return one series for programs; dates and ranges are inclusive, times UTC."""
    stored = check.stored
    return {
        "series": check.series.bar_type,
        "instrument_id": check.series.instrument_id,
        "bar_spec": str(check.series.spec),
        "first_session": _text(stored.first_session),
        "last_session": _text(stored.last_session),
        "first_open": iso(stored.first_open_ns),
        "last_close": iso(stored.last_close_ns),
        "hours": stored.convention.hours,
        "adjustment": stored.convention.adjustment,
        "bars": stored.rows,
        "bytes": stored.bytes,
        "updated_at": iso(stored.updated_at_ns) if stored.updated_at_ns else None,
        "judged": {"start": _text(check.start), "end": _text(check.end)},
        "sessions": {"calendar": check.sessions} | {str(one): check.counts.get(one, 0) for one in Coverage},
        "complete": check.is_complete,
        "gaps": [range_to_json(gap) for gap in check.gaps],
        "partial_sessions": None if check.partial is None else [session_to_json(row) for row in check.partial],
        "thin_sessions": None if check.thin is None else [session_to_json(row) for row in check.thin],
        "stale_sessions": [{"session": str(one.session), "derived_from": str(one.finer)} for one in check.stale],
        "not_ended": _text(check.running),
        "bad_files": [{"file": name, "reason": reason} for name, reason in stored.bad_files],
        "next": fill if check.gaps else None,
    }


def range_to_json(gap: SessionRange) -> Json:
    """Return a range of sessions for programs."""
    return {"first": str(gap.first), "last": str(gap.last), "sessions": gap.sessions}


def session_to_json(row: SessionRow) -> Json:
    """Return one stored session for programs."""
    return {
        "session": str(row.session),
        "coverage": str(row.coverage),
        "bars": row.rows,
        "regular_bars": row.regular,
        "expected_bars": row.expected,
        "longest_absence_s": row.longest_absence_s,
        "first_open": iso(row.first_open_ns),
        "last_close": iso(row.last_close_ns),
        "source": row.source,
        "asked": row.asked,
        "stored_at": iso(row.stored_at_ns),
        "file": row.file,
    }


def _text(value: object) -> str | None:
    return None if value is None else str(value)
