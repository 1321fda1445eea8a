"""The page that a trader opens in the morning: one asset over all universes, told anew when something has changed."""

# No `from __future__ import annotations`: Dagster reads the annotations of assets and sensors as they are.

import datetime as dt
import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import dagster as dg

from market_data_pipeline.catalog import Catalog
from market_data_pipeline.domain.bar_types import NANOSECONDS
from market_data_pipeline.domain.errors import MarketDataError
from market_data_pipeline.domain.sessions import date_of
from market_data_pipeline.orchestration.automation.overview import Overview, RunRow, SeriesState, look
from market_data_pipeline.orchestration.automation.places import Places
from market_data_pipeline.orchestration.automation.reconcile import report
from market_data_pipeline.orchestration.backtests import FROM_SPEC
from market_data_pipeline.orchestration.failures import one_clear_message
from market_data_pipeline.orchestration.metadata import png
from market_data_pipeline.orchestration.resources import CatalogResource
from market_data_pipeline.orchestration.universe import UniverseParts

if TYPE_CHECKING:
    from dagster._core.definitions.metadata import RawMetadataValue

    from market_data_pipeline.charts.overview import Block
    from market_data_pipeline.domain.coverage import Coverage

KEY = dg.AssetKey("overview")
SENSOR = "overview"
_TICK_S = 60
# While runs load, each tick finds other numbers, and each telling keeps a picture.
_WHILE_RUNS_WORK_S = 600
_SESSIONS_DRAWN = 60


def overview_asset(parts: Sequence[UniverseParts], places: Places) -> dg.AssetsDefinition:
    """Make the asset `overview`: what the sensor of this name tells, also by a click."""
    upstream = [*(one.availability for one in parts), FROM_SPEC]

    @dg.asset(
        key=KEY,
        deps=[dg.AssetDep(key, partition_mapping=dg.AllPartitionMapping()) for key in upstream],
        group_name="overview",
        kinds={"sql"},
        owners=["team:market-data"],
        description=(
            "The first look of the day, over all universes: is everything there, what is missing and why, what is being done about it, what failed, "
            "how did the backtests do. The sensor `overview` tells it anew when something has changed."
        ),
    )
    def overview(context: dg.AssetExecutionContext, catalog: CatalogResource) -> dg.MaterializeResult[None]:
        with one_clear_message():
            store, now_ns = catalog.open(), time.time_ns()
            found = look(context.instance, store, parts, places, now_ns)
            context.log.info(found.headline)
            return dg.MaterializeResult(metadata=metadata_of(store, found))

    return overview


@dataclass(frozen=True)
class Told:
    """What was told last.

    Attributes:
        digest: Of its facts.
        at_s: When, seconds since 1970.
    """

    digest: str = ""
    at_s: float = 0.0

    @classmethod
    def parse(cls, cursor: str | None) -> "Told":
        """Read a cursor; one that cannot be read is that of a first tick."""
        try:
            content = json.loads(cursor or "{}")
            return cls(str(content.get("digest", "")), float(content.get("at", 0)))
        except (ValueError, TypeError, AttributeError):
            return cls()

    def to_cursor(self) -> str:
        """Return the cursor."""
        return json.dumps({"digest": self.digest, "at": self.at_s})


