"""How `mdp ibkr status`, `health`, `budget` and `cleanup` look."""

from __future__ import annotations

from collections.abc import Sequence

from market_data_pipeline.cli.broker import Health
from market_data_pipeline.cli.cleanup import Cleaned
from market_data_pipeline.cli.output import Json, paint
from market_data_pipeline.cli.words import count, duration, listed
from market_data_pipeline.domain.pacing_budget import Budget, PacingUser, RuleUse
from market_data_pipeline.sources.ibkr import ServerFacts

_CLOCK_TOLERANCE_S = 5.0


def facts_lines(facts: ServerFacts) -> list[str]:
    """Return what a gateway says of itself."""
    text = [
        f"{paint(f'{facts.host}:{facts.port}', 'bold')}: {paint('connected', 'green')} as client {facts.client_id}",
        f"  server version {facts.server_version}, connected at {facts.connected_at}",
        f"  {facts.mode} account: {', '.join(facts.accounts) or 'none named'}",
        f"  farms: {', '.join(f'{name} {state}' for name, state in sorted(facts.farms.items())) or 'none spoken of'}",
    ]
    if facts.simulated:
        text.append(f"  {paint('note', 'yellow')}: this is the simulator. Its prices are invented, and stored marked as simulated")
    if abs(facts.clock_ahead_s) >= _CLOCK_TOLERANCE_S:
        way = "ahead of" if facts.clock_ahead_s > 0 else "behind"
        text.append(f"  {paint('note', 'yellow')}: its clock is {duration(abs(round(facts.clock_ahead_s)))} {way} this computer's")
    return text


def facts_to_json(facts: ServerFacts) -> Json:
    """Return what a gateway says of itself, for programs; account numbers are masked."""
    return {
        "host": facts.host,
        "port": facts.port,
        "client_id": facts.client_id,
        "server_version": facts.server_version,
        "connected_at": facts.connected_at,
        "account_mode": str(facts.mode),
        "accounts": list(facts.accounts),
        "farms": {name: str(state) for name, state in sorted(facts.farms.items())},
        "clock_ahead_s": round(facts.clock_ahead_s, 1),
        "simulated": facts.simulated,
    }


def health_line(health: Health) -> str:
    """Return the answer in a line."""
    if health.healthy:
        return f"{health.place}: {paint('healthy', 'green')}, answered in {duration(round(health.seconds, 1))}"
    return f"{health.place}: {paint('not healthy', 'red')}: {health.reason}"


def health_to_json(health: Health) -> Json:
    """Return the answer for programs."""
    return {"gateway": health.place, "healthy": health.healthy, "reason": health.reason or None, "seconds": round(health.seconds, 3)}


def budget_lines(budget: Budget) -> list[str]:
    """Return what is left, when the next request may go, and who used the others."""
    text = [f"pacing ({budget.profile} rules): {_when(budget)}", *(f"  {_use(use)}" for use in budget.uses)]
    text.append(f"  open requests: {budget.open} of {budget.open_limit}")
    if budget.waiting:
        text.append(f"  {count(budget.waiting, 'request')} waiting for leave")
    text += [f"  {_user(user)}" for user in budget.users if user.alive is not False]
    text += [f"  {line}" for line in _ended([user for user in budget.users if user.alive is False])]
    return [*text, f"  kept in {budget.place}"]


def _when(budget: Budget) -> str:
    if budget.refused_s:
        return paint(f"the broker refused a request as too fast; the next may go in {duration(round(budget.next_s))}", "red")
    if budget.next_s:
        return paint(f"the next request may go in {duration(round(budget.next_s))}", "yellow")
    return f"{paint(count(budget.left(), 'request'), 'green')} may go at once"


def _use(use: RuleUse) -> str:
    left = f"{use.used:,} of {use.limit:,} {use.what} in {duration(use.window_s)} used, {use.left:,} left"
    return f"{left}, the next in {duration(round(use.next_s, 1))}" if use.next_s else left


def _user(user: PacingUser) -> str:
    state = "running" if user.alive else "on another host"
    return f"process {user.pid} on {user.host} ({state}): {count(user.requests, 'request')}, {user.open} open"


def _ended(users: Sequence[PacingUser]) -> list[str]:
    """Return what processes that have ended used, in one line: an afternoon leaves dozens."""
    if not users:
        return []
    processes = count(len(users), "process that has ended", "processes that have ended")
    open_now = sum(user.open for user in users)
    return [f"{processes}: {count(sum(user.requests for user in users), 'request')}{f', {open_now:,} open' if open_now else ''}"]


def budget_to_json(budget: Budget) -> Json:
    """Return the budget for programs."""
    return {
        "profile": budget.profile,
        "place": budget.place,
        "left": budget.left(),
        "next_s": round(budget.next_s, 3),
        "refused_s": round(budget.refused_s, 3),
        "open": budget.open,
        "open_limit": budget.open_limit,
        "waiting": budget.waiting,
        "rules": [
            {"what": use.what, "used": use.used, "limit": use.limit, "left": use.left, "window_s": use.window_s, "next_s": round(use.next_s, 3)}
            for use in budget.uses
        ],
        "processes": [
            {"host": user.host, "pid": user.pid, "requests": user.requests, "open": user.open, "alive": user.alive} for user in budget.users
        ],
    }


def cleanup_lines(done: Cleaned) -> list[str]:
    """Return what was freed."""
    if done.nothing:
        return ["Nothing was left behind."]
    text = []
    if done.client_ids:
        text.append(f"{count(len(done.client_ids), 'client id')} freed: {listed(done.client_ids)}")
    if done.slots:
        text.append(f"{count(done.slots, 'open pacing slot')} of dead processes freed")
    if done.files:
        text.append(f"{count(len(done.files), 'temporary file')} removed: {listed(done.files, 4)}")
    return text


def cleanup_to_json(done: Cleaned) -> Json:
    """Return what was freed, for programs."""
    return {"client_ids": list(done.client_ids), "pacing_slots": done.slots, "files": [str(file) for file in done.files]}
