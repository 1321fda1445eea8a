"""How numbers are written in messages: `1 row is`, `1,234 rows are`."""

from __future__ import annotations


def count(number: int, one: str, many: str = "") -> str:
    """Return `1 session`, `1,234 sessions`; `many` where an s does not make the plural."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def agreeing(number: int, one: str, many: str) -> str:
    """Return the word that goes with a number: `is` with 1, `are` with others."""
    return one if number == 1 else many
