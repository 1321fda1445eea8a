"""Which bars a backtest stands on: checked, counted and fingerprinted before the engine opens a file."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from market_data_pipeline.backtest.spec import BacktestSpec
from market_data_pipeline.calendars import partitions_of
from market_data_pipeline.catalog import Catalog
from market_data_pipeline.catalog.instrument_files import Definition
from market_data_pipeline.domain.bar_table import COLUMNS, BarTable, Int64s
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.coverage import Convention, Coverage
from market_data_pipeline.domain.errors import ConfigurationError, DataMissing, InvalidDate, PrecisionMismatch
from market_data_pipeline.domain.sessions import SessionRange
from market_data_pipeline.domain.source import Precision
from market_data_pipeline.sources.ibkr import fits_broker

if TYPE_CHECKING:
    from nautilus_trader.model.instruments import Instrument

Progress = Callable[[str], None]
_SHOWN_GAPS = 12


@dataclass(frozen=True, eq=False)
class SeriesEvidence:
    """The bars of one series that a backtest uses.

    Attributes:
        series: The series.
        sessions: Sessions of the calendar in the range.
        empty: How many of them are known to be empty.
        gaps: Those that are neither complete nor empty.
        start_ns: First close that belongs to the range, UTC nanoseconds, inclusive.
        end_ns: Last close, inclusive.
        bars: How many bars.
        first_open_ns: Open of the first bar; None without bars.
        last_close_ns: Close of the last bar; None without bars.
        fingerprint: 32 hex digits, equal exactly when all bars are; however they are spread over files.
        closes_ns: Shape (bars,), int64, when each bar closes.
        closes: Shape (bars,), the closing prices.
        convention: Which hours, and what was done to the prices.
    """

    series: Series
    sessions: int
    empty: int
    gaps: tuple[SessionRange, ...]
    start_ns: int
    end_ns: int
    bars: int
    first_open_ns: int | None
    last_close_ns: int | None
    fingerprint: str
    closes_ns: Int64s
    closes: npt.NDArray[np.float64]
    convention: Convention = field(default_factory=Convention)


@dataclass(frozen=True, eq=False)
class Evidence:
    """Everything a backtest stands on.

    Attributes:
        series: In the order of the spec.
        definitions: The instruments' definitions, by id.
    """

    series: tuple[SeriesEvidence, ...]
    definitions: dict[str, Definition]

    @property
    def bars(self) -> int:
        """Bars of all series."""
        return sum(one.bars for one in self.series)

    @property
    def has_gaps(self) -> bool:
        """True where sessions of the range are missing."""
        return any(one.gaps for one in self.series)

    @property
    def bars_fingerprint(self) -> str:
        """32 hex digits, equal exactly when series and bars are."""
        return _digest(sorted((one.series.bar_type, one.fingerprint) for one in self.series))

    @property
    def definitions_fingerprint(self) -> str:
        """32 hex digits, equal exactly when the instruments' definitions are."""
        return _digest(self.definitions)


def _digest(content: object) -> str:
    return hashlib.blake2b(json.dumps(content, sort_keys=True).encode(), digest_size=16).hexdigest()


def gather(catalog: Catalog, spec: BacktestSpec, progress: Progress) -> Evidence:
    """Check instruments and coverage, read every bar of the range once, and return what it amounts to.

    Raises:
        InstrumentNotFound: If an instrument has no definition.
        ConfigurationError: If an instrument's profits are in a currency that the account does not hold.
        DataMissing: If sessions of the range are missing and the spec does not allow it, or there is no bar at all.
        CorruptFile: If a file of the range cannot be trusted.
        PrecisionMismatch: If bars and instrument have different decimals, on which the engine would stop.
        InvalidDate: If the range holds no session of a series' calendar.
    """
    gaps = {series: catalog.gaps(series, spec.start, spec.end) for series in spec.all_series}
    if any(gaps.values()) and not spec.allow_gaps:
        raise DataMissing(_what_is_missing(catalog, gaps, spec))
    definitions = {}
    for instrument_id in spec.instrument_ids:
        _require_the_currency(catalog.instruments.require(instrument_id), spec)
        definitions[instrument_id] = catalog.instruments.definition(instrument_id) or {}
    found = []
    for series in spec.all_series:
        _require_same_decimals(series, catalog.instruments.precision(series.instrument_id), catalog.precision(series))
        progress(f"Checking {series}")
        found.append(_read(catalog, series, spec.start, spec.end, gaps[series]))
    if not any(one.bars for one in found):
        raise DataMissing(
            f"There is no bar of {', '.join(map(str, spec.all_series))} from {spec.start} to {spec.end}. "
            f"Look at what is stored: mdp check {' '.join(spec.instrument_ids)}"
        )
    return Evidence(tuple(found), definitions)


