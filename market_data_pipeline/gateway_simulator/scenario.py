"""What goes wrong, and when: a scenario from a YAML file or from `--fault`.

A file:

    seed: 7
    faults:
      - {kind: history, at: 3, do: drop-middle}
      - {kind: history, contract: AAPL, every: 5, do: error, code: 165}
      - {kind: history, rate: 0.2, do: silence, times: 10}
      - {kind: connect, at: 1, do: login-screen}
      - {kind: history, contract: NVDA, do: lost, sessions: [2024-11-29, 2024-12-02], until: 2024-12-02T17:00Z}
      - {kind: history, contract: AAPL, do: revised, sessions: [2024-05-30]}
      - {kind: history, contract: TSLA, do: split, ratio: 3, before: 2022-08-25}

The same in short, KIND[/CONTRACT]:WHEN=WHAT[:ARGUMENT]: `history:3=drop-middle`, `history/AAPL:5n=error-165`, `history:20%=silence`,
`connect:1=login-screen`, `history:2-4=slow:1.5`, `any:*=one-byte`, `history/NVDA:*=lost:2024-11-29,2024-12-02`,
`history/AAPL:*=revised:2024-05-30`, `history/TSLA:*=split:3:2022-08-25`, `schedule:*=early-close:2024-05-24`.
"""

from __future__ import annotations

import datetime as dt
import random
import re
from collections.abc import Collection, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

from pydantic import AwareDatetime, Field, model_validator

from market_data_pipeline.configuration import Section, read_yaml, validated
from market_data_pipeline.domain.errors import ConfigurationError
from market_data_pipeline.gateway_simulator import notices
from market_data_pipeline.gateway_simulator.notices import Notice, Then


class Kind(StrEnum):
    """What a client does."""

    CONNECT = "connect"
    START = "start"
    CONTRACTS = "contracts"
    MATCHING = "matching"
    HISTORY = "history"
    SCHEDULE = "schedule"
    HEAD = "head"
    TICKS = "ticks"
    REAL_TIME = "realtime"
    ACCOUNT = "account"
    ORDER = "order"
    OTHER = "other"
    ANY = "any"
    """Every request of a started client for the market."""


MARKET_KINDS = frozenset({Kind.CONTRACTS, Kind.MATCHING, Kind.HISTORY, Kind.SCHEDULE, Kind.HEAD, Kind.TICKS, Kind.REAL_TIME})
HISTORICAL_KINDS = frozenset({Kind.HISTORY, Kind.SCHEDULE, Kind.HEAD, Kind.TICKS})


class Action(StrEnum):
    """What goes wrong."""

    ERROR = "error"
    NO_DATA = "no-data"
    PACING = "pacing"
    NO_PERMISSION = "no-permission"
    QUERY_CANCELLED = "query-cancelled"
    UNKNOWN = "unknown-contract"
    AMBIGUOUS = "ambiguous"
    SILENCE = "silence"
    SLOW = "slow"
    DROP_BEFORE = "drop-before"
    DROP_MIDDLE = "drop-middle"
    DROP_AFTER = "drop-after"
    HALF_FRAME = "half-frame"
    GARBAGE = "garbage"
    GARBAGE_FRAME = "garbage-frame"
    ONE_BYTE = "one-byte"
    DISORDER = "disorder"
    DUPLICATES = "duplicates"
    TRUNCATED = "truncated"
    EMPTY = "empty"
    STALE = "stale"
    LOST = "lost"
    """The bars of some sessions are gone; a request for these alone finds no data."""
    REVISED = "revised"
    """Some bars of some sessions have other values than before, and one of each is gone: the history was corrected."""
    SPLIT = "split"
    """All prices are divided by a ratio, volumes multiplied: the history was put on the base after a split."""
    CLOSED = "closed"
    """Some sessions are not in the schedule."""
    OPENED = "opened"
    """The schedule has sessions on dates on which the calendar has none."""
    EARLY_CLOSE = "early-close"
    """Some sessions of the schedule end at 13:00."""
    OUTAGE_LOST = "outage-lost"
    OUTAGE_KEPT = "outage-kept"
    RESTART = "restart"
    LOGIN_SCREEN = "login-screen"
    IN_USE = "in-use"


