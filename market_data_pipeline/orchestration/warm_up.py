"""The asset `live/warm_up`: what the strategies of `config/strategies.yaml` need is in the catalog before their node starts."""

# No `from __future__ import annotations`: Dagster reads the annotations of assets as they are.

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import dagster as dg

# `define_asset_job` returns it, and Dagster exports no name for it.
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition
from pydantic import Field

from market_data_pipeline.domain.bar_types import NANOSECONDS, Series
from market_data_pipeline.domain.errors import ConfigurationError
from market_data_pipeline.domain.words import agreeing, count
from market_data_pipeline.live.need import Need, WarmUpSource
from market_data_pipeline.live.strategies_file import StrategiesFile, Strategy, read_strategies
from market_data_pipeline.orchestration.automation.places import Places
from market_data_pipeline.orchestration.broker import IbkrResource
from market_data_pipeline.orchestration.brought_in import BroughtIn, as_table
from market_data_pipeline.orchestration.failures import one_clear_message
from market_data_pipeline.orchestration.metadata import utc_text
from market_data_pipeline.orchestration.resources import CatalogResource
from market_data_pipeline.watchlist import Watchlist, read_watchlist

if TYPE_CHECKING:
    from market_data_pipeline.live.preparing import Prepared
    from market_data_pipeline.sources.ibkr import Hours

KEY = dg.AssetKey(["live", "warm_up"])
OP = "live__warm_up"
JOB = "warm_up"
CHECK = "warm_enough"


class WarmUpConfig(dg.Config):
    """What a warm-up is asked for."""

    strategies: list[str] = Field(default=[], description="Names of the only strategies wanted; none is all of the file.")
    calendars: list[str] = Field(default=[], description="The only calendars whose series are wanted, for example NYSE; none is all.")
    as_of: str = Field(
        default="",
        description="A rehearsal on what is stored: what counts as now, for example 2024-03-28T13:00:00Z. Nobody is asked then. Empty is now.",
    )


@dataclass(frozen=True)
class Row:
    """A strategy and one of its series, and what is at hand for it.

    Attributes:
        strategy: The strategy.
        need: What it needs of the series.
        buffer: Bars wanted for each that is needed.
        prepared: What came of the series, for the strategy that needs most of it.
    """

    strategy: Strategy
    need: Need
    buffer: float
    prepared: "Prepared"

    @property
    def is_enough(self) -> bool:
        """True where the strategy is ready before its first live bar."""
        return self.prepared.bars >= self.need.bars

    @property
    def outcome(self) -> str:
        """Enough; or why not, each reason with its way out."""
        if self.prepared.bars >= self.need.wanted(self.buffer):
            return "enough"
        why = " ".join(self.prepared.reasons)
        return f"enough, without the whole buffer. {why}" if self.is_enough else f"{self.need.bars - self.prepared.bars:,} too few. {why}".rstrip()

    def cells(self) -> dict[str, str | int]:
        """Return it as a row of a table."""
        history = self.prepared.history
        newest = None if history is None or not len(history.bars) else int(history.bars.ts_init[-1])
        return {
            "strategy": self.strategy.name,
            "series": str(self.need.series),
            "needed": self.need.bars,
            "wanted": self.need.wanted(self.buffer),
            "at hand": self.prepared.bars,
            "stored before": 0 if history is None else history.from_catalog,
            "asked for": 0 if history is None else history.from_source,
            "newest bar closed": utc_text(newest),
            "outcome": self.outcome,
        }


def warm_up_asset(places: Places) -> dg.AssetsDefinition:
    """Make the asset `live/warm_up`, with the check `warm_enough`."""

    @dg.asset(
        key=KEY,
        group_name="live",
        kinds={"parquet", "nautilus", "ibkr"},
        owners=["team:market-data"],
        check_specs=[
            dg.AssetCheckSpec(
                CHECK,
                asset=KEY,
                description="Each strategy has the bars that its indicators need, so that it is ready before its first live bar. Stops nothing.",
            )
        ],
        description=(
            "Bars that the strategies of config/strategies.yaml need before the open: what the catalog lacks is asked of Interactive Brokers and "
            "stored, so that the node starts from the catalog alone. A series that cannot be had does not stop the others. "
            'Configuration: {"strategies": ["sma_cross_aapl"], "calendars": ["NYSE"]}; none is all.'
        ),
    )
    def warm_up(
        context: dg.AssetExecutionContext, config: WarmUpConfig, catalog: CatalogResource, ibkr: IbkrResource
    ) -> Iterator[dg.MaterializeResult[None]]:
        with one_clear_message(), ibkr.for_run() as gateway:
            from market_data_pipeline.live.preparing import prepare

            file, watchlist = read_strategies(places.strategies), read_watchlist(places.watchlist)
            chosen, now_ns = file.chosen(config.strategies, config.calendars), _as_of_ns(config)
            if not file.warm_up.enabled:
                yield _off(places)
                return
            shown = BroughtIn(context, watchlist)
            prepared: dict[Series, Prepared] = {}
            asks = now_ns is None and file.warm_up.may_ask(WarmUpSource.IBKR)
            try:
                for one in prepare(
                    catalog.open(),
                    gateway if asks else None,
                    [need for _, need in chosen],
                    file.warm_up,
                    now_ns=now_ns,
                    hours=lambda series: _hours(watchlist, series),
                    tell=context.log.info,
                    stored=lambda series, row: shown.add(series, row, f"stored by {JOB}"),
                ):
                    prepared[one.need.series] = one
            finally:
                shown.tell()
            rows = [Row(strategy, need, file.warm_up.buffer, prepared[need.series]) for strategy, need in chosen]
            context.log.info(_summary(rows))
            yield _told(rows, list(prepared.values()), shown.shown)

    return warm_up


