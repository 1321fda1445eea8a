"""Where history and live bars meet: overlaps, pauses, weekends and lost connections, at a trading node with Nautilus' own client.

Where node and gateway share a clock, the client sends what history has too, and the last bar before a pause again and again.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from market_data_pipeline.domain.errors import MarketDataError
from market_data_pipeline.sources.ibkr import IbkrGateway, IbkrSettings, contract_of
from market_data_pipeline_tests.gateway import RunningGateway, start_gateway
from market_data_pipeline_tests.live.trading_node import NodeSettings, RunningNode, start_node
from market_data_pipeline_tests.live.warm_up import (
    PAIR,
    PAIR_15,
    STOCK,
    STOCK_15,
    Line,
    crossover,
    eager,
    environment,
    fill,
    free_port,
    seen_by,
    series_status,
    truth_of,
    wait_for_status,
    warmed_node,
    watcher,
)
from market_data_pipeline_tests.wall_clock import RunningClock, WallClock, run_clock

NAME = "Eager-EAGER"
MINUTE = dt.timedelta(minutes=1)
_BY_OUR_CLOCK_S = 240.0
# By their own clock: starting takes minutes.
_PATIENT = 3_000

pytestmark = pytest.mark.slow


def utc(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def ns(text: str) -> int:
    return int(utc(text).timestamp()) * 10**9


def opened(lines: list[Line], kind: str) -> list[str]:
    """Return when bars of a kind opened, in words."""
    return [f"{dt.datetime.fromtimestamp(line['ts_event'] / 1e9, dt.UTC):%a %H:%M}" for line in lines if line["kind"] == kind]


def first_two_bars(folder: Path, clock: RunningClock, bar_type: str) -> list[Line]:
    """Run a node on its gateway's clock until it is ready and two live bars came; return all bars that its strategy saw, each held to be true."""
    with shared_gateway(folder, clock) as gateway:
        settings = warmed_node(gateway, folder, eager(bar_type, period=50), connection_timeout_s=_PATIENT)
        with node(folder, settings, clock) as running:
            running.wait_for("bar", 2, within_s=_BY_OUR_CLOCK_S)
            lines = running.lines()
            assert_nothing_was_missed(running, folder, bar_type)
        assert running.lines("ready")
        seen = seen_by(lines, NAME, bar_type)
        truth_of(gateway, folder, bar_type, 500).holds(seen)
    return seen


@pytest.fixture
def clock(request: pytest.FixtureRequest) -> Iterator[RunningClock]:
    """A clock for node and gateway: (at, speed)."""
    if not RunningClock.installed():
        pytest.skip("no faketime (apt install faketime)")
    at, speed = request.param
    with run_clock(utc(at), speed) as shared:
        yield shared


@contextmanager
def shared_gateway(folder: Path, clock: RunningClock) -> Iterator[RunningGateway]:
    with start_gateway(folder / "gateway", "--no-pacing", environment=clock.environment) as gateway:
        yield gateway


@contextmanager
def node(folder: Path, settings: NodeSettings, clock: RunningClock | WallClock | None = None) -> Iterator[RunningNode]:
    variables = environment(folder, **(clock.environment if clock else {}))
    with start_node(folder / "node", settings, environment=variables) as running:
        yield running


def assert_nothing_was_missed(running: RunningNode, folder: Path, bar_type: str) -> None:
    assert "did not come live" not in running.output()
    assert series_status(folder, bar_type)["forming"] == 0


@pytest.mark.parametrize("clock", [("2024-06-04T02:00", 60)], indirect=True)
@pytest.mark.parametrize("overlap", [1, 20])
def test_bars_that_the_client_sends_again_reach_nobody_twice(tmp_path: Path, clock: RunningClock, overlap: int) -> None:
    """Without `start_ns` the bar that closed last is sent again; with it, every bar since."""
    params = {"start_ns": ns("2024-06-04T02:00") - 20 * 60 * 10**9} if overlap > 1 else None
    with shared_gateway(tmp_path, clock) as gateway:
        strategies = (eager(PAIR, period=50, params=params), watcher(PAIR))
        with node(tmp_path, warmed_node(gateway, tmp_path, *strategies, connection_timeout_s=_PATIENT), clock) as running:
            running.wait_for("bar", 5, within_s=_BY_OUR_CLOCK_S, strategy=NAME)
            found = wait_for_status(running, tmp_path, PAIR, state="open")
            lines = running.lines()
        truth = truth_of(gateway, tmp_path, PAIR, 500)
    for name in (NAME, "Watcher-WATCHER"):
        seen = seen_by(lines, name, PAIR)
        truth.holds(seen)
        assert [line["fed"] for line in seen] == list(range(1, len(seen) + 1))
        assert len(opened(seen, "historical")) >= 60
    assert found["seen_twice"] >= overlap


