"""How the plan of a load looks, before anything is asked for."""

from __future__ import annotations

from collections.abc import Sequence

from market_data_pipeline.cli.output import Json
from market_data_pipeline.cli.words import count, duration, size
from market_data_pipeline.domain.pacing_budget import Budget
from market_data_pipeline.domain.source import RequestPlan
from market_data_pipeline.ingest.from_broker import Prepared


def plan_words(prepared: Prepared, free: int = 0) -> str:
    """Return what a load takes: `312 requests for 312 sessions, at most 121,680 bars, about 1.7 MB, about 52 min at IBKR's rate`.

    Args:
        prepared: The load.
        free: Requests that may go at once; where those are enough, nothing waits for IBKR's rate, and it is not told.
    """
    if not prepared.missing:
        return "nothing to ask for: all is stored" if prepared.sessions else "nothing to ask for"
    sessions = f" for {count(len(prepared.missing), 'session')}"
    return total_words([prepared.plan], sessions, free)


def total_words(plans: Sequence[RequestPlan], sessions: str = "", free: int = 0) -> str:
    """Return what several loads take together, as `plan_words` does of one."""
    requests = sum(plan.requests for plan in plans)
    bars, stored = sum(plan.bars for plan in plans), sum(plan.size_bytes for plan in plans)
    parts = [f"{count(requests, 'request')}{sessions}"]
    if bars:
        parts.append(f"at most {count(bars, 'bar')}")
    if stored:
        parts.append(f"about {size(stored)}")
    if requests > free:
        parts.append(f"about {duration(round(sum(plan.seconds for plan in plans)))} at IBKR's rate")
    return ", ".join(parts)


def together_words(plans: Sequence[RequestPlan], budget: Budget) -> str:
    """Return what several loads take together, and how many of their requests may go at once; of one only that."""
    total = f"together: {total_words(plans, free=free_now(budget))}; " if len(plans) > 1 else ""
    return f"{total}{free_words(sum(plan.requests for plan in plans), budget)}"


def free_now(budget: Budget) -> int:
    """Return how many requests may go at once."""
    return 0 if budget.next_s else budget.left()


def free_words(requests: int, budget: Budget) -> str:
    """Return how many requests of a load need not wait for a place in the window of IBKR's rate."""
    free = free_now(budget)
    if not free:
        return f"the first request may go in {duration(round(budget.next_s))}"
    if requests <= free:
        return "all of them may go at once" if requests > 1 else "it may go at once"
    return f"the first {free:,} may go at once" if free > 1 else "the first may go at once"


def plan_to_json(prepared: Prepared) -> Json:
    """Return what a load takes, for programs."""
    plan = prepared.plan
    return {
        "requests": plan.requests,
        "sessions": len(prepared.missing),
        "bars": plan.bars,
        "bytes": plan.size_bytes,
        "seconds": round(plan.seconds, 1),
        "missing": [str(date) for date in prepared.missing],
    }
