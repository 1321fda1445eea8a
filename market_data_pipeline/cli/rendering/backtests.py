"""How `mdp backtest` looks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from market_data_pipeline.backtest.results import BacktestResult
from market_data_pipeline.cli.output import Json, paint
from market_data_pipeline.cli.words import count, listed
from market_data_pipeline.domain.coverage import SIMULATED

HEADERS = ("ID", "SERIES", "FROM", "TO", "BARS", "CHANGE", "ORDERS", "SESSIONS")
NUMBERS = ("BARS", "CHANGE", "ORDERS")


def row(result: BacktestResult) -> tuple[str, ...]:
    """Return a kept backtest as a line of the table."""
    passport, spec = result.passport, result.passport.get("spec", {})
    series = [_short(str(one.get("series"))) for one in passport.get("series", [])]
    orders = result.statistics.get("orders", {}).get("total", 0)
    verdict = str(passport.get("gap_verdict", "-"))
    bars = f"{passport.get('bars', 0):,}"
    return result.id, listed(series, 2), str(spec.get("start")), str(spec.get("end")), bars, _percent(_change(result)), f"{orders:,}", verdict


def summary_to_json(result: BacktestResult) -> Json:
    """Return a kept backtest for programs, in short."""
    passport = result.passport
    return {
        "id": result.id,
        "name": result.name,
        "created_at": result.created_at,
        "series": [one.get("series") for one in passport.get("series", [])],
        "start": passport.get("spec", {}).get("start"),
        "end": passport.get("spec", {}).get("end"),
        "bars": passport.get("bars"),
        "change": _change(result),
        "gap_verdict": passport.get("gap_verdict"),
        "bars_fingerprint": passport.get("bars_fingerprint"),
        "folder": str(result.folder),
    }


def to_json(result: BacktestResult) -> Json:
    """Return a kept backtest for programs."""
    return {
        "id": result.id,
        "folder": str(result.folder),
        "tearsheet": str(result.tearsheet),
        "equity_png": str(result.equity_png),
        "passport": result.passport,
        "statistics": result.statistics,
    }


def lines(result: BacktestResult) -> list[str]:
    """Return a backtest for a person: statistics, on what it stands, where its files are."""
    text = [paint(result.id, "bold"), "statistics", *_aligned([*_statistics(result.statistics)])]
    for venue, account in (result.statistics.get("accounts") or {}).items():
        text += [f"account {venue}", *_aligned([*_account(account)])]
    text += ["passport", *_aligned([*_passport(result.passport)])]
    return [*text, "files", *_aligned([("folder", str(result.folder)), ("tearsheet", str(result.tearsheet)), ("equity", str(result.equity_png))])]


def _aligned(pairs: Sequence[tuple[str, str]]) -> list[str]:
    width = max((len(name) for name, _ in pairs), default=0)
    return [f"  {name:<{width}}  {value}" for name, value in pairs]


def _statistics(statistics: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    equity = statistics.get("equity") or {}
    if equity:
        yield "equity", f"{equity['start']:,.2f} to {equity['end']:,.2f} {equity['currency']} ({_percent(equity.get('change'))}), {equity['basis']}"
        yield "largest drawdown", _percent(equity.get("largest_drawdown"))
    orders = statistics.get("orders") or {}
    yield "orders", f"{orders.get('total', 0):,} ({', '.join(f'{n:,} {name}' for name, n in orders.items() if name != 'total')})"
    yield "fills, positions", f"{statistics.get('fills', 0):,}, {statistics.get('positions', 0):,}"
    for reason, number in (statistics.get("refused") or {}).items():
        yield f"refused {number:,}", str(reason)


def _account(account: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for code, balance in account.get("balances", {}).items():
        yield (
            f"balance {code}",
            f"{_number(balance.get('start'))} to {_number(balance.get('end'))}, commissions {_number(balance.get('commissions'))}",
        )
    for code, values in account.get("pnl", {}).items():
        for name, value in values.items():
            yield f"{name} {code}", _number(value)
    for name, value in {**account.get("returns", {}), **account.get("general", {})}.items():
        yield name, _number(value)


def _passport(passport: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "run at", str(passport.get("created_at"))
    for one in passport.get("series", []):
        missing = one.get("missing") or 0
        gaps = f", {paint(count(missing, 'session') + ' missing', 'yellow')}" if missing else ""
        sessions = count(one.get("sessions", 0), "session")
        invented = f", {paint('SIMULATED prices', 'red')}" if one.get("adjustment") == SIMULATED else ""
        yield _short(str(one.get("series"))), f"{one.get('bars', 0):,} bars of {sessions}{gaps}{invented}; fingerprint {one.get('fingerprint')}"
    yield "gaps", str(passport.get("gap_verdict"))
    yield "fingerprint of the bars", str(passport.get("bars_fingerprint"))
    yield "of the definitions", str(passport.get("definitions_fingerprint"))
    yield "of the spec", str(passport.get("spec_fingerprint"))
    yield "seed", str(passport.get("seed"))
    yield "versions", ", ".join(f"{name} {version}" for name, version in passport.get("versions", {}).items())


def _change(result: BacktestResult) -> float | None:
    change = (result.statistics.get("equity") or {}).get("change")
    return None if change is None else float(change)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:+.2%}"


def _number(value: object) -> str:
    if not isinstance(value, float):
        return "-" if value is None else str(value)
    return f"{value:,.4f}".rstrip("0").rstrip(".") if not value or abs(value) >= 0.001 else f"{value:.3g}"


def _short(bar_type: str) -> str:
    return bar_type.removesuffix("-EXTERNAL")
