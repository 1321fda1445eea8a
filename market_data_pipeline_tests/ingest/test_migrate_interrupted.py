"""A migration that is killed and stopped in the middle: nothing torn, nothing twice, and memory that does not grow with the table.

2024 had 252 NYSE sessions (NYSE holiday calendar 2024).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from market_data_pipeline_tests import tally
from market_data_pipeline_tests.postgres.bar_tables import libpq, make_legacy, session

# Weekdays on which NYSE was closed in 2024.
CLOSED = [
    "2024-01-01",
    "2024-01-15",
    "2024-02-19",
    "2024-03-29",
    "2024-05-27",
    "2024-06-19",
    "2024-07-04",
    "2024-09-02",
    "2024-11-28",
    "2024-12-25",
]
MEGABYTE = 10**6


class Migration:
    """`mdp migrate postgres` as a process of its own."""

    def __init__(self, url: str, root: Path, instruments: Path) -> None:
        self._command = [sys.executable, "-m", "market_data_pipeline.cli", "migrate", "postgres", "--venue", "NASDAQ", "--catalog", str(root)]
        self._command += ["--instruments", str(instruments), "--json"]
        self._environment = os.environ | {"MDP_POSTGRES_URL": libpq(url)}
        self._root = root

    def interrupt(self, sessions: int, kind: signal.Signals) -> tuple[int, str]:
        """Start, wait until so many sessions lie there, and send a signal; return the exit code and what was said."""
        # Shells let what they start in the background ignore Ctrl-C, and children inherit that.
        listening = "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.executable, sys.argv[1:])"
        command = [sys.executable, "-c", listening, *self._command]
        process = subprocess.Popen(command, env=self._environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            until = time.monotonic() + 240
            while self.files() < sessions:
                assert process.poll() is None, process.communicate()
                assert time.monotonic() < until
                time.sleep(0.02)
            process.send_signal(kind)
            said, errors = process.communicate(timeout=60)
        finally:
            process.kill()
            process.wait()
        return process.returncode, said + errors

    def finish(self) -> dict[str, object]:
        """Run to the end, and return the report."""
        done = subprocess.run(self._command, env=self._environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr + done.stdout[-3_000:]
        report: dict[str, object] = json.loads(done.stdout)
        return report

    def files(self) -> int:
        """Return how many session files there are."""
        return sum(1 for _ in self._root.glob("data/bar/*/*.parquet"))


def definitions(folder: Path, symbols: list[str]) -> Path:
    file = folder / "instruments.yaml"
    lines = [f'  - {{id: "{symbol}.NASDAQ", type: equity, currency: USD, price_precision: 2}}\n' for symbol in symbols]
    file.write_text("instruments:\n" + "".join(lines))
    return file


def small_peak(url: str, folder: Path) -> int:
    """Return the peak of a process that migrates a single session: what Python and its libraries take."""
    make_legacy(url, {"ONE": ("2024-01-02", "2024-01-02")}, [], table="tiny")
    with session(url) as connection:
        connection.execute("ALTER TABLE tiny RENAME TO market_data")
    folder.mkdir()
    peak = Migration(url, folder / "catalog", definitions(folder, ["ONE"])).finish()["peak_memory_bytes"]
    with session(url) as connection:
        connection.execute("DROP TABLE market_data")
    assert isinstance(peak, int)
    return peak


@pytest.mark.parametrize(
    ("symbols", "last", "sessions"),
    [
        pytest.param(2, "2024-03-28", 61, id="48k rows"),
        pytest.param(21, "2024-12-31", 252, id="2M rows", marks=[pytest.mark.slow, pytest.mark.timeout(900)]),
    ],
)
def test_killed_and_stopped_and_started_again_it_ends_reconciled(postgres_url: str, tmp_path: Path, symbols: int, last: str, sessions: int) -> None:
    baseline = small_peak(postgres_url, tmp_path / "small")
    names = [f"S{i:02}" for i in range(symbols)]
    rows = make_legacy(postgres_url, dict.fromkeys(names, ("2024-01-01", last)), CLOSED)
    assert rows == symbols * sessions * 390
    root = tmp_path / "catalog"
    migration = Migration(postgres_url, root, definitions(tmp_path, names))
    total = symbols * sessions

    code, _ = migration.interrupt(total // 4, signal.SIGKILL)
    assert code == -signal.SIGKILL
    tally.count("kills")
    killed_at = migration.files()
    assert total // 4 <= killed_at < total
    code, said = migration.interrupt(total * 6 // 10, signal.SIGINT)
    assert code == 130, said
    assert "the same command goes on from there" in said
    stopped_at = migration.files()
    assert killed_at < stopped_at < total

    report = migration.finish()
    assert (report["rows"], report["reconciled"], report["differences"], report["rows_bad"]) == (rows, True, 0, 0)
    # What was stored before was not written again.
    assert report["bars_written"] == rows - stopped_at * 390
    assert migration.files() == total
    told = report["symbols"]
    assert isinstance(told, list)
    assert [one["compared"] for one in told] == [{"sessions": sessions, "bars": sessions * 390}] * symbols
    peak = report["peak_memory_bytes"]
    assert isinstance(peak, int)
    print(f"{rows:,} rows: at most {peak / MEGABYTE:,.0f} MB, {(peak - baseline) / MEGABYTE:,.0f} MB more than a single session takes")  # noqa: T201
    assert peak - baseline < 120 * MEGABYTE
