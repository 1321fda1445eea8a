"""A terminal in a test: a process on a pseudo-terminal, that a person could sit at."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

_PATIENCE_S = 30.0


class Terminal:
    """`mdp` on a terminal: what it shows can be read, and answered.

    Args:
        arguments: Of `mdp`.
    """

    def __init__(self, arguments: Sequence[str | Path]) -> None:
        self._ours, theirs = pty.openpty()
        # Only the terminal of its own session sends a process Ctrl-C.
        sit_down = "import os, sys; os.login_tty(0); os.execv(sys.executable, [sys.executable, '-m', 'market_data_pipeline.cli', *sys.argv[1:]])"
        command = [sys.executable, "-c", sit_down, *map(str, arguments)]
        environment = os.environ | {"TERM": "xterm", "COLUMNS": "100"}
        self._process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True, env=environment)
        os.close(theirs)
        self.shown = ""

    def read_until(self, text: str) -> str:
        """Wait until `text` is shown; return all that is."""
        until = time.monotonic() + _PATIENCE_S
        while text not in self.shown:
            assert time.monotonic() < until, f"{text!r} did not come; shown: {self.shown}"
            if not self._read():
                break
        assert text in self.shown, self.shown
        return self.shown

    def type(self, text: str) -> None:
        """Type a line."""
        os.write(self._ours, f"{text}\n".encode())

    def press(self, key: bytes) -> None:
        """Press a key, for example Ctrl-D."""
        os.write(self._ours, key)

    def end(self) -> int:
        """Wait for the end; return the exit code."""
        while self._read():
            pass
        return self._process.wait(_PATIENCE_S)

    def leave(self) -> None:
        """Turn the terminal off, whatever still runs on it."""
        self._process.kill()
        self._process.wait()
        os.close(self._ours)

    def _read(self) -> bool:
        """Read what has come; return whether more can."""
        ready, _, _ = select.select([self._ours], [], [], _PATIENCE_S)
        assert ready, f"nothing came for {_PATIENCE_S} s; shown: {self.shown}"
        try:
            piece = os.read(self._ours, 65_536)
        except OSError:  # Linux' way to say that the other side has closed
            return False
        self.shown += piece.decode("utf-8", "replace")
        return bool(piece)
