"""`python -m bench.size.parts`: what the time of an import, a verification and a backtest goes into, as docs/performance.md shows it."""

from __future__ import annotations

import cProfile
import datetime as dt
import io
import pstats
import tempfile
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from bench.report import machine
from bench.size import steps
from bench.size.scale import Scale, series_of


@dataclass(frozen=True)
class Part:
    """A part of the time of some work.

    Attributes:
        what: In words.
        functions: (end of the file's name, function) whose time counts, with what they call. No one of them calls another.
        without: Functions among those they call whose time belongs to another part.
    """

    what: str
    functions: tuple[tuple[str, str], ...]
    without: tuple[tuple[str, str], ...] = ()


_FSYNC = ("~", "<built-in method posix.fsync>")
_FINGERPRINT = ("domain/bar_table.py", "fingerprint")
_HASH = ("catalog/bar_format.py", "content_hash")
_ENGINE, _STATISTICS = ("backtest/node.py", "run"), ("analysis/analyzer.py", "calculate_statistics")
_IMPORT = (
    Part("waiting for the disk (fsync)", (_FSYNC,)),
    Part("creating, writing and renaming files", tuple(("~", f"<built-in method posix.{name}>") for name in ("open", "write", "replace", "close"))),
    Part("reading and checking the CSV", (("sources/csv/source.py", "open"), ("sources/csv/bars.py", "answers"))),
    Part("making Parquet", (("catalog/bar_format.py", "to_parquet"), ("catalog/bar_format.py", "encode_checked"))),
    Part("checking sessions, fingerprints, hashes", (("catalog/writer.py", "_check"), ("catalog/reconcile.py", "session_row"), _HASH)),
    Part("the ledger", (("catalog/ledger.py", "record"), ("catalog/ledger.py", "sessions"), ("catalog/ledger.py", "define"))),
)
_VERIFY = (
    Part("opening and unpacking Parquet, page checksums", (("catalog/bar_format.py", "table_in"), ("catalog/bar_format.py", "read_content"))),
    Part("decoding and checking bars", (("catalog/bar_format.py", "decode"), ("catalog/bar_format.py", "check_bars"))),
    Part("hashes and fingerprints", (_HASH, _FINGERPRINT)),
    Part("judging sessions", (("catalog/reconcile.py", "_describe"),), (_FINGERPRINT,)),
    Part("the ledger", (("catalog/ledger.py", "sessions"), ("catalog/ledger.py", "record"))),
    Part("listing folders", (("catalog/layout.py", "list_folder"),)),
)
_BACKTEST = (
    Part("Nautilus' engine and the strategy", (_ENGINE,), (_STATISTICS,)),
    Part("Nautilus' statistics of each trade", (_STATISTICS,)),
    Part("checking and reading the bars first", (("backtest/evidence.py", "gather"),)),
    Part("tearsheet", (("backtest/tearsheet.py", "write_tearsheet"),)),
)


def main() -> None:
    """Measure a year of one symbol, and print a Markdown table for each piece of work."""
    scale = Scale()
    dates = tuple(map(str, scale.year))
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        root, csv = str(folder / "catalog"), str(folder / "csv")
        bars = steps.step("make_csv", csv, 0, 1, *dates).count
        # Once before it is measured: what a process loads once is not what grows with the bars.
        _import(str(folder / "before"), csv)
        _show(f"import of {bars:,} bars from CSV", _profiled(lambda: _import(root, csv)), _IMPORT, bars)
        _show(f"verify of {bars:,} bars", _profiled(lambda: _verify(root)), _VERIFY, bars)
        _backtest(root, folder / "before", scale.year)
        _show(f"backtest of {bars:,} bars", _profiled(lambda: _backtest(root, folder / "after", scale.year)), _BACKTEST, bars)
    print("; ".join(machine().values()))


def _import(root: str, csv: str) -> None:
    with redirect_stdout(io.StringIO()):  # its seconds are for the process that it usually is
        steps.main("import_files", root, csv, "0", "1")


def _verify(root: str) -> None:
    with redirect_stdout(io.StringIO()):  # its seconds are for the process that it usually is
        steps.main("verify", root)


def _backtest(root: str, out: Path, year: tuple[dt.date, dt.date]) -> None:
    from market_data_pipeline.backtest import BacktestSpec, run_backtest
    from market_data_pipeline.catalog import Catalog

    series = series_of(0)
    run_backtest(Catalog.open(root), BacktestSpec(name="bench", series=[f"{series.instrument_id}-{series.spec}"], start=year[0], end=year[1]), out)


def _profiled(work: Callable[[], None]) -> pstats.Stats:
    profile = cProfile.Profile()
    profile.runcall(work)
    return pstats.Stats(profile)


def _show(work: str, found: pstats.Stats, parts: tuple[Part, ...], bars: int) -> None:
    total = cast("float", found.total_tt)  # type: ignore[attr-defined]
    spent = [(part.what, _spent(found, part.functions) - _spent(found, part.without)) for part in parts]
    rows = [*sorted(spent, key=lambda one: -one[1]), ("all else", total - sum(seconds for _, seconds in spent))]
    print(f"| {work}: {total:.2f} s under the profiler | seconds | share | a bar |\n|---|---|---|---|")
    for what, seconds in rows:
        print(f"| {what} | {seconds:.2f} | {seconds / total:.0%} | {seconds / bars * 1e6:.2f} µs |")
    print()


def _spent(found: pstats.Stats, functions: tuple[tuple[str, str], ...]) -> float:
    return sum(_cumulative(found, functions))


def _cumulative(found: pstats.Stats, functions: tuple[tuple[str, str], ...]) -> Iterator[float]:
    stats = cast("dict[tuple[str, int, str], tuple[int, int, float, float, object]]", found.stats)  # type: ignore[attr-defined]
    for (file, _, name), (_, _, _, cumulative, _) in stats.items():
        if any(file.endswith(end) and name == function for end, function in functions):
            yield cumulative


if __name__ == "__main__":
    main()
