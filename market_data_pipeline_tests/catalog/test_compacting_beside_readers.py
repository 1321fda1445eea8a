"""While files are joined and taken apart again, Nautilus and our own reader go on reading: every bar once, no error, no ended process."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from market_data_pipeline.calendars import partitions_of
from market_data_pipeline.catalog import Catalog
from market_data_pipeline.catalog.compaction import Direction, compact
from market_data_pipeline.domain.bar_types import DAY_NS
from market_data_pipeline.domain.errors import SeriesBusy
from market_data_pipeline_tests.catalog.bar_making import AAPL, answer, names, store
from market_data_pipeline_tests.catalog.months import FEBRUARY_FILE, LATER, february, joined, taken_apart

_NAUTILUS = """
import sys, time
from pathlib import Path
from nautilus_trader.model.data import Bar
from nautilus_trader.persistence.catalog import ParquetDataCatalog
catalog, stop, pause = ParquetDataCatalog(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3])
found, queries = set(), 0
while not stop.exists():
    bars = catalog.query(Bar)
    found.add((len(bars), len({bar.ts_init for bar in bars})))
    queries += 1
    stop.with_suffix(".begun").touch()
    time.sleep(pause)
print(queries, *sorted(found))
"""

_OURS = """
import sys
from pathlib import Path
from market_data_pipeline.catalog import Catalog
from market_data_pipeline_tests.catalog.bar_making import AAPL, all_bars
catalog, stop = Catalog.open(sys.argv[1]), Path(sys.argv[2])
found, reads = set(), 0
while not stop.exists():
    found.add(all_bars(catalog).fingerprint())
    found.add(str([row.fingerprint for row in catalog.sessions(AAPL)]))
    reads += 1
    stop.with_suffix(".begun").touch()
print(reads, len(found))
"""


@contextmanager
def beside(program: str, catalog: Catalog, *arguments: str) -> Iterator[list[str]]:
    """Run a program that reads the catalog again and again; lends the words that it printed, which come when it has ended."""
    stop = catalog.root.parent / "stop"
    words: list[str] = []
    command = [sys.executable, "-c", program, str(catalog.root), str(stop), *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        until = time.monotonic() + 120
        while not stop.with_suffix(".begun").exists():
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < until
            time.sleep(0.05)
        yield words
        stop.touch()
        out, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors[-800:]
        words += out.split(maxsplit=1)
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def months(tmp_path: Path) -> Catalog:
    """February 2024 and three sessions of March: 600 bars."""
    return february(tmp_path / "months")


def test_a_query_of_nautilus_in_a_loop_keeps_a_compaction_away(months: Catalog) -> None:
    before = names(months)
    with beside(_NAUTILUS, months, "0") as said:
        for _ in range(3):
            with pytest.raises(SeriesBusy):
                compact(months, AAPL, Direction.JOIN, LATER, quiet_s=1)
    assert said[1].strip() == "(600, 600)"
    assert names(months) == before
    assert joined(months).periods == 1


def test_a_compaction_waits_for_a_pause_between_queries(months: Catalog) -> None:
    switches, until = 0, time.monotonic() + 300
    with beside(_NAUTILUS, months, "1.5") as said:
        while switches < 4:
            assert time.monotonic() < until
            try:
                compact(months, AAPL, Direction.UNDO if switches % 2 else Direction.JOIN, LATER, quiet_s=0.5)
            except SeriesBusy:
                continue
            switches += 1
            assert (names(months)[0] == FEBRUARY_FILE) is (switches % 2 == 1)
    assert int(said[0]) >= 2
    assert said[1].strip() == "(600, 600)"


def test_our_reader_lists_again_when_the_files_under_it_change(months: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing waits for it: each switch is done at once."""
    monkeypatch.setattr("market_data_pipeline.catalog.readers.OpenWatch.opened", lambda *_: False)
    with beside(_OURS, months) as said:
        for _ in range(12):
            assert joined(months).periods == 1
            assert taken_apart(months).periods == 1
    assert said[1].strip() == "2"  # the bars, and the fingerprints of the sessions


def test_a_reader_goes_on_in_the_file_of_the_month_where_it_was(tmp_path: Path) -> None:
    """Files are decoded 20,000 bars at a time, so a reader of 24,180 has had sessions of April when their files change."""
    catalog = Catalog.open(tmp_path)
    dates = partitions_of(AAPL).dates_between(dt.date(2024, 2, 1), dt.date(2024, 4, 30))
    store(catalog, *(answer(AAPL, date) for date in dates))
    many = Catalog.open(tmp_path).read(AAPL)
    tables = [next(many)]
    assert compact(catalog, AAPL, Direction.JOIN, LATER, quiet_s=0) is not None
    tables += many
    assert tables[-1].ts_init[-1] - tables[-1].ts_init[0] > 7 * DAY_NS
    stamps = [stamp for table in tables for stamp in table.ts_init.tolist()]
    assert len(stamps) == len(set(stamps)) == 62 * 390  # 20, 20 and 22 sessions
    assert stamps == sorted(stamps)
