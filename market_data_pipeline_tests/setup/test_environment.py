"""How ./dev makes .venv.

Interpreters and installers are stand-ins that write down how they were called; test_commands.py has one test with real ones.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from market_data_pipeline_tests.conftest import REPOSITORY

# A Python that says it is of some version, makes venvs of itself, and has a pip that only writes down its call.
_PYTHON = """#!/bin/sh
case "$*" in
    "-m venv "*) mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; echo "venv" >>"$CALLS" ;;
    *"-m pip install"*--editable*) echo "pip project" >>"$CALLS" ;;
    *"-m pip install"*) sleep "${PIP_TAKES:-0}"; [ -z "${PIP_FAILS:-}" ] || { echo "no route" >&2; exit 1; }; echo "pip packages" >>"$CALLS" ;;
    *version_info*) exec REAL -c "import sys; sys.version_info = VERSION; $2" ;;
    *) exec REAL "$@" ;;
esac
"""
_UV = """#!/bin/sh
case "$*" in
    --version) echo "uv 0.9" ;;
    "python find"*) exit 1 ;;
    "venv "*) for last; do :; done; mkdir -p "$last/bin"; cp "$STAND_IN" "$last/bin/python"; echo "uv venv" >>"$CALLS" ;;
    *--editable*) echo "uv project" >>"$CALLS" ;;
    *) [ -z "${UV_FAILS:-}" ] || { echo "no certificate" >&2; exit 1; }; echo "uv packages" >>"$CALLS" ;;
