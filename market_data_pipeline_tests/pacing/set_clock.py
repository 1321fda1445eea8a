"""A table of few places, a clock that a test sets, and requests for them."""

from __future__ import annotations

from dataclasses import replace

from market_data_pipeline.domain.pacing import STRICT, Grant, PacingRules
from market_data_pipeline.domain.pacing_windows import PacedRequest
from market_data_pipeline.pacing import PacingTable

S = 10**9
FEW = replace(STRICT, name="few", small=PacingRules(requests=3))


class SetClock:
    """A clock that a test sets, as somebody may set a host's."""

    def __init__(self) -> None:
        self.seconds = 1_000.0
        self.boot = "first boot"

    def __call__(self) -> tuple[int, str]:
        return round(self.seconds * S), self.boot


def request(name: str = "AAPL") -> PacedRequest:
    return PacedRequest(name, "TRADES", name, 60)


def made(table: PacingTable, name: str) -> Grant:
    """Return a request that was granted, sent and answered now."""
    grant = table.try_acquire(request(name))
    assert isinstance(grant, Grant)
    table.sent(grant)
    table.answered(grant)
    return grant


def wait_s(table: PacingTable, name: str = "next") -> float:
    """Return what a request is told to wait, without staying in the queue."""
    leave = table.try_acquire(request(name))
    if isinstance(leave, Grant):
        table.withdraw(leave)
        return 0.0
    table.give_up(request(name))
    return leave.seconds
