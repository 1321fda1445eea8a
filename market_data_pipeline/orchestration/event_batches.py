"""Many of Dagster's events in one statement, for each of its SQL storages.

Dagster has the seam (`EventLogStorage.store_event_batch`, used by its hosted storage) and its SQL storages hardly take it up.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import sqlalchemy as sa
from dagster._core.events import DagsterEventType
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.event_log import SqlEventLogStorageTable

_BATCH_SIZE = "DAGSTER_EVENT_BATCH_SIZE"
_EVENTS_AT_ONCE = "100"
# What a partition of an asset costs. Others of a batch (planned checks) are few, and have tables of their own.
_OF_PARTITIONS = {
    DagsterEventType.ASSET_MATERIALIZATION,
    DagsterEventType.ASSET_MATERIALIZATION_PLANNED,
    DagsterEventType.ASSET_OBSERVATION,
}


def batch_events() -> None:
    """Make Dagster hand over events in batches: it does where this is set, in every process that logs events; each loads its storage first."""
    os.environ.setdefault(_BATCH_SIZE, _EVENTS_AT_ONCE)


def in_groups(events: Sequence[EventLogEntry]) -> Iterator[tuple[bool, list[EventLogEntry]]]:
    """Yield events in their order, in groups: True with those of assets' partitions, which `insert` takes, False with others."""
    for together, group in groupby(events, key=lambda event: event.dagster_event_type in _OF_PARTITIONS):
        yield together, list(group)


def insert(connection: sa.Connection, rows: Sequence[Mapping[str, Any]]) -> list[int]:
    """Insert rows into the event table with one statement; return their ids, in their order."""
    events = SqlEventLogStorageTable
    statement = events.insert().returning(events.c.id, sort_by_parameter_order=True)
    return [int(number) for number in connection.execute(statement, [dict(row) for row in rows]).scalars()]


def newest(events: Sequence[EventLogEntry], ids: Sequence[int]) -> Iterator[tuple[EventLogEntry, int]]:
    """Yield the newest event of each kind and asset, by asset, oldest first: Dagster keeps no other beside the asset's key.

    By asset, so that two transactions lock these rows in one order.
    """
    last = {(str(event.get_dagster_event().asset_key), event.dagster_event_type): place for place, event in enumerate(events)}
    for _, place in sorted((asset, place) for (asset, _), place in last.items()):
        yield events[place], ids[place]
