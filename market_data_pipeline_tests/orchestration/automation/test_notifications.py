"""Notices arrive in a file and at a real HTTP server on loopback."""

from __future__ import annotations

import datetime as dt
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.orchestration.automation import notifications
from market_data_pipeline.orchestration.automation.notifications import Channel, Notice, failure_sensor, gap_sensor, gaps_that_count, post
from market_data_pipeline.orchestration.automation.places import Places
from market_data_pipeline.orchestration.universe import universe_parts
from market_data_pipeline.watchlist import read_watchlist
from market_data_pipeline_tests.instants import ns
from market_data_pipeline_tests.orchestration.automation.situations import Situation, tries
from market_data_pipeline_tests.orchestration.automation.ticking import unreadable_ledger
from market_data_pipeline_tests.orchestration.conftest import Project, started

AAPL = Series.of("AAPL.NASDAQ", "5-MINUTE-LAST")
SECRET = "T0K3N-of-a-chat"


@dataclass
class Server:
    """What a webhook got, and how it answers."""

    url: str = ""
    got: list[dict[str, Any]] = field(default_factory=list)
    status: int = 200
    wait_s: float = 0.0


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            state.got.append({"path": self.path, "type": self.headers["Content-Type"], **json.loads(body)})
            time.sleep(state.wait_s)
            self.send_response(state.status)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as listening:
        state.url = f"http://127.0.0.1:{listening.server_port}/hook/{SECRET}?token={SECRET}"
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield state
        listening.shutdown()
        thread.join()


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def notice(key: str = "k") -> Notice:
    return Notice(key, "run_failed", f"Something: {key} – ü", {"run_id": "1"})


def test_a_notice_is_a_line_and_a_post(tmp_path: Path, server: Server) -> None:
    file = tmp_path / "data" / "notifications.jsonl"
    assert Channel(file, server.url).tell([notice()]) == []
    (line,) = lines(file)
    assert (line["kind"], line["text"], line["run_id"], line["webhook"]) == ("run_failed", "Something: k – ü", "1", "delivered")
    assert dt.datetime.fromisoformat(line["at"]).tzinfo is not None
    (got,) = server.got
    assert (got["path"], got["type"], got["text"]) == (f"/hook/{SECRET}?token={SECRET}", "application/json", line["text"])


def test_each_notice_is_told_once_though_a_process_died_in_between(tmp_path: Path, server: Server) -> None:
    file = tmp_path / "notifications.jsonl"
    Channel(file, server.url).tell([notice("a")])
    Channel(file, server.url).tell([notice("a"), notice("b")])
    assert [line["key"] for line in lines(file)] == [got["key"] for got in server.got] == ["a", "b"]


def test_without_a_webhook_nothing_is_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MDP_NOTIFICATIONS", str(tmp_path / "n.jsonl"))
    monkeypatch.delenv("MDP_WEBHOOK", raising=False)
    assert Channel.of_environment().tell([notice()]) == []
    assert "webhook" not in lines(tmp_path / "n.jsonl")[0]


