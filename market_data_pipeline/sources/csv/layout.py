"""What the columns of a CSV file mean: the description, and how a mapping (YAML) is read into one."""

from __future__ import annotations

import zoneinfo
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import cast

from market_data_pipeline.domain.errors import ConfigurationError
from market_data_pipeline.sources.csv.time_forms import AUTO, FORM_HELP, is_time_form
from market_data_pipeline.tabular.zones import split_zone

DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|"}
PRICES = ("open", "high", "low", "close")
_FIELDS = ("time", "clock", *PRICES, "volume", "adjusted_close", "symbol")
# What a known exporter leaves out where there is none.
OPTIONAL = ("volume", "adjusted_close", "symbol")


class Stamp(StrEnum):
    """Which end of a bar its time stamp names."""

    OPEN = "open"
    CLOSE = "close"


class Prices(StrEnum):
    """Which prices of a file are taken: as written, or scaled to its column of adjusted closes."""

    AS_WRITTEN = "as written"
    ADJUSTED = "adjusted"


@dataclass(frozen=True)
class CsvLayout:
    """How a CSV file is to be read.

    Columns are named as in the header (letter case does not matter) or numbered from 1.

    Attributes:
        time: Column of the time stamp, or of the date where `clock` is given.
        open: Column of the opening price; so are high, low, close.
        volume: Column of the volume; None where the file has none (bars then get volume 0).
        clock: Column of the time of day where date and time stand in two columns.
        name: Name in `LAYOUTS`, or `custom`.
        header: Whether the first line names the columns. Columns of a file without one are numbered.
        delimiter: One character; None to find it among comma, semicolon, tab and pipe.
        time_form: `auto`, `iso`, `epoch`, `epoch-s`, `-ms`, `-us`, `-ns`, or a pattern: `YYYYMMDD HHMMSS`, `MM/DD/YYYY HH:MM`, `%d.%m.%Y %H:%M`.
            With two columns the pattern is that of date, one space, time. `auto` takes the form of the first row where only one is possible.
        time_zone: IANA name of the zone in which times without an offset are written; None where the text carries offsets.
        stamp: Which end of a bar the stamp names; None where it is not known and has to be declared.
        decimal_mark: `.` or `,`.
        adjustment: What was done to the prices: `raw`, `split`, `split+dividend`. Kept with the bars.
        adjusted_close: Column of the close adjusted for dividends too; read only where adjusted prices are asked for.
        symbol: Column that names the instrument of each row; only the rows of one are taken.
        preamble: Lines before the header (or the first row) that are no part of the table.
        number_marks: Characters that stand in numbers and mean nothing: `$`, and `,` where it parts thousands.
        price_decimals: Decimals of prices that are written as whole numbers: 9 for 187150000000; 0 where they have a point.
        fills: True where the exporter writes flat rows without volume while the venue is shut; these are left out and counted.
        blanks: True where the exporter writes rows without prices (NaN or nothing) for times without trades; left out and counted.
    """

    time: str | int
    open: str | int
    high: str | int
    low: str | int
    close: str | int
    volume: str | int | None = None
    clock: str | int | None = None
    name: str = "custom"
    header: bool = True
    delimiter: str | None = None
    time_form: str = AUTO
    time_zone: str | None = None
    stamp: Stamp | None = None
    decimal_mark: str = "."
    adjustment: str = "raw"
    adjusted_close: str | int | None = None
    symbol: str | int | None = None
    preamble: int = 0
    number_marks: str = ""
    price_decimals: int = 0
    fills: bool = False
    blanks: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be meant.

        Raises:
            ConfigurationError: Naming the key, the value and what may stand there.
        """
        if self.delimiter is not None and (len(self.delimiter) != 1 or self.delimiter in '"\r\n'):
            raise ConfigurationError(
                f"CSV layout {self.name!r}: delimiter {self.delimiter!r} is not one character. Write one, or one of {', '.join(DELIMITERS)}."
            )
        if self.decimal_mark not in (".", ","):
            raise ConfigurationError(f"CSV layout {self.name!r}: decimal_mark {self.decimal_mark!r} is neither '.' nor ','.")
        if self.decimal_mark == "," == self.delimiter:
            raise ConfigurationError(f"CSV layout {self.name!r}: delimiter and decimal_mark are both a comma.")
        if set(self.number_marks) - set("$€£, '") or (self.number_marks and self.decimal_mark in self.number_marks):
            raise ConfigurationError(
                f"CSV layout {self.name!r}: number_marks {self.number_marks!r} may hold $ € £, and a comma, blank or apostrophe."
            )
        if not is_time_form(self.time_form):
            raise ConfigurationError(f"CSV layout {self.name!r}: time_form {self.time_form!r} is unknown. Write {FORM_HELP}.")
        if self.time_zone is not None:
            check_time_zone(self.time_zone)
        for column in self.columns.values():
            if isinstance(column, int) and column < 1:
                raise ConfigurationError(f"CSV layout {self.name!r}: columns are numbered from 1, not {column}.")
            if isinstance(column, str) and not self.header:
                raise ConfigurationError(
                    f"CSV layout {self.name!r}: column {column!r} is named, but the layout has no header. Number the columns from 1."
                )

    @cached_property
    def columns(self) -> dict[str, str | int]:
        """The columns in use, by field: time, clock, open, high, low, close, volume."""
        found = {field: cast("str | int | None", getattr(self, field)) for field in _FIELDS}
        return {field: column for field, column in found.items() if column is not None}

    def declared(self, time_zone: str | None = None, stamp: str | Stamp | None = None) -> CsvLayout:
        """Return this layout with what a user declared on top of it.

        Raises:
            ConfigurationError: If the zone or the stamp convention is unknown.
        """
        return replace(self, time_zone=time_zone or self.time_zone, stamp=parse_stamp(stamp) if stamp else self.stamp)


def parse_stamp(text: str) -> Stamp:
    """Parse `open` or `close`.

    Raises:
        ConfigurationError: If it is anything else.
    """
    try:
        return Stamp(text.strip().lower())
    except ValueError:
        raise ConfigurationError(f"stamp {text!r} is neither open nor close: say which end of a bar its time stamp names.") from None


def check_time_zone(name: str) -> None:
    """Refuse what is no IANA time zone.

    Raises:
        ConfigurationError: If the zone is unknown.
    """
    try:
        zoneinfo.ZoneInfo(split_zone(name)[0])
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigurationError(
            f"{name!r} is no IANA time zone. Write for example America/New_York, Europe/London, UTC, or Etc/GMT+5 (New York's winter time all year)."
        ) from None


def _named_layout(name: str) -> CsvLayout:
    from market_data_pipeline.sources.csv.known_layouts import LAYOUTS

    try:
        return LAYOUTS[name]
    except KeyError:
        raise ConfigurationError(f"No CSV layout is called {name!r}. There are: {', '.join(LAYOUTS)}; or give a YAML file of your own.") from None


def read_layout(text: str) -> CsvLayout | None:
    """Return the layout that a user named: a name in `LAYOUTS`, or the path of a YAML file. `auto` is None: by the file's header.

    Raises:
        ConfigurationError: If there is no such layout, or the file is wrong.
    """
    if text == AUTO:
        return None
    path = Path(text)
    if path.suffix.lower() not in (".yaml", ".yml"):
        return _named_layout(text)
    from market_data_pipeline.configuration import plain_yaml

    try:
        mapping = plain_yaml(path.read_text(encoding="utf-8"), f"The layout file {path}")
    except OSError as error:
        raise ConfigurationError(f"The layout file {path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"The layout file {path} is no YAML: {error}.") from None
    if not isinstance(mapping, dict):
        raise ConfigurationError(f"The layout file {path} holds no mapping. Write for example 'layout: histdata' or 'columns: {{time: date, …}}'.")
    try:
        return layout_from_mapping(mapping)
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error}") from None


def layout_of(given: str | Mapping[str, object] | None) -> CsvLayout | None:
    """Return the layout that a configuration names or describes: a name, a YAML file, a mapping; None is by the file's header.

    Raises:
        ConfigurationError: As `read_layout` and `layout_from_mapping`.
    """
    if given is None:
        return None
    return read_layout(given) if isinstance(given, str) else layout_from_mapping(given)


def layout_from_mapping(mapping: Mapping[str, object]) -> CsvLayout:
    """Read a layout from a mapping, as it stands in the watchlist or in a file of its own.

    Keys: `layout` (a name to start from), `columns` (time, clock, open, high, low, close, volume, adjusted_close, symbol: name or number
    from 1), and the other attributes of `CsvLayout`.

    Raises:
        ConfigurationError: For a key that does not exist, a value that cannot be meant, or a column that is missing.
    """
    options = {field.name for field in fields(CsvLayout)} - set(_FIELDS) - {"name"}
    unknown = set(mapping) - options - {"layout", "columns"}
    if unknown:
        known = ", ".join(sorted(options | {"layout", "columns"}))
        raise ConfigurationError(f"A CSV layout has no key {', '.join(sorted(map(repr, unknown)))}. There are: {known}.")
    base = _named_layout(str(mapping["layout"])) if "layout" in mapping else None
    given: dict[str, object] = {key: _option(key, mapping[key]) for key in options if key in mapping}
    given |= _columns(mapping.get("columns") or {}, base)
    if base is not None:
        return replace(base, **given)  # type: ignore[arg-type]  # each value was checked by _option and _columns
    return CsvLayout(**given)  # type: ignore[arg-type]  # each value was checked by _option and _columns


def _option(key: str, value: object) -> object:
    if key in ("header", "fills", "blanks"):
        if not isinstance(value, bool):
            raise ConfigurationError(f"CSV layout: {key} is {value!r}; write true or false.")
        return value
    if key in ("preamble", "price_decimals"):
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 18:
            raise ConfigurationError(f"CSV layout: {key} is {value!r}; write a whole number from 0 to 18.")
        return value
    if value is None and key in ("delimiter", "time_zone", "stamp"):
        return None
    if not isinstance(value, str):
        raise ConfigurationError(f"CSV layout: {key} is {value!r}; write text in quotes.")
    if key == "stamp":
        return parse_stamp(value)
    return DELIMITERS.get(value, value) if key == "delimiter" else value


def _columns(value: object, base: CsvLayout | None) -> dict[str, object]:
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"CSV layout: columns is {value!r}; write a mapping such as {{time: date, open: o, high: h, low: l, close: c}}.")
    columns: dict[str, object] = {}
    for field, column in value.items():
        if field not in _FIELDS:
            raise ConfigurationError(f"CSV layout: columns has no {field!r}. There are: {', '.join(_FIELDS)}.")
        if isinstance(column, bool) or not (isinstance(column, str | int) or (column is None and field in ("clock", *OPTIONAL))):
            raise ConfigurationError(f"CSV layout: column {field} is {column!r}; write the name in the header, or a number from 1.")
        columns[field] = column
    missing = [field for field in ("time", *PRICES) if field not in columns]
    if base is None and missing:
        raise ConfigurationError(f"CSV layout: columns lacks {', '.join(missing)}. Name them, or start from a known layout with 'layout: NAME'.")
    return columns
