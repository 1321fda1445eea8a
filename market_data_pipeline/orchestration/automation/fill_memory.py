"""What the gap filler remembers from tick to tick, in its cursor."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

from market_data_pipeline.orchestration.automation.gaps_to_fill import Failures, Fill, Gap

FIRST_WAIT = dt.timedelta(minutes=5)
LONGEST_WAIT = dt.timedelta(minutes=60)


@dataclass(frozen=True)
class DeadGateway:
    """A gateway that did not answer.

    Attributes:
        misses: How often in a row.
        look_at: When to look again; None for at once.
    """

    misses: int = 0
    look_at: dt.datetime | None = None

    def missed(self, now: dt.datetime) -> DeadGateway:
        """Return what is remembered after one more miss: 5, 10, 20, 40, then 60 minutes of leaving it alone."""
        wait = min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(self.misses, 10))
        return DeadGateway(self.misses + 1, now + wait)


@dataclass(frozen=True)
class Launched:
    """A run that was started and whose end has not been seen. Dates are inclusive."""

    assets: tuple[str, ...]
    instruments: tuple[str, ...]
    first: dt.date
    last: dt.date
    at: dt.datetime
    asks_broker: bool

    def was_for(self, gap: Gap, session: dt.date) -> bool:
        """Return whether a session that is missing was among what it was to bring."""
        return gap.asset in self.assets and gap.series.instrument_id in self.instruments and self.first <= session <= self.last


@dataclass(frozen=True)
class _FailedRange:
    first: dt.date
    last: dt.date
    failures: Failures


@dataclass
class FillMemory:
    """The cursor.

    Attributes:
        number: Of the next run; it makes the keys of runs unique, and those of a tick that is made twice the same.
        gateway: Whether the gateway answered.
        launched: Runs that were started, by their key.
        files: Change time of the newest file that was tried, nanoseconds, by `asset|instrument`.
    """

    number: int
    gateway: DeadGateway = field(default_factory=DeadGateway)
    launched: dict[str, Launched] = field(default_factory=dict)
    files: dict[str, int] = field(default_factory=dict)
    _failed: dict[str, list[_FailedRange]] = field(default_factory=dict)

    @classmethod
    def read(cls, cursor: str | None, now: dt.datetime) -> FillMemory:
        """Read a cursor; one that is not there or not to be read is a new beginning, with numbers that no run had before."""
        try:
            content = json.loads(cursor or "")
            look_at = content["gateway"][1]
            return cls(
                number=int(content["number"]),
                gateway=DeadGateway(int(content["gateway"][0]), _time(look_at) if look_at is not None else None),
                launched={key: _launched(*values) for key, values in content["launched"].items()},
                files={name: int(mtime) for name, mtime in content["files"].items()},
                _failed={name: [_failed_range(*values) for values in ranges] for name, ranges in content["failed"].items()},
            )
        except (ValueError, KeyError, TypeError, IndexError, AttributeError):
            return cls(number=int(now.timestamp()))

    def write(self) -> str:
        """Return the cursor."""
        look_at = self.gateway.look_at
        content = {
            "number": self.number,
            "gateway": [self.gateway.misses, look_at.timestamp() if look_at is not None else None],
            "launched": {
                key: [list(one.assets), list(one.instruments), str(one.first), str(one.last), one.at.timestamp(), one.asks_broker]
                for key, one in self.launched.items()
            },
            "files": self.files,
            "failed": {
                name: [[str(one.first), str(one.last), one.failures.times, one.failures.last.timestamp()] for one in ranges]
                for name, ranges in self._failed.items()
            },
        }
        return json.dumps(content, separators=(",", ":"))

    def failures_of(self, gaps: Sequence[Gap]) -> dict[str, Failures]:
        """Return what is remembered of sessions that are missing, by `Gap.key`."""
        found: dict[str, Failures] = {}
        for gap in gaps:
            for one in self._failed.get(_name(gap), ()):
                found |= {gap.key(session): one.failures for session in gap.sessions if one.first <= session <= one.last}
        return found

    def note_failed(self, gaps: Sequence[Gap], run: Launched, now: dt.datetime) -> int:
        """Count a failure of each session that a run was to bring and that is missing still; return how many those are."""
        failures = self.failures_of(gaps)
        count = 0
        for gap in gaps:
            for session in gap.sessions:
                if run.was_for(gap, session):
                    key = gap.key(session)
                    failures[key] = Failures(failures[key].times + 1 if key in failures else 1, now)
                    count += 1
        self.keep(gaps, failures)
        return count

    def keep(self, gaps: Sequence[Gap], failures: Mapping[str, Failures]) -> None:
        """Remember these failures and forget all others: what is not missing any more has not failed."""
        kept: dict[str, list[_FailedRange]] = {}
        for gap in gaps:
            # Ranges, not sessions: an instrument that nobody lists fails for years of them.
            for failed, sessions in groupby(gap.sessions, key=lambda session: failures.get(gap.key(session))):
                if failed is not None:
                    dates = list(sessions)
                    kept.setdefault(_name(gap), []).append(_FailedRange(dates[0], dates[-1], failed))
        self._failed = kept

    def launch(self, fill: Fill, now: dt.datetime) -> str:
        """Remember a run that is about to be started; return its key."""
        key = f"gap-{self.number}"
        self.number += 1
        self.launched[key] = Launched(fill.assets, fill.instruments, fill.first, fill.last, now, bool(fill.rule))
        return key

    def gateway_answered(self) -> None:
        """Note that a run had answers from the gateway."""
        self.gateway = DeadGateway()

    def gateway_reachable(self) -> None:
        """Note that something listens; whether it answers, a run will tell."""
        self.gateway = replace(self.gateway, look_at=None)


def _name(gap: Gap) -> str:
    return f"{gap.asset}|{gap.series.instrument_id}"


def _launched(assets: Sequence[str], instruments: Sequence[str], first: str, last: str, at: float, asks_broker: bool) -> Launched:
    return Launched(tuple(assets), tuple(instruments), dt.date.fromisoformat(first), dt.date.fromisoformat(last), _time(at), asks_broker)


def _failed_range(first: str, last: str, times: int, at: float) -> _FailedRange:
    return _FailedRange(dt.date.fromisoformat(first), dt.date.fromisoformat(last), Failures(int(times), _time(at)))


def _time(seconds: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(float(seconds), dt.UTC)
