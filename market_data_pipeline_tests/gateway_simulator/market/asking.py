"""Questions to a market, and its bars as exact numbers."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from market_data_pipeline.gateway_simulator.market import ContractQuery, HistoryRequest, Market
from market_data_pipeline_tests.instants import NEW_YORK, ns

AAPL = ContractQuery(symbol="AAPL", sec_type="STK", exchange="SMART", currency="USD")
BRK_B = ContractQuery(symbol="BRK B", sec_type="STK", exchange="SMART", currency="USD")
EVERSOURCE = ContractQuery(symbol="ES", sec_type="STK", exchange="SMART", currency="USD")
THIN = ContractQuery(symbol="THIN", sec_type="STK", exchange="SMART", currency="USD")
EURUSD = ContractQuery(symbol="EUR", sec_type="CASH", exchange="IDEALPRO", currency="USD")
USDJPY = ContractQuery(symbol="USD", sec_type="CASH", exchange="IDEALPRO", currency="JPY")
BTC = ContractQuery(symbol="BTC", sec_type="CRYPTO", exchange="PAXOS", currency="USD")
SPX = ContractQuery(symbol="SPX", sec_type="IND", exchange="CBOE", currency="USD")
E_MINI = ContractQuery(local_symbol="ESU4", sec_type="FUT", exchange="CME")

FRIDAY_NOON = ns("2024-06-14 12:00", NEW_YORK)
LATER = ns("2025-11-20 12:00", NEW_YORK)


@dataclass(frozen=True)
class Row:
    """A bar as the market told it, in exact numbers."""

    date: str
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    wap: Decimal
    count: int

    @property
    def prices(self) -> tuple[Decimal, ...]:
        return self.open, self.high, self.low, self.close


def request(
    query: ContractQuery,
    bar_size: str,
    duration: str,
    end: str = "",
    *,
    what: str = "TRADES",
    rth: bool = True,
    format_date: int = 2,
    live: bool = False,
) -> HistoryRequest:
    return HistoryRequest(query, end, bar_size, duration, rth, what, format_date, live)


def rows(market: Market, question: HistoryRequest, now_ns: int = LATER) -> list[Row]:
    return [
        Row(date, Decimal(opens), Decimal(high), Decimal(low), Decimal(close), Decimal(volume), Decimal(wap), int(count))
        for date, opens, high, low, close, volume, wap, count in market.history(question, now_ns).rows
    ]


def stamps(market: Market, question: HistoryRequest, now_ns: int = LATER) -> list[int]:
    """Return the stamps of intraday bars in UTC nanoseconds."""
    return [int(row.date) * 10**9 for row in rows(market, question, now_ns)]


def clocks(market: Market, question: HistoryRequest, now_ns: int = LATER) -> list[str]:
    """Return the local times of intraday bars, `09:30:00`. The question must be one for texts."""
    return [row.date.split(" ")[1] for row in rows(market, question, now_ns)]


def merged(parts: list[Row]) -> Row:
    """Return the aggregate of finer bars, by the definition of one. Its average price is left out."""
    volume = sum(part.volume for part in parts) if parts[0].count >= 0 else parts[0].volume
    count = sum(part.count for part in parts) if parts[0].count >= 0 else parts[0].count
    highs, lows = (part.high for part in parts), (part.low for part in parts)
    return Row(parts[0].date, parts[0].open, max(highs), min(lows), parts[-1].close, Decimal(volume), Decimal(0), count)
