"""Catalogs of whole months, small: thirty bars a session. February 2024 had 20 NYSE sessions, March 20 (calendar of the NYSE)."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from market_data_pipeline.calendars import partitions_of
from market_data_pipeline.catalog import Catalog
from market_data_pipeline.catalog.compaction import Compacted, Direction, compact
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.coverage import SessionAnswer
from market_data_pipeline_tests.catalog.bar_making import AAPL, answer, empty, regular, store

FEBRUARY = partitions_of(AAPL).dates_between(dt.date(2024, 2, 1), dt.date(2024, 2, 29))
MARCH = partitions_of(AAPL).dates_between(dt.date(2024, 3, 1), dt.date(2024, 3, 31))
EMPTY = (dt.date(2024, 2, 1), dt.date(2024, 2, 14), dt.date(2024, 2, 29))
"""Sessions of February without bars: its first, one inside, and its last."""

FEBRUARY_FILE = "2024-02-01T01-00-00-000000001Z_2024-03-01T01-00-00-000000000Z.parquet"
"""From the end of post-market hours on 31 January, 20:00 New York, to that on 29 February."""

LATER = 1_735_689_600_000_000_000
"""2025-01-01 00:00 UTC: both months are over."""


def short(date: dt.date, seed: int = 0, bars: int = 30, series: Series = AAPL) -> SessionAnswer:
    """Return a whole answer of a session that traded `bars` times, with a hole of half an hour that a thin share can have."""
    found = regular(series, date, seed)
    return answer(series, date, found.take(found.ts_event % 13 != 5).slice(0, bars))


def february(root: Path, march: int = 3) -> Catalog:
    """Store February 2024, three of its sessions empty, and the first sessions of March."""
    catalog = Catalog.open(root)
    store(catalog, *(empty(AAPL, date) if date in EMPTY else short(date) for date in FEBRUARY), *(short(date) for date in MARCH[:march]))
    return catalog


def joined(catalog: Catalog, series: Series = AAPL, *, dry: bool = False) -> Compacted:
    """Join files, as on the first of January 2025."""
    done = compact(catalog, series, Direction.JOIN, LATER, dry=dry, quiet_s=0)
    assert done is not None
    return done


def taken_apart(catalog: Catalog, series: Series = AAPL) -> Compacted:
    """Take files apart again."""
    done = compact(catalog, series, Direction.UNDO, LATER, quiet_s=0)
    assert done is not None
    return done
