"""The pure market behind the gateway simulator: contracts, calendars, invented or recorded bars. No socket, no clock of its own.

market = Market.standard(seed=1)
apple = ContractQuery(symbol="AAPL", sec_type="STK", exchange="SMART", currency="USD")
market.history(HistoryRequest(apple, end="", bar_size="1 min", duration="1 D", use_rth=True, what="TRADES"), now_ns)
"""

from __future__ import annotations

from market_data_pipeline.gateway_simulator.market.contracts import ContractQuery, ListedContract
from market_data_pipeline.gateway_simulator.market.durations import DOCUMENTED, OBSERVED, HistoryLimits
from market_data_pipeline.gateway_simulator.market.market import Market
from market_data_pipeline.gateway_simulator.market.questions import BarRow, HistoryAnswer, HistoryRequest, ScheduleAnswer
from market_data_pipeline.gateway_simulator.market.refusal import Refusal
from market_data_pipeline.gateway_simulator.market.rewriting import Lost, Other, Rescheduled, Revised, Rewrite, Split

__all__ = [
    "DOCUMENTED",
    "OBSERVED",
    "BarRow",
    "ContractQuery",
    "HistoryAnswer",
    "HistoryLimits",
    "HistoryRequest",
    "ListedContract",
    "Lost",
    "Market",
    "Other",
    "Refusal",
    "Rescheduled",
    "Revised",
    "Rewrite",
    "ScheduleAnswer",
    "Split",
]
