"""Recorded bars, served instead of invented ones.

A folder of recorded bars is a Nautilus Parquet catalog (it has `data/bar`), or holds CSV files. CSV files are named after their series,
`EURUSD.IDEALPRO-15-MINUTE-MID.csv`, or are described by a file `recorded.yaml` beside them:

    series:
      - {file: eurusd.csv, instrument: EUR/USD.IDEALPRO, bars: 15-MINUTE-MID, stamp: close, time_zone: America/New_York}
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np

from market_data_pipeline.calendars import partitions_of
from market_data_pipeline.catalog import Catalog
from market_data_pipeline.configuration import Section, read_yaml
from market_data_pipeline.domain.bar_table import PRICE_COLUMNS, BarTable, Int64s
from market_data_pipeline.domain.bar_types import DAY_NS, NANOSECONDS, Aggregation, PriceType, Series, path_name
from market_data_pipeline.domain.errors import ConfigurationError, QuestionUnanswered, UsageError
from market_data_pipeline.domain.sessions import SessionCalendar
from market_data_pipeline.domain.source import Precision
from market_data_pipeline.gateway_simulator.market.bars import NOT_TOLD, Bars, Price, Spans, Tape
from market_data_pipeline.gateway_simulator.market.contracts import ListedContract
from market_data_pipeline.gateway_simulator.market.directory import Directory
from market_data_pipeline.gateway_simulator.market.hours import DAY_S
from market_data_pipeline.sources.csv import CsvSource

DESCRIPTION = "recorded.yaml"
_PRICES: Mapping[PriceType, Price] = MappingProxyType(
    {PriceType.LAST: Price.TRADES, PriceType.MID: Price.MIDPOINT, PriceType.BID: Price.BID, PriceType.ASK: Price.ASK}
)


class RecordedFile(Section):
    """One CSV file.

    Attributes:
        file: Its path, from the folder.
        instrument: Instrument id.
        bars: Bar spec, `15-MINUTE-MID`.
        stamp: Which end of a bar the file's stamps name, `open` or `close`; None to tell from the file.
        time_zone: Zone of stamps without an offset; None to tell from the file.
    """

    file: str
    instrument: str
    bars: str
    stamp: str | None = None
    time_zone: str | None = None


class Recorded(Section):
    """What the CSV files of a folder hold."""

    series: tuple[RecordedFile, ...]


@dataclass(frozen=True, eq=False)
class _Rows:
    """Recorded bars of one length and price: rows, and where each ends."""

    length_s: int
    bars: Bars
    stop_s: Int64s


class RecordedTape:
    """Recorded bars of one contract. What was not recorded is not there: other prices, and bars finer than the recorded ones.

    Args:
        calendar: Its sessions; a day bar is placed at the open of the session that it is labelled with.
        price_decimals: Of an answer that is empty.
    """

    def __init__(self, calendar: SessionCalendar, price_decimals: int) -> None:
        self._calendar = calendar
        self._decimals = price_decimals
        self._rows: dict[Price, list[_Rows]] = {}

    def add(self, series: Series, table: BarTable) -> None:
        """Add the bars of a series, ordered by time. Bars of weeks and months are left out: they are put together from days."""
        spec = series.spec
        if spec.aggregation in (Aggregation.WEEK, Aggregation.MONTH) or not len(table):
            return
        price = _PRICES[spec.price_type]
        length_s = DAY_S if spec.is_daily_or_longer else spec.length_ns // NANOSECONDS
        if spec.is_daily_or_longer:
            table, starts, stops = self._days(table)
        else:
            starts, stops = table.ts_event, table.ts_init
        ohlc = np.stack([table.column(name) for name in PRICE_COLUMNS])
        traded = price is Price.TRADES
        volume = table.volume if traded else np.full(len(table), NOT_TOLD, dtype=np.int64)
        count = np.full(len(table), 0 if traded else NOT_TOLD, dtype=np.int64)
        bars = Bars(starts // NANOSECONDS, ohlc, volume, count, table.price_precision, table.size_precision)
        self._rows.setdefault(price, []).append(_Rows(length_s, bars, stops // NANOSECONDS))

    def pieces(self, spans: Spans, price: Price, grain_s: int, until_s: int) -> Bars:
        """Return the longest recorded bars of which `grain_s` is a multiple, those within `spans` that have ended at `until_s`."""
        fitting = [rows for rows in self._rows.get(price, ()) if grain_s % rows.length_s == 0]
        if not fitting or not len(spans.start_s):
            return Bars.none(self._decimals, 0)
        rows = max(fitting, key=lambda rows: rows.length_s)
        starts = rows.bars.start_s
        span = np.searchsorted(spans.start_s, starts, side="right") - 1
        inside = (span >= 0) & (starts < spans.stop_s[span]) & (rows.stop_s <= until_s)
        return rows.bars.take(inside)

    def first_s(self, price: Price) -> int | None:
        """Return where the oldest recorded bar of a price begins, seconds since 1970 UTC; None if none is recorded."""
        return min((int(rows.bars.start_s[0]) for rows in self._rows.get(price, ()) if len(rows.bars)), default=None)

    def _days(self, table: BarTable) -> tuple[BarTable, Int64s, Int64s]:
        """Return the day bars whose date is a session, and open and end of these sessions."""
        calendar = self._calendar
        days = table.ts_event // DAY_NS
        position = np.searchsorted(calendar.days, days)
        known = (position < len(calendar.days)) & (calendar.days[np.minimum(position, len(calendar.days) - 1)] == days)
        position = position[known]
        return table.take(known), calendar.open_ns[position], calendar.end_ns[position]


def read_recorded(folder: Path, directory: Directory) -> dict[str, Tape]:
    """Return a tape for each contract of which bars are recorded in a folder, by instrument id.

    Raises:
        ConfigurationError: If there is nothing to serve, or a file names no contract of the directory.
        MarketDataError: If a file cannot be read as what it is said to be.
    """
    if not folder.is_dir():
        raise ConfigurationError(f"There is no folder {folder} of recorded bars. Name a folder with CSV files or a Parquet catalog.")
    known = {path_name(contract.instrument_id): contract for contract in directory.fixed}
    is_catalog = (folder / "data" / "bar").is_dir()
    tapes: dict[str, RecordedTape] = {}
    for contract, series, table in _catalog_tables(folder, known) if is_catalog else _csv_tables(folder, known):
        tape = tapes.setdefault(contract.instrument_id, RecordedTape(contract.calendar, contract.behaviour.decimals))
        tape.add(series, table)
    if not tapes:
        raise ConfigurationError(
            f"{folder} holds no recorded bars of a known contract. Name CSV files like {path_name('EUR/USD.IDEALPRO')}-15-MINUTE-MID.csv, "
            f"or describe them in {folder / DESCRIPTION}."
        )
    return dict(tapes)


def _catalog_tables(folder: Path, known: Mapping[str, ListedContract]) -> Iterator[tuple[ListedContract, Series, BarTable]]:
    """Yield the series of a catalog whose contract is known; others are none of the simulator's."""
    catalog = Catalog.open(folder)
    for series in catalog.series():
        contract = known.get(path_name(series.instrument_id))
        tables = list(catalog.read(series)) if contract else []
        if contract and tables:
            yield contract, series, BarTable.concatenate(tables)


