"""A warm-up that cannot have what it wants: it says why and for how long, and the node goes on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from market_data_pipeline.sources.ibkr import Hours
from market_data_pipeline_tests.gateway import RunningGateway, start_gateway
from market_data_pipeline_tests.live.trading_node import NodeSettings, RunningNode, start_node
from market_data_pipeline_tests.live.warm_up import (
    PAIR,
    PAIR_15,
    STOCK_15,
    crossover,
    eager,
    environment,
    fill,
    free_port,
    seen_by,
    series_status,
    status,
    strategy_status,
    truth_of,
    wait_for_status,
    warmed_node,
)

# Currencies trade through the night: a minute takes 67 ms.
NIGHT = ("--now", "2024-06-04T00:10Z", "--speed", "900", "--no-pacing")
MORNING = ("--now", "2024-06-03T13:50Z", "--speed", "450", "--no-pacing")
NAME = "Eager-EAGER"
OWN_CLIENT = 40  # the warm-up's own connections begin here


@contextmanager
def gateway(folder: Path, *faults: str, at: tuple[str, ...] = NIGHT) -> Iterator[RunningGateway]:
    """A gateway at which something goes wrong with the warm-up's own connection: YAML of faults."""
    scenario = folder / "scenario.yaml"
    scenario.write_text("faults:\n" + "".join(f"  - {{client: {OWN_CLIENT}, {fault}}}\n" for fault in faults) if faults else "faults: []\n")
    with start_gateway(folder / "gateway", *at, "--scenario", str(scenario)) as running:
        yield running


@contextmanager
def node(folder: Path, settings: NodeSettings, **variables: str) -> Iterator[RunningNode]:
    with start_node(folder / "node", settings, environment=environment(folder, **variables)) as running:
        yield running


def natural(running: RunningNode, folder: Path, bar_type: str) -> str:
    """Wait until the node goes on without history; return the reasons."""
    found = wait_for_status(running, folder, bar_type, state="open")
    assert (found["given"], bool(found["natural_until"])) == (0, True)
    assert not running.lines("historical")
    return str("; ".join(found["reasons"]))


def test_with_neither_catalog_nor_gateway_it_warms_up_on_live_bars_and_says_until_when(tmp_path: Path) -> None:
    port = free_port()
    with gateway(tmp_path) as running:
        settings = warmed_node(running, tmp_path, eager(PAIR, trades=True, period=5), settings={"time_limit_s": 1.5}, ibkr={"port": port})
        with node(tmp_path, settings) as started:
            reasons = natural(started, tmp_path, PAIR)
            started.wait_for("order", event="OrderFilled")
            lines = started.lines()
            said = started.output()
    assert f"No IB Gateway listens at 127.0.0.1:{port}" in reasons
    assert "0 bars of history given, 5 are needed" in said
    assert "It goes on with live bars, and is warm until about" in said
    live = [line for line in lines if line["kind"] == "bar"]
    orders = [line for line in lines if line["kind"] == "order"]
    assert lines.index(orders[0]) > lines.index(live[4])
    assert [line["fed"] for line in live] == list(range(1, len(live) + 1))


@pytest.mark.slow
@pytest.mark.parametrize("what", ["do: drop-middle", "do: drop-before", "do: error, code: 165", "do: silence", "do: restart, seconds: 3"])
def test_a_gateway_that_fails_in_the_middle_of_the_tail_and_comes_back_makes_it_ready(tmp_path: Path, what: str) -> None:
    with gateway(tmp_path, f"kind: history, at: 2, {what}", at=MORNING) as running:
        with node(tmp_path, warmed_node(running, tmp_path, crossover()), IB_REQUEST_TIMEOUT="5") as started:
            (ready,) = started.wait_for("ready", within_s=120)
            started.wait_for("bar", 2, within_s=240)
            lines = started.lines()
        statistics = running.statistics()
        truth = truth_of(running, tmp_path, STOCK_15, 500)
    assert sum(statistics["faults"].values()) == 1
    assert ready["seen"] == {STOCK_15: 312}
    truth.holds(seen_by(lines, "Crossover-SMA", STOCK_15))


@pytest.mark.slow
def test_a_gateway_that_goes_away_for_good_ends_the_waiting_after_the_time_limit(tmp_path: Path) -> None:
    with gateway(tmp_path, "kind: history, at: 2, do: restart, seconds: 3600", at=MORNING) as running:
        settings = warmed_node(running, tmp_path, crossover(), settings={"time_limit_s": 6})
        with node(tmp_path, settings) as started:
            started.wait_for("started")
            found = wait_for_status(started, tmp_path, STOCK_15, state="open")
            (begun,) = started.lines("started")
            assert started.lines("ready") == []
            assert strategy_status(tmp_path, "Crossover-SMA")["state"] == "WARMING_UP"
            took = started.lines("state")[-1]["at"] - begun["at"]
            started.stop()
    assert found["given"] < 260
    assert found["natural_until"]
    assert "The time limit of 6 s is over. The last that was told:" in found["reasons"][0]
    assert "The gateway does not answer yet" in found["reasons"][0]
    assert took < 60


