"""How `mdp ibkr discover` looks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from market_data_pipeline.cli.endings import error_to_json
from market_data_pipeline.cli.output import Json
from market_data_pipeline.cli.symbols import COLUMNS, LookedUp, cells

HEADERS = ("SYMBOL", *COLUMNS, "CONID")


def rows(found: LookedUp) -> list[tuple[str, ...]]:
    """Return what a symbol may mean, one line a candidate."""
    return [(found.symbol, *cells(one), str(one.con_id)) for one in found.candidates]


def example(found: Sequence[LookedUp]) -> tuple[str, str]:
    """Return the id of the first candidate there is, and day bars that it has: a pair has no trades."""
    first = next(one.candidates[0] for one in found if one.candidates)
    return first.instrument_id, "1-DAY-MID" if first.sec_type == "CASH" else "1-DAY-LAST"


def to_json(found: LookedUp) -> Json:
    """Return what a symbol may mean, for programs."""
    return {
        "symbol": found.symbol,
        "candidates": [asdict(one) for one in found.candidates],
        "error": error_to_json(found.error) if found.error is not None else None,
    }
