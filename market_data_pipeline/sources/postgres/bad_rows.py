"""The rows of a table that break a rule: kept small, however many they are, and told by id with the values that stand there."""

from __future__ import annotations

import csv
import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.errors import BadRows, StorageFailed
from market_data_pipeline.domain.sessions import Partitions
from market_data_pipeline.domain.source import Precision
from market_data_pipeline.domain.words import agreeing, count
from market_data_pipeline.sources.postgres.table import BarsTable, Identity, rejects_name
from market_data_pipeline.tabular.rules import CODES, FIELDS, MINUTE_NS, ROW, RULES, Marks, Rule, grid_of

if TYPE_CHECKING:
    import pyarrow as pa

SHOWN = 20
_AT_ONCE = 1_000
_COLUMNS = ("time", "open", "high", "low", "close", "volume")


class BadRowLog:
    """Identities of bad rows, and which rule each breaks.

    Attributes:
        identities: In the order in which they were met.
        counts: How many rows break each rule.
    """

    def __init__(self) -> None:
        self.identities: list[Identity] = []
        self.counts: Counter[Rule] = Counter()
        self._kinds: list[int] = []

    def __len__(self) -> int:
        return len(self.identities)

    @property
    def has_repeats(self) -> bool:
        """True where a row repeats another with the same values."""
        return self.counts[Rule.REPEATED] > 0

    def add(self, identities: list[Identity], rule: Rule, field: str) -> None:
        """Record rows that break one rule."""
        self.identities += identities
        self._kinds += [CODES[rule] * len(FIELDS) + FIELDS.index(field)] * len(identities)
        self.counts[rule] += len(identities)

    def add_marks(self, identities: pa.Array, marks: Marks) -> None:
        """Record the marked rows of a piece."""
        bad: npt.NDArray[np.int64] = np.flatnonzero(~marks.good)
        self.identities += identities.take(bad).to_pylist()
        for i in bad:
            self._kinds.append((int(marks.rules[i]) - 1) * len(FIELDS) + int(marks.fields[i]))
            self.counts[RULES[int(marks.rules[i]) - 1]] += 1

    def faults(self) -> Iterator[tuple[Identity, Rule, str]]:
        """Yield each row with its rule and field, by identity."""
        for i in sorted(range(len(self)), key=self.identities.__getitem__):
            rule, field = divmod(self._kinds[i], len(FIELDS))
            yield self.identities[i], RULES[rule], FIELDS[field]


class BadRowReport:
    """Puts bad rows into words, with their values asked from the server again."""

    def __init__(self, table: BarsTable, symbol: str, bad: BadRowLog, wanted: tuple[Series, Partitions, Precision], rows: int) -> None:
        self._table, self._symbol, self._bad, self._rows = table, symbol, bad, rows
        self._series, self._partitions, self._precision = wanted

    def error(self, price_decimals: int, size_decimals: int) -> BadRows:
        """Return the refusal: counts by rule, the first rows, and what to do.

        Args:
            price_decimals: Most decimals of a price that has too many; 0 if none has.
            size_decimals: The same for volumes.
        """
        told = self._bad.counts.most_common()
        width = len(f"{max(self._bad.counts.values()):,}")
        shown = list(self._told(SHOWN))
        head = f"{self._table.name} {self._symbol}: {len(self._bad):,} of {count(self._rows, 'row')} {agreeing(len(self._bad), 'is', 'are')} bad."
        lines = [f"{head} Nothing of {self._series.instrument_id} was written."]
        lines += [f"  {number:>{width},}  {self._words(rule)}" for rule, number in told]
        lines.append("The first of them:" if len(self._bad) > len(shown) else "They are:")
        lines += [f"  {self._table.shape.identity_name} {identity}, {column} {value!r}: {rule}" for identity, column, rule, value, _ in shown]
        if self._bad.counts[Rule.PRECISION]:
            needs = [
                f"{decimals} decimal{'s' if decimals > 1 else ''} in {what}"
                for decimals, what in ((price_decimals, "prices"), (size_decimals, "sizes"))
                if decimals
            ]
            lines.append(
                f"The table needs {' and '.join(needs)}. Define {self._series.instrument_id} so in the instruments "
                "YAML, or map the symbol to an instrument "
                "that has them."
            )
        lines.append("Mend the rows, or take the good ones and have the bad ones listed in a rejects file: --skip-bad-rows.")
        return BadRows("\n".join(lines))

    def write(self, folder: Path) -> Path:
        """Write all of them to a rejects file in `folder`: identity, column, rule, value, and the row. Returns the file.

        Raises:
            StorageFailed: If it cannot be written.
        """
        target = folder / rejects_name(self._table.name, self._symbol)
        name = None
        try:
            folder.mkdir(parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(dir=folder, prefix=f".{target.name}.")
            with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file)
                writer.writerow([self._table.shape.identity_name, "column", "rule", "value", "symbol", *_COLUMNS])
                for identity, column, rule, value, row in self._told(None):
                    writer.writerow([identity, column, rule, value, self._symbol, *row])
            os.replace(name, target)
        except OSError as error:
            if name is not None:
                Path(name).unlink(missing_ok=True)
            raise StorageFailed(f"The rejects file {target} cannot be written: {error.strerror}. Nothing of {self._symbol} was written.") from None
        return target

    def _told(self, most: int | None) -> Iterator[tuple[Identity, str, str, str, tuple[str | None, ...]]]:
        waiting: list[tuple[Identity, Rule, str]] = []
        for number, fault in enumerate(self._bad.faults()):
            if number == most:
                break
            waiting.append(fault)
            if len(waiting) == _AT_ONCE:
                yield from self._with_values(waiting)
                waiting.clear()
        yield from self._with_values(waiting)

    def _with_values(self, faults: list[tuple[Identity, Rule, str]]) -> Iterator[tuple[Identity, str, str, str, tuple[str | None, ...]]]:
        if not faults:
            return
        rows = self._table.rows_of(self._symbol, [identity for identity, _, _ in faults])
        for identity, rule, field in faults:
            row = rows.get(str(identity), (None,) * len(_COLUMNS))
            value = "" if field == ROW else row[_COLUMNS.index(field)]
            column = field if field == ROW else getattr(self._table.shape.columns, field) or field
            yield identity, column, self._words(rule), "" if value is None else value, row

    def _words(self, rule: Rule) -> str:
        calendar = self._partitions.calendar
        return rule.value.format(
            form="a time",
            zone=self._table.reading.time_zone,
            grid="minute" if grid_of(self._series.spec) == MINUTE_NS else "second",
            price=self._precision.price,
            size=self._precision.size,
            calendar=calendar.name,
            first=calendar.first_date,
            last=calendar.last_date,
        )
