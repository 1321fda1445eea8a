"""One file that must be taken, with all that is known of it without reading it."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from market_data_pipeline_tests.sources.csv.files.market import Bar, Clock

AAPL, MSFT, EURUSD, ES = "AAPL.NASDAQ", "MSFT.NASDAQ", "EUR/USD.IDEALPRO", "ESH4.CME"
BTCUSDT, BTCUSD = "BTC/USDT.BINANCE", "BTC/USD.BITSTAMP"

# Decimals of prices and sizes. MSFT stands for prices that were adjusted for splits, and have more decimals than the exchange's cent.
PRECISION = {AAPL: (2, 0), MSFT: (6, 0), EURUSD: (5, 2), ES: (2, 0), BTCUSDT: (2, 6), BTCUSD: (2, 8)}
DEFINITIONS = """instruments:
  - {id: "AAPL.NASDAQ", type: equity, currency: USD, price_precision: 2}
  - {id: "MSFT.NASDAQ", type: equity, currency: USD, price_precision: 6}
  - {id: "ESH4.CME", type: future, currency: USD, tick_size: 0.25, multiplier: 50, expiry: 2024-03-15}
  - {id: "BTC/USDT.BINANCE", type: crypto, base: BTC, quote: USDT, price_precision: 2, size_precision: 6}
  - {id: "BTC/USD.BITSTAMP", type: crypto, base: BTC, quote: USD, price_precision: 2, size_precision: 8}
"""
SECONDS = {"1-MINUTE": 60, "5-MINUTE": 300, "15-MINUTE": 900, "1-HOUR": 3_600, "1-DAY": 86_400}

Rows = Callable[[Bar, int, Clock], str]
"""Writes one bar: the bar, its number from 0, and the exporter's clock."""


@dataclass(frozen=True)
class Case:
    """A file as an exporter writes it.

    Attributes:
        name: Of the file; `.gz` is compressed.
        source: Where its form is described in public.
        instrument: Its instrument.
        spec: Its bars.
        bars: What it holds, in order of time.
        row: Writes one bar, with the rows of other symbols that stand beside it.
        clock: The exporter's.
        head: Lines before the first row.
        options: What the user has to say.
        layout: The name under which the layout is to be recognised; empty where nothing says one.
        newest_first: Rows run backwards.
        extra: Rows that hold no bar of the series, for a clock, by the number of the bar in front of which they stand.
        end: Of each line.
        encoding: Of the text.
    """

    name: str
    source: str
    instrument: str
    spec: str
    bars: Sequence[Bar]
    row: Rows
    clock: Clock
    head: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    layout: str = ""
    newest_first: bool = False
    extra: Callable[[Clock], dict[int, list[str]]] = lambda _: {}
    end: str = "\n"
    encoding: str = "utf-8"

    @property
    def length_s(self) -> int:
        """Seconds of a bar."""
        return SECONDS[self.spec.rpartition("-")[0]]

    @property
    def daily(self) -> bool:
        """Whether bars are dated and have no time of day."""
        return self.length_s == SECONDS["1-DAY"]

    def rows(self, clock: Clock | None = None) -> list[str]:
        """Return the lines of bars, as the exporter, or one with another clock, writes them."""
        clock = clock or self.clock
        extra, lines = self.extra(clock), list[str]()
        for i, bar in enumerate(self.bars):
            lines += extra.get(i, [])
            lines += self.row(bar, i, clock).split("\n")
        lines += extra.get(len(self.bars), [])
        return lines[::-1] if self.newest_first else lines

    def written(self, lines: Sequence[str] | None = None, head: Sequence[str] | None = None) -> bytes:
        """Return the file's bytes; `lines` and `head` in place of its own."""
        whole = [*(self.head if head is None else head), *(self.rows() if lines is None else lines)]
        text = "".join(f"{line}{self.end}" for line in whole).encode(self.encoding)
        return gzip.compress(text, mtime=0) if self.name.endswith(".gz") else text
