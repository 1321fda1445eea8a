"""A real trading node with Nautilus' own client at a gateway on a fast clock: ready before its first live bar, also after a restart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from market_data_pipeline_tests.gateway import start_gateway
from market_data_pipeline_tests.live.trading_node import start_node
from market_data_pipeline_tests.live.warm_up import STOCK_15, Line, Truth, crossover, environment, opens, seen_by, status, truth_of, warmed_node

NAME = "Crossover-SMA"
# Just after the open: a bar takes two seconds, and the session lasts 52.
MONDAY = ("--now", "2024-06-03T13:31Z", "--speed", "450", "--no-pacing")
LIVE_BARS = 10


@dataclass(frozen=True)
class Story:
    """Two runs of a node, the second after Ctrl-C.

    Attributes:
        first: What the first told.
        second: What the second told.
        statuses: What the status file said at the end of each.
        truth: What the gateway's history says afterwards.
    """

    first: list[Line]
    second: list[Line]
    statuses: list[dict[str, Any]]
    truth: Truth


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    folder = tmp_path_factory.mktemp("warm-up")
    statuses = []
    with start_gateway(folder / "gateway", *MONDAY) as gateway:
        settings = warmed_node(gateway, folder, crossover())
        with start_node(folder / "first", settings, environment=environment(folder)) as node:
            node.wait_for("bar", LIVE_BARS, within_s=240)
            assert node.stop() == 0
            first = node.lines()
        statuses.append(status(folder))
        with start_node(folder / "second", settings, environment=environment(folder)) as node:
            node.wait_for("bar", 3, within_s=240)
            assert node.stop() == 0
            second = node.lines()
        statuses.append(status(folder))
        yield Story(first, second, statuses, truth_of(gateway, folder, STOCK_15, 700))


def kinds(lines: list[Line], *wanted: str) -> list[Line]:
    return [line for line in lines if line["kind"] in wanted]


def test_it_is_ready_before_the_first_live_bar(story: Story) -> None:
    for lines in (story.first, story.second):
        (ready,) = kinds(lines, "ready")
        assert ready["seen"] == {STOCK_15: 312}
        assert lines.index(ready) < lines.index(kinds(lines, "bar")[0])
        assert [line["state"] for line in kinds(lines, "state")] == ["WARMING_UP", "READY"]


def test_history_and_live_bars_come_once_each_in_order_and_as_history_tells_them_later(story: Story) -> None:
    for lines in (story.first, story.second):
        seen = seen_by(lines, NAME, STOCK_15)
        assert len(kinds(seen, "historical")) == 312
        story.truth.holds(seen)


def test_averages_equal_those_of_a_backtest_to_the_last_bit(story: Story) -> None:
    """A backtest that begins with the first bar of history, and one that begins weeks before."""
    for lines in (story.first, story.second):
        seen = seen_by(lines, NAME, STOCK_15)
        live = kinds(seen, "bar")
        newest = kinds(seen, "historical")[-1]
        for since in (seen[0]["ts_event"], 0):
            averages = story.truth.averages(since)
            assert kinds(lines, "ready")[0]["averages"] == averages[newest["ts_event"]]
            assert [bar["averages"] for bar in live] == [averages[bar["ts_event"]] for bar in live]
    assert story.truth.bars[0].ts_event < seen_by(story.first, NAME, STOCK_15)[0]["ts_event"] - 14 * 86_400 * 10**9


def test_a_restart_in_the_middle_of_a_bar_leaves_no_hole_and_repeats_nothing(story: Story) -> None:
    first, second = (seen_by(lines, NAME, STOCK_15) for lines in (story.first, story.second))
    live_before = opens(kinds(first, "bar"))
    live_after = opens(kinds(second, "bar"))
    assert live_before[-1] < live_after[0]
    assert set(live_before) <= set(opens(kinds(second, "historical")))
    story.truth.holds([line for line in first if line["ts_event"] < second[0]["ts_event"]] + second)


def test_what_is_stored_is_not_asked_for_again(story: Story) -> None:
    """The second time only the session that is trading."""
    before, after = (one["series"][0] for one in story.statuses)
    assert before["from_catalog"] == 0
    assert after["requests"] == 1
    assert after["from_catalog"] >= 312 - 26
    assert [one["state"] for one in story.statuses] == ["READY", "READY"]
    assert story.statuses[1]["strategies"][0]["seconds_to_ready"] < 60
