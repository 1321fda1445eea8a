"""Backtest assets: one partition for each spec in backtests/, and one that takes a spec as configuration."""

# No `from __future__ import annotations`: Dagster reads the annotations of assets as they are.

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from market_data_pipeline.domain.errors import InvalidPartition
from market_data_pipeline.orchestration.failures import one_clear_message
from market_data_pipeline.orchestration.metadata import png
from market_data_pipeline.orchestration.partitions import RegisteredPartitions, asked_names
from market_data_pipeline.orchestration.resources import BacktestResults, CatalogResource

if TYPE_CHECKING:
    from collections.abc import Sequence

    from market_data_pipeline.backtest import BacktestOutcome, BacktestSpec
    from market_data_pipeline.catalog import Catalog

FROM_SPEC = dg.AssetKey(["backtests", "from_spec"])
AD_HOC = dg.AssetKey(["backtests", "ad_hoc"])
SPECS = RegisteredPartitions(name="backtests")


class AdHocBacktest(dg.Config):
    """A backtest spec as configuration, with the keys that a file in backtests/ has.

    Attributes:
        spec: For example {"name": "try", "instruments": ["AAPL.NASDAQ"], "bars": ["1-MINUTE-LAST"], "start": "2024-01-02", "end": "2024-01-31"}.
    """

    spec: dict[str, Any]


def spec_names(folder: Path) -> list[str]:
    """Return the names of the specs in a folder, sorted: the file names without `.yaml`."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


def backtest_assets(folder: Path, upstream: "Sequence[dg.AssetKey]") -> list[dg.AssetsDefinition]:
    """Make the backtest assets. They do not depend on partitions of the bars: each checks for itself what it needs."""

    @dg.asset(
        key=FROM_SPEC,
        partitions_def=SPECS,
        deps=[dg.AssetDep(key, partition_mapping=dg.AllPartitionMapping()) for key in upstream],
        group_name="backtests",
        kinds={"nautilus"},
        owners=["team:market-data"],
        description=(
            f"Backtests by Nautilus' own engine over the catalog, one partition for each spec in {folder.name}/. Sessions that are missing in the "
            "range stop it, with the commands that fill them, unless the spec allows gaps. Its passport says on exactly which bars it stands."
        ),
    )
    def backtest(context: dg.AssetExecutionContext, catalog: CatalogResource, results: BacktestResults) -> dg.MaterializeResult[None]:
        with one_clear_message():
            from market_data_pipeline.backtest import BacktestSpec

            names = asked_names(context, SPECS, spec_names(folder), "backtest spec", f"{folder.name}/")
            if len(names) > 1:
                raise InvalidPartition(f"One run makes one backtest; this one was asked for {', '.join(names)}. Launch a run for each.")
            return _run(context, catalog.open(), BacktestSpec.read(folder / f"{names[0]}.yaml"), results)

    @dg.asset(
        key=AD_HOC,
        group_name="backtests",
        kinds={"nautilus"},
        owners=["team:market-data"],
        description="A backtest whose spec is given as configuration, with the keys that a file in backtests/ has.",
    )
    def backtest_ad_hoc(
        context: dg.AssetExecutionContext, config: AdHocBacktest, catalog: CatalogResource, results: BacktestResults
    ) -> dg.MaterializeResult[None]:
        with one_clear_message():
            from market_data_pipeline.backtest import BacktestSpec

            return _run(context, catalog.open(), BacktestSpec.of(config.spec), results)

    return [backtest, backtest_ad_hoc]


def _run(context: dg.AssetExecutionContext, catalog: "Catalog", spec: "BacktestSpec", results: BacktestResults) -> dg.MaterializeResult[None]:
    from market_data_pipeline.backtest import run_backtest

    context.log.info(f"{spec.name}: {', '.join(map(str, spec.all_series))} from {spec.start} to {spec.end}")
    outcome = run_backtest(catalog, spec, results.folder, progress=context.log.info)
    return dg.MaterializeResult(metadata=_describe(outcome))


def _describe(outcome: "BacktestOutcome") -> dict[str, Any]:
    result = outcome.result
    numbers = _numbers(result.statistics)
    rows = [dg.TableRecord({"statistic": name, "value": f"{value:g}"}) for name, value in numbers.items()]
    return {
        "equity": png(outcome.equity_png, "equity curve"),
        "statistics": dg.MetadataValue.table(rows, schema=dg.TableSchema([dg.TableColumn("statistic"), dg.TableColumn("value")])),
        "tearsheet": dg.MetadataValue.path(str(result.tearsheet)),
        "folder": dg.MetadataValue.path(str(result.folder)),
        "passport": dg.MetadataValue.json(result.passport),
        "bars_fingerprint": str(result.passport["bars_fingerprint"]),
        **{f"metric/{name}": value for name, value in numbers.items()},
    }


def _numbers(statistics: Mapping[str, object], prefix: str = "") -> dict[str, float]:
    """Return all numbers of nested statistics under names like `returns/Sharpe Ratio (252 days)`."""
    found: dict[str, float] = {}
    for name, value in statistics.items():
        if isinstance(value, Mapping):
            found |= _numbers(value, f"{prefix}{name}/")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found[f"{prefix}{name}"] = float(value)
    return found
