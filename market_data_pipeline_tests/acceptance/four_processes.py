"""Two `mdp load` and two Dagster runs at once on one gateway, one of them killed on the way: the scenario of a test and of a benchmark."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from market_data_pipeline.calendars import partitions_of
from market_data_pipeline.catalog import Catalog
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.sessions import date_of
from market_data_pipeline_tests.conftest import REPOSITORY
from market_data_pipeline_tests.gateway import RunningGateway, start_gateway
from market_data_pipeline_tests.orchestration.conftest import opened, write_project

LIMIT, WINDOW_S = 60, 5.0
# 60 in 10 minutes, 15 s between identical ones and 5 in 2 s: all times in the same proportion.
_SCALE = WINDOW_S / 600
_SESSIONS = 110
_BY_HAND, _BY_DAGSTER = ("AAPL.NASDAQ", "MSFT.NASDAQ"), ("NVDA.NASDAQ", "META.NASDAQ")
_KILLED_AFTER = 25
_UNIVERSE = """
  brokered:
    calendar: NYSE
    start: 2024-01-02
    end: {last}
    bars: ["1-MINUTE-LAST"]
    instruments: ["NVDA.NASDAQ", "META.NASDAQ"]
    source: ibkr
"""
_PACING = f"""
name: strict, scaled
small_bars: {{requests: {LIMIT}, window_s: {WINDOW_S}, same_contract: 5, same_contract_s: {2 * _SCALE}, identical_s: {15 * _SCALE}}}
refusal_s: 1
delay_s: 0.05
"""


@dataclass(frozen=True)
class FourProcesses:
    """What the gateway saw.

    Attributes:
        requests: Historical requests that arrived.
        breaches: Of any rule, by the gateway's own count.
        rate: The allowed window as a part of the time in which 61 requests came on average, while three or four processes asked.
        complete: Complete sessions of each instrument at the end, by instrument.
        killed_after: Sessions that the killed process had stored, each of them whole.
    """

    requests: int
    breaches: int
    rate: float
    complete: dict[str, int]
    killed_after: int


def run_four_processes(folder: Path) -> FourProcesses:
    """Load 110 sessions of four instruments, a request each; kill the second `mdp load` with -9, and load it again at the end."""
    last = date_of(_partitions().days[_first() + _SESSIONS - 1])
    write_project(folder)
    with (folder / "watchlist.yaml").open("a") as file:
        file.write(_UNIVERSE.format(last=last))
    (folder / "pacing.yaml").write_text(_PACING)
    flags = ("--pacing-limit", LIMIT, "--pacing-window", WINDOW_S, "--identical", 15 * _SCALE, "--burst-window", 2 * _SCALE, "--latency", 0.01)
    with opened(folder) as project, start_gateway(folder / "gateway", *map(str, flags)) as gateway:
        environment = {
            **os.environ,
            **project.settings,
            "DAGSTER_HOME": str(folder / "home"),
            "IB_PORT": str(gateway.port),
            "IB_STATE": str(folder / "state"),
            "IB_PACING": str(folder / "pacing.yaml"),
            "IB_PACING_DB": str(folder / "pacing.sqlite"),
        }
        by_hand = [_start(folder, environment, f"load-{number}", _load(name, str(last))) for number, name in enumerate(_BY_HAND)]
        by_dagster = [_start(folder, environment, f"run-{number}", _run(name, str(last))) for number, name in enumerate(_BY_DAGSTER)]
        killed = by_hand[1]
        _wait_for(gateway, _BY_HAND[1].partition(".")[0], _KILLED_AFTER, killed)
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        sessions = project.catalog.sessions(Series.of(_BY_HAND[1], "1-MINUTE-LAST"))
        assert {row.rows for row in sessions} <= {390, 210}, "a session of a killed process is whole or absent"
        for process in (by_hand[0], *by_dagster):
            assert process.wait(300) == 0, _said(folder)
        arrivals = _arrivals(gateway.statistics())
        assert _start(folder, environment, "again", _load(_BY_HAND[1], str(last))).wait(300) == 0, _said(folder)
        statistics = gateway.statistics()
        complete = {name: _complete(project.catalog, name) for name in (*_BY_HAND, *_BY_DAGSTER)}
    return FourProcesses(int(statistics["historical"]["total"]), int(statistics["breaches"]["total"]), _rate(arrivals), complete, len(sessions))


def _partitions() -> Any:
    return partitions_of(Series.of("AAPL.NASDAQ", "1-MINUTE-LAST"))


def _first() -> int:
    return int(_partitions().positions_between(date_of(19_724), date_of(19_724)).start)  # 2024-01-02


def _load(instrument: str, last: str) -> list[str]:
    command = [str(Path(sys.executable).with_name("mdp")), "load", instrument, "1-MINUTE-LAST", "--mode", "full"]
    return [*command, "--start", "2024-01-02", "--end", last]


def _run(instrument: str, last: str) -> list[str]:
    tags = {"dagster/asset_partition_range_start": f"2024-01-02|{instrument}", "dagster/asset_partition_range_end": f"{last}|{instrument}"}
    command = [str(Path(sys.executable).with_name("dagster")), "job", "execute", "-m", "market_data_pipeline.definitions", "-j", "brokered_bars"]
    return [*command, "--tags", json.dumps(tags)]


def _start(folder: Path, environment: dict[str, str], name: str, command: list[str]) -> subprocess.Popen[bytes]:
    with (folder / f"{name}.log").open("wb") as output:
        return subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=output, stderr=output, stdin=subprocess.DEVNULL)


def _said(folder: Path) -> str:
    return "\n".join(f"{path.name}: {path.read_text()[-1500:]}" for path in sorted(folder.glob("*.log")))


def _arrivals(statistics: dict[str, Any]) -> list[float]:
    return sorted(one["monotonic_s"] for one in statistics["recent"] if one["kind"] == "history")


def _wait_for(gateway: RunningGateway, symbol: str, requests: int, process: subprocess.Popen[bytes]) -> None:
    give_up = time.monotonic() + 120
    while True:
        asked = sum(one["kind"] == "history" and one["contract"].startswith(f"{symbol} ") for one in gateway.statistics()["recent"])
        if asked >= requests:
            return
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < give_up
        time.sleep(0.1)


def _rate(arrivals: list[float]) -> float:
    """Return how near to the allowed rate requests came: the 60th after each may come a window later, and came how much later on average?"""
    apart = [later - earlier for earlier, later in zip(arrivals, arrivals[LIMIT:], strict=False)]
    return WINDOW_S / (sum(apart) / len(apart))


def _complete(catalog: Catalog, instrument: str) -> int:
    available = catalog.availability(Series.of(instrument, "1-MINUTE-LAST"))
    return available.complete if available is not None else 0