def _read(catalog: Catalog, series: Series, start: dt.date, end: dt.date, gaps: Sequence[SessionRange]) -> SeriesEvidence:
    partitions = partitions_of(series)
    positions = partitions.positions_between(start, end)
    if not positions:
        raise InvalidDate(f"No session of {partitions.calendar.name} lies between {start} and {end}, so there is nothing to test {series} on.")
    digests = {name: hashlib.blake2b(digest_size=16) for name in COLUMNS}
    precision, rows, first_open, last_close = Precision(0, 0), 0, None, None
    times: list[Int64s] = [np.empty(0, dtype=np.int64)]
    closes: list[npt.NDArray[np.float64]] = [np.empty(0)]
    for table in catalog.read(series, start, end):
        for name, digest in digests.items():
            digest.update(np.ascontiguousarray(table.column(name), dtype="<i8").view(np.uint8).data)
        if first_open is None:
            first_open = int(table.ts_event[0])
        precision, rows, last_close = _precision_of(table), rows + len(table), int(table.ts_init[-1])
        times.append(table.ts_init)
        closes.append(table.floats("close"))
    coverage = catalog.coverage(series, start, end)
    return SeriesEvidence(
        series=series,
        sessions=len(positions),
        empty=sum(one is Coverage.EMPTY for one in coverage.values()),
        gaps=tuple(gaps),
        start_ns=int(partitions.starts[positions.start]) + 1,
        end_ns=int(partitions.ends[positions.stop - 1]),
        bars=rows,
        first_open_ns=first_open,
        last_close_ns=last_close,
        fingerprint=_digest([precision.price, precision.size, rows, [digest.hexdigest() for digest in digests.values()]]),
        closes_ns=np.concatenate(times),
        closes=np.concatenate(closes),
        convention=catalog.convention(series) or Convention(),
    )


def _precision_of(table: BarTable) -> Precision:
    return Precision(table.price_precision, table.size_precision)


def _require_same_decimals(series: Series, instrument: Precision, stored: Precision | None) -> None:
    if stored is not None and stored != instrument:
        raise PrecisionMismatch(
            f"The stored bars of {series} have {stored.price} price and {stored.size} size decimals, its instrument has {instrument.price} and "
            f"{instrument.size}; the engine stops on that. Correct {series.instrument_id} in instruments.yaml, or import the bars again with the "
            f"decimals of the instrument into another catalog (mdp --catalog PATH import-csv …)."
        )


def _require_the_currency(instrument: Instrument, spec: BacktestSpec) -> None:
    """Refuse what Nautilus would pass over in silence: profits in a currency that the account cannot hold are never booked."""
    currency = instrument.get_settlement_currency().code
    held = (spec.account_currency,) if spec.account_currency is not None else spec.currencies
    if currency not in held:
        raise ConfigurationError(
            f"Trading {instrument.id} earns and loses {currency}, and the account holds {', '.join(map(str, held))}: Nautilus would leave its "
            f'balance as it is. Give a balance in {currency}, for example starting_balances: ["1000000 {currency}"].'
        )


def _what_is_missing(catalog: Catalog, gaps: dict[Series, tuple[SessionRange, ...]], spec: BacktestSpec) -> str:
    symbols = [series.instrument_id.rpartition(".")[0] for series, ranges in gaps.items() if ranges]
    lines = [
        f"Data not found for {', '.join(dict.fromkeys(symbols))}: sessions from {spec.start} to {spec.end} are missing, so {spec.name} was not run:"
    ]
    from_broker, from_files = [], []
    for series, ranges in gaps.items():
        if not ranges:
            continue
        lines.append(f"  {series}: {sum(one.sessions for one in ranges)} sessions in {len(ranges)} gap{'s' if len(ranges) > 1 else ''}")
        lines += [f"    {one}" for one in ranges[:_SHOWN_GAPS]]
        if len(ranges) > _SHOWN_GAPS:
            lines.append(f"    … and {len(ranges) - _SHOWN_GAPS} more, to {ranges[-1].last}")
        asked = f"--start {ranges[0].first} --end {ranges[-1].last}"
        if fits_broker(series, catalog.convention(series)):
            from_broker.append(f"  mdp load {series.instrument_id} {series.spec} --mode full {asked}")
        from_files.append(f"  mdp import-csv FILE --instrument {series.instrument_id} --bar {series.spec}")
    if from_broker:
        connect = (
            "Connect to IBKR Gateway (docker compose -f deploy/docker-compose.yml up -d ib-gateway) and fill them (in YAML: fetch: true does it):"
        )
        lines += [connect, *from_broker]
    lines += [f"{'or import' if from_broker else 'Import'} a CSV:", *from_files]
    lines.append("or run it on what there is, which the result will say: --allow-gaps (in YAML: allow_gaps: true).")
    return "\n".join(lines)
