"""`mdp ibkr`: what the gateway says, what it has, what pacing allows, and tidying up."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from market_data_pipeline.catalog import Catalog
from market_data_pipeline.catalog.writer import series_lock
from market_data_pipeline.cli.rendering.broker import budget_lines
from market_data_pipeline.domain.pacing_budget import Budget, PacingUser
from market_data_pipeline_tests.cli.conftest import Mdp, requests_for_bars
from market_data_pipeline_tests.cli.stored import MINUTES, store_whole
from market_data_pipeline_tests.cli.test_load import free_port
from market_data_pipeline_tests.gateway import RunningGateway


def test_the_status_tells_of_server_account_farms_and_budget(mdp: Mdp, gateway: RunningGateway) -> None:
    ended = mdp("ibkr", "status")
    assert ended.code == 0
    assert f"127.0.0.1:{gateway.port}: connected as client 40" in ended.out
    assert "server version 178" in ended.out
    assert "paper account: ••••••••45" in ended.out
    assert "this is the simulator. Its prices are invented" in ended.out
    assert "DUSIM12345" not in ended.out
    assert "farms: " in ended.out
    assert "pacing (haste rules)" in ended.out
    told = mdp("ibkr", "status", "--json", "--client-id", "51").json
    assert (told["gateway"]["server_version"], told["gateway"]["account_mode"], told["gateway"]["client_id"]) == (178, "paper", 51)
    assert set(told["gateway"]["farms"].values()) == {"up"}
    assert told["budget"]["left"] == 100_000


def test_health_is_a_line_and_an_exit_code(mdp: Mdp, gateway: RunningGateway) -> None:
    ended = mdp("ibkr", "health")
    assert (ended.code, ended.out.startswith(f"127.0.0.1:{gateway.port}: healthy")) == (0, True)
    port = free_port()
    started = time.monotonic()
    ended = mdp("ibkr", "health", "--port", port)
    assert time.monotonic() - started < 5
    assert (ended.code, ended.err) == (1, "")
    assert ended.out.startswith(f"127.0.0.1:{port}: not healthy: No IB Gateway listens at")
    told = mdp("ibkr", "health", "--port", port, "--json")
    assert (told.code, told.json["healthy"]) == (1, False)


def test_ranges_stand_beside_what_is_stored_and_are_asked_for_once(mdp: Mdp, root: Path, gateway: RunningGateway) -> None:
    """RBLX was listed on 2021-03-10."""
    mdp("load", "RBLX.NYSE", "1-DAY-LAST", "--start", "2024-01-02", "--end", "2024-01-05", "--catalog", root)
    before = gateway.statistics()["requests"]["by_kind"].get("head", 0)
    for _ in range(2):
        (told,) = mdp("ibkr", "ranges", "--json", "--catalog", root).json["ranges"]
        assert told["series"] == "RBLX.NYSE-1-DAY-LAST-EXTERNAL"
        assert told["earliest"].startswith("2021-03-10T")
        assert (told["first_session"], told["last_session"], told["sessions"]) == ("2024-01-02", "2024-01-05", 4)
    # Asking costs a request, and so does taking the question back.
    assert 1 <= gateway.statistics()["requests"]["by_kind"]["head"] - before <= 2
    ended = mdp("ibkr", "ranges", "RBLX.NYSE", "EUR/USD.IDEALPRO", "NOSUCH.NYSE", "--catalog", root)
    assert ended.code == 1
    lines = ended.out.splitlines()
    assert "2021-03-10" in lines[1]
    assert lines[2].split()[:2] == ["EUR/USD.IDEALPRO", "1-DAY-MID"]
    assert "failed: IBKR lists no contract for NOSUCH.NYSE" in lines[3]


def test_full_begins_with_the_head_time_stamp(mdp: Mdp, root: Path, gateway: RunningGateway) -> None:
    ended = mdp("load", "RBLX.NYSE", "1-WEEK-LAST", "--mode", "full", "--end", "2021-04-30", "--json", "--catalog", root)
    (series,) = ended.json["series"]
    assert (ended.code, series["first_session"], series["failed_segments"]) == (0, "2021-03-12", [])


def test_the_budget_needs_no_gateway(mdp: Mdp, gateway: RunningGateway, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mdp("load", "AAPL.NASDAQ", "1-DAY-LAST", "--start", "2024-01-02", "--end", "2024-01-05", "--catalog", root)
    monkeypatch.setenv("IB_PORT", str(free_port()))
    monkeypatch.setenv("IB_PACING", "strict")
    told = mdp("ibkr", "budget", "--json").json
    assert (told["profile"], told["left"], told["next_s"]) == ("strict", 59, 0)
    (requests,) = [rule for rule in told["rules"] if rule["what"] == "requests"]
    assert (requests["used"], requests["limit"], requests["window_s"]) == (1, 60, 600)
    ended = mdp("ibkr", "budget")
    assert "59 requests may go at once" in ended.out
    assert "1 of 60 requests in 10 min used, 59 left" in ended.out


def test_processes_that_have_ended_are_one_line_of_the_budget() -> None:
    users = [PacingUser("one", pid, 3, pid % 2, alive) for pid, alive in ((1, False), (2, True), (3, False), (4, None))]
    said = budget_lines(Budget("all", "strict", "here", (), 2, 48, 0, 0.0, 0.0, tuple(users)))
    assert said[-4:] == [
        "  process 2 on one (running): 3 requests, 0 open",
        "  process 4 on one (on another host): 3 requests, 0 open",
        "  2 processes that have ended: 6 requests, 2 open",
        "  kept in here",
    ]


def test_discovery_tries_pairs_then_stocks_and_takes_a_type_at_its_word(mdp: Mdp, gateway: RunningGateway) -> None:
    ended = mdp("ibkr", "discover", "EURUSD", "AAPL", "ES", "ES@FUT", "--json")
    assert ended.code == 0
    found = {one["symbol"]: one["candidates"] for one in ended.json["symbols"]}
    assert [one["instrument_id"] for one in found["EURUSD"]] == ["EUR/USD.IDEALPRO"]
    assert [(one["instrument_id"], one["con_id"]) for one in found["AAPL"]] == [("AAPL.NASDAQ", 265598)]
    assert [one["sec_type"] for one in found["ES"]] == ["STK"]
    assert len(found["ES@FUT"]) > 1
    assert {one["sec_type"] for one in found["ES@FUT"]} == {"FUT"}
    assert "load one: mdp load EUR/USD.IDEALPRO 1-DAY-MID" in mdp("ibkr", "discover", "EURUSD").out
    ended = mdp("ibkr", "discover", "AAPL", "NOSUCH")
    assert "load one: mdp load AAPL.NASDAQ 1-DAY-LAST" in ended.out
    assert ended.code == 1
    assert "AAPL.NASDAQ" in ended.out
    assert "NOSUCH: IBKR lists nothing under 'NOSUCH'" in ended.err


def test_what_was_discovered_is_known_without_a_gateway(mdp: Mdp, gateway: RunningGateway) -> None:
    mdp("ibkr", "discover", "MSFT")
    before = gateway.statistics()["requests"]["total"]
    assert mdp("ibkr", "discover", "msft", "--json").json["symbols"][0]["candidates"][0]["instrument_id"] == "MSFT.NASDAQ"
    assert gateway.statistics()["requests"]["total"] == before


def test_cleanup_frees_what_a_killed_process_left_and_nothing_else(mdp: Mdp, root: Path, gateway: RunningGateway) -> None:
    # A process that holds a client id, has leave for a request, and is killed.
    code = (
        "import sys, time\n"
        "from market_data_pipeline.domain.pacing_windows import PacedRequest\n"
        "from market_data_pipeline.pacing import PacingTable, read_profile\n"
        "from market_data_pipeline.sources.ibkr import IbkrSettings\n"
        "from market_data_pipeline.sources.ibkr.client_ids import lease\n"
        "settings = IbkrSettings.from_environment()\n"
        "held = lease(settings)\n"
        "table = PacingTable.open(None, read_profile(settings.pacing))\n"
        "table.sent(table.try_acquire(PacedRequest('1@SMART', 'TRADES', 'one', 60, 'history')))\n"
        "print('ready', flush=True); time.sleep(60)\n"
    )
    catalog = store_whole(root, ["2024-02-05"])
    left = catalog.layout.series_folder(MINUTES) / ".writing-1-00000000"
    left.write_bytes(b"half a file")
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=os.environ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        told = mdp("ibkr", "cleanup", "--catalog", root, "--json").json
        assert (told["client_ids"], told["pacing_slots"], told["files"]) == ([], 0, [str(left)])
        process.kill()
    ended = mdp("ibkr", "cleanup", "--catalog", root)
    assert f"1 client id freed: 127.0.0.1_{gateway.port}_40" in ended.out
    assert "1 open pacing slot of dead processes freed" in ended.out
    assert mdp("ibkr", "cleanup", "--catalog", root).out == "Nothing was left behind.\n"
    assert mdp("check", "--json", "--catalog", root).json["series"][0]["bars"] == 390


def test_cleanup_leaves_the_files_of_a_series_that_is_being_written(mdp: Mdp, root: Path) -> None:
    catalog = store_whole(root, ["2024-02-05"])
    left = catalog.layout.series_folder(MINUTES) / ".writing-1-00000000"
    left.write_bytes(b"half a file")
    with series_lock(Catalog.open(root).layout, MINUTES.folder, 0):
        assert mdp("ibkr", "cleanup", "--catalog", root, "--json").json["files"] == []
    assert left.exists()


def test_a_setting_that_cannot_be_meant_is_a_usage_error(mdp: Mdp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IB_PORT", "gateway")
    ended = mdp("ibkr", "status")
    assert (ended.code, ended.err.startswith("error: IB_PORT='gateway' cannot be meant")) == (2, True)


def test_bars_are_never_asked_for_by_looking(mdp: Mdp, root: Path, gateway: RunningGateway) -> None:
    before = requests_for_bars(gateway)
    for command in ("status", "health", "budget", "cleanup"):
        assert mdp("ibkr", command).code == 0
    assert requests_for_bars(gateway) == before
