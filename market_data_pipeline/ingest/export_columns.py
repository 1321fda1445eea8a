"""Which columns an exported file has, and how bars become them: exact decimals or floats for Arrow, exact text for CSV."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from market_data_pipeline.catalog.reading import to_decimals
from market_data_pipeline.domain.bar_table import PRICE_COLUMNS, VALUE_COLUMNS, BarTable, Int64s
from market_data_pipeline.domain.bar_types import DAY_NS, NANOSECONDS, BarSpec
from market_data_pipeline.domain.errors import UsageError
from market_data_pipeline.domain.sessions import Partitions
from market_data_pipeline.sources.csv.layout import check_time_zone

UTC = "UTC"
TIME = "time"
"""What `--columns` may call the time stamp whatever the bars are."""
SESSION = "session"
# Of the largest 64-bit number, as which prices and volumes are kept.
_DIGITS = 19
_OPENS, _CLOSES = "ts_event", "ts_init"


class StampedAt(StrEnum):
    """Which end of a bar its time stamp names; `BOTH` has a column for each."""

    OPEN = "open"
    CLOSE = "close"
    BOTH = "both"


class Numbers(StrEnum):
    """What prices and volumes are in Parquet and Arrow: exact decimals, or the floats next to them."""

    DECIMAL = "decimal"
    FLOAT = "float"


@dataclass(frozen=True)
class Columns:
    """The columns of an export.

    Attributes:
        spec: The bar spec. Bars of a day and longer are dated, and have no time of day.
        stamped: Which end of a bar is named.
        time_zone: IANA name of the zone in which times are written; dates have none.
        numbers: What prices and volumes are; text is always exact.
        prices: What a decimal column of prices is: `exact_type` of the bars.
        sizes: The same of volumes.
        names: The columns, in the order of the file.
    """

    spec: BarSpec
    stamped: StampedAt
    time_zone: str
    numbers: Numbers
    prices: pa.DataType
    sizes: pa.DataType
    names: tuple[str, ...]

    @property
    def times(self) -> tuple[str, ...]:
        """Names of the columns of time."""
        return tuple(name for name in time_names(self.spec, self.stamped) if name in self.names)

    @property
    def can_be_imported(self) -> bool:
        """True where `mdp import-csv` understands the header: one time stamp and all prices."""
        return self.stamped is not StampedAt.BOTH and bool(self.times) and set(VALUE_COLUMNS) <= set(self.names)

    def schema(self, metadata: dict[str, str]) -> pa.Schema:
        """Return the Arrow schema; nothing in a bar is ever null."""
        return pa.schema([pa.field(name, self._type(name), nullable=False) for name in self.names], metadata=metadata)

    def _type(self, name: str) -> pa.DataType:
        if name in (_OPENS, _CLOSES, "timestamp"):
            return pa.timestamp("ns", self.time_zone)
        if name in ("date", SESSION):
            return pa.date32()
        if self.numbers is Numbers.FLOAT:
            return pa.float64()
        return self.sizes if name == "volume" else self.prices

    def arrow(self, bars: BarTable, partitions: Partitions, schema: pa.Schema) -> pa.RecordBatch:
        """Return bars as the columns of `schema`."""
        return pa.record_batch([self._array(name, bars, partitions).cast(self._type(name)) for name in self.names], schema=schema)

    def _array(self, name: str, bars: BarTable, partitions: Partitions) -> pa.Array:
        if name not in VALUE_COLUMNS:
            return self._time(name, bars, partitions)
        if self.numbers is Numbers.FLOAT:
            return pa.array(bars.floats(name))
        return to_decimals(bars.column(name), bars.price_precision if name in PRICE_COLUMNS else bars.size_precision)

    def _time(self, name: str, bars: BarTable, partitions: Partitions) -> pa.Array:
        if name == SESSION:
            return _dates(partitions.days[partitions.index_of_close(bars.ts_init)])
        if name == "date":
            return _dates(bars.ts_init // DAY_NS)
        return pa.array(_stamps(self, name, bars)).cast(pa.timestamp("ns", self.time_zone))

    def text(self, bars: BarTable, partitions: Partitions) -> pa.RecordBatch:
        """Return bars as text, exact to the last decimal: `2024-01-05T09:30:00-05:00`, `185.40`, `100`."""
        columns = []
        for name in self.names:
            if name in VALUE_COLUMNS:
                columns.append(decimal_text(bars.column(name), bars.price_precision if name in PRICE_COLUMNS else bars.size_precision))
            elif name in ("date", SESSION):
                columns.append(self._time(name, bars, partitions).cast(pa.string()))
            else:
                columns.append(_time_text(_stamps(self, name, bars), self.time_zone))
        return pa.record_batch(columns, names=list(self.names))


def columns_of(
    spec: BarSpec, stamped: StampedAt, time_zone: str, numbers: Numbers, types: tuple[pa.DataType, pa.DataType], wanted: Sequence[str] = ()
) -> Columns:
    """Return the columns that were asked for.

    Args:
        spec: The bar spec.
        stamped: Which end of a bar its stamp names.
        time_zone: IANA name of a zone.
        numbers: What numbers are.
        types: What decimal columns of prices and of volumes are.
        wanted: Names in order, `time` for whatever the stamp is called; none is time, prices and volume.

    Raises:
        UsageError: If there is no such zone (`ConfigurationError`) or column, or a column is named twice.
    """
    check_time_zone(time_zone)
    times = time_names(spec, stamped)
    possible = (*times, *VALUE_COLUMNS, *(() if spec.is_daily_or_longer else (SESSION,)))
    names: list[str] = []
    for name in wanted or (*times, *VALUE_COLUMNS):
        meant = times if name == TIME else (name,)
        if unknown := set(meant) - set(possible):
            raise UsageError(f"--columns: {spec} bars have no column {', '.join(map(repr, unknown))}. There are: {', '.join((TIME, *possible))}.")
        names += meant
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError(f"--columns names {', '.join(twice)} twice.")
    return Columns(spec, stamped, time_zone, numbers, *types, tuple(names))


def exact_type(decimals: Collection[int]) -> pa.DataType:
    """Return a decimal type that holds every value of all columns of these decimals, and no wider.

    DuckDB unites decimals of different scales by rounding where the width leaves no room (2.0, 38 digits): files that are read together get
    one type, and room is left for those of another day.
    """
    return pa.decimal128(_DIGITS + max(decimals) - min(decimals), max(decimals))


def time_names(spec: BarSpec, stamped: StampedAt) -> tuple[str, ...]:
    """Return what the columns of time are called: `timestamp`, `date` for bars of a day and longer, and Nautilus' two names for both ends."""
    if stamped is StampedAt.BOTH:
        return _OPENS, _CLOSES
    return ("date",) if spec.is_daily_or_longer else ("timestamp",)


