"""(h) A backfill from the page through the daemon, beside `mdp import-csv` for the same work."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from bench.lines import Line, no_slower
from market_data_pipeline_tests.orchestration.conftest import FIVE, opened, widen_to_a_year_of_five, write_project
from market_data_pipeline_tests.orchestration.page import dagster_dev


def measure(folder: Path) -> Iterator[Line]:
    """Backfill 252 sessions of 5 instruments: 5 runs, each a process; five times `mdp import-csv` for the same files."""
    write_project(folder)
    keys = widen_to_a_year_of_five(folder)
    imported = _import_csv(folder)
    with opened(folder) as project, dagster_dev(folder / "home", project.settings) as page:
        asked = time.time()
        runs = page.backfill("stocks/bars_5_minute_last", keys, runs=len(FIVE), timeout_s=600)
    states = [run["status"] for run in runs]
    if states != ["SUCCESS"] * len(FIVE):
        raise RuntimeError(f"the backfill's runs ended as {states}")
    launched = min(run["creationTime"] for run in runs)
    seconds = max(run["endTime"] for run in runs) - launched
    work = "backfill of 252 sessions x 5 instruments of 5-minute bars, from the first run's launch to the last run's end"
    yield no_slower(
        work, seconds, "mdp import-csv of the same files, one after another", imported, 2, f"launched {launched - asked:.0f} s after it was asked for"
    )


def _import_csv(folder: Path) -> float:
    started = time.perf_counter()
    for name in FIVE:
        command = [str(Path(sys.executable).with_name("mdp")), "import-csv", str(folder / "csv" / f"{name}-5-MINUTE-LAST.csv"), "--instrument", name]
        command += ["--bar", "5-MINUTE-LAST", "--timezone", "America/New_York", "--stamp", "open"]
        command += ["--catalog", str(folder / "by-hand"), "--instruments", str(folder / "instruments.yaml")]
        subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - started
