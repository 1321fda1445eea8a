"""Instrument ids, bar specs and series, in Nautilus' own strings.

A *series* is one bar type: `AAPL.NASDAQ-1-MINUTE-LAST-EXTERNAL`. Parsed here without importing Nautilus (0.6 s), because
`mdp check` answers in less; a test holds the grammar against `nautilus_trader.model.data.BarType`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from market_data_pipeline.domain.errors import InvalidBarType, InvalidInstrumentId, UsageError

NANOSECONDS = 1_000_000_000
DAY_NS = 86_400 * NANOSECONDS

# One slash (currency pairs) is allowed; anything that could leave the catalog's folder or split a Dagster key is not.
# Dots and spaces stand inside a symbol, never at its ends.
_SYMBOL = re.compile(r"[A-Za-z0-9^=&+_:-](?:(?:[A-Za-z0-9^=&+_: -]|\.(?!\.))*[A-Za-z0-9^=&+_:-])?(?:/[A-Za-z0-9]+)?")
_VENUE = re.compile(r"[A-Z0-9_]+")


class Aggregation(StrEnum):
    """Units of a bar's length."""

    SECOND = "SECOND"
    MINUTE = "MINUTE"
    HOUR = "HOUR"
    DAY = "DAY"
    WEEK = "WEEK"
    MONTH = "MONTH"


class PriceType(StrEnum):
    """Which price the bars are made of."""

    LAST = "LAST"
    BID = "BID"
    ASK = "ASK"
    MID = "MID"


_UNIT_NS = {
    Aggregation.SECOND: NANOSECONDS,
    Aggregation.MINUTE: 60 * NANOSECONDS,
    Aggregation.HOUR: 3_600 * NANOSECONDS,
    Aggregation.DAY: DAY_NS,
}


# Nautilus refuses other steps ("60-MINUTE" among them). Of days and longer only one makes sense here: a partition is one session, so every
# second partition of 2-DAY bars would be missing for ever.
_STEPS = {
    Aggregation.SECOND: (1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30),
    Aggregation.MINUTE: (1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30),
    Aggregation.HOUR: (1, 2, 3, 4, 6, 8, 12),
    Aggregation.DAY: (1,),
    Aggregation.WEEK: (1,),
    Aggregation.MONTH: (1,),
}


def parse_instrument_id(text: str) -> str:
    """Return `text` if it is SYMBOL.VENUE and safe as a file and partition name.

    Raises:
        InvalidInstrumentId: If it is not.
    """
    symbol, dot, venue = text.rpartition(".")
    if not (dot and _SYMBOL.fullmatch(symbol) and _VENUE.fullmatch(venue)):
        raise InvalidInstrumentId(
            f"{text!r} is not an instrument id. Write SYMBOL.VENUE as Nautilus does, for example AAPL.NASDAQ or EUR/USD.IDEALPRO."
        )
    return text


def refuse_bar_type(text: str, command: str = "load") -> None:
    """Refuse a bar type in one word, with or without its `-EXTERNAL`, where an instrument and its bars are named one by one.

    Args:
        text: What may be one.
        command: The command of `mdp` that names them one by one.

    Raises:
        UsageError: If it is one.
    """
    try:
        series = Series.parse(f"{text.removesuffix('-EXTERNAL')}-EXTERNAL")
    except (InvalidBarType, InvalidInstrumentId):
        return
    raise UsageError(f"{text!r} is an instrument and its bars in one word. Write: mdp {command} {series.instrument_id} {series.spec}")


def venue_of(instrument_id: str) -> str:
    """Return the venue of a parsed instrument id: `NASDAQ` of `AAPL.NASDAQ`."""
    return instrument_id.rpartition(".")[2]


def path_name(identifier: str) -> str:
    """Return the folder name that Nautilus gives an instrument id or bar type: the slash is dropped."""
    return identifier.replace("/", "")