@pytest.mark.parametrize("fault", ["status", "silence", "nobody", "no url", "no port", "file url"])
def test_a_webhook_that_fails_stops_nothing_and_its_secret_is_never_told(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.setattr(notifications, "_TIMEOUT_S", 0.3)
    url = server.url
    if fault == "status":
        server.status = 500
    elif fault == "silence":
        server.wait_s = 1.0
    elif fault == "nobody":
        url = f"http://127.0.0.1:1/{SECRET}"
    elif fault == "no url":
        url = SECRET
    elif fault == "no port":
        url = f"http://host:{SECRET}/"
    else:
        url = f"file:///{SECRET}"
    file = tmp_path / "n.jsonl"
    started = time.monotonic()
    said = Channel(file, url).tell([notice("a"), notice("b"), notice("c")])
    assert time.monotonic() - started < 2, "one try a tick, and the others are not waited for"
    assert [line["key"] for line in lines(file)] == ["a", "b", "c"]
    assert len(said) == 1
    assert SECRET not in said[0] + file.read_text()
    expected = {"status": "answered 500", "silence": "did not answer (TimeoutError)", "nobody": "did not answer (ConnectionRefusedError)"}
    assert expected.get(fault, "it is no http or https URL") in said[0]


def test_a_file_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "cannot be written" in Channel(tmp_path / "file" / "n.jsonl", None).tell([notice()])[0]


def test_a_post_to_the_root_needs_no_path(server: Server) -> None:
    assert post(server.url.partition("/hook")[0], {"a": 1}) is None
    assert server.got[0]["path"] == "/"


def fail(project: Project) -> dg.ExecuteInProcessResult:
    result = project.run("stocks_bars", "2024-01-06|AAPL.NASDAQ")
    assert not result.success
    return result


def test_a_run_that_failed_is_told_with_its_own_words(project: Project, server: Server) -> None:
    file = project.root / "n.jsonl"
    sensor = failure_sensor(Channel(file, server.url))
    result = fail(project)
    failure = next(event for event in result.all_events if event.is_run_failure)
    for _ in range(2):  # the daemon that died before it kept its cursor tells the same run again
        context = dg.build_run_status_sensor_context(
            sensor_name="notify_failures", dagster_event=failure, dagster_instance=project.instance, dagster_run=result.dagster_run
        ).for_run_failure()
        sensor(context)
    (line,) = lines(file)
    assert (line["run_id"], line["job"], line["partition"]) == (result.run_id, "stocks_bars", "2024-01-06|AAPL.NASDAQ")
    assert "InvalidPartition: 2024-01-06 is no 5-MINUTE-LAST session of NYSE" in line["text"]
    assert server.got[0]["text"] == line["text"]


class Failures:
    """The failure sensor over an instance, with the cursor that the daemon keeps."""

    def __init__(self, project: Project, channel: Channel) -> None:
        self._instance, self._sensor = project.instance, failure_sensor(channel)
        self.cursor: str | None = None

    def tick(self) -> int:
        """Tick; return how many runs it dealt with, each without an error of its own."""
        with dg.build_sensor_context(self._instance, self.cursor) as context:
            data = self._sensor.evaluate_tick(context)
        self.cursor = data.cursor or self.cursor
        assert [reaction.error for reaction in data.dagster_run_reactions or ()] == [None] * len(data.dagster_run_reactions or ())
        return len(data.dagster_run_reactions or ())


@tries("notify_failures", Situation.FIRST_TICK, Situation.NOTHING_TO_DO, Situation.NEW_WORK)
def test_failures_are_told_from_the_first_tick_on(project: Project, server: Server) -> None:
    fail(project)
    file = project.root / "n.jsonl"
    failures = Failures(project, Channel(file, server.url))
    assert failures.tick() == 0, "what failed before is history"
    assert failures.tick() == 0
    assert lines(file) == []
    result = fail(project)
    assert failures.tick() == 1
    assert [line["run_id"] for line in lines(file)] == [notice["run_id"] for notice in server.got] == [result.run_id]
    assert project.run("stocks_instruments", "AAPL.NASDAQ").success
    assert failures.tick() == 0, "a run that succeeds is no news"


@tries("notify_failures", Situation.FAULT)
def test_a_webhook_that_fails_loses_no_failure(project: Project, server: Server) -> None:
    server.status = 500
    failures = Failures(project, Channel(project.root / "n.jsonl", server.url))
    failures.tick()
    result = fail(project)
    assert failures.tick() == 1
    (line,) = lines(project.root / "n.jsonl")
    assert (line["run_id"], line["webhook"]) == (result.run_id, "127.0.0.1 answered 500")
    assert failures.tick() == 0


@tries("notify_failures", Situation.TWICE, Situation.RESTART)
def test_a_failure_is_told_once_though_the_daemon_died_after_it_was_told(project: Project) -> None:
    file = project.root / "n.jsonl"
    failures = Failures(project, Channel(file, None))
    failures.tick()
    before = failures.cursor
    told = fail(project)
    assert failures.tick() == 1
    while_nothing_ran = fail(project)
    with started(project.root) as again:
        restarted = Failures(again, Channel(file, None))
        restarted.cursor = before
        while restarted.tick():
            pass
    assert [line["run_id"] for line in lines(file)] == [told.run_id, while_nothing_ran.run_id]


class Gaps:
    """The gap sensor of a project, with its cursor."""

    def __init__(self, project: Project, channel: Channel) -> None:
        watchlist = read_watchlist(project.root / "watchlist.yaml")
        root = project.root
        places = Places(root / "catalog", root / "watchlist.yaml", root / "backtests", root / "inbox", root / "results", root / "strategies.yaml")
        self.parts = [universe_parts(watchlist, name) for name in watchlist.universes]
        self._sensor = gap_sensor(watchlist, self.parts, places, channel)
        self._project = project
        self.cursor: str | None = None

    def tick(self) -> str:
        """Tick; return what it said."""
        context = dg.build_sensor_context(self._project.instance, self.cursor)
        data = self._sensor.evaluate_tick(context)
        self.cursor = data.cursor or self.cursor
        return str(data.skip_message)


def remove(project: Project, session: dt.date) -> None:
    (row,) = project.catalog.sessions(AAPL, session, session)
    (project.catalog.layout.series_folder(AAPL) / row.file).unlink()


@tries("notify_gaps", Situation.NOTHING_TO_DO, Situation.NEW_WORK, Situation.TWICE)
def test_a_new_gap_is_told_once_with_its_command_and_again_when_it_comes_back(project: Project, server: Server) -> None:
    project.run("stocks_bars", "2024-01-02|AAPL.NASDAQ", "2024-01-30|AAPL.NASDAQ")
    file = project.root / "n.jsonl"
    gaps = Gaps(project, Channel(file, server.url))
    assert gaps.tick() == "First look: 1 session is missing of 1 stored series. New ones are told."
    assert gaps.tick() == "No new gap in 1 stored series."
    remove(project, dt.date(2024, 1, 10))
    remove(project, dt.date(2024, 1, 11))
    before = gaps.cursor
    assert gaps.tick() == "Told of 1 new gap."
    (line,) = lines(file)
    assert (line["series"], line["first"], line["last"], line["sessions"]) == (str(AAPL), "2024-01-10", "2024-01-11", 2)
    assert line["mdp"].startswith("mdp import-csv csv/AAPL.NASDAQ-5-MINUTE-LAST.csv")
    assert "-j stocks_bars" in line["command"]
    assert gaps.tick() == "No new gap in 1 stored series."
    gaps.cursor = before  # the daemon died before it kept the cursor
    gaps.tick()
    assert len(lines(file)) == len(server.got) == 1

    assert project.run("stocks_bars", "2024-01-10|AAPL.NASDAQ", "2024-01-11|AAPL.NASDAQ").success
    gaps.tick()
    remove(project, dt.date(2024, 1, 10))
    remove(project, dt.date(2024, 1, 11))
    gaps.tick()
    assert len(lines(file)) == 2


@tries("notify_gaps", Situation.FAULT)
def test_while_the_catalog_cannot_be_read_nothing_is_told_and_nothing_is_forgotten(project: Project) -> None:
    project.run("stocks_bars", "2024-01-02|AAPL.NASDAQ", "2024-01-31|AAPL.NASDAQ")
    gaps = Gaps(project, Channel(project.root / "n.jsonl", None))
    gaps.tick()
    remove(project, dt.date(2024, 1, 10))
    with unreadable_ledger(project):
        assert gaps.tick().startswith("The catalog cannot be read")
        assert lines(project.root / "n.jsonl") == []
    assert gaps.tick() == "Told of 1 new gap."


@tries("notify_gaps", Situation.RESTART)
def test_a_gap_that_came_while_nothing_ran_is_told_once_after_the_start(project: Project) -> None:
    project.run("stocks_bars", "2024-01-02|AAPL.NASDAQ", "2024-01-31|AAPL.NASDAQ")
    file = project.root / "n.jsonl"
    before = Gaps(project, Channel(file, None))
    before.tick()
    remove(project, dt.date(2024, 1, 10))
    with started(project.root) as again:
        after = Gaps(again, Channel(file, None))
        after.cursor = before.cursor
        assert after.tick() == "Told of 1 new gap."
        assert after.tick() == "No new gap in 1 stored series."
    assert [line["first"] for line in lines(file)] == ["2024-01-10"]


def test_a_gap_that_grows_tells_what_is_new(project: Project) -> None:
    project.run("stocks_bars", "2024-01-02|AAPL.NASDAQ", "2024-01-31|AAPL.NASDAQ")
    remove(project, dt.date(2024, 1, 10))
    gaps = Gaps(project, Channel(project.root / "n.jsonl", None))
    gaps.tick()
    remove(project, dt.date(2024, 1, 9))
    remove(project, dt.date(2024, 1, 11))
    gaps.tick()
    assert [(line["first"], line["last"]) for line in lines(project.root / "n.jsonl")] == [("2024-01-09", "2024-01-09"), ("2024-01-11", "2024-01-11")]


@tries("notify_gaps", Situation.FIRST_TICK)
def test_an_empty_catalog_and_a_broken_cursor_are_a_first_look(project: Project) -> None:
    gaps = Gaps(project, Channel(project.root / "n.jsonl", None))
    assert gaps.tick().startswith("First look: 0 sessions")
    gaps.cursor = "nonsense"
    assert gaps.tick().startswith("First look")
    assert lines(project.root / "n.jsonl") == []


def test_a_session_counts_an_hour_after_it_should_have_been_loaded(project: Project) -> None:
    """After hours of 31 January 2024 ended at 01:00 UTC of the next day; 15 minutes to settle and 60 of grace."""
    project.run("stocks_bars", "2024-01-02|AAPL.NASDAQ", "2024-01-30|AAPL.NASDAQ")
    parts = Gaps(project, Channel(project.root / "n.jsonl", None)).parts
    early, late = (gaps_that_count(project.catalog, parts, ns(now))[AAPL][1] for now in ("2024-02-01 02:14", "2024-02-01 02:16"))
    assert (early, [str(gap.first) for gap in late]) == ((), ["2024-01-31"])