def _csv_tables(folder: Path, known: Mapping[str, ListedContract]) -> Iterator[tuple[ListedContract, Series, BarTable]]:
    for file in _described(folder):
        contract = known.get(path_name(file.instrument))
        if contract is None:
            raise ConfigurationError(
                f"{folder / file.file}: no contract of the simulator has the instrument id {file.instrument}. "
                f"Known are {', '.join(sorted(contract.instrument_id for contract in known.values()))}."
            )
        series = Series.of(contract.instrument_id, file.bars)
        yield contract, series, _read_csv(folder / file.file, file, series, contract)


def _described(folder: Path) -> tuple[RecordedFile, ...]:
    """Return the CSV files of a folder: those of its description, or those whose names say what they are."""
    description = folder / DESCRIPTION
    if description.is_file():
        return read_yaml(description, Recorded).series
    files = []
    for path in sorted(folder.glob("*.csv")):
        instrument, *spec = path.stem.rsplit("-", 3)
        if len(spec) != len(("STEP", "UNIT", "PRICE")):
            raise ConfigurationError(f"{path.name} does not say what it holds. Name it like AAPL.NASDAQ-1-MINUTE-LAST.csv, or write {description}.")
        files.append(RecordedFile(file=path.name, instrument=instrument, bars="-".join(spec)))
    return tuple(files)


def _read_csv(path: Path, file: RecordedFile, series: Series, contract: ListedContract) -> BarTable:
    behaviour = contract.behaviour
    precision = Precision(behaviour.decimals, behaviour.size_decimals)
    partitions = partitions_of(series)
    try:
        with CsvSource([path], stamp=file.stamp, time_zone=file.time_zone) as source:
            tables = [answer.bars for answer in source.open(series, partitions, precision).answers()]
    except QuestionUnanswered as error:
        raise UsageError(f"{error} For the simulator, say so in {path.parent / DESCRIPTION}: stamp, time_zone.") from None
    return BarTable.concatenate([*tables] or [BarTable.empty(precision.price, precision.size)])
