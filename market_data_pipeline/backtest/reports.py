"""What a finished engine has to tell: tables of orders, fills, positions and accounts, and statistics. The same run, the same bytes.

Nautilus' own reports hold random ids (events, position snapshots) and texts such as `29.21 USD`; here numbers are numbers, and what
is random is left out.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from market_data_pipeline.domain.bar_types import venue_of

if TYPE_CHECKING:
    from nautilus_trader.accounting.accounts.base import Account
    from nautilus_trader.analysis import PortfolioAnalyzer
    from nautilus_trader.model.identifiers import Venue
    from nautilus_trader.model.position import Position

    from market_data_pipeline.backtest.engine import Finished

_TIME = pa.timestamp("ns", "UTC")
_ORDERS = {
    "client_order_id": pa.string(),
    "strategy_id": pa.string(),
    "instrument_id": pa.string(),
    "position_id": pa.string(),
    "type": pa.string(),
    "side": pa.string(),
    "quantity": pa.float64(),
    "filled_qty": pa.float64(),
    "avg_px": pa.float64(),
    "time_in_force": pa.string(),
    "is_reduce_only": pa.bool_(),
    "status": pa.string(),
    "reason": pa.string(),
    "tags": pa.string(),
    "ts_init": _TIME,
    "ts_last": _TIME,
}
_FILLS = {
    "client_order_id": pa.string(),
    "trade_id": pa.string(),
    "strategy_id": pa.string(),
    "instrument_id": pa.string(),
    "position_id": pa.string(),
    "order_side": pa.string(),
    "order_type": pa.string(),
    "last_qty": pa.float64(),
    "last_px": pa.float64(),
    "currency": pa.string(),
    "commission": pa.float64(),
    "commission_currency": pa.string(),
    "liquidity_side": pa.string(),
    "ts_event": _TIME,
}
_POSITIONS = {
    "position_id": pa.string(),
    "strategy_id": pa.string(),
    "instrument_id": pa.string(),
    "entry": pa.string(),
    "side": pa.string(),
    "quantity": pa.float64(),
    "peak_qty": pa.float64(),
    "avg_px_open": pa.float64(),
    "avg_px_close": pa.float64(),
    "realized_return": pa.float64(),
    "realized_pnl": pa.float64(),
    "realized_pnl_currency": pa.string(),
    "commissions": pa.string(),
    "ts_opened": _TIME,
    "ts_closed": _TIME,
}
_ACCOUNT = {
    "venue": pa.string(),
    "account_id": pa.string(),
    "account_type": pa.string(),
    "ts_event": _TIME,
    "currency": pa.string(),
    "total": pa.float64(),
    "locked": pa.float64(),
    "free": pa.float64(),
}


def tables_of(finished: Finished) -> dict[str, pa.Table]:
    """Return the tables `orders`, `fills`, `positions` and `account`, each in order of time; empty ones have their columns too."""
    return {
        "orders": _table(_ORDERS, _orders(finished), ("ts_init", "client_order_id")),
        "fills": _table(_FILLS, _fills(finished), ("ts_event", "client_order_id", "trade_id")),
        "positions": _table(_POSITIONS, [_position(one) for one in positions_of(finished)], ("ts_opened", "position_id", "ts_closed")),
        "account": _table(_ACCOUNT, _balances(finished), ()),
    }


def statistics_of(finished: Finished, tables: Mapping[str, pa.Table]) -> dict[str, Any]:
    """Return Nautilus' statistics of each venue's account, and counts. What cannot be said (no trade, no variance) is None.

    Args:
        finished: The run.
        tables: What `tables_of` says of it.
    """
    engine = finished.engine
    venues = sorted(engine.list_venues(), key=str)
    paid = _commissions(tables["fills"])
    accounts = {}
    for venue in venues:
        account = engine.cache.account_for_venue(venue)
        analyzer = engine.portfolio.analyzer if len(venues) == 1 else _analyzer_of_venue(finished, venue, account)
        accounts[venue.value] = {
            "balances": {
                currency.code: {
                    "start": _amount(account.starting_balances().get(currency)),
                    "end": _amount(total),
                    "commissions": paid[venue.value, currency.code],
                }
                for currency, total in sorted(account.balances_total().items(), key=lambda item: item[0].code)
            },
            "pnl": {currency.code: _numbers(analyzer.get_performance_stats_pnls(currency)) for currency in analyzer.currencies},
            "returns": _numbers(analyzer.get_performance_stats_returns()),
            "general": _numbers(analyzer.get_performance_stats_general()),
        }
    orders = engine.cache.orders()
    reasons = Counter(f"{order.status_string().lower()}: {_kind(reason)}" for order in orders if (reason := _reason(order)) is not None)
    return {
        "accounts": accounts,
        "orders": {"total": len(orders), **dict(sorted(Counter(order.status_string().lower() for order in orders).items()))},
        "refused": dict(sorted(reasons.items())),
        "fills": len(tables["fills"]),
        "positions": len(tables["positions"]),
    }


def _analyzer_of_venue(finished: Finished, venue: Venue, account: Account) -> PortfolioAnalyzer:
    """Return an analyzer of one venue's trades: the engine's own mixes the trades of all, under the last one's balances."""
    from nautilus_trader.analysis import PortfolioAnalyzer

    analyzer = PortfolioAnalyzer()
    for statistic in finished.engine.portfolio.analyzer._statistics.values():
        analyzer.register_statistic(statistic)
    analyzer.calculate_statistics(account, [one for one in positions_of(finished) if one.instrument_id.venue == venue])
    return analyzer


