"""Long-running programs of this environment that a test or a benchmark serves itself with, and stops as Ctrl-C does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from market_data_pipeline_tests.conftest import REPOSITORY

_PATIENCE_S = 20.0


@contextmanager
def running(program: str, arguments: Sequence[str], environment: Mapping[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program of this environment in the repository's folder, in a group of its own; interrupt it at the end, and kill the group if it stays.

    Args:
        program: Its name beside this Python, for example `dagster`.
        arguments: Its arguments.
        environment: Variables beside those of this process.
        log: What it prints is added there.
    """
    command = [str(Path(sys.executable).with_name(program)), *arguments]
    with log.open("a") as output:
        process = subprocess.Popen(command, cwd=REPOSITORY, env={**os.environ, **environment}, stdout=output, stderr=output, start_new_session=True)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(_PATIENCE_S)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
