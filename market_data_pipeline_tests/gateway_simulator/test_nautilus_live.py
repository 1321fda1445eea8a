"""Nautilus' own live client, unmodified, in a real trading node against a gateway: what arrives as bars close.

Where node and gateway share a clock, the client's own history at the start of a subscription shows too; where the node goes by the
machine's clock and the gateway is in the past, all history is older than the subscription, and none of it comes.
"""

from __future__ import annotations

import datetime as dt
import socket
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from ib_async import Contract
from ib_async.objects import BarData

from market_data_pipeline_tests.gateway import RunningGateway, start_gateway
from market_data_pipeline_tests.gateway_simulator.ib_async_client import AAPL, EURUSD, run, session
from market_data_pipeline_tests.live.trading_node import NodeSettings, recorder, start_node
from market_data_pipeline_tests.wall_clock import RunningClock, run_clock

STOCK, PAIR = "AAPL.NASDAQ-1-MINUTE-LAST-EXTERNAL", "EUR/USD.IDEALPRO-1-MINUTE-MID-EXTERNAL"
STOCK_15, PAIR_15 = "AAPL.NASDAQ-15-MINUTE-LAST-EXTERNAL", "EUR/USD.IDEALPRO-15-MINUTE-MID-EXTERNAL"
ASKED: dict[str, tuple[Contract, str, str, int]] = {
    STOCK: (AAPL, "TRADES", "1 min", 60),
    STOCK_15: (AAPL, "TRADES", "15 mins", 900),
    PAIR: (EURUSD, "MIDPOINT", "1 min", 60),
    PAIR_15: (EURUSD, "MIDPOINT", "15 mins", 900),
}
INSTRUMENTS = ("AAPL.NASDAQ", "EUR/USD.IDEALPRO")
MONDAY = dt.datetime(2024, 6, 3, 14, 0, tzinfo=dt.UTC)
_MINUTE_NS = 60 * 10**9
_RAW = 10**16

type Line = dict[str, Any]


def _open(line: Line) -> dt.datetime:
    return dt.datetime.fromtimestamp(line["ts_event"] / 1e9, dt.UTC)


def _of(lines: list[Line], bar_type: str) -> list[Line]:
    return [line for line in lines if line["bar_type"] == bar_type]


