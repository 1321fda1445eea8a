"""Dagster's PostgreSQL storage, writing many events of one run in one statement.

Dagster's own does so for materialisations, where `DAGSTER_EVENT_BATCH_SIZE` is set. The events that a run is planned with, one for each partition,
it writes one by one, in two connections and four statements each (`./dev bench scale`). Tables are Dagster's own: its `storage: postgres:` reads and
writes the same database.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import sqlalchemy as sa
from dagster._core.events import DagsterEventType
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.event_log import SqlEventLogStorageTable
from dagster._serdes import ConfigurableClassData
from dagster_postgres import DagsterPostgresStorage, PostgresEventLogStorage
from dagster_postgres.utils import get_token_provider_from_config, pg_url_from_config

from market_data_pipeline.orchestration.storage import batch_events

if TYPE_CHECKING:
    from dagster_postgres.auth import PgTokenProvider

_WRITTEN_AT_ONCE = {
    DagsterEventType.ASSET_MATERIALIZATION,
    DagsterEventType.ASSET_MATERIALIZATION_PLANNED,
    DagsterEventType.ASSET_OBSERVATION,
}


class BatchingPostgresEventLog(PostgresEventLogStorage):
    """Dagster's PostgreSQL event log with one transaction and one insert a batch."""

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store events in the order given: all of them or none."""
        if not {event.dagster_event_type for event in events} <= _WRITTEN_AT_ONCE:
            super().store_event_batch(events)
            return
        insert = self.prepare_insert_event_batch(events).returning(SqlEventLogStorageTable.c.id)
        with self.index_transaction() as connection:
            ids = [int(row[0]) for row in connection.execute(insert)]
            self._store_asset_event_tags(connection, events, ids)
            # Beside the asset's key Dagster keeps only its newest event.
            newest = {event.get_dagster_event().asset_key: (event, number) for event, number in zip(events, ids, strict=True)}
            for event, number in newest.values():
                self._store_asset_event(connection, event, number)


class BatchingPostgresStorage(DagsterPostgresStorage):
    """What dagster.yaml names: runs and schedules as Dagster keeps them, events in batches.

    Args:
        postgres_url: `postgresql://user:password@host/database`.
        should_autocreate_tables: Make Dagster's tables where they are not there.
        inst_data: What dagster.yaml said, without the values of environment variables.
        token_provider: Dagster's own, for databases that take tokens in place of passwords.
    """

    def __init__(
        self,
        postgres_url: str,
        should_autocreate_tables: bool = True,
        inst_data: ConfigurableClassData | None = None,
        token_provider: "PgTokenProvider | None" = None,
    ) -> None:
        url = _through_psycopg2(postgres_url)
        super().__init__(url, should_autocreate_tables, inst_data, token_provider)
        self._event_log_storage = BatchingPostgresEventLog(url, should_autocreate_tables, token_provider=token_provider)
        batch_events()

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]) -> Self:
        """Build from the `config` of dagster.yaml, which has the keys of Dagster's own `storage: postgres:`."""
        tokens = get_token_provider_from_config(config_value)
        return cls(pg_url_from_config(config_value), config_value.get("should_autocreate_tables", True), inst_data, tokens)


def _through_psycopg2(url: str) -> str:
    """Name the driver that Dagster's code is written for: SQLAlchemy 2.1 takes psycopg 3 where a URL names none."""
    parsed = sa.make_url(url)
    return (parsed.set(drivername="postgresql+psycopg2") if parsed.drivername == "postgresql" else parsed).render_as_string(hide_password=False)
