"""What a gateway tells programs about itself."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from market_data_pipeline.gateway_simulator.clock import Clock
from market_data_pipeline.gateway_simulator.limits import Breach, Rule
from market_data_pipeline.gateway_simulator.reporting import StatisticsFile, write_json
from market_data_pipeline.gateway_simulator.scenario import Kind
from market_data_pipeline.gateway_simulator.statistics import RequestRecord, Statistics
from market_data_pipeline_tests.gateway import RunningGateway
from market_data_pipeline_tests.gateway_simulator.ib_async_client import run, session


class Audience:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.records: list[RequestRecord] = []
        self.lines: list[str] = []

    def answered(self, record: RequestRecord) -> None:
        self.records.append(record)

    def noted(self, text: str) -> None:
        self.lines.append(text)


def test_it_says_what_was_asked_when_by_whom_and_what_was_answered(gateway: RunningGateway) -> None:
    async def go() -> None:
        async with session(gateway, 42) as opened:
            await opened.bars(end="20240603-15:00:00", duration="600 S")

    run(go())
    (request,) = [one for one in gateway.statistics()["recent"] if one["client"] == 42 and one["kind"] == "history"]
    assert request | {"number": 0, "at": "", "monotonic_s": 0, "market_time": "", "request_id": 0, "seconds": 0} == {
        "number": 0,
        "at": "",
        "monotonic_s": 0,
        "market_time": "",
        "client": 42,
        "kind": "history",
        "request_id": 0,
        "contract": "AAPL STK SMART",
        "what": "TRADES",
        "bar_size": "1 min",
        "duration": "600 S",
        "end": "20240603-15:00:00",
        "use_rth": True,
        "format_date": 2,
        "answer": "bars",
        "rows": 10,
        "seconds": 0,
        "fault": "",
    }
    assert request["market_time"].startswith("2024-06-03T20:3")
    assert request["at"] > "2026"


def test_only_the_last_requests_are_remembered_one_by_one_and_all_are_counted() -> None:
    statistics = Statistics(Clock(), Audience(), keep=10)
    for number in range(1_000):
        record = statistics.asked(Kind.HISTORY, number, number)
        statistics.answered(record, "bars", 5)
        statistics.broken([Breach(Rule.WINDOW, number, 0, 61, 60, 600.0)], number, record)
    told = statistics.to_json()
    assert [len(told["recent"]), len(told["breaches"]["recent"])] == [10, 10]
    assert (told["requests"]["total"], told["bars"], told["breaches"]["total"]) == (1_000, 5_000, 1_000)
    assert told["recent"][-1]["number"] == 1_000


def test_clients_beyond_a_thousand_are_counted_together() -> None:
    statistics = Statistics(Clock(), Audience(), keep=1)
    for client in range(1_500):
        statistics.asked(Kind.HISTORY, client, 1)
    by_client = statistics.to_json()["requests"]["by_client"]
    assert (len(by_client), by_client["others"]) == (1_001, 500)


def test_long_texts_are_cut() -> None:
    record = Statistics(Clock(), Audience()).asked(Kind.HISTORY, 1, 1, "X" * 5_000, {"end": "2" * 5_000, "use_rth": True})
    assert (len(record.contract), len(str(record.asked["end"])), record.asked["use_rth"]) == (200, 200, True)


def test_only_the_first_end_of_a_request_counts() -> None:
    audience = Audience()
    statistics = Statistics(Clock(), audience)
    record = statistics.asked(Kind.HISTORY, 1, 1)
    statistics.answered(record, "silence")
    statistics.answered(record, "cancelled")
    assert [one.answer for one in audience.records] == ["silence"]


def test_the_file_is_whole_and_written_only_when_something_changed(tmp_path: Path) -> None:
    statistics = Statistics(Clock(), Audience())
    file = StatisticsFile(statistics, tmp_path / "made" / "stats.json")
    statistics.asked(Kind.HEAD, 1, 1)
    file.write()
    before = file.path.stat()
    file.write()
    assert file.path.stat() == before
    assert json.loads(file.path.read_text())["requests"]["by_kind"] == {"head": 1}
    assert [one.name for one in file.path.parent.iterdir()] == ["stats.json"]


def test_a_file_that_cannot_be_written_is_told_and_no_crash(tmp_path: Path) -> None:
    audience = Audience()
    (tmp_path / "stats.json").mkdir()
    file = StatisticsFile(Statistics(Clock(), audience), tmp_path / "stats.json")
    file.write()
    assert "cannot be written" in audience.lines[0]


def test_what_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        write_json(tmp_path / "x.json", {"number": object()})
    assert list(tmp_path.iterdir()) == []


def test_the_endpoint_answers_at_its_root_only(gateway: RunningGateway) -> None:
    with pytest.raises(urllib.error.HTTPError, match="404"), urllib.request.urlopen(f"http://127.0.0.1:{gateway.stats_port}/other", timeout=5):
        pass
    with urllib.request.urlopen(f"http://127.0.0.1:{gateway.stats_port}/", timeout=5) as answer:
        assert answer.headers["Content-Type"] == "application/json"
        assert json.load(answer)["started"]
