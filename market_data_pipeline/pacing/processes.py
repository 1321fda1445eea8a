"""Who asked, and whether that process still runs.

A process id is given again after a process ended, so a process is named by its id and its start, within one boot and one namespace of
process ids: what another container or host runs cannot be seen from here.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

_PROC = Path("/proc")


@dataclass(frozen=True, order=True)
class Process:
    """One process.

    Attributes:
        host: Name of its host, for a person.
        world: Where its id means anything: boot and namespace of process ids.
        pid: Its id.
        started: Its start in clock ticks since the boot; 0 where the system does not tell.
    """

    host: str
    world: str
    pid: int
    started: int

    @classmethod
    def this(cls) -> Process:
        """Return the process that runs this."""
        return _this(os.getpid())

    @classmethod
    def with_id(cls, pid: int) -> Process:
        """Return the process that has an id here; if there is none, one that runs no more."""
        here = cls.this()
        return cls(here.host, here.world, pid, _state(pid)[1])

    @classmethod
    def parse(cls, text: str) -> Process | None:
        """Read what `to_text` wrote; None if it did not."""
        try:
            pid, started, host, world = text.split(" ", 3)
            return cls(host, world, int(pid), int(started))
        except ValueError:
            return None

    def to_text(self) -> str:
        """Return it as one line that `parse` reads."""
        return f"{self.pid} {self.started} {self.host} {self.world}"

    def is_alive(self) -> bool | None:
        """Return whether it runs; None where that cannot be said from here. One that was killed and not yet reaped runs no more."""
        here = Process.this()
        if (self.host, self.world) != (here.host, here.world):
            return None
        if self == here:
            return True
        if _PROC.exists():
            state, started = _state(self.pid)
            return state not in ("", "Z", "X") and started == self.started
        return _answers(self.pid)


@lru_cache(maxsize=1)
def _this(pid: int) -> Process:
    return Process(socket.gethostname(), _world(), pid, _state(pid)[1])


@lru_cache(maxsize=1)
def boot_id() -> str:
    """Return what names the boot of this host; empty where the system does not tell."""
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _world() -> str:
    try:
        return f"{boot_id()} {(_PROC / 'self/ns/pid').readlink()}"
    except OSError:
        return boot_id()


def _state(pid: int) -> tuple[str, int]:
    """Return state and start of a process of Linux; empty and 0 if there is none."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return "", 0
    fields = text.rpartition(")")[2].split()  # the name before it may hold spaces and brackets
    return fields[0], int(fields[19])


def _answers(pid: int) -> bool | None:
    """Return whether any process has this id; None on Windows, where asking with `os.kill` ends it."""
    if os.name == "nt":
        return None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
