"""The job `backtest_sweep`: the combinations of a spec's grid, each a step of its own, several at once."""

# No `from __future__ import annotations`: Dagster reads the annotations of ops as they are.

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from market_data_pipeline.domain.errors import BacktestFailed, ConfigurationError, MarketDataError
from market_data_pipeline.domain.words import count
from market_data_pipeline.orchestration.automation.places import Places
from market_data_pipeline.orchestration.backtests import fetch_what_it_lacks
from market_data_pipeline.orchestration.blocking import refuse_where_checks_fail
from market_data_pipeline.orchestration.broker import IbkrResource
from market_data_pipeline.orchestration.executor import in_processes
from market_data_pipeline.orchestration.failures import one_clear_message
from market_data_pipeline.orchestration.metadata import png
from market_data_pipeline.orchestration.resources import BacktestResults, CatalogResource
from market_data_pipeline.watchlist import read_watchlist

if TYPE_CHECKING:
    from market_data_pipeline.backtest import BacktestSpec
    from market_data_pipeline.backtest.sweep import Sweep
    from market_data_pipeline.backtest.sweep_table import Row

JOB = "backtest_sweep"
SWEEPS = dg.AssetKey(["backtests", "sweeps"])
FOLDER = "sweeps"
_ROWS_SHOWN = 200


class SweepConfig(dg.Config):
    """What the job is asked for."""

    spec: str = Field(description="Name of a spec with a grid: backtests/sweeps/NAME.yaml.")
    max_concurrent: int = Field(default=0, ge=0, description="Combinations at once, each a process of 200 to 600 MB; 0 is one a core.")


class SpecName(dg.Config):
    """Which spec."""

    spec: str = Field(description="Name of a spec with a grid: backtests/sweeps/NAME.yaml.")


def sweeps_asset() -> dg.AssetSpec:
    """Return the asset at which finished sweeps are shown; nothing materialises it but the job."""
    return dg.AssetSpec(
        SWEEPS,
        group_name="backtests",
        kinds={"nautilus"},
        owners=["team:market-data"],
        description=f"Sweeps of backtests over a grid of settings: table and map of each. Made by the job {JOB}, or by mdp backtest sweep.",
    )


def sweep_job(places: Places) -> dg.JobDefinition:
    """Make the job `backtest_sweep`."""

    @dg.op(
        name="bars_and_combinations",
        out={"sweep": dg.Out(description="Spec and evidence, the same for all."), "combination": dg.DynamicOut(int)},
        description="Checks and fingerprints the bars once for all combinations; tells those that have no result yet.",
    )
    def bars_and_combinations(
        context: dg.OpExecutionContext, config: SpecName, catalog: CatalogResource, results: BacktestResults, ibkr: IbkrResource
    ) -> Iterator[Any]:
        with one_clear_message():
            sweep = _prepare(context, places, config.spec, catalog, results, ibkr)
        combinations = sweep.spec.combinations
        finished = sweep.finished()
        context.log.info(f"{sweep.spec.name}: {count(len(combinations), 'combination')}, of which {len(finished):,} have a result on the same bars.")
        yield dg.Output(sweep, "sweep", metadata={"folder": dg.MetadataValue.path(str(sweep.folder)), "combinations": len(combinations)})
        for number, key in enumerate(_keys(sweep.spec)):
            if number not in finished:
                yield dg.DynamicOutput(number, key, "combination")

    @dg.op(name="combination", description="Runs one combination on those bars. If it fails, that is a row of the table, and not the end.")
    def combination(context: dg.OpExecutionContext, sweep: Any, number: int) -> Any:
        from market_data_pipeline.backtest.sweep import failed_row, run_combination

        try:
            row = run_combination(sweep, number)
        except Exception as error:
            row = failed_row(sweep.spec.combinations[number], error)
            if isinstance(error, MarketDataError):
                context.log.warning(row.reason)
            else:
                context.log.exception(row.reason)
        context.add_output_metadata({**row.values, "outcome": row.outcome, **{f"metric/{k}": v for k, v in row.numbers.items() if v is not None}})
        return number, row

    @dg.op(name="table", description="Writes table and map of all combinations, and shows them at backtests/sweeps.")
    def table(context: dg.OpExecutionContext, sweep: Any, rows: list[Any]) -> None:
        from market_data_pipeline.backtest.sweep import keep_table

        with one_clear_message():
            whole = keep_table(sweep, dict(rows))
            context.log_event(dg.AssetMaterialization(SWEEPS, metadata=_told(sweep, whole)))
            if not any(row.run for row in whole):
                raise BacktestFailed(f"None of {count(len(whole), 'combination')} of {sweep.spec.name} could be run. The first: {whole[0].reason}")

    @dg.config_mapping
    def as_options(config: SweepConfig) -> dg.RunConfig:
        return dg.RunConfig(
            ops={"bars_and_combinations": SpecName(spec=config.spec)}, execution={"config": {"max_concurrent": config.max_concurrent or None}}
        )

    @dg.job(
        name=JOB,
        config=as_options,
        executor_def=in_processes,
        description=(
            "Run every combination of the grid of backtests/sweeps/NAME.yaml, each a step in a process of its own. Safe to repeat: what has a result "
            'on the same bars is not run again. Configuration: {"spec": "NAME", "max_concurrent": 4}.'
        ),
    )
    def backtest_sweep() -> None:
        sweep, numbers = bars_and_combinations()
        table(sweep, numbers.map(lambda number: combination(sweep, number)).collect())

    return backtest_sweep


