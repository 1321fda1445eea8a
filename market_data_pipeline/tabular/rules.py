"""The rules that a row from outside has to obey, wherever it comes from, and which of them it breaks first."""

from __future__ import annotations

from enum import Enum

import numpy as np
import numpy.typing as npt

from market_data_pipeline.domain.bar_table import PRICE_COLUMNS, Int64s
from market_data_pipeline.domain.bar_types import NANOSECONDS, Aggregation, BarSpec
from market_data_pipeline.tabular.numbers import NumberFault, Numbers

# Which part of a row breaks the rule; `row` where it is the whole.
ROW = "row"
FIELDS = (ROW, "time", "open", "high", "low", "close", "volume")
MINUTE_NS = 60 * NANOSECONDS


class Rule(Enum):
    """A rule, with the words in which a user is told that a row breaks it. Order is precedence: a row is reported once."""

    COLUMN_COUNT = "wrong column count"
    LINE_BREAK = "a quote that is not closed in its line"
    NO_TIME = "missing time stamp"
    NOT_A_TIME = "not a time of the form {form}"
    ABSURD_TIME = "time before 1970 or after 2199"
    NO_CLOCK = "no time of day"
    NO_ZONE = "no UTC offset, and no time zone is declared"
    NONEXISTENT_TIME = "the clock of {zone} skips this time (DST)"
    OFF_GRID = "not on a whole {grid}"
    EMPTY = "empty field"
    NOT_A_NUMBER = "not a number"
    PRECISION = "more decimals than the instrument has ({price} in prices, {size} in sizes)"
    TOO_LARGE = "number too large"
    PRICE = "negative or zero price"
    LOW_HIGH = "low > high"
    OPEN_CLOSE = "open or close outside low and high"
    VOLUME = "negative volume"
    NO_SESSION = "no session of the {calendar} calendar"
    OUTSIDE_CALENDAR = "outside the {calendar} calendar ({first} to {last})"
    AMBIGUOUS_TIME = "the clock of {zone} shows this time twice (DST), and the order of rows does not tell which"
    REPEATED = "repeated time stamp"
    REPEATED_DIFFERENTLY = "repeated time stamp with other values"
    CONFLICT = "other values for this bar in another file"


RULES = tuple(Rule)
CODES = {rule: i for i, rule in enumerate(RULES)}
_NUMBER_RULES = {
    NumberFault.EMPTY: Rule.EMPTY,
    NumberFault.NOT_A_NUMBER: Rule.NOT_A_NUMBER,
    NumberFault.TOO_PRECISE: Rule.PRECISION,
    NumberFault.TOO_LARGE: Rule.TOO_LARGE,
}


class Marks:
    """Which rule each row of a block breaks first. Shape (n,)."""

    def __init__(self, rows: int) -> None:
        self.rules = np.zeros(rows, dtype=np.uint8)
        self.fields = np.zeros(rows, dtype=np.uint8)
        self.any = False

    def mark(self, rule: Rule, field: str, broken: npt.NDArray[np.bool_]) -> None:
        """Mark rows that break `rule` and nothing before it."""
        if broken.any():
            fresh = broken & (self.rules == 0)
            self.rules[fresh] = CODES[rule] + 1
            self.fields[fresh] = FIELDS.index(field)
            self.any = True

    def forgive(self, rows: npt.NDArray[np.bool_]) -> None:
        """Take the marks off rows that are no bars at all."""
        self.rules[rows] = 0
        self.fields[rows] = 0

    @property
    def good(self) -> npt.NDArray[np.bool_]:
        """Rows without a mark."""
        return np.equal(self.rules, 0)


def mark_numbers(numbers: Numbers, field: str, marks: Marks) -> None:
    """Mark the rows whose `field` was not taken as a number."""
    if numbers.faults is not None:
        for fault, rule in _NUMBER_RULES.items():
            marks.mark(rule, field, numbers.faults == fault)


def mark_values(values: list[Int64s], marks: Marks) -> None:
    """Mark the rows whose open, high, low, close, volume (in this order, whole numbers of the last decimal) contradict each other."""
    opens, high, low, close, volume = values
    for name, price in zip(PRICE_COLUMNS, values[:4], strict=True):
        marks.mark(Rule.PRICE, name, price <= 0)
    marks.mark(Rule.LOW_HIGH, "low", low > high)
    for name, price in (("open", opens), ("close", close)):
        marks.mark(Rule.OPEN_CLOSE, name, (price > high) | (price < low))
    marks.mark(Rule.VOLUME, "volume", volume < 0)


def grid_of(spec: BarSpec) -> int:
    """Return the nanoseconds on whose multiples the stamps of intraday bars have to stand: a second or a minute."""
    return NANOSECONDS if spec.aggregation is Aggregation.SECOND else MINUTE_NS