_NAMED_ERRORS = {
    Action.NO_DATA: notices.NO_DATA,
    Action.PACING: notices.PACING,
    Action.NO_PERMISSION: notices.NO_PERMISSION,
    Action.QUERY_CANCELLED: notices.QUERY_CANCELLED,
    Action.UNKNOWN: notices.UNKNOWN_CONTRACT,
    Action.AMBIGUOUS: notices.AMBIGUOUS_CONTRACT,
}
_OF_BARS = frozenset({Action.DISORDER, Action.DUPLICATES, Action.TRUNCATED, Action.EMPTY, Action.STALE, Action.LOST, Action.REVISED, Action.SPLIT})
_OF_SCHEDULES = frozenset({Action.CLOSED, Action.OPENED, Action.EARLY_CLOSE})
_OF_SESSIONS = frozenset({Action.LOST, Action.REVISED, *_OF_SCHEDULES})
_OF_CONNECTING = {
    Kind.CONNECT: frozenset({Action.LOGIN_SCREEN, Action.DROP_BEFORE, Action.GARBAGE, Action.SLOW, Action.RESTART}),
    Kind.START: frozenset({Action.IN_USE, Action.SILENCE, Action.DROP_BEFORE, Action.SLOW, Action.ERROR, Action.RESTART}),
}
_SECONDS = {
    Action.SLOW: 2.0,
    Action.OUTAGE_LOST: 1.0,
    Action.OUTAGE_KEPT: 1.0,
    Action.RESTART: 1.0,
}

Ordinal = Annotated[int, Field(ge=1)]


