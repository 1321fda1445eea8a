"""Tells a person of runs that failed and of new gaps: a line in a file, and a webhook where one is named.

MDP_NOTIFICATIONS names the file, else data/notifications.jsonl: one JSON object a line. MDP_WEBHOOK names an http or https URL that gets the same
object as a POST, for example of a chat; without it nothing is sent. The URL may hold a secret and is never written anywhere.
"""

# No `from __future__ import annotations`: Dagster reads the annotations of sensors as they are.

import datetime as dt
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dagster as dg

from market_data_pipeline.catalog import Catalog
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.errors import MarketDataError
from market_data_pipeline.domain.sessions import SessionRange, parse_date
from market_data_pipeline.domain.words import agreeing, count
from market_data_pipeline.orchestration.automation.places import Places
from market_data_pipeline.orchestration.mending import job_command, load_command
from market_data_pipeline.orchestration.resources import place
from market_data_pipeline.orchestration.universe import UniverseParts
from market_data_pipeline.watchlist import Watchlist

WEBHOOK = "MDP_WEBHOOK"
_TIMEOUT_S = 5.0
_TAIL_BYTES = 262_144
_TEXT_AT_MOST = 2_000
_MINUTE_NS = 60_000_000_000
# The schedule, the gap filler and their retries come first: what they fill within this time is no news.
_GRACE_MINUTES = 60
_GAPS_TOLD = 20


@dataclass(frozen=True)
class Notice:
    """Something that a person should know.

    Attributes:
        key: The same for the same event: it is told once.
        kind: `run_failed` or `new_gap`.
        text: In words, in the form that most chats take.
        facts: The values in it.
    """

    key: str
    kind: str
    text: str
    facts: Mapping[str, Any]

    def to_json(self, now: dt.datetime) -> dict[str, Any]:
        """Return the object that file and webhook get."""
        return {"at": now.isoformat(timespec="seconds"), "kind": self.kind, "key": self.key, "text": self.text[:_TEXT_AT_MOST], **self.facts}


class Channel:
    """A file, and a webhook where one is named.

    Args:
        file: Gets a line for each notice.
        webhook: URL, or None.
    """

    def __init__(self, file: Path, webhook: str | None) -> None:
        self._file, self._webhook = file, webhook

    @classmethod
    def of_environment(cls) -> "Channel":
        """Return the channel that the environment names."""
        return cls(place("MDP_NOTIFICATIONS", "data/notifications.jsonl"), os.environ.get(WEBHOOK) or None)

    def tell(self, notices: Sequence[Notice]) -> list[str]:
        """Tell of what was not told before; return what went wrong, for the log. Never raises for a file or a webhook that fails."""
        told = self._told()
        wrong: list[str] = []
        silent = False
        for notice in notices:
            if notice.key in told:
                continue
            content = notice.to_json(dt.datetime.now(dt.UTC))
            if self._webhook is not None and not silent:
                failure = post(self._webhook, content)
                content["webhook"] = failure or "delivered"
                if failure:
                    # Each try may take seconds, and a tick has few.
                    silent = True
                    wrong.append(f"The webhook of {WEBHOOK} failed: {failure}. The file has the notice.")
            elif self._webhook is not None:
                content["webhook"] = "not tried: it had just failed"
            try:
                self._write(content)
            except OSError as error:
                wrong.append(f"{self._file} cannot be written: {error.strerror or type(error).__name__}.")
        return wrong

    def _told(self) -> set[str]:
        """Return the keys of the newest notices."""
        try:
            with self._file.open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
                lines = file.read().splitlines()
        except OSError:
            return set()
        keys = set()
        for line in lines:
            try:
                keys.add(str(json.loads(line)["key"]))
            except (ValueError, KeyError, TypeError):  # the first may be cut in two
                continue
        return keys

    def _write(self, content: Mapping[str, Any]) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        # One write of a line at the end is whole also where two processes write.
        with self._file.open("ab", buffering=0) as file:
            file.write(json.dumps(content, ensure_ascii=False).encode() + b"\n")


