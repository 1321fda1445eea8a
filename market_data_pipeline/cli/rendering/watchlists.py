"""How the watchlist and edits of it are shown."""

from __future__ import annotations

from collections.abc import Sequence

from market_data_pipeline.cli.output import Json
from market_data_pipeline.cli.watchlist_file import Edited
from market_data_pipeline.cli.words import listed
from market_data_pipeline.watchlist import Universe

HEADERS = ("universe", "calendar", "from", "to", "source", "bars", "instruments")


def row(name: str, universe: Universe) -> tuple[str, ...]:
    """Return a row of the table."""
    last = str(universe.end) if universe.end else "now"
    return (name, universe.calendar, str(universe.start), last, _source(universe), ", ".join(map(str, universe.wanted)), listed(universe.instruments))


def to_json(name: str, universe: Universe) -> Json:
    """Return a universe for programs."""
    return {
        "name": name,
        "calendar": universe.calendar,
        "start": str(universe.start),
        "end": str(universe.end) if universe.end else None,
        "source": _source(universe),
        "hours": universe.fetched_hours,
        "bars": list(universe.bars),
        "derived": dict(universe.derived),
        "instruments": list(universe.instruments),
    }


def added_lines(edited: Edited) -> list[str]:
    """Return what an addition did, and what follows."""
    lines = [f"{one} is in {edited.universe} already." for one in edited.unchanged]
    if edited.changed:
        lines += [
            f"{listed(edited.changed)} added to {edited.universe} in {edited.path}.",
            "While Dagster runs, its sensor watchlist_sync makes them partitions within a minute.",
            "Its sensor watchlist_loads, where it is on, then loads their history.",
        ]
    return lines


def removed_lines(edited: Edited) -> list[str]:
    """Return what a removal did, and what stays."""
    lines = [f"{one} is not in {edited.universe}." for one in edited.unchanged]
    if edited.changed:
        lines.append(
            f"{listed(edited.changed)} removed from {edited.universe} in {edited.path}. What is stored of them stays, and so do their partitions."
        )
    return lines


def edited_to_json(edited: Edited, what: str, others: str) -> Json:
    """Return an edit for programs, with what changed and what did not under names of their own."""
    return {"config": str(edited.path), "universe": edited.universe, what: list(edited.changed), others: list(edited.unchanged)}


def mistakes_lines(mistakes: Sequence[str]) -> list[str]:
    """Return mistakes, one a line."""
    return [*mistakes, f"{len(mistakes)} {'mistake' if len(mistakes) == 1 else 'mistakes'}."]


def _source(universe: Universe) -> str:
    return "ibkr" if universe.files is None else universe.files.csv
