"""Backtest assets: one partition for each spec in backtests/, and one that takes a spec as configuration."""

# No `from __future__ import annotations`: Dagster reads the annotations of assets as they are.

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from market_data_pipeline.domain.errors import InvalidPartition
from market_data_pipeline.domain.words import count
from market_data_pipeline.orchestration.bars import bars_key_of, hear, session_materialization
from market_data_pipeline.orchestration.blocking import refuse_where_checks_fail
from market_data_pipeline.orchestration.broker import IbkrResource
from market_data_pipeline.orchestration.failures import one_clear_message
from market_data_pipeline.orchestration.materializations import Materializations, RunContext
from market_data_pipeline.orchestration.metadata import png
from market_data_pipeline.orchestration.partitions import RegisteredPartitions, asked_names
from market_data_pipeline.orchestration.resources import BacktestResults, CatalogResource
from market_data_pipeline.orchestration.state import STATE, state_of
from market_data_pipeline.watchlist import Watchlist

if TYPE_CHECKING:
    from collections.abc import Sequence

    from market_data_pipeline.backtest import BacktestOutcome, BacktestSpec
    from market_data_pipeline.catalog import Catalog
    from market_data_pipeline.sources.ibkr import IbkrGateway

FROM_SPEC = dg.AssetKey(["backtests", "from_spec"])
AD_HOC = dg.AssetKey(["backtests", "ad_hoc"])
SPECS = RegisteredPartitions(name="backtests")


class AdHocBacktest(dg.Config):
    """A backtest spec as configuration, with the keys that a file in backtests/ has."""

    spec: dict[str, Any] = Field(
        description=(
            'For example {"name": "try", "instruments": ["AAPL.NASDAQ"], "bars": ["1-MINUTE-LAST"], "start": "2024-01-02", "end": "2024-01-31"}.'
        )
    )


