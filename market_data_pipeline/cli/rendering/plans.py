"""How the plan of a load looks, before anything is asked for."""

from __future__ import annotations

from collections.abc import Sequence

from market_data_pipeline.cli.output import Json
from market_data_pipeline.cli.words import count, duration, size
from market_data_pipeline.domain.pacing_budget import Budget
from market_data_pipeline.domain.source import RequestPlan
from market_data_pipeline.ingest.from_broker import Prepared


def plan_words(prepared: Prepared) -> str:
    """Return what a load takes: `312 requests for 312 sessions, at most 121,680 bars, about 1.7 MB, about 52 min at IBKR's rate`."""
    if not prepared.missing:
        return "nothing to ask for: all is stored" if prepared.sessions else "nothing to ask for"
    sessions = f" for {count(len(prepared.missing), 'session')}"
    return total_words([prepared.plan], sessions)


def total_words(plans: Sequence[RequestPlan], sessions: str = "") -> str:
    """Return what several loads take together."""
    bars, stored = sum(plan.bars for plan in plans), sum(plan.size_bytes for plan in plans)
    parts = [f"{count(sum(plan.requests for plan in plans), 'request')}{sessions}"]
    if bars:
        parts.append(f"at most {count(bars, 'bar')}")
    if stored:
        parts.append(f"about {size(stored)}")
    parts.append(f"about {duration(round(sum(plan.seconds for plan in plans)))} at IBKR's rate")
    return ", ".join(parts)


def free_words(requests: int, budget: Budget) -> str:
    """Return how many requests of a load need not wait for a place in the window of IBKR's rate."""
    free = budget.left()
    if budget.next_s or not free:
        return f"the first request may go in {duration(round(budget.next_s))}"
    return "all of them may go at once" if requests <= free else f"the first {free:,} may go at once"


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
