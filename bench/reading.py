"""(c) A year of session files to Bars, and (d) one session out of five years."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

from nautilus_trader.model.data import Bar
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from bench.lines import Line, best_of, no_slower, within
from bench.made import SERIES, YEAR, joined, sessions, stored
from market_data_pipeline.catalog import Catalog
from market_data_pipeline.catalog.reading import to_nautilus

_DAY = dt.date(2021, 6, 1)


def measure_year(folder: Path) -> Iterator[Line]:
    """Compare Bars from session files with `query` on one file of the same year, and on the same session files."""
    answers = sessions(*YEAR)
    catalog = stored(folder / "sessions", answers)
    one = ParquetDataCatalog(folder / "one")
    one.write_data(to_nautilus(joined(answers), SERIES))
    several = ParquetDataCatalog(folder / "sessions")

    def ours() -> list[Bar]:
        return [bar for chunk in catalog.bars(SERIES, chunk=1_000_000) for bar in chunk]

    def query(theirs: ParquetDataCatalog) -> list[Bar]:
        found: list[Bar] = theirs.query(Bar, identifiers=[SERIES.bar_type])
        return found

    if not ours() == query(one) == query(several):
        raise AssertionError("the bars differ")
    work = f"{len(joined(answers)):,} bars of {len(answers)} session files to Bar objects, each page checked"
    ours_s = best_of(7, ours)
    yield no_slower(work, ours_s, "catalog.query on one file, nothing checked", best_of(7, lambda: query(one)), 1.0)
    yield Line(work, ours_s, "catalog.query on the same session files, nothing checked", best_of(7, lambda: query(several)))
    tables_s = best_of(7, lambda: sum(map(len, catalog.read(SERIES))))
    yield Line("of which: files to checked columns", tables_s, note="opening a file and its seven columns costs more than their bars")
    bars = joined(answers)
    objects_s = best_of(7, lambda: to_nautilus(bars, SERIES))
    yield Line("of which: columns to Bar objects", objects_s, note="nearly all of it is Bar.from_raw_arrays_to_list")


def measure_session(folder: Path) -> Iterator[Line]:
    """Read one session's bars out of 1,258 files."""
    root = folder / "sessions"
    stored(root, sessions()).ledger.close()
    theirs = ParquetDataCatalog(root)
    start, end = f"{_DAY}T00:00:00Z", f"{_DAY}T23:59:00Z"
    catalog = Catalog.open(root)
    bars = to_nautilus(catalog.read_session(SERIES, _DAY), SERIES)
    if bars != theirs.query(Bar, identifiers=[SERIES.bar_type], start=start, end=end):
        raise AssertionError("the bars differ")
    work = "one session of 390 bars out of 1,258 files, to Bar objects"
    ours_s = best_of(9, lambda: to_nautilus(catalog.read_session(SERIES, _DAY), SERIES))
    peer_s = best_of(3, lambda: theirs.query(Bar, identifiers=[SERIES.bar_type], start=start, end=end))
    yield within(work, ours_s, 0.010, peer="catalog.query with start and end", peer_s=peer_s)
