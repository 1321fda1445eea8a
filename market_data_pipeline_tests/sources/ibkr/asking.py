"""A source that asks a simulated gateway in a process of its own, in a time that runs a hundred times as fast."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from market_data_pipeline.calendars import partitions_of
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.coverage import SessionAnswer
from market_data_pipeline.domain.source import Asked, NewsKind, Precision, SessionFailure, SourceNews
from market_data_pipeline.sources.ibkr import IbkrGateway, IbkrSettings, IbkrSource
from market_data_pipeline_tests.gateway import RunningGateway, start_gateway

SCALE = 0.01
# A Monday in June, half an hour after the regular close.
NOW = "2024-06-03T20:30Z"
EQUITY = Precision(price=2, size=0)
PAIR = Precision(price=5, size=0)


def settings_for(gateway: RunningGateway, folder: Path, pace: float = SCALE, **changes: Any) -> IbkrSettings:
    """Return settings for a simulated gateway, with state of its own and waits a hundred times shorter; `pace` scales the rules of pacing."""
    rules = folder / "pacing.yaml"
    # A simulated gateway scales its rules too, but counts messages in real seconds.
    rules.write_text(f"scale: {pace}\nmessages_s: {1 / pace:g}\n", encoding="utf-8")
    settings = IbkrSettings(
        host=gateway.host,
        port=gateway.port,
        state=folder / "state",
        pacing=str(rules),
        pacing_db=str(folder / "pacing.sqlite"),
        wait_scale=SCALE,
        connect_timeout_s=2.0,
        request_timeout_s=1.0,
        reconnect_s=2_000.0,
    )
    return replace(settings, **changes)


@dataclass
class Heard:
    """What a fetch said."""

    answers: list[SessionAnswer] = field(default_factory=list)
    failures: list[SessionFailure] = field(default_factory=list)
    news: list[SourceNews] = field(default_factory=list)
    error: Exception | None = None

    def take(self, told: SessionAnswer | SessionFailure | SourceNews) -> None:
        """Sort one thing in."""
        if isinstance(told, SessionAnswer):
            self.answers.append(told)
        elif isinstance(told, SessionFailure):
            self.failures.append(told)
        else:
            self.news.append(told)

    @property
    def coverage(self) -> dict[str, int]:
        """How many sessions there are of each coverage."""
        words = [str(answer.coverage) for answer in self.answers]
        return {word: words.count(word) for word in sorted(set(words))}

    @property
    def rows(self) -> list[int]:
        """Bars of each session."""
        return [len(answer.bars) for answer in self.answers]

    @property
    def dates(self) -> list[dt.date]:
        """Sessions answered, in the order of the answers."""
        return [answer.session for answer in self.answers]

    @property
    def fingerprints(self) -> list[str]:
        """What identifies the bars of each session."""
        return [answer.bars.fingerprint() for answer in self.answers]

    @property
    def requests(self) -> int:
        """Requests for bars that were made."""
        return self.news[-1].requests if self.news else 0

    def messages(self, kind: NewsKind) -> list[str]:
        """The news of one kind."""
        return [one.message for one in self.news if one.kind is kind]


def asked_for(series: Series, start: str, end: str, precision: Precision = EQUITY) -> Asked:
    """Return the question for every session from `start` to `end`."""
    partitions = partitions_of(series)
    return Asked(series, partitions, precision, partitions.dates_between(dt.date.fromisoformat(start), dt.date.fromisoformat(end)))


def hear(source: IbkrSource, asked: Asked) -> Heard:
    """Fetch everything; an error ends it and is kept."""
    heard = Heard()
    try:
        for told in source.fetch(asked):
            heard.take(told)
    except Exception as error:  # noqa: BLE001 - the test looks at it
        heard.error = error
    return heard


@contextmanager
def simulated(folder: Path, *flags: str, **changes: Any) -> Iterator[tuple[RunningGateway, IbkrGateway]]:
    """Run a simulated gateway and a client of it; the rules of pacing are counted there but not enforced."""
    now = () if "--now" in flags else ("--now", NOW)
    with (
        start_gateway(folder / "gateway", *now, "--pacing-scale", str(SCALE), "--no-pacing", *flags) as process,
        IbkrGateway(settings_for(process, folder, **changes)) as gateway,
    ):
        yield process, gateway
