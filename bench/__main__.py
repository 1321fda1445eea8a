"""`python -m bench [a b …]`: run benchmarks, print them, and keep the results of a full run, of `r` and of `scale`."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import (
    asking,
    availability,
    backfill,
    backtesting,
    compacting,
    deriving,
    importing,
    migrating,
    pacing,
    reading,
    report,
    sharing,
    spreading,
    starting,
    warming,
    writing,
)
from bench.lines import Line
from bench.scale import measure as scale
from bench.size import measure as size

BENCHMARKS: dict[str, tuple[str, Callable[[Path], Iterator[Line]]]] = {
    "a": ("write five years of session files", writing.measure),
    "b": ("import a million CSV rows", importing.measure),
    "c": ("read a year", reading.measure_year),
    "d": ("read one session", reading.measure_session),
    "e": ("availability of 500 series", availability.measure),
    "f": ("backtest", backtesting.measure),
    "g": ("start the command line", starting.measure),
    "h": ("backfill through the daemon", backfill.measure),
    "i": ("requests to a broker", asking.measure),
    "j": ("leave to ask, for several processes", pacing.measure),
    "k": ("four processes share an account", sharing.measure),
    "l": ("derive five-minute bars from a year of minutes", deriving.measure),
    "m": ("migrate a table of PostgreSQL", migrating.measure),
    "n": ("ready for the first live bar", warming.measure),
    "o": ("join session files by month", compacting.measure),
    "p": ("import and sweep over all cores", spreading.measure),
    "r": ("ten years of 20 symbols, and how costs grow with the catalog", size.measure),
    "scale": ("100 instruments x 2,500 sessions in Dagster; takes long, so only where it is named", scale.measure),
}
_NOT_IN_A_FULL_RUN = ("scale",)
# They take so long that their results are kept where they ran alone, too.
_KEPT_ALONE = ("r", *_NOT_IN_A_FULL_RUN)
RESULTS = Path(__file__).parent / "results"


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(prog="bench", description="Benchmarks, each beside its peer in the same run.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="; ".join(f"{name}: {what}" for name, (what, _) in BENCHMARKS.items()))
    parser.add_argument("--dir", type=Path, help="folder for temporary data; by default the system's")
    parser.add_argument("--out", type=Path, default=RESULTS, help="where the results of a full run go")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.names) - set(BENCHMARKS))
    if unknown:
        parser.error(f"no such benchmark: {', '.join(unknown)}")
    # A pipe has no width of its own, and 80 columns would cut the words.
    console = Console() if sys.stdout.isatty() else Console(width=220)
    about = report.machine()
    results: dict[str, list[Line]] = {}
    started = time.monotonic()
    for name in arguments.names or [name for name in BENCHMARKS if name not in _NOT_IN_A_FULL_RUN]:
        what, measure = BENCHMARKS[name]
        with tempfile.TemporaryDirectory(dir=arguments.dir, prefix="bench-") as folder, console.status(f"({name}) {what}"):
            results[name] = list(measure(Path(folder)))
            pictures = _keep_pictures(Path(folder), arguments.out)
        _print(console, name, results[name])
        for picture in pictures:
            console.print(f"Drawn: {picture}")
    console.print(f"Took {time.monotonic() - started:.0f} s. " + "; ".join(about.values()))
    kept = {"latest": results} if not arguments.names else {name: {name: results[name]} for name in _KEPT_ALONE if name in results}
    for name, lines in kept.items():
        report.write(arguments.out, name, about, lines)
        console.print(f"Kept in {arguments.out}/{name}.md and {name}.json")


def _keep_pictures(folder: Path, out: Path) -> list[Path]:
    """Keep what a benchmark drew, in a full run or alone."""
    drawn = sorted(folder.glob("*.png"))
    if drawn:
        out.mkdir(parents=True, exist_ok=True)
    return [Path(shutil.copy(picture, out)) for picture in drawn]


def _print(console: Console, name: str, lines: list[Line]) -> None:
    table = Table(*report.HEADER[1:], title=f"({name}) {BENCHMARKS[name][0]}", title_justify="left")
    for cells in report.rows_of(name, lines):
        table.add_row(*cells[1:])
    console.print(table)


if __name__ == "__main__":
    main()
