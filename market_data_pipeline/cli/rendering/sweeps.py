"""How sweeps look: `mdp backtest sweep`, and their part of `list` and `show`."""

from __future__ import annotations

from collections.abc import Callable

from market_data_pipeline.backtest.sweep_results import KeptSweep
from market_data_pipeline.backtest.sweep_table import CHANGE, MEASURES, best_first, number
from market_data_pipeline.cli.output import Json

HEADERS = ("SWEEP", "SETTINGS", "FROM", "TO", "COMBINATIONS", "BEST", "SESSIONS")
NUMBERS = ("COMBINATIONS", "BEST")
_SHOWN = 20
_COLUMNS = (CHANGE, "largest_drawdown", "sharpe", "profit_factor", "orders")


def row(sweep: KeptSweep) -> tuple[str, ...]:
    """Return a kept sweep as a line of the table."""
    spec = sweep.about["spec"]
    finished, of = sweep.outcomes["finished"], sum(sweep.outcomes.values())
    best = sweep.best
    change = number(CHANGE, best.numbers[CHANGE]) if best is not None else "-"
    done = f"{finished:,}" if finished == of else f"{finished:,} of {of:,}"
    return sweep.id, ", ".join(spec["grid"]), str(spec["start"]), str(spec["end"]), done, change, str(sweep.about["gap_verdict"])


def summary_to_json(sweep: KeptSweep) -> Json:
    """Return a kept sweep for programs, in short."""
    spec, best = sweep.about["spec"], sweep.best
    return {
        "id": sweep.id,
        "name": sweep.name,
        "created_at": sweep.created_at,
        "grid": spec["grid"],
        "start": spec["start"],
        "end": spec["end"],
        "combinations": dict(sweep.outcomes),
        "best": None if best is None else {"settings": best.values, **best.numbers, "run": best.run},
        "gap_verdict": sweep.about["gap_verdict"],
        "bars_fingerprint": sweep.about["bars_fingerprint"],
        "folder": str(sweep.folder),
    }


def to_json(sweep: KeptSweep) -> Json:
    """Return a kept sweep for programs, with every combination in the grid's order."""
    rows: list[Json] = [
        {"settings": one.values, "outcome": one.outcome, "reason": one.reason, "run": one.run, **{name: one.numbers.get(name) for name in MEASURES}}
        for one in sweep.rows
    ]
    return {
        **_object(summary_to_json(sweep)),
        "about": sweep.about,
        "table": str(sweep.table),
        "map": str(sweep.map_png),
        "rows": rows,
    }


def lines(sweep: KeptSweep, command: Callable[..., str]) -> list[str]:
    """Return a kept sweep for people: the best combinations, what failed, and where its files are; `command` names a command to type next."""
    about, spec = sweep.about, sweep.about["spec"]
    told = [sweep.id, f"  {', '.join(f'{number} {what}' for what, number in sweep.outcomes.items())}; {spec['start']} to {spec['end']}, best first:"]
    told += _table(sweep)
    failed = [one for one in sweep.rows if one.reason]
    if failed:
        told += ["failed", *(f"  {_settings(one.values)}: {one.reason}" for one in failed[:_SHOWN])]
        told += [f"  … and {len(failed) - _SHOWN:,} more"] if len(failed) > _SHOWN else []
    told += [
        "stands on",
        f"  {about['bars']:,} bars, {about['gap_verdict']}; fingerprint {about['bars_fingerprint']}",
        "files",
        f"  map    {sweep.map_png}",
        f"  table  {sweep.table} (also table.csv, table.md)",
        f"  runs   {sweep.folder / 'runs'}",
    ]
    if sweep.best is not None:
        told.append(f"The best in full: {command('backtest', 'show', sweep.best.run)}")
    return told


def _table(sweep: KeptSweep) -> list[str]:
    """Return the best combinations as aligned columns."""
    names = [*sweep.about["spec"]["grid"]]
    finished = [one for one in best_first(sweep.rows) if one.run]
    cells = [[*names, "change", "largest drawdown", "Sharpe", "profit factor", "orders"]]
    cells += [
        [*(str(one.values[name]) for name in names), *(number(column, one.numbers[column]) for column in _COLUMNS)] for one in finished[:_SHOWN]
    ]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    told = ["  " + "  ".join(f"{cell:>{width}}" for cell, width in zip(line, widths, strict=True)) for line in cells]
    return told + ([f"  … and {len(finished) - _SHOWN:,} more in the table"] if len(finished) > _SHOWN else [])


def _settings(values: dict[str, bool | int | float | str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _object(content: Json) -> dict[str, Json]:
    assert isinstance(content, dict)
    return content
