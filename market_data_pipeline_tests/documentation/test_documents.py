"""Runs every command of README.md and docs/*.md, in order, in a copy of the project of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from market_data_pipeline_tests.conftest import REPOSITORY
from market_data_pipeline_tests.documentation.blocks import commands_of
from market_data_pipeline_tests.documentation.workspace import LongRunning, RunElsewhere, Workspace, copy_project
from market_data_pipeline_tests.postgres.bar_tables import libpq, make_legacy

# Commands that a document may hold and that are not simply run to their end. Each is compared with the whole command.
_SPECIAL: dict[str, LongRunning | RunElsewhere] = {
    "./dev up": LongRunning("http://127.0.0.1:{port}/server_info"),
    "mdp ibkr simulate": LongRunning("tcp://127.0.0.1:{ib_port}", stays=True),
    "./dev test": RunElsewhere("it is what runs now"),
    "./dev test --all": RunElsewhere("it is what runs now"),
    "docker compose -f deploy/docker-compose.yml up -d ib-gateway": RunElsewhere("needs Docker and an account; test_deploy.py reads the file"),
    "./dev check": RunElsewhere(".ci/run runs it before the tests"),
    "./dev bench": RunElsewhere("takes minutes; its figures are those of the machine"),
    "./dev bench m": RunElsewhere("takes a while; its figures are those of the machine"),
    "./dev bench scale": RunElsewhere("takes up to half an hour; its figures are those of the machine"),
    "./dev lock": RunElsewhere("asks the package index, and changes with it"),
    "source .venv/bin/activate": RunElsewhere("the environment is active here"),
    ". .venv/bin/activate": RunElsewhere("the environment is active here"),
}

# Where the page must stay up for the commands that follow.
_REWRITING = (
    'mdp ibkr simulate --fault "history/AAPL:8-10=revised:2024-05-30" --fault "history/AAPL:11-999=split:4" '
    '--fault "schedule:*=early-close:2024-05-24"'
)
_SPECIAL_OF = {
    "docs/api.md": {"./dev up": LongRunning("http://127.0.0.1:{port}/server_info", stays=True)},
    "docs/trust.md": {_REWRITING: LongRunning("tcp://127.0.0.1:{ib_port}", stays=True)},
}

# What stands ready before a document begins: the environment of its commands.
_PREPARED = {"docs/postgres.md": "database_of_the_guide"}

_SLOW = {
    "docs/api.md",  # a dozen runs and a backfill, for which the daemon looks every 30 seconds
    "docs/trust.md",  # asks for the same again and again, for which IBKR wants 15 seconds in between
}


@pytest.fixture
def database_of_the_guide(postgres_url: str) -> dict[str, str]:
    """The legacy table with the 21 sessions of January 2024 (NYSE holiday calendar 2024) of two symbols."""
    make_legacy(postgres_url, dict.fromkeys(("AAPL", "MSFT"), ("2024-01-01", "2024-01-31")), ["2024-01-01", "2024-01-15"])
    return {"MDP_POSTGRES_URL": libpq(postgres_url)}


def _name(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


_DOCUMENTS = [
    pytest.param(path, id=_name(path), marks=[pytest.mark.slow] if _name(path) in _SLOW else [])
    for path in (REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("**/*.md")))
]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("document", _DOCUMENTS)
def test_every_command_of_a_document_works(document: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    commands = commands_of(document.read_text(encoding="utf-8"))
    if not commands and document.name != "README.md":
        pytest.skip(f"{document.name} holds no commands")
    assert commands, "the README leads from zero to the page, so it holds commands"
    folder = tmp_path / "clone"
    copy_project(REPOSITORY, folder)
    special_commands = _SPECIAL | _SPECIAL_OF.get(_name(document), {})
    prepared = _PREPARED.get(_name(document))
    variables: dict[str, str] = {} if prepared is None else request.getfixturevalue(prepared)
    with Workspace(folder, special_commands, variables) as workspace:
        for command in commands:
            workspace.run(command)
            special = special_commands.get(command.text)
            if isinstance(special, LongRunning) and not special.stays:
                workspace.stop(command.text)  # it has answered; the daemon would only slow down the commands that follow
