"""Several strategies and bar types in one trading node: history and live bars reach each of them once, and nobody trades early."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from market_data_pipeline_tests.gateway import start_gateway
from market_data_pipeline_tests.live.trading_node import start_node
from market_data_pipeline_tests.live.warm_up import (
    PAIR,
    PAIR_15,
    STOCK_15,
    Line,
    Truth,
    crossover,
    eager,
    environment,
    opens,
    seen_by,
    status,
    truth_of,
    warmed_node,
    watcher,
)

# Currencies trade through the night: a minute takes 67 ms.
NIGHT = ("--now", "2024-06-04T00:10Z", "--speed", "900", "--no-pacing")
SHARED = ("Crossover-SMA", "Eager-EAGER", "Watcher-WATCHER")
TWO = "Eager-TWO"
DAY = "AAPL.NASDAQ-1-DAY-LAST-EXTERNAL"


@dataclass(frozen=True)
class Night:
    """A node with four strategies, killed as by a loss of power and started again.

    Attributes:
        first: What the first told.
        second: What the second told.
        status: What the second's status file said in the end.
        truth: What the gateway's history says afterwards.
        minutes: The same of bars of a minute.
    """

    first: list[Line]
    second: list[Line]
    status: dict[str, Any]
    truth: Truth
    minutes: Truth


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    folder = tmp_path_factory.mktemp("strategies")
    strategies = (crossover(PAIR_15), eager(PAIR_15, trades=True), watcher(PAIR_15), eager(PAIR_15, PAIR, tag="TWO", period=50))
    with start_gateway(folder / "gateway", *NIGHT) as gateway:
        settings = warmed_node(gateway, folder, *strategies)
        with start_node(folder / "first", settings, environment=environment(folder)) as node:
            node.wait_for("bar", 3, within_s=240, strategy=SHARED[0])
            node.wait_for("order", within_s=240, event="OrderFilled")
            node.kill()
            first = node.lines()
        with start_node(folder / "second", settings, environment=environment(folder)) as node:
            node.wait_for("bar", 3, within_s=240, strategy=SHARED[0])
            assert node.stop() == 0
            second = node.lines()
        yield Night(first, second, status(folder), truth_of(gateway, folder / "15", PAIR_15, 700), truth_of(gateway, folder / "1", PAIR, 1_500))


def _of(lines: list[Line], strategy_id: str, *kinds: str) -> list[Line]:
    return [line for line in lines if line["kind"] in kinds and line.get("strategy") == strategy_id]


@pytest.mark.parametrize("name", SHARED)
def test_strategies_on_one_bar_type_see_each_bar_once(night: Night, name: str) -> None:
    """With the mixin or without it, and whatever they need themselves."""
    for lines in (night.first, night.second):
        seen = seen_by(lines, name, PAIR_15)
        assert sum(line["kind"] == "historical" for line in seen) == 312
        night.truth.holds(seen)
    assert opens(seen_by(night.second, name, PAIR_15)) == opens(seen_by(night.second, SHARED[0], PAIR_15))


@pytest.mark.parametrize("name", [*SHARED[1:], TWO])
def test_indicators_are_fed_each_bar_once(night: Night, name: str) -> None:
    for lines in (night.first, night.second):
        for bar_type in {line["bar_type"] for line in _of(lines, name, "bar")}:
            fed = [line["fed"] for line in seen_by(lines, name, bar_type)]
            assert fed == list(range(1, len(fed) + 1))


def test_all_are_ready_before_their_first_live_bar(night: Night) -> None:
    for lines in (night.first, night.second):
        for name in (*SHARED[:2], TWO):
            (ready,) = _of(lines, name, "ready")
            assert lines.index(ready) < lines.index(_of(lines, name, "bar")[0])


def test_history_of_two_bar_types_comes_as_they_closed(night: Night) -> None:
    for lines in (night.first, night.second):
        history = _of(lines, TWO, "historical")
        assert {line["bar_type"] for line in history} == {PAIR_15, PAIR}
        assert all(earlier["ts_init"] <= later["ts_init"] for earlier, later in pairwise(history))
        night.minutes.holds(seen_by(lines, TWO, PAIR))


def test_after_a_loss_of_power_it_goes_on_where_it_stopped(night: Night) -> None:
    """The bars since come as history, none is missing, and none comes twice."""
    first, second = (seen_by(lines, SHARED[0], PAIR_15) for lines in (night.first, night.second))
    night.truth.holds([line for line in first if line["ts_event"] < second[0]["ts_event"]] + second)
    assert first[-1]["ts_event"] in opens(line for line in second if line["kind"] == "historical")


def test_no_order_leaves_before_ready_and_the_first_live_bar_is_traded(night: Night) -> None:
    """It tried at each of 312 bars of history; the last of these made it ready, and history is not traded on."""
    for lines in (night.first, night.second):
        orders = [line for line in lines if line["kind"] == "order"]
        live = _of(lines, SHARED[1], "bar")
        assert lines.index(orders[0]) > lines.index(live[0])
        assert [line["event"] for line in orders[:3]] == ["OrderInitialized", "OrderSubmitted", "OrderFilled"]
    refused = {one["strategy_id"]: one["orders_refused"] for one in night.status["strategies"]}
    assert refused == {SHARED[0]: 0, SHARED[1]: 312, TWO: 0}


@pytest.mark.slow
def test_days_and_minutes_in_one_strategy_leave_out_the_day_that_is_trading(tmp_path: Path) -> None:
    """At 14:00 New York of Monday the last whole day is Friday."""
    with start_gateway(tmp_path / "gateway", "--now", "2024-06-03T18:00Z", "--speed", "450", "--no-pacing") as gateway:
        with start_node(
            tmp_path / "node", warmed_node(gateway, tmp_path, eager(STOCK_15, DAY, period=50)), environment=environment(tmp_path)
        ) as node:
            node.wait_for("ready")
            node.wait_for("bar", 2)
            lines = node.lines()
        truth_of(gateway, tmp_path, STOCK_15, 200).holds(seen_by(lines, SHARED[1], STOCK_15))
        truth_of(gateway, tmp_path / "days", DAY, 100).holds(seen_by(lines, SHARED[1], DAY))
    history = _of(lines, SHARED[1], "historical")
    assert all(earlier["ts_init"] <= later["ts_init"] for earlier, later in pairwise(history))
    friday = int(dt.datetime(2024, 5, 31, tzinfo=dt.UTC).timestamp()) * 10**9
    assert seen_by(history, SHARED[1], DAY)[-1]["ts_event"] == friday


@pytest.mark.slow
def test_two_nodes_on_one_catalog_are_warmed_at_once(tmp_path: Path) -> None:
    """One writes a series at a time; the other waits, and finds it stored."""
    with start_gateway(tmp_path / "gateway", "--now", "2024-06-03T13:50Z", "--speed", "450", "--no-pacing") as gateway:
        one = warmed_node(gateway, tmp_path, crossover())
        two = replace(one, client_id=22, prepare_settings={**one.prepare_settings, "status_file": None})
        with (
            start_node(tmp_path / "one", one, environment=environment(tmp_path)) as first,
            start_node(tmp_path / "two", two, environment=environment(tmp_path)) as second,
        ):
            for node in (first, second):
                node.wait_for("ready")
                node.wait_for("bar", 2)
            told = [seen_by(node.lines(), SHARED[0], STOCK_15) for node in (first, second)]
        truth = truth_of(gateway, tmp_path, STOCK_15, 500)
    for seen in told:
        assert sum(line["kind"] == "historical" for line in seen) == 312
        truth.holds(seen)
