"""(i) A year of bars from a broker, planned and paced, beside the least that the rules allow and Nautilus' own segmentation."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from nautilus_trader.adapters.interactive_brokers.data import InteractiveBrokersDataClient

from bench.lines import Line, no_slower
from market_data_pipeline.calendars import partitions_of
from market_data_pipeline.domain.bar_types import NANOSECONDS, Series
from market_data_pipeline.domain.pacing import STRICT, decide
from market_data_pipeline.domain.pacing_windows import PacedRequest, PastRequest
from market_data_pipeline.domain.planning import plan_requests
from market_data_pipeline.domain.request_sizes import RequestSizes, bar_seconds

_SPECS = ("1-MINUTE-LAST", "5-MINUTE-LAST", "1-DAY-LAST")
_YEAR = (dt.date(2024, 1, 2), dt.date(2024, 12, 31))
_WINDOW_S, _LIMIT = 600, 60
_ANSWER_S = 1


def measure(folder: Path) -> Iterator[Line]:
    """Plan 252 sessions of 2024 and pace the requests on a clock of our own, one after the other, each answered after a second."""
    del folder
    for spec in _SPECS:
        partitions = partitions_of(Series.of("AAPL.NASDAQ", spec))
        for sizes in map(RequestSizes.named, ("documented", "observed")):
            plan = plan_requests(partitions, partitions.dates_between(*_YEAR), sizes, hours="rth")
            requests = len(plan)
            full = math.ceil(requests / _LIMIT) - 1
            least = full * _WINDOW_S + (requests - full * _LIMIT) * _ANSWER_S
            ours = _simulated_seconds([request.duration for request in plan], bar_seconds(partitions.spec))
            work = f"a year of {spec}: {requests} request{'s' if requests > 1 else ''} by the {sizes.name} sizes, simulated time"
            yield no_slower(work, ours, "the same requests, as fast as 60 in 10 minutes allow", least, 1.1, _nautilus(spec))


def _simulated_seconds(durations: list[str], length_s: int) -> float:
    now, past = 0, list[PastRequest]()
    for number, duration in enumerate(durations):
        request = PacedRequest("265598 SMART", "TRADES", f"{number} {duration}", length_s, "history")
        while (decision := decide(request, past, (), STRICT, now)).at_ns > now:
            now = decision.at_ns
        answered = now + _ANSWER_S * NANOSECONDS
        past.append(PastRequest("history", length_s, request.weight, request.contract_key, request.identity_key, now, answered, 0))
        now = answered
    return now / NANOSECONDS


def _nautilus(spec: str) -> str:
    """Return what Nautilus' adapter would ask for the same year, whatever the bar size."""
    start, end = pd.Timestamp(_YEAR[0], tz="UTC"), pd.Timestamp(_YEAR[1], tz="UTC") + pd.Timedelta(days=1)
    # It uses no state of its client.
    segments = InteractiveBrokersDataClient._calculate_duration_segments(None, start, end, None)  # type: ignore[arg-type]
    asked = ", ".join(duration for _, duration in segments)
    return f"Nautilus' adapter asks in {len(segments)} piece{'s' if len(segments) > 1 else ''} ({asked}), whatever the bar size" + (
        "" if "DAY" in spec else ": more than IBKR serves at once"
    )
