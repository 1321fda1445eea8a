"""What was typed for a backtest, as a spec."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from market_data_pipeline.cli.options import Place
from market_data_pipeline.domain.errors import UsageError
from market_data_pipeline.domain.sessions import parse_date

if TYPE_CHECKING:
    from market_data_pipeline.backtest.spec import BacktestSpec


@dataclass(frozen=True)
class Typed:
    """The options of `mdp backtest run`, as typed."""

    strategy: str | None
    strategy_config: str | None
    bar_types: list[str]
    start: str | None
    end: str | None
    balances: list[str]
    fetch: bool
    allow_gaps: bool
    name: str | None


def results_folder(place: Place, given: Path | None) -> Path:
    """Return where results are kept: as given, else MDP_BACKTESTS (as Dagster has it), else `backtests` beside the catalog."""
    named = os.environ.get("MDP_BACKTESTS")
    return given or (Path(named) if named else place.root.absolute().parent / "backtests")


def spec_of(file: Path | None, typed: Typed) -> BacktestSpec:
    """Return the spec that a file and options make together; options win.

    Raises:
        UsageError: If neither says what to run, or both do.
        ConfigurationError: If the file or an option cannot be meant.
    """
    from market_data_pipeline.backtest.spec import BacktestSpec

    # Dates are told apart from other mistakes here, in the words that every command has for them.
    dates = {name: parse_date(text) for name, text in (("start", typed.start), ("end", typed.end)) if text is not None}
    over: dict[str, object] = {**dates, "name": typed.name, "starting_balances": typed.balances or None}
    over |= {"fetch": typed.fetch or None, "allow_gaps": typed.allow_gaps or None}
    over = {name: value for name, value in over.items() if value is not None}
    if file is not None:
        if typed.strategy or typed.strategy_config or typed.bar_types:
            raise UsageError(f"{file} says which strategy and series to run; leave out --strategy, --config and --bar-type, or the file.")
        read = BacktestSpec.read(file)
        return BacktestSpec.of(read.model_dump(exclude_unset=True) | over) if over else read
    if not typed.bar_types:
        raise UsageError("Nothing to run. Name a file (mdp backtest run SPEC.yaml), or say it with --bar-type, --start, --end and --balance.")
    missing = [f"--{name}" for name in ("start", "end") if name not in dates]
    if missing:
        raise UsageError(f"A backtest needs a range of sessions; {' and '.join(missing)} is not given. Write YYYY-MM-DD, both inclusive.")
    strategy = {"path": typed.strategy, "config": _settings(typed.strategy_config)}
    strategy = {name: value for name, value in strategy.items() if value is not None}
    name = typed.name or (typed.strategy.rpartition(":")[2] if typed.strategy else "SmaCross")
    return BacktestSpec.of({"strategy": strategy or None, "series": typed.bar_types} | over | {"name": name})


def _settings(text: str | None) -> dict[str, object] | None:
    if text is None:
        return None
    try:
        settings = json.loads(text)
    except ValueError as error:
        raise UsageError(f"--config is no JSON: {error}. Write for example '{{\"fast_period\": 40}}'.") from None
    if not isinstance(settings, dict):
        raise UsageError(f"--config is {text!r}, and must be a JSON object, for example '{{\"fast_period\": 40}}'.")
    return settings