def overview_sensor(parts: Sequence[UniverseParts], places: Places, clock: Callable[[], int] = time.time_ns) -> dg.SensorDefinition:
    """Make the sensor that tells the overview anew.

    Args:
        parts: The universes.
        places: Where catalog and backtest specs are.
        clock: Returns now in nanoseconds since 1970 UTC.
    """

    @dg.sensor(
        name=SENSOR,
        minimum_interval_seconds=_TICK_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Tells the asset `overview` anew when bars, gaps, runs, switches or backtests have changed; while runs work, every ten minutes. "
            "Reads the ledger and Dagster's own records; launches nothing and asks no broker."
        ),
    )
    def overview(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        told, now_ns = Told.parse(context.cursor), clock()
        catalog = Catalog.open(places.catalog)
        try:
            found = look(context.instance, catalog, parts, places, now_ns)
        except MarketDataError as error:
            return dg.SensorResult(skip_reason=f"The catalog cannot be read: {error}", cursor=told.to_cursor())
        now_s, digest = now_ns / NANOSECONDS, digest_of(found)
        is_shown = context.instance.get_latest_materialization_event(KEY) is not None
        if is_shown and (digest == told.digest or (found.under_way and now_s - told.at_s < _WHILE_RUNS_WORK_S)):
            before = "Nothing has changed." if digest == told.digest else "Told again when the runs have ended, or ten minutes after the last time."
            return dg.SensorResult(skip_reason=f"{before} {found.headline}", cursor=told.to_cursor())
        report(context.instance, [dg.AssetMaterialization(asset_key=KEY, metadata=metadata_of(catalog, found))])
        return dg.SensorResult(skip_reason=f"Told. {found.headline}", cursor=Told(digest, now_s).to_cursor())

    return overview


def digest_of(found: Overview) -> str:
    """Return 16 hex digits that differ when something is to be told; what each tick of a sensor says is no news."""
    facts = (
        found.headline,
        found.series,
        [(gap.series, gap.gap, gap.why) for gap in found.gaps],
        [(run.run_id, run.state) for run in (*found.under_way, *found.failed)],
        [(switch.name, switch.is_on) for switch in found.switches],
        found.backtests,
    )
    return hashlib.blake2b(repr(facts).encode(), digest_size=8).hexdigest()


def metadata_of(catalog: Catalog, found: Overview) -> "dict[str, RawMetadataValue]":
    """Return what the page shows, in the order in which a person asks."""
    stored = [one for one in found.series if one.is_stored]
    return {
        "summary": found.headline,
        "newest_sessions": png(_picture(catalog, found), "coverage of the newest sessions of each series"),
        "gaps": _table(
            ("series", "first", "last", "sessions", "why", "done_about_it", "mdp"),
            (
                {
                    "series": row.series,
                    "first": str(row.gap.first),
                    "last": str(row.gap.last),
                    "sessions": row.gap.sessions,
                    "why": row.why,
                    "done_about_it": row.done_about_it,
                    "mdp": row.command,
                }
                for row in found.gaps
            ),
        ),
        "runs_under_way": _runs(found.under_way, "state"),
        "failed_in_24_hours": _runs(found.failed, "said"),
        "backtests": _table(("name", "state", "did", "made"), (vars(row) for row in found.backtests)),
        "universes": _table(("universe", "series", "complete_series", "newest", "sessions", "missing_or_partial"), _universes(found.series)),
        "automation": _table(("name", "on", "last_tick", "said"), ({**vars(one), "on": "on" if one.is_on else "off"} for one in found.switches)),
        "sessions_missing_or_partial": sum(one.missing for one in stored),
        "series_complete": sum(not one.gaps for one in stored),
        "series_stored": len(stored),
    }


def _table(columns: Sequence[str], rows: "Iterator[Mapping[str, object]]") -> dg.TableMetadataValue:
    records = [dg.TableRecord({name: value if isinstance(value := row[name], int) else str(value) for name in columns}) for row in rows]
    whole = {name for name in columns if records and all(isinstance(record.data[name], int) for record in records)}
    return dg.MetadataValue.table(records, schema=dg.TableSchema([dg.TableColumn(name, "int" if name in whole else "string") for name in columns]))


def _runs(rows: Sequence[RunRow], last: str) -> dg.TableMetadataValue:
    return _table(("run", "job", "about", last), ({**vars(row), "run": row.run_id[:8]} for row in rows))


def _universes(series: Sequence[SeriesState]) -> Iterator[Mapping[str, object]]:
    for name in dict.fromkeys(one.universe for one in series):
        of_it = [one for one in series if one.universe == name]
        yield {
            "universe": name,
            "series": len(of_it),
            "complete_series": sum(one.is_stored and not one.gaps for one in of_it),
            "newest": str(max((one.newest for one in of_it if one.newest is not None), default="none yet")),
            "sessions": sum(one.wanted for one in of_it),
            "missing_or_partial": sum(one.missing for one in of_it),
        }


def _picture(catalog: Catalog, found: Overview) -> bytes:
    from market_data_pipeline.charts.overview import overview_png

    blocks = [
        _block(catalog, name, [one for one in found.series if one.universe == name]) for name in dict.fromkeys(one.universe for one in found.series)
    ]
    stored = sum(one.is_stored for one in found.series)
    missing = sum(one.missing for one in found.series if one.is_stored)
    new = f"; nothing is stored yet of {len(found.series) - stored}" if stored < len(found.series) else ""
    return overview_png("The newest sessions of each series", f"{stored} series stored, {missing} of their sessions missing or partial{new}", blocks)


def _block(catalog: Catalog, name: str, series: Sequence[SeriesState]) -> "Block":
    from market_data_pipeline.charts.overview import ROWS_A_UNIVERSE, Block

    worst = sorted(series, key=lambda one: -one.missing)  # stable: as in the watchlist where equal
    rows = [(f"{one.series.instrument_id} {one.series.spec}", _newest(catalog, one)) for one in worst[:ROWS_A_UNIVERSE] if one.newest is not None]
    return Block(name, rows, max(len(series) - ROWS_A_UNIVERSE, 0))


def _newest(catalog: Catalog, one: SeriesState) -> "Mapping[dt.date, Coverage]":
    from market_data_pipeline.calendars import partitions_of

    assert one.newest is not None
    partitions = partitions_of(one.series)
    last = partitions.index_of(one.newest)
    assert last is not None  # the calendar named it
    first = max(last - min(_SESSIONS_DRAWN, one.wanted) + 1, 0)
    return catalog.coverage(one.series, date_of(partitions.days[first]), one.newest)
