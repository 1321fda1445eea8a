"""Dagster's runs and events in a real PostgreSQL, set up as docs/scaling.md says: the same events, and nothing half written."""

from __future__ import annotations

import traceback

import dagster as dg
import pytest
import sqlalchemy as sa
from dagster._core.events.log import EventLogEntry
from dagster_postgres import PostgresEventLogStorage
from dagster_postgres.utils import DagsterPostgresException

from market_data_pipeline.orchestration.postgres_storage import BatchingPostgresEventLog, BatchingPostgresStorage
from market_data_pipeline_tests.orchestration.conftest import Project
from market_data_pipeline_tests.orchestration.page import dagster_dev
from market_data_pipeline_tests.orchestration.test_storage import _BARS, _kept
from market_data_pipeline_tests.postgres import PostgresServer

SECRET = "not-to-be-told"


def test_batches_keep_the_events_that_dagster_keeps(postgres_project: Project) -> None:
    """January 2024 had 21 NYSE sessions: 21 planned and 21 made, whichever storage writes and reads them."""
    assert isinstance(postgres_project.instance.event_log_storage, BatchingPostgresEventLog)
    ours = _kept(postgres_project)
    kinds = [kind for kind, *_ in ours]
    assert kinds.count("ASSET_MATERIALIZATION") == kinds.count("ASSET_MATERIALIZATION_PLANNED") == 21
    (record,) = postgres_project.instance.get_asset_records([_BARS])
    assert record.asset_entry.last_materialization_record is not None
    assert record.asset_entry.last_materialization_record.partition_key == "2024-01-31|AAPL.NASDAQ"
    plain = PostgresEventLogStorage(postgres_project.instance.event_log_storage.postgres_url)
    assert len(plain.get_materialized_partitions(_BARS)) == 21
    (postgres_project.root / "plain").mkdir()
    with dg.DagsterInstance.local_temp(str(postgres_project.root / "plain"), overrides={"telemetry": {"enabled": False}}) as instance:
        on_sqlite = Project(postgres_project.root, instance)
        assert on_sqlite.run("watchlist_partitions").success
        assert sorted(map(str, ours)) == sorted(map(str, _kept(on_sqlite)))


def test_a_batch_that_fails_is_stored_event_by_event(
    postgres_project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The server goes away at the end of a batch, its rows written: Dagster falls back, and no event is there twice or not at all."""
    store, broken = BatchingPostgresEventLog._store_asset_event, 0

    def broken_in_a_batch(self: BatchingPostgresEventLog, connection: sa.Connection, event: EventLogEntry, number: int) -> None:
        nonlocal broken
        if self._batch.connection is not None:
            broken += 1
            connection.exec_driver_sql("SELECT pg_terminate_backend(pg_backend_pid())")
        store(self, connection, event, number)

    monkeypatch.setattr(BatchingPostgresEventLog, "_store_asset_event", broken_in_a_batch)
    kinds = [kind for kind, *_ in _kept(postgres_project)]
    assert broken >= 2
    assert "Exception while storing event batch" in capsys.readouterr().err
    assert kinds.count("ASSET_MATERIALIZATION") == kinds.count("ASSET_MATERIALIZATION_PLANNED") == 21


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_page_and_daemon_work_with_a_password_that_nobody_is_told(
    postgres_project: Project, postgres_server: PostgresServer, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The block of docs/scaling.md in a real `dagster dev`: a backfill through the daemon, and no password in a file, a log or on the page."""
    postgres_server.run(f"CREATE ROLE dagster LOGIN SUPERUSER PASSWORD '{SECRET}'")
    postgres_server.require_password("dagster")
    url = sa.make_url(postgres_url).set(drivername="postgresql", username="dagster", password=SECRET)
    monkeypatch.setenv("DAGSTER_POSTGRES_URL", url.render_as_string(hide_password=False))
    with dagster_dev(postgres_project.root / "home", postgres_project.settings) as page:
        runs = page.backfill("stocks/bars_5_minute_last", ["2024-01-02|AAPL.NASDAQ", "2024-01-03|AAPL.NASDAQ"], runs=1, timeout_s=120)
        assert [run["status"] for run in runs] == ["SUCCESS"]
        told = str(page.ask("{ instance { info } }"))
    assert postgres_project.instance.get_materialized_partitions(_BARS) == {"2024-01-02|AAPL.NASDAQ", "2024-01-03|AAPL.NASDAQ"}
    written = [path.read_bytes() for path in (postgres_project.root / "home").rglob("*") if path.is_file()]
    assert len(written) > 1  # dagster.yaml, logs of the processes, output of the run
    assert not [content for content in [told.encode(), *written] if SECRET.encode() in content]


def test_a_server_that_is_not_there_is_told_without_the_password(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr("dagster_postgres.utils.time.sleep", lambda _: None)
    with pytest.raises(DagsterPostgresException, match="too many retries") as refused:
        BatchingPostgresStorage(f"postgresql://me:{SECRET}@127.0.0.1:1/none")
    assert "Connection refused" in caplog.text
    assert SECRET not in caplog.text + "".join(traceback.format_exception(refused.value))
