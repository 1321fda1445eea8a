from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

from market_data_pipeline.domain.errors import DataMissing, ProcessLost
from market_data_pipeline.parallel import Ended, Told, in_processes
from market_data_pipeline_tests.parallel.work import linger, square

_PATIENCE_S = 60.0


def test_pieces_are_shared_by_processes_that_are_not_this_one() -> None:
    events = list(in_processes(square, [3, 4, 5, 6], 2))
    ended = {event.piece: event.result for event in events if isinstance(event, Ended)}
    squares = {piece: result[0] for piece, result in ended.items() if result is not None}
    processes = {result[1] for result in ended.values() if result is not None}
    assert squares == {0: 9, 1: 16, 2: 25, 3: 36}
    assert 1 <= len(processes) <= 2
    assert os.getpid() not in processes
    assert sorted(event.news for event in events if isinstance(event, Told)) == [f"working on {n}" for n in (3, 4, 5, 6)]


def test_an_error_ends_its_piece_and_no_other() -> None:
    ended = {event.piece: event for event in in_processes(square, [2, 13, 14, 5], 1) if isinstance(event, Ended)}
    assert ended[0].result is not None
    assert ended[3].result is not None
    assert isinstance(ended[1].error, DataMissing)
    assert str(ended[1].error) == "13 is not there. Load it: mdp load 13"
    assert "in square" in ended[1].error.__notes__[0]
    assert str(ended[2].error) == "_Unportable: 14 words"


def test_a_killed_process_loses_its_piece_alone() -> None:
    ended = {event.piece: event for event in in_processes(square, [2, 666, 5], 1, lambda n: f"number {n}") if isinstance(event, Ended)}
    assert isinstance(ended[1].error, ProcessLost)
    assert "worked on number 666 was ended by SIGKILL" in str(ended[1].error)
    assert [ended[i].result is not None for i in (0, 2)] == [True, True]


def test_closing_stops_what_works_in_order_and_begins_nothing_more(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("a", "b", "c")]
    with closing(in_processes(linger, files, 2)) as events:
        next(events)
        next(events)
    assert [file.read_text() for file in files[:2]] == ["stopped in order"] * 2
    assert not files[2].exists()


def test_processes_end_where_the_one_that_asks_is_killed(tmp_path: Path) -> None:
    """Its process would else wait for ten minutes."""
    file = tmp_path / "a"
    program = (
        "from pathlib import Path; import sys\n"
        "from market_data_pipeline.parallel import in_processes\n"
        "from market_data_pipeline_tests.parallel.work import linger\n"
        "if __name__ == '__main__':\n"
        "    list(in_processes(linger, [Path(sys.argv[1])], 1))\n"
    )
    (tmp_path / "asking.py").write_text(program)
    asking = subprocess.Popen([sys.executable, tmp_path / "asking.py", file], env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)})
    _wait_for(lambda: file.exists() and file.read_text().endswith("begun"))
    worker = int(file.read_text().split()[0])
    asking.kill()
    asking.wait()
    _wait_for(lambda: not _runs(worker))


def _runs(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


def _wait_for(true: object) -> None:
    assert callable(true)
    until = time.monotonic() + _PATIENCE_S
    while not true():
        assert time.monotonic() < until, "it did not come to be"
        time.sleep(0.05)
