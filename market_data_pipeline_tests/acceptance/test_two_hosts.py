"""Two hosts on one catalog, as docs/cluster.md has it: ledger, pacing and Dagster's runs in PostgreSQL, each host with a home and a state of its own.

Both hosts are processes of this machine, so what a shared disk must give (locks that reach over hosts) is not shown here.
January 2024 had 21 NYSE sessions (NYSE holiday calendar 2024).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa

from market_data_pipeline_tests.conftest import REPOSITORY
from market_data_pipeline_tests.gateway import RunningGateway, start_gateway
from market_data_pipeline_tests.orchestration.conftest import Project, keep_in_postgres, opened, write_project
from market_data_pipeline_tests.postgres import PostgresServer
from market_data_pipeline_tests.postgres.bar_tables import libpq

_LIMIT, _WINDOW_S = 20, 5.0
_SCALE = _WINDOW_S / 600
_PACING = f"""
name: strict, scaled
small_bars: {{requests: {_LIMIT}, window_s: {_WINDOW_S}, same_contract: 5, same_contract_s: {2 * _SCALE}, identical_s: {15 * _SCALE}}}
refusal_s: 1
delay_s: 0.05
"""
_JANUARY = ["--start", "2024-01-02", "--end", "2024-01-31"]


@dataclass(frozen=True)
class Host:
    """A host: what its processes find in their environment."""

    name: str
    folder: Path
    environment: dict[str, str]

    def start(self, program: str, *arguments: str) -> subprocess.Popen[str]:
        """Start a program of this environment on it."""
        command = [str(Path(sys.executable).with_name(program)), *arguments]
        with (self.folder / "stderr").open("a") as said:
            return subprocess.Popen(
                command, cwd=REPOSITORY, env=self.environment, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said
            )

    def said(self) -> str:
        """Return the end of what its programs said on stderr."""
        return (self.folder / "stderr").read_text()[-3_000:]


@dataclass(frozen=True)
class Cluster:
    """Two hosts, what they share, and an instance that looks at it as the webserver of a third would."""

    hosts: tuple[Host, Host]
    project: Project
    gateway: RunningGateway
    ledger_url: str


@pytest.fixture
def cluster(tmp_path: Path, postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    write_project(tmp_path)
    (tmp_path / "pacing.yaml").write_text(_PACING)
    flags = ("--pacing-limit", _LIMIT, "--pacing-window", _WINDOW_S, "--identical", 15 * _SCALE, "--burst-window", 2 * _SCALE)
    with ExitStack() as stack:
        runs, ledger, pacing = (stack.enter_context(postgres_server.database()) for _ in range(3))
        monkeypatch.setenv("DAGSTER_POSTGRES_URL", libpq(runs))
        (tmp_path / "catalog").mkdir()
        (tmp_path / "catalog" / "ledger.url").write_text(f"{ledger}\n")
        keep_in_postgres(tmp_path / "home")
        gateway = stack.enter_context(start_gateway(tmp_path / "gateway", *map(str, flags)))
        project = stack.enter_context(opened(tmp_path))
        hosts = []
        for number, name in enumerate(("a", "b")):
            folder = tmp_path / f"host-{name}"
            shutil.copytree(tmp_path / "home", folder / "home", ignore=shutil.ignore_patterns("history", "storage", ".*"))
            own = {
                "DAGSTER_HOME": str(folder / "home"),
                "XDG_STATE_HOME": str(folder / "state"),
                "IB_STATE": str(folder / "state"),
                "IB_PORT": str(gateway.port),
                "IB_CLIENT_ID": str(1 + 100 * number),
                "IB_PACING": str(tmp_path / "pacing.yaml"),
                "IB_PACING_DB": pacing,
            }
            hosts.append(Host(name, folder, {**os.environ, **project.settings, **own}))
        yield Cluster((hosts[0], hosts[1]), project, gateway, ledger)


@pytest.mark.slow
def test_two_hosts_share_ledger_limits_and_runs(cluster: Cluster) -> None:
    a, b = cluster.hosts
    loads = [
        host.start("mdp", "load", instrument, "1-MINUTE-LAST", "--mode", "full", *_JANUARY, "--json")
        for host, instrument in ((a, "NVDA.NASDAQ"), (b, "META.NASDAQ"))
    ]
    for load, host in zip(loads, cluster.hosts, strict=True):
        out, _ = load.communicate(timeout=240)
        assert load.returncode == 0, out + host.said()
    statistics = cluster.gateway.statistics()
    assert statistics["historical"]["total"] >= 2 * 21 > 2 * _LIMIT
    assert statistics["breaches"]["total"] == 0

    # Each host knows at once what the other has stored, and asks for nothing again.
    assert _complete(b, "NVDA.NASDAQ") == _complete(a, "META.NASDAQ") == 21
    again = b.start("mdp", "load", "NVDA.NASDAQ", "1-MINUTE-LAST", "--mode", "full", *_JANUARY, "--json")
    again.communicate(timeout=120)
    assert again.returncode == 0
    assert cluster.gateway.statistics()["historical"]["total"] == statistics["historical"]["total"]
    assert not list((cluster.project.root / "catalog").glob("ledger.sqlite*"))
    assert _rows(cluster.ledger_url) >= 2 * 21

    runs = [host.start("dagster", *_bars_of(instrument)) for host, instrument in ((a, "AAPL.NASDAQ"), (b, "MSFT.NASDAQ"))]
    for run, host in zip(runs, cluster.hosts, strict=True):
        run.communicate(timeout=240)
        assert run.returncode == 0, host.said()
    shown = cluster.project.shown("stocks/bars_5_minute_last")
    assert {name: sum(key.endswith(name) for key in shown) for name in ("AAPL.NASDAQ", "MSFT.NASDAQ")} == {"AAPL.NASDAQ": 21, "MSFT.NASDAQ": 21}
    workers = {run.tags["market_data/worker"] for run in cluster.project.instance.get_runs(dg.RunsFilter(job_name="stocks_bars"))}
    assert len(workers) == 2


def _bars_of(instrument: str) -> list[str]:
    tags = {"dagster/asset_partition_range_start": f"2024-01-02|{instrument}", "dagster/asset_partition_range_end": f"2024-01-31|{instrument}"}
    return ["job", "execute", "-m", "market_data_pipeline.definitions", "-j", "stocks_bars", "--tags", json.dumps(tags)]


def _complete(host: Host, instrument: str) -> int:
    check = host.start("mdp", "check", instrument, "--json")
    out, _ = check.communicate(timeout=120)
    found: dict[str, Any] = json.loads(out)
    [series] = found["series"]
    return int(series["sessions"]["complete"])


def _rows(url: str) -> int:
    engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
    with engine.connect() as connection:
        return int(connection.execute(sa.text("SELECT count(*) FROM sessions")).scalar_one())
