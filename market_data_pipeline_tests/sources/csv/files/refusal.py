"""What a file is of which nobody may take a bar, and the lines of such files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from market_data_pipeline_tests.sources.csv.files.case import AAPL
from market_data_pipeline_tests.sources.csv.files.invented import cents
from market_data_pipeline_tests.sources.csv.files.market import (
    NEW_YORK,
    Bar,
    Clock,
    decimal,
    weekdays,
)

HEADER = "timestamp,open,high,low,close,volume"
# Neither New York nor Europe moved its clocks in these weeks.
JANUARY = weekdays("2024-01-22", "2024-01-26")


@dataclass(frozen=True)
class Refusal:
    """A file that nobody may take as it stands.

    Attributes:
        name: Of the file.
        reason: Why it must be refused.
        content: Its bytes.
        says: Pieces of which the message has to hold at least one of each group; letter case does not matter.
        instrument: The instrument that it is said to hold.
        spec: The bars that it is said to hold.
        options: What the user says.
    """

    name: str
    reason: str
    content: bytes
    says: tuple[tuple[str, ...], ...]
    instrument: str = AAPL
    spec: str = "1-MINUTE-LAST"
    options: tuple[str, ...] = ()


def text(lines: Sequence[str], head: str | None = HEADER) -> bytes:
    return "".join(f"{line}\n" for line in ([head] if head else []) + list(lines)).encode()


def lines(bars: Sequence[Bar], length: int, clock: Clock, form: str = "%Y-%m-%d %H:%M:%S", decimals: int = 2, volume: int = 0) -> list[str]:
    return [f"{clock.stamp(bar, length):{form}},{','.join(cents(bar, decimal, decimals))},{decimal(bar.volume, volume)}" for bar in bars]


NY, UTC = Clock(NEW_YORK), Clock("UTC")
ZONE, STAMP, SYMBOL, LAYOUT = ("--timezone",), ("--stamp",), ("--symbol",), ("--layout",)