class Fault(Section):
    """One thing that goes wrong.

    Attributes:
        kind: With requests of this kind.
        do: What.
        at: At the Nth of them (from 1), or at several; by default at each.
        every: At each Nth of them.
        rate: At random, with this probability.
        times: At most so often.
        contract: Only for this symbol, local symbol or contract id.
        client: Only for this client id.
        since: Not before this time of the gateway's clock; with a zone. Occasions before it are not counted.
        until: Not at this time of the gateway's clock or later.
        sessions: Dates of the sessions that are lost, revised, closed, opened or over early, for the actions of these names.
        ratio: By what prices are divided, for `split`.
        before: Only in sessions dated before this one, for `split`; by default in all.
        code: The error's number, for `error`.
        text: Its text, if not the usual one.
        then: What becomes of the request after a notice that belongs to no request, if not the usual: answer, silence or drop.
        seconds: How long: of a slow answer the delay, of a restart or an outage its length.
        share: Of a truncated answer or one dropped in the middle, the part that arrives.
    """

    kind: Kind
    do: Action
    at: Ordinal | tuple[Ordinal, ...] | None = None
    every: Ordinal | None = None
    rate: Annotated[float, Field(gt=0, le=1)] | None = None
    times: Ordinal | None = None
    contract: str | None = None
    client: int | None = None
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    sessions: tuple[dt.date, ...] = ()
    ratio: Annotated[float, Field(gt=0, le=1000)] | None = None
    before: dt.date | None = None
    code: int | None = None
    text: str | None = None
    then: Then | None = None
    seconds: Annotated[float, Field(ge=0)] | None = None
    share: Annotated[float, Field(ge=0, lt=1)] = 0.5

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if sum(one is not None for one in (self.at, self.every, self.rate)) > 1:
            raise ValueError("give one of at, every and rate")
        if (self.code is not None) != (self.do is Action.ERROR):
            raise ValueError("error needs a code, and nothing else takes one: {do: error, code: 162}")
        if self.code is not None and self.text is None and self.code not in notices.BY_CODE:
            raise ValueError(f"there is no usual text for code {self.code}: give text")
        if bool(self.sessions) != (self.do in _OF_SESSIONS):
            raise ValueError(f"{', '.join(sorted(_OF_SESSIONS))} need sessions, and nothing else takes some: {{do: lost, sessions: [2024-11-29]}}")
        if (self.ratio is not None) != (self.do is Action.SPLIT) or (self.before is not None and self.do is not Action.SPLIT):
            raise ValueError("split needs a ratio, and nothing else takes one, or a date before: {do: split, ratio: 4, before: 2024-06-10}")
        if self.since is not None and self.until is not None and self.since >= self.until:
            raise ValueError("since must lie before until")
        if self.do in _OF_BARS and self.kind is not Kind.HISTORY:
            raise ValueError(f"{self.do} changes bars: use it on history")
        if self.do in _OF_SCHEDULES and self.kind is not Kind.SCHEDULE:
            raise ValueError(f"{self.do} changes sessions: use it on schedule")
        allowed = _OF_CONNECTING.get(self.kind)
        if allowed is not None and self.do not in allowed:
            raise ValueError(f"on {self.kind} there can be: {', '.join(sorted(allowed))}; not {self.do}")
        if allowed is None and self.do in {Action.LOGIN_SCREEN, Action.IN_USE}:
            raise ValueError(f"{self.do} happens while connecting: use it on {Kind.CONNECT if self.do is Action.LOGIN_SCREEN else Kind.START}")
        if self.kind not in MARKET_KINDS | _OF_CONNECTING.keys() | {Kind.ANY}:
            raise ValueError(f"nothing goes wrong with {self.kind}: use one of {', '.join(sorted(MARKET_KINDS | _OF_CONNECTING.keys()))} or any")
        return self

    def is_time(self, now: dt.datetime) -> bool:
        """Return whether it can happen at a time of the gateway's clock."""
        return (self.since is None or self.since <= now) and (self.until is None or now < self.until)

    @property
    def lasts_s(self) -> float:
        """How long it lasts, in real seconds."""
        return self.seconds if self.seconds is not None else _SECONDS.get(self.do, 0.0)

    @property
    def notice(self) -> Notice | None:
        """The error message that it sends, if it sends one."""
        if self.do in _NAMED_ERRORS:
            usual = _NAMED_ERRORS[self.do]
        elif self.code is None:
            return None
        else:
            usual = notices.BY_CODE.get(self.code, Notice(self.code, ""))
        return Notice(usual.code, usual.text if self.text is None else self.text, self.then or usual.then)


class ScenarioFile(Section):
    """A scenario as it is written."""

    seed: int = 1
    faults: tuple[Fault, ...] = ()


class _Counted:
    """A fault, and how often its occasion came."""

    def __init__(self, fault: Fault, seed: int, number: int) -> None:
        self.fault = fault
        self._random = random.Random(f"{seed}/{number}")
        self._seen = self._happened = 0

    def happens(self, kind: Kind, names: Collection[str], client: int | None, now: dt.datetime) -> bool:
        """Count an occasion; return whether the fault happens now."""
        fault = self.fault
        if fault.kind is not kind and not (fault.kind is Kind.ANY and kind in MARKET_KINDS):
            return False
        if (fault.contract is not None and fault.contract not in names) or (fault.client is not None and fault.client != client):
            return False
        if not fault.is_time(now):
            return False
        self._seen += 1
        if not self._is_due() or (fault.times is not None and self._happened >= fault.times):
            return False
        self._happened += 1
        return True

    def _is_due(self) -> bool:
        fault = self.fault
        if fault.rate is not None:
            return self._random.random() < fault.rate
        if fault.every is not None:
            return self._seen % fault.every == 0
        if isinstance(fault.at, tuple):
            return self._seen in fault.at
        return fault.at is None or self._seen == fault.at


