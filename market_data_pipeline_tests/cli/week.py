"""A week of minutes in a CSV file, and the command that imports it."""

from __future__ import annotations

from pathlib import Path

# Five open days.
WEEK = ["2024-02-05", "2024-02-06", "2024-02-07", "2024-02-08", "2024-02-09"]


def arguments(file: str | Path, root: Path, *more: str | Path) -> list[str | Path]:
    series = ["--instrument", "AAPL.NASDAQ", "--bar", "1-MINUTE-LAST", "--timezone", "America/New_York", "--stamp", "open"]
    return ["import-csv", file, *series, "--instruments", "aapl.yaml", "--catalog", root, *more]


def undeclared(file: Path, root: Path, *more: str | Path) -> list[str | Path]:
    return ["import-csv", file, "--bar", "1-MINUTE-LAST", "--instruments", "aapl.yaml", "--catalog", root, *more]
