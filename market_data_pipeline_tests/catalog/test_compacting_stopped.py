"""kill -9 before every step of a compaction: at once Nautilus and our own reader see each bar once, and the next run completes it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from market_data_pipeline.catalog import Catalog
from market_data_pipeline_tests.catalog.bar_making import AAPL, all_bars, names, rebuilt
from market_data_pipeline_tests.catalog.compacting_stopped import WORK

REPOSITORY = Path(__file__).parents[2]

_NAUTILUS = """
import sys
from nautilus_trader.model.data import Bar
from nautilus_trader.persistence.catalog import ParquetDataCatalog
for root in sys.argv[1:]:
    bars = ParquetDataCatalog(root).query(Bar)
    print(len(bars), len({bar.ts_init for bar in bars}), bars == sorted(bars, key=lambda bar: bar.ts_init))
"""


def run(work: str, folder: Path, points: list[int]) -> tuple[list[str], list[str]]:
    """Do the work in a copy of what is prepared for each point, and stop it there; return what was printed, and how each ended."""
    prepared = folder / "prepared"
    if not prepared.exists():
        WORK[work][0](prepared)
        Catalog.open(prepared).ledger.close()
    for point in points:
        shutil.copytree(prepared, folder / str(point))
    # The libraries' idle threads do not matter to a child that is about to be stopped.
    quiet = ["-W", "ignore:This process:DeprecationWarning"]
    command = [sys.executable, *quiet, "-m", "market_data_pipeline_tests.catalog.compacting_stopped", work, str(folder), *map(str, points)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, check=True)
    return done.stdout.split(), [line.partition(": ")[2] for line in done.stderr.splitlines()]


def nautilus_sees(roots: list[Path]) -> list[str]:
    """Let Nautilus read each catalog as it was left."""
    done = subprocess.run([sys.executable, "-c", _NAUTILUS, *map(str, roots)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-600:]
    return done.stdout.splitlines()


EVERY = pytest.mark.parametrize("step", [pytest.param(1, marks=pytest.mark.slow), 13])
"""Every call in `./dev test --all`, else each thirteenth."""


@EVERY
@pytest.mark.parametrize("work", ["join", "undo"])
def test_a_compaction_is_done_or_not(tmp_path: Path, work: str, step: int) -> None:
    (calls,), _ = run(work, tmp_path, [0])
    assert int(calls) > 40
    points = list(range(1, int(calls) + 1, step))
    _, codes = run(work, tmp_path, points)
    assert set(codes) == {"-9"}
    before, after = Catalog.open(tmp_path / "prepared"), Catalog.open(tmp_path / "0")
    assert set(nautilus_sees([tmp_path / str(point) for point in points])) == {"600 600 True"}  # 20 - 3 + 3 sessions of thirty bars
    bars, contents, states = all_bars(before).fingerprint(), before.contents(AAPL), {tuple(names(before)), tuple(names(after))}
    assert len(states) == 2
    for point in points:
        catalog = Catalog.open(tmp_path / str(point))
        assert tuple(names(catalog)) in states
        assert all_bars(catalog).fingerprint() == bars
        assert catalog.contents(AAPL) == contents
        assert not [one for one in catalog.verify([AAPL]).problems if one.kind != "orphan bars"]
        WORK[work][1](catalog.root)
        assert names(catalog) == names(after)
        assert not [*catalog.layout.compacting.glob("*")]
        assert rebuilt(catalog).contents(AAPL) == contents


@EVERY
@pytest.mark.parametrize("work", ["whole", "partial"])
def test_a_session_of_a_month_is_replaced_or_not(tmp_path: Path, work: str, step: int) -> None:
    """As in session files, a session that a part is about to replace may be called partial a moment before."""
    (calls,), _ = run(work, tmp_path, [0])
    points = list(range(1, int(calls) + 1, step))
    _, codes = run(work, tmp_path, points)
    assert set(codes) == {"-9"}
    before, after = Catalog.open(tmp_path / "prepared"), Catalog.open(tmp_path / "0")
    old, new = ({day: mark for day, _, _, mark in one.contents(AAPL)} for one in (before, after))
    replaced = {day for day in old if old[day] != new[day]}
    assert len(replaced) == (2 if work == "whole" else 1)
    coverage = {day: coverage for day, coverage, _, _ in before.contents(AAPL)}
    for point, seen in zip(points, nautilus_sees([tmp_path / str(point) for point in points]), strict=True):
        catalog = Catalog.open(tmp_path / str(point))
        bars = len(all_bars(catalog))
        assert seen == f"{bars} {bars} True"
        found = catalog.contents(AAPL)
        assert [day for day, *_ in found] == sorted(old)
        assert all(mark in (old[day], new[day]) for day, _, _, mark in found)
        assert all(one == coverage[day] for day, one, _, _ in found if day not in replaced)
        WORK[work][1](catalog.root)
        assert catalog.contents(AAPL) == after.contents(AAPL)
        assert not [one for one in catalog.verify([AAPL]).problems if one.kind != "orphan bars"]
        assert names(catalog) == names(after)
