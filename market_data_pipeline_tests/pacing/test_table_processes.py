"""The pacing table with several processes: some are killed, some are forked."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from market_data_pipeline.domain.pacing import STRICT, PacingRules, Wait
from market_data_pipeline.pacing import PacingTable
from market_data_pipeline_tests.pacing.set_clock import FEW, made, request, wait_s

PROFILE = "replace(STRICT, small=PacingRules(requests=3), open=3)"
CHILD = f"""
import sys, time
from dataclasses import replace
from pathlib import Path
from market_data_pipeline.domain.pacing import STRICT, PacingRules
from market_data_pipeline.domain.pacing_windows import PacedRequest
from market_data_pipeline.pacing import PacingTable
table = PacingTable.open(Path(sys.argv[1]), {PROFILE})
for name in sys.argv[2:]:
    print(table.try_acquire(PacedRequest(name, "TRADES", name, 60)), flush=True)
time.sleep(60)
"""


def killed_after_asking(place: Path, *names: str) -> list[str]:
    """Let another process ask, kill it with -9, and return what it was told."""
    with subprocess.Popen([sys.executable, "-c", CHILD, str(place), *names], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        told = [child.stdout.readline() for _ in names]
        child.send_signal(signal.SIGKILL)
    return told


def test_a_killed_process_frees_its_open_slots_but_not_its_place_in_the_window(place: Path) -> None:
    assert ["Grant" in line for line in killed_after_asking(place, "a", "b", "c")] == [True] * 3
    with PacingTable.open(place, replace(STRICT, small=PacingRules(requests=3), open=3)) as table:
        assert wait_s(table) == pytest.approx(601.2 + 12, abs=5), "its requests may have gone out until it died"
        assert (table.budget().open, [user.alive for user in table.budget().users]) == (0, [False])


def test_a_killed_process_holds_no_place_in_the_queue(place: Path) -> None:
    with PacingTable.open(place, replace(STRICT, small=PacingRules(requests=3), open=3)) as table:
        for name in "ab":
            made(table, name)
        assert ["Grant" in line for line in killed_after_asking(place, "c", "waits", "waits too")] == [True, False, False]
        leave = table.try_acquire(request("d"))
        assert isinstance(leave, Wait)
        assert "waited before" not in leave.reason
        assert table.budget().waiting == 1


def test_a_process_killed_inside_a_decision_leaves_the_table_usable(place: Path) -> None:
    """It holds the lock, and has written half of what it meant to."""
    with PacingTable.open(place, FEW) as table:
        made(table, "a")
        inside = (
            "import sqlite3, sys, time\n"
            "connection = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
            "connection.execute('BEGIN IMMEDIATE')\n"
            "connection.execute('DELETE FROM pacing_requests')\n"
            "print('in', flush=True)\n"
            "time.sleep(60)\n"
        )
        with subprocess.Popen([sys.executable, "-c", inside, str(place)], stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == "in\n"
            threading.Timer(0.3, child.kill).start()
            started = time.monotonic()
            made(table, "b")
            assert 0.2 < time.monotonic() - started < 3
        assert table.budget().left() == 1


def test_processes_that_make_the_table_at_one_moment_do_not_disturb_each_other(place: Path) -> None:
    children = [subprocess.Popen([sys.executable, "-c", CHILD, str(place), name], stdout=subprocess.PIPE, text=True) for name in "abcdef"]
    try:
        told = [child.stdout.readline() for child in children if child.stdout]
    finally:
        for child in children:
            child.kill()
            child.communicate()
    assert sorted(line[:5] for line in told) == ["Grant", "Grant", "Grant", "Wait(", "Wait(", "Wait("]


def test_a_child_that_was_forked_goes_on_with_a_connection_of_its_own(place: Path) -> None:
    script = f"""
import os, sys
from dataclasses import replace
from pathlib import Path
from market_data_pipeline.domain.pacing import STRICT, Grant, PacingRules
from market_data_pipeline.domain.pacing_windows import PacedRequest
from market_data_pipeline.pacing import PacingTable
table = PacingTable.open(Path(sys.argv[1]), {PROFILE})
table.try_acquire(PacedRequest("a", "TRADES", "a", 60))
child = os.fork()
if child == 0:
    os._exit(0 if isinstance(table.try_acquire(PacedRequest("b", "TRADES", "b", 60)), Grant) else 1)
assert os.waitpid(child, 0)[1] == 0
assert len(table.budget().users) == 2
"""
    assert subprocess.run([sys.executable, "-c", script, str(place)], check=False).returncode == 0
