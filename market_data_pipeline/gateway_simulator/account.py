"""The account behind the gateway: one with money and nothing else. Enough for what clients fetch when they start."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from market_data_pipeline.gateway_simulator.messages import Ask, Say
from market_data_pipeline.gateway_simulator.wire import Fields, frame

_CURRENCY = "USD"
_VALUES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "AccountType": ("INDIVIDUAL", ""),
        "NetLiquidation": ("1000000.00", _CURRENCY),
        "TotalCashValue": ("1000000.00", _CURRENCY),
        "AvailableFunds": ("1000000.00", _CURRENCY),
        "BuyingPower": ("4000000.00", _CURRENCY),
        "GrossPositionValue": ("0.00", _CURRENCY),
    }
)
# Price steps by rule id, as `reqMarketRule` tells them; other rules have one step of a cent.
_MARKET_RULES: Mapping[str, tuple[tuple[str, str], ...]] = MappingProxyType({"26": (("0", "0.0001"), ("1", "0.01")), "239": (("0", "0.00005"),)})
_CENT = (("0", "0.01"),)


def _open_orders(_: Fields, account: str) -> list[bytes]:
    return [frame(Say.OPEN_ORDER_END, 1)]


def _account_updates(fields: Fields, account: str) -> list[bytes]:
    fields.skip()
    if not fields.flag():
        return []
    values = [frame(Say.ACCOUNT_VALUE, 2, key, value, currency, account) for key, (value, currency) in _VALUES.items()]
    return [*values, frame(Say.ACCOUNT_TIME, 1, "00:00"), frame(Say.ACCOUNT_END, 1, account)]


def _executions(fields: Fields, account: str) -> list[bytes]:
    fields.skip()
    return [frame(Say.EXECUTION_END, 1, fields.number())]


def _ids(_: Fields, account: str) -> list[bytes]:
    return [frame(Say.NEXT_VALID_ID, 1, 1)]


def _managed_accounts(_: Fields, account: str) -> list[bytes]:
    return [frame(Say.MANAGED_ACCOUNTS, 1, account)]


def _positions(_: Fields, account: str) -> list[bytes]:
    return [frame(Say.POSITION_END, 1)]


def _summary(fields: Fields, account: str) -> list[bytes]:
    fields.skip()
    request_id = fields.number()
    fields.skip()
    tags = {tag.strip() for tag in fields.text().split(",")}
    values = [
        frame(Say.ACCOUNT_SUMMARY, 1, request_id, account, key, value, currency)
        for key, (value, currency) in _VALUES.items()
        if key in tags or any(tag.startswith("$LEDGER") for tag in tags)
    ]
    return [*values, frame(Say.ACCOUNT_SUMMARY_END, 1, request_id)]


def _positions_multi(fields: Fields, account: str) -> list[bytes]:
    fields.skip()
    return [frame(Say.POSITION_MULTI_END, 1, fields.number())]


def _updates_multi(fields: Fields, account: str) -> list[bytes]:
    fields.skip()
    request_id = fields.number()
    values = [frame(Say.ACCOUNT_UPDATE_MULTI, 1, request_id, account, "", key, value, currency) for key, (value, currency) in _VALUES.items()]
    return [*values, frame(Say.ACCOUNT_UPDATE_MULTI_END, 1, request_id)]


def _option_parameters(fields: Fields, account: str) -> list[bytes]:
    return [frame(Say.OPTION_PARAMETERS_END, fields.number())]


def _soft_dollar_tiers(fields: Fields, account: str) -> list[bytes]:
    return [frame(Say.SOFT_DOLLAR_TIERS, fields.number(), 0)]


def _family_codes(_: Fields, account: str) -> list[bytes]:
    return [frame(Say.FAMILY_CODES, 1, account, "")]


def _depth_exchanges(_: Fields, account: str) -> list[bytes]:
    return [frame(Say.DEPTH_EXCHANGES, 0)]


def _news_providers(_: Fields, account: str) -> list[bytes]:
    return [frame(Say.NEWS_PROVIDERS, 0)]


def _market_rule(fields: Fields, account: str) -> list[bytes]:
    rule = fields.text()
    steps = _MARKET_RULES.get(rule, _CENT)
    return [frame(Say.MARKET_RULE, rule, len(steps), *(part for step in steps for part in step))]


def _completed_orders(_: Fields, account: str) -> list[bytes]:
    return [frame(Say.COMPLETED_ORDERS_END)]


def _user_info(fields: Fields, account: str) -> list[bytes]:
    return [frame(Say.USER_INFO, fields.number(), "")]


ANSWERS: Mapping[Ask, Callable[[Fields, str], list[bytes]]] = MappingProxyType(
    {
        Ask.OPEN_ORDERS: _open_orders,
        Ask.ALL_OPEN_ORDERS: _open_orders,
        Ask.ACCOUNT_UPDATES: _account_updates,
        Ask.EXECUTIONS: _executions,
        Ask.IDS: _ids,
        Ask.MANAGED_ACCOUNTS: _managed_accounts,
        Ask.POSITIONS: _positions,
        Ask.ACCOUNT_SUMMARY: _summary,
        Ask.POSITIONS_MULTI: _positions_multi,
        Ask.ACCOUNT_UPDATES_MULTI: _updates_multi,
        Ask.OPTION_PARAMETERS: _option_parameters,
        Ask.SOFT_DOLLAR_TIERS: _soft_dollar_tiers,
        Ask.FAMILY_CODES: _family_codes,
        Ask.DEPTH_EXCHANGES: _depth_exchanges,
        Ask.NEWS_PROVIDERS: _news_providers,
        Ask.MARKET_RULE: _market_rule,
        Ask.COMPLETED_ORDERS: _completed_orders,
        Ask.USER_INFO: _user_info,
    }
)
"""What is answered at once to each message: a function of its fields after the number, and of the account's name."""
