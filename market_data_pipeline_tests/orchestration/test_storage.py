"""Events in batches: the same events as Dagster's own storage keeps, and nothing half written."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage

from market_data_pipeline.orchestration.storage import BatchingSqliteEventLog, BatchingSqliteStorage
from market_data_pipeline_tests.orchestration.conftest import Project

_KEYS = ("2024-01-02|AAPL.NASDAQ", "2024-01-31|AAPL.NASDAQ")
_BARS = dg.AssetKey(["stocks", "bars_5_minute_last"])


def _kept(project: Project) -> list[tuple[Any, ...]]:
    """Return what the log keeps of a run of January: kind, partition and tags of each event about the asset, in order."""
    run = project.run("stocks_bars", *_KEYS)
    assert run.success
    kept: list[tuple[Any, ...]] = []
    for entry in project.instance.all_logs(run.run_id):
        event = entry.dagster_event
        if event is not None and event.asset_key == _BARS:
            tags = event.step_materialization_data.materialization.tags if event.is_step_materialization else None
            kept.append((event.event_type_value, event.partition, tags))
    return kept


def test_batches_keep_the_events_that_dagster_keeps(project: Project, tmp_path: Path) -> None:
    """January 2024 had 21 NYSE sessions: 21 planned and 21 made, whichever storage writes them."""
    assert isinstance(project.instance.event_log_storage, BatchingSqliteEventLog)
    ours = _kept(project)
    (tmp_path / "plain").mkdir()
    with dg.DagsterInstance.local_temp(str(tmp_path / "plain"), overrides={"telemetry": {"enabled": False}}) as instance:
        assert type(instance.event_log_storage) is SqliteEventLogStorage
        plain = Project(project.root, instance)
        assert plain.run("watchlist_partitions").success
        theirs = _kept(plain)
        partitions = instance.get_materialized_partitions(_BARS)
    kinds = [kind for kind, *_ in ours]
    assert kinds.count("ASSET_MATERIALIZATION") == kinds.count("ASSET_MATERIALIZATION_PLANNED") == 21
    assert sorted(map(str, ours)) == sorted(map(str, theirs))
    assert project.instance.get_materialized_partitions(_BARS) == partitions
    assert len(partitions) == 21


def test_a_batch_that_fails_is_stored_event_by_event(project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A lock on the file at the end of a batch, its rows written: Dagster falls back, and no event is there twice or not at all."""
    store, broken = BatchingSqliteEventLog._store_asset_event, 0

    def broken_once_a_batch(self: BatchingSqliteEventLog, connection: sa.Connection, event: EventLogEntry, number: int) -> None:
        nonlocal broken
        if self._batch.connections:
            broken += 1
            raise sqlite3.OperationalError("database is locked")
        store(self, connection, event, number)

    monkeypatch.setattr(BatchingSqliteEventLog, "_store_asset_event", broken_once_a_batch)
    kinds = [kind for kind, *_ in _kept(project)]
    assert broken >= 2
    assert "database is locked" in capsys.readouterr().err
    assert kinds.count("ASSET_MATERIALIZATION") == kinds.count("ASSET_MATERIALIZATION_PLANNED") == 21


def test_another_thread_reads_while_a_batch_is_written(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The daemon's threads share one storage: a reader waits for the batch and never borrows its connection."""
    store = BatchingSqliteEventLog._insert_all
    seen: list[object] = []

    def read() -> None:
        try:
            seen.append(project.instance.get_latest_materialization_event(_BARS))
        except Exception as error:  # noqa: BLE001 - whatever a thread raises is what the test is about
            seen.append(error)

    readers: list[threading.Thread] = []

    def with_reader(self: BatchingSqliteEventLog, events: Sequence[EventLogEntry]) -> None:
        for _ in range(3 - len(readers)):
            readers.append(threading.Thread(target=read))
            readers[-1].start()
        store(self, events)

    monkeypatch.setattr(BatchingSqliteEventLog, "_insert_all", with_reader)
    assert project.run("stocks_bars", *_KEYS).success
    for reader in readers:
        reader.join(30)
    assert len(seen) == 3
    assert not [answer for answer in seen if isinstance(answer, Exception)]


def test_a_home_written_in_batches_is_read_by_dagsters_own_storage(project: Project) -> None:
    assert project.run("stocks_bars", *_KEYS).success
    home = project.root / "home"
    own = BatchingSqliteStorage.from_local(str(home))
    assert own.event_log_storage.get_materialized_partitions(_BARS) == project.instance.get_materialized_partitions(_BARS)
    plain = SqliteEventLogStorage(str(home / "history" / "runs"))
    assert len(plain.get_materialized_partitions(_BARS)) == 21


def test_a_home_that_was_wiped_takes_events_again(project: Project) -> None:
    assert project.run("stocks_bars", *_KEYS).success
    project.instance.event_log_storage.wipe()
    assert project.instance.get_materialized_partitions(_BARS) == set()
    assert project.run("watchlist_partitions").success  # dynamic partitions are in the same file
    assert project.run("stocks_bars", *_KEYS).success
    assert len(project.instance.get_materialized_partitions(_BARS)) == 21


def test_a_process_that_lives_for_months_keeps_few_files_in_mind(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("market_data_pipeline.orchestration.storage._ENGINES_KEPT", 3)
    runs = [project.run("watchlist_partitions") for _ in range(6)]
    storage = project.instance.event_log_storage
    assert isinstance(storage, BatchingSqliteEventLog)
    assert len(storage._engines) == 3
    assert all(project.instance.all_logs(run.run_id) for run in runs)
