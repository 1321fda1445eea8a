"""Brings history in a thread of its own, so that a trading node's loop never waits for a disk or a gateway."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING

from market_data_pipeline.catalog import Catalog
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.coverage import Convention
from market_data_pipeline.domain.errors import MarketDataError
from market_data_pipeline.live.history import History, gather
from market_data_pipeline.live.need import Need, WarmUpSettings, WarmUpSource
from market_data_pipeline.sources.ibkr import Hours, IbkrGateway, IbkrSettings

if TYPE_CHECKING:
    from nautilus_trader.model.data import Bar


@dataclass(frozen=True, eq=False)
class Brought:
    """What came of a job.

    Attributes:
        need: What was asked for.
        history: What was brought; None where it failed altogether.
        bars: The same bars as Nautilus has them, oldest first.
        reasons: Why it is less than wanted.
    """

    need: Need
    history: History | None
    bars: list[Bar]
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Job:
    """History to bring.

    Attributes:
        need: Which, and how many bars.
        hours: Which hours; None is as stored, else as usual.
        settings: What it may do.
        done: Called in the worker's thread with what was brought.
        tell: Called in the worker's thread with a line for a person.
        asked_s: When it was asked for, in seconds of the monotonic clock; its time limit begins then.
    """

    need: Need
    hours: Hours | None
    settings: WarmUpSettings
    done: Callable[[Brought], None]
    tell: Callable[[str], None]
    asked_s: float = field(default_factory=time.monotonic)


class HistoryWorker:
    """One thread, one catalog, one connection at a time. Series are brought one after the other, as pacing would have it anyway.

    Args:
        catalog: Folder of the Parquet catalog; need not exist.
        ibkr: How to reach the gateway that may be asked.
    """

    def __init__(self, catalog: Path, ibkr: IbkrSettings) -> None:
        self._catalog = Catalog.open(catalog)
        self._ibkr = ibkr
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._stop = threading.Event()
        # A daemon: a request that nobody waits for must not keep a process from ending.
        self._thread = threading.Thread(target=self._work, name="warm-up", daemon=True)
        self._thread.start()

    def ask(self, job: Job) -> None:
        """Put a job in the queue."""
        self._jobs.put(job)

    def convention(self, series: Series) -> Convention | None:
        """Return under which convention a series is stored; None where nothing is stored, or what is stored cannot be read."""
        with suppress(MarketDataError):
            return self._catalog.convention(series)
        return None

    def close(self) -> None:
        """Stop what is under way, and end."""
        self._stop.set()
        self._jobs.put(None)
        self._thread.join(timeout=10)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None and not self._stop.is_set():
            job.done(self._brought(job))

    def _brought(self, job: Job) -> Brought:
        with ExitStack() as opened:
            gateway = cache(lambda: opened.enter_context(IbkrGateway(self._ibkr)))
            asks = gateway if job.settings.may_ask(WarmUpSource.IBKR) else None
            try:
                history = gather(self._catalog, asks, job.need, job.settings, hours=job.hours, tell=job.tell, stop=self._stop, asked_s=job.asked_s)
                return Brought(job.need, history, history.nautilus_bars(), history.reasons)
            except MarketDataError as error:
                return Brought(job.need, None, [], (str(error),))
            except Exception as error:  # noqa: BLE001 - trading goes on without history, and says why
                return Brought(job.need, None, [], (f"bringing history failed: {type(error).__name__}: {error}",))
