"""How the plan of a load looks, before anything is asked for."""

from __future__ import annotations

from collections.abc import Sequence

from market_data_pipeline.cli.output import Json
from market_data_pipeline.cli.words import count, duration, size
from market_data_pipeline.domain.pacing_budget import Budget, RuleUse
from market_data_pipeline.domain.source import RequestPlan
from market_data_pipeline.ingest.from_broker import Prepared


def plan_words(prepared: Prepared, budget: Budget | None = None) -> str:
    """Return what a load takes: `312 requests for 312 sessions, at most 121,680 bars, about 1.7 MB, about 52 min at IBKR's rate`.

    Args:
        prepared: The load.
        budget: What pacing still allows; where that is enough, nothing waits for IBKR's rate, and it is not told.
    """
    if not prepared.missing:
        return "nothing to ask for: all is stored" if prepared.sessions else "nothing to ask for"
    sessions = f" for {count(len(prepared.missing), 'session')}"
    return total_words([prepared.plan], sessions, budget)


def total_words(plans: Sequence[RequestPlan], sessions: str = "", budget: Budget | None = None) -> str:
    """Return what several loads take together, as `plan_words` does of one."""
    requests = sum(plan.requests for plan in plans)
    bars, stored = sum(plan.bars for plan in plans), sum(plan.size_bytes for plan in plans)
    parts = [f"{count(requests, 'request')}{sessions}"]
    if bars:
        parts.append(f"at most {count(bars, 'bar')}")
    if stored:
        parts.append(f"about {size(stored)}")
    if budget is None or requests > _free(plans, budget):
        parts.append(f"about {duration(round(_seconds(plans, budget)))} at IBKR's rate")
    return ", ".join(parts)


def together_words(plans: Sequence[RequestPlan], budget: Budget) -> str:
    """Return what several loads take together, and how many of their requests need not wait for a place in the window of IBKR's rate."""
    total = f"together: {total_words(plans, budget=budget)}; " if len(plans) > 1 else ""
    return f"{total}{_free_words(plans, budget)}"


def _by_rule(plans: Sequence[RequestPlan], budget: Budget) -> dict[RuleUse, list[RequestPlan]]:
    """Return the plans by the rule that counts their requests."""
    found: dict[RuleUse, list[RequestPlan]] = {}
    for plan in plans:
        found.setdefault(budget.use_for(plan.bar_seconds), []).append(plan)
    return found


def _free(plans: Sequence[RequestPlan], budget: Budget) -> int:
    """Return how many of the requests may go at once."""
    if budget.refused_s:
        return 0
    return sum(min(use.left, sum(plan.requests for plan in counted)) for use, counted in _by_rule(plans, budget).items())


def _seconds(plans: Sequence[RequestPlan], budget: Budget | None) -> float:
    """Return what the loads take one after the other: at the rate, and not before the places that others hold now are free."""
    if budget is None:
        return sum(plan.seconds for plan in plans)
    return sum(
        max(sum(plan.seconds for plan in counted), use.seconds_until(sum(plan.requests for plan in counted)), budget.refused_s)
        for use, counted in _by_rule(plans, budget).items()
    )


def _free_words(plans: Sequence[RequestPlan], budget: Budget) -> str:
    requests, free = sum(plan.requests for plan in plans), _free(plans, budget)
    if not free:
        wait_s = max(budget.refused_s, min(use.next_s for use in _by_rule(plans, budget)))
        return f"the first request may go in {duration(max(1, round(wait_s)))}"
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
