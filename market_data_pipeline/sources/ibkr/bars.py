"""Bars as a gateway gives them, and as columns with exact decimals. Vectorised; nothing here asks anybody."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from market_data_pipeline.domain.aggregation import closes_of, ends_of
from market_data_pipeline.domain.bar_table import PRICE_COLUMNS, VALUE_COLUMNS, BarTable, Int64s
from market_data_pipeline.domain.bar_types import DAY_NS, NANOSECONDS, Aggregation, BarSpec
from market_data_pipeline.domain.errors import SourceBusy
from market_data_pipeline.domain.sessions import Partitions
from market_data_pipeline.domain.source import Precision
from market_data_pipeline.sources.ibkr.settings import Hours

if TYPE_CHECKING:
    from ib_async.objects import BarData

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

# Whole numbers up to here are exact as floats.
_LARGEST = 2.0**53
# What adding and halving prices costs: 1.0856249999999998 is 1.085625.
_NOISE_ULPS = 4
_NO_VOLUME = -1.0  # MIDPOINT, BID and ASK have none


@dataclass(frozen=True, eq=False)
class RawBars:
    """Bars as they came, in the order in which they came. Arrays of shape (n,).

    Attributes:
        opens_ns: int64, the bar's stamp in UTC nanoseconds: its open; 00:00 UTC of its label for bars of a day and longer.
        values: float64, shape (n, 5): open, high, low, close, volume.
    """

    opens_ns: Int64s
    values: Floats

    @classmethod
    def none(cls) -> RawBars:
        """Return no bars."""
        return cls(np.empty(0, dtype=np.int64), np.empty((0, len(VALUE_COLUMNS))))

    @classmethod
    def joined(cls, parts: Sequence[RawBars]) -> RawBars:
        """Return the bars of several answers, one after the other."""
        if not parts:
            return cls.none()
        return cls(np.concatenate([part.opens_ns for part in parts]), np.concatenate([part.values for part in parts]))

    def __len__(self) -> int:
        return len(self.opens_ns)

    def take(self, rows: Bools | Int64s) -> RawBars:
        """Return some of the bars."""
        return RawBars(self.opens_ns[rows], self.values[rows])

    def opened_in(self, start_ns: int, end_ns: int) -> RawBars:
        """Return the bars that open in [start_ns, end_ns)."""
        return self.take((self.opens_ns >= start_ns) & (self.opens_ns < end_ns))


def raw_bars(bars: Sequence[BarData], spec: BarSpec) -> RawBars:
    """Return the bars of an answer.

    Raises:
        SourceBusy: If a stamp or a value is none; the answer cannot be used, and asking again may bring a better one.
    """
    stamps = np.array([str(bar.date) for bar in bars])
    values = np.array([(bar.open, bar.high, bar.low, bar.close, bar.volume) for bar in bars], dtype=np.float64).reshape(-1, len(VALUE_COLUMNS))
    try:
        opens_ns = _dates_ns(stamps) if spec.is_daily_or_longer else stamps.astype(np.int64) * NANOSECONDS
    except (ValueError, OverflowError):
        raise SourceBusy(f"The gateway answered bars whose stamps cannot be read, for example {stamps[0]!r}.") from None
    if not np.isfinite(values).all():
        raise SourceBusy("The gateway answered bars with values that are no numbers.")
    return RawBars(opens_ns, values)


def _dates_ns(stamps: npt.NDArray[np.str_]) -> Int64s:
    """Return 00:00 UTC of labels `YYYYMMDD`."""
    labels = stamps.astype(np.int64)
    years, rest = np.divmod(labels, 10_000)
    months, days = np.divmod(rest, 100)
    if len(labels) and not (np.all((months >= 1) & (months <= 12) & (days >= 1) & (days <= 31) & (years > 1900) & (years < 2200))):
        raise ValueError("no dates")
    first_of_month = ((years - 1970) * 12 + months - 1).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    return (first_of_month + days - 1) * DAY_NS


@dataclass(frozen=True, eq=False)
class Placed:
    """Raw bars and where they belong. Arrays of shape (n,), ordered by open; one bar may still be there twice.

    Attributes:
        bars: The bars.
        positions: int64, the partition of each; -1 where there is none.
        ts_event: int64, UTC nanoseconds of the open.
        ts_init: int64, UTC nanoseconds of the close.
    """

    bars: RawBars
    positions: Int64s
    ts_event: Int64s
    ts_init: Int64s


def place(raw: RawBars, partitions: Partitions, hours: Hours) -> Placed:
    """Order bars by their stamps, and find the partition and the close of each.

    A bar closes its length after it opens, but never after its session has: an hour bar that opens half an hour before the end of a session is
    half an hour long. (Nautilus' adapter lets it close in the next one; for sizes that divide the session both say the same.) Bars of a day and
    longer are stamped 00:00:00 to 23:59:59.999999999 UTC of their partition's date, whichever day of a week or month IBKR labels them with.
    """
    raw = raw.take(np.argsort(raw.opens_ns, kind="stable"))
    if partitions.spec.is_daily_or_longer:
        positions = _labelled(raw.opens_ns, partitions)
        starts = partitions.days[np.maximum(positions, 0)] * DAY_NS
        return Placed(raw, positions, starts, starts + DAY_NS - 1)
    positions = np.searchsorted(partitions.ends, raw.opens_ns, side="right").astype(np.int64)
    inside = (positions < len(partitions)) & (raw.opens_ns >= (partitions.starts[0] if len(partitions) else 0))
    at = np.minimum(positions, len(partitions) - 1)
    ts_init = closes_of(raw.opens_ns, partitions.spec.length_ns, ends_of(raw.opens_ns, at, partitions, hours))
    return Placed(raw, np.where(inside, positions, -1), raw.opens_ns, ts_init)


def _labelled(labels_ns: Int64s, partitions: Partitions) -> Int64s:
    """Return the partition of each label; a day bar must be labelled with a session, a longer one with any day of its period."""
    found = np.searchsorted(partitions.ends, labels_ns, side="left").astype(np.int64)
    at = np.minimum(found, len(partitions) - 1)
    known = (found < len(partitions)) & (labels_ns > partitions.starts[0])
    if partitions.spec.aggregation is Aggregation.DAY:
        known &= partitions.days[at] * DAY_NS == labels_ns
    return np.where(known, found, -1)


@dataclass(frozen=True, eq=False)
class Exact:
    """Values as whole numbers of the last decimal.

    Attributes:
        values: int64, shape (n, 5).
        excess: Shape (n,): True where a value needs more decimals, and was rounded.
    """

    values: Int64s
    excess: Bools


def exact(values: Floats, precision: Precision, magnifier: int = 1) -> Exact:
    """Return prices and volumes as whole numbers of the instrument's last decimal.

    A price is taken as the decimal number that it is the nearest float of, up to the noise of adding and halving.

    Args:
        values: Shape (n, 5), finite: open, high, low, close, volume as IBKR gives them.
        precision: The instrument's decimals.
        magnifier: IBKR's price magnifier: prices come multiplied by it (pence for pounds: 100).
    """
    prices, volume = values[:, : len(PRICE_COLUMNS)], values[:, len(PRICE_COLUMNS)]
    volume = np.where(volume == _NO_VOLUME, 0.0, volume)
    whole = np.empty(values.shape, dtype=np.int64)
    scale = float(10**precision.price)
    mantissas = np.rint(prices * scale / magnifier)
    excess = _differs(mantissas * magnifier / scale, prices) | (np.abs(mantissas) > _LARGEST)
    whole[:, : len(PRICE_COLUMNS)] = np.clip(mantissas, -_LARGEST, _LARGEST)
    sizes = np.rint(volume * float(10**precision.size))
    size_excess = _differs(sizes / float(10**precision.size), volume) | (np.abs(sizes) > _LARGEST)
    whole[:, len(PRICE_COLUMNS)] = np.clip(sizes, -_LARGEST, _LARGEST)
    return Exact(whole, excess.any(axis=1) | size_excess)


def _differs(found: Floats, given: Floats) -> Bools:
    differs: Bools = np.abs(found - given) > _NOISE_ULPS * np.spacing(np.abs(given))
    return differs


def table_of(placed: Placed, rows: Bools, values: Int64s, precision: Precision) -> BarTable:
    """Return some placed bars as a table."""
    columns = {name: np.ascontiguousarray(values[rows, i]) for i, name in enumerate(VALUE_COLUMNS)}
    return BarTable(
        **columns,
        ts_event=placed.ts_event[rows].copy(),
        ts_init=placed.ts_init[rows].copy(),
        price_precision=precision.price,
        size_precision=precision.size,
    )
