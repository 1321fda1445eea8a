"""Dagster's SQLite storage, writing many events of one run in one transaction.

Dagster's own makes a database engine, a connection and an fsync for each statement of each event: a year of sessions is 504 events, and took
longer to log than to read, check and store (`./dev bench h`). Files and tables are Dagster's own: taking this class out of dagster.yaml leaves a
home that works as before.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self

import sqlalchemy as sa
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME, SqliteEventLogStorage
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._serdes import ConfigurableClassData

from market_data_pipeline.orchestration.event_batches import batch_events, in_groups, insert, newest

_BUSY_TIMEOUT_S = 60
_ENGINES_KEPT = 32


class _Batch(threading.local):
    """Connections by shard that the batch of this thread writes to; none outside a batch."""

    def __init__(self) -> None:
        self.connections: dict[str, sa.Connection] = {}


class BatchingSqliteEventLog(SqliteEventLogStorage):
    """Dagster's SQLite event log with one engine a file, and one transaction a batch."""

    def __init__(self, base_dir: str) -> None:
        self._engines: OrderedDict[str, sa.Engine] = OrderedDict()
        self._batch = _Batch()
        self._tables: set[str] = set()
        super().__init__(base_dir)

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store events in the order given: all of them, or none in a file whose transaction fails."""
        with self._db_lock, ExitStack() as connections:
            # Registered first, so forgotten last: after the transactions have ended.
            connections.callback(self._batch.connections.clear)
            for shard in dict.fromkeys([*(event.run_id for event in events), INDEX_SHARD_NAME]):
                connection = connections.enter_context(self._engine(shard).connect())
                connections.enter_context(connection.begin())
                self._batch.connections[shard] = connection
            for together, group in in_groups(events):
                if together:
                    self._insert_all(group)
                else:
                    for event in group:
                        self.store_event(event)

    def _insert_all(self, events: Sequence[EventLogEntry]) -> None:
        """Do for many events what Dagster's `store_event` does for one: a row in the file of the run, and one in the index."""
        rows = [self._event_to_row(event) for event in events]
        for run in dict.fromkeys(event.run_id for event in events):
            insert(self._batch.connections[run], [row for row in rows if row["run_id"] == run])
        index = self._batch.connections[INDEX_SHARD_NAME]
        ids = insert(index, rows)
        self._store_asset_event_tags(index, events, ids)
        for event, number in newest(events, ids):
            self._store_asset_event(index, event, number)

    def has_table(self, table_name: str) -> bool:
        """Return whether the index has a table; a table that was there is not looked for again."""
        if table_name not in self._tables and super().has_table(table_name):
            self._tables.add(table_name)
        return table_name in self._tables

    def wipe(self) -> None:
        """Delete all events, and what is known of the files that are gone with them."""
        super().wipe()
        self._forget()

    def upgrade(self) -> None:
        """Bring all files to the newest schema."""
        super().upgrade()
        self._forget()

    def _forget(self) -> None:
        self._engines.clear()
        self._tables.clear()

    @contextmanager
    def _connect(self, shard: str) -> Iterator[sa.Connection]:
        if shard in self._batch.connections:  # this thread is inside `store_event_batch` and holds the lock
            yield self._batch.connections[shard]
            return
        with self._db_lock, self._engine(shard).connect() as connection, connection.begin():
            yield connection

    def _engine(self, shard: str) -> sa.Engine:
        if shard in self._engines:
            self._engines.move_to_end(shard)
        else:
            settings = {"timeout": _BUSY_TIMEOUT_S}
            engine = sa.create_engine(self.conn_string_for_shard(shard), poolclass=sa.pool.NullPool, connect_args=settings)
            sa.event.listen(engine, "connect", _commit_without_waiting_for_the_disk)
            self._initdb(engine)
            self._engines[shard] = engine
            # Every run has a file of its own, and a daemon lives for months.
            if len(self._engines) > _ENGINES_KEPT:
                self._engines.popitem(last=False)
        return self._engines[shard]


class BatchingSqliteStorage(DagsterSqliteStorage):
    """What dagster.yaml names: runs and schedules as Dagster keeps them, events in batches."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(base_dir, inst_data)
        self._event_log_storage = BatchingSqliteEventLog(str(Path(base_dir, "history", "runs")))
        batch_events()

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]) -> Self:
        """Build from the `config` of dagster.yaml."""
        return cls.from_local(inst_data=inst_data, **config_value)


def _commit_without_waiting_for_the_disk(connection: Any, _record: object) -> None:
    """In WAL mode a loss of power may take the last events then, and never breaks the file; bars themselves are always synced."""
    cursor = connection.cursor()
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.close()