@pytest.mark.slow
def test_several_series_share_one_time_limit(tmp_path: Path) -> None:
    """Those that are next in line are given up with the first: a hole that is to be mended later does not wait behind them."""
    with gateway(tmp_path) as running:
        strategies = [eager(bar_type, tag=f"{number}", period=5) for number, bar_type in enumerate((PAIR, PAIR_15, STOCK_15))]
        settings = warmed_node(running, tmp_path, *strategies, settings={"time_limit_s": 4}, ibkr={"port": free_port()})
        with node(tmp_path, settings) as started:
            reasons = [wait_for_status(started, tmp_path, bar_type, state="open")["reasons"] for bar_type in (PAIR, PAIR_15, STOCK_15)]
            assert "no history within" not in started.output()
    assert all("No IB Gateway listens" in each[0] for each in reasons)


@pytest.mark.slow
def test_a_node_whose_own_client_finds_no_gateway_says_that_no_strategy_starts(tmp_path: Path) -> None:
    with gateway(tmp_path) as running:
        settings = warmed_node(running, tmp_path, eager(PAIR), port=free_port(), connection_timeout_s=4)
    with node(tmp_path, settings, IB_MAX_CONNECTION_ATTEMPTS="1") as started:
        started.wait_until(lambda: "no strategy has asked for its bars" in started.output(), "reason")
        assert started.lines("started") == []
        assert status(tmp_path)["state"] == "INITIALIZING"
        assert f"Is the gateway at 127.0.0.1:{settings.port} up? Look with: mdp ibkr status." in status(tmp_path)["doing"]


def test_that_is_off_leaves_everything_to_nautilus(tmp_path: Path) -> None:
    with gateway(tmp_path) as running:
        settings = warmed_node(running, tmp_path, eager(PAIR, period=3), settings={"enabled": False})
        with node(tmp_path, settings) as started:
            (ready,) = started.wait_for("ready")
            lines = started.lines()
            assert "Warm-up is off" in started.output()
    assert ready["seen"] == {PAIR: 3}
    assert not [line for line in lines if line["kind"] == "historical"]
    assert not (tmp_path / "status.json").exists()


@pytest.mark.slow
def test_the_catalog_alone_asks_no_gateway(tmp_path: Path) -> None:
    with gateway(tmp_path) as running:
        settings = warmed_node(running, tmp_path, eager(PAIR), settings={"sources": ["catalog"]})
        with node(tmp_path, settings) as started:
            reasons = natural(started, tmp_path, PAIR)
            started.wait_for("bar", 2)
        accepted = running.statistics()["connections"]["accepted"]
    assert accepted == 1
    assert "Allow the source ibkr" in reasons


@pytest.mark.slow
def test_that_stores_nothing_leaves_no_catalog(tmp_path: Path) -> None:
    with gateway(tmp_path) as running:
        with node(tmp_path, warmed_node(running, tmp_path, eager(PAIR), settings={"store": False})) as started:
            started.wait_for("ready")
            started.wait_for("bar", 3)
            lines = started.lines()
        truth_of(running, tmp_path, PAIR, 500).holds(seen_by(lines, NAME, PAIR))
    assert not (tmp_path / "catalog").exists()


@pytest.mark.slow
def test_bars_of_other_hours_are_not_mixed_in(tmp_path: Path) -> None:
    with gateway(tmp_path, at=MORNING) as running:
        fill(running, tmp_path / "catalog", STOCK_15, 400, Hours.ALL)
        with node(tmp_path, warmed_node(running, tmp_path, crossover())) as started:
            reasons = natural(started, tmp_path, STOCK_15)
    assert "is stored with all hours, and rth hours are asked for. They are never mixed" in reasons


@pytest.mark.slow
def test_a_client_that_sends_forming_bars_is_refused_in_words(tmp_path: Path) -> None:
    with gateway(tmp_path) as running, node(tmp_path, warmed_node(running, tmp_path, eager(PAIR), revised_bars=True)) as started:
        (refused,) = started.wait_for("refused")
        assert started.process.wait(60) != 0
    assert "Set handle_revised_bars=False, Nautilus' default." in refused["text"]
    assert series_status(tmp_path, PAIR) == {}


@pytest.mark.slow
def test_a_node_that_is_stopped_while_history_is_on_its_way_does_not_wait_for_it(tmp_path: Path) -> None:
    slow = "kind: history, do: slow, seconds: 1000"
    with gateway(tmp_path, slow, at=MORNING) as running, node(tmp_path, warmed_node(running, tmp_path, crossover())) as started:
        started.wait_until(lambda: "asking IBKR for" in started.output(), "question")
        assert started.stop() == 0
    assert (status(tmp_path)["state"], status(tmp_path)["doing"]) == ("WARMING_UP", "stopped")
    assert not started.lines("bar")
