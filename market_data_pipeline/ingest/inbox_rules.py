"""What the files of the inbox hold: rules by name in `config/inbox.yaml`, or a sidecar beside a file.

How a file is written is told by evidence, as for `mdp import-csv`. Nobody can be asked, so a file that leaves something open is rejected.

    rests_s: 10
    rules:
      - pattern: "{instrument}_{bar}.csv"
        time_zone: America/New_York
        stamp: open
      - pattern: "export-{symbol}-*.csv.gz"
        venue: NASDAQ
        bar: 1-DAY-LAST
        layout: layouts/vendor.yaml
        on_conflict: merge
        prefer: file

The first rule whose pattern fits the whole name counts. A sidecar `FILE.yaml` beside FILE, with `instrument`, `bar` and the same keys, wins over all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from market_data_pipeline.catalog.instrument_definitions import iso_pair
from market_data_pipeline.configuration import Section, read_yaml
from market_data_pipeline.domain.bar_types import BarSpec, Series, parse_instrument_id, path_name
from market_data_pipeline.domain.errors import MarketDataError, UsageError

SIDECAR_SUFFIX = ".yaml"
_PLACEHOLDERS = {
    "instrument": r"(?P<instrument>[^{}]+\.[A-Za-z0-9]+?)",
    "symbol": r"(?P<symbol>[^{}]+?)",
    "venue": r"(?P<venue>[A-Za-z0-9]+?)",
    "bar": r"(?P<bar>\d+-[A-Za-z]+-[A-Za-z]+)",
}
_TOKEN = re.compile(r"\{([^{}]*)\}|\*|\?|[^{*?]+|\{")


def _id(text: str) -> str:
    return _or_value_error(parse_instrument_id, text)


def _spec(text: str) -> str:
    return _or_value_error(BarSpec.parse, text)


def _or_value_error(parse: Any, text: str) -> str:
    try:
        return str(parse(text))
    except MarketDataError as error:
        raise ValueError(str(error)) from None


class HowToRead(Section):
    """How a file is read, and what to do with sessions that are stored with other bars.

    Attributes:
        layout: A known layout's name, a layout file (relative to the project), or a description; none is told by evidence.
        time_zone: Zone of times without an offset.
        stamp: Which end of a bar its time names.
        time_form: How times are written, if day and month could be exchanged.
        symbol: Whose rows to take of a file with several symbols.
        adjusted: Store prices scaled to the column of adjusted closes.
        delimiter: One character, or comma, semicolon, tab, pipe; none is found.
        skip_bad_rows: Store the good rows, and list the bad ones in a file.
        accept_holes: Take long stretches without bars for thin trading.
        on_conflict: For sessions that are stored with other bars; nobody is there to ask.
        prefer: Whose value a merge takes where both have one bar.
    """

    layout: str | Mapping[str, Any] | None = None
    time_zone: str | None = None
    stamp: Literal["open", "close"] | None = None
    time_form: str | None = None
    symbol: str | None = None
    adjusted: bool = False
    delimiter: str | None = None
    skip_bad_rows: bool = False
    accept_holes: bool = False
    on_conflict: Literal["skip", "overwrite", "merge", "fail"] = "fail"
    prefer: Literal["stored", "file"] | None = None


class Sidecar(HowToRead):
    """A file beside a file of the inbox that says what it holds."""

    instrument: Annotated[str, AfterValidator(_id)]
    bar: Annotated[str, AfterValidator(_spec)]


class InboxRule(HowToRead):
    """What files of some names hold.

    Attributes:
        pattern: The whole name; {instrument}, {symbol}, {venue} and {bar} stand for what they say, * and ? for anything. An instrument is written
            as a folder of the catalog writes it: EURUSD.IDEALPRO.
        instrument: For a pattern that names none.
        venue: For a pattern with {symbol} alone.
        bar: For a pattern that names none.
    """

    pattern: str
    instrument: Annotated[str, AfterValidator(_id)] | None = None
    venue: str | None = None
    bar: Annotated[str, AfterValidator(_spec)] | None = None

    @model_validator(mode="after")
    def _says_what_it_holds(self) -> InboxRule:
        named = {match[1] for match in _TOKEN.finditer(self.pattern) if match[1] is not None}
        known = ", ".join("{" + name + "}" for name in _PLACEHOLDERS)
        if unknown := sorted(named - set(_PLACEHOLDERS)):
            raise ValueError(f"{self.pattern!r} has a placeholder that is not known ({unknown[0]!r}); there are {known}")
        if self.instrument is None and "instrument" not in named and not ("symbol" in named and (self.venue or "venue" in named)):
            raise ValueError(f"{self.pattern!r} does not say which instrument: write {{instrument}}, or {{symbol}} with venue, or give instrument")
        if self.bar is None and "bar" not in named:
            raise ValueError(f"{self.pattern!r} does not say which bars: write {{bar}}, or give bar: 1-MINUTE-LAST")
        return self

    @cached_property
    def _shape(self) -> re.Pattern[str]:
        return re.compile("".join(_expression(match) for match in _TOKEN.finditer(self.pattern)), re.DOTALL)

    def series_in(self, name: str, known: Mapping[str, str]) -> Series | None:
        """Return the series that a file name stands for, or None if it does not fit.

        Args:
            name: The file's name.
            known: Instrument ids by the name that they have in paths.
        """
        match = self._shape.fullmatch(name)
        if match is None:
            return None
        found = {key: value for key, value in match.groupdict().items() if value is not None}
        instrument = self.instrument or found.get("instrument") or f"{found['symbol']}.{self.venue or found['venue']}"
        try:
            return Series.of(known.get(instrument) or as_pair(instrument), self.bar or found["bar"].upper())
        except MarketDataError:
            return None


def _expression(match: re.Match[str]) -> str:
    if match[1] is not None:
        return _PLACEHOLDERS[match[1]]
    return {"*": ".*", "?": "."}.get(match[0]) or re.escape(match[0])


def as_pair(instrument: str) -> str:
    """Return `EUR/USD.IDEALPRO` for `EURUSD.IDEALPRO`, which file names cannot write; other ids as they are."""
    symbol, dot, venue = instrument.rpartition(".")
    pair = f"{symbol[:3]}/{symbol[3:]}{dot}{venue}"
    return pair if venue == "IDEALPRO" and iso_pair(pair) is not None else instrument


class InboxRules(Section):
    """The file as it is written.

    Attributes:
        rests_s: Seconds for which a file must not have changed before it is taken for complete.
        rules: The rules, in the order in which they are tried.
    """

    rests_s: float = Field(default=10.0, ge=0)
    rules: tuple[InboxRule, ...] = ()


_USUAL = InboxRules(rules=(InboxRule(pattern="{instrument}-{bar}.csv*"), InboxRule(pattern="{instrument}_{bar}.csv*")))


def read_rules(path: Path) -> InboxRules:
    """Return the rules of a file; without one, files called `AAPL.NASDAQ-1-MINUTE-LAST.csv` are understood.

    Raises:
        ConfigurationError: If it is wrong; with file, line and key.
    """
    return read_yaml(path, InboxRules) if path.exists() else _USUAL


@dataclass(frozen=True)
class Meaning:
    """What a file holds and how it is read; `said_by` names the rule or sidecar, for messages."""

    series: Series
    how: HowToRead
    said_by: str


def meaning_of(file: Path, rules: InboxRules, ids: Iterable[str]) -> Meaning:
    """Return what a file holds.

    Args:
        file: The file.
        rules: What is known of names.
        ids: Instrument ids that are known, for those that a path cannot write.

    Raises:
        ConfigurationError: If its sidecar is wrong.
        UsageError: If neither a sidecar nor a rule says what it holds; with what to write.
    """
    sidecar = sidecar_of(file)
    if sidecar.is_file():
        said = read_yaml(sidecar, Sidecar)
        return Meaning(Series.of(said.instrument, said.bar), said, sidecar.name)
    known = {path_name(one): one for one in ids}
    for rule in rules.rules:
        series = rule.series_in(file.name, known)
        if series is not None:
            return Meaning(series, rule, f"rule {rule.pattern}")
    patterns = ", ".join(rule.pattern for rule in rules.rules) or "none"
    raise UsageError(
        f"Nothing says what {file.name} holds: its name fits no rule ({patterns}) and there is no {sidecar.name} beside it. "
        f"Write {sidecar.name} with:\n\ninstrument: AAPL.NASDAQ\nbar: 1-MINUTE-LAST\ntime_zone: America/New_York\nstamp: open\n\n"
        "or a rule in config/inbox.yaml, and put the file into the inbox again."
    )


def sidecar_of(file: Path) -> Path:
    """Return where the sidecar of a file would be."""
    return file.with_name(file.name + SIDECAR_SUFFIX)