def decimal_text(values: Int64s, decimals: int) -> pa.Array:
    """Return whole numbers of the last decimal as plain text: 18540 with 2 is `185.40`. Never with an exponent, as Arrow writes small ones."""
    text = pa.array(np.abs(values)).cast(pa.string())
    if decimals:
        text = pc.utf8_lpad(text, decimals + 1, "0")
        text = pc.binary_join_element_wise(pc.utf8_slice_codeunits(text, 0, -decimals), pc.utf8_slice_codeunits(text, -decimals), ".")
    negative = values < 0
    return pc.if_else(pa.array(negative), pc.binary_join_element_wise("-", text, ""), text) if negative.any() else text


def _stamps(columns: Columns, name: str, bars: BarTable) -> Int64s:
    opens = name == _OPENS or (name != _CLOSES and columns.stamped is StampedAt.OPEN)
    return bars.ts_event if opens else bars.ts_init


def _dates(days: Int64s) -> pa.Array:
    return pa.array(days.astype(np.int32)).cast(pa.date32())


def _time_text(ns: Int64s, zone: str) -> pa.Array:
    # Day bars close a nanosecond before midnight; all else stands on whole seconds.
    whole = not (ns % NANOSECONDS).any()
    stamps = pa.array(ns // NANOSECONDS).cast(pa.timestamp("s", zone)) if whole else pa.array(ns).cast(pa.timestamp("ns", zone))
    if zone == UTC:
        return pc.strftime(stamps, format="%Y-%m-%dT%H:%M:%SZ")
    text = pc.strftime(stamps, format="%Y-%m-%dT%H:%M:%S%z")
    # Arrow writes -0500; ISO 8601's extended form has a colon.
    return pc.binary_join_element_wise(pc.utf8_slice_codeunits(text, 0, -2), pc.utf8_slice_codeunits(text, -2), ":")
