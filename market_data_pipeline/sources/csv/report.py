"""What a user is told about bad rows: the first of them in full, all of them by number, and the rejects file."""

from __future__ import annotations

import csv
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from market_data_pipeline.domain.errors import BadRows, StorageFailed
from market_data_pipeline.domain.words import agreeing, count
from market_data_pipeline.sources.csv.columns import FileColumns, example_time, split_line
from market_data_pipeline.sources.csv.faults import Fault
from market_data_pipeline.sources.csv.lines import read_blocks
from market_data_pipeline.sources.csv.reading import Reading, Wanted
from market_data_pipeline.tabular.rules import MINUTE_NS, ROW, Rule, grid_of

SHOWN = 20
_LONGEST_VALUE = 60


@dataclass(frozen=True)
class BadRow:
    """A row that breaks a rule.

    Attributes:
        file: The file's name.
        line: Number of its line, from 1.
        column: The column's name in the header, its number where there is none, or `row` for the whole line.
        value: What stands there.
        rule: What is wrong with it.
        text: The whole line.
    """

    file: str
    line: int
    column: str
    value: str
    rule: str
    text: str

    def __str__(self) -> str:
        value = self.value if len(self.value) <= _LONGEST_VALUE else f"{self.value[:_LONGEST_VALUE]}…"
        return f"{self.file}, line {self.line}, {self.column} {value!r}: {self.rule}"


@dataclass(frozen=True)
class BadRowSummary:
    """The bad rows of some files.

    Attributes:
        count: How many rows are bad; their bars are not taken.
        rows: How many rows there are, good and bad.
        rules: Rule to count, the most frequent first.
        first: The first 20, in order of files and lines.
        rejects: The files that list all of them; none where rows are not skipped.
    """

    count: int
    rows: int
    rules: dict[str, int]
    first: list[BadRow]
    rejects: list[Path]


