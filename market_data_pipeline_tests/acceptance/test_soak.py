"""A year of bad days at the gateway ends with the catalog of a good one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from market_data_pipeline.catalog import Catalog
from market_data_pipeline.domain.bar_table import BarTable
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline_tests import tally
from market_data_pipeline_tests.gateway import RunningGateway, start_gateway

_INSTRUMENTS = ("AAPL.NASDAQ", "NVDA.NASDAQ")
# Together a fifth of all requests; each kind of wound that an answer can have.
_WOUNDS = [
    "error-162",
    "error-165",
    "error-322",
    "error-366",
    "error-100",
    "pacing",
    "query-cancelled",
    "no-data",
    "silence",
    "slow",
    "drop-before",
    "drop-middle",
    "drop-after",
    "half-frame",
    "garbage",
    "garbage-frame",
    "one-byte",
    "disorder",
    "duplicates",
    "truncated",
    "empty",
    "stale",
    "outage-lost",
    "outage-kept",
    "error-1100",
]
_SHARE = 20 / len(_WOUNDS)
_RUNS_AT_MOST = 8


def _load(gateway: RunningGateway, folder: Path, first: str, last: str) -> int:
    """Load both instruments into `folder`; return the exit code."""
    (folder.parent / "pacing.yaml").write_text("scale: 0.0005\n")
    environment = {
        **os.environ,
        "IB_PORT": str(gateway.port),
        "IB_STATE": str(folder.parent / "state"),
        "IB_PACING": str(folder.parent / "pacing.yaml"),
        "IB_PACING_DB": str(folder.parent / "pacing.sqlite"),
        "IB_WAIT_SCALE": "0.002",
        "IB_REQUEST_TIMEOUT": "2",
        "IB_RECONNECT": "20",
    }
    command = [str(Path(sys.executable).with_name("mdp")), "load", *_INSTRUMENTS, "1-MINUTE-LAST", "--mode", "full", "--start", first, "--end", last]
    with (folder.parent / f"{folder.name}.log").open("ab") as output:
        done = subprocess.run([*command, "--catalog", str(folder)], env=environment, stdout=output, stderr=output, stdin=subprocess.DEVNULL)
    assert done.returncode in (0, 1), (folder.parent / f"{folder.name}.log").read_text()[-3000:]
    return done.returncode


def _fingerprints(folder: Path) -> dict[str, tuple[int, str]]:
    catalog = Catalog.open(folder)
    found = {}
    for name in _INSTRUMENTS:
        bars = BarTable.concatenate([*catalog.read(Series.of(name, "1-MINUTE-LAST"))])
        found[name] = (len(bars), bars.fingerprint())
    return found


def _soak(tmp_path: Path, first: str, last: str, requests: int) -> None:
    with start_gateway(tmp_path / "well", "--no-pacing") as gateway:
        assert _load(gateway, tmp_path / "good-days", first, last) == 0
    faults = [word for wound in _WOUNDS for word in ("--fault", f"history:{_SHARE:g}%={wound}")]
    with start_gateway(tmp_path / "ill", "--no-pacing", "--fault-seed", "7", *faults) as gateway:
        runs = 1
        while _load(gateway, tmp_path / "bad-days", first, last) != 0:
            runs += 1
            assert runs <= _RUNS_AT_MOST, (tmp_path / "bad-days.log").read_text()[-3000:]
        statistics = gateway.statistics()
    tally.count("soak requests", statistics["historical"]["total"])
    tally.count("faults", sum(statistics["faults"].values()))
    assert statistics["historical"]["total"] >= requests
    assert sum(statistics["faults"].values()) >= 0.15 * statistics["historical"]["total"]
    assert _fingerprints(tmp_path / "bad-days") == _fingerprints(tmp_path / "good-days")


@pytest.mark.timeout(180)
def test_a_month_with_a_fifth_of_all_answers_hurt_ends_as_if_none_had_been(tmp_path: Path) -> None:
    """January 2024 had 21 NYSE sessions: 42 requests at least."""
    _soak(tmp_path, "2024-01-02", "2024-01-31", 42)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_year_with_a_fifth_of_all_answers_hurt_ends_as_if_none_had_been(tmp_path: Path) -> None:
    """2024 had 252 NYSE sessions: 504 requests at least."""
    _soak(tmp_path, "2024-01-02", "2024-12-31", 504)
