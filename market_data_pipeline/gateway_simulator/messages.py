"""Numbers of the messages of the TWS API (`ibapi/message.py`), and what the simulator makes of those it does not serve."""

from __future__ import annotations

from enum import IntEnum
from types import MappingProxyType


class Ask(IntEnum):
    """What a client sends."""

    MARKET_DATA = 1
    CANCEL_MARKET_DATA = 2
    PLACE_ORDER = 3
    CANCEL_ORDER = 4
    OPEN_ORDERS = 5
    ACCOUNT_UPDATES = 6
    EXECUTIONS = 7
    IDS = 8
    CONTRACT_DETAILS = 9
    MARKET_DEPTH = 10
    CANCEL_MARKET_DEPTH = 11
    NEWS_BULLETINS = 12
    CANCEL_NEWS_BULLETINS = 13
    LOG_LEVEL = 14
    AUTO_OPEN_ORDERS = 15
    ALL_OPEN_ORDERS = 16
    MANAGED_ACCOUNTS = 17
    REPLACE_FA = 19
    HISTORICAL_DATA = 20
    EXERCISE_OPTIONS = 21
    CANCEL_SCANNER = 23
    CANCEL_HISTORICAL_DATA = 25
    CURRENT_TIME = 49
    REAL_TIME_BARS = 50
    CANCEL_REAL_TIME_BARS = 51
    CANCEL_FUNDAMENTALS = 53
    CANCEL_IMPLIED_VOLATILITY = 56
    CANCEL_OPTION_PRICE = 57
    GLOBAL_CANCEL = 58
    MARKET_DATA_TYPE = 59
    POSITIONS = 61
    ACCOUNT_SUMMARY = 62
    CANCEL_ACCOUNT_SUMMARY = 63
    CANCEL_POSITIONS = 64
    START_API = 71
    POSITIONS_MULTI = 74
    CANCEL_POSITIONS_MULTI = 75
    ACCOUNT_UPDATES_MULTI = 76
    CANCEL_ACCOUNT_UPDATES_MULTI = 77
    OPTION_PARAMETERS = 78
    SOFT_DOLLAR_TIERS = 79
    FAMILY_CODES = 80
    MATCHING_SYMBOLS = 81
    DEPTH_EXCHANGES = 82
    NEWS_PROVIDERS = 85
    HEAD_TIME_STAMP = 87
    CANCEL_HISTOGRAM = 89
    CANCEL_HEAD_TIME_STAMP = 90
    MARKET_RULE = 91
    CANCEL_PNL = 93
    CANCEL_PNL_SINGLE = 95
    HISTORICAL_TICKS = 96
    CANCEL_TICK_BY_TICK = 98
    COMPLETED_ORDERS = 99
    CANCEL_WSH_META_DATA = 101
    CANCEL_WSH_EVENT_DATA = 103
    USER_INFO = 104


class Say(IntEnum):
    """What a gateway sends."""

    ERROR = 4
    ACCOUNT_VALUE = 6
    ACCOUNT_TIME = 8
    NEXT_VALID_ID = 9
    CONTRACT = 10
    MANAGED_ACCOUNTS = 15
    BARS = 17
    CURRENT_TIME = 49
    REAL_TIME_BAR = 50
    CONTRACT_END = 52
    OPEN_ORDER_END = 53
    ACCOUNT_END = 54
    EXECUTION_END = 55
    POSITION_END = 62
    ACCOUNT_SUMMARY = 63
    ACCOUNT_SUMMARY_END = 64
    POSITION_MULTI_END = 72
    ACCOUNT_UPDATE_MULTI = 73
    ACCOUNT_UPDATE_MULTI_END = 74
    OPTION_PARAMETERS_END = 76
    SOFT_DOLLAR_TIERS = 77
    FAMILY_CODES = 78
    SYMBOLS = 79
    DEPTH_EXCHANGES = 80
    NEWS_PROVIDERS = 85
    HEAD_TIME_STAMP = 88
    BAR_UPDATE = 90
    MARKET_RULE = 93
    TICKS = 96
    TICKS_BID_ASK = 97
    TICKS_LAST = 98
    COMPLETED_ORDERS_END = 102
    SCHEDULE = 106
    USER_INFO = 107


ORDERS = frozenset({Ask.PLACE_ORDER, Ask.CANCEL_ORDER, Ask.REPLACE_FA, Ask.EXERCISE_OPTIONS, Ask.GLOBAL_CANCEL})
"""Messages that would trade, or change what trades: refused and counted."""

UNANSWERED = frozenset(
    {
        Ask.CANCEL_MARKET_DATA,
        Ask.CANCEL_MARKET_DEPTH,
        Ask.NEWS_BULLETINS,
        Ask.CANCEL_NEWS_BULLETINS,
        Ask.LOG_LEVEL,
        Ask.AUTO_OPEN_ORDERS,
        Ask.CANCEL_SCANNER,
        Ask.CANCEL_FUNDAMENTALS,
        Ask.CANCEL_IMPLIED_VOLATILITY,
        Ask.CANCEL_OPTION_PRICE,
        Ask.MARKET_DATA_TYPE,
        Ask.CANCEL_ACCOUNT_SUMMARY,
        Ask.CANCEL_POSITIONS,
        Ask.CANCEL_POSITIONS_MULTI,
        Ask.CANCEL_ACCOUNT_UPDATES_MULTI,
        Ask.CANCEL_HISTOGRAM,
        Ask.CANCEL_PNL,
        Ask.CANCEL_PNL_SINGLE,
        Ask.CANCEL_TICK_BY_TICK,
        Ask.CANCEL_WSH_META_DATA,
        Ask.CANCEL_WSH_EVENT_DATA,
    }
)
"""Messages that a gateway takes without a word."""

REQUEST_ID_PLACES = MappingProxyType(
    {1: 2, 3: 1, 4: 2, 10: 2, 19: 4, 21: 2, 22: 1, 52: 2, 54: 2, 55: 2, 67: 2, 68: 2, 83: 1, 84: 1, 86: 1, 88: 1, 92: 1, 94: 1, 97: 1, 100: 1, 102: 1}
)
"""Which field (from 0, the message's number) carries the request id in messages that are refused, so that no client waits for an answer."""
