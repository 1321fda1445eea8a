"""How big the catalogs are that are measured."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from market_data_pipeline.domain.bar_types import Series


@dataclass(frozen=True)
class Scale:
    """The size of a run.

    Attributes:
        first, last: Dates of the big catalog's sessions, both inclusive.
        symbols: How many of them.
        year: First and last date of the backtest, in the big catalog.
        growing: Numbers of symbols at which the growing catalog is measured, rising.
        growing_first, growing_last: Dates of its sessions, both inclusive.
        rounds: How often what takes less than a second is measured.
    """

    first: dt.date = dt.date(2014, 1, 2)
    last: dt.date = dt.date(2023, 12, 29)
    symbols: int = 20
    year: tuple[dt.date, dt.date] = (dt.date(2023, 1, 3), dt.date(2023, 12, 29))
    growing: tuple[int, ...] = (1, 10, 100)
    growing_first: dt.date = dt.date(2023, 1, 3)
    growing_last: dt.date = dt.date(2023, 12, 29)
    rounds: int = 5


def series_of(number: int) -> Series:
    """Return the series of the symbol with this number, from 0."""
    return Series.of(f"S{number:03}.NASDAQ", "1-MINUTE-LAST")
