"""The rules that a row of a CSV file has to obey, and the record of those that do not: small, however many they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

import numpy as np
import numpy.typing as npt

from market_data_pipeline.domain.bar_table import Int64s

# Which part of a row breaks the rule; `row` where it is the whole.
ROW = "row"
FIELDS = (ROW, "time", "open", "high", "low", "close", "volume")
_NOWHERE = -1
_LINE_BITS = 40


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


_RULES = tuple(Rule)
_CODE = {rule: i for i, rule in enumerate(_RULES)}


@dataclass(frozen=True)
class Place:
    """A line of one of the files.

    Attributes:
        file: Position of the file among those read.
        line: Number of the line, from 1.
    """

    file: int
    line: int


@dataclass(frozen=True)
class Fault:
    """One bad row.

    Attributes:
        place: Where it stands.
        rule: What it breaks.
        field: Which of `FIELDS` breaks it.
        other: The row that it repeats or contradicts, if that is the fault.
    """

    place: Place
    rule: Rule
    field: str
    other: Place | None


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
            self.rules[fresh] = _CODE[rule] + 1
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


class FaultLog:
    """All bad rows of some files, 18 bytes each."""

    def __init__(self) -> None:
        self._files: list[int] = []
        self._lines: list[Int64s] = []
        self._kinds: list[npt.NDArray[np.uint16]] = []
        self._others: list[Int64s] = []
        self.counts: Counter[Rule] = Counter()

    def __len__(self) -> int:
        return self.counts.total()

    def add(self, file: int, lines: Int64s, rule: Rule, field: str, others: Int64s | None = None) -> None:
        """Record lines of a file that break one rule; `others` are packed places (see `pack`)."""
        kinds = np.full(len(lines), _CODE[rule] * len(FIELDS) + FIELDS.index(field), dtype=np.uint16)
        self._append(file, lines, kinds, others)

    def add_marks(self, file: int, lines: Int64s, marks: Marks) -> None:
        """Record the marked rows of a block."""
        bad = ~marks.good
        kinds = (marks.rules[bad].astype(np.uint16) - 1) * len(FIELDS) + marks.fields[bad]
        self._append(file, lines[bad], kinds, None)

    def _append(self, file: int, lines: Int64s, kinds: npt.NDArray[np.uint16], others: Int64s | None) -> None:
        if not len(lines):
            return
        self._files.append(file)
        self._lines.append(lines)
        self._kinds.append(kinds)
        self._others.append(np.full(len(lines), _NOWHERE, dtype=np.int64) if others is None else others)
        for kind, count in zip(*np.unique(kinds, return_counts=True), strict=True):
            self.counts[_RULES[int(kind) // len(FIELDS)]] += int(count)

    def files(self) -> list[int]:
        """Return the files that have bad rows."""
        return sorted(set(self._files))

    def of_file(self, file: int, most: int | None = None) -> Iterator[Fault]:
        """Yield the faults of one file in order of lines, at most `most`."""
        pieces = [i for i, f in enumerate(self._files) if f == file]
        if not pieces:
            return
        lines, kinds, others = (np.concatenate([column[i] for i in pieces]) for column in (self._lines, self._kinds, self._others))
        for i in np.argsort(lines, kind="stable")[:most]:
            rule, field = divmod(int(kinds[i]), len(FIELDS))
            yield Fault(Place(file, int(lines[i])), _RULES[rule], FIELDS[field], unpack(int(others[i])))


def pack(files: Int64s, lines: Int64s) -> Int64s:
    """Return places as one int64 each."""
    return (files << _LINE_BITS) | lines


def unpack(packed: int) -> Place | None:
    """Return the place that `pack` packed; None for nowhere."""
    return None if packed == _NOWHERE else Place(packed >> _LINE_BITS, packed & ((1 << _LINE_BITS) - 1))
