"""A project whose catalog holds every session of many instruments, and a Dagster home for it."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import yaml

from market_data_pipeline.calendars import partitions_of
from market_data_pipeline.catalog import Catalog
from market_data_pipeline.domain.bar_table import BarTable
from market_data_pipeline.domain.bar_types import DAY_NS, Series
from market_data_pipeline.domain.coverage import Coverage, Provenance, SessionAnswer
from market_data_pipeline.domain.quality import measure
from market_data_pipeline.domain.source import Precision
from market_data_pipeline_tests.conftest import REPOSITORY

SESSIONS = 2_500
UNIVERSE, SPEC = "stocks", "1-DAY-LAST"
ASSET = f"{UNIVERSE}/bars_1_day_last"
_CENTS = Precision(2, 0)


@dataclass(frozen=True)
class ScaleProject:
    """A universe of so many NYSE shares with daily bars of the newest 2,500 sessions, all stored.

    Daily bars, because Dagster and the ledger keep a row a session whatever is in it: a file each, as for minutes, and quickly made.
    """

    root: Path
    instruments: int

    @property
    def names(self) -> list[str]:
        """The instrument ids, in the watchlist's order."""
        return [f"S{number:03}.NASDAQ" for number in range(self.instruments)]

    @property
    def partitions(self) -> int:
        """Partitions of the bars asset that are stored."""
        return self.instruments * SESSIONS

    @property
    def environment(self) -> dict[str, str]:
        """The variables that make this project the one that Dagster and `mdp` look at; DAGSTER_HOME is another matter."""
        return {
            "MDP_CONFIG": str(self.root / "watchlist.yaml"),
            "MDP_BACKTEST_SPECS": str(self.root / "backtests"),
            "MDP_CATALOG": str(self.root / "catalog"),
            "MDP_BACKTESTS": str(self.root / "results"),
            "MDP_INBOX": str(self.root / "inbox"),
            "MDP_NOTIFICATIONS": str(self.root / "notifications.jsonl"),
            "IB_PACING_DB": str(self.root / "pacing.sqlite"),
        }

    def write(self) -> None:
        """Write the YAML files, and every session of every instrument into the catalog, by the project's own writer."""
        dates = newest_sessions()
        (self.root / "backtests").mkdir(parents=True)
        universe = {
            "calendar": "NYSE",
            "start": dates[0],
            "bars": [SPEC],
            "instruments": self.names,
            "source": {"csv": "csv/{instrument}-{bar}.csv"},
        }
        watchlist = {"instruments": "instruments.yaml", "universes": {UNIVERSE: universe}}
        (self.root / "watchlist.yaml").write_text(yaml.safe_dump(watchlist, sort_keys=False))
        definitions = [{"id": name, "type": "equity", "currency": "USD", "price_precision": 2} for name in self.names]
        (self.root / "instruments.yaml").write_text(yaml.safe_dump({"instruments": definitions}))
        (self.root / "csv").mkdir()
        rows = "".join(f"{date},100.00,100.50,99.50,100.10,1000\n" for date in dates)
        for name in self.names:
            (self.root / "csv" / f"{name}-{SPEC}.csv").write_text(f"date,open,high,low,close,volume\n{rows}")
        with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
            list(pool.map(_fill, [self.root / "catalog"] * self.instruments, self.names))

    def home(self, name: str) -> Path:
        """Make an empty Dagster home with the project's dagster.yaml."""
        home = self.root / name
        home.mkdir()
        shutil.copy(REPOSITORY / "dagster_home" / "dagster.yaml", home)
        return home


def newest_sessions() -> Sequence[dt.date]:
    """Return the dates of the newest sessions whose daily bar is final by now, oldest first."""
    partitions = partitions_of(Series.of("S000.NASDAQ", SPEC))
    over = partitions.closed_until(time.time_ns())
    first, last = (dt.date(1970, 1, 1) + dt.timedelta(days=int(partitions.days[place])) for place in (over - SESSIONS, over - 1))
    return partitions.dates_between(first, last)


def _fill(root: Path, name: str) -> None:
    setattr(os, "fsync", lambda _: None)  # noqa: B010 - it is not the writing that is measured here
    series = Series.of(name, SPEC)
    partitions = partitions_of(series)
    with Catalog.open(root).writer(series, _CENTS, Provenance("bench", "made")) as writer:
        for date in newest_sessions():
            midnight = int(np.datetime64(date, "ns").astype(np.int64))
            opened, high, low, close, volume = (np.array([price], np.int64) for price in (10_000, 10_050, 9_950, 10_010, 1_000))
            opens, closes = np.array([midnight]), np.array([midnight + DAY_NS - 1])
            bars = BarTable(opened, high, low, close, volume, opens, closes, _CENTS.price, _CENTS.size)
            position = partitions.index_of(date)
            assert position is not None
            writer.store(SessionAnswer(date, bars, Coverage.COMPLETE, measure(bars, partitions, position)))
