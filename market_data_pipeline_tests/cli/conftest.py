"""Running `mdp` in this process, as its launcher does, and in one of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from market_data_pipeline.cli.main import main
from market_data_pipeline_tests.cli.legacy import INSTRUMENTS
from market_data_pipeline_tests.cli.stored import AAPL_YAML
from market_data_pipeline_tests.gateway import RunningGateway, start_gateway
from market_data_pipeline_tests.postgres.bar_tables import libpq

TRACEBACK = "Traceback"


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it said to programs."""
        return json.loads(self.out)


Mdp = Callable[..., Ended]


@pytest.fixture(autouse=True)
def _a_place_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every test stand in an empty folder, with no catalog in its environment."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for name in ("MDP_CATALOG", "MDP_CONFIG", "NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    for name in [name for name in os.environ if name.startswith("IB_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def mdp(capsys: pytest.CaptureFixture[str]) -> Mdp:
    """Run a command here, with the code of the launcher, and return how it ended."""

    def run(*arguments: str | Path) -> Ended:
        code = main([str(one) for one in arguments])
        out, err = capsys.readouterr()
        assert TRACEBACK not in out + err
        return Ended(code, out, err)

    return run


@pytest.fixture
def launched() -> Mdp:
    """Run a command as a process of its own and return how it ended."""

    def run(*arguments: str | Path, **environment: str) -> Ended:
        command = [sys.executable, "-m", "market_data_pipeline.cli", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=os.environ | environment, stdin=subprocess.DEVNULL)
        return Ended(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The folder of a catalog that nobody has made yet."""
    return tmp_path / "catalog"


# Rules so wide that nothing waits; the gateway counts by its own.
HASTE = """name: haste
small_bars: {requests: 100000, same_contract: 100000, same_contract_s: 0.01, identical_s: 0.01}
messages: 50
messages_s: 0.01
matching_s: 0.01
refusal_s: 0.01
delay_s: 0.01
delay_share: 0
"""


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A gateway that the tests of a module share."""
    with start_gateway(tmp_path_factory.mktemp("gateway"), "--no-pacing") as gateway:
        yield gateway


@pytest.fixture
def reach(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[RunningGateway], RunningGateway]:
    """Point the environment at a gateway, with rules under which nothing waits."""

    def point(gateway: RunningGateway) -> RunningGateway:
        pacing = tmp_path / "haste.yaml"
        pacing.write_text(HASTE)
        for name, value in (("IB_PORT", gateway.port), ("IB_PACING", pacing), ("IB_WAIT_SCALE", 0)):
            monkeypatch.setenv(name, str(value))
        return gateway

    return point


@pytest.fixture
def gateway(simulator: RunningGateway, reach: Callable[[RunningGateway], RunningGateway]) -> RunningGateway:
    """The shared gateway, where commands look for one."""
    return reach(simulator)


def requests_for_bars(gateway: RunningGateway) -> int:
    """Return how many requests for bars a gateway has been asked so far."""
    return int(gateway.statistics()["requests"]["by_kind"].get("history", 0))


@pytest.fixture
def aapl_yaml() -> None:
    """A file that defines AAPL, here."""
    Path("aapl.yaml").write_text(AAPL_YAML)


@pytest.fixture
def definitions_of_legacy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that defines the instruments of the legacy table, here, and an environment that names no database."""
    Path("instruments.yaml").write_text(INSTRUMENTS)
    for name in ("MDP_POSTGRES_URL", "PGPASSWORD", "PGHOST", "PGUSER", "PGDATABASE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def migrate(mdp: Mdp, definitions_of_legacy: None, postgres_url: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> Mdp:
    """Migrate the table of this test's database."""
    monkeypatch.setenv("MDP_POSTGRES_URL", libpq(postgres_url))

    def run(*more: str | Path, **_: str) -> Ended:
        given = [] if any(word in more for word in ("--map", "--instrument", "--venue")) else ["--venue", "NASDAQ"]
        return mdp("migrate", "postgres", "--catalog", root, *given, *more)

    return run
