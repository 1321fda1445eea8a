"""How `mdp warmup` tells what there is, what would be asked, and whether it is enough."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from market_data_pipeline.cli.endings import error_to_json
from market_data_pipeline.cli.output import Json, paint
from market_data_pipeline.cli.rendering.checks import title
from market_data_pipeline.cli.rendering.plans import together_words, total_words
from market_data_pipeline.cli.warming import Warmed
from market_data_pipeline.cli.words import count, duration, iso, listed, utc
from market_data_pipeline.domain.pacing_budget import Budget
from market_data_pipeline.live.history import History
from market_data_pipeline.live.plan import WarmUpPlan

_LISTED = 3


def lines(warmed: Sequence[Warmed], budget: Callable[[], Budget], command: str) -> list[str]:
    """Return the answer that a person wants.

    Args:
        warmed: What became of each series.
        budget: Says what pacing still allows; called where something would be asked for.
        command: The command that brings what is missing.
    """
    asking = [one.plan.request_plan for one in warmed if one.plan is not None and one.history is None and one.plan.missing]
    left = budget() if asking else None
    text = [line for one in warmed for line in _one(one, left)]
    if len(warmed) > 1:
        ready = sum(one.enough for one in warmed)
        text.append(f"{count(len(warmed), 'series', 'series')}, {ready:,} ready before the first live bar")
    if left is not None:
        text.append(f"  {together_words(asking, left)}")
        text.append(f"  next: {command}")
    return text


def _one(one: Warmed, budget: Budget | None) -> list[str]:
    if one.error is not None:
        return [f"{paint(one.name, 'bold')}: {paint('failed', 'red')}: {one.error}"]
    assert one.plan is not None
    return _history(one.plan, one.history) if one.history is not None else _plan(one.plan, budget)


def _plan(plan: WarmUpPlan, budget: Budget | None) -> list[str]:
    name, need = paint(title(plan.series), "bold"), _needed(plan.needed, plan.wanted)
    if plan.enough_stored and not plan.missing:
        verdict = f"{paint('ready', 'green')} from the catalog alone"
    elif plan.enough:
        verdict = f"{paint('ready', 'green')} once what is missing was asked for" if plan.missing else paint("ready", "green")
    else:
        verdict = paint("not enough", "red")
    text = [f"{name}: {verdict}: {plan.expected:,} of {need}, {plan.hours} hours", f"  at {utc(plan.now_ns)}: {_stored(plan)}"]
    if plan.missing:
        sessions = f" for {count(len(plan.missing), 'session')} ({listed(plan.missing, _LISTED)})"
        text.append(f"  would be asked: {total_words([plan.request_plan], sessions, budget)}")
    return [*text, *(f"  why: {reason}" for reason in plan.reasons), f"  {_naturally(plan)}"]


def _needed(needed: int, wanted: int) -> str:
    return f"{count(wanted, 'bar')} ({needed:,} needed)"


def _stored(plan: WarmUpPlan) -> str:
    span = f", {plan.sessions[0]} to {plan.sessions[-1]}" if plan.sessions else ""
    sessions = f"{count(len(plan.sessions), 'session')} hold{'s' if len(plan.sessions) == 1 else ''} the newest bars{span}"
    return f"{sessions}; {count(plan.stored, 'bar')} can be used as stored"


def _naturally(plan: WarmUpPlan) -> str:
    bars = count(plan.needed, "bar")
    trading = f", {duration(plan.natural_s)} of trading" if plan.natural_s is not None else ""
    if plan.natural_ns is None:
        return f"without history a strategy waits for {bars}{trading}, longer than the calendar reaches"
    return f"without history a strategy waits for {bars}{trading}, at least until {utc(plan.natural_ns)}"


def _history(plan: WarmUpPlan, history: History) -> list[str]:
    name, need = paint(title(history.series), "bold"), _needed(history.needed, history.wanted)
    verdict = paint("ready", "green") if history.enough else paint("not enough", "red")
    text = [f"{name}: {verdict}: {len(history.bars):,} of {need}, {plan.hours} hours"]
    if len(history.bars):
        text[0] += f", {utc(int(history.bars.ts_event[0]))} to {utc(int(history.bars.ts_init[-1]))}"
    sources = f"{history.from_catalog:,} were stored before, {history.from_source:,} were asked for"
    text.append(f"  {sources} in {count(history.requests, 'request')}; took {duration(history.seconds)}")
    text += [f"  why: {reason}" for reason in history.reasons]
    return text if history.enough else [*text, f"  {_naturally(plan)}"]


def to_json(warmed: Sequence[Warmed]) -> dict[str, Json]:
    """Return the answer for programs; times are UTC."""
    return {"enough": all(one.enough for one in warmed), "series": [_one_to_json(one) for one in warmed]}


def _one_to_json(one: Warmed) -> Json:
    if one.plan is None:
        return {"name": one.name, "series": None, "enough": False, "error": None if one.error is None else error_to_json(one.error)}
    plan = one.plan
    return {
        "name": one.name,
        "series": plan.series.bar_type,
        "enough": one.enough,
        "hours": str(plan.hours),
        "needed": plan.needed,
        "wanted": plan.wanted,
        "now": iso(plan.now_ns),
        "sessions": [str(date) for date in plan.sessions],
        "stored": plan.stored,
        "enough_stored": plan.enough_stored,
        "missing": [str(date) for date in plan.missing],
        "plan": {
            "requests": plan.request_plan.requests,
            "bars": plan.request_plan.bars,
            "bytes": plan.request_plan.size_bytes,
            "seconds": round(plan.request_plan.seconds, 1),
        },
        "expected": plan.expected,
        "naturally": {"at": iso(plan.natural_ns), "trading_s": plan.natural_s},
        "reasons": list(plan.reasons if one.history is None else one.history.reasons),
        "history": None if one.history is None else _history_to_json(one.history),
        "error": None,
    }


def _history_to_json(history: History) -> Json:
    bars = history.bars
    return {
        "bars": len(bars),
        "first_open": iso(int(bars.ts_event[0])) if len(bars) else None,
        "last_close": iso(int(bars.ts_init[-1])) if len(bars) else None,
        "until": iso(history.until_ns),
        "from_catalog": history.from_catalog,
        "from_source": history.from_source,
        "requests": history.requests,
        "seconds": round(history.seconds, 3),
    }