def post(url: str, content: Mapping[str, Any]) -> str | None:
    """POST a JSON object; return None, or what went wrong in words that hold nothing of the URL but its host."""
    import http.client

    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "it is no http or https URL"
    if parts.scheme not in ("http", "https") or not host:
        return "it is no http or https URL"
    connect = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = connect(host, port, timeout=_TIMEOUT_S)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request("POST", target, json.dumps(content).encode(), {"Content-Type": "application/json", "User-Agent": "market-data-pipeline"})
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException, ValueError) as error:
        # Its text may quote what was asked for.
        return f"{host} did not answer ({type(error).__name__})"
    finally:
        connection.close()
    return None if 200 <= status < 300 else f"{host} answered {status}"


def notice_of_failure(run: dg.DagsterRun, message: str) -> Notice:
    """Return the notice of a run that failed."""
    partition = run.tags.get("dagster/partition") or " to ".join(
        run.tags[tag] for tag in ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end") if tag in run.tags
    )
    what = f"{run.job_name} ({partition})" if partition else run.job_name
    facts = {"run_id": run.run_id, "job": run.job_name, "partition": partition, "error": message[:_TEXT_AT_MOST]}
    return Notice(f"run_failed:{run.run_id}", "run_failed", f"The run {run.run_id[:8]} of {what} failed: {message}", facts)


def failure_sensor(channel: Channel | None = None) -> dg.SensorDefinition:
    """Make the sensor that tells of each run that fails."""

    @dg.run_failure_sensor(
        name="notify_failures",
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=30,
        description=(
            "Tells of each run that fails, once: a line in data/notifications.jsonl (MDP_NOTIFICATIONS), and a POST to the URL in MDP_WEBHOOK where "
            "that is set. A webhook that fails is said in the log and stops nothing."
        ),
    )
    def notify_failures(context: dg.RunFailureSensorContext) -> None:
        for line in (channel or Channel.of_environment()).tell([notice_of_failure(context.dagster_run, _message_of(context))]):
            context.log.warning(line)

    return notify_failures


def _message_of(context: dg.RunFailureSensorContext) -> str:
    """Return what the failed steps say; without one, what Dagster says of the run."""
    said = []
    for event in context.get_step_failure_events():
        error = event.step_failure_data.error
        while error is not None and error.cause is not None:
            error = error.cause
        if error is not None:
            said.append(f"{event.step_key}: {error.message.strip()}")
    return "; ".join(said) or (context.failure_event.message or "no reason is known").strip()


Ranges = dict[str, list[tuple[dt.date, dt.date]]]


@dataclass(frozen=True)
class Known:
    """What a tick leaves for the next.

    Attributes:
        gaps: Gaps of each series.
        told: How often gaps were told: one that was filled and is back is told again, and one that is told twice by a crash is not.
    """

    gaps: Ranges
    told: int

    @classmethod
    def parse(cls, cursor: str | None) -> "Known | None":
        """Read a cursor; None on the first tick, or where it cannot be read."""
        try:
            content = json.loads(cursor or "")
            ranges = {str(name): [(parse_date(first), parse_date(last)) for first, last in one] for name, one in content["gaps"].items()}
            return cls(ranges, int(content["told"]))
        except (ValueError, KeyError, AttributeError, TypeError, MarketDataError):
            return None

    def to_cursor(self) -> str:
        """Return the cursor."""
        gaps = {name: [(str(first), str(last)) for first, last in ranges] for name, ranges in self.gaps.items()}
        return json.dumps({"told": self.told, "gaps": gaps}, separators=(",", ":"))


def new_gaps(known: Known, series: Series, gaps: Sequence[SessionRange], dates: Mapping[SessionRange, Sequence[dt.date]]) -> list[SessionRange]:
    """Return the parts of the gaps of a series that were no gaps at the last tick, oldest first. A series that is new has none."""
    before = known.gaps.get(str(series))
    if before is None:
        return []
    fresh: list[SessionRange] = []
    for gap in gaps:
        run: list[dt.date] = []
        for date in [*dates[gap], None]:
            if date is not None and not any(first <= date <= last for first, last in before):
                run.append(date)
            elif run:
                fresh.append(SessionRange(run[0], run[-1], len(run)))
                run = []
    return fresh


