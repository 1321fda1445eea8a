"""Running `mdp` in this process, as its launcher does, and in one of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from market_data_pipeline.cli.main import main

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