class Scenario:
    """Says what goes wrong with each request, in the order in which they arrive."""

    def __init__(self, faults: Sequence[Fault] = (), seed: int = 1) -> None:
        self._faults = [_Counted(fault, seed, number) for number, fault in enumerate(faults)]
        self.seed = seed
        self.random = random.Random(seed)
        """For what is random within a fault."""

    @classmethod
    def read(cls, file: Path | None, short: Sequence[str], seed: int | None = None) -> Scenario:
        """Return the scenario of a YAML file and of faults in short form.

        Args:
            file: The file, or None.
            short: What `--fault` gave.
            seed: Of what happens at random; the file's own if None.

        Raises:
            ConfigurationError: With file, line and key, or with the fault that cannot be read.
        """
        written = ScenarioFile() if file is None else read_yaml(file, ScenarioFile)
        return cls([*written.faults, *map(parse_fault, short)], written.seed if seed is None else seed)

    def draw(self, kind: Kind, now: dt.datetime, names: Collection[str] = (), client: int | None = None) -> Fault | None:
        """Count a request and return what goes wrong with it, or None. The first fault that happens wins, and all are counted.

        Args:
            kind: What a client does.
            now: The time of the gateway's clock, with a zone.
            names: By what the scenario may call its contract.
            client: The client's id, once it has one.
        """
        happening = [one.fault for one in self._faults if one.happens(kind, names, client, now)]
        return happening[0] if happening else None


_SHORT = re.compile(r"(?P<kind>[a-z]+)(/(?P<contract>[^:]+))?:(?P<when>[^=]+)=(?P<do>[a-z-]+?)(-(?P<code>\d+))?(:(?P<argument>.+))?")
_WHEN = re.compile(r"\*|(?P<every>\d+)n|(?P<percent>\d+(\.\d+)?)%|(?P<first>\d+)-(?P<last>\d+)|(?P<list>\d+(,\d+)*)")
_MOST_AT_ONCE = 10_000


def parse_fault(text: str) -> Fault:
    """Return the fault that KIND[/CONTRACT]:WHEN=WHAT[:ARGUMENT] means.

    WHEN is `3`, `3,5`, `3-7`, `5n` (each fifth), `20%` (at random) or `*`. ARGUMENT is the text of an error, the sessions that it is about
    (`2024-11-29,2024-12-02`), the ratio of a split and the first session that is not divided (`4:2024-06-10`), else seconds.

    Raises:
        ConfigurationError: If it means none.
    """
    match = _SHORT.fullmatch(text)
    when = _WHEN.fullmatch(match["when"]) if match else None
    if match is None or when is None:
        raise ConfigurationError(f"--fault {text}: write KIND:WHEN=WHAT, for example history:3=drop-middle, history/AAPL:20%=silence, any:5n=slow:2.")
    content: dict[str, object] = {"kind": match["kind"], "do": match["do"], "contract": match["contract"]}
    if match["code"]:
        content["code"] = int(match["code"])
    if match["argument"] and match["do"] in _OF_SESSIONS:
        content["sessions"] = match["argument"].split(",")
    elif match["argument"] and match["do"] == Action.SPLIT:
        content["ratio"], _, before = match["argument"].partition(":")
        content["before"] = before or None
    elif match["argument"]:
        content["text" if match["code"] else "seconds"] = match["argument"]
    if when["every"]:
        content["every"] = int(when["every"])
    elif when["percent"]:
        content["rate"] = float(when["percent"]) / 100
    elif when["first"]:
        first, last = int(when["first"]), int(when["last"])
        if not first <= last < first + _MOST_AT_ONCE:
            raise ConfigurationError(f"--fault {text}: {first}-{last} is no range of requests.")
        content["at"] = tuple(range(first, last + 1))
    elif when["list"]:
        content["at"] = tuple(map(int, when["list"].split(",")))
    return validated(Fault, content, lambda loc, missing: f"--fault {text}: {'.'.join(map(str, loc)) or 'it'}")