esac
"""
_TOOLS = ("sh", "cat", "cksum", "cp", "date", "dirname", "grep", "ln", "mkdir", "mv", "readlink", "rm", "sleep", "tr")


@dataclass
class Clone:
    """A folder with ./dev, a lock and a pyproject, and a PATH that holds only what a test put there."""

    root: Path
    programs: Path
    variables: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, script: str) -> Path:
        path = self.programs / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(script)
        path.chmod(0o755)
        return path

    def add_python(self, name: str, version: tuple[int, int]) -> Path:
        return self.add(name, _PYTHON.replace("REAL", f"'{sys.executable}'").replace("VERSION", f"({version[0]}, {version[1]}, 0)"))

    def add_uv(self) -> None:
        self.variables["STAND_IN"] = str(self.programs / "python3.13")
        self.add("uv", _UV)

    @property
    def environment(self) -> dict[str, str]:
        home = self.programs.parent / "home"
        return {"PATH": str(self.programs), "HOME": str(home), "CALLS": str(self.programs.parent / "calls"), **self.variables}

    def dev(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        command = [str(self.root / "dev"), *arguments]
        return subprocess.run(command, cwd="/", env=self.environment | more, capture_output=True, text=True, timeout=60)

    def calls(self) -> list[str]:
        """Return what was installed since the last question."""
        file = Path(self.environment["CALLS"])
        found = file.read_text().splitlines() if file.exists() else []
        file.unlink(missing_ok=True)
        return found


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    root, programs = tmp_path / "a clone (mine)", tmp_path / "bin"
    root.mkdir()
    programs.mkdir()
    shutil.copy(REPOSITORY / "dev", root)
    (root / "requirements.lock").write_text("numpy==2.2.0\n")
    (root / "pyproject.toml").write_text("[project]\n")
    for tool in _TOOLS:
        program = shutil.which(tool)
        assert program, f"{tool} is not on PATH"
        (programs / tool).symlink_to(program)
    return Clone(root, programs)


def test_the_environment_is_made_once(clone: Clone) -> None:
    clone.add_python("python3.13", (3, 13))
    made = clone.dev("setup")
    assert (made.returncode, made.stderr) == (0, "")
    assert clone.calls() == ["venv", "pip packages", "pip project"]
    assert "1 packages for Python 3" in made.stdout

    again = clone.dev("setup")
    assert (again.returncode, again.stdout, clone.calls()) == (0, "", [])


def test_uv_is_used_where_it_is(clone: Clone) -> None:
    clone.add_python("python3.13", (3, 13))
    clone.add_uv()
    assert clone.dev("setup").returncode == 0
    assert clone.calls() == ["uv venv", "uv packages", "uv project"]


def test_pip_takes_over_where_uv_fails(clone: Clone) -> None:
    clone.add_python("python3.13", (3, 13))
    clone.add_uv()
    made = clone.dev("setup", UV_FAILS="1")
    assert made.returncode == 0
    assert "uv failed" in made.stdout
    assert clone.calls()[:3] == ["uv venv", "venv", "pip packages"]


def test_a_changed_lock_makes_it_anew_and_a_changed_pyproject_only_the_package(clone: Clone) -> None:
    clone.add_python("python3.13", (3, 13))
    clone.dev("setup")
    clone.calls()
    (clone.root / "pyproject.toml").write_text("[project]\nversion = '2'\n")
    assert clone.dev("setup").returncode == 0
    assert clone.calls() == ["pip project"]

    (clone.root / "requirements.lock").write_text("numpy==2.3.0\n")
    left_over = clone.root / ".venv" / "left over"
    left_over.touch()
    assert clone.dev("setup").returncode == 0
    assert clone.calls() == ["venv", "pip packages", "pip project"]
    assert not left_over.exists()


def test_a_folder_that_was_moved_gets_a_new_environment(clone: Clone) -> None:
    clone.add_python("python3.13", (3, 13))
    clone.dev("setup")
    clone.calls()
    clone.root = clone.root.rename(clone.root.with_name("moved"))
    assert clone.dev("setup").returncode == 0
    assert clone.calls() == ["venv", "pip packages", "pip project"]


def test_an_interpreter_that_vanished_gets_a_new_environment(clone: Clone) -> None:
    clone.add_python("python3.13", (3, 13))
    clone.dev("setup")
    clone.calls()
    (clone.root / ".venv" / "bin" / "python").unlink()
    assert clone.dev("setup").returncode == 0
    assert clone.calls() == ["venv", "pip packages", "pip project"]


def test_a_failed_install_says_why_and_is_done_again_next_time(clone: Clone) -> None:
    clone.add_python("python3.13", (3, 13))
    failed = clone.dev("setup", PIP_FAILS="1")
    assert failed.returncode == 1
    assert failed.stderr.splitlines()[0] == "no route"
    assert "The next ./dev starts over" in failed.stderr
    clone.calls()
    assert clone.dev("setup").returncode == 0
    assert clone.calls() == ["venv", "pip packages", "pip project"]


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_set_up_is_taken_up_by_the_next(clone: Clone, sent: signal.Signals) -> None:
    clone.add_python("python3.13", (3, 13))
    process = _start(clone, PIP_TAKES="30")
    _wait_for(clone.root / ".venv" / "bin" / "python")
    os.killpg(process.pid, sent)
    assert process.wait(10) != 0
    clone.calls()
    assert clone.dev("setup").returncode == 0
    assert clone.calls() == ["venv", "pip packages", "pip project"]
    assert not (clone.root / ".venv.lock").is_symlink()


def test_two_at_once_make_one_environment(clone: Clone) -> None:
    clone.add_python("python3.13", (3, 13))
    first = _start(clone, PIP_TAKES="1")
    _wait_for(clone.root / ".venv" / "bin" / "python")
    second = clone.dev("setup")
    assert (first.wait(10), second.returncode) == (0, 0)
    assert "waiting for another ./dev" in second.stdout
    assert clone.calls() == ["venv", "pip packages", "pip project"]


def test_candidates_are_executed_and_not_believed(clone: Clone) -> None:
    clone.add("python3.13", "#!/bin/sh\necho 'pyenv: python3.13: command not found' >&2\nexit 127\n")
    clone.add_python("python3", (3, 11))
    hidden = clone.add_python("../home/.pyenv/versions/3.12.1/bin/python", (3, 12))
    made = clone.dev("setup")
    assert (made.returncode, made.stderr) == (0, "")
    assert (clone.root / ".venv" / "bin" / "python").read_text() == hidden.read_text()


def test_one_line_says_what_to_install_where_no_interpreter_fits(clone: Clone) -> None:
    clone.add_python("python3", (3, 11))
    clone.add_python("python3.13", (3, 14))
    failed = clone.dev("run")
    assert failed.returncode == 1
    assert failed.stdout == ""
    assert failed.stderr.startswith("./dev: no Python 3.12 or 3.13 found. Install one (apt install python3.13")
    assert failed.stderr.endswith("MDP_PYTHON=/path/to/python ./dev run\n")
    assert failed.stderr.count("\n") == 1
    assert not (clone.root / ".venv").exists()


def test_a_named_interpreter_is_taken_or_refused_and_never_replaced(clone: Clone) -> None:
    clone.add_python("python3.13", (3, 13))
    old, named = clone.add_python("old", (3, 10)), clone.add_python("named", (3, 12))
    refused = clone.dev("setup", MDP_PYTHON=str(old))
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert f"MDP_PYTHON={old} is no working Python 3.12 or 3.13" in refused.stderr

    assert clone.dev("setup", MDP_PYTHON=str(named)).returncode == 0
    assert (clone.root / ".venv" / "bin" / "python").read_text() == named.read_text()


def test_an_environment_of_ones_own_is_taken_as_it_is(clone: Clone) -> None:
    clone.add_python("own/bin/python", (3, 13))
    assert clone.dev("setup", MDP_VENV=str(clone.programs / "own")).returncode == 0
    assert clone.calls() == []
    assert not (clone.root / ".venv").exists()
    refused = clone.dev("setup", MDP_VENV="/nowhere")
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert "MDP_VENV=/nowhere holds no bin/python" in refused.stderr


@pytest.mark.parametrize("arguments", [(), ("help",), ("--help",)])
def test_help_needs_no_environment(clone: Clone, arguments: tuple[str, ...]) -> None:
    shown = clone.dev(*arguments)
    assert (shown.returncode, clone.calls()) == (0, [])
    for command in ("run", "up", "test [--all]", "check", "bench", "setup", "lock"):
        assert f"\n  {command} " in shown.stdout


def test_an_unknown_command_is_a_usage_error(clone: Clone) -> None:
    unknown = clone.dev("start")
    assert (unknown.returncode, clone.calls()) == (2, [])
    assert "usage: ./dev COMMAND" in unknown.stderr


def _start(clone: Clone, **more: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [str(clone.root / "dev"), "setup"], env=clone.environment | more, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )


def _wait_for(path: Path) -> None:
    deadline = time.monotonic() + 10
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} was not made"
        time.sleep(0.02)
