"""The sample files: which there are, and how they are written."""

from __future__ import annotations

import datetime as dt
import io
import os
import tempfile
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from market_data_pipeline.calendars import partitions_of
from market_data_pipeline.domain.bar_types import NANOSECONDS, Series, path_name
from market_data_pipeline.samples.walk import Int64s, WalkBars, WalkStyle, by_session, walk

FIRST_SESSION = dt.date(2024, 1, 2)
LAST_SESSION = dt.date(2024, 3, 28)

_STYLES = {
    "AAPL.NASDAQ-1-MINUTE-LAST-EXTERNAL": WalkStyle(1, 187.15, 2, deviation=7e-4, gap_deviation=6e-3, mean_volume=130_000),
    "MSFT.NASDAQ-1-MINUTE-LAST-EXTERNAL": WalkStyle(2, 373.86, 2, deviation=6e-4, gap_deviation=5e-3, mean_volume=60_000),
    "SPY.ARCA-1-MINUTE-LAST-EXTERNAL": WalkStyle(3, 472.16, 2, deviation=4e-4, gap_deviation=3e-3, mean_volume=190_000),
    "EUR/USD.IDEALPRO-15-MINUTE-MID-EXTERNAL": WalkStyle(4, 1.10427, 5, deviation=4e-4, gap_deviation=1e-4, mean_volume=0),
}
_DAYS_OF = "AAPL.NASDAQ-1-MINUTE-LAST-EXTERNAL"

_README = """# Sample data

Invented prices: a seeded random walk on the real sessions of {first} to {last}. They say nothing about any instrument, and no strategy
should be judged on them. `./dev run` makes these files, and makes them again where they were changed.

| file | rows | time stamps |
|---|---|---|
{rows}
"""
_NAIVE = "bar opens, New York time without an offset"
_OFFSET = "bar closes, with New York's offset"
_DATE = "dates of sessions"


@dataclass(frozen=True)
class SamplesWritten:
    """What is in the folder now.

    Attributes:
        folder: The folder.
        files: Number of CSV files.
        rows: Number of bars in all of them.
        made: Names of the files that were missing or different, and were written.
    """

    folder: Path
    files: int
    rows: int
    made: tuple[str, ...]


@dataclass(frozen=True)
class _Sample:
    name: str
    rows: int
    stamps: str
    content: bytes


def file_name(series: Series) -> str:
    """Return the name of a series' sample file: `EURUSD.IDEALPRO-15-MINUTE-MID.csv`."""
    return f"{path_name(series.instrument_id)}-{series.spec}.csv"


def write_samples(folder: Path) -> SamplesWritten:
    """Write the sample files, each whole or not at all; a file that is already as it should be is left alone."""
    samples = _samples()
    readme = _README.format(
        first=FIRST_SESSION, last=LAST_SESSION, rows="\n".join(f"| {sample.name} | {sample.rows:,} | {sample.stamps} |" for sample in samples)
    )
    contents = {sample.name: sample.content for sample in samples} | {"README.md": readme.encode()}
    folder.mkdir(parents=True, exist_ok=True)
    made = tuple(name for name, content in contents.items() if _write_if_different(folder / name, content))
    return SamplesWritten(folder, len(samples), sum(sample.rows for sample in samples), made)


def _samples() -> list[_Sample]:
    samples = []
    for bar_type, style in _STYLES.items():
        series = Series.parse(bar_type)
        opens, starts, days = _bar_opens(series)
        bars = walk(style, starts, len(opens))
        if style.mean_volume:
            stamps, said = _naive_new_york(opens), _NAIVE
        else:
            stamps, said = _with_offset(opens + series.spec.length_ns), _OFFSET
        samples.append(_Sample(file_name(series), len(opens), said, _csv(stamps, bars, style.decimals)))
        if bar_type == _DAYS_OF:
            daily = Series.of(series.instrument_id, "1-DAY-LAST")
            dates = pa.array(days.astype("datetime64[D]"))
            samples.append(_Sample(file_name(daily), len(days), _DATE, _csv(dates, by_session(bars, starts), style.decimals)))
    return samples


def _bar_opens(series: Series) -> tuple[Int64s, Int64s, Int64s]:
    """Return the UTC opens of all bars in regular hours, the position of each session's first bar, and the sessions' day numbers."""
    partitions = partitions_of(series)
    positions = partitions.positions_between(FIRST_SESSION, LAST_SESSION)
    sessions = [np.arange(*partitions.regular_hours(position), series.spec.length_ns, dtype=np.int64) for position in positions]
    lengths = np.array([len(session) for session in sessions])
    starts = np.concatenate(([0], np.cumsum(lengths)[:-1])).astype(np.int64)
    return np.concatenate(sessions), starts, partitions.days[positions.start : positions.stop]


def _utc_seconds(ns: Int64s) -> pa.Array:
    return pa.array(ns // NANOSECONDS).cast(pa.timestamp("s", tz="UTC"))


def _naive_new_york(ns: Int64s) -> pa.Array:
    return pc.local_timestamp(_utc_seconds(ns).cast(pa.timestamp("s", tz="America/New_York")))


def _with_offset(ns: Int64s) -> pa.Array:
    text = pc.strftime(_utc_seconds(ns).cast(pa.timestamp("s", tz="America/New_York")), format="%Y-%m-%dT%H:%M:%S%z")
    # Arrow writes -0500; ISO 8601's extended form has a colon.
    return pc.binary_join_element_wise(pc.utf8_slice_codeunits(text, 0, 22), pc.utf8_slice_codeunits(text, 22), ":")


def _csv(stamps: pa.Array, bars: WalkBars, decimals: int) -> bytes:
    step = pa.scalar(Decimal(1).scaleb(-decimals))
    columns = {"timestamp": stamps}
    for name in ("open", "high", "low", "close"):
        columns[name] = pc.multiply(pa.array(getattr(bars, name)).cast(pa.decimal128(19, 0)), step)
    columns["volume"] = pa.array(bars.volume)
    sink = io.BytesIO()
    csv.write_csv(pa.table(columns), sink, csv.WriteOptions(quoting_style="none", quoting_header="none"))
    return sink.getvalue()


def _write_if_different(path: Path, content: bytes) -> bool:
    if path.is_file() and path.read_bytes() == content:
        return False
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return True
