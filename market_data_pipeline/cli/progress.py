"""How far a long command is: a bar on a terminal, else a plain line now and then. Always on stderr, so that answers can be piped."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Self

from market_data_pipeline.cli.output import note
from market_data_pipeline.cli.words import duration

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from market_data_pipeline.domain.bar_types import Series
    from market_data_pipeline.ingest.compact import CompactionStep
    from market_data_pipeline.ingest.import_csv import Imported

_SECONDS_BETWEEN_LINES = 5.0


class Meter:
    """One thing after another that takes time, each from 0 to a total.

    Args:
        rate: What the number beside the bar counts, for example `rows/s`.
    """

    def __init__(self, rate: str = "") -> None:
        self._rate = rate
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._what = ""
        self._started = self._spoke_at = time.monotonic()
        self._quiet_until = 0.0

    def __enter__(self) -> Self:
        self._spoke_at = time.monotonic()
        if sys.stderr.isatty():
            self._bar = _new_bar()
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.pause()

    def pause(self) -> None:
        """Take the bar away, for a question or for good."""
        if self._bar is not None:
            self._bar.stop()

    def resume(self) -> None:
        """Show the bar again."""
        if self._bar is not None:
            self._bar.start()

    def show(self, what: str, done: int, total: int, counted: int | None = None, left_s: float | None = None) -> None:
        """Tell how far it is.

        Args:
            what: What is being done; a new one starts from 0.
            done: How much of it.
            total: Of how much.
            counted: What the rate counts, since the start of `what`; None where nothing is counted.
            left_s: Seconds left, where somebody knows better than the time taken so far tells.
        """
        now = time.monotonic()
        if what != self._what:
            self._what, self._started = what, now
            if self._bar is not None:
                if self._task is not None:
                    self._bar.remove_task(self._task)
                self._task = self._bar.add_task(what, total=total, rate="", left="", remark="", until=0.0)
        spent = now - self._started
        rate = f"{counted / spent:,.0f} {self._rate}" if counted is not None and spent > 0 else ""
        if left_s is None and done:
            left_s = spent / done * (total - done)
        left = f"{duration(round(left_s))} left" if left_s is not None and done < total else ""
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=done, total=total, rate=rate, left=left, remark="", until=0.0)
        elif now - self._spoke_at >= _SECONDS_BETWEEN_LINES:
            self._spoke_at = now
            note(", ".join(part for part in (f"{what}: {done / total if total else 1:.0%}", rate, left) if part))

    def waiting(self, why: str, seconds: float) -> None:
        """Show beside the bar what is waited for, and count down."""
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, remark=why, until=time.monotonic() + seconds)

    def whisper(self, text: str, seconds: float) -> None:
        """Tell of a wait that a bar would show: where there is none, in a line, if it takes a while."""
        now = time.monotonic()
        # Several requests may wait for the same moment.
        if self._bar is None and seconds >= _SECONDS_BETWEEN_LINES and now >= self._quiet_until:
            self._spoke_at, self._quiet_until = now, now + seconds - 1
            note(text)

    def line(self, text: str) -> None:
        """Tell something that is to stay readable: a line above the bar."""
        if self._bar is not None:
            self._bar.console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            note(text)


class ImportMeter:
    """Shows how far an import is: first the files are read, then sessions are stored."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._rows = 0

    def reading(self, done: int, total: int) -> None:
        """Tell that `done` of `total` bytes have been read and checked."""
        self._meter.show("Reading and checking", done, total)

    def dealt_with(self, session: Imported) -> None:
        """Tell that a session has been dealt with."""
        self._rows += session.row.rows if session.row is not None else 0
        self._meter.show("Storing", session.done, session.of, self._rows)


@contextmanager
def verifying() -> Iterator[Callable[[Series, int, int], None]]:
    """Show how far a verification is, series by series."""
    with Meter() as meter:
        yield lambda series, number, total: meter.show("Verifying", number, total)


@contextmanager
def compacting() -> Iterator[Callable[[CompactionStep], None]]:
    """Show how far a compaction is, series by series."""
    with Meter() as meter:
        yield lambda step: meter.show("Compacting", step.number, step.of)


@contextmanager
def steps() -> Iterator[Callable[[str], None]]:
    """Show what is being done, step after step, where nobody knows how long a step takes."""
    if not sys.stderr.isatty():
        yield note
        return
    from rich.console import Console

    with Console(stderr=True).status("Starting") as status:
        yield lambda what: status.update(f"{what} …")


def _new_bar() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskProgressColumn, TextColumn
    from rich.text import Text

    class Remark(ProgressColumn):
        """What is going on, with the seconds that are left of a wait."""

        def render(self, task: Task) -> Text:
            left = round(task.fields["until"] - time.monotonic())
            why = f" ({task.fields['remark']})" if task.fields["remark"] else ""
            return Text(f"wait {duration(left)}{why}" if left > 0 else "", style="yellow", no_wrap=True, overflow="ellipsis")

    words = (TextColumn(f"{{task.fields[{name}]}}") for name in ("rate", "left"))
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), *words, Remark())
    return Progress(*columns, console=Console(stderr=True), transient=True, refresh_per_second=5)
