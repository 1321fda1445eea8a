"""A copy of the project in which the commands of a document are run as a user would."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from market_data_pipeline_tests.documentation.blocks import Command, missing_line

_LEFT_OUT = shutil.ignore_patterns(".git", ".venv", ".venv.lock", "__pycache__", ".*_cache", "*.egg-info", ".hypothesis")


class CommandFailed(AssertionError):
    """A command of a document did not do what the document says."""


@dataclass(frozen=True)
class LongRunning:
    """A command that does not end by itself.

    Attributes:
        ready: Address that answers once it is up: `http://…`, or `tcp://…` for a socket that accepts. `{port}` is the port given to it as
            DAGSTER_PORT, `{ib_port}` that given as IB_PORT.
        within_s: How long it may take until then.
        stays: Whether the commands that follow need it.
    """

    ready: str
    within_s: float = 120.0
    stays: bool = False


@dataclass(frozen=True)
class RunElsewhere:
    """A command that is not run here.

    Attributes:
        why: What runs it, or why running it here would show nothing.
    """

    why: str


def copy_project(repository: Path, folder: Path) -> None:
    """Copy the files of the project as a fresh clone has them: without what runs have made."""
    shutil.copytree(repository, folder, ignore=_LEFT_OUT, dirs_exist_ok=True)
    for made, kept in (("data", "README.md"), ("dagster_home", "dagster.yaml")):
        for path in (folder / made).glob("*"):
            if path.name != kept:
                shutil.rmtree(path) if path.is_dir() else path.unlink()


class Workspace:
    """A folder and a shell that keeps its working directory and variables from one command to the next.

    The environment is the one of the tests: `.venv` of the folder leads there, its programs are on PATH, and modules of the folder go before
    those it has installed.

    Args:
        folder: The copy of the project.
        special: Commands that are not simply run to their end.
        variables: More of the environment.
    """

    def __init__(self, folder: Path, special: dict[str, LongRunning | RunElsewhere], variables: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self._special = special
        self._state = Path(tempfile.mkdtemp(prefix="document-"))
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self.port, self.ib_port = _free_port(), _free_port()
        (folder / ".venv").symlink_to(sys.prefix)
        home = self._state / "home"
        home.mkdir()
        self._environment = {
            "HOME": str(home),
            "PATH": f"{Path(sys.prefix, 'bin')}:{os.environ.get('PATH', os.defpath)}",
            "MDP_VENV": sys.prefix,
            "PYTHONPATH": str(folder),
            # Calendars and matplotlib's fonts are the same for everybody.
            "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache")),
            "DAGSTER_PORT": str(self.port),
            "IB_PORT": str(self.ib_port),
            "DAGSTER_DISABLE_TELEMETRY": "1",
            "COLUMNS": "200",
            "LANG": "C.UTF-8",
            **(variables or {}),
        }

    def run(self, command: Command, timeout_s: float = 600.0) -> str | None:
        """Do what the document says; return what was printed, or None where the command runs elsewhere.

        Raises:
            CommandFailed: With the command, its line and its output.
        """
        special = self._special.get(command.text)
        if isinstance(special, RunElsewhere):
            return None
        if isinstance(special, LongRunning):
            return self._start(command, special)
        with tempfile.TemporaryFile() as output:
            process = self._shell(command.text, output.fileno(), keep=True)
            try:
                code: int | str = process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                _end(process)
                code = f"none within {timeout_s:g} s; a command that does not end belongs into the table of this test"
            output.seek(0)
            printed = output.read().decode(errors="replace")
        if code != 0:
            raise CommandFailed(f"line {command.line}: $ {command.text}\nexit code {code}\n{printed[-4000:]}")
        if (line := missing_line(command.shown, printed)) is not None:
            raise CommandFailed(f"line {command.line}: $ {command.text}\nshould print: {line}\nbut printed:\n{printed[-4000:]}")
        return printed

    def stop(self, command: str | None = None) -> None:
        """End a command that still runs, or all of them, as Ctrl-C does, and wait for it."""
        for text in [command] if command is not None else [*self._running]:
            _end(self._running.pop(text))

    def _start(self, command: Command, special: LongRunning) -> str:
        if earlier := self._running.pop(command.text, None):
            _end(earlier)
        log = self._state / "long-running.log"
        with log.open("wb") as output:
            process = self._shell(command.text, output.fileno(), keep=False)
        self._running[command.text] = process
        address = special.ready.format(port=self.port, ib_port=self.ib_port)
        deadline = time.monotonic() + special.within_s
        while time.monotonic() < deadline and process.poll() is None:
            with contextlib.suppress(OSError), _opened(address):
                return log.read_text(errors="replace")
            time.sleep(0.2)
        state = "still runs" if process.poll() is None else f"ended with exit code {process.returncode}"
        raise CommandFailed(
            f"line {command.line}: $ {command.text}\n{address} did not answer within {special.within_s:g} s; it {state}\n"
            + log.read_text(errors="replace")[-4000:]
        )

    def _shell(self, text: str, output: int, keep: bool) -> subprocess.Popen[bytes]:
        variables, place = (shlex.quote(str(self._state / name)) for name in ("variables", "place"))
        before = f'if [ -f {variables} ]; then . {variables}; cd "$(cat {place})"; fi\n'
        after = f"\nstatus=$?\nexport -p >{variables}\npwd >{place}\nexit $status\n" if keep else ""
        return subprocess.Popen(
            ["sh", "-c", f"{before}{text}{after}"],
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()
        shutil.rmtree(self._state, ignore_errors=True)


def _opened(address: str) -> contextlib.AbstractContextManager[object]:
    """Connect to an address; what it answers is not looked at."""
    parts = urllib.parse.urlsplit(address)
    if parts.scheme == "tcp":
        return socket.create_connection((parts.hostname or "", parts.port or 0), timeout=5)
    opened: contextlib.AbstractContextManager[object] = urllib.request.build_opener(urllib.request.ProxyHandler({})).open(address, timeout=5)
    return opened


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _end(process: subprocess.Popen[bytes]) -> None:
    for sent, wait_s in ((signal.SIGINT, 20), (signal.SIGTERM, 5), (signal.SIGKILL, 5)):
        with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
            os.killpg(process.pid, sent)
            process.wait(wait_s)
            # The shell may be gone before what it started.
            deadline = time.monotonic() + wait_s
            while time.monotonic() < deadline:
                os.killpg(process.pid, 0)
                time.sleep(0.05)
