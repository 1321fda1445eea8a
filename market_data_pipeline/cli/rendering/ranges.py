"""How `mdp ibkr ranges` looks."""

from __future__ import annotations

from market_data_pipeline.cli.endings import error_to_json
from market_data_pipeline.cli.output import Json
from market_data_pipeline.cli.ranges import BrokerRange
from market_data_pipeline.cli.words import duration, iso, utc

HEADERS = ("ID", "BAR SPEC", "EARLIEST AT IBKR", "STORED FROM", "STORED TO", "SESSIONS STORED", "ASKED")
NUMBERS = ("SESSIONS STORED",)


def row(one: BrokerRange) -> tuple[str, ...]:
    """Return a range as a line of the table."""
    stored = one.stored
    dates = ("-", "-", "0") if stored is None else (str(stored.first_session or "-"), str(stored.last_session or "-"), f"{stored.stored:,}")
    return (one.series.instrument_id, str(one.series.spec), _earliest(one), *dates, _asked(one))


def _earliest(one: BrokerRange) -> str:
    if one.head is None:
        return f"failed: {one.error}"
    return "no data" if one.head.earliest_ns is None else utc(one.head.earliest_ns)


def _asked(one: BrokerRange) -> str:
    if one.head is None:
        return "-"
    return f"{duration(round(one.head.age_s))} ago" if one.head.age_s >= 1 else "now"


def to_json(one: BrokerRange) -> Json:
    """Return a range for programs; times UTC, dates inclusive."""
    head, stored = one.head, one.stored
    return {
        "series": one.series.bar_type,
        "earliest": iso(head.earliest_ns) if head is not None else None,
        "asked_s_ago": round(head.age_s, 1) if head is not None else None,
        "first_session": str(stored.first_session) if stored is not None and stored.first_session else None,
        "last_session": str(stored.last_session) if stored is not None and stored.last_session else None,
        "sessions": 0 if stored is None else stored.stored,
        "error": error_to_json(one.error) if one.error is not None else None,
    }
