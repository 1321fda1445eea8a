"""One catalog that grows from 1 to 10 to 100 symbols of a year's minutes, and what each piece of work costs at each size."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from math import log
from pathlib import Path

from bench.lines import Line, no_slower
from bench.report import as_text
from bench.size.child import mdp
from bench.size.scale import Scale, series_of
from bench.size.telling import Figures, telling_step
from market_data_pipeline.calendars import partitions_of

IMPORT, VERIFY = "import of all, a CSV file each", "verify of all"
YEAR, SESSION = "read of a year of one symbol", "read of one session"
CHECK, HELP = "mdp check of all", "mdp --help"
# What must not feel the size of the catalog; a clock of milliseconds is not to be trusted to less than this.
_FLAT, _AT_MOST = (YEAR, SESSION, HELP), 1.5


@dataclass
class Growth:
    """Seconds by work and number of symbols.

    Attributes:
        sizes: Numbers of symbols, rising.
        sessions: Sessions of each symbol.
        bars: Bars of each symbol.
        seconds: Of each piece of work, one for each size.
    """

    sizes: tuple[int, ...]
    sessions: int
    bars: int = 0
    seconds: dict[str, list[float]] = field(default_factory=dict)

    def add(self, work: str, seconds: float) -> None:
        """Add the figure of the next size."""
        self.seconds.setdefault(work, []).append(seconds)

    def power(self, work: str) -> float:
        """Return the exponent of the growth from the first size to the last: 0 is flat, 1 is proportional."""
        first, last = self.seconds[work][0], self.seconds[work][-1]
        return log(last / first) / log(self.sizes[-1] / self.sizes[0])


def measure(folder: Path, scale: Scale, said: Figures) -> Growth:
    """Let a catalog grow, and measure it at each size."""
    root, csv = folder / "growing", folder / "growing-csv"
    dates = partitions_of(series_of(0)).dates_between(scale.growing_first, scale.growing_last)
    grown = Growth(scale.growing, len(dates))
    imported = 0.0
    for before, size in pairwise((0, *scale.growing)):
        made = telling_step(said, f"CSV files up to symbol {size}", "make_csv", csv, before, size, scale.growing_first, scale.growing_last)
        grown.bars = made.count // (size - before)
        imported += telling_step(said, f"import up to symbol {size}", "import_files", root, csv, before, size).seconds
        grown.add(IMPORT, imported)
        _measure_at(root, scale, said, grown, size, dates[len(dates) // 2])
    return grown


def _measure_at(root: Path, scale: Scale, said: Figures, grown: Growth, size: int, day: dt.date) -> None:
    which = f"of {size} symbols"
    grown.add(VERIFY, telling_step(said, f"{VERIFY} {which}", "verify", root).seconds)
    number = size // 2  # neither the first nor the last folder
    grown.add(YEAR, telling_step(said, f"{YEAR} {which}", "bars", root, number, scale.rounds).seconds)
    grown.add(SESSION, telling_step(said, f"{SESSION} {which}", "session", root, number, day, 4 * scale.rounds).seconds)
    for work, command in ((CHECK, ("check", "--catalog", str(root))), (HELP, ("--help",))):
        seconds = min(mdp(*command).wall_s for _ in range(scale.rounds))
        said.tell(f"{work} {which}", seconds)
        grown.add(work, seconds)


def lines(grown: Growth) -> Iterator[Line]:
    """Return a line for each piece of work: the biggest catalog beside the smallest."""
    first, *_, last = grown.sizes
    for work, seconds in grown.seconds.items():
        between = [f"{size} symbols {as_text(one)}" for size, one in zip(grown.sizes[1:-1], seconds[1:-1], strict=True)]
        note = "; ".join([*between, f"grows as symbols to the power of {grown.power(work):.2f}"])
        name, peer = f"{work}: {last} symbols of {grown.sessions} sessions ({grown.bars:,} bars) each", f"the same with {first} of them"
        if work in _FLAT:
            yield no_slower(name, seconds[-1], peer, seconds[0], _AT_MOST, note)
        elif work in (IMPORT, VERIFY):
            yield no_slower(name, seconds[-1], peer, seconds[0], _AT_MOST * last / first, note)
        else:
            yield Line(name, seconds[-1], peer, seconds[0], note=note)
