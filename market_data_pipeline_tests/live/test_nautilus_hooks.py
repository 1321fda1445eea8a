"""What of Nautilus a warm-up may rely on: which overrides are called, and that a function can stand between client and engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from market_data_pipeline_tests.gateway import start_gateway
from market_data_pipeline_tests.live.trading_node import NodeSettings, recorder, start_node, strategy

BAR_TYPE = "AAPL.NASDAQ-1-MINUTE-LAST-EXTERNAL"
_HERE = "market_data_pipeline_tests.live"

type Line = dict[str, Any]


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Line]]:
    """What a strategy with overrides told until its sixth live bar."""
    folder = tmp_path_factory.mktemp("hooks")
    hooked = strategy(f"{_HERE}.hooks:Hooked", f"{_HERE}.strategies:RecorderConfig", {"order_id_tag": "000", "bar_types": [BAR_TYPE]})
    with start_gateway(folder / "gateway", "--now", "2024-06-03T14:00Z", "--speed", "120", "--no-pacing") as gateway:
        settings = NodeSettings(gateway.host, gateway.port, ("AAPL.NASDAQ",), (hooked,), prepare=f"{_HERE}.hooks:stand_between")
        with start_node(folder / "node", settings) as node:
            node.wait_for("bar", 6)
            node.wait_for("order", 2, event="OrderFilled")
            assert node.stop() == 0
            yield node.lines()


def _of(lines: list[Line], kind: str) -> list[Line]:
    return [line for line in lines if line["kind"] == kind]


def test_nautilus_calls_the_override_for_live_bars_and_for_history(lines: list[Line]) -> None:
    """History in order, each bar once, and never `on_bar`; the indicator is fed by both."""
    handled = _of(lines, "handle_bar")
    live = [line["ts_event"] for line in handled if not line["historical"]]
    assert len([line for line in handled if line["historical"]]) == 10
    assert live == [bar["ts_event"] for bar in _of(lines, "bar")]
    assert [bar["average_of"] for bar in _of(lines, "bar")] == list(range(11, 11 + len(live)))


def test_overrides_that_a_strategy_calls_itself_are_called(lines: list[Line]) -> None:
    assert [line["bar_type"] for kind in ("register_indicator_for_bars", "subscribe_bars") for line in _of(lines, kind)] == [BAR_TYPE] * 2


def test_closing_positions_goes_through_the_override_of_submit_order(lines: list[Line]) -> None:
    assert [line["side"] for line in _of(lines, "submit_order")] == ["BUY", "SELL"]


def test_a_node_stops_by_itself_after_so_many_bars(tmp_path: Path) -> None:
    with start_gateway(tmp_path / "gateway", "--now", "2024-06-03T14:00Z", "--speed", "300", "--no-pacing") as gateway:
        settings = NodeSettings(gateway.host, gateway.port, ("AAPL.NASDAQ",), (recorder(BAR_TYPE),), stop_after_bars={BAR_TYPE: 3})
        with start_node(tmp_path / "node", settings) as node:
            node.wait_for("disposed")
            assert node.process.wait(30) == 0
            assert len(node.lines("published")) >= 3


def test_the_sandbox_fills_from_bars(lines: list[Line]) -> None:
    events = [line["event"] for line in _of(lines, "order")]
    assert events == ["OrderInitialized", "OrderSubmitted", "OrderFilled"] * 2


def test_a_function_can_stand_between_client_and_engine(lines: list[Line]) -> None:
    """It sees each live bar before anybody else, and who subscribes to it."""
    passing, published = _of(lines, "passing"), _of(lines, "published")
    assert [line["ts_event"] for line in passing][: len(published)] == [line["ts_event"] for line in published]
    assert {owner for line in passing for owner in line["owners"]} == {"Hooked-000"}
    assert lines.index(passing[0]) < lines.index(published[0])
