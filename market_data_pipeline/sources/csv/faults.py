"""The record of the rows of CSV files that break a rule: small, however many they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from market_data_pipeline.domain.bar_table import Int64s
from market_data_pipeline.tabular.rules import CODES, FIELDS, RULES, Marks, Rule

_NOWHERE = -1
_LINE_BITS = 40


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
        kinds = np.full(len(lines), CODES[rule] * len(FIELDS) + FIELDS.index(field), dtype=np.uint16)
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
            self.counts[RULES[int(kind) // len(FIELDS)]] += int(count)

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
            yield Fault(Place(file, int(lines[i])), RULES[rule], FIELDS[field], unpack(int(others[i])))


def pack(files: Int64s, lines: Int64s) -> Int64s:
    """Return places as one int64 each."""
    return (files << _LINE_BITS) | lines


def unpack(packed: int) -> Place | None:
    """Return the place that `pack` packed; None for nowhere."""
    return None if packed == _NOWHERE else Place(packed >> _LINE_BITS, packed & ((1 << _LINE_BITS) - 1))
