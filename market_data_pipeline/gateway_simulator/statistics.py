"""What was asked, when, by whom, what was answered, and which rules were broken. Bounded: the last requests, and totals of all."""

from __future__ import annotations

import datetime as dt
import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from market_data_pipeline.gateway_simulator.clock import Clock
from market_data_pipeline.gateway_simulator.limits import Breach
from market_data_pipeline.gateway_simulator.scenario import HISTORICAL_KINDS, Kind

_BILLION = 1_000_000_000
_MOST_CLIENTS = 1_000
_OTHERS = "others"
_LONGEST_TEXT = 200


@dataclass
class RequestRecord:
    """One request and its answer.

    Attributes:
        number: From 1, over all clients.
        at_ns: Real UTC time of its arrival.
        monotonic_ns: The same on the monotonic clock, from which windows are measured.
        market_ns: What time it was at the gateway then.
        client: The client's id; None before it gave one.
        kind: What was asked.
        request_id: The client's number for it.
        contract: For which contract, in words.
        asked: What, by name: bar size, duration, end and so on.
        answer: What was answered: `bars`, `error 162`, `silence`, `cancelled`; empty while it is open.
        rows: How many bars, contracts or sessions.
        seconds: Real time until the answer was written.
        fault: What the scenario did, or empty.
    """

    number: int
    at_ns: int
    monotonic_ns: int
    market_ns: int
    client: int | None
    kind: Kind
    request_id: int
    contract: str
    asked: Mapping[str, object] = field(default_factory=dict)
    answer: str = ""
    rows: int = 0
    seconds: float = 0.0
    fault: str = ""

    def to_json(self) -> dict[str, object]:
        """Return it for programs."""
        return {
            "number": self.number,
            "at": iso(self.at_ns),
            "monotonic_s": self.monotonic_ns / _BILLION,
            "market_time": iso(self.market_ns),
            "client": self.client,
            "kind": self.kind,
            "request_id": self.request_id,
            "contract": self.contract,
            **self.asked,
            "answer": self.answer,
            "rows": self.rows,
            "seconds": round(self.seconds, 6),
            "fault": self.fault,
        }


@dataclass(frozen=True)
class BreachRecord:
    """A rule broken, and by whom."""

    breach: Breach
    at_ns: int
    client: int | None
    contract: str
    number: int | None

    def to_json(self) -> dict[str, object]:
        """Return it for programs."""
        breach = self.breach
        apart_ns = breach.at_ns - breach.with_ns
        return {
            "rule": breach.rule,
            "at": iso(self.at_ns),
            "with": iso(self.at_ns - apart_ns),
            "seconds_apart": apart_ns / _BILLION,
            "counted": breach.counted,
            "limit": breach.limit,
            "window_s": breach.window_s,
            "client": self.client,
            "contract": self.contract,
            "request": self.number,
        }


class Audience(Protocol):
    """Who watches the gateway at work."""

    def answered(self, record: RequestRecord) -> None:
        """Take note of a request that came to its end."""

    def noted(self, text: str) -> None:
        """Take note of something else worth a line."""


