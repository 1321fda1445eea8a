"""kill -9 and Ctrl-C at random points of storing and importing: every session is whole or as it was, and the next run completes it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from market_data_pipeline.catalog import Catalog
from market_data_pipeline.domain.bar_table import BarTable
from market_data_pipeline.domain.coverage import Coverage
from market_data_pipeline_tests import tally
from market_data_pipeline_tests.catalog import stopping
from market_data_pipeline_tests.catalog.bar_making import AAPL, WEEK, files_of, what_stands

REPOSITORY = Path(__file__).parents[2]


def run(work: str, how: str, folder: Path, points: list[int]) -> tuple[list[str], list[str]]:
    """Do the work in a fresh catalog for each point, and stop it there; return what was printed, and how each process ended."""
    prepared = folder / "prepared"
    if not prepared.exists():
        stopping.prepare(prepared).ledger.close()
        stopping.write_file(folder / "file.csv")
    for point in points:
        shutil.copytree(prepared, folder / str(point))
    # The libraries' idle threads do not matter to a child that is about to be stopped.
    arguments = [
        "-W",
        "ignore:This process:DeprecationWarning",
        "-m",
        "market_data_pipeline_tests.catalog.stopping",
        work,
        how,
        str(folder),
        *map(str, points),
    ]
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, cwd=REPOSITORY, check=True)
    return done.stdout.split(), [line.partition(": ")[2] for line in done.stderr.splitlines()]


_NAUTILUS = """
import sys
from nautilus_trader.model.data import Bar
from nautilus_trader.persistence.catalog import ParquetDataCatalog
for root in sys.argv[1:]:
    closes = [bar.ts_init for bar in ParquetDataCatalog(root).query(Bar)]
    print(len(closes), len(set(closes)), closes == sorted(closes))
"""


def by_session(catalog: Catalog) -> dict[int, tuple[Coverage, list[int]]]:
    """Return coverage and closes (prices) of each stored session."""
    return {row.day: (row.coverage, [*catalog.read_session(AAPL, row.session).close]) for row in catalog.sessions(AAPL)}


def check(root: Path, before: Catalog, after: Catalog) -> None:
    """Hold a catalog that was left behind against what stood before and what should stand after."""
    old, new = by_session(before), by_session(after)
    left = Catalog.open(root)
    for catalog in (left, from_files_alone(root)):
        found = by_session(catalog)
        for day in old.keys() | new.keys():
            coverage, prices = found.get(day, (Coverage.MISSING, []))
            known = [one.get(day, (Coverage.MISSING, [])) for one in (old, new)]
            assert prices in [prices for _, prices in known], (root.name, day)
            if not coverage.is_gap:
                assert (coverage, prices) in known, (root.name, day)
    left.ledger.close()


def from_files_alone(root: Path) -> Catalog:
    """Return a copy of the catalog without its ledger."""
    copy = root.with_name(f"{root.name}-copy")
    shutil.copytree(root / "data", copy / "data")
    return Catalog.open(copy)


def stopped_at(work: str, how: str, folder: Path, count: int) -> None:
    """Stop the work at `count` random points and check what each leaves, then let it run again."""
    lines, _ = run(work, how, folder, [0])
    after = Catalog.open(folder / "0")
    before = Catalog.open(folder / "prepared")
    assert len(after.sessions(AAPL)) == 10
    points = sorted({int(point) for point in np.random.default_rng(20_240_205).integers(1, int(lines[-1]), count)})
    printed, ends = run(work, how, folder, points)
    assert printed == []
    assert set(ends) == {"-9" if how == "SIGKILL" else "130"}
    if how == "SIGKILL":
        tally.count("kills", len(ends))
    roots = [folder / str(point) for point in points]
    done = subprocess.run([sys.executable, "-c", _NAUTILUS, *map(str, roots)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-600:]
    assert {(one.split()[0] == one.split()[1], one.split()[2]) for one in done.stdout.splitlines()} == {(True, "True")}
    expected = {file.name: file.read_bytes() for file in files_of(after)}
    for root in roots:
        check(root, before, after)
        stopping.WORK[work](root)
        catalog = Catalog.open(root)
        assert {file.name: file.read_bytes() for file in files_of(catalog)} == expected
        assert sorted(path.name for path in catalog.layout.series_folder(AAPL).iterdir()) == sorted(expected)
        assert not catalog.layout.quarantine.exists()
        assert what_stands(catalog) == what_stands(after)
        catalog.ledger.close()


@pytest.mark.parametrize("work", ["store", "import"])
@pytest.mark.parametrize(("how", "times"), [("SIGKILL", 8), ("SIGINT", 4)])
def test_work_that_is_stopped_leaves_whole_sessions(tmp_path: Path, work: str, how: str, times: int) -> None:
    stopped_at(work, how, tmp_path, times)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["SIGKILL", "SIGINT"])
@pytest.mark.parametrize("work", ["store", "import"])
def test_work_that_is_stopped_fifty_times_leaves_whole_sessions(tmp_path: Path, work: str, how: str) -> None:
    stopped_at(work, how, tmp_path, 50)


@pytest.mark.slow
def test_an_import_that_is_killed_from_outside_leaves_whole_sessions(tmp_path: Path) -> None:
    """At random moments, also inside a system call; the work takes about a second."""
    run("import", "SIGKILL", tmp_path, [0])
    before, after = Catalog.open(tmp_path / "prepared"), Catalog.open(tmp_path / "0")
    rng = np.random.default_rng(7)
    for number in range(1_000, 1_020):
        root = tmp_path / str(number)
        shutil.copytree(tmp_path / "prepared", root)
        program = f"from market_data_pipeline_tests.catalog.stopping import *; print(1, flush=True); import_file(Path({str(root)!r}))"
        process = subprocess.Popen([sys.executable, "-c", program], cwd=REPOSITORY, stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        try:
            process.wait(float(rng.uniform(0, 0.4)))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            tally.count("kills")
        process.stdout.close()
        check(root, before, after)
        stopping.import_file(root)
        assert what_stands(Catalog.open(root)) == what_stands(after)


def test_the_harness_knows_a_torn_session(tmp_path: Path) -> None:
    """A test that cannot fail is a defect."""
    run("store", "SIGKILL", tmp_path, [0])
    before, after = Catalog.open(tmp_path / "prepared"), Catalog.open(tmp_path / "0")
    shutil.copytree(tmp_path / "prepared", tmp_path / "1")
    mixed = Catalog.open(tmp_path / "1")
    new, old = after.read_session(AAPL, WEEK[0]), before.read_session(AAPL, WEEK[0])
    from market_data_pipeline_tests.catalog.bar_making import answer, store

    store(mixed, answer(AAPL, WEEK[0], BarTable.concatenate([old.slice(0, 200), new.slice(200, 390)])))
    with pytest.raises(AssertionError):
        check(tmp_path / "1", before, after)
