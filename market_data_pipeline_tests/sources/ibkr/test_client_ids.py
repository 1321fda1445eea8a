from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from market_data_pipeline.domain.errors import SourceUnavailable
from market_data_pipeline.sources.ibkr.client_ids import free_unused, lease, lock_file
from market_data_pipeline.sources.ibkr.settings import IbkrSettings

_HOLD = """
import sys, time
from pathlib import Path
from market_data_pipeline.sources.ibkr.client_ids import lease
from market_data_pipeline.sources.ibkr.settings import IbkrSettings
held = lease(IbkrSettings(client_id=40, client_ids=3, state=Path(sys.argv[1])))
print(held.number, flush=True)
time.sleep(60)
"""


@contextmanager
def another_process(folder: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    with subprocess.Popen([sys.executable, "-c", _HOLD, str(folder)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, int(process.stdout.readline())
        finally:
            process.kill()


def settings(folder: Path, **changes: int | str) -> IbkrSettings:
    return IbkrSettings(client_ids=3, state=folder, **changes)  # type: ignore[arg-type]


def test_two_gateways_of_one_process_take_different_ids(tmp_path: Path) -> None:
    first, second = lease(settings(tmp_path)), lease(settings(tmp_path))
    assert (first.number, second.number) == (40, 41)
    first.release()
    third = lease(settings(tmp_path))
    assert third.number == 40
    second.release()
    third.release()


def test_processes_never_share_an_id_and_kill_9_frees_it(tmp_path: Path) -> None:
    with another_process(tmp_path) as (process, taken):
        ours = lease(settings(tmp_path))
        assert (taken, ours.number) == (40, 41)
        ours.release()
        process.kill()
        process.wait()
        until = time.monotonic() + 5
        while (after := lease(settings(tmp_path))).number != 40 and time.monotonic() < until:
            after.release()
        assert after.number == 40
        after.release()


def test_ids_that_the_gateway_refused_are_passed_over(tmp_path: Path) -> None:
    held = lease(settings(tmp_path), refused={40, 41})
    assert held.number == 42
    held.release()


def test_another_gateway_has_ids_of_its_own(tmp_path: Path) -> None:
    one, other = lease(settings(tmp_path)), lease(settings(tmp_path, port=4001))
    assert (one.number, other.number) == (40, 40)
    one.release()
    other.release()


def test_a_range_that_is_used_up_says_what_to_do(tmp_path: Path) -> None:
    held = [lease(settings(tmp_path)) for _ in range(3)]
    with pytest.raises(SourceUnavailable, match=r"All 3 client ids from 40 to 42 are in use at 127\.0\.0\.1:4002.*IB_CLIENT_IDS=count"):
        lease(settings(tmp_path))
    for one in held:
        one.release()


def test_cleaning_up_leaves_the_ids_that_are_in_use(tmp_path: Path) -> None:
    left, held = lease(settings(tmp_path)), lease(settings(tmp_path))
    left.release()
    assert free_unused(settings(tmp_path)) == [lock_file(settings(tmp_path), 40)]
    again = lease(settings(tmp_path))
    assert (again.number, held.number) == (40, 41)
    again.release()
    held.release()
