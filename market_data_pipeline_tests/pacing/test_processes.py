"""Several processes, one killed on the way, against a server that counts by itself."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

LIMIT = 60


@contextmanager
def running(*arguments: object, stdout: int | None = None) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", *map(str, arguments)]
    with subprocess.Popen(command, stdout=stdout, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def most_in_any_window(arrivals: list[tuple[float, int]], window_s: float) -> int:
    """Return the most weight that arrived within any window, by moving its start from arrival to arrival."""
    most = first = inside = 0
    for moment, weight in arrivals:
        inside += weight
        while arrivals[first][0] <= moment - window_s:
            inside -= arrivals[first][1]
            first += 1
        most = max(most, inside)
    return most


class Run:
    """What the server saw of `processes` processes; the first is killed once `killed_after` requests have arrived."""

    def __init__(self, folder: Path, place: str, processes: int, requests: int, factor: float, killed_after: int) -> None:
        log = folder / "arrivals"
        with running("market_data_pipeline_tests.pacing.counting_server", log, 0.03, stdout=subprocess.PIPE) as server:
            assert server.stdout is not None
            port = server.stdout.readline().strip()
            asking = "market_data_pipeline_tests.pacing.asking"
            with running(asking, place, port, "killed", 10**6, factor, 0.08) as victim:
                others = [
                    subprocess.Popen([sys.executable, "-m", asking, place, port, f"n{i}", str(requests), str(factor), "0.08"])
                    for i in range(processes - 1)
                ]
                while len(log.read_text().splitlines()) < killed_after:
                    assert server.poll() is None
                    time.sleep(0.005)
                victim.kill()
            self.ended_well = [other.wait() == 0 for other in others]
        rows = [line.split() for line in log.read_text().splitlines()]
        self.arrivals = [(float(moment), int(weight)) for moment, _, _, weight, _ in rows]
        self.names = [name for *_, name in rows]
        groups: dict[tuple[str, str], list[float]] = defaultdict(list)
        for moment, contract, tick_type, _, _ in rows:
            groups[contract, tick_type].append(float(moment))
        self.groups = list(groups.values())

    def rate(self, window_s: float) -> float:
        """Return the time that the requests need at least, a full window of them at the start of each window, as part of what they took."""
        windows = (sum(weight for _, weight in self.arrivals) - 1) // LIMIT
        return windows * window_s / (self.arrivals[-1][0] - self.arrivals[0][0])


def check(run: Run, window_s: float, factor: float, processes: int, requests: int) -> None:
    assert run.ended_well == [True] * (processes - 1)
    assert sum(name.startswith("n") for name in run.names) == (processes - 1) * requests
    assert most_in_any_window(run.arrivals, window_s) <= LIMIT
    assert max(most_in_any_window([(moment, 1) for moment in moments], 2 * factor) for moments in run.groups) <= 5
    assert all(later - earlier < 2 * window_s for (earlier, _), (later, _) in pairwise(run.arrivals))


def test_several_processes_of_which_one_is_killed_never_break_the_window(tmp_path: Path) -> None:
    factor, window_s = 0.002, 1.2
    run = Run(tmp_path, str(tmp_path / "pacing.sqlite"), 4, 60, factor, killed_after=90)
    check(run, window_s, factor, 4, 60)


@pytest.mark.slow
def test_four_processes_use_97_percent_of_the_allowed_rate_without_a_breach(tmp_path: Path) -> None:
    """60 requests in any 6 s, at least 300 of them: a process that is killed takes at most one place with it."""
    factor, window_s = 0.01, 6.0
    run = Run(tmp_path, str(tmp_path / "pacing.sqlite"), 4, 110, factor, killed_after=100)
    check(run, window_s, factor, 4, 110)
    assert run.rate(window_s) >= 0.97