def test_a_tail_that_is_late_overlaps_with_what_came_live_meanwhile(tmp_path: Path) -> None:
    """The quarter hours are answered after five seconds, 25 minutes there: the minutes are asked for afterwards, and their live bars are held."""
    scenario = tmp_path / "scenario.yaml"
    scenario.write_text("faults:\n  - {kind: history, client: 40, at: 1, do: slow, seconds: 5}\n")
    flags = ("--now", "2024-06-04T02:00Z", "--speed", "300", "--no-pacing", "--scenario", str(scenario))
    with start_gateway(tmp_path / "gateway", *flags) as gateway:
        settings = warmed_node(gateway, tmp_path, eager(PAIR_15, PAIR, period=50))
        with node(tmp_path, settings) as running:
            running.wait_for("ready")
            running.wait_for("bar", 5, bar_type=PAIR)
            found = series_status(tmp_path, PAIR)
            seen = seen_by(running.lines(), NAME, PAIR)
        truth_of(gateway, tmp_path, PAIR, 500).holds(seen)
    assert found["held_at_most"] >= 20
    assert found["seen_twice"] >= 20


@pytest.mark.parametrize("clock", [("2024-06-03T20:35", 120)], indirect=True)
def test_across_the_pause_of_currencies_nothing_comes_twice_and_nothing_is_missed(tmp_path: Path, clock: RunningClock) -> None:
    """From 17:00 to 17:15 New York nobody trades, and the client sends the last minute before again."""
    with shared_gateway(tmp_path, clock) as gateway:
        settings = warmed_node(gateway, tmp_path, eager(PAIR, period=50), connection_timeout_s=_PATIENT)
        with node(tmp_path, settings, clock) as running:
            running.wait_for("bar", within_s=_BY_OUR_CLOCK_S, ts_event=ns("2024-06-03T21:17"))
            seen = seen_by(running.lines(), NAME, PAIR)
            assert_nothing_was_missed(running, tmp_path, PAIR)
            found = series_status(tmp_path, PAIR)
        truth_of(gateway, tmp_path, PAIR, 500).holds(seen)
    bars = opened(seen, "bar")
    last = bars.index("Mon 21:17") + 1  # on this clock more may have come before the lines were read
    assert bars[last - 4 : last] == ["Mon 20:59", "Mon 21:15", "Mon 21:16", "Mon 21:17"]
    assert found["seen_twice"] >= 1


@pytest.mark.parametrize("clock", [("2024-06-03T21:00:30", 60)], indirect=True)
def test_started_in_the_pause_it_is_ready_on_what_closed_before(tmp_path: Path, clock: RunningClock) -> None:
    seen = first_two_bars(tmp_path, clock, PAIR)
    assert opened(seen, "historical")[-1] == "Mon 20:59"
    assert opened(seen, "bar")[:2] == ["Mon 21:15", "Mon 21:16"]


@pytest.mark.parametrize("clock", [("2024-06-02T20:57", 120)], indirect=True)
def test_after_a_weekend_currencies_go_on_with_the_first_bar_of_sunday(tmp_path: Path, clock: RunningClock) -> None:
    """The client sends Friday's last minute as if it were live."""
    seen = first_two_bars(tmp_path, clock, PAIR)
    assert opened(seen, "historical")[-1] == "Fri 20:59"
    assert opened(seen, "bar")[:2] == ["Sun 21:15", "Sun 21:16"]


@pytest.mark.parametrize("clock", [("2024-06-03T13:12", 120)], indirect=True)
def test_started_before_the_open_of_monday_a_stock_goes_on_from_friday(tmp_path: Path, clock: RunningClock) -> None:
    seen = first_two_bars(tmp_path, clock, STOCK)
    assert opened(seen, "historical")[-1] == "Fri 19:59"
    assert opened(seen, "bar")[:2] == ["Mon 13:30", "Mon 13:31"]


