"""What runs in a process of its own: takes pieces of work from a pipe until it is closed, and answers through it."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import threading
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from types import FrameType
from typing import Any

Work = Callable[[Any, Callable[[object], None]], object]


def cores() -> int:
    """Return how many cores this process may use: fewer than the machine has, where it is confined to some."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def serve(work: Work, pipe: Connection) -> None:
    """Do pieces of work, told by the other end of the pipe, until it closes.

    Ctrl-C on the terminal reaches the whole group of processes; only the one that a person started decides what it means, and ends
    this one by SIGTERM, which arrives here as KeyboardInterrupt, so that what was begun is cleaned up.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _stop)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        while True:
            try:
                piece = pipe.recv()
            except EOFError:
                return
            pipe.send(_done(work, piece, pipe))
    except (KeyboardInterrupt, BrokenPipeError):
        return


def _done(work: Work, piece: object, pipe: Connection) -> tuple[str, object]:
    try:
        return "done", work(piece, lambda news: pipe.send(("told", news)))
    except BrokenPipeError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, the process that asked decides about it
        return "failed", _portable(error)


def _portable(error: Exception) -> Exception:
    """Return the error as it can be sent, with its trace as a note."""
    error.add_note("".join(traceback.format_exception(error)))
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # noqa: BLE001 - any class may refuse, in any way
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def _stop(_signal: int, _frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def _end_with_parent() -> None:
    """End at once where the process that asks is killed: nobody would hear the answer, and what is stored is whole at each moment."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
