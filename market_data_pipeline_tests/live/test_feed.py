"""Feeds with Nautilus' own bars: what reaches whom, in which order, and when bars are missed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from nautilus_trader.model.data import Bar, BarType
from nautilus_trader.model.objects import Price, Quantity

from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.live.feed import FeedState, Hole, SeriesFeed, open_together
from market_data_pipeline.live.need import Need
from market_data_pipeline.live.trading_hours import TradingHours
from market_data_pipeline_tests.instants import ns

MINUTE = 60_000_000_000
SERIES = Series.parse("AAPL.NASDAQ-1-MINUTE-LAST-EXTERNAL")
BAR_TYPE = BarType.from_str(SERIES.bar_type)
OPEN = ns("2024-01-05 14:30")  # 09:30 New York
LATER = OPEN + 100 * MINUTE


def bar(number: int, start: int = OPEN) -> Bar:
    """The bar of the minute `number` after the open."""
    price = Price(100 + number / 100, 2)
    return Bar(BAR_TYPE, price, price, price, price, Quantity(1, 0), start + number * MINUTE, start + (number + 1) * MINUTE)


def bars(*numbers: int) -> list[Bar]:
    return [bar(number) for number in numbers]


def minutes(seen: list[Any]) -> list[int]:
    return [(each.ts_event - OPEN) // MINUTE for each in seen]


@dataclass
class Subscriber:
    """What an actor is to a feed: someone who takes history."""

    seen: list[Bar] = field(default_factory=list)

    def handle_historical_bar(self, bar: Bar) -> None:
        self.seen.append(bar)


@dataclass
class Bench:
    """A feed, and what came out of it."""

    forwarded: list[Bar] = field(default_factory=list)
    cached: list[Bar] = field(default_factory=list)
    first: Any = field(default_factory=Subscriber)
    second: Any = field(default_factory=Subscriber)

    def __post_init__(self) -> None:
        hours = TradingHours.of(SERIES, None, None)
        self.feed = SeriesFeed(Need(SERIES, 5), 6, hours.bars_between, hours.earliest_close, self.forward, self.cached.extend)
        self.feed.gather()

    def forward(self, each: Bar) -> None:
        self.forwarded.append(each)
        self.feed.published(each)

    def live(self, *numbers: int) -> Hole | None:
        for number in numbers:
            if (hole := self.feed.live(bar(number), LATER)) is not None:
                return hole
        return None

    def opened(self, *numbers: int) -> Hole | None:
        return self.opened_for(bars(*numbers), self.first, self.second)

    def opened_for(self, history: list[Bar], *subscribers: Any) -> Hole | None:
        holes = open_together([(self.feed, history, history[-1].ts_init if history else None, subscribers)], LATER)
        return holes[0][1] if holes else None


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_live_bars_are_held_until_history_has_been_given(bench: Bench) -> None:
    bench.live(5, 6)
    assert bench.forwarded == []
    assert bench.opened(0, 1, 2, 3, 4) is None
    assert minutes(bench.first.seen) == minutes(bench.second.seen) == minutes(bench.cached) == [0, 1, 2, 3, 4]
    assert minutes(bench.forwarded) == [5, 6]
    assert bench.feed.held_at_most == 2


@pytest.mark.parametrize("overlap", [1, 20])
def test_bars_that_history_has_too_are_dropped(bench: Bench, overlap: int) -> None:
    bench.live(*range(30 - overlap, 33))
    bench.opened(*range(30))
    assert minutes(bench.forwarded) == [30, 31, 32]
    assert bench.feed.gate.seen == overlap


def test_a_bar_that_is_forming_is_dropped_and_taken_when_it_has_closed(bench: Bench) -> None:
    bench.opened(0, 1)
    bench.feed.live(bar(2), bar(2).ts_event + MINUTE // 2)
    assert bench.forwarded == []
    bench.feed.live(bar(2), bar(2).ts_init)
    assert minutes(bench.forwarded) == [2]


def test_bars_between_history_and_the_first_live_bar_are_asked_for_and_given_as_history(bench: Bench) -> None:
    bench.opened(0, 1, 2)
    hole = bench.live(5)
    assert hole == Hole(2, bar(2).ts_init, bar(5).ts_event)
    assert bench.feed.state is FeedState.MENDING
    bench.live(6)
    assert bench.feed.mended(bars(1, 2, 3, 4, 5, 6), LATER) is None
    assert minutes(bench.first.seen) == [0, 1, 2, 3, 4]
    assert minutes(bench.forwarded) == [5, 6]


def test_a_hole_that_cannot_be_mended_is_passed_and_not_asked_for_again(bench: Bench) -> None:
    bench.opened(0, 1, 2)
    bench.live(5)
    assert bench.feed.mended([], LATER) is None
    assert minutes(bench.forwarded) == [5]
    assert bench.live(6) is None


def test_held_bars_with_a_hole_of_their_own_are_mended_one_hole_after_the_other(bench: Bench) -> None:
    bench.feed.dense = True
    bench.live(4, 7)
    first = bench.opened(0, 1, 2)
    assert first == Hole(1, bar(2).ts_init, bar(4).ts_event)
    second = bench.feed.mended(bars(3), LATER)
    assert second == Hole(2, bar(4).ts_init, bar(7).ts_event)
    assert bench.feed.mended(bars(5, 6, 7), LATER) is None
    assert minutes(bench.forwarded) == [4, 7]
    assert minutes(bench.first.seen) == [0, 1, 2, 3, 5, 6]


def test_once_live_a_minute_without_a_bar_is_missing_only_where_every_minute_has_one(bench: Bench) -> None:
    bench.opened(0, 1, 2)
    assert bench.live(3, 5) is None  # thin: perhaps nobody traded
    bench.feed.dense = True
    assert bench.live(7) == Hole(1, bar(5).ts_init, bar(7).ts_event)


def test_a_weekend_is_no_hole() -> None:
    friday, monday = ns("2024-01-05 20:59"), ns("2024-01-08 14:30")
    bench = Bench()
    bench.opened_for([bar(0, friday)], bench.first)
    assert bench.feed.live(bar(0, monday), monday + MINUTE) is None
    assert bench.forwarded == [bar(0, monday)]


def test_without_history_live_bars_go_on(bench: Bench) -> None:
    bench.live(3, 3, 4)
    assert bench.opened() is None
    assert minutes(bench.forwarded) == [3, 4]
    assert bench.first.seen == []


def test_a_subscriber_that_comes_late_gets_what_the_others_have_seen(bench: Bench) -> None:
    bench.opened_for(bars(0, 1, 2), bench.first)
    bench.live(3, 4)
    bench.feed.late(bench.second)
    bench.feed.late(bench.second)
    assert minutes(bench.second.seen) == [0, 1, 2, 3, 4]
    assert minutes(bench.first.seen) == [0, 1, 2]


def test_who_subscribes_to_two_bar_types_gets_them_as_they_closed() -> None:
    five = BarType.from_str("AAPL.NASDAQ-5-MINUTE-LAST-EXTERNAL")
    coarse = Bar(five, *(bar(0).open,) * 4, Quantity(5, 0), OPEN, OPEN + 5 * MINUTE)
    finer, coarser = Bench(), Bench()
    holes = open_together([(finer.feed, bars(3, 4, 5), None, [finer.first]), (coarser.feed, [coarse], None, [finer.first, coarser.first])], LATER)
    assert holes == []
    assert [(each.bar_type.spec.step, each.ts_init) for each in finer.first.seen] == [
        (1, OPEN + 4 * MINUTE),
        (1, OPEN + 5 * MINUTE),
        (5, OPEN + 5 * MINUTE),
        (1, OPEN + 6 * MINUTE),
    ]
    assert coarser.first.seen == [coarse]
