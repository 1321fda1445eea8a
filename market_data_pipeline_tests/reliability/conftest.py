"""What the tests of reliability share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from market_data_pipeline_tests.cli.conftest import HASTE
from market_data_pipeline_tests.gateway import start_gateway
from market_data_pipeline_tests.postgres import PostgresServer
from market_data_pipeline_tests.postgres.bar_tables import libpq
from market_data_pipeline_tests.reliability.crash_harness import CrashHarness, Crashing, start_crashing
from market_data_pipeline_tests.reliability.use_cases import GATEWAY, Surroundings, UseCase

Attack = Callable[[UseCase], CrashHarness]


@pytest.fixture(scope="session")
def crashing() -> Iterator[Crashing]:
    """The program that runs commands and kills them; each process that runs tests has one."""
    with start_crashing() as program:
        yield program


@pytest.fixture
def attack(tmp_path: Path, crashing: Crashing, request: pytest.FixtureRequest) -> Iterator[Attack]:
    """Prepare a use case to be killed, with the gateway or the database that it needs."""
    with ExitStack() as running:

        def prepared(use_case: UseCase) -> CrashHarness:
            environment, port, url = {}, 0, ""
            if use_case.needs == "gateway":
                faults = [word for fault in use_case.faults for word in ("--fault", fault)]
                gateway = running.enter_context(start_gateway(tmp_path / "gateway", *GATEWAY, *faults))
                port = gateway.port
                (tmp_path / "haste.yaml").write_text(HASTE)
                environment = {"IB_PORT": str(port), "IB_PACING": str(tmp_path / "haste.yaml"), "IB_WAIT_SCALE": "0"}
            if use_case.needs == "postgres":
                server: PostgresServer = request.getfixturevalue("postgres_server")
                url = running.enter_context(server.database())
                environment = {"MDP_POSTGRES_URL": libpq(url)}
            return CrashHarness(crashing, use_case, tmp_path / "runs", Surroundings(port, url), environment)

        yield prepared


@pytest.fixture(autouse=True)
def _no_catalog_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name in ("MDP_CATALOG", "MDP_CONFIG") or name.startswith("IB_")]:
        monkeypatch.delenv(name)
