"""Invented series that several exporters write: days of a winter, and the week in which New York moved its clocks."""

from __future__ import annotations

import random
from collections.abc import Callable

from market_data_pipeline_tests.sources.csv.files.market import (
    Bar,
    Clock,
    decimal,
    midnights,
    stock_times,
    walk,
    weekdays,
)

UTC, ATHENS, MOSCOW = Clock("UTC"), Clock("Europe/Athens"), Clock("Europe/Moscow")
# New York moved its clocks on 2024-03-10, Europe on 2024-03-31.
MARCH = weekdays("2024-03-07", "2024-03-13")
WINTER_DAYS = weekdays("2024-01-02", "2024-02-09", ["2024-01-15"])


def shares(luck: random.Random) -> int:
    return luck.randint(100, 90_000)


def lots(luck: random.Random) -> int:
    return luck.randint(100, 99_999)


def ticks(luck: random.Random) -> int:
    return luck.randint(1, 400) * 100


def coins(luck: random.Random) -> int:
    return luck.randint(1_000, 90_000_000)


def none(_: random.Random) -> int:
    return 0


def days(seed: int, swing: int = 150) -> list[Bar]:
    return walk(midnights(WINTER_DAYS), 18_500, swing, lambda luck: luck.randint(30_000_000, 90_000_000), seed)


def stocks(step_s: int, seed: int, keep: float = 1.0, hours: tuple[str, str] = ("09:30", "16:00")) -> list[Bar]:
    return walk(stock_times(MARCH, step_s, *hours, keep=keep, seed=seed), 17_000, 9, shares, seed)


def cents(bar: Bar, write: Callable[[int, int], str] = decimal, decimals: int = 2) -> list[str]:
    return [write(value, decimals) for value in (bar.open, bar.high, bar.low, bar.close)]