def positions_of(finished: Finished) -> list[Position]:
    """Return all positions, also those that a netting account has closed and opened anew."""
    cache = finished.engine.cache
    return [*cache.positions(), *cache.position_snapshots()]


def plain(value: object) -> object:
    """Return a value as JSON has it: NaN and infinity, which it has not, become None."""
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, bool | str | int | type(None)):
        return value
    number = float(value)  # type: ignore[arg-type]  # numpy and Decimal numbers
    return number if math.isfinite(number) else None


def _numbers(statistics: Mapping[str, Any]) -> dict[str, object]:
    return {name: plain(value) for name, value in statistics.items()}


def _orders(finished: Finished) -> Iterable[dict[str, Any]]:
    for order in finished.engine.cache.orders():
        yield {**order.to_dict(), "reason": _reason(order)}


def _kind(reason: str) -> str:
    """Return what reasons of one kind share: `SHORT SELLING not permitted on a CASH account`, without order and position."""
    return re.split(r" with |[(:=]", reason, maxsplit=1)[0].strip()


def _commissions(fills: pa.Table) -> Counter[tuple[str, str]]:
    """Return what was paid by venue and currency. From the fills: the account's own tally misses some."""
    paid: Counter[tuple[str, str]] = Counter()
    columns = (fills[name].to_pylist() for name in ("instrument_id", "commission_currency", "commission"))
    for instrument_id, currency, commission in zip(*columns, strict=True):
        if currency is not None:
            paid[venue_of(instrument_id), currency] += commission
    return Counter({key: round(amount, 8) for key, amount in paid.items()})


def _reason(order: Any) -> str | None:
    reason = getattr(order.last_event, "reason", None)
    return None if reason is None else str(reason)


def _fills(finished: Finished) -> Iterable[dict[str, Any]]:
    from nautilus_trader.model.events import OrderFilled

    for order in finished.engine.cache.orders():
        for event in order.events:
            if isinstance(event, OrderFilled):
                row = OrderFilled.to_dict(event)
                yield {**row, **_money(row["commission"], "commission")}


def _position(position: Position) -> dict[str, Any]:
    row = position.to_dict()
    # Snapshots of a netting position carry a random suffix.
    identity = f"{row['instrument_id']}-{row['strategy_id']}"
    if str(row["position_id"]).startswith(identity):
        row["position_id"] = identity
    return {**row, **_money(row["realized_pnl"], "realized_pnl"), "ts_closed": row["ts_closed"] or None}


def _balances(finished: Finished) -> Iterable[dict[str, Any]]:
    from nautilus_trader.model.events import AccountState

    for venue in sorted(finished.engine.list_venues(), key=str):
        for event in finished.engine.cache.account_for_venue(venue).events:
            state = AccountState.to_dict(event)
            for balance in state["balances"]:
                yield {**state, **balance, "venue": venue.value}


def _money(text: str | None, name: str) -> dict[str, Any]:
    amount, _, currency = (text or "").partition(" ")
    return {name: amount or None, f"{name}_currency": currency or None}


def _amount(money: Any) -> float:
    return 0.0 if money is None else float(money.as_decimal())


def _table(columns: Mapping[str, pa.DataType], rows: Iterable[Mapping[str, Any]], order: Sequence[str]) -> pa.Table:
    rows = list(rows)
    arrays = [pa.array(_cells([row.get(name) for row in rows], kind), type=kind) for name, kind in columns.items()]
    table = pa.table(arrays, schema=pa.schema(list(columns.items())))
    return table.sort_by([(name, "ascending") for name in order]) if order else table


def _cells(values: list[Any], kind: pa.DataType) -> list[Any]:
    if pa.types.is_floating(kind):
        return [None if value is None else float(value) for value in values]
    if pa.types.is_string(kind):
        return [value if value is None or isinstance(value, str) else json.dumps(value, default=str) for value in values]
    return values
