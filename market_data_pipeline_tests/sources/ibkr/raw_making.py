"""Bars as a gateway gives them, made by hand."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import numpy as np

from market_data_pipeline.sources.ibkr.bars import RawBars

MINUTE_NS = 60_000_000_000


def utc_ns(text: str) -> int:
    """Return UTC nanoseconds of `2024-01-05T14:30`."""
    return int(dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC).timestamp()) * 1_000_000_000


def raw(opens: Sequence[int], price: float = 100.0, volume: float = 10.0) -> RawBars:
    """Return flat bars that open at these times."""
    values = np.tile(np.array([price, price, price, price, volume]), (len(opens), 1))
    return RawBars(np.array(opens, dtype=np.int64), values)


def minutes(start: str, count: int, price: float = 100.0) -> RawBars:
    """Return one flat bar a minute."""
    first = utc_ns(start)
    return raw([first + i * MINUTE_NS for i in range(count)], price)
