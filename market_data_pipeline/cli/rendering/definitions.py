"""How `mdp instruments` looks."""

from __future__ import annotations

from collections.abc import Sequence

from market_data_pipeline.catalog.instrument_files import Definition
from market_data_pipeline.catalog.instruments import InstrumentChange, InstrumentVersion
from market_data_pipeline.cli.definitions import StoredInstrument
from market_data_pipeline.cli.endings import error_to_json
from market_data_pipeline.cli.output import Json, paint
from market_data_pipeline.cli.words import iso, utc
from market_data_pipeline.ingest.instruments import Refreshed

HEADERS = ("ID", "CLASS", "CURRENCY", "TICK", "PRICE DECIMALS", "SIZE DECIMALS")
NUMBERS = HEADERS[3:]


def row(one: StoredInstrument) -> tuple[str, ...]:
    """Return an instrument as a line of the table."""
    if one.problem is not None:
        return one.instrument_id, f"cannot be read: {one.problem}", "", "", "", ""
    definition = one.definition
    currency = definition.get("quote_currency") or definition.get("currency") or "-"
    return (
        one.instrument_id,
        str(definition.get("class")),
        str(currency),
        str(definition.get("price_increment", "-")),
        str(definition.get("price_precision", "-")),
        str(definition.get("size_precision", 0)),
    )


def summary_to_json(one: StoredInstrument) -> Json:
    """Return an instrument for programs: its definition's fields, or the problem."""
    return {"id": one.instrument_id, "problem": one.problem, "definition": dict(one.definition) or None}


def lines(instrument_id: str, definition: Definition, versions: Sequence[InstrumentVersion] | None) -> list[str]:
    """Return a definition field by field, and its versions, newest first."""
    shown = {name: value for name, value in definition.items() if name not in ("id", "class") and value is not None}
    width = max(map(len, shown), default=0)
    text = [f"{paint(instrument_id, 'bold')}: {definition.get('class')}", *(f"  {name:<{width}}  {value}" for name, value in shown.items())]
    if versions is None:
        return text
    text.append("versions, newest first:" if versions else "no versions are kept: the definition was stored by another tool")
    for version in reversed(versions):
        what = "; ".join(map(str, version.changes)) or "first definition"
        text.append(f"  from {utc(version.valid_from_ns)}, {version.source}: {what}")
    return text


def to_json(instrument_id: str, definition: Definition, versions: Sequence[InstrumentVersion] | None) -> Json:
    """Return a definition for programs; `versions` is null unless asked for."""
    return {
        "id": instrument_id,
        "definition": dict(definition),
        "versions": None if versions is None else [_version_to_json(version) for version in versions],
    }


def _version_to_json(version: InstrumentVersion) -> Json:
    return {
        "valid_from": iso(version.valid_from_ns),
        "source": version.source,
        "changes": [{"field": change.field, "old": change.old, "new": change.new} for change in version.changes],
        "definition": dict(version.definition),
    }


def change_line(change: InstrumentChange) -> str:
    """Return what storing a definition did, in a line."""
    changes = f" ({'; '.join(map(str, change.changes))})" if change.changes else ""
    return f"{change.instrument_id}: {change.outcome}{changes}"


def change_to_json(change: InstrumentChange) -> dict[str, Json]:
    """Return what storing a definition did, for programs."""
    changes = [{"field": one.field, "old": one.old, "new": one.new} for one in change.changes]
    return {"id": change.instrument_id, "outcome": str(change.outcome), "changes": changes}


def refreshed_line(one: Refreshed) -> str:
    """Return what became of a definition that was fetched, in a line."""
    if one.change is not None:
        return change_line(one.change)
    return f"{one.instrument_id}: {paint('failed', 'red')}: {one.error}"


def refreshed_to_json(one: Refreshed) -> Json:
    """Return what became of a definition that was fetched, for programs."""
    if one.change is not None:
        return {**change_to_json(one.change), "error": None}
    return {"id": one.instrument_id, "outcome": "failed", "changes": [], "error": error_to_json(one.error) if one.error is not None else None}