def gap_sensor(watchlist: Watchlist, parts: Sequence[UniverseParts], places: Places, channel: Channel | None = None) -> dg.SensorDefinition:
    """Make the sensor that tells of each new gap."""

    @dg.sensor(
        name="notify_gaps",
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Tells of sessions that are newly missing, once each: a line in data/notifications.jsonl (MDP_NOTIFICATIONS), and a POST to the URL in "
            f"MDP_WEBHOOK where that is set. A session counts {_GRACE_MINUTES} minutes after it should have been loaded. Launches nothing."
        ),
    )
    def notify_gaps(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        known = Known.parse(context.cursor)
        try:
            gaps = gaps_that_count(Catalog.open(places.catalog), parts, time.time_ns())
        except MarketDataError as error:
            return dg.SensorResult(skip_reason=f"The catalog cannot be read: {error}")
        standing = {str(series): [(gap.first, gap.last) for gap in ranges] for series, (_, ranges) in gaps.items()}
        if known is None:
            total = sum(gap.sessions for _, ranges in gaps.values() for gap in ranges)
            said = f"First look: {count(total, 'session')} {agreeing(total, 'is', 'are')} missing of {len(gaps)} stored series. New ones are told."
            return dg.SensorResult(skip_reason=said, cursor=Known(standing, 0).to_cursor())
        notices = _notices(known, gaps)
        for line in (channel or Channel.of_environment()).tell(notices):
            context.log.warning(line)
        said = f"Told of {count(len(notices), 'new gap')}." if notices else f"No new gap in {len(gaps)} stored series."
        return dg.SensorResult(skip_reason=said, cursor=Known(standing, known.told + bool(notices)).to_cursor())

    return notify_gaps


Gaps = dict[Series, tuple[UniverseParts, tuple[SessionRange, ...]]]


def gaps_that_count(catalog: Catalog, parts: Sequence[UniverseParts], now_ns: int) -> Gaps:
    """Return the gaps of each stored series of the universes, up to the session that should have been loaded by now."""
    found: Gaps = {}
    stored = set(catalog.series())
    for one in parts:
        universe = one.partitions.universe
        for spec in universe.bars:
            last = universe.last_session(spec, now_ns - (universe.settling_minutes + _GRACE_MINUTES) * _MINUTE_NS)
            if last is None:
                continue
            for series in universe.series(spec):
                # A series of which nothing was ever stored has not been loaded yet; that is no gap in it.
                if series in stored:
                    found[series] = one, catalog.gaps(series, universe.start, last, now_ns, universe.fetched_hours)
    return found


def _notices(known: Known, gaps: Gaps) -> list[Notice]:
    notices = []
    for series, (one, ranges) in gaps.items():
        sessions = one.partitions.universe.partitions(str(series.spec))
        dates = {gap: sessions.dates_between(gap.first, gap.last) for gap in ranges}
        for gap in new_gaps(known, series, ranges, dates):
            command = load_command(one.partitions, series, gap)
            facts = {
                "series": str(series),
                "first": str(gap.first),
                "last": str(gap.last),
                "sessions": gap.sessions,
                "universe": one.partitions.name,
                "mdp": command,
                "command": job_command(one.partitions, series, gap),
            }
            key = f"new_gap:{known.told}:{series}:{gap.first}:{gap.last}"
            notices.append(Notice(key, "new_gap", f"{series}: {gap} not stored whole. Mend: {command}", facts))
    return notices[:_GAPS_TOLD] + _rest(notices[_GAPS_TOLD:])


def _rest(notices: Sequence[Notice]) -> list[Notice]:
    """Return one notice for many: a lost disk is one piece of news."""
    if not notices:
        return []
    sessions = sum(int(notice.facts["sessions"]) for notice in notices)
    text = f"{len(notices)} more new gaps with {sessions} sessions; mdp check lists them all."
    key = f"new_gap:more:{notices[0].key}:{notices[-1].key}"
    return [Notice(key, "new_gap", text, {"gaps": len(notices), "sessions": sessions})]
