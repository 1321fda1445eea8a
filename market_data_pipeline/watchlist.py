"""The watchlist: which series are wanted, of which instruments, from which source. One YAML file.

instruments: instruments.yaml
universes:
  us_equities:
    calendar: NYSE
    start: 2024-01-02
    bars: ["1-MINUTE-LAST", "1-DAY-LAST"]
    instruments: ["AAPL.NASDAQ", "SPY.ARCA"]
    source:
      csv: data/inbox/{symbol}_{bar}.csv
      time_zone: America/New_York
      stamp: open
  us_equities_ibkr:
    calendar: NYSE
    start: 2024-01-02
    bars: ["1-MINUTE-LAST", "5-MINUTE-LAST from 1-MINUTE-LAST"]
    instruments: ["NVDA.NASDAQ"]
    source: ibkr
    hours: rth

Paths are relative to the folder of the project, which is the folder above the watchlist's own when that is called `config`, else its own.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError, PydanticKnownError

from market_data_pipeline.calendars import calendar_name_of_venue, calendar_named, partitions_of
from market_data_pipeline.calendars.endings import over_at
from market_data_pipeline.catalog.instrument_definitions import InstrumentDefinitions
from market_data_pipeline.configuration import Section, read_yaml
from market_data_pipeline.domain.bar_types import NANOSECONDS, Series, WantedBars, parse_instrument_id, path_name, venue_of
from market_data_pipeline.domain.errors import MarketDataError
from market_data_pipeline.domain.sessions import Partitions, date_of

_NAME = r"^[a-z][a-z0-9_]{0,40}$"
_PLACEHOLDERS = ("instrument", "symbol", "venue", "bar")


def _wanted(text: object) -> WantedBars:
    if isinstance(text, WantedBars):
        return text
    if not isinstance(text, str):
        raise PydanticKnownError("string_type")
    found = _or_value_error(WantedBars.parse, text)
    assert isinstance(found, WantedBars)
    return found


def _are_together(wanted: tuple[WantedBars, ...]) -> tuple[WantedBars, ...]:
    """Refuse bars that are derived from others which the universe does not have, each at its line."""
    specs = {one.spec for one in wanted}
    errors = [
        InitErrorDetails(type=PydanticCustomError("value_error", "{error}", {"error": _unknown_finer(one, wanted)}), loc=(place,), input=str(one))
        for place, one in enumerate(wanted)
        if one.finer is not None and one.finer not in specs
    ]
    if errors:
        raise ValidationError.from_exception_data("bars", errors)
    return wanted


def _unknown_finer(one: WantedBars, wanted: tuple[WantedBars, ...]) -> str:
    others = ", ".join(str(other.spec) for other in wanted)
    return f"'{one}': the universe has no bars {one.finer}. Add \"{one.finer}\" to its bars; it has {others}"


def _id(text: str) -> str:
    return str(_or_value_error(parse_instrument_id, text))


def _or_value_error(parse: Any, text: str) -> object:
    """Let pydantic collect our own errors with its own, each with its line."""
    try:
        return parse(text)
    except MarketDataError as error:
        raise ValueError(str(error)) from None


def _pattern(text: str) -> str:
    try:
        text.format(**dict.fromkeys(_PLACEHOLDERS, ""))
    except (KeyError, IndexError, ValueError) as error:
        raise ValueError(
            f"{text!r} has a placeholder that is not known ({error}); there are {', '.join('{' + p + '}' for p in _PLACEHOLDERS)}"
        ) from None
    return text


class CsvFiles(Section):
    """Where a universe's CSV files are, and how to read them.

    `csv` may hold {instrument} (as a folder of the catalog writes it: EURUSD.IDEALPRO), {symbol}, {venue}, {bar} and wildcards;
    several files of one series are read as one.
    """

    csv: Annotated[str, AfterValidator(_pattern)]
    layout: str | Mapping[str, Any] | None = None
    time_zone: str | None = None
    stamp: Literal["open", "close"] | None = None
    time_form: str | None = None
    symbol: str | None = None
    adjusted: bool = False
    skip_bad_rows: bool = False
    accept_holes: bool = False

    def paths(self, project: Path, series: Series) -> list[Path]:
        """Return the files of a series that exist, sorted by name."""
        pattern = Path(self.pattern_of(series))
        anchor = Path(pattern.anchor) if pattern.is_absolute() else project
        return sorted(path for path in anchor.glob(str(pattern.relative_to(pattern.anchor))) if path.is_file())

    def pattern_of(self, series: Series) -> str:
        """Return the path with its placeholders filled in."""
        symbol = path_name(series.instrument_id.rpartition(".")[0])
        return self.csv.format(instrument=path_name(series.instrument_id), symbol=symbol, venue=series.venue, bar=series.spec)


IBKR = "ibkr"


def _kind_of_source(value: object) -> str:
    return "csv" if isinstance(value, Mapping | CsvFiles) else IBKR


def _known_source(value: object) -> object:
    if isinstance(value, Mapping | CsvFiles) or value == IBKR:
        return value
    raise ValueError(f"{value!s:.40} is no source known here. Write {IBKR}, or below it csv: with the path of files (docs/csv.md)")


Source = Annotated[
    Annotated[CsvFiles, Tag("csv")] | Annotated[Literal["ibkr"], Tag(IBKR)], Discriminator(_kind_of_source), BeforeValidator(_known_source)
]


class Universe(Section):
    """Instruments that share a calendar, a source and bar specs.

    Attributes:
        calendar: Name of the calendar; every instrument's venue must have it.
        start: First session wanted.
        end: Last session wanted; none is up to the newest that has ended.
        wanted: Bar specs, `bars` in the file; `5-MINUTE-LAST from 1-MINUTE-LAST` is derived from stored bars, and no source is asked for it.
        instruments: Instrument ids.
        source: Where bars come from: `csv` files, or `ibkr` (how to reach it is in the environment: IB_HOST, IB_PORT …).
        hours: Which hours the broker is asked for; none is regular hours for stocks and all hours for everything else.
        settling_minutes: How long after the end of a session the schedule that loads it waits, because vendors still correct its last bars.
        description: For the page.
    """

    calendar: str
    start: dt.date
    end: dt.date | None = None
    wanted: Annotated[tuple[Annotated[WantedBars, BeforeValidator(_wanted)], ...], AfterValidator(_are_together)] = Field(alias="bars", min_length=1)
    instruments: tuple[Annotated[str, AfterValidator(_id)], ...] = Field(min_length=1)
    source: Source
    hours: Literal["rth", "all"] | None = None
    settling_minutes: int = Field(default=15, ge=0, le=12 * 60)
    description: str = ""

    @model_validator(mode="after")
    def _belongs_together(self) -> Universe:
        calendar = _or_value_error(calendar_named, self.calendar)
        for instrument in self.instruments:
            name = _or_value_error(calendar_name_of_venue, venue_of(instrument))
            if name != self.calendar:
                raise ValueError(f"{instrument} trades by the calendar {name}, not {self.calendar}; put it into a universe of its own")
        for what, names in (("instruments", self.instruments), ("bars", self.bars)):
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise ValueError(f"{what} names {', '.join(twice)} twice")
        first, last = calendar.first_date, calendar.last_date  # type: ignore[attr-defined]
        if not first <= self.start <= last:
            raise ValueError(f"start {self.start} lies outside the calendar {self.calendar}, which knows {first} to {last}")
        if self.end is not None and self.end < self.start:
            raise ValueError(f"end {self.end} lies before start {self.start}")
        if self.hours is not None and self.files is not None:
            raise ValueError("hours are for a universe whose source is ibkr; files are stored as they are")
        return self

    @property
    def bars(self) -> tuple[str, ...]:
        """The bar specs, in the order of the file."""
        return tuple(str(one.spec) for one in self.wanted)

    @property
    def derived(self) -> Mapping[str, str]:
        """The bar specs that are derived, and the finer one that each is derived from."""
        return {str(one.spec): str(one.finer) for one in self.wanted if one.finer is not None}

    def order_of(self, spec: str) -> int:
        """Return how many derivations lie between a bar spec and its source: bars in that order come after those that they are derived from."""
        finer = self.derived.get(spec)
        return 0 if finer is None else 1 + self.order_of(finer)

    @property
    def files(self) -> CsvFiles | None:
        """The files its bars come from; None where the broker is asked."""
        return self.source if isinstance(self.source, CsvFiles) else None

    @property
    def fetched_hours(self) -> str:
        """The hours that its sessions are stored with: `rth`, or `all`. Files are stored as they are."""
        if self.files is not None:
            return "all"
        return self.hours or ("rth" if self.calendar == "NYSE" else "all")

    def series(self, spec: str) -> list[Series]:
        """Return the series of one bar spec, in the order of the file."""
        return [Series.of(instrument, spec) for instrument in self.instruments]

    def partitions(self, spec: str) -> Partitions:
        """Return the partitions that all series of a bar spec share."""
        return partitions_of(Series.of(self.instruments[0], spec))

    def last_session(self, spec: str, now_ns: int | None = None) -> dt.date | None:
        """Return the newest session wanted of which all hours that are fetched are over, or None before the first."""
        partitions = self.partitions(spec)
        closed = over_at(partitions, self.fetched_hours, now_ns if now_ns is not None else time.time_ns())
        wanted = partitions.positions_between(self.start, self.end or dt.date.max)
        position = min(closed, wanted.stop) - 1
        return date_of(partitions.days[position]) if position >= wanted.start else None

    def settled_session(self, spec: str, now_ns: int | None = None) -> dt.date | None:
        """Return the newest session wanted that its vendor has had `settling_minutes` to correct, or None before the first."""
        now = now_ns if now_ns is not None else time.time_ns()
        return self.last_session(spec, now - self.settling_minutes * 60 * NANOSECONDS)


class WatchlistFile(Section):
    """The file as it is written."""

    instruments: str | None = None
    universes: dict[Annotated[str, Field(pattern=_NAME)], Universe]


class Watchlist:
    """A watchlist that has been read.

    Attributes:
        path: Its file.
        project: The folder that its paths are relative to.
        universes: Universes by name.
    """

    def __init__(self, path: Path, file: WatchlistFile) -> None:
        self.path = path
        self.project = path.parent.parent if path.parent.name == "config" else path.parent
        self.universes: Mapping[str, Universe] = file.universes
        self._definitions = file.instruments

    @property
    def definitions_file(self) -> Path | None:
        """The file of instrument definitions that the watchlist names; None if it names none."""
        return self.path.parent / self._definitions if self._definitions else None

    @cached_property
    def definitions(self) -> InstrumentDefinitions | None:
        """The instrument definitions of the file beside the watchlist; None if it names none.

        Raises:
            ConfigurationError: If that file is wrong.
        """
        return InstrumentDefinitions.read(self.definitions_file) if self.definitions_file is not None else None

    def finer_of(self, series: Series) -> Series | None:
        """Return the series that a series is derived from in the first universe that has it; None where a source is asked for it, or none has it."""
        spec = str(series.spec)
        having = (one for one in self.universes.values() if series.instrument_id in one.instruments and spec in one.bars)
        universe = next(having, None)
        finer = universe.derived.get(spec) if universe is not None else None
        return None if finer is None else Series.of(series.instrument_id, finer)

    def universe_of(self, instrument_id: str) -> str | None:
        """Return the name of the first universe that an instrument is in, or None."""
        return next((name for name, universe in self.universes.items() if instrument_id in universe.instruments), None)


def read_watchlist(path: Path) -> Watchlist:
    """Read a watchlist.

    Raises:
        ConfigurationError: If it is wrong; the message names file, line and key.
    """
    path = path.absolute()
    return Watchlist(path, read_yaml(path, WatchlistFile))
