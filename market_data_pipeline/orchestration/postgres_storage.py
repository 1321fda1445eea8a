"""Dagster's PostgreSQL storage, writing many events of one run in one statement.

Dagster's own does so for materialisations, where `DAGSTER_EVENT_BATCH_SIZE` is set. The events that a run is planned with, one for each partition,
it writes one by one, in two connections and four statements each (`./dev bench scale`). Tables are Dagster's own: its `storage: postgres:` reads and
writes the same database.
"""

import threading
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Self

import sqlalchemy as sa
from dagster._core.events.log import EventLogEntry
from dagster._serdes import ConfigurableClassData
from dagster_postgres import DagsterPostgresStorage, PostgresEventLogStorage
from dagster_postgres.utils import get_token_provider_from_config, pg_url_from_config

from market_data_pipeline.orchestration.event_batches import batch_events, in_groups, insert, newest

if TYPE_CHECKING:
    from dagster_postgres.auth import PgTokenProvider


class _Batch(threading.local):
    """The connection that the batch of this thread writes to; None outside a batch."""

    def __init__(self) -> None:
        self.connection: sa.Connection | None = None


class BatchingPostgresEventLog(PostgresEventLogStorage):
    """Dagster's PostgreSQL event log with one transaction a batch, and one insert for the events of its partitions."""

    def __init__(
        self,
        postgres_url: str,
        should_autocreate_tables: bool = True,
        inst_data: ConfigurableClassData | None = None,
        token_provider: "PgTokenProvider | None" = None,
    ) -> None:
        self._batch = _Batch()
        super().__init__(postgres_url, should_autocreate_tables, inst_data, token_provider)

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store events in the order given: all of them or none."""
        with self.index_transaction() as connection:
            self._batch.connection = connection
            try:
                for together, group in in_groups(events):
                    if together:
                        self._insert_all(connection, group)
                    else:
                        for event in group:
                            self.store_event(event)
            finally:
                self._batch.connection = None

    def _insert_all(self, connection: sa.Connection, events: Sequence[EventLogEntry]) -> None:
        """Do for many events what Dagster's `store_event` does for one."""
        ids = insert(connection, [self._event_to_row(event) for event in events])
        self._store_asset_event_tags(connection, events, ids)
        for event, number in newest(events, ids):
            self._store_asset_event(connection, event, number)

    def _connect(self) -> AbstractContextManager[sa.Connection]:
        inside = self._batch.connection
        return super()._connect() if inside is None else nullcontext(inside)


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
