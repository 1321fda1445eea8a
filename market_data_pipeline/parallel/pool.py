"""A few processes that share pieces of work: each takes the next one as soon as it is free, and the death of one loses its piece alone."""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any, cast

from market_data_pipeline.domain.errors import ProcessLost
from market_data_pipeline.parallel.worker import serve

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess

Tell = Callable[[object], None]
_PATIENCE_S = 20.0


@dataclass(frozen=True)
class Told:
    """News of a piece of work that goes on: what its `tell` was given."""

    piece: int
    news: Any


@dataclass(frozen=True)
class Ended[R]:
    """A piece of work that has ended.

    Attributes:
        piece: Its number, from 0.
        result: What it gave; None where it failed.
        error: Why it failed, its trace in the notes; None where it did not.
    """

    piece: int
    result: R | None
    error: Exception | None


@dataclass(eq=False)
class _Worker:
    process: SpawnProcess
    pipe: Connection
    piece: int


def in_processes[P, R](
    work: Callable[[P, Tell], R], pieces: Sequence[P], processes: int, describe: Callable[[P], str] = str
) -> Generator[Told | Ended[R]]:
    """Do pieces of work, each in one of `processes` processes that are started afresh (never forked), and tell as they go.

    Pieces begin in their order and end in any. An error ends its piece, and no other. Closing the generator, as Ctrl-C in the caller
    does through `contextlib.closing`, ends the processes: each gets 20 s to clean up, then it is killed.

    Args:
        work: Importable at the top of a module, or a `functools.partial` of such a function; is given a piece, and `tell` for news of it.
        pieces: Of the work; they, the news and the results must pickle.
        processes: How many, at least 1.
        describe: Names a piece in the message that its process died.
    """
    waiting = deque(range(len(pieces)))
    workers: dict[Connection, _Worker] = {}
    try:
        while waiting or workers:
            while waiting and len(workers) < processes:
                worker = _start(work, waiting.popleft())
                workers[worker.pipe] = worker
                _give(worker, pieces[worker.piece])
            for ready in wait(list(workers)):
                worker = workers[cast("Connection", ready)]
                try:
                    kind, content = worker.pipe.recv()
                except (EOFError, OSError):
                    del workers[worker.pipe]
                    yield Ended(worker.piece, None, _lost(worker, describe(pieces[worker.piece])))
                    continue
                if kind == "told":
                    yield Told(worker.piece, content)
                    continue
                ended = worker.piece
                if waiting:
                    worker.piece = waiting.popleft()
                    _give(worker, pieces[worker.piece])
                else:
                    del workers[worker.pipe]
                    _dismiss(worker)
                yield Ended(ended, None, content) if kind == "failed" else Ended(ended, content, None)
    finally:
        _end([*workers.values()])


def _start(work: Callable[..., object], piece: int) -> _Worker:
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=serve, args=(work, theirs), daemon=True)
    process.start()
    theirs.close()  # else the end of the process would not close the pipe
    return _Worker(process, ours, piece)


def _give(worker: _Worker, piece: object) -> None:
    with suppress(BrokenPipeError):  # it has died meanwhile, which the next look at its pipe tells
        worker.pipe.send(piece)


def _dismiss(worker: _Worker) -> None:
    worker.pipe.close()
    worker.process.join(_PATIENCE_S)
    if worker.process.is_alive():
        worker.process.kill()
        worker.process.join()
    worker.process.close()


def _lost(worker: _Worker, what: str) -> ProcessLost:
    worker.process.join()
    code = worker.process.exitcode or 0
    worker.process.close()
    worker.pipe.close()
    how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    short = " The system does so where memory is short: try fewer at once (--jobs 1)." if code == -signal.SIGKILL else ""
    return ProcessLost(f"The process that worked on {what} {how}.{short}")


def _end(workers: list[_Worker]) -> None:
    """End processes that still work: politely at first."""
    for worker in workers:
        worker.process.terminate()
    until = time.monotonic() + _PATIENCE_S
    try:
        for worker in workers:
            worker.process.join(max(0.0, until - time.monotonic()))
    finally:  # also where a second Ctrl-C cuts the wait short
        for worker in workers:
            worker.process.kill()
            worker.process.join()
            worker.process.close()
            worker.pipe.close()
