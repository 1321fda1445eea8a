"""`mdp ibkr simulate` as a person meets it."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import socket
from pathlib import Path

import pytest
from ib_async import Stock

from market_data_pipeline.gateway_simulator.scenario import MARKET_KINDS, Action, Kind
from market_data_pipeline_tests.cli.conftest import Mdp
from market_data_pipeline_tests.cli.terminal import Terminal
from market_data_pipeline_tests.gateway import RunningGateway, start_gateway
from market_data_pipeline_tests.gateway_simulator.ib_async_client import EURUSD, run, session


def test_it_says_where_it_listens_and_how_it_is_used(tmp_path: Path) -> None:
    with start_gateway(tmp_path, "--now", "2024-06-03T14:30Z") as gateway:
        shown = gateway.output()
    assert f"listens on 127.0.0.1:{gateway.port}" in shown
    assert f"  IB_PORT={gateway.port} mdp ibkr status" in shown
    assert "Market time 2024-06-03 14:30:0" in shown
    assert "60 requests in 600 s" in shown


def test_each_request_is_a_line_and_the_end_a_summary(tmp_path: Path) -> None:
    async def go() -> None:
        async with session(gateway, 3) as opened:
            await opened.bars(end="20240531-20:00:00")
            await opened.bars(end="20240531-20:00:00")

    with start_gateway(tmp_path, "--now", "2024-06-03T14:30Z") as gateway:
        run(go())
        assert gateway.stop() == 0
        *_, first, second, summary = gateway.output().splitlines()
    assert re.fullmatch(r"\d\d:\d\d:\d\d  client 3  history    AAPL STK SMART  1 min TRADES 1 D to 20240531-20:00:00 RTH  -> bars 390", first)
    assert second.endswith("-> error 162")
    assert summary == "Ended. 3 requests, 390 bars, 1 breach of the pacing rules (identical 1)."


def test_quiet_is_without_lines(tmp_path: Path) -> None:
    async def go() -> None:
        async with session(gateway) as opened:
            await opened.bars(end="20240531-20:00:00")

    with start_gateway(tmp_path, "--now", "2024-06-03T14:30Z", "--quiet") as gateway:
        run(go())
        gateway.stop()
        assert "client" not in gateway.output()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_whole_statistics(tmp_path: Path, number: signal.Signals) -> None:
    async def go() -> None:
        async with session(gateway) as opened:
            await opened.bars(end="20240531-20:00:00")
            gateway.process.send_signal(number)
            await asyncio.sleep(0.3)

    with start_gateway(tmp_path, "--now", "2024-06-03T14:30Z") as gateway:
        run(go())
        assert gateway.process.wait(20) == 0
    told = json.loads((tmp_path / "stats.json").read_text())
    assert (told["bars"], told["connections"]["now"]) == (390, 0)
    assert gateway.output().splitlines()[-1].startswith("Ended.")
    assert "Traceback" not in gateway.output()


def test_ctrl_c_at_a_terminal_ends_it() -> None:
    terminal = Terminal(["ibkr", "simulate", "--port", "0"])
    try:
        terminal.read_until("Ctrl-C ends it.")
        terminal.press(b"\x03")
        assert terminal.end() == 0
        assert "Ended. 0 requests" in terminal.shown
    finally:
        terminal.leave()


def test_a_port_in_use_is_one_line_with_what_to_do(launched: Mdp) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended = launched("ibkr", "simulate", "--port", taken.getsockname()[1])
    assert ended.code == 1
    assert ended.out == ""
    (line,) = ended.err.splitlines()
    assert "Address already in use" in line or "address already in use" in line
    assert "--port 0" in line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--now", "tomorrow"], "--now tomorrow: write a time with its zone"),
        (["--now", "2024-06-03T14:30"], "add the zone, for example 2024-06-03T14:30Z"),
        (["--fault", "history=silence"], "--fault history=silence: write KIND:WHEN=WHAT"),
        (["--scenario", "nowhere.yaml"], "There is no file nowhere.yaml"),
        (["--speed", "-1"], "speed"),
        (["--port", "70000"], "port"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line(mdp: Mdp, arguments: list[str], message: str) -> None:
    ended = mdp("ibkr", "simulate", *arguments)
    assert ended.code == 2
    assert message in ended.err
    assert len(ended.err.splitlines()) == 1


def test_the_help_names_all_that_can_go_wrong(mdp: Mdp) -> None:
    shown = mdp("ibkr", "simulate", "--help").out.replace("-\n  ", "-").split("Examples:")[0]
    words = set(re.split(r"[\s,.:]+", shown))
    assert words >= {action.value for action in Action if action is not Action.ERROR} | {"error-CODE"}
    assert words >= {kind.value for kind in MARKET_KINDS | {Kind.CONNECT, Kind.START, Kind.ANY}}


def test_options_reach_the_gateway(tmp_path: Path) -> None:
    async def go(gateway: RunningGateway) -> tuple[list[str], list[float], list[int]]:
        async with session(gateway) as opened:
            closes = [bar.close for bar in await opened.bars(end="20240531-20:00:00")]
            await opened.bars(end="20240531-20:00:00", duration="2 D", timeout=0.3)
            return opened.ib.managedAccounts(), closes, opened.codes

    flags = ("--now", "2024-06-03T14:30Z", "--no-pacing")
    with start_gateway(tmp_path / "one", *flags, "--seed", "2", "--account", "U7654321", "--request-sizes", "documented") as gateway:
        accounts, closes, codes = run(go(gateway))
    with start_gateway(tmp_path / "other", *flags) as gateway:
        _, usual, no_codes = run(go(gateway))
    assert accounts == ["U7654321"]
    assert closes != usual
    assert (321 in codes, no_codes) == (True, [])


def test_recorded_bars_and_contracts_of_ones_own_are_served(tmp_path: Path) -> None:
    recorded = tmp_path / "recorded"
    recorded.mkdir()
    (recorded / "EURUSD.IDEALPRO-1-MINUTE-MID.csv").write_text(
        "time,open,high,low,close\n2024-05-31T15:00:00Z,1.08501,1.08512,1.08500,1.08511\n2024-05-31T15:01:00Z,1.08511,1.08513,1.08490,1.08495\n"
    )
    (recorded / "recorded.yaml").write_text(
        "series:\n  - {file: EURUSD.IDEALPRO-1-MINUTE-MID.csv, instrument: EUR/USD.IDEALPRO, bars: 1-MINUTE-MID, stamp: open, time_zone: UTC}\n"
    )
    own = tmp_path / "contracts.yaml"
    own.write_text(
        "stocks:\n  - {symbol: MINE, name: MY OWN INC, primary_exchange: NASDAQ, listed: 2020-01-02, price: 10, volatility: 0.3, "
        "trades_per_minute: 60, extended_trades_per_minute: 0, trade_size: 100}\n"
    )

    async def go(gateway: RunningGateway) -> tuple[list[tuple[float, ...]], int]:
        async with session(gateway) as opened:
            pair = await opened.bars(EURUSD, end="20240531-15:02:00", duration="120 S", what="MIDPOINT", rth=False)
            mine = await opened.bars(Stock("MINE", "SMART", "USD"), end="20240531-20:00:00")
            return [(bar.open, bar.high, bar.low, bar.close) for bar in pair], len(mine)

    flags = ("--now", "2024-06-03T14:30Z", "--data", str(recorded), "--contracts", str(own))
    with start_gateway(tmp_path / "gateway", *flags) as gateway:
        assert run(go(gateway)) == ([(1.08501, 1.08512, 1.085, 1.08511), (1.08511, 1.08513, 1.0849, 1.08495)], 390)


def test_a_statistics_file_that_cannot_be_written_is_refused_at_once(mdp: Mdp, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ended = mdp("ibkr", "simulate", "--port", "0", "--stats", tmp_path / "file" / "stats.json")
    assert ended.code == 1
    assert "error:" in ended.err
