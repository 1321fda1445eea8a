"""The harness itself: what it is to find, it finds. A test that cannot fail is a defect."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from market_data_pipeline.catalog import Catalog
from market_data_pipeline.catalog.revisions import RevisedSession, RevisionFiles, RevisionKind
from market_data_pipeline.domain.bar_table import BarTable
from market_data_pipeline.domain.errors import MarketDataError
from market_data_pipeline.domain.revisions import changes_between
from market_data_pipeline_tests import tally
from market_data_pipeline_tests.catalog.bar_making import AAPL, CENTS, MONDAY, WEEK, answer, files_of, regular, store
from market_data_pipeline_tests.reliability.conftest import Attack
from market_data_pipeline_tests.reliability.crash_harness import REPOSITORY
from market_data_pipeline_tests.reliability.judging import require_same, require_whole, state_of
from market_data_pipeline_tests.reliability.use_cases import CATALOG, USE_CASES, UseCase

NOTHING = UseCase("nothing", (), lambda folder, surroundings: None)


def torn(catalog: Catalog) -> None:
    file = files_of(catalog)[0]
    file.write_bytes(file.read_bytes()[:5_000])


def mixed(catalog: Catalog) -> None:
    old, new = regular(AAPL, MONDAY), regular(AAPL, MONDAY, seed=1)
    store(catalog, answer(AAPL, MONDAY, BarTable.concatenate([old.slice(0, 200), new.slice(200, 390)])))


def cut_short(catalog: Catalog) -> None:
    store(catalog, answer(AAPL, MONDAY, regular(AAPL, MONDAY).slice(0, 200)))


def gone(catalog: Catalog) -> None:
    files_of(catalog)[4].unlink()


@pytest.mark.parametrize("damage", [torn, mixed, cut_short, gone])
def test_a_session_that_is_neither_old_nor_new_is_found(tmp_path: Path, damage: Callable[[Catalog], None]) -> None:
    """All but Monday stand in both states."""
    for name, seed in (("before", 0), ("after", 1)):
        catalog = Catalog.open(tmp_path / name / CATALOG)
        store(catalog, answer(AAPL, MONDAY, seed=seed), *(answer(AAPL, date) for date in WEEK[1:]))
        catalog.ledger.close()
    before, after = (state_of(tmp_path / name, NOTHING) for name in ("before", "after"))
    left = Path(shutil.copytree(tmp_path / "before", tmp_path / "left"))
    require_whole(left, NOTHING, before, after)
    require_same(left, NOTHING, before)
    catalog = Catalog.open(left / CATALOG)
    damage(catalog)
    catalog.ledger.close()
    # A torn file is refused by whoever reads it; the other damage is readable, and wrong.
    with pytest.raises((AssertionError, MarketDataError)):
        require_whole(left, NOTHING, before, after)


def test_a_session_that_was_replaced_before_its_old_values_were_noted_is_found(tmp_path: Path) -> None:
    before = Catalog.open(tmp_path / "before" / CATALOG)
    store(before, answer(AAPL, MONDAY))
    after = Catalog.open(tmp_path / "after" / CATALOG)
    store(after, answer(AAPL, MONDAY, seed=1))
    changes = changes_between(MONDAY, regular(AAPL, MONDAY), regular(AAPL, MONDAY, seed=1))
    (old,), (new,) = before.sessions(AAPL), after.sessions(AAPL)
    session = RevisedSession.of(changes, old.fingerprint, new.fingerprint)
    RevisionFiles(after).note(AAPL, RevisionKind.CHANGED, 1, "test", CENTS, [session], [], [changes])
    for catalog in (before, after):
        catalog.ledger.close()
    states = [state_of(tmp_path / name, NOTHING) for name in ("before", "after")]
    left = Path(shutil.copytree(tmp_path / "after", tmp_path / "left"))
    require_whole(left, NOTHING, *states)
    shutil.rmtree(left / CATALOG / "revisions")
    with pytest.raises(AssertionError, match="2024-02-05 was replaced and its old values are nowhere"):
        require_whole(left, NOTHING, *states)


_WRITING = """
import os, sys
from market_data_pipeline_tests.reliability.steps import Steps
steps = Steps(int(sys.argv[2]), loses_power=sys.argv[3] == "power", fails=int(sys.argv[3]) if sys.argv[3].isdecimal() else 0)
steps.watch()
os.chdir(sys.argv[1])
number = os.open("beside", os.O_WRONLY | os.O_CREAT)
os.write(number, b"12345678")
if sys.argv[4] == "sync":
    os.fsync(number)
os.rename("beside", "there")
with open("text", "w") as file:
    file.write("x")
sys.stdout.write(" ".join(steps.names))
"""


def write(folder: Path, last: int, how: str = "kill", sync: str = "sync") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", _WRITING, str(folder), str(last), how, sync]
    return subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, check=False)


def test_each_step_comes_before_what_it_does(tmp_path: Path) -> None:
    done = write(tmp_path, 0)
    assert done.stdout.split(" ") == [*("os.open", "os.write", "half", "of", "os.write", "os.fsync", "os.rename", "open", "opened")]
    for last, left in (
        (1, {}),
        (2, {"beside": 0}),
        (3, {"beside": 4}),
        (4, {"beside": 8}),
        (5, {"beside": 8}),
        (6, {"there": 8}),
        (7, {"there": 8, "text": 0}),
    ):
        folder = tmp_path / str(last)
        folder.mkdir()
        assert write(folder, last).returncode == -9
        assert {path.name: path.stat().st_size for path in folder.iterdir()} == left


def test_the_exchange_of_two_folders_is_a_step(attack: Attack) -> None:
    """It is reached past `os`. One is to see whether the file system can, one does it."""
    (compact,) = [one for one in USE_CASES if one.name == "compact"]
    assert attack(compact).steps.count("exchange") == 2


def test_a_loss_of_power_takes_what_was_not_synced(tmp_path: Path) -> None:
    for sync, size in (("sync", 8), ("no", 0)):
        folder = tmp_path / sync
        folder.mkdir()
        last = 5 if sync == "sync" else 4
        assert write(folder, last, "power", sync).returncode == -9
        assert {path.name: path.stat().st_size for path in folder.iterdir()} == {"beside": size}


def test_a_step_that_is_refused_is_an_error_of_the_system(tmp_path: Path) -> None:
    done = write(tmp_path, 4, str(errno.ENOSPC))
    assert done.returncode == 1
    assert os.strerror(errno.ENOSPC) in done.stderr


def test_counts_of_passed_and_failed_tests_are_told_apart() -> None:
    assert tally.lines({"kills": 1_200, "faults": 3}, {"kills": 2}) == ["kills: 1,202 (2 of them in tests that failed)", "faults: 3"]
    with pytest.raises(ValueError, match="'kils' is none of"):
        tally.count("kils")