class BadRowReport:
    """Puts the bad rows of a reading into words, with the text of their lines read again from the files."""

    def __init__(self, reading: Reading, files: Sequence[FileColumns], wanted: Wanted) -> None:
        self._reading = reading
        self._files = files
        self._wanted = wanted
        self._told: dict[tuple[Rule, str, str | None], str] = {}

    def summary(self, rejects: list[Path]) -> BadRowSummary:
        """Return counts and the first rows."""
        faults = self._reading.faults
        rules: dict[str, int] = {}
        for rule, number in faults.counts.most_common():
            words = self._words(rule, self._files[faults.files()[0]])
            rules[words] = rules.get(words, 0) + number
        shown = islice((row for file in faults.files() for row in self._rows(file, SHOWN)), SHOWN)
        return BadRowSummary(len(faults), self._reading.rows, rules, list(shown), rejects)

    def none_or_refuse(self) -> BadRowSummary:
        """Return the summary of no bad rows.

        Raises:
            BadRows: If there is one; with counts, the first rows and what to do.
        """
        if len(self._reading.faults):
            raise self._error()
        return self.summary([])

    def set_aside(self, folder: Path | None) -> BadRowSummary:
        """Write the rejects files, if a row is bad, and return the summary.

        Raises:
            StorageFailed: If they cannot be written.
        """
        return self.summary(self.write_rejects(folder))

    def _error(self) -> BadRows:
        summary = self.summary([])
        names = ", ".join(columns.path.name for columns in self._files[:3]) + (" …" if len(self._files) > 3 else "")
        width = len(f"{max(summary.rules.values()):,}")
        lines = [f"{names}: {summary.count:,} of {count(summary.rows, 'row')} {agreeing(summary.count, 'is', 'are')} bad. Nothing was written."]
        lines += [f"  {number:>{width},}  {rule}" for rule, number in summary.rules.items()]
        lines.append("The first of them:" if summary.count > len(summary.first) else "They are:")
        lines += [f"  {row}" for row in summary.first]
        lines += self._ways_out()
        return BadRows("\n".join(lines))

    def _ways_out(self) -> list[str]:
        ways = []
        counts = self._reading.faults.counts
        if counts[Rule.PRECISION]:
            needs = [
                f"{decimals} decimal{'s' if decimals > 1 else ''} in {what}"
                for decimals, what in ((self._reading.price_decimals, "prices"), (self._reading.size_decimals, "sizes"))
                if decimals
            ]
            ways.append(
                f"The file needs {' and '.join(needs)}. Either define {self._wanted.series.instrument_id} so in the instruments YAML, "
                "or import into an instrument that has them (--instrument ID)."
            )
        if counts[Rule.NO_ZONE]:
            ways.append("Declare the zone of times without an offset: --timezone, for example America/New_York.")
        ways.append("Mend the file, or take the good rows and have the bad ones listed in a rejects file: --skip-bad-rows.")
        return ways

    def write_rejects(self, folder: Path | None) -> list[Path]:
        """Write `<file>.rejects.csv` for each file with bad rows, into `folder` or beside the file: line, column, rule, value, text.

        Raises:
            StorageFailed: If that cannot be written.
        """
        written: list[Path] = []
        for file in self._reading.faults.files():
            source = self._files[file].path
            target = (source.parent if folder is None else folder) / f"{source.name}.rejects.csv"
            if target in written:  # two files of one name from two folders
                target = target.with_name(f"{source.name}.{file + 1}.rejects.csv")
            try:
                _write_atomically(target, ([row.line, row.column, row.rule, row.value, row.text] for row in self._rows(file, None)))
            except OSError as error:
                raise StorageFailed(
                    f"The rejects file {target} cannot be written: {error.strerror}. Nothing was imported. Choose another folder."
                ) from None
            written.append(target)
        return written

    def _rows(self, file: int, most: int | None) -> Iterator[BadRow]:
        columns = self._files[file]
        for fault, text in _with_text(columns.path, self._reading.faults.of_file(file, most)):
            name, value = _value(columns, fault, text)
            rule = self._words(fault.rule, columns)
            if fault.other is not None:
                other = self._files[fault.other.file].path.name
                rule += f" (see line {fault.other.line}{f' of {other}' if fault.other.file != file else ''})"
            if fault.rule is Rule.COLUMN_COUNT:
                rule += f" ({len(split_line(text, columns.delimiter))}, not {columns.width})"
            yield BadRow(columns.path.name, fault.place.line, name, value, rule, text)

    def _words(self, rule: Rule, columns: FileColumns) -> str:
        key = (rule, columns.form.name, columns.layout.time_zone)
        if key not in self._told:
            self._told[key] = self._in_words(rule, columns)
        return self._told[key]

    def _in_words(self, rule: Rule, columns: FileColumns) -> str:
        calendar = self._wanted.partitions.calendar
        return rule.value.format(
            form=columns.form.name,
            zone=columns.layout.time_zone,
            grid="minute" if grid_of(self._wanted.series.spec) == MINUTE_NS else "second",
            price=self._wanted.precision.price,
            size=self._wanted.precision.size,
            calendar=calendar.name,
            first=calendar.first_date,
            last=calendar.last_date,
        )


def _value(columns: FileColumns, fault: Fault, text: str) -> tuple[str, str]:
    """Return the name of the column at fault, and what stands there."""
    if fault.field == ROW:
        return ROW, text
    fields = split_line(text, columns.delimiter)
    name = str(columns.layout.columns[fault.field])
    if fault.field == "time":
        return name, example_time(fields, columns.positions)
    position = columns.positions[fault.field]
    return name, fields[position] if position < len(fields) else ""


def _with_text(path: Path, faults: Iterator[Fault]) -> Iterator[tuple[Fault, str]]:
    """Yield faults (in order of lines) with the text of their lines."""
    fault = next(faults, None)
    for block in read_blocks(path):
        if fault is None:
            return
        last = block.first_line + block.text.count(b"\n") - 1
        if fault.place.line > last:
            continue
        lines = block.text.split(b"\n")
        while fault is not None and fault.place.line <= last:
            yield fault, lines[fault.place.line - block.first_line].decode("utf-8", "replace")
            fault = next(faults, None)


def _write_atomically(target: Path, rows: Iterable[list[str | int]]) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["line", "column", "rule", "value", "text"])
            writer.writerows(rows)
        os.replace(name, target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