class Statistics:
    """Counts everything.

    Args:
        clock: What time it is at the gateway.
        audience: Who is told, besides.
        keep: How many requests and breaches are remembered one by one.
    """

    def __init__(self, clock: Clock, audience: Audience, keep: int = 2_000) -> None:
        self._clock = clock
        self._audience = audience
        self._started_ns = time.time_ns()
        self._recent: deque[RequestRecord] = deque(maxlen=keep)
        self._breaches: deque[BreachRecord] = deque(maxlen=keep)
        self._by_kind: Counter[Kind] = Counter()
        self._by_client: Counter[str] = Counter()
        self._by_answer: Counter[str] = Counter()
        self._by_rule: Counter[str] = Counter()
        self._by_fault: Counter[str] = Counter()
        self._connections: Counter[str] = Counter()
        self._clients: dict[int, float] = {}
        self._requests = self._bars = self._malformed = self._most_open = self._most_connected = 0
        self.open_now = 0
        self.changes = 0
        """Rises with every change."""

    @property
    def requests(self) -> int:
        """How many requests arrived."""
        return self._requests

    @property
    def bars(self) -> int:
        """How many bars were answered."""
        return self._bars

    @property
    def breaches(self) -> Mapping[str, int]:
        """How often each rule was broken."""
        return self._by_rule

    def asked(self, kind: Kind, client: int | None, request_id: int, contract: str = "", asked: Mapping[str, object] | None = None) -> RequestRecord:
        """Note the arrival of a request, now."""
        self._requests += 1
        # What a client sends can be long, and thousands of requests are remembered.
        short = {name: value[:_LONGEST_TEXT] if isinstance(value, str) else value for name, value in (asked or {}).items()}
        record = RequestRecord(
            self._requests,
            time.time_ns(),
            time.monotonic_ns(),
            self._clock.now_ns(),
            client,
            kind,
            request_id,
            contract[:_LONGEST_TEXT],
            short,
        )
        self._recent.append(record)
        self._by_kind[kind] += 1
        name = str(client)
        self._by_client[name if name in self._by_client or len(self._by_client) < _MOST_CLIENTS else _OTHERS] += 1
        self.changes += 1
        return record

    def answered(self, record: RequestRecord, answer: str, rows: int = 0, fault: str = "") -> None:
        """Note how a request ended. Only the first end counts."""
        if record.answer:
            return
        record.answer, record.rows, record.fault = answer, rows, fault
        record.seconds = (time.monotonic_ns() - record.monotonic_ns) / _BILLION
        self._by_answer[answer] += 1
        if record.kind is Kind.HISTORY:
            self._bars += rows
        if fault:
            self._by_fault[fault] += 1
        self.changes += 1
        self._audience.answered(record)

    def broken(self, breaches: Sequence[Breach], client: int | None, record: RequestRecord | None = None) -> None:
        """Note rules that were broken, now."""
        for breach in breaches:
            self._by_rule[breach.rule] += 1
            self._breaches.append(BreachRecord(breach, time.time_ns(), client, record.contract if record else "", record.number if record else None))
            self.changes += 1

    def opened(self, kind: Kind, step: int) -> None:
        """Note that a historical request became open (`step` 1) or ended (-1)."""
        if kind in HISTORICAL_KINDS:
            self.open_now += step
            self._most_open = max(self._most_open, self.open_now)
            self.changes += 1

    def connected(self, client: int) -> None:
        """Note that a client started."""
        self._clients[client] = time.time_ns()
        self._connections["started"] += 1
        self._most_connected = max(self._most_connected, len(self._clients))
        self.changes += 1

    def disconnected(self, client: int) -> None:
        """Note that a client left."""
        self._clients.pop(client, None)
        self.changes += 1

    def connection(self, what: str) -> None:
        """Count what happened to a connection: `accepted`, `refused 326`, `dropped` and so on."""
        self._connections[what] += 1
        self.changes += 1

    def fault(self, name: str) -> None:
        """Count a fault that belongs to no request."""
        self._by_fault[name] += 1
        self.changes += 1

    def malformed(self, text: str) -> None:
        """Note that a client sent what cannot be read."""
        self._malformed += 1
        self.noted(text)

    def noted(self, text: str) -> None:
        """Pass on a line about something else."""
        self.changes += 1
        self._audience.noted(text)

    def to_json(self) -> dict[str, Any]:
        """Return everything for programs."""
        return {
            "started": iso(self._started_ns),
            "now": iso(time.time_ns()),
            "market_time": iso(self._clock.now_ns()),
            "requests": {"total": self._requests, "by_kind": dict(self._by_kind), "by_client": dict(self._by_client)},
            "historical": {"total": sum(self._by_kind[kind] for kind in HISTORICAL_KINDS), "open_now": self.open_now, "most_open": self._most_open},
            "answers": dict(self._by_answer),
            "bars": self._bars,
            "breaches": {"total": self._by_rule.total(), "by_rule": dict(self._by_rule), "recent": [one.to_json() for one in self._breaches]},
            "orders_attempted": self._by_kind[Kind.ORDER],
            "faults": dict(self._by_fault),
            "malformed": self._malformed,
            "connections": {
                "now": len(self._clients),
                "most": self._most_connected,
                "clients": {str(client): iso(since) for client, since in sorted(self._clients.items())},
                **self._connections,
            },
            "recent": [one.to_json() for one in self._recent],
        }


def iso(ns: float) -> str:
    """Return UTC nanoseconds as RFC 3339, to the microsecond."""
    moment = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=ns // 1000)
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}Z"
