"""The commands of ./dev that need no installed package beyond those of the tests."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from market_data_pipeline_tests.conftest import REPOSITORY
from market_data_pipeline_tests.documentation.workspace import copy_project
from market_data_pipeline_tests.orchestration.page import wait_until


def _dev(root: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "MDP_VENV": sys.prefix, **variables}
    return subprocess.run([str(root / "dev"), *arguments], cwd="/", env=environment, capture_output=True, text=True, timeout=120)


def test_a_taken_port_is_one_clear_line(tmp_path: Path) -> None:
    shutil.copy(REPOSITORY / "dev", tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused = _dev(tmp_path, "up", DAGSTER_PORT=str(port))
    assert refused.returncode == 1
    assert (
        refused.stderr == f"./dev: port {port} on 127.0.0.1 cannot be used (Address already in use). Take another: DAGSTER_PORT={port + 1} ./dev up\n"
    )


@pytest.mark.parametrize("port", ["http", "0", "70000", "-1"])
def test_what_is_no_port_is_one_clear_line(tmp_path: Path, port: str) -> None:
    shutil.copy(REPOSITORY / "dev", tmp_path)
    refused = _dev(tmp_path, "up", DAGSTER_PORT=port)
    assert refused.returncode == 1
    assert "is no port number. Take one between 1024 and 65535." in refused.stderr
    assert refused.stderr.count("\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_a_page_that_a_script_put_into_the_background_ends_when_it_is_told_to(tmp_path: Path, ending: signal.Signals) -> None:
    """A shell without job control starts it with SIGINT ignored."""
    root = tmp_path / "project"
    copy_project(REPOSITORY, root)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "MDP_VENV": sys.prefix, "DAGSTER_PORT": str(port)}
    script = f"nohup '{root}/dev' up >'{root}/up.log' 2>&1 & echo $!; wait $!"
    with subprocess.Popen(["sh", "-c", script], env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True) as shell:
        try:
            assert shell.stdout is not None
            page = int(shell.stdout.readline())
            wait_until(lambda: _answers(port), 120)
            os.kill(page, ending)
            shell.wait(40)
            assert "Dagster services shut down." in (root / "up.log").read_text()
        finally:
            os.killpg(shell.pid, signal.SIGKILL)


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/server_info", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@pytest.mark.skipif(not shutil.which("git"), reason="git is not on PATH: the search for machine paths looks at what git would commit")
def test_check_finds_paths_of_this_machine_and_index_addresses(tmp_path: Path) -> None:
    root = tmp_path / "parent folder" / "clone"
    root.mkdir(parents=True)
    shutil.copy(REPOSITORY / "dev", root)
    subprocess.run(["git", "init", "--quiet", str(root)], check=True)
    (root / ".gitignore").write_text("ignored.txt\n")
    (root / "ignored.txt").write_text(f"{root}/data\n")
    (root / "honest.md").write_text("Look at /tmp/ and https://docs.dagster.io/deployment\n")
    (root / "notes.md").write_text(f"fine\ncd {root}/data\n")
    (root / "lock.txt").write_text("--" + "index-url https://packages.example/" + "simple/\n")

    venv = tmp_path / "venv" / "bin"
    venv.mkdir(parents=True)
    for tool in ("python", "ruff", "mypy", "lint-imports"):
        (venv / tool).write_text("#!/bin/sh\nexit 0\n")
        (venv / tool).chmod(0o755)
    checked = _dev(root, "check", MDP_VENV=str(venv.parent))
    assert checked.returncode == 1
    assert checked.stderr == "./dev: failed: machine paths\n"
    found = checked.stdout[checked.stdout.index("index addresses\n") :].splitlines()[1:]
    assert [line.split(":")[0:2] for line in found] == [["lock.txt", "1"], ["notes.md", "2"]]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_clone_sets_itself_up_in_a_bare_environment(tmp_path: Path) -> None:
    """With real downloads: needs the package index."""
    root = tmp_path / "a fresh clone"
    copy_project(REPOSITORY, root)
    home = tmp_path / "home"
    home.mkdir()
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(home), "MDP_PYTHON": sys.executable}
    made = subprocess.run([str(root / "dev"), "setup"], env=environment, capture_output=True, text=True, timeout=800)
    assert made.returncode == 0, made.stderr
    shown = subprocess.run(
        [str(root / ".venv" / "bin" / "python"), "-c", "import market_data_pipeline as m; print(m.__file__)"],
        env=environment,
        cwd="/",
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout.strip() == str(root / "market_data_pipeline" / "__init__.py")
    assert list((root / ".venv").glob("lib/python3*/site-packages/pandas/__pycache__/*.pyc"))