@pytest.mark.parametrize("clock", [("2024-06-01T12:00", 1)], indirect=True)
def test_where_nothing_closed_since_the_catalog_was_filled_nobody_is_asked(tmp_path: Path, clock: RunningClock) -> None:
    """On a Saturday the catalog is whole: the warm-up's gateway is down, and it does not notice."""
    with shared_gateway(tmp_path, clock) as gateway:
        fill(gateway, tmp_path / "catalog", STOCK_15, 400)
        with node(tmp_path, warmed_node(gateway, tmp_path, crossover(), ibkr={"port": free_port()}), clock) as running:
            (ready,) = running.wait_for("ready")
            found = wait_for_status(running, tmp_path, STOCK_15, state="open")
    assert ready["seen"] == {STOCK_15: 312}
    assert (found["from_catalog"], found["requests"], found["reasons"]) == (312, 0, [])


def test_nothing_before_a_hole_that_cannot_be_filled_is_used(tmp_path: Path) -> None:
    """The catalog ends ten minutes ago, and the warm-up's gateway is down: an average over the hole would be a wrong number."""
    if WallClock.installed() is None:
        pytest.skip("no faketime (apt install faketime)")
    clock = WallClock(tmp_path, utc("2024-06-04T02:00:10"))
    with start_gateway(tmp_path / "gateway", "--no-pacing", environment=clock.environment) as gateway:
        fill(gateway, tmp_path / "catalog", PAIR, 100)
        clock.pass_by(minutes=10)
        settings = warmed_node(gateway, tmp_path, eager(PAIR, period=3), settings={"time_limit_s": 5}, ibkr={"port": free_port()})
        with node(tmp_path, settings, clock) as running:
            found = wait_for_status(running, tmp_path, PAIR, state="open")
            assert not running.lines("historical")
    assert found["given"] == 0
    # The bar of 02:10 is forming, and the first of three.
    assert found["natural_until"].startswith("2024-06-04 02:13")
    assert "No IB Gateway listens" in found["reasons"][0]
    assert found["reasons"][1].startswith("A hole of 10 bars between 2024-06-04 02:00 UTC and 2024-06-04 02:10")
    assert "nothing before it can be used, for indicators over a hole are wrong" in found["reasons"][1]


def test_bars_that_a_lost_connection_has_cost_come_as_history(tmp_path: Path) -> None:
    """The client does not ask for what was missed in the gateway's past, where the node's clock is in its future."""
    scenario = tmp_path / "scenario.yaml"
    scenario.write_text("faults:\n  - {kind: contracts, client: 90, do: restart, seconds: 3}\n")
    flags = ("--now", "2024-06-04T02:00Z", "--speed", "300", "--no-pacing", "--scenario", str(scenario))
    with start_gateway(tmp_path / "gateway", *flags) as gateway:
        with node(tmp_path, warmed_node(gateway, tmp_path, eager(PAIR, period=50))) as running:
            running.wait_for("bar", 5)
            _restart(gateway, tmp_path)
            running.wait_until(lambda: "brought and given as history" in running.output(), "mended hole", _BY_OUR_CLOCK_S)
            before = len(running.lines("bar"))
            running.wait_for("bar", before + 5, within_s=_BY_OUR_CLOCK_S)
            seen = seen_by(running.lines(), NAME, PAIR)
            assert len(running.lines("ready")) == 1
            told = series_status(tmp_path, PAIR)
        truth_of(gateway, tmp_path, PAIR, 500).holds(seen)
    assert told["mended"] == len([line for line in seen if line["kind"] == "historical"]) - 60
    assert told["missing"] == 0
    kinds = [line["kind"] for line in seen]
    assert kinds.index("bar") < len(kinds) - 1 - kinds[::-1].index("historical")


def _restart(gateway: RunningGateway, folder: Path) -> None:
    """Let the gateway go away and come back, by asking for what its scenario has waited for."""
    settings = IbkrSettings.from_environment(
        host=gateway.host, port=gateway.port, client_id=90, client_ids=1, retries=0, reconnect_s=0.0, state=folder / "restart"
    )
    with IbkrGateway(settings) as broker:
        try:
            broker.contract_details(contract_of("AAPL.NASDAQ"))
        except MarketDataError:
            return
    raise AssertionError("the gateway did not restart")
