"""(j) Leave to ask, for 1, 4 and 8 processes: how fast the table decides, and how well it keeps a window under load."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from filelock import FileLock

from bench.lines import Line
from market_data_pipeline.domain.pacing import STRICT, PacingProfile, PacingRules, Wait
from market_data_pipeline.domain.pacing_windows import PacedRequest
from market_data_pipeline.pacing import PacingTable

_PROCESSES = (1, 4, 8)
_LIMIT, _WINDOW_S = 60, 1.5
_LOOSE_LIMIT, _LOOSE_WINDOW_S = 100_000, 0.05
_DECIDING_S, _HELD_S = 2.0, 7.0
_SLOWEST_SEND_S = 0.02
_RATE = 0.97


def measure(folder: Path) -> Iterator[Line]:
    """Compare the table with a list of times in a JSON file under a file lock.

    Both keep one window only. A third of the requests go out up to 20 ms after leave was given, as requests do; a breach is a request that
    arrives as the 61st of any window.
    """
    for processes in _PROCESSES:
        ours_s, peers_s = (_seconds_per_thousand(folder, way, processes) for way in _WAYS)
        (breaches, rate), (peers_breaches, peers_rate) = (_held(folder, way, processes) for way in _WAYS)
        note = (
            f"{1_000 / ours_s:,.0f} grants a second; held to {_LIMIT} in any {_WINDOW_S:g} s: {breaches} breaches at {rate:.1%} of the rate; "
            f"the peer: {peers_breaches} breaches at {peers_rate:.1%}"
        )
        yield Line(
            f"1,000 grants to {processes} process{'es' if processes > 1 else ''}, each reported as sent and as answered",
            ours_s,
            "a JSON list of times under a file lock: one rule, one step, no report",
            peers_s,
            f"no breach, {_RATE:.0%} of the rate",
            not breaches and rate >= _RATE,
            note,
        )


def _seconds_per_thousand(folder: Path, way: str, processes: int) -> float:
    moments = _run(folder, way, processes, _LOOSE_LIMIT, _LOOSE_WINDOW_S, _DECIDING_S, 0.0)
    return 1_000 * (moments[-1] - moments[0]) / (len(moments) - 1)


def _held(folder: Path, way: str, processes: int) -> tuple[int, float]:
    """Return breaches, and the time that the requests needed at least as a part of what they took."""
    moments = _run(folder, way, processes, _LIMIT, _WINDOW_S, _HELD_S, _SLOWEST_SEND_S)
    breaches = sum(later - earlier < _WINDOW_S for earlier, later in zip(moments, moments[_LIMIT:], strict=False))
    last = (len(moments) - 1) // _LIMIT * _LIMIT  # a window that had just begun says nothing
    return breaches, last / _LIMIT * _WINDOW_S / (moments[last] - moments[0])


def _run(folder: Path, way: str, processes: int, limit: int, window_s: float, seconds: float, slowest_s: float) -> list[float]:
    """Return when the requests of some processes arrived, in order."""
    place = folder / f"{way}-{processes}-{limit}"
    command = [sys.executable, "-m", "bench.pacing", way, str(place), str(limit), str(window_s), str(slowest_s), str(seconds)]
    # They start to ask at one moment, when the slowest has been started.
    begin = time.monotonic() + 1.0 + 0.4 * processes
    asking = [subprocess.Popen([*command, str(begin)], stdout=subprocess.PIPE, text=True) for _ in range(processes)]
    return sorted(float(line) for process in asking for line in process.communicate()[0].splitlines())


def _table(place: Path, limit: int, window_s: float) -> Callable[[str, Callable[[], None]], float]:
    rules = PacingRules(limit, window_s, limit, window_s, window_s)
    profile: PacingProfile = replace(STRICT, small=rules, messages=limit, messages_s=window_s, matching_s=window_s, delay_s=0.05)
    table = PacingTable.open(place, profile)

    def ask(name: str, send: Callable[[], None]) -> float:
        request = PacedRequest(name, "TRADES", name, 60)
        while isinstance(leave := table.try_acquire(request), Wait):
            time.sleep(leave.seconds)
        send()
        arrived = time.monotonic()
        table.sent(leave)
        table.answered(leave)
        return arrived

    return ask


def _list(place: Path, limit: int, window_s: float) -> Callable[[str, Callable[[], None]], float]:
    lock = FileLock(f"{place}.lock")

    def try_one() -> float:
        with lock:
            now = time.time()
            known = json.loads(place.read_text()) if place.exists() else []
            known = [moment for moment in known if moment > now - window_s]
            if len(known) >= limit:
                return float(known[0]) + window_s - now
            place.write_text(json.dumps([*known, now]))
        return 0.0

    def ask(name: str, send: Callable[[], None]) -> float:
        del name
        while wait_s := try_one():
            time.sleep(max(0.0, wait_s))
        send()
        return time.monotonic()

    return ask


_WAYS = {"table": _table, "list": _list}


def _ask(way: str, place: Path, limit: int, window_s: float, slowest_s: float, seconds: float, begin: float) -> None:
    ask, rng = _WAYS[way](place, limit, window_s), random.Random()
    name, moments = f"{rng.random()}", list[float]()

    def send() -> None:
        if rng.random() < 1 / 3:
            time.sleep(rng.uniform(0, slowest_s))

    time.sleep(max(0.0, begin - time.monotonic()))
    while time.monotonic() < begin + seconds:
        moments.append(ask(f"{name} {len(moments)}", send))
    sys.stdout.writelines(f"{moment:.6f}\n" for moment in moments)


if __name__ == "__main__":
    _ask(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), *map(float, sys.argv[4:8]))