@dataclass(frozen=True, order=True)
class BarSpec:
    """Length and price type of bars: `1-MINUTE-LAST`."""

    step: int
    aggregation: Aggregation
    price_type: PriceType

    @classmethod
    def parse(cls, text: str) -> BarSpec:
        """Parse `STEP-UNIT-PRICE`, for example `15-MINUTE-MID`.

        Raises:
            InvalidBarType: If the text is anything else, or a step that Nautilus does not know or that has no sessions of its own.
        """
        parts = text.strip().upper().split("-")
        try:
            step, aggregation, price_type = parts
            spec = cls(int(step), Aggregation(aggregation), PriceType(price_type))
        except ValueError:
            spec = None
        if spec is None or not parts[0].isdigit():
            raise InvalidBarType(
                f"{text!r} is not a bar spec. Write STEP-UNIT-PRICE, for example 1-MINUTE-LAST or 1-DAY-MID "
                f"(units {', '.join(Aggregation)}; prices {', '.join(PriceType)})."
            )
        if spec.step not in _STEPS[spec.aggregation]:
            steps = ", ".join(map(str, _STEPS[spec.aggregation]))
            raise InvalidBarType(
                f"{text!r}: there are no bars of {spec.step} {spec.aggregation}. Steps of {spec.aggregation}: {steps}.{spec._instead()}"
            )
        return spec

    def _instead(self) -> str:
        """Return advice where the same length has another name: 60 minutes are an hour."""
        for unit in (Aggregation.DAY, Aggregation.HOUR, Aggregation.MINUTE):
            steps, rest = divmod(self.step * _UNIT_NS.get(self.aggregation, 0), _UNIT_NS[unit])
            if unit is not self.aggregation and not rest and steps in _STEPS[unit]:
                return f" Write {steps}-{unit}-{self.price_type}."
        return ""

    @property
    def is_daily_or_longer(self) -> bool:
        """True where bars are stamped by a date and not by a time of day."""
        return self.aggregation in (Aggregation.DAY, Aggregation.WEEK, Aggregation.MONTH)

    @property
    def length_ns(self) -> int:
        """Nanoseconds from a bar's open to its close. Only for bars shorter than a day; longer ones are stamped by date."""
        if self.is_daily_or_longer:
            raise ValueError(f"{self} has no fixed length")
        return self.step * _UNIT_NS[self.aggregation]

    def why_not_from(self, finer: BarSpec) -> str:
        """Return why bars of this spec cannot be made of finer ones, for a person; empty if they can."""
        if finer.price_type is not self.price_type:
            return f"{self.price_type} prices cannot be made of {finer.price_type} prices"
        if finer == self:
            return "they are the same bars"
        weeks_and_months = (Aggregation.WEEK, Aggregation.MONTH)
        if finer.aggregation in weeks_and_months:
            longer = self.aggregation is Aggregation.MONTH and finer.aggregation is Aggregation.WEEK
            return "months do not begin with a week" if longer else f"{finer} is not finer than {self}"
        if self.is_daily_or_longer:
            return ""  # of whole sessions, whatever their hours
        if finer.is_daily_or_longer or finer.length_ns >= self.length_ns:
            return f"{finer} is not finer than {self}"
        whole = self.length_ns % finer.length_ns == 0
        return "" if whole else f"{finer.step} {finer.aggregation} does not divide {self.step} {self.aggregation}"

    def __str__(self) -> str:
        return f"{self.step}-{self.aggregation}-{self.price_type}"


@dataclass(frozen=True)
class WantedBars:
    """Bars that are wanted, and the finer bars that they are to be made of, if any: `5-MINUTE-LAST from 1-MINUTE-LAST`.

    Attributes:
        spec: The bars.
        finer: What they are derived from; None where a source is asked for them.
    """

    spec: BarSpec
    finer: BarSpec | None = None

    @classmethod
    def parse(cls, text: str) -> WantedBars:
        """Parse a bar spec, alone or with ` from ` and another.

        Raises:
            InvalidBarType: If either is no bar spec, or the one cannot be made of the other.
        """
        match text.split():
            case [spec, word, finer] if word.lower() == "from":
                wanted = cls(BarSpec.parse(spec), BarSpec.parse(finer))
                assert wanted.finer is not None
                if reason := wanted.spec.why_not_from(wanted.finer):
                    raise InvalidBarType(f"{text!r} cannot be: {reason}.")
                return wanted
            case [_, word, *_] if word.lower() == "from":
                raise InvalidBarType(f"{text!r}: write bars and the finer ones that they are made of, as 5-MINUTE-LAST from 1-MINUTE-LAST.")
        return cls(BarSpec.parse(text))

    def __str__(self) -> str:
        return str(self.spec) if self.finer is None else f"{self.spec} from {self.finer}"


@dataclass(frozen=True, order=True)
class Series:
    """One bar type of one instrument; what a folder of the Parquet catalog holds."""

    instrument_id: str
    spec: BarSpec

    @classmethod
    def of(cls, instrument_id: str, spec: str | BarSpec) -> Series:
        """Build from an instrument id and a bar spec, checking both."""
        return cls(parse_instrument_id(instrument_id), spec if isinstance(spec, BarSpec) else BarSpec.parse(spec))

    @classmethod
    def parse(cls, bar_type: str) -> Series:
        """Parse `AAPL.NASDAQ-1-MINUTE-LAST-EXTERNAL`.

        Raises:
            InvalidBarType: If it is no bar type, or not an EXTERNAL one (bars that Nautilus makes itself are not stored).
        """
        parts = bar_type.rsplit("-", 4)
        if bar_type.partition("@")[0].endswith("-INTERNAL"):
            raise InvalidBarType(
                f"{bar_type!r}: Nautilus makes INTERNAL bars itself, of ticks or of other bars: no source has them, and none are stored. "
                "Write ID-STEP-UNIT-PRICE-EXTERNAL, for example AAPL.NASDAQ-1-MINUTE-LAST-EXTERNAL."
            )
        if len(parts) != 5 or parts[4] != "EXTERNAL":
            raise InvalidBarType(
                f"{bar_type!r} is not a bar type. Write ID-STEP-UNIT-PRICE-EXTERNAL, for example AAPL.NASDAQ-1-MINUTE-LAST-EXTERNAL."
            )
        return cls.of(parts[0], "-".join(parts[1:4]))

    @property
    def bar_type(self) -> str:
        """Nautilus' string of this series."""
        return f"{self.instrument_id}-{self.spec}-EXTERNAL"

    @property
    def folder(self) -> str:
        """Name of the series' folder below `data/bar/` of the catalog."""
        return path_name(self.bar_type)

    @property
    def venue(self) -> str:
        """The instrument's venue."""
        return venue_of(self.instrument_id)

    def __str__(self) -> str:
        return self.bar_type
