from __future__ import annotations

import os
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from market_data_pipeline_tests.documentation.blocks import Command
from market_data_pipeline_tests.documentation.workspace import CommandFailed, LongRunning, RunElsewhere, Workspace, copy_project

_SERVER = 'python -m http.server --bind 127.0.0.1 "$DAGSTER_PORT"'


def _command(text: str, *shown: str) -> Command:
    return Command(12, text, shown)


def _workspace(folder: Path) -> Workspace:
    folder.mkdir(exist_ok=True)
    return Workspace(folder, {_SERVER: LongRunning("http://127.0.0.1:{port}/"), "./dev test": RunElsewhere("this is what runs now")})


def test_folder_and_variables_last_from_one_command_to_the_next(tmp_path: Path) -> None:
    with _workspace(tmp_path / "a clone") as workspace:
        workspace.run(_command("mkdir -p inner && cd inner"))
        workspace.run(_command("export MDP_CATALOG='two words'"))
        workspace.run(_command('pwd; echo "$MDP_CATALOG"', str(tmp_path / "a clone" / "inner"), "two words"))


def test_the_environment_of_the_tests_is_active(tmp_path: Path) -> None:
    with _workspace(tmp_path / "clone") as workspace:
        workspace.run(_command("python -c 'import sys; print(sys.prefix)'", sys.prefix))
        workspace.run(_command(".venv/bin/python -c 'import sys; print(sys.version_info[0])'", "3"))
        printed = workspace.run(_command("echo $HOME"))
        assert printed is not None
        assert printed.strip() != os.environ.get("HOME")


def test_a_command_that_fails_or_prints_something_else_is_shown_with_its_line(tmp_path: Path) -> None:
    with _workspace(tmp_path / "clone") as workspace:
        with pytest.raises(CommandFailed, match=r"line 12: \$ echo why; exit 3\nexit code 3\nwhy"):
            workspace.run(_command("echo why; exit 3"))
        with pytest.raises(CommandFailed, match="should print: 61 sessions\nbut printed:\n60 sessions"):
            workspace.run(_command("echo 60 sessions", "61 sessions"))


def test_a_command_that_hangs_is_ended(tmp_path: Path) -> None:
    with _workspace(tmp_path / "clone") as workspace, pytest.raises(CommandFailed, match=r"none within 0\.3 s"):
        workspace.run(_command("echo started; sleep 60"), timeout_s=0.3)


def test_a_long_running_command_is_awaited_and_stopped_at_the_end(tmp_path: Path) -> None:
    with _workspace(tmp_path / "clone") as workspace:
        address = f"http://127.0.0.1:{workspace.port}/"
        workspace.run(_command(_SERVER))
        with urllib.request.urlopen(address, timeout=5) as answer:
            assert answer.status == 200
        started = time.monotonic()
        workspace.stop()
        assert time.monotonic() - started < 5
        with pytest.raises(OSError, match="refused"):
            urllib.request.urlopen(address, timeout=5)


def test_a_long_running_command_that_dies_is_reported_at_once(tmp_path: Path) -> None:
    dies = "echo taken; exit 1"
    with (
        Workspace(tmp_path, {dies: LongRunning("http://127.0.0.1:{port}/")}) as workspace,
        pytest.raises(CommandFailed, match="ended with exit code 1\ntaken"),
    ):
        workspace.run(_command(dies))


def test_a_command_that_runs_elsewhere_is_not_run(tmp_path: Path) -> None:
    with _workspace(tmp_path / "clone") as workspace:
        assert workspace.run(_command("./dev test")) is None


def test_a_copy_is_like_a_fresh_clone(tmp_path: Path) -> None:
    origin = tmp_path / "origin"
    for name in (
        "dev",
        ".venv/bin/python",
        ".git/HEAD",
        "data/README.md",
        "data/catalog/ledger.sqlite",
        "dagster_home/dagster.yaml",
        "dagster_home/history/runs.db",
    ):
        (origin / name).parent.mkdir(parents=True, exist_ok=True)
        (origin / name).write_text(name)
    copy_project(origin, tmp_path / "copy")
    files = {str(path.relative_to(tmp_path / "copy")) for path in (tmp_path / "copy").rglob("*") if path.is_file()}
    assert files == {"dev", "data/README.md", "dagster_home/dagster.yaml"}
