"""Reconcile: what was stored, adopted, quarantined or removed outside Dagster becomes visible, or goes, within a tick.

The catalog's files are the truth, and Dagster's own events say what the page shows; the sensor's cursor only saves work. So a tick that is lost, is
made twice or never ended leaves nothing wrong behind: the next one compares again.
"""

# No `from __future__ import annotations`: Dagster reads the annotations of sensors as they are.

import datetime as dt
import json
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import dagster as dg
from dagster._core.events import DagsterEvent, DagsterEventBatchMetadata, DagsterEventType, StepMaterializationData
from dagster._core.instance.utils import RUNLESS_JOB_NAME, RUNLESS_RUN_ID
from dagster._core.storage.partition_status_cache import get_and_update_asset_status_cache_value

from market_data_pipeline.catalog import Catalog, SessionRow
from market_data_pipeline.domain.bar_types import DAY_NS, Series
from market_data_pipeline.domain.sessions import date_of
from market_data_pipeline.orchestration.automation.current_watchlist import current_watchlist
from market_data_pipeline.orchestration.automation.places import Places
from market_data_pipeline.orchestration.automation.wiping import in_chunks, wipe_partitions
from market_data_pipeline.orchestration.bars import bars_key, session_materialization
from market_data_pipeline.orchestration.universe import UniverseParts
from market_data_pipeline.watchlist import Universe, Watchlist

if TYPE_CHECKING:
    from dagster._core.event_api import EventLogRecord