def _whole(bar: BarData) -> list[int]:
    """Return a bar of history as raw integers of Nautilus; volume -1 of a currency pair is its 0."""
    return [round(value * 100_000) * (_RAW // 100_000) for value in (bar.open, bar.high, bar.low, bar.close, max(0.0, float(bar.volume)))]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningGateway, list[Line]]]:
    """Bars of four series, a minute in 67 ms, the node by the machine's clock."""
    folder = tmp_path_factory.mktemp("live")
    with start_gateway(folder / "gateway", "--now", "2024-06-03T14:00Z", "--speed", "900") as gateway:
        settings = NodeSettings(gateway.host, gateway.port, INSTRUMENTS, (recorder(*ASKED),))
        with start_node(folder / "node", settings) as node:
            for bar_type, (*_, seconds) in ASKED.items():
                node.wait_for("bar", 30 if seconds == 60 else 2, bar_type=bar_type)
            assert node.stop() == 0
            yield gateway, node.lines("bar")


@pytest.mark.parametrize("bar_type", ASKED)
def test_each_bar_that_closes_arrives_once_and_as_history_tells_it_later(seen: tuple[RunningGateway, list[Line]], bar_type: str) -> None:
    gateway, lines = seen
    contract, what, size, seconds = ASKED[bar_type]
    bars = _of(lines, bar_type)
    assert {_open(later) - _open(earlier) for earlier, later in pairwise(bars)} == {dt.timedelta(seconds=seconds)}

    async def ask() -> list[BarData]:
        async with session(gateway) as opened:
            end = _open(bars[-1]) + dt.timedelta(seconds=seconds)
            return await opened.bars(contract, end=f"{end:%Y%m%d-%H:%M:%S}", duration="1 D", size=size, what=what)

    history = {bar.date: _whole(bar) for bar in run(ask())}
    assert [bar["ohlcv"] for bar in bars] == [history[_open(bar)] for bar in bars]


def test_a_live_bar_is_stamped_with_its_open_and_its_arrival(seen: tuple[RunningGateway, list[Line]]) -> None:
    _, lines = seen
    assert all(abs(line["ts_init"] - time.time_ns()) < 3600 * 10**9 for line in lines)
    assert all(_open(line) < dt.datetime(2024, 6, 4, tzinfo=dt.UTC) for line in lines)


def test_without_a_gateway_building_a_node_does_not_end(tmp_path: Path) -> None:
    """The client connects in `node.build()`, and tries for ever: whoever builds a node must look for the gateway before."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # never listens
        settings = NodeSettings("127.0.0.1", taken.getsockname()[1], INSTRUMENTS, (recorder(STOCK),))
        with start_node(tmp_path, settings) as node:
            node.wait_until(lambda: "Attempt 2: attempting to reconnect" in node.output(), "second attempt to connect")
            assert node.lines("built") == []


@pytest.fixture
def shared_clock(request: pytest.FixtureRequest) -> Iterator[RunningClock]:
    """A clock for node and gateway: (at, speed)."""
    if not RunningClock.installed():
        pytest.skip("no faketime (apt install faketime)")
    at, speed = request.param
    with run_clock(at, speed) as clock:
        yield clock


def _settings(gateway: RunningGateway, *strategies: dict[str, Any]) -> NodeSettings:
    # By their own clock: starting takes minutes.
    return NodeSettings(gateway.host, gateway.port, INSTRUMENTS, strategies, connection_timeout_s=3_000)


@pytest.mark.parametrize("shared_clock", [(MONDAY, 60)], indirect=True)
def test_a_subscription_begins_with_history_that_overlaps(tmp_path: Path, shared_clock: RunningClock) -> None:
    """The bar that closed last comes again, with its close as ts_init; with `start_ns` all since, and the one before: never the forming one."""
    start = MONDAY - dt.timedelta(minutes=20)
    since = recorder(STOCK, tag="SINCE", params={"start_ns": int(start.timestamp()) * 10**9})
    with (
        start_gateway(tmp_path / "gateway", "--no-pacing", environment=shared_clock.environment) as gateway,
        start_node(tmp_path / "node", _settings(gateway, since, recorder(PAIR, tag="PLAIN")), environment=shared_clock.environment) as node,
    ):
        node.wait_until(lambda: any(bar["ts_init"] % _MINUTE_NS for bar in _of(node.lines("bar"), PAIR)), "live bar of the pair")
        node.wait_until(lambda: any(bar["ts_init"] % _MINUTE_NS for bar in _of(node.lines("bar"), STOCK)), "live bar of the stock")
        lines = node.lines("bar")
    for bar_type in (STOCK, PAIR):
        # A live bar comes twice where the first update of the next one is more than five seconds late: a twelfth of one of ours.
        opens = sorted({_open(bar) for bar in _of(lines, bar_type)})
        assert {later - earlier for earlier, later in pairwise(opens)} == {dt.timedelta(minutes=1)}
    history = [bar for bar in lines if bar["ts_init"] % _MINUTE_NS == 0]
    assert all(bar["ts_init"] - bar["ts_event"] == _MINUTE_NS for bar in history)
    assert len(_of(history, PAIR)) == 1
    assert _open(_of(history, STOCK)[0]) == start - dt.timedelta(minutes=2)


@pytest.mark.slow
@pytest.mark.parametrize("shared_clock", [(dt.datetime(2024, 6, 3, 20, 35, tzinfo=dt.UTC), 120)], indirect=True)
def test_the_last_bar_before_a_pause_comes_more_than_once(tmp_path: Path, shared_clock: RunningClock) -> None:
    """FX pauses from 17:00 to 17:15 New York: its last minute comes 61 seconds after an update, maybe after several, and again at 17:15."""
    with (
        start_gateway(tmp_path / "gateway", "--no-pacing", environment=shared_clock.environment) as gateway,
        start_node(tmp_path / "node", _settings(gateway, recorder(PAIR)), environment=shared_clock.environment) as node,
    ):
        quarter_past = int(dt.datetime(2024, 6, 3, 21, 15, tzinfo=dt.UTC).timestamp()) * 10**9
        node.wait_for("bar", ts_event=quarter_past)
        bars = node.lines("bar")
    opens = [f"{_open(bar):%H:%M}" for bar in bars]
    assert opens[-3:] == ["20:59", "20:59", "21:15"]
    assert len({tuple(bar["ohlcv"]) for bar in bars if f"{_open(bar):%H:%M}" == "20:59"}) == 1


@pytest.mark.slow
@pytest.mark.parametrize("shared_clock", [(dt.datetime(2024, 6, 2, 20, 55, tzinfo=dt.UTC), 120)], indirect=True)
def test_after_a_weekend_the_last_bar_before_it_comes_first(tmp_path: Path, shared_clock: RunningClock) -> None:
    """Subscribed on a Sunday before the opening, Friday's last minute comes as if it were live."""
    with (
        start_gateway(tmp_path / "gateway", "--no-pacing", environment=shared_clock.environment) as gateway,
        start_node(tmp_path / "node", _settings(gateway, recorder(PAIR)), environment=shared_clock.environment) as node,
    ):
        node.wait_for("bar", 2)
        opens = [f"{_open(bar):%a %H:%M}" for bar in node.lines("bar")]
    assert opens[:2] == ["Fri 20:59", "Sun 21:15"]


@pytest.mark.slow
@pytest.mark.parametrize("shared_clock", [(MONDAY, 20)], indirect=True)
def test_a_gateway_that_comes_back_fills_the_hole(tmp_path: Path, shared_clock: RunningClock) -> None:
    """What was seen before may come again, the same."""
    environment = shared_clock.environment
    with (
        start_gateway(tmp_path / "gateway", "--no-pacing", environment=environment) as gateway,
        start_node(tmp_path / "node", _settings(gateway, recorder(STOCK)), environment=environment) as node,
    ):
        before = node.wait_for("bar", 3)
        gateway.process.kill()
        gateway.process.wait()
        node.wait_until(lambda: "Attempt 4: attempting to reconnect" in node.output(), "fourth attempt to connect")
        with start_gateway(tmp_path / "again", "--no-pacing", "--port", str(gateway.port), environment=environment):
            node.wait_for("bar", len(before) + 6)
            bars = node.lines("bar")
    values = {bar["ts_event"]: bar["ohlcv"] for bar in bars}
    assert all(values[bar["ts_event"]] == bar["ohlcv"] for bar in bars)
    assert {later - earlier for earlier, later in pairwise(sorted(values))} == {_MINUTE_NS}
