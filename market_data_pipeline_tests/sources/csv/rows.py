"""Bars out of a source as a person would list them."""

from __future__ import annotations

from market_data_pipeline.domain.bar_table import BarTable
from market_data_pipeline.sources.csv import CsvBars
from market_data_pipeline_tests.instants import ns

HEADER = "timestamp,open,high,low,close,volume\n"


def table(bars: CsvBars) -> BarTable:
    """Return the bars of all sessions."""
    return BarTable.concatenate([answer.bars for answer in bars.answers()])


def opens(bars: CsvBars) -> list[int]:
    return [int(t) for t in table(bars).ts_event]


def closes(bars: CsvBars) -> list[int]:
    return [int(t) for t in table(bars).ts_init]


def utc(*texts: str) -> list[int]:
    return [ns(text) for text in texts]


def bar(stamp: str, price: str = "10", volume: str = "1") -> str:
    """Return a line whose four prices are equal."""
    return f"{stamp},{price},{price},{price},{price},{volume}\n"
