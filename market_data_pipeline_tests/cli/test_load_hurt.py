"""`mdp load` while a session trades, at a gateway that fails, and where somebody stops it. NYSE sessions have 390 minutes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from market_data_pipeline.catalog import Catalog
from market_data_pipeline.domain.coverage import Coverage
from market_data_pipeline_tests.cli.conftest import Mdp, requests_for_bars
from market_data_pipeline_tests.cli.stored import MINUTES, bars_stored, stored_sessions
from market_data_pipeline_tests.cli.terminal import Terminal
from market_data_pipeline_tests.gateway import RunningGateway, start_gateway

AAPL = ("AAPL.NASDAQ", "1-MINUTE-LAST")
JANUARY = ("--start", "2024-01-01", "--end", "2024-01-31")
Reach = Callable[[RunningGateway], RunningGateway]


@pytest.fixture
def eleven_o_clock(tmp_path: Path, reach: Reach) -> Iterator[RunningGateway]:
    """A gateway where it is 11:00 in New York on Thursday, 2024-01-11, and stays so."""
    with start_gateway(tmp_path / "gateway", "--no-pacing", "--now", "2024-01-11T16:00:30Z", "--speed", "0") as gateway:
        yield reach(gateway)


def test_todays_session_is_stored_up_to_the_last_closed_bar(mdp: Mdp, root: Path, eleven_o_clock: RunningGateway) -> None:
    """From 09:30 to 11:00 are 90 minutes; the bar of 11:00 is forming."""
    mdp("load", *AAPL, "--start", "2024-01-09", "--end", "2024-01-09", "--catalog", root)
    before = requests_for_bars(eleven_o_clock)
    ended = mdp("load", *AAPL, "--mode", "tail", "--json", "--catalog", root)
    (series,) = ended.json["series"]
    assert (series["mode"], series["first_session"], series["last_session"]) == ("tail", "2024-01-09", "2024-01-11")
    assert (series["cached_before"], series["segments_fetched"], series["fetched_bars"]) == (1, 2, 390 + 90)
    assert series["partial_sessions"] == ["2024-01-11"]
    assert requests_for_bars(eleven_o_clock) - before == 2
    assert "2024-01-09 to 2024-01-11 (3 sessions), 2 whole, 1 partial (2024-01-11)" in mdp("load", *AAPL, "--catalog", root).out
    catalog = Catalog.open(root)
    rows = {str(row.session): (row.rows, row.coverage) for row in catalog.sessions(MINUTES)}
    catalog.ledger.close()
    assert rows["2024-01-11"] == (90, Coverage.PARTIAL)
    (series,) = mdp("load", *AAPL, "--json", "--catalog", root).json["series"]
    assert (series["cached_before"], series["requests_made"], series["fetched_bars"]) == (2, 1, 90)


def test_a_session_that_is_refused_fails_alone(mdp: Mdp, root: Path, tmp_path: Path, reach: Reach) -> None:
    line = ("load", *AAPL, "--start", "2024-01-08", "--end", "2024-01-10", "--catalog", root)
    with start_gateway(tmp_path / "gateway", "--no-pacing", "--fault", "history:2=no-permission") as gateway:
        reach(gateway)
        ended = mdp(*line)
        assert ended.code == 1
        assert "1 session could not be had" in ended.out
        assert "failed_segments 1" in ended.out
        assert "failed 2024-01-" in ended.out
        assert "next: mend what the messages say, then the same command" in ended.out
        assert len(stored_sessions(root)) == 2
        (series,) = mdp(*line, "--json").json["series"]
        assert (series["cached_before"], series["requests_made"], series["fetched_bars"]) == (2, 1, 390)


def wait_for_sessions(root: Path, number: int) -> None:
    """Wait until so many sessions are stored, by a process that runs."""
    until = time.monotonic() + 30
    while len(list(root.glob("data/bar/*/*.parquet"))) < number:
        assert time.monotonic() < until
        time.sleep(0.02)


def test_ctrl_c_in_the_middle_keeps_whole_sessions_and_the_same_command_goes_on(mdp: Mdp, root: Path, tmp_path: Path, reach: Reach) -> None:
    line = ["load", *AAPL, "--mode", "backfill", *JANUARY, "--catalog", str(root)]
    with start_gateway(tmp_path / "gateway", "--no-pacing", "--latency", "0.5") as gateway:
        reach(gateway)
        process = subprocess.Popen(
            [sys.executable, "-m", "market_data_pipeline.cli", *line], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ
        )
        wait_for_sessions(root, 4)
        process.send_signal(signal.SIGINT)
        stopped = time.monotonic()
        out, err = process.communicate(timeout=30)
        assert time.monotonic() - stopped < 3
        assert (process.returncode, out) == (130, "")
        assert "they are whole and stay. The same command goes on from there." in err
        assert "Traceback" not in err
        stored = len(stored_sessions(root))
        assert 4 <= stored < 21
        assert bars_stored(root) == stored * 390
        assert not list(root.rglob(".writing-*"))
        (series,) = mdp(*line, "--json").json["series"]
        assert (series["cached_before"], series["requests_made"], series["segments_fetched"]) == (stored, 21 - stored, 21 - stored)
        assert bars_stored(root) == 8_190


def test_a_gateway_that_dies_on_the_way_leaves_what_it_gave(
    mdp: Mdp, root: Path, tmp_path: Path, reach: Reach, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IB_RECONNECT", "0")
    monkeypatch.setenv("IB_IN_FLIGHT", "1")
    line = ["load", *AAPL, "--mode", "backfill", "--start", "2024-01-02", "--catalog", str(root)]
    with start_gateway(tmp_path / "gateway", "--no-pacing", "--latency", "0.3", "--now", "2024-01-31T22:00Z") as gateway:
        reach(gateway)
        process = subprocess.Popen([sys.executable, "-m", "market_data_pipeline.cli", *line], stderr=subprocess.PIPE, text=True, env=os.environ)
        wait_for_sessions(root, 2)
        gateway.process.kill()
        _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "sessions stored before; they are whole and stay. The same command with --mode full goes on from there." in err
    assert err.count("error:") == 1
    assert "did not come back" in err
    assert bars_stored(root) == 390 * len(stored_sessions(root)) >= 780


_SLOW = "small_bars: {requests: 3, window_s: 600}\n"


def test_ctrl_c_ends_a_wait_for_the_rate_at_once(root: Path, tmp_path: Path, gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three requests in ten minutes: the fourth session waits that long."""
    pacing = tmp_path / "slow.yaml"
    pacing.write_text(_SLOW)
    monkeypatch.setenv("IB_PACING", str(pacing))
    line = ["load", *AAPL, *JANUARY, "--catalog", str(root)]
    process = subprocess.Popen([sys.executable, "-m", "market_data_pipeline.cli", *line], stderr=subprocess.PIPE, text=True, env=os.environ)
    assert process.stderr is not None
    told = [process.stderr.readline() for _ in range(3)]
    while "IBKR's pacing rules" not in told[-1]:
        told.append(process.stderr.readline())
    assert "the first 3 may go at once" in told[1]
    wait_for_sessions(root, 3)
    process.send_signal(signal.SIGINT)
    stopped = time.monotonic()
    _, err = process.communicate(timeout=30)
    assert time.monotonic() - stopped < 3
    assert process.returncode == 130
    assert "Stopped. 3 sessions stored before; they are whole and stay." in err
    assert stored_sessions(root) == ["2024-01-02", "2024-01-03", "2024-01-04"]


def test_progress_and_waits_are_shown_on_a_terminal(root: Path, tmp_path: Path, gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    pacing = tmp_path / "slow.yaml"
    pacing.write_text(_SLOW)
    monkeypatch.setenv("IB_PACING", str(pacing))
    terminal = Terminal(["load", *AAPL, *JANUARY, "--catalog", root])
    try:
        terminal.read_until("21 requests for 21 sessions, at most 8,190 bars")
        terminal.read_until("14%")  # three of 21
        terminal.read_until("wait 10 min")
        terminal.read_until("wait 9 min 5")
        terminal.press(b"\x03")
        assert terminal.end() == 130
    finally:
        terminal.leave()
    assert "Stopped. 3 sessions stored before; they are whole and stay." in terminal.shown
