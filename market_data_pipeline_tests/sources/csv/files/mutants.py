"""Copies of a file that tell something else, or the same in another way.

A mutant either shows the same bars in another way (another zone, the other end of a bar, another delimiter, another order), or shows them
wrongly (columns swapped). In both the bars that happened are those of the file it was made from. So an import of a mutant is **wrong** if it
stores any other bar than those. Refusing it is right, and so is taking it if the reader found out what was changed.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from zoneinfo import ZoneInfo

from market_data_pipeline_tests.sources.csv.files.case import Case
from market_data_pipeline_tests.sources.csv.files.market import DAY, HOUR, NEW_YORK

# 08.03.2024, 03/08/24: dates that do not begin with the year.
_DAY_FIRST = re.compile(r"(?P<prefix>^|[,;\t])(?P<one>\d\d)(?P<mark>[./])(?P<two>\d\d)(?P=mark)(?P<year>\d{2,4})(?=[,; ])")
OTHER_END = {"open": "close", "close": "open"}


@dataclass(frozen=True)
class Mutant:
    """A changed copy of a file.

    Attributes:
        kind: What was changed.
        content: Its bytes.
        options: What the user says.
    """

    kind: str
    content: bytes
    options: tuple[str, ...]


def _swaps_open_and_close(_: Case, kind: str) -> bool:
    return kind == "open and close swapped"


def _moves_a_market_that_never_stops(case: Case, kind: str) -> bool:
    return case.instrument.startswith("BTC/") and kind.startswith(("zone", "clock", "end", "option"))


UNSEEN: tuple[tuple[str, Callable[[Case, str], bool]], ...] = (
    ("Open and close lie between low and high either way: nothing but the header says which is which.", _swaps_open_and_close),
    ("Coins trade day and night: no open, close or weekend shows that all times were moved.", _moves_a_market_that_never_stops),
)
"""What nobody could see in a mutant, however much of it was read. A reader that takes one of these is not wrong."""


def is_unseen(case: Case, kind: str) -> bool:
    """Return whether nobody could see what was changed in a mutant."""
    return any(applies(case, kind) for _, applies in UNSEEN)


def mutants(case: Case) -> Iterator[Mutant]:
    """Yield every mutant of a file that differs from it."""
    whole = case.written()
    for mutant in (*clocks(case), *_texts(case), *_options(case)):
        if mutant.content != whole or mutant.options != case.options:
            yield mutant


def clocks(case: Case) -> Iterator[Mutant]:
    """Yield the same bars, stamped by other clocks."""
    clock = case.clock
    first = clock.stamp(case.bars[0], 0)
    hours = int((first.utcoffset() or dt.timedelta()).total_seconds()) // HOUR
    fixed = f"Etc/GMT{-hours:+d}" if hours else "UTC"
    for kind, other in (
        ("zone: UTC", replace(clock, zone="UTC")),
        ("zone: New York", replace(clock, zone=NEW_YORK)),
        ("zone: Berlin", replace(clock, zone="Europe/Berlin")),
        ("zone: Chicago", replace(clock, zone="America/Chicago")),
        ("zone: without summer time", replace(clock, zone=fixed)),
        ("clock: an hour late", replace(clock, shift_s=HOUR)),
        ("clock: an hour early", replace(clock, shift_s=-HOUR)),
        ("clock: a day late", replace(clock, shift_s=DAY)),
        ("clock: a bar late", replace(clock, shift_s=case.length_s)),
        ("end: the other", replace(clock, end=OTHER_END[clock.end])),
    ):
        yield Mutant(kind, case.written(case.rows(other)), case.options)


def _texts(case: Case) -> Iterator[Mutant]:
    """Yield the same rows, written or ordered otherwise."""
    lines = case.rows()
    shuffled = random.Random(case.name).sample(lines, len(lines))
    for kind, changed in (
        ("rows reversed", lines[::-1]),
        ("rows shuffled", shuffled),
        ("rows of the middle moved to the end", [*lines[: len(lines) // 3], *lines[len(lines) // 2 :], *lines[len(lines) // 3 : len(lines) // 2]]),
    ):
        yield Mutant(kind, case.written(changed), case.options)
    turned = [_DAY_FIRST.sub(r"\g<prefix>\g<two>\g<mark>\g<one>\g<mark>\g<year>", line) for line in lines]
    yield Mutant("day and month swapped", case.written(turned), case.options)
    delimiter = _delimiter(case)
    rows, head = _split(lines, delimiter), [_split([line], delimiter)[0] for line in case.head]
    other = ";" if delimiter != ";" else ","
    yield Mutant("delimiter", case.written(_joined(rows, other), _joined(head, other)), case.options)
    commas = [[cell.replace(".", ",") if _is_price(cell) else cell for cell in row] for row in rows]
    yield Mutant("decimal mark", case.written(_joined(commas, ";"), _joined(head, ";")), case.options)
    yield Mutant(
        "decimal mark of every other row",
        case.written(_joined([c if i % 2 else r for i, (r, c) in enumerate(zip(rows, commas, strict=True))], ";"), _joined(head, ";")),
        case.options,
    )
    names = _columns(case, head)
    for kind, one, two in (
        ("open and close swapped", "open", "close"),
        ("high and low swapped", "high", "low"),
        ("open and high swapped", "open", "high"),
        ("close and low swapped", "close", "low"),
        ("close and volume swapped", "close", "volume"),
        ("date and time swapped", "date", "clock"),
        ("time and open swapped", "date", "open"),
    ):
        if one in names and two in names:
            swap = _swapping(names[one], names[two])
            yield Mutant(kind, case.written(_joined([swap(row) for row in rows], delimiter)), case.options)
            if head:
                moved = [*head[:-1], swap(head[-1])]
                yield Mutant(
                    f"{kind} with the header", case.written(_joined([swap(row) for row in rows], delimiter), _joined(moved, delimiter)), case.options
                )


def _options(case: Case) -> Iterator[Mutant]:
    """Yield the same file, with something else said about it."""
    whole = case.written()
    for zone in ("UTC", NEW_YORK, "America/Chicago", "Europe/Berlin", "Asia/Tokyo"):
        if not _same_clock(case, zone):
            yield Mutant(f"option: --timezone {zone}", whole, (*_without(case.options, "--timezone"), "--timezone", zone))
    if not case.daily:
        yield Mutant("option: --stamp", whole, (*_without(case.options, "--stamp"), "--stamp", OTHER_END[case.clock.end]))


def _same_clock(case: Case, zone: str) -> bool:
    moments = [case.clock.stamp(bar, case.length_s) for bar in case.bars]
    return all(moment.utcoffset() == moment.astimezone(ZoneInfo(zone)).utcoffset() for moment in moments)


def _without(options: Sequence[str], name: str) -> tuple[str, ...]:
    pairs = zip(options[::2], options[1::2], strict=True)
    return tuple(word for pair in pairs if pair[0] != name for word in pair)


def _delimiter(case: Case) -> str:
    line = case.rows()[0]
    return max(("\t", ";", ","), key=line.count)


def _split(lines: Sequence[str], delimiter: str) -> list[list[str]]:
    return list(csv.reader(lines, delimiter=delimiter))


def _joined(rows: Sequence[Sequence[str]], delimiter: str) -> list[str]:
    lines = []
    for row in rows:
        text = io.StringIO()
        csv.writer(text, delimiter=delimiter, lineterminator="").writerow(row)
        lines.append(text.getvalue())
    return lines


def _is_price(cell: str) -> bool:
    return "." in cell and cell.replace(".", "", 1).replace("$", "").isdigit()


def _swapping(one: int, two: int) -> Callable[[list[str]], list[str]]:
    def swap(row: list[str]) -> list[str]:
        changed = list(row)
        if max(one, two) < len(row):
            changed[one], changed[two] = row[two], row[one]
        return changed

    return swap


_NAMES = {
    "date": ("date", "time", "datetime", "timestamp", "ts_event", "<date>", "gmt time", "local time", "unix"),
    "clock": ("<time>",),
    "open": ("open", "<open>"),
    "high": ("high", "<high>"),
    "low": ("low", "<low>"),
    "close": ("close", "<close>", "close/last", "close close price adjusted for splits."),
    "volume": ("volume", "<vol>", "<tickvol>", "volume btc", "volume_(btc)"),
}
_WITHOUT_HEADER = {
    "histdata-ascii.csv": ("date", "open", "high", "low", "close", "volume"),
    "histdata-metatrader.csv": ("date", "clock", "open", "high", "low", "close", "volume"),
    "metatrader4.csv": ("date", "clock", "open", "high", "low", "close", "volume"),
    "metatrader4-daily.csv": ("date", "clock", "open", "high", "low", "close", "volume"),
    "firstrate.txt": ("date", "open", "high", "low", "close", "volume"),
    "binance-klines.csv": ("date", "open", "high", "low", "close", "volume"),
}


def _columns(case: Case, head: Sequence[Sequence[str]]) -> dict[str, int]:
    """Return which column holds what."""
    if not head:
        return {name: i for i, name in enumerate(_WITHOUT_HEADER[case.name])}
    names = [name.lower() for name in head[-1]]
    return {field: names.index(known) for field, aliases in _NAMES.items() for known in reversed(aliases) if known in names}