def warm_up_job() -> UnresolvedAssetJobDefinition:
    """Make the job `warm_up`."""
    return dg.define_asset_job(
        JOB,
        dg.AssetSelection.assets(KEY),
        description=(
            "Bring what the strategies of config/strategies.yaml need into the catalog, and say whether it is enough. Needs no configuration; "
            f'for a rehearsal on stored bars: {{"ops": {{"{OP}": {{"config": {{"as_of": "2024-03-28T13:00:00Z"}}}}}}}}.'
        ),
    )


def run_config_for(calendar: str) -> dict[str, object]:
    """Return the configuration of a run that warms up the series of one calendar."""
    return {"ops": {OP: {"config": {"calendars": [calendar]}}}}


def known_strategies(places: Places) -> StrategiesFile | None:
    """Return the strategies' file; None where there is none, and nothing to be scheduled.

    Raises:
        ConfigurationError: If it is wrong; the message names file, line and key.
    """
    return read_strategies(places.strategies) if places.strategies.exists() else None


def _as_of_ns(config: WarmUpConfig) -> int | None:
    """Return what counts as now, UTC nanoseconds; None for now.

    Raises:
        ConfigurationError: If it is no instant.
    """
    if not config.as_of:
        return None
    try:
        moment = dt.datetime.fromisoformat(config.as_of)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ConfigurationError(f"as_of: {config.as_of!r} is no instant. Write date, time and zone, for example 2024-03-28T13:00:00Z.")
    return round(moment.timestamp()) * NANOSECONDS


def _hours(watchlist: Watchlist, series: Series) -> "Hours | None":
    """Return the hours of the first universe of the watchlist that asks the broker for a series; None where none does."""
    from market_data_pipeline.sources.ibkr import Hours

    for universe in watchlist.universes.values():
        if series.instrument_id in universe.instruments and str(series.spec) in universe.bars and universe.files is None:
            return Hours(universe.fetched_hours)
    return None


def _summary(rows: Sequence[Row]) -> str:
    lacking = [row for row in rows if not row.is_enough]
    strategies = len({row.strategy.name for row in rows})
    if not lacking:
        return f"{count(strategies, 'strategy', 'strategies')} warm: {count(len(rows), 'need')}, each with enough bars in the catalog."
    names = ", ".join(dict.fromkeys(f"{row.strategy.name} ({row.need.series})" for row in lacking))
    return f"{len(lacking)} of {count(len(rows), 'need')} {agreeing(len(lacking), 'lacks', 'lack')} bars: {names}."


def _told(rows: Sequence[Row], prepared: "Sequence[Prepared]", sessions_shown: int) -> dg.MaterializeResult[None]:
    histories = [one.history for one in prepared if one.history is not None]
    return dg.MaterializeResult(
        metadata={
            "summary": _summary(rows),
            "warm_up": dg.MetadataValue.md(_markdown([row.cells() for row in rows])),
            "strategies": len({row.strategy.name for row in rows}),
            "series": len(prepared),
            "needs": len(rows),
            "needs_met": sum(row.is_enough for row in rows),
            "requests_made": sum(one.requests for one in histories),
            "bars_asked_for": sum(one.from_source for one in histories),
            "bars_at_hand": sum(one.bars for one in prepared),
            "sessions_shown": sessions_shown,
            "seconds": round(sum(one.seconds for one in histories), 3),
        },
        check_results=[_check(rows)],
    )


def _check(rows: Sequence[Row]) -> dg.AssetCheckResult:
    lacking = [row for row in rows if not row.is_enough]
    records: list[dict[str, str | int]] = [
        {
            "strategy": row.strategy.name,
            "series": str(row.need.series),
            "lacks": row.need.bars - row.prepared.bars,
            "why": " ".join(row.prepared.reasons),
            "command": row.need.load_command,
        }
        for row in lacking
    ]
    return dg.AssetCheckResult(
        check_name=CHECK,
        passed=not lacking,
        severity=dg.AssetCheckSeverity.ERROR,
        description=_summary(rows),
        metadata={"needs": len(rows), "lacking": as_table(records, ("strategy", "series", "lacks", "why", "command"))},
    )


def _off(places: Places) -> dg.MaterializeResult[None]:
    said = f"Warm-up is off (enabled: false in {places.strategies}): strategies warm up on live bars."
    return dg.MaterializeResult(
        metadata={"summary": said}, check_results=[dg.AssetCheckResult(check_name=CHECK, passed=True, description=said, metadata={"needs": 0})]
    )


def _markdown(rows: Sequence[Mapping[str, str | int]]) -> str:
    names = list(rows[0]) if rows else []
    align = ["---:" if isinstance(rows[0][name], int) else "---" for name in names]
    lines = [names, align, *([_cell(row[name]) for name in names] for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _cell(value: str | int) -> str:
    return f"{value:,}" if isinstance(value, int) else value.replace("|", "\\|").replace("\n", " ")
