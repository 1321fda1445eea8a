"""The table of a sweep: a row for each combination, with its settings, what came of it, and the numbers by which they are compared."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from market_data_pipeline.backtest.results import BacktestResult
from market_data_pipeline.backtest.spec import BacktestSpec, Value

FINISHED, FAILED, NOT_RUN = "finished", "failed", "not run"
CHANGE = "change"
# What Nautilus calls them, in the first account where there are several.
_RETURNS = {"sharpe": "Sharpe Ratio (252 days)", "profit_factor": "Profit Factor"}
MEASURES = (CHANGE, "largest_drawdown", "end_equity", *_RETURNS, "orders", "positions")
_SHARES = (CHANGE, "largest_drawdown")
_WORDS = ("outcome", "run", "reason")
TABLE, CSV, MARKDOWN, MAP = "table.parquet", "table.csv", "table.md", "map.png"


@dataclass(frozen=True)
class Row:
    """A combination.

    Attributes:
        values: Its settings.
        outcome: `finished`, `failed` or `not run`.
        reason: Why it failed; else empty.
        run: Name of its folder below runs/; empty without a result.
        numbers: By the names of `MEASURES`; None where nothing can be said (no trade, no variance).
    """

    values: dict[str, Value]
    outcome: str
    reason: str
    run: str
    numbers: dict[str, float | None]

    @classmethod
    def not_run(cls, values: Mapping[str, Value]) -> Row:
        """Return the row of a combination whose turn has not come."""
        return cls(dict(values), NOT_RUN, "", "", {})


def row_of(values: Mapping[str, Value], result: BacktestResult) -> Row:
    """Return the row of a combination that has run."""
    statistics = result.statistics
    equity: dict[str, Any] = statistics.get("equity") or {}
    account: dict[str, Any] = next(iter(statistics.get("accounts", {}).values()), {})
    returns: dict[str, Any] = account.get("returns", {})
    numbers: dict[str, float | None] = {
        CHANGE: equity.get("change"),
        "largest_drawdown": equity.get("largest_drawdown"),
        "end_equity": equity.get("end"),
        **{name: returns.get(theirs) for name, theirs in _RETURNS.items()},
        "orders": statistics.get("orders", {}).get("total"),
        "positions": statistics.get("positions"),
    }
    return Row(dict(values), FINISHED, "", result.id, numbers)


def best_first(rows: Sequence[Row], measure: str = CHANGE) -> list[Row]:
    """Return the rows with the highest number first; those without one last, in their order."""
    return sorted(rows, key=lambda row: -value if (value := row.numbers.get(measure)) is not None else float("inf"))


def write_table(folder: Path, spec: BacktestSpec, rows: Sequence[Row]) -> None:
    """Write the table as Parquet, CSV and Markdown, and the map as PNG; each replaces what was there at once."""
    import pyarrow.csv as pa_csv
    import pyarrow.parquet as pq

    from market_data_pipeline.charts.sweep import sweep_png

    table = as_table(spec, rows)
    _replace(folder / TABLE, lambda path: pq.write_table(table, path, compression="zstd"))
    _replace(folder / CSV, lambda path: pa_csv.write_csv(table, path))
    _replace(folder / MARKDOWN, lambda path: path.write_text(markdown(spec, rows), encoding="utf-8"))
    points = [(row.values, row.numbers.get(CHANGE)) for row in rows]
    _replace(folder / MAP, lambda path: path.write_bytes(sweep_png(spec.name, spec.grid or {}, points, f"{spec.start} to {spec.end}")))


def as_table(spec: BacktestSpec, rows: Sequence[Row]) -> pa.Table:
    """Return the table: settings, then outcome, numbers, run and reason; in the grid's order."""
    columns: dict[str, pa.Array] = {column_of(name): _settings([row.values[name] for row in rows]) for name in spec.grid or {}}
    columns["outcome"] = pa.array([row.outcome for row in rows], pa.string())
    for name in MEASURES:
        columns[name] = pa.array([None if (value := row.numbers.get(name)) is None else float(value) for row in rows], pa.float64())
    columns["run"] = pa.array([row.run for row in rows], pa.string())
    columns["reason"] = pa.array([row.reason for row in rows], pa.string())
    return pa.table(columns)


def column_of(setting: str) -> str:
    """Return the name of a setting's column: its own, with a `_` where a number or a word of ours is called so."""
    return f"{setting}_" if setting in (*MEASURES, *_WORDS) else setting


def read_rows(folder: Path, spec_grid: Sequence[str]) -> list[Row]:
    """Return the rows of a table that was written.

    Raises:
        OSError: If there is none, or it cannot be read.
    """
    import pyarrow.parquet as pq

    return [
        Row(
            {name: one[column_of(name)] for name in spec_grid},
            one["outcome"],
            one["reason"],
            one["run"],
            {name: one[name] for name in MEASURES} if one["run"] else {},
        )
        for one in pq.read_table(folder / TABLE).to_pylist()
    ]


def markdown(spec: BacktestSpec, rows: Sequence[Row], most: int | None = None) -> str:
    """Return the table for people, best first; of at most `most` rows."""
    names = [*(spec.grid or {})]
    head = [*names, "change", "largest drawdown", "Sharpe", "profit factor", "orders", "outcome"]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(names)}{'---:|' * 5}---|"]
    ordered = best_first(rows)
    for row in ordered[:most]:
        cells = [*(str(row.values[name]) for name in names), *map(number, *zip(*_shown(row), strict=True)), outcome(row).replace("|", "\\|")]
        lines.append(f"| {' | '.join(cells)} |")
    if most is not None and len(ordered) > most:
        lines.append(f"\n… and {len(ordered) - most:,} more in {TABLE}")
    return "\n".join(lines) + "\n"


def outcome(row: Row) -> str:
    """Return what came of a combination, with the reason if it failed."""
    return f"{row.outcome}: {row.reason}" if row.reason else row.outcome


def number(name: str, value: float | None) -> str:
    """Return a number of a row as people read it."""
    if value is None:
        return "-"
    if name in _SHARES:
        return f"{value:+.2%}"
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.3f}"


def _shown(row: Row) -> list[tuple[str, float | None]]:
    return [(name, row.numbers.get(name)) for name in (CHANGE, "largest_drawdown", "sharpe", "profit_factor", "orders")]


def _settings(values: Sequence[Value]) -> pa.Array:
    """Return a column of settings: numbers or truth values where all are, else text."""
    if all(isinstance(value, bool) for value in values):
        return pa.array(values, pa.bool_())
    if any(isinstance(value, bool | str) for value in values):
        return pa.array([str(value) for value in values], pa.string())
    return pa.array(values, pa.int64() if all(isinstance(value, int) for value in values) else pa.float64())


def _replace(path: Path, write: Callable[[Path], object]) -> None:
    handle, name = tempfile.mkstemp(prefix=".", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
        temporary.chmod(0o644)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
