"""Partitions that the catalog does not hold any more leave the page.

Dagster has the call (`DagsterInstance.wipe_asset_partitions`), and its SQL storages answer it with NotImplementedError. What an asset shows is
read from its rows of the event table, so these rows are loosed from the asset: the log of the run that made them stays whole.
"""

# No `from __future__ import annotations`: kept the same in all modules that touch Dagster's decorated functions.

from collections.abc import Iterator, Sequence

import dagster as dg
import sqlalchemy as sa
from dagster._core.events import AssetWipedData, DagsterEvent, DagsterEventType
from dagster._core.instance.utils import RUNLESS_JOB_NAME, RUNLESS_RUN_ID
from dagster._core.storage.event_log.schema import AssetEventTagsTable, AssetKeyTable, SqlEventLogStorageTable
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage

# What makes a partition green, yellow or red on the page.
_SHOWING = [
    DagsterEventType.ASSET_MATERIALIZATION.value,
    DagsterEventType.ASSET_MATERIALIZATION_PLANNED.value,
    DagsterEventType.ASSET_OBSERVATION.value,
]
_KEYS_AT_ONCE = 500


def wipe_partitions(instance: dg.DagsterInstance, key: dg.AssetKey, partitions: Sequence[str]) -> None:
    """Make partitions of an asset look as if they had never been materialised, and note it in the asset's history.

    Raises:
        NotImplementedError: If the instance keeps its events in something that is no SQL database and knows no such call itself.
    """
    storage = instance.event_log_storage
    if not isinstance(storage, SqlEventLogStorage):
        instance.wipe_asset_partitions(key, partitions)
        return
    loose_partitions(storage, key, partitions)
    data = AssetWipedData(asset_key=key, partition_keys=list(partitions))
    event = DagsterEvent(event_type_value=DagsterEventType.ASSET_WIPED.value, event_specific_data=data, job_name=RUNLESS_JOB_NAME)
    instance.report_dagster_event(event, run_id=RUNLESS_RUN_ID)


def loose_partitions(storage: SqlEventLogStorage, key: dg.AssetKey, partitions: Sequence[str]) -> None:
    """Take the events of partitions from an asset. Works on every SQL storage of Dagster."""
    events, name = SqlEventLogStorageTable, key.to_string()
    for keys in in_chunks(partitions):
        theirs = sa.and_(events.c.asset_key == name, events.c.partition.in_(keys), events.c.dagster_event_type.in_(_SHOWING))
        with storage.index_transaction() as connection:
            connection.execute(AssetEventTagsTable.delete().where(AssetEventTagsTable.c.event_id.in_(sa.select(events.c.id).where(theirs))))
            connection.execute(events.update().where(theirs).values(asset_key=None, partition=None))
            # Without the newest event kept beside the key, Dagster looks for the newest that is left; without the cache, it counts anew.
            forget = AssetKeyTable.update().where(AssetKeyTable.c.asset_key == name)
            connection.execute(forget.values(last_materialization=None, cached_status_data=None))


def in_chunks(keys: Sequence[str], size: int = _KEYS_AT_ONCE) -> Iterator[Sequence[str]]:
    """Yield keys in pieces that a query takes."""
    for start in range(0, len(keys), size):
        yield keys[start : start + size]