def spec_names(folder: Path) -> list[str]:
    """Return the names of the specs in a folder, sorted: the file names without `.yaml`."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


def backtest_assets(folder: Path, upstream: "Sequence[dg.AssetKey]", watchlist: Watchlist) -> list[dg.AssetsDefinition]:
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
            "range are fetched from Interactive Brokers first where the spec says `fetch: true`; else they stop it and say what fills them, "
            "unless the spec allows gaps. Its passport says on exactly which bars it stands."
        ),
    )
    def backtest(
        context: dg.AssetExecutionContext, catalog: CatalogResource, results: BacktestResults, ibkr: IbkrResource
    ) -> dg.MaterializeResult[None]:
        with one_clear_message(), ibkr.for_run() as gateway:
            from market_data_pipeline.backtest import BacktestSpec

            names = asked_names(context, SPECS, spec_names(folder), "backtest spec", f"{folder.name}/")
            if len(names) > 1:
                raise InvalidPartition(f"One run makes one backtest; this one was asked for {', '.join(names)}. Launch a run for each.")
            spec = BacktestSpec.read(folder / f"{names[0]}.yaml")
            fetch_what_it_lacks(context, catalog.open(), spec, watchlist, gateway)
            return dg.MaterializeResult(metadata=run_spec(context, catalog.open(), spec, results, watchlist))

    @dg.asset(
        key=AD_HOC,
        group_name="backtests",
        kinds={"nautilus"},
        owners=["team:market-data"],
        description="A backtest whose spec is given as configuration, with the keys that a file in backtests/ has.",
    )
    def backtest_ad_hoc(
        context: dg.AssetExecutionContext, config: AdHocBacktest, catalog: CatalogResource, results: BacktestResults, ibkr: IbkrResource
    ) -> dg.MaterializeResult[None]:
        with one_clear_message(), ibkr.for_run() as gateway:
            from market_data_pipeline.backtest import BacktestSpec

            spec = BacktestSpec.of(config.spec)
            fetch_what_it_lacks(context, catalog.open(), spec, watchlist, gateway)
            return dg.MaterializeResult(metadata=run_spec(context, catalog.open(), spec, results, watchlist))

    return [backtest, backtest_ad_hoc]


def fetch_what_it_lacks(
    context: RunContext, catalog: "Catalog", spec: "BacktestSpec", watchlist: Watchlist, gateway: "Callable[[], IbkrGateway]"
) -> None:
    """Fill what a spec with `fetch: true` lacks; each session stored is shown at its bars asset, where a universe has one."""
    if not spec.fetch:
        return
    from market_data_pipeline.domain.source import SessionFailure, SourceNews
    from market_data_pipeline.ingest.load import Planned, Stored
    from market_data_pipeline.ingest.missing import fetch_missing

    shown = Materializations(context)
    try:
        for series, event in fetch_missing(catalog, gateway, spec.all_series, spec.start, spec.end, finer_of=watchlist.finer_of):
            if isinstance(event, Stored):
                if (key := bars_key_of(watchlist, series)) is not None:
                    shown.add(session_materialization(key, series, event.row, {"outcome": "fetched for a backtest"}))
                if event.done == event.of:
                    context.log.info(f"{series}: {count(event.of, 'session')} asked for")
            elif isinstance(event, Planned):
                context.log.info(f"{series}: missing sessions: {event.plan.sessions}, requests: {event.plan.requests}, before {spec.name} can run.")
            elif isinstance(event, SourceNews):
                hear(context, shown, series, event)
            elif isinstance(event, SessionFailure):
                context.log.warning(f"{series} {event.session}: {event.reason}")
    finally:
        shown.tell()


def run_spec(context: RunContext, catalog: "Catalog", spec: "BacktestSpec", results: BacktestResults, watchlist: Watchlist) -> dict[str, Any]:
    """Run a spec, unless a blocking check of its bars fails; return what the page shows of the result.

    Raises:
        ChecksFailed: If one does.
        BacktestError: If it cannot be run.
    """
    from market_data_pipeline.backtest import run_backtest

    state = backtest_state(catalog, spec)
    context.log.info(f"{spec.name}: {', '.join(map(str, spec.all_series))} from {spec.start} to {spec.end}")
    refuse_where_checks_fail(context.instance, catalog, watchlist, spec)
    outcome = run_backtest(catalog, spec, results.folder, progress=context.log.info)
    return {**_describe(outcome), STATE: state}


def backtest_state(catalog: "Catalog", spec: "BacktestSpec") -> str:
    """Return the state of the bars that a spec stands on."""
    return state_of(catalog, [(series, spec.start, spec.end) for series in spec.all_series])


def _describe(outcome: "BacktestOutcome") -> dict[str, Any]:
    """Return summary, picture, tables and numbers of a result; Dagster plots each number over the runs of its partition."""
    result = outcome.result
    numbers = short_names(_numbers(result.statistics))
    rows = [dg.TableRecord({"statistic": name, "value": _number(value)}) for name, value in numbers.items()]
    # In this order on the page: how it did, the picture, what it stands on, then each number.
    return {
        "summary": _summary(result.statistics),
        "equity": png(outcome.equity_png, "equity curve"),
        "tearsheet": dg.MetadataValue.path(str(result.tearsheet)),
        "folder": dg.MetadataValue.path(str(result.folder)),
        "gaps": str(result.passport["gap_verdict"]),
        "bars_fingerprint": str(result.passport["bars_fingerprint"]),
        "passport": dg.MetadataValue.json(result.passport),
        "statistics": dg.MetadataValue.table(rows, schema=dg.TableSchema([dg.TableColumn("statistic"), dg.TableColumn("value")])),
        **{f"metric/{name}": value for name, value in numbers.items()},
    }


def _summary(statistics: Mapping[str, Any]) -> str:
    """Return how a backtest did in one line."""
    equity = statistics.get("equity") or {}
    trades = (
        f"{count(statistics.get('fills', 0), 'fill')}, {count(statistics.get('positions', 0), 'position')} over "
        f"{count(statistics.get('bars', 0), 'bar')}"
    )
    if not equity:
        return f"{trades}."
    change, drawdown = (equity.get(name) for name in ("change", "largest_drawdown"))
    shares = f"{'-' if change is None else f'{change:+.2%}'}, largest drawdown {'-' if drawdown is None else f'{abs(drawdown):.2%}'}"
    return f"{equity['start']:,.2f} to {equity['end']:,.2f} {equity['currency']} ({shares}), {trades}."


def _number(value: float) -> str:
    return f"{value:,.0f}" if value.is_integer() else f"{value:,.4f}" if abs(value) >= 0.001 else f"{value:.3g}"


def short_names(numbers: Mapping[str, float]) -> dict[str, float]:
    """Leave out of names what all have in common: the venue, where there is one account, and the currency, where there is one.

    `accounts/NASDAQ/pnl/USD/PnL (total)` becomes `pnl/PnL (total)`, so that a plot's title can be read.
    """
    venues = {name.split("/")[1] for name in numbers if name.startswith("accounts/")}
    currencies = {name.split("/")[3] for name in numbers if name.split("/")[2:3] in (["balances"], ["pnl"])}
    if len(venues) != 1 or len(currencies) > 1:
        return dict(numbers)
    before = f"accounts/{venues.pop()}/"
    inside = [f"{kind}/{currency}/" for kind in ("balances", "pnl") for currency in currencies]

    def short(name: str) -> str:
        name = name.removeprefix(before)
        known = next((one for one in inside if name.startswith(one)), None)
        return name if known is None else f"{known.partition('/')[0]}/{name.removeprefix(known)}"

    return {short(name): value for name, value in numbers.items()}


def _numbers(statistics: Mapping[str, object], prefix: str = "") -> dict[str, float]:
    """Return all numbers of nested statistics under names like `returns/Sharpe Ratio (252 days)`."""
    found: dict[str, float] = {}
    for name, value in statistics.items():
        if isinstance(value, Mapping):
            found |= _numbers(value, f"{prefix}{name}/")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found[f"{prefix}{name}"] = float(value)
    return found
