"""Ten years of twenty symbols' minutes: what is stored, asked, read, verified and backtested, with the peak of memory of each process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bench.backtesting import run_bare, run_ours
from bench.lines import Line, no_slower
from bench.size.child import mdp
from bench.size.scale import Scale, series_of
from bench.size.steps import Step
from bench.size.telling import Figures, telling_step

_OURS_MEMORY = "memory at its fullest: ours"


def measure(folder: Path, scale: Scale, said: Figures) -> Iterator[Line]:
    """Fill a catalog and measure it. The first symbol comes from CSV, the others from the writer."""
    root = folder / "ten"
    yield from _stored(folder, root, scale, said)
    yield from _asked(root, scale, said)
    yield from _read(root, scale, said)
    yield from _verified(root, said)
    yield from _backtested(folder, root, scale, said)


def _stored(folder: Path, root: Path, scale: Scale, said: Figures) -> Iterator[Line]:
    dates, others = (scale.first, scale.last), scale.symbols - 1
    telling_step(said, "a CSV file of one symbol", "make_csv", folder / "csv", 0, 1, *dates)
    ours = telling_step(said, "import of it", "import_files", root, folder / "csv", 0, 1)
    peer = telling_step(said, "import of it by a script", "import_by_script", folder / "script", folder / "csv" / "0.csv", 0)
    _same(ours, peer)
    note = f"{_memory(ours, peer)}; not the same result: one file, nothing checked, no fsync"
    work = f"import of one symbol's CSV, {ours.count:,} rows"
    yield Line(work, ours.seconds, "pandas.read_csv, a Bar object a row, one write_data", peer.seconds, note=note)
    seconds, bars, peak, bare = 0.0, 0, 0, []
    for number in range(1, scale.symbols):
        one = telling_step(said, f"symbol {number} of {others} by the writer", "write", root, number, number + 1, *dates)
        seconds, bars, peak = seconds + one.seconds, bars + one.count, max(peak, one.spent.peak)
        if number in (1, (others + 1) // 2, others):  # in turns: the disk is not the same from one minute to the next
            bare.append(telling_step(said, f"symbol {number} by bare pyarrow", "write_bare", folder / "bare", number, *dates))
    memory = max(bare, key=lambda step: step.spent.peak).spent.memory
    bare_s = sum(step.seconds for step in bare) / len(bare) * others
    note = f"the peer: {len(bare)} of the symbols measured, times {others / len(bare):.3g}; {_OURS_MEMORY} {peak / 1e6:,.0f} MB, {memory} the peer"
    work = f"{bars:,} bars of {others} symbols, stored by the writer from arrays"
    yield no_slower(work, seconds, "bare pyarrow: the same files, fsync and rename; no checks, no ledger", bare_s, 1.2, note)


def _asked(root: Path, scale: Scale, said: Figures) -> Iterator[Line]:
    ours = telling_step(said, "availability", "availability", root, scale.rounds)
    peer = telling_step(said, "intervals by Nautilus", "intervals", root, scale.symbols)
    note = f"{_memory(ours, peer)}; the peer knows what names cover: no calendar, no gap, no count"
    yield Line(f"availability of all: {ours.count:,} sessions, gaps included", ours.seconds, "get_intervals of each series", peer.seconds, note=note)
    checked = min((mdp("check", "--catalog", str(root)) for _ in range(scale.rounds)), key=lambda spent: spent.wall_s)
    said.tell("mdp check", checked.wall_s)
    work, theirs = "mdp check of all, from start to exit of the process", "get_intervals of each series, from start to exit"
    yield Line(work, checked.wall_s, theirs, peer.spent.wall_s, note=f"{_OURS_MEMORY} {checked.memory}")


def _read(root: Path, scale: Scale, said: Figures) -> Iterator[Line]:
    dataset = "pyarrow.dataset of the same files, nothing checked"
    for stop, rounds, what in ((1, 3, "one symbol"), (scale.symbols, 1, f"all {scale.symbols} symbols")):
        ours = telling_step(said, f"{what} to columns", "columns", root, 0, stop, rounds)
        peer = telling_step(said, f"{what} to Arrow tables", "columns_bare", root, 0, stop)
        _same(ours, peer)
        yield Line(f"{ours.count:,} bars of {what} to checked columns", ours.seconds, dataset, peer.seconds, note=_memory(ours, peer))
    ours = telling_step(said, "one symbol to Bar objects", "bars", root, 0, 3)
    peer = telling_step(said, "one symbol by Nautilus' query", "query", root, 0, 3)
    _same(ours, peer)
    note = f"{_memory(ours, peer)}; the peer returns all at once"
    yield Line(
        f"{ours.count:,} bars of one symbol to Bar objects, in chunks", ours.seconds, "catalog.query on the same files", peer.seconds, note=note
    )


def _verified(root: Path, said: Figures) -> Iterator[Line]:
    ours = telling_step(said, "verify", "verify", root)
    peer = telling_step(said, "the same files by pyarrow", "verify_bare", root)
    _same(ours, peer)
    note = f"{_memory(ours, peer)}; ours also hashes, decodes, judges each bar and compares with the ledger"
    yield Line(f"verify: {ours.count:,} files", ours.seconds, "pyarrow: each file read, page checksums compared", peer.seconds, note=note)


def _backtested(folder: Path, root: Path, scale: Scale, said: Figures) -> Iterator[Line]:
    series = series_of(0)
    ours = run_ours(root, series, scale.year, folder / "out")
    said.tell("backtest", ours.wall_s)
    bare = run_bare(root, series, scale.year, folder / "out")
    said.tell("backtest in a bare node", bare.wall_s)
    note = f"{_OURS_MEMORY} {ours.memory}, {bare.memory} the peer; ours also writes reports, tearsheet, picture and passport"
    work = f"backtest of {scale.year[0]} to {scale.year[1]} of one symbol, SMA 40/260, from start to exit of the process"
    yield Line(work, ours.wall_s, "a bare BacktestNode on the same catalog", bare.wall_s, note=note)


def _same(ours: Step, peer: Step) -> None:
    if ours.count != peer.count:
        raise AssertionError(f"ours {ours.count:,}, the peer {peer.count:,}")


def _memory(ours: Step, peer: Step) -> str:
    return f"{_OURS_MEMORY} {ours.spent.memory}, {peer.spent.memory} the peer"
