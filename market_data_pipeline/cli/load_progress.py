"""How far a load is: the plan before the first request, then sessions as they are stored, and what the broker makes us wait for."""

from __future__ import annotations

import time
from collections.abc import Callable

from market_data_pipeline.cli.progress import Meter
from market_data_pipeline.cli.rendering.checks import title
from market_data_pipeline.cli.rendering.plans import plan_words, together_words
from market_data_pipeline.cli.words import count
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.pacing_budget import Budget
from market_data_pipeline.domain.source import NewsKind, SessionFailure, SourceNews
from market_data_pipeline.ingest.from_broker import BrokerEvent, Prepared
from market_data_pipeline.ingest.import_csv import Run
from market_data_pipeline.ingest.load import Planned, Stored
from market_data_pipeline.ingest.modes import Mode

_WAITS = {
    NewsKind.WAITING: "IBKR's rate",
    NewsKind.RETRYING: "asking again",
    NewsKind.RECONNECTING: "reconnecting",
}
"""Why it is waited, beside the bar: short, because the bar needs the room."""


class LoadMeter:
    """Shows how far a load of some series is.

    Args:
        meter: Where it is shown.
        series: How many series are loaded.
        budget: Says what pacing still allows.
        run: A dry run answers with the plans, so they are not told here too.
    """

    def __init__(self, meter: Meter, series: int, budget: Callable[[], Budget], run: Run = Run.STORE) -> None:
        self._meter, self._of, self._budget, self._run = meter, series, budget, run
        self._prepared: list[Prepared] = []
        self._heard = 0
        self._bars = self._stored = self._done = self._total = 0
        self._ends_at: float | None = None

    def tell(self, series: Series, event: BrokerEvent) -> None:
        """Show an event of a series."""
        name = title(series)
        match event:
            case Prepared():
                self._prepared.append(event)
                if self._run is Run.STORE:
                    self._meter.line(f"{name}: {plan_words(event, self._budget() if event.missing else None)}")
                self._tell_total()
            case Planned():
                self._bars, self._done, self._total, self._ends_at = 0, 0, event.plan.sessions, time.monotonic() + event.plan.seconds
                if self._total:
                    self._meter.show(name, 0, self._total, left_s=event.plan.seconds)
            case Stored():
                self._bars, self._done, self._stored = self._bars + event.row.rows, event.done, self._stored + 1
                self._meter.show(name, event.done, event.of, self._bars, self._left_s(event))
            case SessionFailure():
                self._done += 1
                self._meter.line(f"{name}: {event.session} failed: {event.reason}")
                self._meter.show(name, self._done, self._total, self._bars)
            case SourceNews():
                self._hear(name, event)
            case error:
                if self._of > 1:  # alone, it ends the command, which tells it
                    self._meter.line(f"{name}: failed: {error}")
                self._tell_total()

    def how_far(self) -> str:
        """Return what stands after Ctrl-C."""
        if not self._total:
            return "Stopped. No bar was asked for."
        return f"Stopped. {self.what_stands() or 'No session was stored; the same command starts again.'}"

    def what_stands(self) -> str:
        """Return what is stored of a load that did not come to its end, and how to go on; empty where nothing is."""
        if not self._stored:
            return ""
        # Sessions are stored oldest first: what is missing now is newer than what is stored, where a backfill without an end does not look.
        turned = any(one.mode is not one.order.reach.mode is Mode.BACKFILL and one.order.reach.end is None for one in self._prepared)
        command = "the same command with --mode full" if turned else "the same command"
        return f"{count(self._stored, 'session')} stored before; they are whole and stay. {command.capitalize()} goes on from there."

    def _tell_total(self) -> None:
        """Tell what all series take together, once each has told what it takes, and before the first request."""
        self._heard += 1
        asking = [one.plan for one in self._prepared if one.missing]
        if self._heard == self._of and asking and self._run is Run.STORE:
            self._meter.line(together_words(asking, self._budget()))

    def _hear(self, name: str, news: SourceNews) -> None:
        if news.seconds_left is not None:
            self._ends_at = time.monotonic() + news.seconds_left
        self._meter.waiting(_WAITS.get(news.kind, ""), news.wait_s)
        if news.kind is NewsKind.WAITING:
            self._meter.whisper(news.message, news.wait_s)
        elif news.kind is not NewsKind.ASKED:
            self._meter.line(f"{name}: {news.message}")

    def _left_s(self, event: Stored) -> float:
        """Return the seconds left: what pacing says, unless answers take longer than that."""
        by_pace = 0.0 if self._ends_at is None else self._ends_at - time.monotonic()
        return max(by_pace, event.seconds_left if by_pace <= 0 else 0.0)