SENSOR = "catalog_reconcile"
_SECONDS_BETWEEN_TICKS = 30
# A run tells of a session within a second or so of storing it; what it has not told by then, nobody will.
_RUN_TELLS_WITHIN_NS = 30 * 1_000_000_000
_UNDER_WAY = [
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


@dataclass(frozen=True)
class Known:
    """How far Dagster is known to show a series.

    Attributes:
        folder_mtime_ns: Change time of the series' folder when it was compared; -1 where it has to be looked at again in any case.
        stored_until_ns: Sessions stored up to then were compared.
    """

    folder_mtime_ns: int = -1
    stored_until_ns: int = 0


@dataclass(frozen=True)
class SeriesOfAsset:
    """A series as the page has it.

    Attributes:
        key: Its asset.
        series: The series.
        sessions: The dates that are partitions of the asset, oldest first.
    """

    key: dg.AssetKey
    series: Series
    sessions: tuple[dt.date, ...]

    @property
    def name(self) -> str:
        """How the cursor calls it."""
        return f"{self.key.to_user_string()}|{self.series.instrument_id}"

    def partition(self, session: dt.date) -> str:
        """Return the partition of a session."""
        return f"{session}|{self.series.instrument_id}"


@dataclass(frozen=True)
class Limits:
    """How much one tick may do.

    Attributes:
        events: Materialisations and wiped partitions.
        seconds: Time.
    """

    events: int = 10_000
    seconds: float = 15.0


@dataclass
class Reconciled:
    """What a tick did.

    Attributes:
        known: How far each series is compared, by name.
        told: Sessions told of, by asset.
        wiped: Partitions wiped, by asset.
        waiting: Series that were left for the next tick.
    """

    known: dict[str, Known]
    told: dict[str, int] = field(default_factory=dict)
    wiped: dict[str, int] = field(default_factory=dict)
    waiting: int = 0

    @property
    def events(self) -> int:
        """How many events it cost."""
        return sum(self.told.values()) + sum(self.wiped.values())

    def __str__(self) -> str:
        parts = [f"{_count(number, 'session')} of {name} stored outside Dagster, shown now" for name, number in self.told.items()]
        parts += [f"{_count(number, 'partition')} of {name} not in the catalog any more, wiped" for name, number in self.wiped.items()]
        if self.waiting:
            parts.append(f"{self.waiting:,} series left for the next tick")
        return "; ".join(parts) + "." if parts else "The page shows what the catalog holds."


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def reconcile_sensor(
    watchlist: Watchlist, parts: Sequence[UniverseParts], places: Places, *, limits: Limits = Limits(), clock: Callable[[], int] = time.time_ns
) -> dg.SensorDefinition:
    """Make the sensor that keeps page and catalog in agreement.

    Args:
        watchlist: As it was loaded.
        parts: The universes whose assets exist.
        places: Where catalog and watchlist are.
        limits: How much one tick may do.
        clock: Returns now in nanoseconds since 1970 UTC.
    """
    specs = {one.partitions.name: one.partitions.universe.bars for one in parts}
    definitions = {bars_key(one.partitions.name, spec): one.partitions.bars(spec) for one in parts for spec in one.partitions.universe.bars}

    @dg.sensor(
        name=SENSOR,
        minimum_interval_seconds=_SECONDS_BETWEEN_TICKS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Shows what was stored, adopted, quarantined or removed outside Dagster, by `mdp` or by hand: new sessions become materialisations, "
            "sessions that are gone have their partitions wiped. Reads the catalog and writes events; launches nothing."
        ),
    )
    def catalog_reconcile(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        current = current_watchlist(watchlist, places.watchlist)
        wanted = list(series_of_assets(current.watchlist.universes, specs, clock()))
        keys = {one.key for one in wanted}
        catalog = Catalog.open(places.catalog)
        if not catalog.layout.bars.is_dir():
            return dg.SensorResult(
                skip_reason=f"Nothing is stored at {places.catalog}. What the page shows stays: the folder may be on a disk that is not mounted."
            )
        done = reconcile(context.instance, catalog, wanted, read_cursor(context.cursor, histories(context.instance, keys)), limits, clock)
        if not done.waiting:
            for key, definition in definitions.items():
                if key.to_user_string() in {*done.told, *done.wiped}:
                    # Else the page counts all partitions when somebody opens it: 250,000 take it many seconds, and a few more take it none.
                    get_and_update_asset_status_cache_value(context.instance, key, definition, context.instance)
        mistake = f" The watchlist was not read: {current.mistake}" if current.mistake else ""
        return dg.SensorResult(skip_reason=f"{done}{mistake}", cursor=write_cursor(done.known, histories(context.instance, keys)))

    return catalog_reconcile


def series_of_assets(universes: Mapping[str, Universe], specs: Mapping[str, Sequence[str]], now_ns: int) -> Iterator[SeriesOfAsset]:
    """Yield each series of the universes that has an asset, with the sessions that are its partitions."""
    for name, universe in universes.items():
        for spec in universe.bars:
            if spec not in specs.get(name, ()):
                continue
            # The session that still trades may be stored in part, and has a partition too.
            today = date_of(now_ns // DAY_NS)
            sessions = tuple(universe.partitions(spec).dates_between(universe.start, min(today, universe.end or today)))
            for series in universe.series(spec):
                yield SeriesOfAsset(bars_key(name, spec), series, sessions)


def reconcile(
    instance: dg.DagsterInstance,
    catalog: Catalog,
    wanted: Iterable[SeriesOfAsset],
    known: Mapping[str, Known],
    limits: Limits = Limits(),
    clock: Callable[[], int] = time.time_ns,
) -> Reconciled:
    """Make what Dagster shows of series agree with the catalog, as far as one tick may go.

    Args:
        instance: Where the page reads.
        catalog: What is stored.
        wanted: Series that have assets.
        known: How far each was compared before, by name.
        limits: How much may be done; what is left is left to the next tick.
        clock: Returns now in nanoseconds since 1970 UTC.
    """
    done, until = Reconciled({}), time.monotonic() + limits.seconds
    for one in wanted:
        before = known.get(one.name, Known())
        if before.folder_mtime_ns == catalog.layout.folder_mtime_ns(one.series):
            done.known[one.name] = before
        elif done.events >= limits.events or time.monotonic() > until:
            done.known[one.name] = before
            done.waiting += 1
        else:
            after = _compare(instance, catalog, one, before, limits.events - done.events, clock, done)
            done.known[one.name] = after
            done.waiting += after.folder_mtime_ns < 0
    return done


def _compare(
    instance: dg.DagsterInstance,
    catalog: Catalog,
    one: SeriesOfAsset,
    before: Known,
    room: int,
    clock: Callable[[], int],
    done: Reconciled,
) -> Known:
    """Tell of sessions that Dagster does not show as they are, wipe those that are gone, and return how far that came."""
    # In this order: what is shown was stored before it was read here, so what the catalog lacks a moment later has gone.
    shown = set(_latest_events(instance, one, one.sessions))
    mtime = catalog.layout.folder_mtime_ns(one.series)
    sessions = set(one.sessions)
    rows = [row for row in catalog.sessions(one.series) if row.session in sessions]
    kept = catalog.ledger.find(one.series)
    settled = kept is None or kept.folder_mtime_ns == mtime
    if settled and (gone := sorted(shown - {one.partition(row.session) for row in rows})):
        wipe_partitions(instance, one.key, gone)
        done.wiped[one.key.to_user_string()] = done.wiped.get(one.key.to_user_string(), 0) + len(gone)
    new = sorted(
        (row for row in rows if row.stored_at_ns > before.stored_until_ns or one.partition(row.session) not in shown),
        key=lambda row: row.stored_at_ns,
    )
    ripe = _told_by_nobody(instance, new, clock())
    told, taken = _tell(instance, one, ripe, room)
    if told:
        done.told[one.key.to_user_string()] = done.told.get(one.key.to_user_string(), 0) + told
    finished = taken == len(new)
    # One nanosecond less: of several sessions with one time some may be left.
    reached = max([before.stored_until_ns, *(row.stored_at_ns - (not finished) for row in new[:taken])])
    return Known(mtime if finished and settled else -1, reached)


def _told_by_nobody(instance: dg.DagsterInstance, rows: Sequence[SessionRow], now_ns: int) -> Sequence[SessionRow]:
    """Return the first of `rows` (by time of storing) that no run can be about to tell of."""
    fresh = next((i for i, row in enumerate(rows) if row.stored_at_ns > now_ns - _RUN_TELLS_WITHIN_NS), len(rows))
    if fresh < len(rows) and instance.get_runs_count(dg.RunsFilter(statuses=_UNDER_WAY)):
        return rows[:fresh]
    return rows


def _tell(instance: dg.DagsterInstance, one: SeriesOfAsset, rows: Sequence[SessionRow], room: int) -> tuple[int, int]:
    """Report sessions that Dagster shows otherwise or not at all; return how many were reported and how many were looked at."""
    told = taken = 0
    for chunk in [rows[start : start + 500] for start in range(0, len(rows), 500)]:
        shown = _contents_shown(instance, one, [row.session for row in chunk])
        different = [row for row in chunk if shown.get(one.partition(row.session)) != (row.fingerprint, str(row.coverage))]
        fitting = different[: room - told]
        report(instance, [session_materialization(one.key, one.series, row, {"outcome": "found in the catalog"}) for row in fitting])
        told += len(fitting)
        if len(fitting) < len(different):
            return told, taken + chunk.index(different[len(fitting)])
        taken += len(chunk)
    return told, taken


def _latest_events(instance: dg.DagsterInstance, one: SeriesOfAsset, sessions: Sequence[dt.date]) -> dict[str, int]:
    """Return the storage id of the newest materialisation of each partition that has one."""
    found: dict[str, int] = {}
    for keys in in_chunks([one.partition(session) for session in sessions]):
        found |= instance.get_latest_storage_id_by_partition(one.key, DagsterEventType.ASSET_MATERIALIZATION, set(keys))
    return found


def _contents_shown(instance: dg.DagsterInstance, one: SeriesOfAsset, sessions: Sequence[dt.date]) -> dict[str, tuple[str, str]]:
    """Return fingerprint and coverage that Dagster shows, by partition."""
    ids = list(_latest_events(instance, one, sessions).values())
    if not ids:
        return {}
    records = instance.fetch_materializations(dg.AssetRecordsFilter(asset_key=one.key, storage_ids=ids), limit=len(ids)).records
    return {str(record.partition_key): _content(record) for record in records}


def _content(record: "EventLogRecord") -> tuple[str, str]:
    materialization = record.asset_materialization
    metadata = materialization.metadata if materialization is not None else {}
    return tuple(str(metadata[name].value) if name in metadata else "" for name in ("fingerprint", "coverage"))  # type: ignore[return-value]


def report(instance: dg.DagsterInstance, materializations: Sequence[dg.AssetMaterialization]) -> None:
    """Report materialisations that belong to no run, in one transaction where the storage knows batches.

    `report_runless_asset_event` writes each by itself.
    """
    batch = str(uuid.uuid4())
    for left, materialization in zip(range(len(materializations) - 1, -1, -1), materializations, strict=True):
        event = DagsterEvent(
            event_type_value=DagsterEventType.ASSET_MATERIALIZATION.value,
            event_specific_data=StepMaterializationData(materialization),
            job_name=RUNLESS_JOB_NAME,
        )
        instance.report_dagster_event(event, run_id=RUNLESS_RUN_ID, batch_metadata=DagsterEventBatchMetadata(batch, left == 0))


def histories(instance: dg.DagsterInstance, keys: Iterable[dg.AssetKey]) -> dict[str, float]:
    """Return since when Dagster keeps each asset's history: when it was last wiped as a whole, or 0; assets without any are left out."""
    found = {}
    for record in instance.get_asset_records(list(keys)):
        details = record.asset_entry.asset_details
        found[record.asset_entry.asset_key.to_user_string()] = (details.last_wipe_timestamp if details is not None else None) or 0.0
    return found


def write_cursor(known: Mapping[str, Known], since: Mapping[str, float]) -> str:
    """Return what the next tick must know."""
    series = {name: [one.folder_mtime_ns, one.stored_until_ns] for name, one in known.items()}
    return json.dumps({"series": series, "since": dict(since)}, separators=(",", ":"))


def read_cursor(cursor: str | None, since: Mapping[str, float]) -> dict[str, Known]:
    """Return what the last tick knew; nothing of assets whose history somebody wiped in the page, and of a cursor that cannot be read."""
    try:
        content = json.loads(cursor or "{}")
        known = {str(name): Known(int(mtime), int(until)) for name, (mtime, until) in content.get("series", {}).items()}
        before = dict(content.get("since", {}))
    except (ValueError, TypeError, AttributeError):
        return {}
    return {name: one for name, one in known.items() if since.get(asset := name.partition("|")[0]) == before.get(asset)}