def _prepare(
    context: dg.OpExecutionContext, places: Places, name: str, catalog: CatalogResource, results: BacktestResults, ibkr: IbkrResource
) -> "Sweep":
    from market_data_pipeline.backtest import BacktestSpec
    from market_data_pipeline.backtest.sweep import prepare_sweep

    spec = BacktestSpec.read(_file_of(places.specs / FOLDER, name))
    watchlist = read_watchlist(places.watchlist)
    stored = catalog.open()
    with ibkr.for_run() as gateway:
        fetch_what_it_lacks(context, stored, spec, watchlist, gateway)
    refuse_where_checks_fail(context.instance, stored, watchlist, spec)
    return prepare_sweep(stored, spec, results.folder, context.log.info)


def _file_of(folder: Path, name: str) -> Path:
    names = sorted(path.stem for path in folder.glob("*.yaml"))
    if name not in names:
        there = f"It has {', '.join(names)}." if names else "It has none."
        raise ConfigurationError(f"There is no spec {name!r} in {folder}. {there} Write one: a backtest spec with a grid.")
    return folder / f"{name}.yaml"


def _keys(spec: "BacktestSpec") -> list[str]:
    """Return a name of letters and digits for each combination, by which the page shows its step."""
    keys = [re.sub(r"[^A-Za-z0-9]+", "_", "_".join(f"{name}_{value}" for name, value in values.items())) for values in spec.combinations]
    return keys if len(set(keys)) == len(keys) else [f"{key}_{number}" for number, key in enumerate(keys)]


def _told(sweep: "Sweep", rows: "Sequence[Row]") -> dict[str, Any]:
    """Return what the page shows of a sweep: how it went, the picture, the table best first, and where it is kept."""
    from market_data_pipeline.backtest.sweep_table import CHANGE, MAP, best_first, markdown, number

    finished = [row for row in best_first(rows) if row.run]
    failed = sum(bool(row.reason) for row in rows)
    summary = f"{len(finished):,} of {count(len(rows), 'combination')} finished{f', {failed:,} failed' if failed else ''}"
    if finished:
        settings = ", ".join(f"{name} {value}" for name, value in finished[0].values.items())
        summary += f"; best {number(CHANGE, finished[0].numbers[CHANGE])} with {settings}"
    told: dict[str, Any] = {
        "summary": f"{summary}.",
        "sweep": sweep.spec.name,
        "map": png((sweep.folder / MAP).read_bytes(), "change of equity by settings"),
        "table": dg.MetadataValue.md(markdown(sweep.spec, rows, _ROWS_SHOWN)),
        "folder": dg.MetadataValue.path(str(sweep.folder)),
        "bars_fingerprint": sweep.evidence.bars_fingerprint,
        "finished": len(finished),
        "failed": failed,
    }
    if finished and (best := finished[0].numbers[CHANGE]) is not None:
        told["metric/best_change"] = best
    return told
